#include "rcp_stack.h"

#include <string.h>

#include "rcp__internal.h"

enum {
    heads_per_chunk = 28,          /* about a page */
    ready_limit = 64,              /* heads with tallies kept for each size */
    largest_class_sites = 4096,    /* beyond it tallies are not kept */
    class_exact = RCP_SIZE_CLASSES,
    first_buckets = 64
};

struct rcp__chunk {
    struct rcp__chunk *next;
    uint32_t used;
    rcp_activation_t heads[heads_per_chunk];
};

/* One row of nested code that is open, or was cut off open. */
typedef struct open_row {
    const void *frame;
    uint64_t opened;
    uint32_t site, inside;
} open_row_t;

typedef struct pair {
    uint32_t site, inside;
    rcp_tally_t tally;
} pair_t;

struct rcp__nested {
    open_row_t *open;
    pair_t *pairs;
    uint32_t open_count, open_capacity;
    uint32_t pair_count, pair_capacity;
    uint32_t cut_count;            /* so many of `open` were cut off; open_count is 0 then */
};

/* -- Pool ------------------------------------------------------------------------------------------------- */

/* Up to 64 sites in steps of 4, then eight sizes for each power of two: at most an eighth is wasted. */
static unsigned class_of(uint32_t sites)
{
    uint32_t last = sites > 0 ? sites - 1 : 0, octave = 0;
    if (last < 64)
        return last / 4;
    if (sites > largest_class_sites)
        return class_exact;
    while (last >> (octave + 7))
        octave++;
    return 16 + octave * 8 + ((last - (64u << octave)) >> (octave + 3));
}

static uint32_t class_sites(unsigned size_class, uint32_t sites)
{
    unsigned octave, step;
    if (size_class == class_exact)
        return sites;
    if (size_class < 16)
        return (size_class + 1) * 4;
    octave = (size_class - 16) / 8;
    step = (size_class - 16) % 8;
    return (64u << octave) + (step + 1) * (8u << octave);
}

static size_t bitmap_words(uint32_t sites)
{
    return ((size_t)sites + 63) / 64;
}

static void pool_init(rcp__pool_t *pool, const rcp_alloc_t *alloc)
{
    memset(pool, 0, sizeof *pool);
    pool->alloc = rcp__alloc_or_libc(alloc);
}

/* Give back all that hangs on a head; the head itself stays. */
static void strip(rcp__pool_t *pool, rcp_activation_t *a)
{
    rcp__give(&pool->alloc, a->tallies);
    a->tallies = NULL;
    if (a->nested != NULL) {
        rcp__give(&pool->alloc, a->nested->open);
        rcp__give(&pool->alloc, a->nested->pairs);
        rcp__give(&pool->alloc, a->nested);
        a->nested = NULL;
    }
}

static void pool_free(rcp__pool_t *pool)
{
    while (pool->chunks != NULL) {
        struct rcp__chunk *chunk = pool->chunks;
        uint32_t i;
        for (i = 0; i < chunk->used; i++)
            strip(pool, &chunk->heads[i]);
        pool->chunks = chunk->next;
        rcp__give(&pool->alloc, chunk);
    }
    pool->bare = NULL;
    memset(pool->ready, 0, sizeof pool->ready);
    memset(pool->ready_count, 0, sizeof pool->ready_count);
}

static rcp_activation_t *take_bare(rcp__pool_t *pool)
{
    rcp_activation_t *a = pool->bare;
    if (a != NULL) {
        pool->bare = a->older;
        return a;
    }
    if (pool->chunks == NULL || pool->chunks->used == heads_per_chunk) {
        struct rcp__chunk *chunk = rcp__take_zeroed(&pool->alloc, 1, sizeof *chunk);
        if (chunk == NULL)
            return NULL;
        chunk->next = pool->chunks;
        pool->chunks = chunk;
    }
    a = &pool->chunks->heads[pool->chunks->used++];
    a->pool = pool;
    return a;
}

