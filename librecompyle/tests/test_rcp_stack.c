#include <pthread.h>

#include "check.h"
#include "rcp_errno.h"
#include "rcp_stack.h"

/* Frames and owners are only addresses. */
static const char frames[64];
static const char owners[4];

typedef struct fixture {
    counting_t counting;
    rcp_thread_t thread;
    rcp_table_t table;
} fixture_t;

static void set_up(fixture_t *f)
{
    rcp_alloc_t alloc;
    f->counting.left = -1;
    f->counting.out = 0;
    alloc = counting_alloc(&f->counting);
    CHECK_EQ(rcp_thread_init(&f->thread, &alloc), 0);
    CHECK_EQ(rcp_table_init(&f->table, &alloc), 0);
}

static void tear_down(fixture_t *f)
{
    rcp_thread_free(&f->thread);
    rcp_thread_free(&f->thread);
    rcp_table_free(&f->table);
    rcp_table_free(&f->table);
    CHECK_EQ(f->counting.out, 0);
}

static rcp_activation_t *enter(fixture_t *f, int frame, uint32_t sites, uint64_t now)
{
    return rcp_enter(&f->thread, &frames[frame], &owners[0], sites, now);
}

static rcp_activation_t *enter_suspendable(fixture_t *f, int frame, uint32_t sites, uint64_t now)
{
    return rcp_enter_suspendable(&f->thread, &f->table, &frames[frame], &owners[1], sites, now);
}

static rcp_activation_t *current(fixture_t *f, int frame)
{
    return rcp_current(&f->thread, &f->table, &frames[frame]);
}

static void leave(fixture_t *f, rcp_activation_t *a)
{
    rcp_leave(&f->thread, &f->table, a);
}

/* The tally of a row, NULL if the run has no such row. */
static const rcp_tally_t *row_of(const rcp_activation_t *a, uint32_t site, uint32_t inside, bool *unfinished)
{
    const rcp_tally_t *found = NULL;
    uint32_t cursor = 0;
    rcp_row_t row;
    while (rcp_rows(a, &cursor, &row)) {
        if (row.site != site || row.inside != inside)
            continue;
        CHECK(found == NULL);   /* no row comes twice */
        found = row.tally;
        if (unfinished != NULL)
            *unfinished = row.unfinished;
    }
    return found;
}

static uint32_t row_count(const rcp_activation_t *a)
{
    uint32_t cursor = 0, count = 0;
    rcp_row_t row;
    while (rcp_rows(a, &cursor, &row))
        count++;
    return count;
}

static void check_row(const rcp_activation_t *a, uint32_t site, uint32_t inside, uint64_t count, uint64_t total,
                      uint32_t errors)
{
    const rcp_tally_t *tally = row_of(a, site, inside, NULL);
    CHECK(tally != NULL);
    CHECK_EQ(tally->count, count);
    CHECK_EQ(tally->total, total);
    CHECK_EQ(tally->errors, errors);
}

void test_stack_rows(void)
{
    fixture_t f;
    rcp_activation_t *a;
    set_up(&f);
    a = enter(&f, 1, 3, 100);
    rcp_row_start(a, 2, 110);
    rcp_row_end(a, 2, 115);
    rcp_row_start(a, 0, 120);
    rcp_row_end(a, 0, 130);
    rcp_row_start(a, 2, 140);
    rcp_row_end(a, 2, 160);
    CHECK_EQ(rcp_run_ticks(a, 200), 100);
    CHECK_EQ(row_count(a), 2);
    check_row(a, 0, RCP_SITE_NONE, 1, 10, 0);
    check_row(a, 2, RCP_SITE_NONE, 2, 25, 0);
    CHECK_EQ(row_of(a, 2, RCP_SITE_NONE, NULL)->max_start, 40);
    CHECK_EQ(row_of(a, 2, RCP_SITE_NONE, NULL)->max_index, 1);
    leave(&f, a);
    /* The next run gets the same memory, empty. */
    CHECK(enter(&f, 2, 3, 300) == a);
    CHECK_EQ(row_count(a), 0);
    tear_down(&f);
}

