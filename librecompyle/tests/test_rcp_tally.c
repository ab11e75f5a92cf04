#include "check.h"
#include "rcp_tally.h"

void test_tally_add(void)
{
    rcp_tally_t t = {0};
    CHECK_EQ(sizeof t, 48);
    rcp_tally_add(&t, 5, 100);
    rcp_tally_add(&t, 9, 110);
    rcp_tally_add(&t, 9, 130);
    CHECK_EQ(t.total, 23);
    CHECK_EQ(t.count, 3);
    CHECK_EQ(t.max, 9);
    CHECK_EQ(t.max_index, 1);    /* the first of equals */
    CHECK_EQ(t.max_start, 110);
}

void test_tally_zero_first(void)
{
    rcp_tally_t t = {0};
    rcp_tally_add(&t, 0, 42);
    rcp_tally_add(&t, 0, 50);
    CHECK_EQ(t.max_start, 42);
    CHECK_EQ(t.max_index, 0);
    CHECK_EQ(t.count, 2);
}

void test_tally_errors(void)
{
    rcp_tally_t t = {0};
    rcp_tally_error(&t, 7);
    CHECK_EQ(t.errors, 1);
    CHECK_EQ(t.last_error, 7);
    t.errors = UINT32_MAX;
    rcp_tally_error(&t, 8);
    CHECK_EQ(t.errors, UINT32_MAX);
    CHECK_EQ(t.last_error, 8);
}

/* Merging two halves gives what adding all to one would have given. */
void test_tally_merge(void)
{
    static const uint64_t ticks[] = {3, 0, 8, 8, 1, 9, 2};
    size_t cut, i, count = sizeof ticks / sizeof ticks[0];
    for (cut = 0; cut <= count; cut++) {
        rcp_tally_t all = {0}, first = {0}, second = {0};
        for (i = 0; i < count; i++) {
            rcp_tally_t *half = i < cut ? &first : &second;
            rcp_tally_add(&all, ticks[i], i * 10);
            rcp_tally_add(half, ticks[i], i * 10);
            if (ticks[i] == 8) {
                rcp_tally_error(&all, (uint32_t)i);
                rcp_tally_error(half, (uint32_t)i);
            }
        }
        rcp_tally_merge(&first, &second);
        CHECK(memcmp(&first, &all, sizeof all) == 0);
    }
}