/* A head with empty tallies for so many sites; NULL when out of memory. */
static rcp_activation_t *pool_take(rcp__pool_t *pool, uint32_t sites)
{
    unsigned size_class = class_of(sites);
    uint32_t capacity;
    rcp_activation_t *a;
    if (size_class != class_exact && (a = pool->ready[size_class]) != NULL) {
        pool->ready[size_class] = a->older;
        pool->ready_count[size_class]--;
        return a;
    }
    a = take_bare(pool);
    if (a == NULL)
        return NULL;
    capacity = class_sites(size_class, sites);
    /* One block: the tallies and, in the room of a few more of them, the bitmap. */
    a->tallies = rcp__take_zeroed(&pool->alloc, capacity + bitmap_words(capacity) / 6 + 1, sizeof(rcp_tally_t));
    if (a->tallies == NULL) {
        a->older = pool->bare;
        pool->bare = a;
        return NULL;
    }
    a->touched = (uint64_t *)(a->tallies + capacity);
    a->size_class = (uint8_t)size_class;
    return a;
}

static uint32_t lowest_bit(uint64_t bits)
{
#if defined(__GNUC__)
    return (uint32_t)__builtin_ctzll(bits);
#else
    uint32_t i = 0;
    while (!(bits >> i & 1))
        i++;
    return i;
#endif
}

static void clear_touched(rcp_activation_t *a)
{
    size_t word, words = bitmap_words(a->site_count);
    for (word = 0; word < words; word++) {
        uint64_t bits = a->touched[word];
        a->touched[word] = 0;
        for (; bits != 0; bits &= bits - 1)
            memset(&a->tallies[word * 64 + lowest_bit(bits)], 0, sizeof(rcp_tally_t));
    }
}

static void pool_give(rcp__pool_t *pool, rcp_activation_t *a)
{
    atomic_store_explicit(&a->frame, NULL, memory_order_relaxed);
    if (rcp_likely(a->size_class != class_exact && pool->ready_count[a->size_class] < ready_limit)) {
        clear_touched(a);
        if (a->nested != NULL)
            a->nested->open_count = a->nested->pair_count = a->nested->cut_count = 0;
        a->older = pool->ready[a->size_class];
        pool->ready[a->size_class] = a;
        pool->ready_count[a->size_class]++;
    } else {
        strip(pool, a);
        a->older = pool->bare;
        pool->bare = a;
    }
}

static void begin(rcp_activation_t *a, rcp_thread_t *thread, const void *frame, const void *owner, uint32_t sites,
                  uint64_t now)
{
    atomic_store_explicit(&a->thread, thread, memory_order_relaxed);
    a->open_site = a->failed_site = a->cut_site = RCP_SITE_NONE;
    a->site_count = sites;
    a->started = now;
    a->suspended = 0;
    a->suspended_at = RCP_NEVER;
    atomic_store_explicit(&a->owner, owner, memory_order_relaxed);
    a->clamped = a->lost = 0;
    atomic_store_explicit(&a->frame, frame, memory_order_relaxed);
}

static const void *frame_of(const rcp_activation_t *a)
{
    return atomic_load_explicit(&a->frame, memory_order_relaxed);
}

static const void *owner_of(const rcp_activation_t *a)
{
    return atomic_load_explicit(&a->owner, memory_order_relaxed);
}

/* -- Threads ---------------------------------------------------------------------------------------------- */

int rcp_thread_init(rcp_thread_t *thread, const rcp_alloc_t *alloc)
{
    thread->current = thread->newest = NULL;
    pool_init(&thread->pool, alloc);
    return 0;
}

void rcp_thread_free(rcp_thread_t *thread)
{
    thread->current = thread->newest = NULL;
    pool_free(&thread->pool);
}

static void unlink_plain(rcp_thread_t *thread, rcp_activation_t *a)
{
    if (a->newer != NULL)
        a->newer->older = a->older;
    else
        thread->newest = a->older;
    if (a->older != NULL)
        a->older->newer = a->newer;
}

