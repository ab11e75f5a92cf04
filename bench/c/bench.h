/* Timing a loop: the lowest of several repeats, in nanoseconds for one turn of the loop.
 *
 * A program here is called with the name of what to measure and prints one number.
 */
#ifndef RCP_BENCH_H
#define RCP_BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rcp_clock.h"

#define BENCH_REPEATS 9
#define BENCH_SLICE_NS 5000000u /* well inside the time slice of a busy machine */

typedef void bench_body(void *state, uint64_t turns);

/* Keep the compiler from dropping or moving work on what `p` points to. */
#if defined(__GNUC__)
#  define BENCH_TOUCH(p) __asm__ volatile("" : : "r"(p) : "memory")
#else
static void *volatile bench_sink;
#  define BENCH_TOUCH(p) (bench_sink = (void *)(p))
#endif

static uint64_t bench_time(bench_body *body, void *state, uint64_t turns)
{
    uint64_t start = rcp_clock_system_ns();
    body(state, turns);
    return rcp_clock_system_ns() - start;
}

/* Time both bodies in turns, `minus` if it is not NULL, and return the difference of their lowest times. */
static double bench_lowest(bench_body *body, bench_body *minus, void *state)
{
    uint64_t turns = 1000, lowest = UINT64_MAX, lowest_minus = minus ? UINT64_MAX : 0, spent;
    while (bench_time(body, state, turns) < BENCH_SLICE_NS)
        turns *= 2;
    for (int i = 0; i < BENCH_REPEATS; i++) {
        if ((spent = bench_time(body, state, turns)) < lowest)
            lowest = spent;
        if (minus && (spent = bench_time(minus, state, turns)) < lowest_minus)
            lowest_minus = spent;
    }
    return ((double)lowest - (double)lowest_minus) / (double)turns;
}

typedef struct bench_entry {
    const char *name;
    bench_body *body;
    bench_body *minus; /* its time is subtracted; may be NULL */
} bench_entry_t;

/* Measure the entry named on the command line. Returns the program's exit code. */
static int bench_main(int argc, char **argv, const bench_entry_t *entries, void *state)
{
    for (const bench_entry_t *e = entries; argc == 2 && e->name; e++) {
        if (strcmp(e->name, argv[1]) == 0) {
            printf("%.4f\n", bench_lowest(e->body, e->minus, state));
            return 0;
        }
    }
    fprintf(stderr, "usage: %s NAME, one of:\n", argv[0]);
    for (const bench_entry_t *e = entries; e->name; e++)
        fprintf(stderr, "  %s\n", e->name);
    return 2;
}

#endif
