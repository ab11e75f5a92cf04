/* A log-linear histogram: 32 buckets for each power of two, so a value is known to within 1/32 (3.1%).
 *
 * Recording is one atomic add and safe from any number of threads; a reader at the same time sees a state that is
 * at most a few records old. Values have no unit of their own.
 */
#ifndef RCP_HIST_H
#define RCP_HIST_H

#include <stdatomic.h>

#include "rcp_base.h"

#define RCP_HIST_BUCKETS_PER_OCTAVE 32

/* Sizes of a histogram, from rcp_hist_plan. */
typedef struct rcp_hist_plan {
    uint32_t unit_shift;    /* the finest bucket is 2^unit_shift wide */
    uint32_t bucket_count;
    size_t bytes;           /* memory of the counters */
} rcp_hist_plan_t;

typedef struct rcp_hist {
    _Atomic uint64_t *counts;   /* private */
    uint32_t unit_shift, bucket_count;
    _Atomic uint64_t min, max;  /* exact */
    rcp_alloc_t alloc;
} rcp_hist_t;

/* Compute the sizes; takes no memory. From `lowest` to `highest` values are exact to 1/32; smaller ones to
 * lowest/32, greater ones all fall into the last bucket. 1 and UINT64_MAX cover everything in 15 KiB;
 * thirty powers of two, as from 1024 to 2^40, fit in 8 KiB.
 * Returns 0, RCP_EINVAL if lowest is 0 or not less than highest. */
RCP_API int rcp_hist_plan(uint64_t lowest, uint64_t highest, rcp_hist_plan_t *plan);

/* alloc NULL: libc. Returns 0, RCP_ENOMEM, RCP_EINVAL for a plan that rcp_hist_plan did not make. */
RCP_API int rcp_hist_init(rcp_hist_t *hist, const rcp_hist_plan_t *plan, const rcp_alloc_t *alloc);

/* Safe twice. */
RCP_API void rcp_hist_free(rcp_hist_t *hist);

/* Forget all values. Records made meanwhile by other threads may survive or not. */
RCP_API void rcp_hist_reset(rcp_hist_t *hist);

/* Add the values of `more`, which must have the same plan, else RCP_EINVAL and nothing is changed. */
RCP_API int rcp_hist_merge(rcp_hist_t *into, const rcp_hist_t *more);

/* How many values were recorded. Adds up all buckets. */
RCP_API uint64_t rcp_hist_count(const rcp_hist_t *hist);

/* Smallest and greatest value, exact; 0 if there is none. */
RCP_API uint64_t rcp_hist_min(const rcp_hist_t *hist);
RCP_API uint64_t rcp_hist_max(const rcp_hist_t *hist);

/* The value below or at which `percent` (0 to 100) of the values lie: the middle of its bucket, never outside
 * min and max; from 100 on the maximum itself. 0 if there is no value. */
RCP_API uint64_t rcp_hist_percentile(const rcp_hist_t *hist, double percent);

RCP_API void rcp__hist_widen(rcp_hist_t *hist, uint64_t value);

/* The bucket of a value. */
static inline uint32_t rcp_hist_bucket(const rcp_hist_t *hist, uint64_t value)
{
    uint64_t units = value >> hist->unit_shift, low = units | RCP_HIST_BUCKETS_PER_OCTAVE;
    uint32_t exponent, bucket;
#if defined(__GNUC__)
    exponent = 63u - (uint32_t)__builtin_clzll(low);
#else
    for (exponent = 5; low >> exponent > 1; exponent++) {}
#endif
    bucket = (exponent - 5) * RCP_HIST_BUCKETS_PER_OCTAVE + (uint32_t)(units >> (exponent - 5));
    return bucket < hist->bucket_count ? bucket : hist->bucket_count - 1;
}

/* Add a value. Any thread. */
static inline void rcp_hist_record(rcp_hist_t *hist, uint64_t value)
{
    atomic_fetch_add_explicit(&hist->counts[rcp_hist_bucket(hist, value)], 1, memory_order_relaxed);
    if (rcp_unlikely(value > atomic_load_explicit(&hist->max, memory_order_relaxed)
                     || value < atomic_load_explicit(&hist->min, memory_order_relaxed)))
        rcp__hist_widen(hist, value);
}

#endif