rcp_activation_t *rcp_enter(rcp_thread_t *thread, const void *frame, const void *owner, uint32_t sites, uint64_t now)
{
    rcp_activation_t *a = thread->newest;
    if (rcp_unlikely(a != NULL && frame_of(a) == frame))
        rcp_leave(thread, NULL, a);
    a = pool_take(&thread->pool, sites);
    if (a == NULL)
        return NULL;
    begin(a, thread, frame, owner, sites, now);
    a->suspendable = false;
    a->previous = thread->current;
    a->newer = NULL;
    a->older = thread->newest;
    if (a->older != NULL)
        a->older->newer = a;
    thread->newest = thread->current = a;
    return a;
}

/* -- Table ------------------------------------------------------------------------------------------------ */

/* Frames are aligned and lie close together: mix well before taking the low bits. */
static size_t bucket_of(const rcp_table_t *table, const void *frame)
{
    uint64_t x = (uint64_t)(uintptr_t)frame * UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(x >> 32) & (table->bucket_count - 1);
}

int rcp_table_init(rcp_table_t *table, const rcp_alloc_t *alloc)
{
    pool_init(&table->pool, alloc);
    table->count = 0;
    table->bucket_count = first_buckets;
    table->buckets = rcp__take_zeroed(&table->pool.alloc, first_buckets, sizeof(rcp_activation_t *));
    atomic_flag_clear(&table->lock);
    return table->buckets != NULL ? 0 : RCP_ENOMEM;
}

void rcp_table_free(rcp_table_t *table)
{
    rcp__give(&table->pool.alloc, table->buckets);
    table->buckets = NULL;
    table->count = table->bucket_count = 0;
    pool_free(&table->pool);
}

size_t rcp_table_count(rcp_table_t *table)
{
    size_t count;
    rcp__lock(&table->lock);
    count = table->count;
    rcp__unlock(&table->lock);
    return count;
}

void rcp_table_fork_begin(rcp_table_t *table)
{
    rcp__lock(&table->lock);
}

void rcp_table_fork_end(rcp_table_t *table)
{
    rcp__unlock(&table->lock);
}

/* Where the chain of a frame points at its activation, or its end. */
static rcp_activation_t **slot_of(rcp_table_t *table, const void *frame)
{
    rcp_activation_t **slot = &table->buckets[bucket_of(table, frame)];
    while (*slot != NULL && frame_of(*slot) != frame)
        slot = &(*slot)->older;
    return slot;
}

/* Without memory for more buckets the chains grow longer; nothing else changes. */
static void grow_buckets(rcp_table_t *table)
{
    rcp_activation_t **old = table->buckets;
    size_t i, old_count = table->bucket_count;
    rcp_activation_t **buckets = rcp__take_zeroed(&table->pool.alloc, old_count * 2, sizeof *buckets);
    if (buckets == NULL)
        return;
    table->buckets = buckets;
    table->bucket_count = old_count * 2;
    for (i = 0; i < old_count; i++) {
        while (old[i] != NULL) {
            rcp_activation_t *a = old[i], **slot = &buckets[bucket_of(table, frame_of(a))];
            old[i] = a->older;
            a->older = *slot;
            *slot = a;
        }
    }
    rcp__give(&table->pool.alloc, old);
}

/* Take an activation out of its chain and recycle it. The lock is held. */
static void drop(rcp_table_t *table, rcp_activation_t **slot)
{
    rcp_activation_t *a = *slot;
    *slot = a->older;
    table->count--;
    pool_give(&table->pool, a);
}