void test_stack_row_mismatch(void)
{
    fixture_t f;
    rcp_activation_t *a;
    set_up(&f);
    a = enter(&f, 1, 3, 0);
    rcp_row_end(a, 1, 5);       /* nothing is open */
    rcp_row_start(a, 0, 10);
    rcp_row_end(a, 1, 15);      /* another one is open */
    CHECK_EQ(a->open_site, 0);
    rcp_row_start(a, 2, 20);    /* 0 must have ended by an exception */
    rcp_row_end(a, 2, 30);
    CHECK_EQ(row_count(a), 2);
    check_row(a, 0, RCP_SITE_NONE, 1, 10, 1);
    check_row(a, 2, RCP_SITE_NONE, 1, 10, 0);
    CHECK_EQ(a->failed_site, 0);
    tear_down(&f);
}

void test_stack_row_fail(void)
{
    fixture_t f;
    rcp_activation_t *a;
    set_up(&f);
    a = enter(&f, 1, 3, 0);
    CHECK_EQ(a->failed_site, RCP_SITE_NONE);
    CHECK_EQ(rcp_row_fail(a, 1, 9), RCP_SITE_NONE);
    rcp_row_start(a, 1, 10);
    CHECK_EQ(rcp_row_fail(a, 14, 9), 1);
    rcp_row_end(a, 1, 50);      /* too late */
    check_row(a, 1, RCP_SITE_NONE, 1, 4, 1);
    CHECK_EQ(row_of(a, 1, RCP_SITE_NONE, NULL)->last_error, 9);
    CHECK_EQ(a->failed_site, 1);
    tear_down(&f);
}

void test_stack_clamped(void)
{
    fixture_t f;
    rcp_activation_t *a;
    set_up(&f);
    a = enter(&f, 1, 1, 100);
    rcp_row_start(a, 0, 120);
    rcp_row_end(a, 0, 110);
    CHECK_EQ(a->clamped, 1);
    check_row(a, 0, RCP_SITE_NONE, 1, 0, 0);
    rcp_row_start(a, 0, 50);    /* before the run itself */
    rcp_row_end(a, 0, 60);
    check_row(a, 0, RCP_SITE_NONE, 2, 10, 0);
    CHECK_EQ(row_of(a, 0, RCP_SITE_NONE, NULL)->max_start, 0);
    CHECK_EQ(rcp_run_ticks(a, 90), 0);
    tear_down(&f);
}

void test_stack_recursion(void)
{
    fixture_t f;
    rcp_activation_t *a, *b;
    set_up(&f);
    a = enter(&f, 1, 2, 0);
    rcp_row_start(a, 0, 10);
    b = enter(&f, 2, 2, 20);
    CHECK(current(&f, 2) == b);
    rcp_row_start(b, 0, 21);
    rcp_row_end(b, 0, 22);
    leave(&f, b);
    CHECK(current(&f, 1) == a);
    rcp_row_end(a, 0, 30);
    check_row(a, 0, RCP_SITE_NONE, 1, 20, 0);
    leave(&f, a);
    CHECK(current(&f, 1) == NULL);
    CHECK(f.thread.newest == NULL);
    tear_down(&f);
}

void test_stack_stale(void)
{
    fixture_t f;
    rcp_activation_t *a, *b;
    set_up(&f);
    a = enter(&f, 1, 2, 0);
    rcp_row_start(a, 1, 5);
    b = enter(&f, 1, 2, 10);    /* the first run's end was never seen */
    CHECK(a == b);
    CHECK(b->older == NULL);
    CHECK_EQ(b->open_site, RCP_SITE_NONE);
    CHECK_EQ(row_count(b), 0);
    a = enter_suspendable(&f, 3, 2, 20);
    b = enter_suspendable(&f, 3, 2, 30);
    CHECK_EQ(rcp_table_count(&f.table), 1);
    CHECK(current(&f, 3) == b);
    CHECK_EQ(b->started, 30);
    leave(&f, b);
    leave(&f, b);               /* not in the table any more: nothing happens */
    CHECK_EQ(rcp_table_count(&f.table), 0);
    tear_down(&f);
}

