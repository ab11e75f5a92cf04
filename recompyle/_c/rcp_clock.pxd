"""Mirror of rcp_clock.h."""

from libc.stdint cimport uint32_t, uint64_t


cdef extern from "rcp_clock.h" nogil:
    enum:
        RCP_CLOCK_SYSTEM
        RCP_CLOCK_TSC
        RCP_CLOCK_CNTVCT

    enum:
        RCP_CLOCK_WANT_AUTO
        RCP_CLOCK_WANT_TSC
        RCP_CLOCK_WANT_SYSTEM

    enum:
        RCP_CLOCK_SOUND
        RCP_CLOCK_SUSPECT
        RCP_CLOCK_UNRELIABLE

    ctypedef struct rcp_clock_t:
        char why[128]
        double read_ns
        double resolution_ns
        uint32_t suspects

    int rcp_clock_init(rcp_clock_t *clock, int want)
    const char *rcp_clock_name(const rcp_clock_t *clock)
    uint64_t rcp_clock_system_ns()
    int rcp_clock_check(rcp_clock_t *clock)
    bint rcp_clock_refine(rcp_clock_t *clock)
    void rcp_clock_fall_back(rcp_clock_t *clock)
    uint64_t rcp_ns_to_ticks(const rcp_clock_t *clock, uint64_t ns)
    uint64_t rcp_clock_ticks(const rcp_clock_t *clock)
    uint64_t rcp_clock_scale(const rcp_clock_t *clock)
    uint64_t rcp_scale_ticks(uint64_t scale, uint64_t ticks)
    uint64_t rcp_ticks_to_ns(const rcp_clock_t *clock, uint64_t ticks)
    uint32_t rcp_clock_source(const rcp_clock_t *clock)