rcp_activation_t *rcp_enter_suspendable(rcp_thread_t *thread, rcp_table_t *table, const void *frame,
                                        const void *owner, uint32_t sites, uint64_t now)
{
    rcp_activation_t *a, **slot;
    rcp__lock(&table->lock);
    slot = slot_of(table, frame);
    if (rcp_unlikely(*slot != NULL))
        drop(table, slot);
    a = pool_take(&table->pool, sites);
    if (a != NULL) {
        begin(a, thread, frame, owner, sites, now);
        a->suspendable = true;
        if (table->count >= table->bucket_count)
            grow_buckets(table);
        slot = &table->buckets[bucket_of(table, frame)];
        a->older = *slot;
        *slot = a;
        table->count++;
        thread->current = a;
    }
    rcp__unlock(&table->lock);
    return a;
}

void rcp_leave(rcp_thread_t *thread, rcp_table_t *table, rcp_activation_t *a)
{
    rcp_activation_t **slot;
    if (rcp_likely(!a->suspendable)) {
        RCP_ASSERT(frame_of(a) != NULL && a->pool == &thread->pool);
        unlink_plain(thread, a);
        if (thread->current == a)
            thread->current = a->previous;
        pool_give(&thread->pool, a);
        return;
    }
    if (thread->current == a)
        thread->current = thread->newest;
    rcp__lock(&table->lock);
    slot = slot_of(table, frame_of(a));
    if (rcp_likely(*slot == a))
        drop(table, slot);
    rcp__unlock(&table->lock);
}

/* The newest plain activation is the likeliest, then the table; only where greenlets take turns does the
 * running frame lie deeper in the thread's list. */
rcp_activation_t *rcp__current_slow(rcp_thread_t *thread, rcp_table_t *table, const void *frame)
{
    rcp_activation_t *a = thread->newest;
    if (a == NULL || frame_of(a) != frame) {
        rcp__lock(&table->lock);
        a = table->count != 0 ? *slot_of(table, frame) : NULL;
        rcp__unlock(&table->lock);
        if (a == NULL && thread->newest != NULL)
            for (a = thread->newest->older; a != NULL && frame_of(a) != frame; a = a->older) {}
        if (a == NULL)
            return NULL;
        atomic_store_explicit(&a->thread, thread, memory_order_relaxed);
    }
    thread->current = a;
    return a;
}

rcp_activation_t *rcp_current_of(rcp_thread_t *thread, const void *owner)
{
    rcp_activation_t *a = thread->current;
    if (a == NULL)
        return NULL;
    /* Another thread may have taken the run over, and ended it; its fields are then not ours to read. */
    if (atomic_load_explicit(&a->thread, memory_order_relaxed) == thread && frame_of(a) != NULL && owner_of(a) == owner)
        return a;
    for (a = thread->newest; a != NULL && owner_of(a) != owner; a = a->older) {}
    return a;
}

void rcp_suspend(rcp_activation_t *a, uint64_t now)
{
    if (a->suspended_at == RCP_NEVER)
        a->suspended_at = now;
}

void rcp_resume(rcp_activation_t *a, uint64_t now)
{
    uint64_t pause;
    uint32_t i;
    if (a->suspended_at == RCP_NEVER)
        return;
    if (rcp_unlikely(now < a->suspended_at))
        a->clamped++;
    pause = now > a->suspended_at ? now - a->suspended_at : 0;
    a->suspended_at = RCP_NEVER;
    a->suspended += pause;
    a->open_at += pause;
    if (a->nested != NULL)
        for (i = 0; i < a->nested->open_count; i++)
            a->nested->open[i].opened += pause;
}

/* -- Rows ------------------------------------------------------------------------------------------------- */

static void add_to(rcp_activation_t *a, rcp_tally_t *tally, uint64_t opened, uint64_t now)
{
    uint64_t run = a->started + a->suspended;
    if (rcp_unlikely(now < opened))
        a->clamped++;
    rcp_tally_add(tally, now > opened ? now - opened : 0, opened > run ? opened - run : 0);
}

static rcp_tally_t *touch(rcp_activation_t *a, uint32_t site)
{
    a->touched[site >> 6] |= UINT64_C(1) << (site & 63);
    return &a->tallies[site];
}

void rcp__row_close(rcp_activation_t *a, uint64_t now)
{
    add_to(a, touch(a, a->open_site), a->open_at, now);
    a->open_site = RCP_SITE_NONE;
}

