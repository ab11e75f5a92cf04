#include "rcp_tally.h"

void rcp_tally_merge(rcp_tally_t *into, const rcp_tally_t *more)
{
    if (more->count == 0)
        return;
    if (into->count == 0 || more->max > into->max) {
        into->max = more->max;
        into->max_index = into->count + more->max_index;
        into->max_start = more->max_start;
    }
    into->total += more->total;
    into->count += more->count;
    if (more->errors != 0)
        into->last_error = more->last_error;
    into->errors = more->errors > UINT32_MAX - into->errors ? UINT32_MAX : into->errors + more->errors;
}
