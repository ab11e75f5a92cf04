#include <pthread.h>

#include "check.h"
#include "rcp_gate.h"

#define SECOND UINT64_C(1000000000)

void test_gate_limit(void)
{
    rcp_gate_t gate;
    CHECK_EQ(rcp_gate_init(&gate, 0, 0, 0, 1), 0);
    CHECK(!rcp_gate_slow(&gate, UINT64_MAX));
    rcp_gate_set_limit(&gate, 100);
    CHECK_EQ(rcp_gate_limit(&gate), 100);
    CHECK(!rcp_gate_slow(&gate, 99));
    CHECK(rcp_gate_slow(&gate, 100));
    rcp_gate_set_limit(&gate, 0);
    CHECK(rcp_gate_slow(&gate, 0));
}

void test_gate_unlimited(void)
{
    rcp_gate_t gate;
    rcp_suppressed_t out = {9, 9, 9};
    int i;
    rcp_gate_init(&gate, 0, SECOND, 0, 1);
    for (i = 0; i < 100; i++)
        CHECK(rcp_gate_admit(&gate, 5, 1, &out));
    CHECK_EQ(out.count, 0);
    CHECK_EQ(out.worst_ns, 0);
}

void test_gate_suppressed(void)
{
    rcp_gate_t gate;
    rcp_suppressed_t out = {9, 9, 9};
    rcp_gate_init(&gate, 1, 10 * SECOND, 0, 1);
    CHECK(rcp_gate_admit(&gate, 100 * SECOND, 500, &out));
    CHECK_EQ(out.count, 0);
    CHECK_EQ(out.window_ns, 0);
    out.count = 77;
    CHECK(!rcp_gate_admit(&gate, 101 * SECOND, 700, &out));
    CHECK(!rcp_gate_admit(&gate, 102 * SECOND, 900, &out));
    CHECK(!rcp_gate_admit(&gate, 103 * SECOND, 800, NULL));
    CHECK_EQ(out.count, 77);   /* untouched */
    CHECK(rcp_gate_admit(&gate, 115 * SECOND, 600, &out));
    CHECK_EQ(out.count, 3);
    CHECK_EQ(out.worst_ns, 900);
    CHECK_EQ(out.window_ns, 15 * SECOND);
}

void test_gate_always(void)
{
    rcp_gate_t gate;
    rcp_suppressed_t out;
    rcp_gate_init(&gate, 1, 10 * SECOND, 1000, 1);
    CHECK(rcp_gate_admit(&gate, SECOND, 10, &out));
    CHECK(!rcp_gate_admit(&gate, SECOND, 999, &out));
    CHECK(rcp_gate_admit(&gate, SECOND, 1000, &out));
    CHECK_EQ(out.count, 1);
    CHECK_EQ(out.worst_ns, 999);
    /* It took no token: the next one comes no later. */
    CHECK(rcp_gate_admit(&gate, SECOND + 12 * SECOND, 10, &out));
}

/* A million slow runs over 1000 seconds: never more than the rate, and little less. */
static void check_rate(uint64_t count, uint64_t per_ns, uint64_t seed)
{
    rcp_gate_t gate;
    rcp_suppressed_t out;
    uint64_t i, admitted = 0, told = 0, step = SECOND / 1000, most = count + 1000 * SECOND / per_ns * count;
    rcp_gate_init(&gate, count, per_ns, 0, seed);
    for (i = 1; i <= 1000000; i++) {
        if (rcp_gate_admit(&gate, i * step, i, &out)) {
            admitted++;
            told += out.count;
        }
    }
    CHECK_LE(admitted, most);
    CHECK_LE(most * 8 / 10, admitted);
    CHECK_EQ(admitted + told + gate.suppressed, 1000000);
}

void test_gate_rate(void)
{
    uint64_t seed;
    for (seed = 0; seed < 4; seed++) {
        check_rate(1, 10 * SECOND, seed);
        check_rate(5, 60 * SECOND, seed);
        check_rate(100, SECOND, seed);
    }
}

/* A full bucket lets so many through at once, and after a long quiet time again. */
void test_gate_burst(void)
{
    rcp_gate_t gate;
    uint64_t round, i;
    rcp_gate_init(&gate, 5, 10 * SECOND, 0, 3);
    for (round = 1; round < 4; round++) {
        uint64_t now = round * 1000 * SECOND;
        for (i = 0; i < 5; i++)
            CHECK(rcp_gate_admit(&gate, now, 1, NULL));
        CHECK(!rcp_gate_admit(&gate, now, 1, NULL));
    }
}

void test_gate_set_rate(void)
{
    rcp_gate_t gate;
    rcp_suppressed_t out;
    rcp_gate_init(&gate, 1, 1000 * SECOND, 0, 3);
    CHECK(rcp_gate_admit(&gate, SECOND, 1, &out));
    CHECK(!rcp_gate_admit(&gate, SECOND, 4, &out));
    rcp_gate_set_rate(&gate, 2, SECOND, 0);
    CHECK(rcp_gate_admit(&gate, SECOND, 1, &out));
    CHECK_EQ(out.count, 1);
    CHECK_EQ(out.worst_ns, 4);
    /* Time that runs backwards gives no token and does no harm. */
    CHECK(rcp_gate_admit(&gate, 1, 1, &out));
    CHECK(!rcp_gate_admit(&gate, 1, 1, &out));
    CHECK_EQ(out.window_ns, 0);
}

/* Processes with other seeds do not get their tokens at the same moments. */
void test_gate_jitter(void)
{
    rcp_gate_t a, b;
    uint64_t now, apart = 0;
    rcp_gate_init(&a, 1, SECOND, 0, 11);
    rcp_gate_init(&b, 1, SECOND, 0, 12);
    for (now = 1; now < 100 * SECOND; now += SECOND / 100)
        apart += rcp_gate_admit(&a, now, 1, NULL) != rcp_gate_admit(&b, now, 1, NULL);
    CHECK(apart > 0);
}

static void *hammer(void *arg)
{
    rcp_gate_t *gate = arg;
    uint64_t i, told = 0;
    rcp_suppressed_t out;
    for (i = 0; i < 20000; i++)
        if (rcp_gate_admit(gate, i * 1000, i, &out))
            told += out.count + 1;
    return (void *)(uintptr_t)told;
}

void test_gate_threads(void)
{
    enum { threads = 8 };
    pthread_t thread[threads];
    rcp_gate_t gate;
    uint64_t total = 0;
    int i;
    rcp_gate_init(&gate, 1, 100000, 0, 5);
    for (i = 0; i < threads; i++)
        CHECK_EQ(pthread_create(&thread[i], NULL, hammer, &gate), 0);
    for (i = 0; i < threads; i++) {
        void *told;
        pthread_join(thread[i], &told);
        total += (uintptr_t)told;
    }
    CHECK_EQ(total + gate.suppressed, threads * 20000);
}

void test_gate_fork(void)
{
    rcp_gate_t gate;
    rcp_gate_init(&gate, 1, SECOND, 0, 5);
    atomic_flag_test_and_set(&gate.lock);   /* as if another thread had held it */
    rcp_gate_after_fork(&gate);
    CHECK(rcp_gate_admit(&gate, SECOND, 1, NULL));
}
