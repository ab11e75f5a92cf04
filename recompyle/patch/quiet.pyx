"""Calls that leave no trace: none in tracing tools, none in tracebacks."""

cdef extern from "Python.h":
    ctypedef struct PyThreadState:
        pass
    PyThreadState *PyThreadState_Get()
    void PyThreadState_EnterTracing(PyThreadState *state)
    void PyThreadState_LeaveTracing(PyThreadState *state)

cdef extern from *:
    """
    /* Plain C, since a function of Cython would enter itself into the traceback of what passes through it. */
    static PyObject *rcp_call_in_turn(PyObject *functions, PyObject *argument)
    {
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(functions); i++) {
            PyObject *result = PyObject_CallOneArg(PyTuple_GET_ITEM(functions, i), argument);
            if (result == NULL) {
                return NULL;
            }
            Py_DECREF(result);
        }
        Py_RETURN_NONE;
    }
    static PyMethodDef rcp_in_turn = {"in_turn", rcp_call_in_turn, METH_O, NULL};
    static PyObject *rcp_make_in_turn(PyObject *functions) { return PyCFunction_New(&rcp_in_turn, functions); }
    """
    object rcp_make_in_turn(tuple functions)


def in_turn(*functions):
    """Make one function of several that take one argument.

    Parameters:
        functions: they are called one after the other, until one raises.

    Returns:
        A function that returns None. It has no frame, and adds nothing to the traceback of what passes through.
    """
    return rcp_make_in_turn(functions)


def untraced(function, *arguments):
    """Call a function as tracing tools call theirs: what it runs is not reported to them.

    Parameters:
        function: what to call.
        arguments: its arguments.

    Returns:
        What it returns.
    """
    cdef PyThreadState *state = PyThreadState_Get()
    PyThreadState_EnterTracing(state)
    try:
        return function(*arguments)
    finally:
        PyThreadState_LeaveTracing(state)
