"""What stands in instrumented code: a counter, or the guard that counts and then calls the user's hook.

Each counter has a slot on a page that another process can read; see page.h.
"""

from cpython.object cimport PyObject, PyTypeObject
from libc.stdint cimport uint32_t, uint64_t, uintptr_t
from recompyle._c.probe cimport Probe

from recompyle.errors import NotRewritable

cdef extern from "page.h":
    ctypedef struct rcp_slot_t:
        uint64_t hits
    ctypedef struct rcp_page_header_t:
        uint64_t generation
        uint64_t slots
        uint64_t start
    ctypedef struct rcp_page_t:
        rcp_page_header_t header
    ctypedef struct _Pages:
        rcp_page_t *page
        int descriptor
    _Pages rcp_pages
    rcp_slot_t *rcp_page_take()
    void rcp_page_give(rcp_slot_t *slot)
    uint32_t rcp_page_index(const rcp_slot_t *slot)
    void rcp_slot_hit(rcp_slot_t *slot)
    int rcp_hook_runs

cdef extern from "Python.h":
    ctypedef void* vectorcallfunc  # takes a pointer to constant pointers, which Cython cannot say
    ctypedef PyObject* (*ternaryfunc_)(PyObject*, PyObject*, PyObject*) noexcept
    PyObject* PyVectorcall_Call(PyObject*, PyObject*, PyObject*) noexcept
    PyObject* PyObject_Vectorcall(PyObject*, PyObject**, size_t, PyObject*) noexcept
    int PyErr_ExceptionMatches(PyObject*) noexcept
    void PyErr_WriteUnraisable(PyObject*) noexcept
    void PyErr_Clear() noexcept
    void Py_DECREF(PyObject*) noexcept
    void Py_INCREF(PyObject*) noexcept
    PyObject *PyExc_Exception
    PyObject *Py_None
    unsigned long Py_TPFLAGS_HAVE_VECTORCALL
    void PyType_Modified(PyTypeObject*)
    ctypedef struct _Type "PyTypeObject":
        Py_ssize_t tp_vectorcall_offset
        ternaryfunc_ tp_call
        unsigned long tp_flags

cdef enum:
    LIMIT = 10


cdef class Hits(Probe):
    """Counts how often it is reached, as ``~hits``, in a slot of its own on the page of counters.

    The slot is free again when nobody refers to the counter, code that still runs included.

    Parameters:
        label: what it counts, shown where code is shown.

    Attributes:
        count: how often it was reached since it was made; in a forked child since the fork.
        index: the number of its slot.
        address: where the slot lies in memory.

    Raises:
        NotRewritable: all slots are taken (slug ``limit``).
    """

    cdef rcp_slot_t *slot

    def __cinit__(self, str label=None):
        self.slot = rcp_page_take()
        if self.slot == NULL:
            raise NotRewritable("there is no free counter left", "limit")
        self.label = label

    def __dealloc__(self):
        if self.slot != NULL:
            rcp_page_give(self.slot)

    def __invert__(self):
        rcp_slot_hit(self.slot)

    @property
    def count(self):
        return self.slot.hits

    @property
    def index(self):
        return rcp_page_index(self.slot)

    @property
    def address(self):
        return <uintptr_t>self.slot


cdef class Guard(Probe):
    """Stands in code as ``instrumentation_hook``: counts, then calls the user's hook with what it was called with.

    An Exception of the hook does not reach the program. The first one goes to `sys.unraisablehook`; after 10 in a row
    the hook is called no more, while counting goes on. While a hook runs, its thread calls no other. Exceptions that are
    no Exception, such as KeyboardInterrupt, pass through.

    Parameters:
        hits: the counter.
        hook: a callable; None: only count.

    Attributes:
        hits: as given.
        hook: as given; may be set, which also puts a hook in force again that was off.
        errors: how many Exceptions the hook has raised.
        off: whether the hook is called no more.
    """

    cdef vectorcallfunc vectorcall
    cdef readonly Hits hits
    cdef object _hook
    cdef readonly uint64_t errors
    cdef int in_a_row
    cdef readonly bint off

    def __cinit__(self, Hits hits not None, hook=None):
        self.vectorcall = <vectorcallfunc>_call
        self.hits = hits
        self.label = hits.label
        self._hook = hook

    @property
    def __name__(self):
        return "instrumentation_hook"

    @property
    def hook(self):
        return self._hook

    @hook.setter
    def hook(self, hook):
        self._hook = hook
        self.in_a_row = 0
        self.off = False

    def __call__(self, name):
        # Makes the type callable; the slot itself is exchanged below.
        raise NotImplementedError

    def __repr__(self):
        return "<instrumentation_hook>"


cdef PyObject* _call(PyObject* self, PyObject** args, size_t nargsf, PyObject* names) noexcept:
    # The code that runs holds the guard until this returns.
    global rcp_hook_runs
    cdef PyObject* result
    cdef PyObject* hook
    rcp_slot_hit((<Guard>self).hits.slot)
    if (<Guard>self)._hook is not None and not (<Guard>self).off and not rcp_hook_runs:
        hook = <PyObject*>(<Guard>self)._hook
        Py_INCREF(hook)  # it may be exchanged while it runs
        rcp_hook_runs = 1
        result = PyObject_Vectorcall(hook, args, nargsf, names)
        if result != NULL:
            Py_DECREF(result)
            (<Guard>self).in_a_row = 0
        elif PyErr_ExceptionMatches(PyExc_Exception):
            (<Guard>self).errors += 1
            (<Guard>self).in_a_row += 1
            if (<Guard>self).in_a_row >= LIMIT:
                (<Guard>self).off = True
            if (<Guard>self).errors == 1:
                PyErr_WriteUnraisable(hook)
            else:
                PyErr_Clear()
        else:
            rcp_hook_runs = 0
            Py_DECREF(hook)
            return NULL
        rcp_hook_runs = 0
        Py_DECREF(hook)
    Py_INCREF(Py_None)
    return Py_None


cdef _take_slots():
    """Give the type the slots for which Cython has no word."""
    cdef _Type* kind = <_Type*><PyObject*>Guard
    cdef Guard some = Guard.__new__(Guard, Hits.__new__(Hits))
    kind.tp_vectorcall_offset = <char*>&some.vectorcall - <char*><PyObject*>some
    kind.tp_call = PyVectorcall_Call
    kind.tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL
    PyType_Modified(<PyTypeObject*>kind)


def page():
    """Where the counters lie.

    Returns:
        The page's descriptor (-1: it cannot be shared), its generation, and how many slots it has.
    """
    if rcp_pages.page == NULL:
        return -1, 0, 0
    return rcp_pages.descriptor, rcp_pages.page.header.generation, rcp_pages.page.header.slots


def note_start(uint64_t start):
    """Write when the process was started into the page, if there is one; the unit is the reader's affair."""
    if rcp_pages.page != NULL:
        rcp_pages.page.header.start = start


_take_slots()