/* Greenlets: plain runs of one thread that take turns and end in any order. */
void test_stack_interleaved(void)
{
    fixture_t f;
    rcp_activation_t *a[8];
    int i;
    set_up(&f);
    for (i = 0; i < 8; i++)
        a[i] = enter(&f, i, 8, 0);
    for (i = 0; i < 8; i++) {
        CHECK(current(&f, i) == a[i]);
        rcp_row_start(current(&f, i), (uint32_t)i, 10);
    }
    for (i = 7; i >= 0; i--) {
        CHECK(current(&f, (i * 3) % 8) == a[(i * 3) % 8]);
        rcp_row_end(current(&f, (i * 3) % 8), (uint32_t)(i * 3) % 8, 15);
    }
    for (i = 0; i < 8; i++)
        check_row(a[i], (uint32_t)i, RCP_SITE_NONE, 1, 5, 0);
    leave(&f, current(&f, 3));
    leave(&f, current(&f, 7));
    leave(&f, current(&f, 0));
    CHECK(current(&f, 3) == NULL);
    CHECK(current(&f, 6) == a[6]);
    CHECK(f.thread.newest == a[6]);
    for (i = 1; i < 7; i++)
        if (i != 3)
            leave(&f, current(&f, i));
    CHECK(f.thread.newest == NULL);
    tear_down(&f);
}

void test_stack_suspend(void)
{
    fixture_t f;
    rcp_activation_t *consumer, *a;
    set_up(&f);
    consumer = enter(&f, 1, 1, 0);
    a = enter_suspendable(&f, 2, 2, 100);
    rcp_row_start(a, 0, 110);
    rcp_row_end(a, 0, 120);
    rcp_suspend(a, 130);
    CHECK_EQ(rcp_run_ticks(a, 999), 30);
    rcp_suspend(a, 140);        /* once is enough */
    CHECK(current(&f, 1) == consumer);
    rcp_resume(current(&f, 2), 1130);
    rcp_resume(a, 1131);
    CHECK_EQ(a->suspended, 1000);
    rcp_row_start(a, 1, 1140);
    rcp_row_end(a, 1, 1150);
    CHECK_EQ(row_of(a, 1, RCP_SITE_NONE, NULL)->max_start, 40);
    CHECK_EQ(rcp_run_ticks(a, 1160), 60);
    leave(&f, a);
    CHECK(current(&f, 1) == consumer);
    CHECK(current(&f, 2) == NULL);
    tear_down(&f);
}

/* A row that is open across a pause, of the function and of nested code, does not contain the pause. */
void test_stack_suspend_open_row(void)
{
    fixture_t f;
    rcp_activation_t *a;
    set_up(&f);
    a = enter_suspendable(&f, 1, 2, 0);
    rcp_row_start(a, 0, 10);
    rcp_nested_start(a, &frames[9], 1, 15);
    rcp_suspend(a, 20);
    rcp_resume(a, 520);
    rcp_nested_end(a, &frames[9], 1, 525);
    rcp_row_end(a, 0, 530);
    check_row(a, 0, RCP_SITE_NONE, 1, 20, 0);
    check_row(a, 1, 0, 1, 10, 0);
    CHECK_EQ(row_of(a, 0, RCP_SITE_NONE, NULL)->max_start, 10);
    CHECK_EQ(row_of(a, 1, 0, NULL)->max_start, 15);
    rcp_suspend(a, 600);
    rcp_resume(a, 550);         /* the clock went back */
    CHECK_EQ(a->clamped, 1);
    CHECK_EQ(a->suspended, 500);
    tear_down(&f);
}

void test_stack_nested(void)
{
    fixture_t f;
    rcp_activation_t *a;
    const void *lambda = &frames[10], *inner = &frames[11];
    int i;
    set_up(&f);
    a = enter(&f, 1, 4, 0);
    /* sorted(items, key=lambda i: rank(i)): rank runs inside sorted. */
    rcp_row_start(a, 0, 10);
    for (i = 0; i < 3; i++) {
        rcp_nested_start(a, lambda, 1, 20);
        rcp_nested_end(a, lambda, 1, 25);
    }
    rcp_row_end(a, 0, 100);
    check_row(a, 0, RCP_SITE_NONE, 1, 90, 0);
    check_row(a, 1, 0, 3, 15, 0);
    /* A comprehension with a frame of its own, run by the function itself: the same site at top level. */
    rcp_nested_start(a, lambda, 1, 200);
    rcp_nested_start(a, inner, 2, 210);      /* and something within it */
    rcp_nested_end(a, inner, 3, 215);        /* not the open one */
    rcp_nested_end(a, inner, 2, 220);
    rcp_nested_end(a, lambda, 1, 230);
    check_row(a, 1, RCP_SITE_NONE, 1, 30, 0);
    check_row(a, 2, 1, 1, 10, 0);
    CHECK_EQ(row_count(a), 4);
    /* Ending what never began does nothing. */
    rcp_nested_end(a, lambda, 1, 240);
    CHECK_EQ(rcp_nested_fail(a, lambda, 240, 1), RCP_SITE_NONE);
    CHECK_EQ(row_count(a), 4);
    leave(&f, a);
    a = enter(&f, 1, 4, 0);
    CHECK_EQ(row_count(a), 0);
    rcp_nested_end(a, lambda, 1, 1);
    tear_down(&f);
}

