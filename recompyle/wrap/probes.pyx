"""The probe of a call: what is called goes in, and what comes out calls the wrapper with it.

    probe[f](a, k=b)   ->   wrapper(f, extras, a, k=b)

Between the subscript and the call lives one small object. It is called by the interpreter's own protocol for C
functions, so the arguments are copied once, as pointers, and there is no frame but the wrapper's.
"""

cimport cython
from cpython.object cimport PyObject, PyObject_Call, PyTypeObject
from recompyle._c.probe cimport Probe

cdef extern from "Python.h":
    ctypedef void* vectorcallfunc  # takes a pointer to constant pointers, which Cython cannot say
    ctypedef PyObject* (*ternaryfunc_)(PyObject*, PyObject*, PyObject*) noexcept
    PyObject* PyVectorcall_Call(PyObject*, PyObject*, PyObject*) noexcept
    ctypedef PyObject* (*reprfunc_ "reprfunc")(PyObject*) noexcept
    PyObject* PyObject_Str(PyObject*) noexcept
    unsigned long Py_TPFLAGS_HAVE_VECTORCALL
    void PyType_Modified(PyTypeObject*)
    ctypedef struct _Type "PyTypeObject":
        Py_ssize_t tp_vectorcall_offset
        ternaryfunc_ tp_call
        reprfunc_ tp_str
        unsigned long tp_flags

cdef extern from "call.h":
    PyObject* rcp_call_wrapper(PyObject*, PyObject*, PyObject*, PyObject**, size_t, PyObject*) noexcept
    void rcp_show_exception(PyObject*) noexcept


cdef class CallProbe(Probe):
    """Stands round what one call calls.

    Parameters:
        wrapper: called as ``wrapper(callee, extras, *args, **kwargs)``; its result is the call's.
        extras: what the wrapper gets to know of the site; one object for all calls.
        tidy: called with each exception that leaves the wrapper, before it goes on; None: nothing is.
        label: shown where code is shown.
    """

    cdef readonly object wrapper, extras, tidy

    def __init__(self, wrapper, extras, tidy, str label):
        self.wrapper = wrapper
        self.extras = extras
        self.tidy = tidy
        self.label = label

    def __getitem__(self, callee):
        cdef WrappedCall call = WrappedCall.__new__(WrappedCall)
        call.vectorcall = <vectorcallfunc>_call
        call.probe = self
        call.callee = callee
        return call


@cython.freelist(32)
@cython.final
cdef class WrappedCall:
    """A callee on its way through a wrapper: what stands there between being looked up and being called.

    Nobody sees it but tools that watch calls, and the wrapper of a second layer, to which it is the callee. It
    has the callee's attributes.
    """

    # The garbage collector knows it: a coroutine that waits for an argument may be part of a cycle through it.
    cdef vectorcallfunc vectorcall
    cdef CallProbe probe
    cdef object callee

    def __call__(self, *args, **kwargs):
        # Makes the type callable, and serves who says `call.__call__`; the slot itself is exchanged below.
        return PyObject_Call(self, args, kwargs)

    def __getattribute__(self, name):
        # The type has these two as well; error messages ask for the first.
        if name == "__module__" or name == "__doc__":
            return getattr(self.callee, name)
        return object.__getattribute__(self, name)

    def __getattr__(self, name):
        return getattr(self.callee, name)

    @property
    def __wrapped__(self):
        return self.callee

    def __repr__(self):
        return f"<wrapped call of {self.callee!r}>"


cdef PyObject* _call(PyObject* self, PyObject** args, size_t nargsf, PyObject* names) noexcept:
    # The caller holds the object, and with it the probe and the callee, until this returns.
    cdef PyObject* probe = <PyObject*>(<WrappedCall>self).probe
    cdef PyObject* result = rcp_call_wrapper(
        <PyObject*>(<CallProbe>probe).wrapper,
        <PyObject*>(<WrappedCall>self).callee,
        <PyObject*>(<CallProbe>probe).extras,
        args, nargsf, names,
    )
    if result == NULL and (<CallProbe>probe).tidy is not None:
        rcp_show_exception(<PyObject*>(<CallProbe>probe).tidy)
    return result


cdef PyObject* _str(PyObject* self) noexcept:
    # Error messages about arguments show a callee without a name in this way. A slot leaves no line in tracebacks.
    return PyObject_Str(<PyObject*>(<WrappedCall>self).callee)


cdef _take_slots():
    """Give the type the slots for which Cython has no word."""
    cdef _Type* kind = <_Type*><PyObject*>WrappedCall
    cdef WrappedCall some = WrappedCall.__new__(WrappedCall)
    kind.tp_vectorcall_offset = <char*>&some.vectorcall - <char*><PyObject*>some
    kind.tp_call = PyVectorcall_Call
    kind.tp_str = _str
    kind.tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL
    PyType_Modified(<PyTypeObject*>kind)
    some.vectorcall = <vectorcallfunc>_call


_take_slots()
