/* Shared by the library's own sources: allocation, spin locks. */
#ifndef RCP__INTERNAL_H
#define RCP__INTERNAL_H

#include <stdatomic.h>

#include "rcp_base.h"
#include "rcp_errno.h"

#if defined(_WIN32)
#  define WIN32_LEAN_AND_MEAN
#  include <windows.h>
#else
#  include <sched.h>
#endif

/* The allocator to keep in a handle: a copy of the caller's, or libc's. */
rcp_alloc_t rcp__alloc_or_libc(const rcp_alloc_t *alloc);

/* count * size bytes, zeroed; NULL when out of memory or if the product overflows. */
void *rcp__take_zeroed(const rcp_alloc_t *alloc, size_t count, size_t size);

static inline void *rcp__take(const rcp_alloc_t *alloc, size_t size)
{
    return alloc->take(alloc->ctx, size);
}

static inline void rcp__give(const rcp_alloc_t *alloc, void *memory)
{
    alloc->give(alloc->ctx, memory);
}

/* Locks here are held for some dozens of instructions. A holder may still lose its processor, so give ours away
 * after a while. */
static inline void rcp__lock(atomic_flag *lock)
{
    unsigned spins = 0;
    while (atomic_flag_test_and_set_explicit(lock, memory_order_acquire)) {
        if (++spins < 64) {
#if defined(__x86_64__) && defined(__GNUC__)
            __builtin_ia32_pause();
#endif
            continue;
        }
#if defined(_WIN32)
        SwitchToThread();
#else
        sched_yield();
#endif
    }
}

static inline void rcp__unlock(atomic_flag *lock)
{
    atomic_flag_clear_explicit(lock, memory_order_release);
}

#endif