void test_stack_nested_errors(void)
{
    fixture_t f;
    rcp_activation_t *a;
    set_up(&f);
    a = enter(&f, 1, 4, 0);
    rcp_row_start(a, 0, 10);
    rcp_nested_start(a, &frames[10], 1, 20);
    CHECK_EQ(rcp_nested_fail(a, &frames[10], 25, 4), 1);
    check_row(a, 1, 0, 1, 5, 1);
    CHECK_EQ(row_of(a, 1, 0, NULL)->last_error, 4);
    /* A frame that starts anew left its row by an exception nobody saw. */
    rcp_nested_start(a, &frames[10], 1, 30);
    rcp_nested_start(a, &frames[10], 2, 40);
    check_row(a, 1, 0, 2, 15, 2);
    CHECK_EQ(row_of(a, 1, 0, NULL)->last_error, 0);
    rcp_nested_start(a, &frames[11], 3, 50);
    /* The handler in the function's own frame closes all of them. */
    CHECK_EQ(rcp_row_fail(a, 60, 5), 0);
    CHECK_EQ(a->failed_site, 0);
    check_row(a, 0, RCP_SITE_NONE, 1, 50, 1);
    check_row(a, 2, 0, 1, 20, 1);
    check_row(a, 3, 2, 1, 10, 1);
    CHECK_EQ(rcp_row_fail(a, 70, 5), RCP_SITE_NONE);
    tear_down(&f);
}

/* Nested frames may also take turns; each closes its own row. */
void test_stack_nested_any_order(void)
{
    fixture_t f;
    rcp_activation_t *a;
    set_up(&f);
    a = enter(&f, 1, 4, 0);
    rcp_nested_start(a, &frames[10], 0, 10);
    rcp_nested_start(a, &frames[11], 1, 20);
    rcp_nested_end(a, &frames[10], 0, 30);
    rcp_nested_start(a, &frames[12], 2, 40);
    rcp_nested_end(a, &frames[11], 1, 50);
    rcp_nested_end(a, &frames[12], 2, 60);
    check_row(a, 0, RCP_SITE_NONE, 1, 20, 0);
    check_row(a, 1, 0, 1, 30, 0);
    check_row(a, 2, 1, 1, 20, 0);
    /* The function's row that is opened last is the one a nested row is inside, whatever else is left open. */
    rcp_nested_start(a, &frames[13], 3, 70);
    rcp_row_start(a, 0, 80);
    rcp_nested_start(a, &frames[14], 1, 90);
    rcp_nested_end(a, &frames[14], 1, 95);
    check_row(a, 1, 0, 2, 35, 0);
    tear_down(&f);
}

void test_stack_cut(void)
{
    fixture_t f;
    rcp_activation_t *a;
    bool unfinished = true;
    set_up(&f);
    a = enter_suspendable(&f, 1, 3, 0);
    rcp_cut(a, 5);
    CHECK_EQ(row_count(a), 0);
    rcp_row_start(a, 0, 10);
    rcp_row_end(a, 0, 15);
    rcp_row_start(a, 1, 20);
    rcp_nested_start(a, &frames[10], 2, 25);
    rcp_cut(a, 30);
    CHECK_EQ(row_count(a), 3);
    check_row(a, 1, RCP_SITE_NONE, 1, 10, 0);
    check_row(a, 2, 1, 1, 5, 0);
    row_of(a, 0, RCP_SITE_NONE, &unfinished);
    CHECK(!unfinished);
    row_of(a, 1, RCP_SITE_NONE, &unfinished);
    CHECK(unfinished);
    row_of(a, 2, 1, &unfinished);
    CHECK(unfinished);
    leave(&f, a);
    a = enter_suspendable(&f, 1, 3, 40);
    rcp_row_start(a, 1, 45);
    rcp_row_end(a, 1, 50);
    row_of(a, 1, RCP_SITE_NONE, &unfinished);
    CHECK(!unfinished);
    tear_down(&f);
}

