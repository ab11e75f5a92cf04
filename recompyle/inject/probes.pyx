"""A probe that counts in memory which others may read: another thread, or another process that shares it."""

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint64_t, uintptr_t

from recompyle._c.probe cimport Probe

cdef extern from "count.h":
    void recompyle_count(uint64_t number) noexcept


cdef class SlotCounter(Probe):
    """Counts how often it is reached, as a mark or by a value, in a 64-bit number of somebody's memory.

    A count is one addition, and no thread loses one. Readers need no lock: the number is aligned, so it is always whole.

    Parameters:
        memory: a writable buffer, such as a bytearray, an array or an mmap. It is held, and cannot be resized or
            closed, for as long as the probe lives.
        index: which of the 64-bit numbers in it.
        label: what it is called when code is shown.

    Attributes:
        index: as given.
        count: the number; may be set.

    Raises:
        TypeError: not a buffer.
        BufferError: it is read-only.
        IndexError: there is no such number in it.
        ValueError: the number would not be aligned.
    """

    cdef Py_buffer view
    cdef bint holds
    cdef uint64_t *slot
    cdef uint64_t own  # counts where __init__ was never called
    cdef readonly Py_ssize_t index

    def __cinit__(self):
        self.slot = &self.own

    def __init__(self, memory, Py_ssize_t index=0, str label=None):
        if self.holds:
            raise TypeError("a SlotCounter is made only once")
        PyObject_GetBuffer(memory, &self.view, PyBUF_WRITABLE)
        self.holds = True
        if not 0 <= index < self.view.len // <Py_ssize_t>sizeof(uint64_t):
            raise IndexError(f"there is no 64-bit number {index} in {self.view.len} bytes")
        if <uintptr_t>self.view.buf % sizeof(uint64_t):
            raise ValueError("the memory is not aligned to 8 bytes")
        self.slot = <uint64_t *>self.view.buf + index
        self.index = index
        self.label = label

    def __dealloc__(self):
        if self.holds:
            PyBuffer_Release(&self.view)

    @property
    def count(self):
        return self.slot[0]

    @count.setter
    def count(self, uint64_t value):
        self.slot[0] = value

    def __getitem__(self, value):
        recompyle_count(self.slot[0])
        return value

    def __invert__(self):
        recompyle_count(self.slot[0])

    def __repr__(self):
        return f"<SlotCounter {self.label or self.index}: {self.count}>"
