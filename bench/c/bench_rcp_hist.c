/* What one record in a histogram costs, over values spread across twenty powers of two. */
#include "bench.h"
#include "rcp_hist.h"

static void record(void *p, uint64_t turns)
{
    rcp_hist_t *hist = p;
    uint64_t random = 1;
    while (turns--) {
        random = random * UINT64_C(6364136223846793005) + 1;
        rcp_hist_record(hist, UINT64_C(1024) + (random >> 34));
    }
}

static void only_values(void *p, uint64_t turns)
{
    uint64_t random = 1;
    while (turns--) {
        random = random * UINT64_C(6364136223846793005) + 1;
        BENCH_TOUCH(p);
        BENCH_TOUCH(random);
    }
}

int main(int argc, char **argv)
{
    static const bench_entry_t entries[] = {{"histogram record", record, only_values}, {NULL, NULL, NULL}};
    rcp_hist_plan_t plan;
    rcp_hist_t hist;
    int status;
    if (rcp_hist_plan(1024, UINT64_C(1) << 40, &plan) || rcp_hist_init(&hist, &plan, NULL))
        return 1;
    status = bench_main(argc, argv, entries, &hist);
    rcp_hist_free(&hist);
    return status;
}
