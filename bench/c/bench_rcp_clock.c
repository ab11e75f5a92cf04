/* What a clock read costs by itself. */
#include "bench.h"

typedef struct state {
    rcp_clock_t automatic, system;
} state_t;

static void read_automatic(void *p, uint64_t turns)
{
    state_t *s = p;
    while (turns--) {
        uint64_t t = rcp_clock_ticks(&s->automatic);
        BENCH_TOUCH(&t);
    }
}

static void read_system(void *p, uint64_t turns)
{
    state_t *s = p;
    while (turns--) {
        uint64_t t = rcp_clock_ticks(&s->system);
        BENCH_TOUCH(&t);
    }
}

int main(int argc, char **argv)
{
    static const bench_entry_t entries[] = {
        {"read, chosen clock", read_automatic, NULL},
        {"read, system clock", read_system, NULL},
        {NULL, NULL, NULL},
    };
    state_t s;
    if (rcp_clock_init(&s.automatic, RCP_CLOCK_WANT_AUTO) || rcp_clock_init(&s.system, RCP_CLOCK_WANT_SYSTEM))
        return 1;
    return bench_main(argc, argv, entries, &s);
}
