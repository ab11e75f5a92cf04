/* The gate at a run's end: was the run slow, and may the record go out?
 *
 * The limit is one atomic number, so that it can be changed while runs are open. The rate limit is a token
 * bucket, asked only for slow runs.
 */
#ifndef RCP_GATE_H
#define RCP_GATE_H

#include <stdatomic.h>

#include "rcp_base.h"

#define RCP_LIMIT_NEVER UINT64_MAX

typedef struct rcp_gate {
    _Atomic uint64_t limit;     /* ticks */
    atomic_flag lock;           /* guards what follows, all private */
    uint64_t count, per_ns, always_ns;
    uint64_t tokens;
    uint64_t refill_ns;         /* when the next token comes */
    uint64_t random;            /* state of the jitter */
    uint64_t admitted_ns;       /* time of the last record, 0: none yet */
    uint64_t suppressed, worst_ns;
} rcp_gate_t;

/* What was held back since the record before. */
typedef struct rcp_suppressed {
    uint64_t count;
    uint64_t worst_ns;          /* the longest of them */
    uint64_t window_ns;         /* time since the record before, 0 for the first */
} rcp_suppressed_t;

/* The limit starts as RCP_LIMIT_NEVER. At most `count` records in `per_ns`; either 0: no rate limit.
 * always_ns: a run that took at least as long is never held back; 0: none is exempt. `seed` spreads processes
 * that would otherwise report in step. Returns 0. Nothing to free. */
RCP_API int rcp_gate_init(rcp_gate_t *gate, uint64_t count, uint64_t per_ns, uint64_t always_ns, uint64_t seed);

/* Change the rate limit; what was suppressed stays counted. A full bucket to begin with. Any thread. */
RCP_API void rcp_gate_set_rate(rcp_gate_t *gate, uint64_t count, uint64_t per_ns, uint64_t always_ns);

/* May the record of a slow run go out? `now_ns` is any monotonic time, `took_ns` the run's duration. If true, *out
 * tells what was held back before, and the counting starts anew; if false this run has been counted. *out is
 * not touched then; it may be NULL. Any thread. */
RCP_API bool rcp_gate_admit(rcp_gate_t *gate, uint64_t now_ns, uint64_t took_ns, rcp_suppressed_t *out);

/* Call in a forked child: another thread may have held the lock. */
RCP_API void rcp_gate_after_fork(rcp_gate_t *gate);

/* Runs of at least so many ticks are slow. 0: all, RCP_LIMIT_NEVER: none. Any thread. */
static inline void rcp_gate_set_limit(rcp_gate_t *gate, uint64_t ticks)
{
    atomic_store_explicit(&gate->limit, ticks, memory_order_relaxed);
}

static inline uint64_t rcp_gate_limit(const rcp_gate_t *gate)
{
    return atomic_load_explicit(&gate->limit, memory_order_relaxed);
}

/* Was a run of so many ticks slow? Any thread. */
static inline bool rcp_gate_slow(const rcp_gate_t *gate, uint64_t ticks)
{
    uint64_t limit = rcp_gate_limit(gate);
    return rcp_unlikely(ticks >= limit) && limit != RCP_LIMIT_NEVER;
}

#endif
