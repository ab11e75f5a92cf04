"""Mirror of rcp_gate.h."""

from libc.stdint cimport uint64_t


cdef extern from "rcp_gate.h" nogil:
    const uint64_t RCP_LIMIT_NEVER

    ctypedef struct rcp_gate_t:
        pass

    ctypedef struct rcp_suppressed_t:
        uint64_t count
        uint64_t worst_ns
        uint64_t window_ns

    int rcp_gate_init(rcp_gate_t *gate, uint64_t count, uint64_t per_ns, uint64_t always_ns, uint64_t seed)
    void rcp_gate_set_rate(rcp_gate_t *gate, uint64_t count, uint64_t per_ns, uint64_t always_ns)
    bint rcp_gate_admit(rcp_gate_t *gate, uint64_t now_ns, uint64_t took_ns, rcp_suppressed_t *out)
    void rcp_gate_after_fork(rcp_gate_t *gate)
    void rcp_gate_set_limit(rcp_gate_t *gate, uint64_t ticks)
    uint64_t rcp_gate_limit(const rcp_gate_t *gate)
    bint rcp_gate_slow(const rcp_gate_t *gate, uint64_t ticks)
