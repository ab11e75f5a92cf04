/* Runs in progress: who runs, which row is open, and what each site has cost so far.
 *
 * An activation is one run of one function, known by the address of its frame. Its rows are the timed sites:
 * a frame has at most one row open at a time, so a row costs two stores at its start and a tally at its end.
 * Plain functions live in a list of their thread, newest first, without any lock. Functions that can be
 * suspended (generators, coroutines) may go on in another thread and live in a table of the whole process.
 *
 * Frame addresses are only compared, never followed. All times are ticks of one clock.
 *
 * Heads of activations are not returned to the allocator before their thread or table is freed. A thread may
 * therefore keep a pointer to the activation it met last without owning it: if the head has meanwhile been given
 * to another run, its frame differs.
 */
#ifndef RCP_STACK_H
#define RCP_STACK_H

#include <stdatomic.h>

#include "rcp_base.h"
#include "rcp_tally.h"

#define RCP_SITE_NONE UINT32_MAX
#define RCP_NEVER UINT64_MAX
#define RCP_SIZE_CLASSES 64

typedef struct rcp_thread rcp_thread_t;
typedef struct rcp_table rcp_table_t;
typedef struct rcp_activation rcp_activation_t;
struct rcp__nested;
struct rcp__chunk;
struct rcp__pool;

/* One run of one function. All fields are read-only for the caller. */
struct rcp_activation {
    _Atomic(const void *) frame;    /* NULL while recycled */
    uint64_t open_at;               /* start of the open row */
    uint32_t open_site;             /* RCP_SITE_NONE: no row is open */
    uint32_t site_count;
    rcp_tally_t *tallies;           /* one for each site; all zero but for the touched ones */
    uint64_t *touched;              /* one bit for each site: its tally is not empty */
    uint64_t started;
    uint64_t suspended;             /* sum of the pauses that have ended */
    uint64_t suspended_at;          /* RCP_NEVER: not suspended */
    _Atomic(const void *) owner;    /* the caller's mark for the function */
    _Atomic(rcp_thread_t *) thread; /* the thread that ran it last; compared, never followed */
    rcp_activation_t *older, *newer;  /* a plain run's neighbours in the thread; `older` chains in the table */
    rcp_activation_t *previous;     /* what the thread had at hand when a plain run began */
    struct rcp__pool *pool;         /* where its memory comes from */
    struct rcp__nested *nested;     /* rows of nested code, NULL until there is one */
    uint32_t failed_site;           /* the row that was closed by an error last, or RCP_SITE_NONE */
    uint32_t cut_site;              /* the row that rcp_cut closed, or RCP_SITE_NONE */
    uint32_t clamped;               /* negative durations that were made 0 */
    uint32_t lost;                  /* nested rows not recorded, for want of memory */
    uint8_t size_class;
    bool suspendable;
};

/* Heads and tallies, in use and kept for reuse. Private. */
typedef struct rcp__pool {
    rcp_alloc_t alloc;
    struct rcp__chunk *chunks;
    rcp_activation_t *bare;                     /* heads without tallies */
    rcp_activation_t *ready[RCP_SIZE_CLASSES];  /* heads with tallies, all zero */
    uint16_t ready_count[RCP_SIZE_CLASSES];
} rcp__pool_t;

/* What one operating-system thread has open. To be used by that thread alone. */
struct rcp_thread {
    rcp_activation_t *current;  /* read-only: the activation met last; it may belong to another run by now */
    rcp_activation_t *newest;   /* read-only: the newest plain activation */
    rcp__pool_t pool;
};

/* Activations that can be suspended, of all threads. */
struct rcp_table {
    atomic_flag lock;
    rcp_activation_t **buckets;
    size_t bucket_count;        /* a power of two */
    size_t count;
    rcp__pool_t pool;
};

/* One line of a run's result. */
typedef struct rcp_row {
    uint32_t site;
    uint32_t inside;            /* the site of the row that was open round it, or RCP_SITE_NONE */
    bool unfinished;            /* its last duration was cut off by rcp_cut */
    const rcp_tally_t *tally;   /* valid until the activation is left or changed */
} rcp_row_t;

/* -- Threads and the table ------------------------------------------------------------------------------- */

/* alloc NULL: libc. Takes no memory. Returns 0. */
RCP_API int rcp_thread_init(rcp_thread_t *thread, const rcp_alloc_t *alloc);

/* Frees all plain activations, open ones too. Safe twice. Only after the thread's last probe. */
RCP_API void rcp_thread_free(rcp_thread_t *thread);

/* alloc NULL: libc. Returns 0 or RCP_ENOMEM. */
RCP_API int rcp_table_init(rcp_table_t *table, const rcp_alloc_t *alloc);

/* Frees all suspendable activations. Safe twice. Only when no thread uses the table or an activation of it. */
RCP_API void rcp_table_free(rcp_table_t *table);

/* How many suspendable activations are open. */
RCP_API size_t rcp_table_count(rcp_table_t *table);

/* Hold the table before fork() and let it go after it, in parent and child: the child's copy is then whole. */
RCP_API void rcp_table_fork_begin(rcp_table_t *table);
RCP_API void rcp_table_fork_end(rcp_table_t *table);

/* -- Runs ------------------------------------------------------------------------------------------------- */

/* Begin a run of a plain function with `sites` sites. A newest activation with the same frame is stale (its end
 * was never seen) and is dropped. Returns NULL when out of memory: the run is then not recorded. */