void rcp__row_abandon(rcp_activation_t *a, uint64_t now)
{
    uint32_t site = a->open_site;
    rcp__row_close(a, now);
    rcp_tally_error(&a->tallies[site], 0);
    a->failed_site = site;
}

/* An array with room for one more than `count` items, moved there if need be; NULL when out of memory. */
static void *reserve(const rcp_alloc_t *alloc, void *items, uint32_t count, uint32_t *capacity, size_t size)
{
    uint32_t wanted = *capacity != 0 ? *capacity * 2 : 4;
    void *grown;
    if (count < *capacity)
        return items;
    if (wanted < *capacity || wanted > SIZE_MAX / size || (grown = rcp__take(alloc, wanted * size)) == NULL)
        return NULL;
    if (count != 0)
        memcpy(grown, items, count * size);
    rcp__give(alloc, items);
    *capacity = wanted;
    return grown;
}

/* The tally of a row of nested code; NULL when out of memory. A function has few such pairs: search them in turn. */
static rcp_tally_t *nested_tally(rcp_activation_t *a, uint32_t site, uint32_t inside)
{
    struct rcp__nested *nested = a->nested;
    pair_t *pair;
    uint32_t i;
    if (inside == RCP_SITE_NONE)
        return touch(a, site);
    for (i = 0; i < nested->pair_count; i++)
        if (nested->pairs[i].site == site && nested->pairs[i].inside == inside)
            return &nested->pairs[i].tally;
    pair = reserve(&a->pool->alloc, nested->pairs, nested->pair_count, &nested->pair_capacity, sizeof *pair);
    if (pair == NULL)
        return NULL;
    nested->pairs = pair;
    pair = &nested->pairs[nested->pair_count++];
    memset(pair, 0, sizeof *pair);
    pair->site = site;
    pair->inside = inside;
    return &pair->tally;
}

static void close_nested(rcp_activation_t *a, uint32_t index, uint64_t now, bool failed, uint32_t error)
{
    struct rcp__nested *nested = a->nested;
    open_row_t row = nested->open[index];
    rcp_tally_t *tally = nested_tally(a, row.site, row.inside);
    nested->open_count--;
    memmove(&nested->open[index], &nested->open[index + 1], (nested->open_count - index) * sizeof row);
    if (tally == NULL) {
        a->lost++;
        return;
    }
    add_to(a, tally, row.opened, now);
    if (failed) {
        rcp_tally_error(tally, error);
        a->failed_site = row.site;
    }
}

uint32_t rcp_row_fail(rcp_activation_t *a, uint64_t now, uint32_t error)
{
    uint32_t site = a->open_site;
    /* The frame's own row last, so that failed_site names it. */
    while (a->nested != NULL && a->nested->open_count != 0)
        close_nested(a, a->nested->open_count - 1, now, true, error);
    if (site != RCP_SITE_NONE) {
        rcp__row_close(a, now);
        rcp_tally_error(&a->tallies[site], error);
        a->failed_site = site;
    }
    return site;
}

/* The row open in a frame, as index; open_count if there is none. Newest first: it is nearly always the last. */
static uint32_t find_open(const struct rcp__nested *nested, const void *frame)
{
    uint32_t i;
    for (i = nested->open_count; i-- > 0;)
        if (nested->open[i].frame == frame)
            return i;
    return nested->open_count;
}

/* Of all open rows of the activation the one that was opened last. */
static uint32_t innermost(const rcp_activation_t *a)
{
    const struct rcp__nested *nested = a->nested;
    const open_row_t *last;
    if (nested->open_count == 0)
        return a->open_site;
    last = &nested->open[nested->open_count - 1];
    return a->open_site != RCP_SITE_NONE && a->open_at > last->opened ? a->open_site : last->site;
}

