#include "rcp_hist.h"

#include "rcp__internal.h"

static uint32_t exponent_of(uint64_t value)
{
    uint32_t exponent = 0;
    while (value >>= 1)
        exponent++;
    return exponent;
}

int rcp_hist_plan(uint64_t lowest, uint64_t highest, rcp_hist_plan_t *plan)
{
    uint32_t lowest_exponent, octaves;
    if (lowest == 0 || lowest >= highest)
        return RCP_EINVAL;
    lowest_exponent = exponent_of(lowest);
    plan->unit_shift = lowest_exponent > 5 ? lowest_exponent - 5 : 0;
    /* The first 32 buckets are one unit wide; every octave above them has 32 more. */
    octaves = exponent_of(highest) > plan->unit_shift + 4 ? exponent_of(highest) - plan->unit_shift - 4 : 0;
    plan->bucket_count = (octaves + 1) * RCP_HIST_BUCKETS_PER_OCTAVE;
    plan->bytes = plan->bucket_count * sizeof(uint64_t);
    return 0;
}

int rcp_hist_init(rcp_hist_t *hist, const rcp_hist_plan_t *plan, const rcp_alloc_t *alloc)
{
    rcp_alloc_t source = rcp__alloc_or_libc(alloc);
    if (plan->bucket_count == 0 || plan->unit_shift > 63 || plan->bytes != plan->bucket_count * sizeof(uint64_t))
        return RCP_EINVAL;
    hist->counts = rcp__take(&source, plan->bucket_count * sizeof *hist->counts);
    if (hist->counts == NULL)
        return RCP_ENOMEM;
    hist->unit_shift = plan->unit_shift;
    hist->bucket_count = plan->bucket_count;
    hist->alloc = source;
    rcp_hist_reset(hist);
    return 0;
}

void rcp_hist_free(rcp_hist_t *hist)
{
    if (hist->counts != NULL)
        rcp__give(&hist->alloc, hist->counts);
    hist->counts = NULL;
    hist->bucket_count = 0;
}

void rcp_hist_reset(rcp_hist_t *hist)
{
    uint32_t i;
    for (i = 0; i < hist->bucket_count; i++)
        atomic_store_explicit(&hist->counts[i], 0, memory_order_relaxed);
    atomic_store_explicit(&hist->min, UINT64_MAX, memory_order_relaxed);
    atomic_store_explicit(&hist->max, 0, memory_order_relaxed);
}

void rcp__hist_widen(rcp_hist_t *hist, uint64_t value)
{
    uint64_t seen = atomic_load_explicit(&hist->max, memory_order_relaxed);
    while (value > seen && !atomic_compare_exchange_weak_explicit(&hist->max, &seen, value, memory_order_relaxed,
                                                                  memory_order_relaxed)) {}
    seen = atomic_load_explicit(&hist->min, memory_order_relaxed);
    while (value < seen && !atomic_compare_exchange_weak_explicit(&hist->min, &seen, value, memory_order_relaxed,
                                                                  memory_order_relaxed)) {}
}

static uint64_t count_at(const rcp_hist_t *hist, uint32_t bucket)
{
    return atomic_load_explicit(&hist->counts[bucket], memory_order_relaxed);
}

int rcp_hist_merge(rcp_hist_t *into, const rcp_hist_t *more)
{
    uint32_t i;
    if (into->bucket_count != more->bucket_count || into->unit_shift != more->unit_shift)
        return RCP_EINVAL;
    if (rcp_hist_count(more) == 0)
        return 0;
    for (i = 0; i < more->bucket_count; i++)
        atomic_fetch_add_explicit(&into->counts[i], count_at(more, i), memory_order_relaxed);
    rcp__hist_widen(into, rcp_hist_min(more));
    rcp__hist_widen(into, rcp_hist_max(more));
    return 0;
}

uint64_t rcp_hist_count(const rcp_hist_t *hist)
{
    uint64_t sum = 0;
    uint32_t i;
    for (i = 0; i < hist->bucket_count; i++)
        sum += count_at(hist, i);
    return sum;
}

uint64_t rcp_hist_min(const rcp_hist_t *hist)
{
    uint64_t min = atomic_load_explicit(&hist->min, memory_order_relaxed);
    return min == UINT64_MAX && rcp_hist_max(hist) != UINT64_MAX ? 0 : min;
}

uint64_t rcp_hist_max(const rcp_hist_t *hist)
{
    return atomic_load_explicit(&hist->max, memory_order_relaxed);
}

/* The middle of a bucket. */
static uint64_t bucket_value(const rcp_hist_t *hist, uint32_t bucket)
{
    uint32_t octave = bucket / RCP_HIST_BUCKETS_PER_OCTAVE;
    uint32_t shift = octave > 0 ? octave - 1 : 0;
    uint64_t units = octave > 0 ? bucket % RCP_HIST_BUCKETS_PER_OCTAVE + RCP_HIST_BUCKETS_PER_OCTAVE : bucket;
    shift += hist->unit_shift;
    return (units << shift) + ((UINT64_C(1) << shift) >> 1);
}

uint64_t rcp_hist_percentile(const rcp_hist_t *hist, double percent)
{
    uint64_t count = rcp_hist_count(hist), min = rcp_hist_min(hist), max = rcp_hist_max(hist);
    uint64_t wanted, seen = 0, value;
    uint32_t i;
    double share;
    if (count == 0)
        return 0;
    if (percent >= 100.0)
        return max;
    share = (percent > 0.0 ? percent : 0.0) / 100.0 * (double)count;
    wanted = (uint64_t)share;
    if ((double)wanted < share || wanted == 0)
        wanted++;
    for (i = 0; i < hist->bucket_count - 1; i++) {
        seen += count_at(hist, i);
        if (seen >= wanted)
            break;
    }
    /* The last bucket also holds what was too great for it. */
    value = i == hist->bucket_count - 1 ? max : bucket_value(hist, i);
    return value < min ? min : value > max ? max : value;
}
