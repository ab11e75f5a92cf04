/* The clock: raw ticks on the hot path, nanoseconds when a report is made.
 *
 * A handle is calibrated once and shared by all threads. Where the processor has an invariant counter the
 * kernel itself trusts, ticks are that counter; elsewhere they are the system's monotonic nanoseconds.
 *
 * A tick keeps its length and its zero for the life of the handle, also when the counter proves unreliable
 * and rcp_clock_fall_back replaces it: from then on system time is expressed in the same ticks, continued from
 * the last one. A run that is open at that moment therefore needs no care.
 */
#ifndef RCP_CLOCK_H
#define RCP_CLOCK_H

#include <stdatomic.h>

#include "rcp_base.h"

#if defined(_MSC_VER) && defined(_M_X64)
#  include <intrin.h>
#endif

/* Where ticks come from. */
enum rcp_clock_source {
    RCP_CLOCK_SYSTEM = 0, /* CLOCK_MONOTONIC; mach_absolute_time on macOS; QueryPerformanceCounter on Windows */
    RCP_CLOCK_TSC = 1,    /* x86-64 time stamp counter, plain rdtsc */
    RCP_CLOCK_CNTVCT = 2  /* aarch64 virtual counter */
};

/* What the caller asks for. */
enum rcp_clock_want {
    RCP_CLOCK_WANT_AUTO = 0,   /* the counter if everything speaks for it, else the system clock */
    RCP_CLOCK_WANT_TSC = 1,    /* the counter also where the kernel uses another clock source */
    RCP_CLOCK_WANT_SYSTEM = 2  /* the system clock */
};

/* What rcp_clock_check found. */
enum rcp_clock_verdict {
    RCP_CLOCK_SOUND = 0,      /* counter and system clock agree, or too little time has passed to tell */
    RCP_CLOCK_SUSPECT = 1,    /* they differ by more than 1% since the last look */
    RCP_CLOCK_UNRELIABLE = 2  /* the third time or later: call rcp_clock_fall_back */
};

typedef struct rcp_clock {
    _Atomic uint32_t source;     /* read-only: enum rcp_clock_source */
    _Atomic uint64_t scale;      /* private: ns per tick times 2^32 */
    char why[128];               /* read-only: the reason for the choice, one line of ASCII */
    double read_ns;              /* read-only: cost of one read */
    double resolution_ns;        /* read-only: smallest step */
    uint32_t suspects;           /* read-only: how often rcp_clock_check was not satisfied */
    bool measured;               /* private: the scale comes from comparing clocks and may be refined */
    atomic_flag busy;            /* private: taken by the thread that checks or refines */
    uint64_t reference_ticks, reference_ns;  /* private: the pair rcp_clock_check starts from */
    uint64_t first_ticks, first_raw_ns;      /* private: the pair rcp_clock_refine starts from */
    uint64_t refined_ns;         /* private: length of the comparison behind the scale */
    uint64_t base_ticks, base_ns, inverse;   /* private: system time to ticks, set by a fall-back */
} rcp_clock_t;

/* Choose a source, calibrate it and measure what a read costs. Takes about a millisecond.
 * want: enum rcp_clock_want. A counter that cannot be used is no error: the system clock takes its place and
 * `why` tells the reason. Returns 0, RCP_EINVAL for an unknown `want`. Nothing to free. */
RCP_API int rcp_clock_init(rcp_clock_t *clock, int want);

/* The name of the handle's source: "tsc", "cntvct", "mach", "qpc" or "system". A static string. */
RCP_API const char *rcp_clock_name(const rcp_clock_t *clock);

/* Nanoseconds of the system's monotonic clock, for intervals that need no counter. Any thread. */
RCP_API uint64_t rcp_clock_system_ns(void);

/* Compare counter and system clock since the last look and return an enum rcp_clock_verdict. Looks less than
 * 10 ms apart are not judged. Any thread; while another thread is at it the answer is RCP_CLOCK_SOUND.
 * About two reads of each clock. */
