"""What a process has once: its clocks, its table of suspended runs, and one record a thread."""

from recompyle._c.rcp_clock cimport rcp_clock_t
from recompyle._c.rcp_stack cimport rcp_activation_t, rcp_table_t, rcp_thread_t


cdef extern from "thread.h":
    ctypedef struct PyThreadState:
        pass
    ctypedef struct recompyle_thread_t:
        rcp_thread_t runs
        PyThreadState *state
        recompyle_thread_t **here

    PyThreadState *recompyle_thread_state() noexcept
    const void *recompyle_frame(const PyThreadState *state) noexcept
    const void *recompyle_caller(const void *frame) noexcept
    bint recompyle_is_caller(const void *frame, const void *caller) noexcept
    rcp_activation_t *recompyle_at_hand(recompyle_thread_t *thread, const void *mark) noexcept


cdef rcp_clock_t *clock_named(str name) except NULL
cdef rcp_table_t *table() noexcept nogil
cdef recompyle_thread_t *this_thread() noexcept
