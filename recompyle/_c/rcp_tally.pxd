"""Mirror of rcp_tally.h."""

from libc.stdint cimport uint32_t, uint64_t


cdef extern from "rcp_tally.h" nogil:
    ctypedef struct rcp_tally_t:
        uint64_t total
        uint64_t count
        uint64_t max
        uint64_t max_index
        uint64_t max_start
        uint32_t errors
        uint32_t last_error

    void rcp_tally_add(rcp_tally_t *tally, uint64_t ticks, uint64_t start)
    void rcp_tally_error(rcp_tally_t *tally, uint32_t error)
    void rcp_tally_merge(rcp_tally_t *into, const rcp_tally_t *more)
