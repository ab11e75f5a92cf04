#include <pthread.h>

#include "check.h"
#include "rcp_clock.h"
#include "rcp_errno.h"

/* Wait, by the system's own clock. */
static void pass(uint64_t ns)
{
    uint64_t begin = rcp_clock_system_ns();
    while (rcp_clock_system_ns() - begin < ns) {}
}

static void check_rate(rcp_clock_t *clock)
{
    uint64_t best = UINT64_MAX;
    int i;
    /* Being preempted between the reads spoils a try, so one good one of several will do. */
    for (i = 0; i < 20; i++) {
        uint64_t t0 = rcp_clock_ticks(clock), n0 = rcp_clock_system_ns(), t1, n1, by_ticks, apart;
        pass(2000000);
        t1 = rcp_clock_ticks(clock);
        n1 = rcp_clock_system_ns();
        by_ticks = rcp_ticks_to_ns(clock, t1 - t0);
        apart = by_ticks > n1 - n0 ? by_ticks - (n1 - n0) : n1 - n0 - by_ticks;
        best = apart < best ? apart : best;
    }
    CHECK_LE(best, 20000);   /* 1% of the two milliseconds */
}

void test_clock_init(void)
{
    rcp_clock_t clock;
    int want;
    CHECK_EQ(rcp_clock_init(&clock, 3), RCP_EINVAL);
    CHECK_EQ(rcp_clock_init(&clock, -1), RCP_EINVAL);
    for (want = RCP_CLOCK_WANT_AUTO; want <= RCP_CLOCK_WANT_SYSTEM; want++) {
        CHECK_EQ(rcp_clock_init(&clock, want), 0);
        CHECK(clock.why[0] != '\0');
        CHECK(clock.read_ns > 0 && clock.read_ns < 1e6);
        CHECK(clock.resolution_ns > 0 && clock.resolution_ns < 1e8);
        printf("  %s: %s; %.1f ns a read\n", rcp_clock_name(&clock), clock.why, clock.read_ns);
        check_rate(&clock);
    }
    CHECK_EQ(rcp_clock_source(&clock), RCP_CLOCK_SYSTEM);
    CHECK_EQ(rcp_ticks_to_ns(&clock, 12345), 12345);
}

void test_clock_never_back(void)
{
    rcp_clock_t clock;
    uint64_t last, now;
    int i;
    rcp_clock_init(&clock, RCP_CLOCK_WANT_SYSTEM);
    last = rcp_clock_ticks(&clock);
    for (i = 0; i < 10000; i++, last = now) {
        now = rcp_clock_ticks(&clock);
        CHECK(now >= last);
    }
}

void test_clock_convert(void)
{
    static const uint64_t scales[] = {1, 1654400000, UINT64_C(1) << 32, UINT64_C(178956970667), UINT64_MAX >> 8};
    static const uint64_t values[] = {0, 1, 999, 1000000007, UINT64_C(1) << 40, UINT64_C(1) << 62, UINT64_MAX - 1};
    rcp_clock_t clock;
    size_t i, j;
    rcp_clock_init(&clock, RCP_CLOCK_WANT_SYSTEM);
    for (i = 0; i < sizeof scales / sizeof scales[0]; i++) {
        atomic_store(&clock.scale, scales[i]);
        CHECK_EQ(rcp_clock_scale(&clock), scales[i]);
        CHECK_EQ(rcp_ns_to_ticks(&clock, UINT64_MAX), UINT64_MAX);
        for (j = 0; j < sizeof values / sizeof values[0]; j++) {
            uint64_t ticks = rcp_ns_to_ticks(&clock, values[j]);
            if (ticks == UINT64_MAX)
                continue;
            /* The least number of ticks that is not shorter. */
            CHECK(rcp_ticks_to_ns(&clock, ticks) >= values[j]);
            CHECK(ticks == 0 || rcp_ticks_to_ns(&clock, ticks - 1) < values[j]);
        }
    }
    CHECK_EQ(rcp_scale_ticks(UINT64_C(1) << 32, UINT64_MAX), UINT64_MAX);
    CHECK(rcp_scale_ticks(UINT64_C(1) << 33, UINT64_MAX) == UINT64_MAX);
    CHECK_EQ(rcp_scale_ticks(UINT64_C(3) << 31, 10), 15);
}

/* The parts of a run never exceed the whole. */
void test_clock_parts(void)
{
    uint64_t scale = 1654412345, whole = 0, sum = 0, i;
    for (i = 1; i < 1000; i++) {
        whole += i * 7919;
        sum += rcp_scale_ticks(scale, i * 7919);
    }
    CHECK(sum <= rcp_scale_ticks(scale, whole));
    CHECK(rcp_scale_ticks(scale, whole) - sum < 1000);
}

