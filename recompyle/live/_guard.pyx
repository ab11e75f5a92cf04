"""What stands in instrumented code: a counter, or the guard that counts and then calls the user's hook; and what
`sys.monitoring` calls in their stead.

Each counter has a slot on a page that another process can read; see page.h.
"""

from cpython.object cimport PyObject, PyTypeObject
from libc.stdint cimport uint32_t, uint64_t, uintptr_t
from libc.stdio cimport sprintf
from libc.string cimport memcpy
from recompyle._c.probe cimport Probe

import json

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
    int rcp_hook_runs

cdef extern from "count.h":
    void recompyle_count(uint64_t number) noexcept

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
    object PyLong_FromVoidPtr(void*)
    bint PyUnicode_IS_ASCII(str)
    const unsigned char* PyUnicode_1BYTE_DATA(str)
    str PyUnicode_DecodeASCII(const char*, Py_ssize_t, const char*)
    int PyByteArray_Resize(object, Py_ssize_t) except -1
    char* PyByteArray_AS_STRING(object)
    PyObject* PyDict_GetItemWithError(dict, object)
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
    PAIR = 32  # bytes that a count and what stands around a path take in JSON, the zero behind it included


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
        recompyle_count(self.slot.hits)

    @property
    def count(self):
        return self.slot.hits

    @property
    def index(self):
        return rcp_page_index(self.slot)

    @property
    def address(self):
        return <uintptr_t>self.slot


cdef bint is_plain(str text):
    """Whether JSON writes it as it is."""
    if not PyUnicode_IS_ASCII(text):
        return False
    cdef const unsigned char* letters = PyUnicode_1BYTE_DATA(text)
    cdef Py_ssize_t i
    for i in range(len(text)):
        if letters[i] < b" " or letters[i] == b'"' or letters[i] == b"\\":
            return False
    return True


def counts_text(records):
    """Write how often functions were hit, as JSON: a client may ask for hundreds, many times a second.

    Parameters:
        records: objects with a ``path`` and with ``hits``, a `Hits`.

    Returns:
        The pairs ``["path",hits]`` with a comma between them; pure ASCII.
    """
    cdef str path
    cdef Hits hits
    cdef bytearray text = bytearray()
    cdef char* end
    cdef Py_ssize_t used = 0, room = 0, length
    for record in records:
        path, hits = record.path, record.hits
        if not is_plain(path):
            path = json.dumps(path)[1:-1]
        length = len(path)
        if room - used < length + PAIR:
            room = 2 * used + length + PAIR
            PyByteArray_Resize(text, room)
        end = PyByteArray_AS_STRING(text) + used
        memcpy(end, b'["', 2)
        memcpy(end + 2, PyUnicode_1BYTE_DATA(path), length)
        used += 2 + length + sprintf(end + 2 + length, b'",%llu],', <unsigned long long>hits.slot.hits)
    return PyUnicode_DecodeASCII(PyByteArray_AS_STRING(text), max(used - 1, 0), NULL)


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
    recompyle_count((<Guard>self).hits.slot.hits)
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


cdef class Events:
    """What `sys.monitoring` calls when code starts: finds the counter or guard of the code, and has it count.

    Attributes:
        probes: by the address of the code object: its `Hits`, or its `Guard`, which is called with its label.
        missed: called with a code object that is not among them; gives what is, or None.
    """

    cdef vectorcallfunc vectorcall
    cdef readonly dict probes
    cdef object missed

    def __cinit__(self, missed):
        self.vectorcall = <vectorcallfunc>_start
        self.probes = {}
        self.missed = missed

    def __call__(self, code, offset):
        # Makes the type callable; the slot itself is exchanged below.
        raise NotImplementedError


cdef object _probe_of(Events events, PyObject* code):
    """The probe of a code object; None if it is watched no more."""
    cdef object key = PyLong_FromVoidPtr(code)
    cdef PyObject* found = PyDict_GetItemWithError(events.probes, key)
    return <object>found if found != NULL else events.missed(<object>code)


cdef PyObject* _start(PyObject* self, PyObject** args, size_t nargsf, PyObject* names) except? NULL:
    cdef object probe
    cdef PyObject* argument
    try:
        probe = _probe_of(<Events>self, args[0])
    except Exception:  # at the limit of recursion: one count is lost, and nothing reaches the program but signals
        probe = None
    if type(probe) is Guard:
        argument = <PyObject*>(<Guard>probe).label
        return _call(<PyObject*>probe, &argument, 1, NULL)
    if type(probe) is Hits:
        recompyle_count((<Hits>probe).slot.hits)
    Py_INCREF(Py_None)
    return Py_None


cdef _take_slots(_Type* kind, Py_ssize_t offset):
    """Give a type the slots for which Cython has no word."""
    kind.tp_vectorcall_offset = offset
    kind.tp_call = PyVectorcall_Call
    kind.tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL
    PyType_Modified(<PyTypeObject*>kind)


cdef _prepare_types():
    cdef Guard guard = Guard.__new__(Guard, Hits.__new__(Hits))
    cdef Events events = Events.__new__(Events, None)
    _take_slots(<_Type*><PyObject*>Guard, <char*>&guard.vectorcall - <char*><PyObject*>guard)
    _take_slots(<_Type*><PyObject*>Events, <char*>&events.vectorcall - <char*><PyObject*>events)


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


_prepare_types()