/* Every number of sites gets tallies that are all usable, empty, and emptied again. */
void test_stack_sizes(void)
{
    fixture_t f;
    uint32_t sites, site;
    int round;
    set_up(&f);
    for (sites = 0; sites < 5000; sites = sites < 200 ? sites + 1 : sites + sites / 7) {
        for (round = 0; round < 2; round++) {
            rcp_activation_t *a = enter(&f, 1, sites, 0);
            CHECK(a != NULL);
            CHECK_EQ(row_count(a), 0);
            for (site = 0; site < sites; site++) {
                CHECK_EQ(a->tallies[site].count, 0);
                rcp_row_start(a, site, 1);
                rcp_row_end(a, site, 3);
            }
            CHECK_EQ(row_count(a), sites);
            leave(&f, a);
        }
    }
    tear_down(&f);
}

/* Deep recursion, and many generators at once: more than is kept, then all of it again. */
void test_stack_many(void)
{
    enum { depth = 3000 };
    static const char many[depth];
    static rcp_activation_t *a[depth];
    fixture_t f;
    int round, i;
    set_up(&f);
    for (round = 0; round < 3; round++) {
        for (i = 0; i < depth; i++) {
            rcp_activation_t *plain = rcp_enter(&f.thread, &many[i], &owners[0], 20, 0);
            a[i] = rcp_enter_suspendable(&f.thread, &f.table, &many[i], &owners[1], 20, 0);
            CHECK(plain != NULL && a[i] != NULL);
            rcp_row_start(a[i], (uint32_t)i % 20, 1);
        }
        CHECK_EQ(rcp_table_count(&f.table), depth);
        for (i = 0; i < depth; i++)
            CHECK(a[i] == rcp_current(&f.thread, &f.table, &many[i]) || f.thread.newest->frame == &many[i]);
        for (i = 0; i < depth; i++)
            leave(&f, a[i]);
        while (f.thread.newest != NULL)
            leave(&f, f.thread.newest);
        CHECK_EQ(rcp_table_count(&f.table), 0);
    }
    /* What is kept does not grow with the rounds: 64 sets of tallies in each pool, and the heads. */
    CHECK_LE(f.counting.out, 2 * 64 + 2 * (depth / 28 + 1) + 2);
    tear_down(&f);
}

void test_stack_current_of(void)
{
    fixture_t f;
    rcp_activation_t *a, *b, *c;
    rcp_thread_t other;
    set_up(&f);
    rcp_thread_init(&other, NULL);
    CHECK(rcp_current_of(&f.thread, &owners[0]) == NULL);
    a = rcp_enter(&f.thread, &frames[1], &owners[0], 1, 0);
    b = rcp_enter(&f.thread, &frames[2], &owners[1], 1, 0);
    c = rcp_enter_suspendable(&f.thread, &f.table, &frames[3], &owners[2], 1, 0);
    CHECK(rcp_current_of(&f.thread, &owners[2]) == c);
    CHECK(rcp_current_of(&f.thread, &owners[1]) == b);
    CHECK(rcp_current_of(&f.thread, &owners[0]) == a);
    CHECK(rcp_current_of(&f.thread, &owners[3]) == NULL);
    /* Once another thread has taken the run over it is not this thread's any more. */
    CHECK(rcp_current(&other, &f.table, &frames[3]) == c);
    CHECK(rcp_current_of(&other, &owners[2]) == c);
    CHECK(rcp_current_of(&f.thread, &owners[2]) == NULL);
    rcp_leave(&other, &f.table, c);
    CHECK(rcp_current_of(&other, &owners[2]) == NULL);
    rcp_thread_free(&other);
    tear_down(&f);
}