/* What follows needs a counter; the rest of the tests covers machines without one. */
static bool counter(rcp_clock_t *clock)
{
    rcp_clock_init(clock, RCP_CLOCK_WANT_TSC);
    if (rcp_clock_source(clock) != RCP_CLOCK_SYSTEM)
        return true;
    printf("  skipped: no counter here: %s\n", clock->why);
    return false;
}

void test_clock_check(void)
{
    rcp_clock_t clock;
    if (!counter(&clock))
        return;
    pass(20000000);
    CHECK_EQ(rcp_clock_check(&clock), RCP_CLOCK_SOUND);
    CHECK_EQ(clock.suspects, 0);
    /* A counter that lost half a second, as over a suspend, and one that jumped. */
    clock.reference_ticks += rcp_ns_to_ticks(&clock, 500000000);
    CHECK_EQ(rcp_clock_check(&clock), RCP_CLOCK_SUSPECT);
    CHECK_EQ(rcp_clock_check(&clock), RCP_CLOCK_SOUND);
    clock.reference_ticks -= rcp_ns_to_ticks(&clock, 500000000);
    CHECK_EQ(rcp_clock_check(&clock), RCP_CLOCK_SUSPECT);
    clock.reference_ns -= 500000000;
    CHECK_EQ(rcp_clock_check(&clock), RCP_CLOCK_UNRELIABLE);
    CHECK_EQ(clock.suspects, 3);
}

void test_clock_fall_back(void)
{
    rcp_clock_t clock;
    uint64_t before, after, scale;
    if (!counter(&clock))
        return;
    scale = rcp_clock_scale(&clock);
    before = rcp_clock_ticks(&clock);
    rcp_clock_fall_back(&clock);
    rcp_clock_fall_back(&clock);
    after = rcp_clock_ticks(&clock);
    CHECK_EQ(rcp_clock_source(&clock), RCP_CLOCK_SYSTEM);
    CHECK_EQ(rcp_clock_scale(&clock), scale);
    /* The ticks go on where they were. */
    CHECK(after > before);
    CHECK(rcp_ticks_to_ns(&clock, after - before) < 1000000000);
    check_rate(&clock);
    CHECK_EQ(rcp_clock_check(&clock), RCP_CLOCK_SOUND);
    CHECK(!rcp_clock_refine(&clock));
}

void test_clock_refine(void)
{
    rcp_clock_t clock;
    uint64_t good;
    if (!counter(&clock) || !clock.measured)
        return;
    pass(20000000);
    rcp_clock_refine(&clock);
    good = rcp_clock_scale(&clock);
    clock.refined_ns = UINT64_C(3600000000000);
    CHECK(!rcp_clock_refine(&clock));    /* too soon */
    atomic_store(&clock.scale, good + good / 200);   /* half a percent off */
    clock.refined_ns = 1000;
    CHECK(rcp_clock_refine(&clock));
    CHECK_LE(rcp_clock_scale(&clock), good + good / 2000);
    CHECK_LE(good - good / 2000, rcp_clock_scale(&clock));
    /* A comparison that contradicts the scale is not believed. */
    good = rcp_clock_scale(&clock);
    clock.first_ticks -= rcp_ns_to_ticks(&clock, 1000000000);
    clock.refined_ns = 1000;
    CHECK(!rcp_clock_refine(&clock));
    CHECK_EQ(rcp_clock_scale(&clock), good);
}

typedef struct shared {
    rcp_clock_t clock;
    atomic_bool done;
} shared_t;

static void *read_on(void *arg)
{
    shared_t *shared = arg;
    uint64_t first = rcp_clock_ticks(&shared->clock), now = first;
    while (!atomic_load(&shared->done)) {
        now = rcp_clock_ticks(&shared->clock);
        rcp_clock_check(&shared->clock);
        rcp_clock_refine(&shared->clock);
    }
    CHECK(rcp_ticks_to_ns(&shared->clock, now - first) < UINT64_C(60000000000));   /* never a leap */
    return NULL;
}

/* The source changes while other threads read. */
void test_clock_threads(void)
{
    enum { threads = 4 };
    static shared_t shared;
    pthread_t thread[threads];
    int i;
    rcp_clock_init(&shared.clock, RCP_CLOCK_WANT_TSC);
    atomic_store(&shared.done, false);
    for (i = 0; i < threads; i++)
        CHECK_EQ(pthread_create(&thread[i], NULL, read_on, &shared), 0);
    pass(5000000);
    rcp_clock_fall_back(&shared.clock);
    pass(5000000);
    atomic_store(&shared.done, true);
    for (i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
    CHECK_EQ(rcp_clock_source(&shared.clock), RCP_CLOCK_SYSTEM);
}