RCP_API rcp_activation_t *rcp_enter(rcp_thread_t *thread, const void *frame, const void *owner, uint32_t sites,
                                    uint64_t now);

/* The same for a function that can be suspended. An entry of the table with the same frame is stale. */
RCP_API rcp_activation_t *rcp_enter_suspendable(rcp_thread_t *thread, rcp_table_t *table, const void *frame,
                                                const void *owner, uint32_t sites, uint64_t now);

/* End a run: the activation is emptied and kept for another one. Whatever was open is forgotten. A plain run must
 * be left by its own thread; one that can be suspended by any. */
RCP_API void rcp_leave(rcp_thread_t *thread, rcp_table_t *table, rcp_activation_t *activation);

RCP_API rcp_activation_t *rcp__current_slow(rcp_thread_t *thread, rcp_table_t *table, const void *frame);

/* The activation of the running frame, NULL if it has none. */
static inline rcp_activation_t *rcp_current(rcp_thread_t *thread, rcp_table_t *table, const void *frame)
{
    rcp_activation_t *a = thread->current;
    if (rcp_likely(a != NULL && atomic_load_explicit(&a->frame, memory_order_relaxed) == frame))
        return a;
    return rcp__current_slow(thread, table, frame);
}

/* The activation nested code belongs to: of those this thread runs, the one met last if it is `owner`'s, else the
 * newest plain one of `owner`, else NULL. */
RCP_API rcp_activation_t *rcp_current_of(rcp_thread_t *thread, const void *owner);

/* The consumer has the word: between suspend and resume time belongs neither to the run nor to an open row.
 * Both do nothing if the run is in that state already. */
RCP_API void rcp_suspend(rcp_activation_t *activation, uint64_t now);
RCP_API void rcp_resume(rcp_activation_t *activation, uint64_t now);

/* Duration of the run up to now without its pauses, one that still lasts included. */
static inline uint64_t rcp_run_ticks(const rcp_activation_t *a, uint64_t now)
{
    uint64_t end = a->suspended_at == RCP_NEVER || a->suspended_at > now ? now : a->suspended_at;
    uint64_t begin = a->started + a->suspended;
    return end > begin ? end - begin : 0;
}

/* -- Rows of the function's own frame --------------------------------------------------------------------- */

/* `site` must be less than the activation's site_count in all of these; only RCP_DEBUG checks it. */

RCP_API void rcp__row_close(rcp_activation_t *activation, uint64_t now);

/* Close the frame's open row, and rows of nested code still open, as ended by an error of the caller's type
 * number `error` (0: unknown). Returns the site of the frame's row, RCP_SITE_NONE if none was open. */
RCP_API uint32_t rcp_row_fail(rcp_activation_t *activation, uint64_t now, uint32_t error);

RCP_API void rcp__row_abandon(rcp_activation_t *activation, uint64_t now);

/* Open a row. One that is still open ended by an error nobody saw. */
static inline void rcp_row_start(rcp_activation_t *a, uint32_t site, uint64_t now)
{
    RCP_ASSERT(site < a->site_count);
    if (rcp_unlikely(a->open_site != RCP_SITE_NONE))
        rcp__row_abandon(a, now);
    a->open_site = site;
    a->open_at = now;
}

/* Close the row if it is the open one, else do nothing. */
static inline void rcp_row_end(rcp_activation_t *a, uint32_t site, uint64_t now)
{
    rcp_tally_t *tally = &a->tallies[site];
    uint64_t ticks = now - a->open_at; /* huge if the clock went back: then it is greater than the maximum */
    if (rcp_unlikely(a->open_site != site))
        return;
    if (rcp_unlikely(ticks > tally->max || tally->count == 0)) {
        rcp__row_close(a, now);
        return;
    }
    tally->total += ticks;
    tally->count++;
    a->open_site = RCP_SITE_NONE;
}

/* -- Rows of nested code ---------------------------------------------------------------------------------- */

/* Lambdas and generator expressions run in frames of their own. A row of theirs that starts while a row of the
 * same activation is open is `inside` the one opened last and tallied under that pair; otherwise it counts
 * as a row of the function itself. `frame` is the nested code's frame. Growing may need memory: what cannot be
 * recorded for want of it is counted in `lost`. */

/* Open a row of nested code. One that is still open in the same frame ended by an error nobody saw. */
RCP_API void rcp_nested_start(rcp_activation_t *activation, const void *frame, uint32_t site, uint64_t now);

/* Close it, if it is the one open in that frame. Rows may end in any order. */
RCP_API void rcp_nested_end(rcp_activation_t *activation, const void *frame, uint32_t site, uint64_t now);

/* Close the row open in that frame as ended by an error. Returns its site or RCP_SITE_NONE. */
RCP_API uint32_t rcp_nested_fail(rcp_activation_t *activation, const void *frame, uint64_t now, uint32_t error);

/* -- The result ------------------------------------------------------------------------------------------- */

/* Close all open rows at the run's end, not as errors: they count up to now and are reported as unfinished. */
RCP_API void rcp_cut(rcp_activation_t *activation, uint64_t now);

/* Step through the rows that have a duration: start with *cursor = 0 and call until it returns false. The
 * function's own sites come in order, then the pairs in order of their first end. */
RCP_API bool rcp_rows(const rcp_activation_t *activation, uint32_t *cursor, rcp_row_t *row);

#endif