RCP_API int rcp_clock_check(rcp_clock_t *clock);

/* Make the scale more exact from the time that has passed since init; cheap, and without effect where the scale
 * is known or was refined over half that time before. Any thread. Returns true if the scale has changed. */
RCP_API bool rcp_clock_refine(rcp_clock_t *clock);

/* Use the system clock from now on, in unchanged ticks. Any thread; a second call does nothing. */
RCP_API void rcp_clock_fall_back(rcp_clock_t *clock);

/* Nanoseconds to ticks, rounded up: a duration of so many ticks is never shorter than `ns`.
 * UINT64_MAX stays UINT64_MAX, as does what would not fit. */
RCP_API uint64_t rcp_ns_to_ticks(const rcp_clock_t *clock, uint64_t ns);

RCP_API uint64_t rcp__clock_ticks_slow(const rcp_clock_t *clock);

/* (a * b) >> 32, exact as long as the result fits 64 bits, else UINT64_MAX. */
static inline uint64_t rcp__mul_shift32(uint64_t a, uint64_t b)
{
#if defined(__SIZEOF_INT128__) && !defined(RCP_NO_INT128)
    __extension__ typedef unsigned __int128 u128;
    u128 wide = ((u128)a * b) >> 32;
    return wide > UINT64_MAX ? UINT64_MAX : (uint64_t)wide;
#else
    uint64_t ah = a >> 32, al = a & UINT32_MAX, bh = b >> 32, bl = b & UINT32_MAX;
    uint64_t top = ah * bh, left = ah * bl, right = al * bh, low = (al * bl) >> 32;
    uint64_t sum = left + right;
    if (top > UINT32_MAX || sum < left)
        return UINT64_MAX;
    top <<= 32;
    if (top > UINT64_MAX - sum || top + sum > UINT64_MAX - low)
        return UINT64_MAX;
    return top + sum + low;
#endif
}

/* The present tick. Any thread, no ordering against surrounding loads and stores. */
static inline uint64_t rcp_clock_ticks(const rcp_clock_t *clock)
{
#if defined(__x86_64__) && defined(__GNUC__)
    if (rcp_likely(atomic_load_explicit(&clock->source, memory_order_relaxed) == RCP_CLOCK_TSC))
        return __builtin_ia32_rdtsc();
#elif defined(_M_X64) && defined(_MSC_VER)
    if (rcp_likely(atomic_load_explicit(&clock->source, memory_order_relaxed) == RCP_CLOCK_TSC))
        return __rdtsc();
#elif defined(__aarch64__) && defined(__GNUC__)
    if (rcp_likely(atomic_load_explicit(&clock->source, memory_order_relaxed) == RCP_CLOCK_CNTVCT)) {
        uint64_t ticks;
        __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
        return ticks;
    }
#endif
    return rcp__clock_ticks_slow(clock);
}

/* The scale at this moment, for converting all the figures of one report alike. */
static inline uint64_t rcp_clock_scale(const rcp_clock_t *clock)
{
    return atomic_load_explicit(&clock->scale, memory_order_relaxed);
}

/* Ticks to nanoseconds by a scale from rcp_clock_scale, rounded down, so that the parts never exceed the whole. */
static inline uint64_t rcp_scale_ticks(uint64_t scale, uint64_t ticks)
{
    return rcp__mul_shift32(ticks, scale);
}

/* Ticks to nanoseconds by the present scale. */
static inline uint64_t rcp_ticks_to_ns(const rcp_clock_t *clock, uint64_t ticks)
{
    return rcp_scale_ticks(rcp_clock_scale(clock), ticks);
}

/* The present source. */
static inline uint32_t rcp_clock_source(const rcp_clock_t *clock)
{
    return atomic_load_explicit(&clock->source, memory_order_relaxed);
}

#endif
