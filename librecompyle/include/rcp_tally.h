/* Totals of one site in one run: 48 bytes, however often the site is passed. */
#ifndef RCP_TALLY_H
#define RCP_TALLY_H

#include "rcp_base.h"

/* All zero is an empty tally. Read-only for users of the library. Times are clock ticks. */
typedef struct rcp_tally {
    uint64_t total;      /* sum of the durations */
    uint64_t count;      /* how many there were, failed ones included */
    uint64_t max;        /* the longest one */
    uint64_t max_index;  /* its number, from 0 */
    uint64_t max_start;  /* when it began, counted from the run's start */
    uint32_t errors;     /* how many ended by an exception */
    uint32_t last_error; /* the caller's number for the newest error's type, 0: unknown or none */
} rcp_tally_t;

/* Add one duration of `ticks` that began `start` ticks into the run. Not thread-safe. */
static inline void rcp_tally_add(rcp_tally_t *tally, uint64_t ticks, uint64_t start)
{
    uint64_t index = tally->count++;
    tally->total += ticks;
    /* The second half lets a first duration of 0 ticks leave its start. */
    if (ticks >= tally->max && (ticks > tally->max || index == 0)) {
        tally->max = ticks;
        tally->max_index = index;
        tally->max_start = start;
    }
}

/* Note that the duration added last ended by an error of type `error`. The count stops at its limit. */
static inline void rcp_tally_error(rcp_tally_t *tally, uint32_t error)
{
    if (tally->errors != UINT32_MAX)
        tally->errors++;
    tally->last_error = error;
}

/* Add `more` to `into`, as if its durations had come after those already there. */
RCP_API void rcp_tally_merge(rcp_tally_t *into, const rcp_tally_t *more);

#endif