/* A coroutine that calls plain profiled functions is found again without a search. */
void test_stack_coroutine_calls(void)
{
    fixture_t f;
    rcp_activation_t *coroutine, *plain;
    set_up(&f);
    coroutine = enter_suspendable(&f, 1, 1, 0);
    plain = enter(&f, 2, 1, 0);
    leave(&f, plain);
    CHECK(f.thread.current == coroutine);
    /* The coroutine ended while the plain run was on: its head may serve another frame, and is not mistaken for it. */
    plain = enter(&f, 2, 1, 0);
    leave(&f, coroutine);
    leave(&f, plain);
    CHECK(current(&f, 1) == NULL);
    tear_down(&f);
}

/* Running out of memory at any point: nothing crashes, nothing leaks, what fits is recorded. */
void test_stack_out_of_memory(void)
{
    long left;
    for (left = 0; left < 40; left++) {
        fixture_t f;
        rcp_alloc_t alloc;
        rcp_activation_t *a, *b;
        int i;
        f.counting.left = -1;
        f.counting.out = 0;
        alloc = counting_alloc(&f.counting);
        rcp_thread_init(&f.thread, &alloc);
        f.counting.left = left;
        if (rcp_table_init(&f.table, &alloc) != 0) {
            CHECK_EQ(left, 0);
            rcp_table_free(&f.table);
            rcp_thread_free(&f.thread);
            CHECK_EQ(f.counting.out, 0);
            continue;
        }
        a = enter(&f, 1, 10, 0);
        for (i = 0; i < 6 && a != NULL; i++) {
            rcp_row_start(a, (uint32_t)i, 1);
            rcp_nested_start(a, &frames[10 + i], 6, 2);
            if (i % 2)
                rcp_nested_end(a, &frames[10 + i], 6, 3);
            rcp_row_end(a, (uint32_t)i, 4);
        }
        if (a != NULL) {
            uint64_t recorded = 0;
            rcp_row_t row;
            uint32_t cursor = 0;
            CHECK_EQ(a->tallies[3].count, 1);
            rcp_cut(a, 10);
            while (rcp_rows(a, &cursor, &row))
                if (row.site == 6)
                    recorded += row.tally->count;
            CHECK_EQ(recorded + a->lost, 6);
            leave(&f, a);
        }
        for (i = 0; i < 60; i++) {
            b = rcp_enter_suspendable(&f.thread, &f.table, &frames[i], &owners[1], 70, 0);
            CHECK(b == NULL || current(&f, i) == b);
        }
        tear_down(&f);
    }
}

/* The buckets cannot grow: the chains do. */
void test_stack_table_without_growth(void)
{
    fixture_t f;
    static const char many[1000];
    int i;
    set_up(&f);
    for (i = 0; i < 1000; i++) {
        rcp_activation_t *a = rcp_enter_suspendable(&f.thread, &f.table, &many[i], &owners[1], 4, 0);
        leave(&f, a);
    }
    CHECK_EQ(rcp_table_count(&f.table), 0);
    for (i = 0; i < 64; i++)
        CHECK(rcp_enter_suspendable(&f.thread, &f.table, &many[i], &owners[1], 4, 0) != NULL);
    f.counting.left = 2;   /* a head block and tallies, but no buckets */
    CHECK(rcp_enter_suspendable(&f.thread, &f.table, &many[64], &owners[1], 4, 0) != NULL);
    for (i = 0; i <= 64; i++)
        CHECK(rcp_current(&f.thread, &f.table, &many[i]) != NULL);
    tear_down(&f);
}

/* -- Threads ---------------------------------------------------------------------------------------------- */

enum { workers = 4, hops = 2000 };

typedef struct relay {
    rcp_table_t table;
    pthread_mutex_t mutex;
    pthread_cond_t turned;
    int turn;
} relay_t;

typedef struct runner {
    relay_t *relay;
    int number;
    pthread_t thread;
} runner_t;