void rcp_nested_start(rcp_activation_t *a, const void *frame, uint32_t site, uint64_t now)
{
    struct rcp__nested *nested = a->nested;
    open_row_t *row;
    uint32_t index, inside;
    RCP_ASSERT(site < a->site_count);
    if (rcp_unlikely(nested == NULL)) {
        nested = a->nested = rcp__take_zeroed(&a->pool->alloc, 1, sizeof *nested);
        if (nested == NULL) {
            a->lost++;
            return;
        }
    }
    index = find_open(nested, frame);
    if (rcp_unlikely(index != nested->open_count))
        close_nested(a, index, now, true, 0);
    row = reserve(&a->pool->alloc, nested->open, nested->open_count, &nested->open_capacity, sizeof *row);
    if (row == NULL) {
        a->lost++;
        return;
    }
    nested->open = row;
    inside = innermost(a);
    row = &nested->open[nested->open_count++];
    row->frame = frame;
    row->opened = now;
    row->site = site;
    row->inside = inside;
}

void rcp_nested_end(rcp_activation_t *a, const void *frame, uint32_t site, uint64_t now)
{
    uint32_t index;
    if (a->nested == NULL)
        return;
    index = find_open(a->nested, frame);
    if (index != a->nested->open_count && a->nested->open[index].site == site)
        close_nested(a, index, now, false, 0);
}

uint32_t rcp_nested_fail(rcp_activation_t *a, const void *frame, uint64_t now, uint32_t error)
{
    uint32_t index, site;
    if (a->nested == NULL)
        return RCP_SITE_NONE;
    index = find_open(a->nested, frame);
    if (index == a->nested->open_count)
        return RCP_SITE_NONE;
    site = a->nested->open[index].site;
    close_nested(a, index, now, true, error);
    return site;
}

/* -- The result ------------------------------------------------------------------------------------------- */

void rcp_cut(rcp_activation_t *a, uint64_t now)
{
    struct rcp__nested *nested = a->nested;
    if (nested != NULL && nested->open_count != 0) {
        uint32_t i;
        for (i = 0; i < nested->open_count; i++) {
            open_row_t *row = &nested->open[i];
            rcp_tally_t *tally = nested_tally(a, row->site, row->inside);
            if (tally != NULL)
                add_to(a, tally, row->opened, now);
            else
                a->lost++;
        }
        nested->cut_count = nested->open_count;
        nested->open_count = 0;
    }
    if (a->open_site != RCP_SITE_NONE) {
        a->cut_site = a->open_site;
        rcp__row_close(a, now);
    }
}

static bool was_cut(const rcp_activation_t *a, uint32_t site, uint32_t inside)
{
    uint32_t i;
    if (inside == RCP_SITE_NONE && a->cut_site == site)
        return true;
    for (i = 0; a->nested != NULL && i < a->nested->cut_count; i++)
        if (a->nested->open[i].site == site && a->nested->open[i].inside == inside)
            return true;
    return false;
}

bool rcp_rows(const rcp_activation_t *a, uint32_t *cursor, rcp_row_t *row)
{
    uint32_t site = *cursor, index;
    while (site < a->site_count) {
        uint64_t bits = a->touched[site >> 6] >> (site & 63);
        if (bits == 0) {
            site = (site | 63) + 1;
            continue;
        }
        site += lowest_bit(bits);
        *cursor = site + 1;
        row->site = site;
        row->inside = RCP_SITE_NONE;
        row->unfinished = was_cut(a, site, RCP_SITE_NONE);
        row->tally = &a->tallies[site];
        return true;
    }
    /* Past the sites the cursor counts pairs. */
    index = *cursor > a->site_count ? *cursor - a->site_count : 0;
    if (a->nested == NULL || index >= a->nested->pair_count)
        return false;
    *cursor = a->site_count + index + 1;
    row->site = a->nested->pairs[index].site;
    row->inside = a->nested->pairs[index].inside;
    row->unfinished = was_cut(a, row->site, row->inside);
    row->tally = &a->nested->pairs[index].tally;
    return true;
}
