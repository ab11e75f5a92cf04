/* What rows and runs cost in the core alone, without an interpreter round them. */
#include "bench.h"
#include "rcp_gate.h"
#include "rcp_stack.h"

#define SITES 20

typedef struct state {
    rcp_clock_t clock;
    rcp_gate_t gate;
    rcp_thread_t thread;
    rcp_table_t table;
    int frame;
} state_t;

static inline void rows(state_t *s)
{
    for (uint32_t site = 0; site < SITES; site++) {
        rcp_activation_t *a = rcp_current(&s->thread, &s->table, &s->frame);
        rcp_row_start(a, site, rcp_clock_ticks(&s->clock));
        BENCH_TOUCH(a);
        a = rcp_current(&s->thread, &s->table, &s->frame);
        rcp_row_end(a, site, rcp_clock_ticks(&s->clock));
        BENCH_TOUCH(a);
    }
}

static inline void begin(state_t *s)
{
    rcp_activation_t *a = rcp_enter(&s->thread, &s->frame, s, SITES, rcp_clock_ticks(&s->clock));
    BENCH_TOUCH(a);
}

static inline void end(state_t *s)
{
    rcp_activation_t *a = rcp_current(&s->thread, &s->table, &s->frame);
    if (rcp_gate_slow(&s->gate, rcp_run_ticks(a, rcp_clock_ticks(&s->clock))))
        abort();
    rcp_leave(&s->thread, &s->table, a);
}

static void empty_runs(void *p, uint64_t turns)
{
    while (turns--) {
        begin(p);
        end(p);
    }
}

static void runs(void *p, uint64_t turns)
{
    while (turns--) {
        begin(p);
        rows(p);
        end(p);
    }
}

static void one_run(void *p, uint64_t turns)
{
    begin(p);
    while (turns--)
        rows(p);
    end(p);
}

static void one_row(void *p, uint64_t turns)
{
    state_t *s = p;
    begin(s);
    while (turns--) {
        rcp_activation_t *a = rcp_current(&s->thread, &s->table, &s->frame);
        rcp_row_start(a, 0, rcp_clock_ticks(&s->clock));
        BENCH_TOUCH(a);
        a = rcp_current(&s->thread, &s->table, &s->frame);
        rcp_row_end(a, 0, rcp_clock_ticks(&s->clock));
        BENCH_TOUCH(a);
    }
    end(s);
}

int main(int argc, char **argv)
{
    static const bench_entry_t entries[] = {
        {"row", one_row, NULL},
        {"run without rows", empty_runs, NULL},
        {"run of 20 sites, less its rows", runs, one_run},
        {NULL, NULL, NULL},
    };
    state_t s;
    int status;
    if (rcp_clock_init(&s.clock, RCP_CLOCK_WANT_AUTO) || rcp_gate_init(&s.gate, 0, 0, 0, 1)
        || rcp_thread_init(&s.thread, NULL) || rcp_table_init(&s.table, NULL))
        return 1;
    status = bench_main(argc, argv, entries, &s);
    rcp_thread_free(&s.thread);
    rcp_table_free(&s.table);
    return status;
}
