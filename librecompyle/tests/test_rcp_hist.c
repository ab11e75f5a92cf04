#include <pthread.h>

#include "check.h"
#include "rcp_errno.h"
#include "rcp_hist.h"

static rcp_hist_t make(uint64_t lowest, uint64_t highest)
{
    rcp_hist_plan_t plan;
    rcp_hist_t hist;
    CHECK_EQ(rcp_hist_plan(lowest, highest, &plan), 0);
    CHECK_EQ(rcp_hist_init(&hist, &plan, NULL), 0);
    return hist;
}

void test_hist_plan(void)
{
    rcp_hist_plan_t plan;
    CHECK_EQ(rcp_hist_plan(0, 10, &plan), RCP_EINVAL);
    CHECK_EQ(rcp_hist_plan(10, 10, &plan), RCP_EINVAL);
    CHECK_EQ(rcp_hist_plan(1, UINT64_MAX, &plan), 0);
    CHECK_EQ(plan.bucket_count, 60 * 32);
    CHECK_EQ(rcp_hist_plan(1024, UINT64_C(1) << 40, &plan), 0);
    CHECK_EQ(plan.bytes, 8192);
    CHECK_EQ(plan.unit_shift, 5);
    CHECK_EQ(rcp_hist_plan(1, 2, &plan), 0);
    CHECK_EQ(plan.bucket_count, 32);
}

void test_hist_init(void)
{
    rcp_hist_plan_t plan;
    rcp_hist_t hist;
    counting_t counting = {0, 0};
    rcp_alloc_t alloc = counting_alloc(&counting);
    rcp_hist_plan(1, 1000, &plan);
    CHECK_EQ(rcp_hist_init(&hist, &plan, &alloc), RCP_ENOMEM);
    counting.left = 1;
    CHECK_EQ(rcp_hist_init(&hist, &plan, &alloc), 0);
    rcp_hist_free(&hist);
    rcp_hist_free(&hist);
    CHECK_EQ(counting.out, 0);
    plan.bytes++;
    CHECK_EQ(rcp_hist_init(&hist, &plan, &alloc), RCP_EINVAL);
}

/* Buckets rise with the values, leave no gap, and are at most 1/32 wide. */
void test_hist_buckets(void)
{
    rcp_hist_t hist = make(1, UINT64_MAX);
    uint32_t last = 0;
    uint64_t value, begin = 0;
    CHECK_EQ(rcp_hist_bucket(&hist, 0), 0);
    for (value = 1; value < 100000; value++) {
        uint32_t bucket = rcp_hist_bucket(&hist, value);
        CHECK(bucket == last || bucket == last + 1);
        if (bucket != last)
            begin = value;
        CHECK_LE((value - begin) * 32, begin);
        last = bucket;
    }
    CHECK_EQ(rcp_hist_bucket(&hist, UINT64_MAX), hist.bucket_count - 1);
    rcp_hist_free(&hist);
}

static int rising(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Against exact percentiles of the sorted values, over many sizes. */
void test_hist_percentiles(void)
{
    enum { count = 5000 };
    static const double percents[] = {0, 1, 10, 50, 90, 99, 99.9, 99.99, 100};
    static uint64_t values[count];
    rcp_hist_t hist = make(1024, UINT64_C(1) << 40);
    uint64_t x = 88172645463325252;
    size_t i;
    for (i = 0; i < count; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        values[i] = 1024 + (x >> 24) % (UINT64_C(1) << (11 + i % 29));
        rcp_hist_record(&hist, values[i]);
    }
    qsort(values, count, sizeof values[0], rising);
    CHECK_EQ(rcp_hist_count(&hist), count);
    CHECK_EQ(rcp_hist_min(&hist), values[0]);
    CHECK_EQ(rcp_hist_max(&hist), values[count - 1]);
    CHECK_EQ(rcp_hist_percentile(&hist, 100), values[count - 1]);
    for (i = 0; i < sizeof percents / sizeof percents[0]; i++) {
        double share = percents[i] / 100 * count;
        size_t rank = (size_t)share + ((double)(size_t)share < share);
        uint64_t exact = values[rank > 0 ? rank - 1 : 0], found = rcp_hist_percentile(&hist, percents[i]);
        uint64_t apart = exact > found ? exact - found : found - exact;
        CHECK_LE(apart * 32, exact);
    }
    rcp_hist_free(&hist);
}

void test_hist_edges(void)
{
    rcp_hist_t hist = make(1024, 1 << 20);
    CHECK_EQ(rcp_hist_percentile(&hist, 50), 0);
    CHECK_EQ(rcp_hist_min(&hist), 0);
    CHECK_EQ(rcp_hist_max(&hist), 0);
    rcp_hist_record(&hist, 0);
    CHECK_EQ(rcp_hist_percentile(&hist, 50), 0);
    rcp_hist_record(&hist, UINT64_MAX);
    CHECK(rcp_hist_max(&hist) == UINT64_MAX);
    CHECK(rcp_hist_percentile(&hist, 99) == UINT64_MAX);
    CHECK_EQ(rcp_hist_count(&hist), 2);
    rcp_hist_reset(&hist);
    CHECK_EQ(rcp_hist_count(&hist), 0);
    CHECK_EQ(rcp_hist_max(&hist), 0);
    rcp_hist_record(&hist, UINT64_MAX);
    CHECK(rcp_hist_min(&hist) == UINT64_MAX);
    rcp_hist_free(&hist);
}

void test_hist_merge(void)
{
    rcp_hist_t a = make(1, 1 << 20), b = make(1, 1 << 20), other = make(1, 1 << 21);
    rcp_hist_record(&a, 100);
    rcp_hist_record(&b, 7);
    rcp_hist_record(&b, 5000);
    CHECK_EQ(rcp_hist_merge(&a, &other), RCP_EINVAL);
    CHECK_EQ(rcp_hist_merge(&a, &b), 0);
    CHECK_EQ(rcp_hist_count(&a), 3);
    CHECK_EQ(rcp_hist_min(&a), 7);
    CHECK_EQ(rcp_hist_max(&a), 5000);
    rcp_hist_reset(&b);
    CHECK_EQ(rcp_hist_merge(&a, &b), 0);
    CHECK_EQ(rcp_hist_min(&a), 7);
    rcp_hist_free(&a);
    rcp_hist_free(&b);
    rcp_hist_free(&other);
}

static void *hammer(void *arg)
{
    uint64_t i;
    for (i = 1; i <= 50000; i++)
        rcp_hist_record(arg, i);
    return NULL;
}

void test_hist_threads(void)
{
    enum { threads = 8 };
    pthread_t thread[threads];
    rcp_hist_t hist = make(1, 1 << 20);
    int i;
    for (i = 0; i < threads; i++)
        CHECK_EQ(pthread_create(&thread[i], NULL, hammer, &hist), 0);
    for (i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
    CHECK_EQ(rcp_hist_count(&hist), threads * 50000);
    CHECK_EQ(rcp_hist_min(&hist), 1);
    CHECK_EQ(rcp_hist_max(&hist), 50000);
    rcp_hist_free(&hist);
}
