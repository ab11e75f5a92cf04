#include "rcp_gate.h"

#include "rcp__internal.h"

/* xorshift64: jitter needs no better one. */
static uint64_t next_random(rcp_gate_t *gate)
{
    uint64_t x = gate->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return gate->random = x;
}

/* The wait for one token. Jitter only lengthens it, by up to an eighth, so the promised rate is never exceeded. */
static uint64_t next_wait(rcp_gate_t *gate)
{
    uint64_t wait = gate->per_ns / gate->count;
    uint64_t jitter = wait / 8 ? next_random(gate) % (wait / 8) : 0;
    return wait + jitter > 0 ? wait + jitter : 1;
}

static void refill(rcp_gate_t *gate, uint64_t now_ns)
{
    uint64_t wait, more;
    if (gate->tokens >= gate->count || now_ns < gate->refill_ns)
        return;
    wait = next_wait(gate);
    more = 1 + (now_ns - gate->refill_ns) / wait;
    if (more >= gate->count - gate->tokens) {
        gate->tokens = gate->count;     /* full: the next wait begins with the next token taken */
    } else {
        gate->tokens += more;
        gate->refill_ns += more * wait;
    }
}

static bool take_token(rcp_gate_t *gate, uint64_t now_ns)
{
    refill(gate, now_ns);
    if (gate->tokens == 0)
        return false;
    if (gate->tokens == gate->count)
        gate->refill_ns = now_ns + next_wait(gate);
    gate->tokens--;
    return true;
}

static void set_rate(rcp_gate_t *gate, uint64_t count, uint64_t per_ns, uint64_t always_ns)
{
    bool limited = count != 0 && per_ns != 0;
    gate->count = limited ? count : 0;
    gate->per_ns = limited ? per_ns : 0;
    gate->always_ns = always_ns;
    gate->tokens = gate->count;
    gate->refill_ns = 0;
}

int rcp_gate_init(rcp_gate_t *gate, uint64_t count, uint64_t per_ns, uint64_t always_ns, uint64_t seed)
{
    atomic_init(&gate->limit, RCP_LIMIT_NEVER);
    atomic_flag_clear(&gate->lock);
    gate->random = seed != 0 ? seed : 1;   /* xorshift never leaves 0 */
    gate->admitted_ns = gate->suppressed = gate->worst_ns = 0;
    set_rate(gate, count, per_ns, always_ns);
    return 0;
}

void rcp_gate_set_rate(rcp_gate_t *gate, uint64_t count, uint64_t per_ns, uint64_t always_ns)
{
    rcp__lock(&gate->lock);
    set_rate(gate, count, per_ns, always_ns);
    rcp__unlock(&gate->lock);
}

bool rcp_gate_admit(rcp_gate_t *gate, uint64_t now_ns, uint64_t took_ns, rcp_suppressed_t *out)
{
    bool admitted;
    rcp__lock(&gate->lock);
    admitted = gate->count == 0 || (gate->always_ns != 0 && took_ns >= gate->always_ns) || take_token(gate, now_ns);
    if (admitted) {
        if (out != NULL) {
            out->count = gate->suppressed;
            out->worst_ns = gate->worst_ns;
            out->window_ns = gate->admitted_ns != 0 && now_ns > gate->admitted_ns ? now_ns - gate->admitted_ns : 0;
        }
        gate->admitted_ns = now_ns != 0 ? now_ns : 1;
        gate->suppressed = gate->worst_ns = 0;
    } else {
        gate->suppressed++;
        if (took_ns > gate->worst_ns)
            gate->worst_ns = took_ns;
    }
    rcp__unlock(&gate->lock);
    return admitted;
}

void rcp_gate_after_fork(rcp_gate_t *gate)
{
    atomic_flag_clear(&gate->lock);
}
