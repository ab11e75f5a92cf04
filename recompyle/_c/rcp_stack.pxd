"""Mirror of rcp_stack.h."""

from libc.stddef cimport size_t
from libc.stdint cimport uint32_t, uint64_t

from recompyle._c.rcp_base cimport rcp_alloc_t
from recompyle._c.rcp_tally cimport rcp_tally_t


cdef extern from "rcp_stack.h" nogil:
    const uint32_t RCP_SITE_NONE
    const uint64_t RCP_NEVER

    ctypedef struct rcp_activation_t:
        const void *frame
        const void *owner
        uint64_t open_at
        uint32_t open_site
        uint32_t site_count
        rcp_tally_t *tallies
        uint64_t *touched
        uint64_t started
        uint64_t suspended
        uint64_t suspended_at
        rcp_activation_t *older
        uint32_t failed_site
        uint32_t cut_site
        uint32_t clamped
        uint32_t lost
        bint suspendable

    ctypedef struct rcp_thread_t:
        rcp_activation_t *current
        rcp_activation_t *newest

    ctypedef struct rcp_table_t:
        pass

    ctypedef struct rcp_row_t:
        uint32_t site
        uint32_t inside
        bint unfinished
        const rcp_tally_t *tally

    int rcp_thread_init(rcp_thread_t *thread, const rcp_alloc_t *alloc)
    void rcp_thread_free(rcp_thread_t *thread)
    int rcp_table_init(rcp_table_t *table, const rcp_alloc_t *alloc)
    void rcp_table_free(rcp_table_t *table)
    size_t rcp_table_count(rcp_table_t *table)
    void rcp_table_fork_begin(rcp_table_t *table)
    void rcp_table_fork_end(rcp_table_t *table)

    rcp_activation_t *rcp_enter(rcp_thread_t *thread, const void *frame, const void *owner, uint32_t sites,
                                uint64_t now)
    rcp_activation_t *rcp_enter_suspendable(rcp_thread_t *thread, rcp_table_t *table, const void *frame,
                                            const void *owner, uint32_t sites, uint64_t now)
    void rcp_leave(rcp_thread_t *thread, rcp_table_t *table, rcp_activation_t *activation)
    rcp_activation_t *rcp_current(rcp_thread_t *thread, rcp_table_t *table, const void *frame)
    rcp_activation_t *rcp_current_of(rcp_thread_t *thread, const void *owner)
    void rcp_suspend(rcp_activation_t *activation, uint64_t now)
    void rcp_resume(rcp_activation_t *activation, uint64_t now)
    uint64_t rcp_run_ticks(const rcp_activation_t *a, uint64_t now)

    uint32_t rcp_row_fail(rcp_activation_t *activation, uint64_t now, uint32_t error)
    void rcp_row_start(rcp_activation_t *a, uint32_t site, uint64_t now)
    void rcp_row_end(rcp_activation_t *a, uint32_t site, uint64_t now)

    void rcp_nested_start(rcp_activation_t *activation, const void *frame, uint32_t site, uint64_t now)
    void rcp_nested_end(rcp_activation_t *activation, const void *frame, uint32_t site, uint64_t now)
    uint32_t rcp_nested_fail(rcp_activation_t *activation, const void *frame, uint64_t now, uint32_t error)

    void rcp_cut(rcp_activation_t *activation, uint64_t now)
    bint rcp_rows(const rcp_activation_t *activation, uint32_t *cursor, rcp_row_t *row)