/* One generator handed from thread to thread, each of which also runs its own functions. */
static void *run_relay(void *arg)
{
    runner_t *runner = arg;
    relay_t *relay = runner->relay;
    rcp_thread_t thread;
    int hop;
    rcp_thread_init(&thread, NULL);
    for (hop = runner->number; hop < hops; hop += workers) {
        rcp_activation_t *a, *own;
        const void *frame = &frames[20 + runner->number];
        own = rcp_enter(&thread, frame, &owners[0], 2, 0);
        CHECK(own != NULL);
        pthread_mutex_lock(&relay->mutex);
        while (relay->turn != hop)
            pthread_cond_wait(&relay->turned, &relay->mutex);
        a = hop == 0 ? rcp_enter_suspendable(&thread, &relay->table, &frames[0], &owners[1], 5, 0)
                     : rcp_current(&thread, &relay->table, &frames[0]);
        CHECK(a != NULL);
        rcp_resume(a, (uint64_t)hop * 10);
        rcp_row_start(a, (uint32_t)hop % 5, (uint64_t)hop * 10 + 1);
        rcp_row_end(a, (uint32_t)hop % 5, (uint64_t)hop * 10 + 3);
        rcp_suspend(a, (uint64_t)hop * 10 + 4);
        if (hop == hops - 1) {
            uint32_t site;
            CHECK_EQ(rcp_run_ticks(a, hops * 10), hops * 4);
            for (site = 0; site < 5; site++) {
                CHECK_EQ(a->tallies[site].count, hops / 5);
                CHECK_EQ(a->tallies[site].total, hops / 5 * 2);
            }
            rcp_leave(&thread, &relay->table, a);
        }
        relay->turn++;
        pthread_cond_broadcast(&relay->turned);
        pthread_mutex_unlock(&relay->mutex);
        CHECK(rcp_current(&thread, &relay->table, frame) == own);
        rcp_leave(&thread, &relay->table, own);
    }
    rcp_thread_free(&thread);
    return NULL;
}

void test_stack_relay(void)
{
    relay_t relay = {.mutex = PTHREAD_MUTEX_INITIALIZER, .turned = PTHREAD_COND_INITIALIZER};
    runner_t runners[workers];
    int i;
    CHECK_EQ(rcp_table_init(&relay.table, NULL), 0);
    for (i = 0; i < workers; i++) {
        runners[i].relay = &relay;
        runners[i].number = i;
        CHECK_EQ(pthread_create(&runners[i].thread, NULL, run_relay, &runners[i]), 0);
    }
    for (i = 0; i < workers; i++)
        pthread_join(runners[i].thread, NULL);
    CHECK_EQ(rcp_table_count(&relay.table), 0);
    rcp_table_free(&relay.table);
}

/* Many threads, each with generators of its own in the one table. */
static void *run_crowd(void *arg)
{
    enum { own = 100 };
    runner_t *runner = arg;
    rcp_table_t *table = &runner->relay->table;
    char *mine = malloc(own);
    rcp_thread_t thread;
    int round, i;
    CHECK(mine != NULL);
    rcp_thread_init(&thread, NULL);
    for (round = 0; round < 20; round++) {
        for (i = 0; i < own; i++)
            CHECK(rcp_enter_suspendable(&thread, table, &mine[i], &owners[1], 3, 0) != NULL);
        for (i = own - 1; i >= 0; i--) {
            rcp_activation_t *a = rcp_current(&thread, table, &mine[i]);
            CHECK(a != NULL);
            rcp_row_start(a, 1, 1);
            rcp_row_end(a, 1, 2);
            CHECK_EQ(a->tallies[1].count, 1);
            rcp_leave(&thread, table, a);
        }
    }
    rcp_thread_free(&thread);
    free(mine);
    return NULL;
}

void test_stack_crowd(void)
{
    relay_t relay = {.turn = 0};
    runner_t runners[workers];
    int i;
    CHECK_EQ(rcp_table_init(&relay.table, NULL), 0);
    for (i = 0; i < workers; i++) {
        runners[i].relay = &relay;
        CHECK_EQ(pthread_create(&runners[i].thread, NULL, run_crowd, &runners[i]), 0);
    }
    for (i = 0; i < workers; i++)
        pthread_join(runners[i].thread, NULL);
    CHECK_EQ(rcp_table_count(&relay.table), 0);
    rcp_table_fork_begin(&relay.table);
    rcp_table_fork_end(&relay.table);
    CHECK_EQ(rcp_table_count(&relay.table), 0);
    rcp_table_free(&relay.table);
}
