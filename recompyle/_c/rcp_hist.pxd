"""Mirror of rcp_hist.h."""

from libc.stddef cimport size_t
from libc.stdint cimport uint32_t, uint64_t

from recompyle._c.rcp_base cimport rcp_alloc_t


cdef extern from "rcp_hist.h" nogil:
    ctypedef struct rcp_hist_plan_t:
        uint32_t unit_shift
        uint32_t bucket_count
        size_t bytes

    ctypedef struct rcp_hist_t:
        pass

    int rcp_hist_plan(uint64_t lowest, uint64_t highest, rcp_hist_plan_t *plan)
    int rcp_hist_init(rcp_hist_t *hist, const rcp_hist_plan_t *plan, const rcp_alloc_t *alloc)
    void rcp_hist_free(rcp_hist_t *hist)
    void rcp_hist_reset(rcp_hist_t *hist)
    int rcp_hist_merge(rcp_hist_t *into, const rcp_hist_t *more)
    uint64_t rcp_hist_count(const rcp_hist_t *hist)
    uint64_t rcp_hist_min(const rcp_hist_t *hist)
    uint64_t rcp_hist_max(const rcp_hist_t *hist)
    uint64_t rcp_hist_percentile(const rcp_hist_t *hist, double percent)
    uint32_t rcp_hist_bucket(const rcp_hist_t *hist, uint64_t value)
    void rcp_hist_record(rcp_hist_t *hist, uint64_t value)
