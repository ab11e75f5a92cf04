/* Calls a wrapper with two arguments in front of those that a vectorcall got, without a tuple or a dict between. */
#ifndef RECOMPYLE_WRAP_CALL_H
#define RECOMPYLE_WRAP_CALL_H

#include <Python.h>

#include <stdbool.h>

/* Up to 3.11 the interpreter counts calls, not the C stack that they need: none for a call from Python code to Python
   code, but about a kilobyte for one that goes through a probe. With a limit of recursion far above the usual one the
   stack may be full first. Later versions have a limit of their own for that. */
#if PY_VERSION_HEX < 0x030C0000 && defined(__GLIBC__)
#include <pthread.h>
#define RCP_DEEP 10000      /* calls; with fewer there is no need to look */
#define RCP_KEPT (256 << 10) /* bytes of the stack that are left for whatever is called from here on */

static inline bool
rcp_is_stack_full(void)
{
    static _Thread_local char *end; /* where the thread's stack ends, with what is kept; looked up once */
    PyThreadState *thread = PyThreadState_Get();
    if (thread->recursion_limit - thread->recursion_remaining < RCP_DEEP) {
        return false;
    }
    char here;
    if (end == NULL) {
        pthread_attr_t attributes;
        void *lowest;
        size_t size;
        if (pthread_getattr_np(pthread_self(), &attributes) != 0) {
            return false;
        }
        int failed = pthread_attr_getstack(&attributes, &lowest, &size);
        pthread_attr_destroy(&attributes);
        if (failed) {
            return false;
        }
        end = (char *)lowest + RCP_KEPT;
    }
    return &here < end;
}
#else
static inline bool
rcp_is_stack_full(void)
{
    return false;
}
#endif

/* Calls with up to so many arguments need no memory from the heap. */
#define RCP_FEW 10

/* The new reference that the wrapper returns; NULL with an exception set: RecursionError rather than a crash. */
static inline PyObject *
rcp_call_wrapper(PyObject *wrapper, PyObject *callee, PyObject *extras, PyObject *const *args, size_t nargsf,
                 PyObject *names)
{
    if (rcp_is_stack_full()) {
        PyErr_SetString(PyExc_RecursionError, "maximum recursion depth exceeded: the C stack is full");
        return NULL;
    }
    Py_ssize_t positional = PyVectorcall_NARGS(nargsf);
    Py_ssize_t count = positional + (names != NULL ? PyTuple_GET_SIZE(names) : 0);
    PyObject *few[RCP_FEW + 3], **all = few;
    if (count > RCP_FEW) {
        all = PyMem_New(PyObject *, count + 3);
        if (all == NULL) {
            return PyErr_NoMemory();
        }
    }
    /* all[0] is left to the one who is called: a method puts its object there. */
    all[1] = callee;
    all[2] = extras;
    for (Py_ssize_t i = 0; i < count; i++) {
        all[i + 3] = args[i];
    }
    PyObject *result =
        PyObject_Vectorcall(wrapper, all + 1, (size_t)(positional + 2) | PY_VECTORCALL_ARGUMENTS_OFFSET, names);
    if (all != few) {
        PyMem_Free(all);
    }
    return result;
}

/* Shows the exception that is set to a function, and leaves it set. What that function raises is dropped: it
   tidies a traceback, and the exception on its way matters more. That exception may be that the limit of recursion was
   reached; the function goes a few calls deeper, and gets the room that the interpreter keeps for such work. */
static inline void
rcp_show_exception(PyObject *function)
{
#if PY_VERSION_HEX >= 0x030C0000
    PyObject *value = PyErr_GetRaisedException();
#else
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL) {
        PyException_SetTraceback(value, traceback);
        Py_DECREF(traceback);
    }
#endif
    PyThreadState *thread = PyThreadState_Get();
    thread->recursion_headroom++;
    PyObject *done = PyObject_CallOneArg(function, value);
    thread->recursion_headroom--;
    if (done == NULL) {
        PyErr_Clear();
    }
    Py_XDECREF(done);
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_SetRaisedException(value);
#else
    PyErr_Restore(type, value, PyException_GetTraceback(value));
#endif
}

#endif
