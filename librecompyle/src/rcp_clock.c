#if defined(__linux__) && !defined(_GNU_SOURCE)
#  define _GNU_SOURCE   /* CLOCK_MONOTONIC_RAW, prctl */
#endif

#include "rcp_clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "rcp__internal.h"

#if defined(__APPLE__)
#  include <mach/mach_time.h>
#endif
#if defined(__linux__)
#  include <fcntl.h>
#  include <sys/prctl.h>
#  include <unistd.h>
#endif
#if defined(__x86_64__) && defined(__GNUC__)
#  include <cpuid.h>
#  define HAVE_TSC 1
#elif defined(_M_X64) && defined(_MSC_VER)
#  define HAVE_TSC 1
#endif

#define SECOND UINT64_C(1000000000)

enum {
    pair_tries = 5,                  /* reads of a pair; the tightest counts */
    calibration_ns = 500000,         /* the first comparison of the clocks */
    judged_ns = 10000000,            /* shorter intervals say nothing about 1% */
    tolerated_ns = 50000             /* a pair read while preempted may be off by so much */
};

/* -- The system's clock ----------------------------------------------------------------------------------- */

#if defined(_WIN32)

static const char system_name[] = "qpc";

uint64_t rcp_clock_system_ns(void)
{
    LARGE_INTEGER count, frequency;
    uint64_t per_second;
    QueryPerformanceCounter(&count);
    QueryPerformanceFrequency(&frequency);
    per_second = (uint64_t)frequency.QuadPart;
    return (uint64_t)count.QuadPart / per_second * SECOND
         + (uint64_t)count.QuadPart % per_second * SECOND / per_second;
}

static uint64_t raw_ns(void)
{
    return rcp_clock_system_ns();
}

static double system_resolution_ns(void)
{
    LARGE_INTEGER frequency;
    QueryPerformanceFrequency(&frequency);
    return 1e9 / (double)frequency.QuadPart;
}

#elif defined(__APPLE__)

static const char system_name[] = "mach";

uint64_t rcp_clock_system_ns(void)
{
    mach_timebase_info_data_t base;
    uint64_t ticks = mach_absolute_time();
    mach_timebase_info(&base);
    return ticks / base.denom * base.numer + ticks % base.denom * base.numer / base.denom;
}

static uint64_t raw_ns(void)
{
    return rcp_clock_system_ns();
}

static double system_resolution_ns(void)
{
    mach_timebase_info_data_t base;
    mach_timebase_info(&base);
    return (double)base.numer / (double)base.denom;
}

#else

static const char system_name[] = "system";

static uint64_t read_ns(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

uint64_t rcp_clock_system_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

/* The monotonic clock is steered by NTP; its raw twin runs at the hardware's own rate. */
static uint64_t raw_ns(void)
{
#if defined(CLOCK_MONOTONIC_RAW)
    return read_ns(CLOCK_MONOTONIC_RAW);
#else
    return read_ns(CLOCK_MONOTONIC);
#endif
}

static double system_resolution_ns(void)
{
    struct timespec step;
    clock_getres(CLOCK_MONOTONIC, &step);
    return (double)step.tv_sec * 1e9 + (double)step.tv_nsec;
}

#endif

/* -- The counter ------------------------------------------------------------------------------------------ */

/* Nanoseconds per tick times 2^32, for a frequency in Hz. */
static uint64_t scale_of(double hertz)
{
    return (uint64_t)(1e9 / hertz * 4294967296.0 + 0.5);
}

#if defined(HAVE_TSC)

static void cpuid(uint32_t leaf, uint32_t out[4])
{
#if defined(_MSC_VER)
    int registers[4];
    __cpuidex(registers, (int)leaf, 0);
    memcpy(out, registers, sizeof registers);
#else
    __cpuid_count(leaf, 0, out[0], out[1], out[2], out[3]);
#endif
}

static uint32_t highest_leaf(uint32_t range)
{
    uint32_t r[4];
    cpuid(range, r);
    return r[0];
}

static bool tsc_invariant(void)
{
    uint32_t r[4];
    if (highest_leaf(0x80000000u) < 0x80000007u)
        return false;
    cpuid(0x80000007u, r);
    return (r[3] >> 8 & 1) != 0;
}

/* What the processor or the hypervisor says of the frequency, in Hz; 0 if they say nothing. */
static double stated_frequency(const char **by)
{
    uint32_t r[4];
    cpuid(1, r);
    if (r[2] >> 31) {
        char vendor[13] = "";
        cpuid(0x40000000u, r);
        memcpy(vendor, &r[1], 12);
        /* Only these two define the leaf as the counter's kHz. */
        if (r[0] >= 0x40000010u && (strcmp(vendor, "KVMKVMKVM") == 0 || strcmp(vendor, "VMwareVMware") == 0)) {
            cpuid(0x40000010u, r);
            *by = "the hypervisor";
            return r[0] * 1e3;
        }
    }
    if (highest_leaf(0) >= 0x15) {
        cpuid(0x15, r);
        *by = "CPUID 0x15";
        if (r[0] != 0 && r[1] != 0 && r[2] != 0)
            return (double)r[2] * r[1] / r[0];
    }
    if (highest_leaf(0) >= 0x16) {
        cpuid(0x16, r);
        *by = "CPUID 0x16";
        return (r[0] & 0xffffu) * 1e6;
    }
    return 0;
}

#if defined(__linux__)

/* A process may be forbidden to read the counter; trying it would then be fatal. */
static bool tsc_forbidden(void)
{
    int state = 0;
    return prctl(PR_GET_TSC, &state) == 0 && state != PR_TSC_ENABLE;
}

static void kernel_source(char *name, size_t size)
{
    int fd = open("/sys/devices/system/clocksource/clocksource0/current_clocksource", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, name, size - 1) : 0;
    if (fd >= 0)
        close(fd);
    name[got > 0 ? got : 0] = '\0';
    name[strcspn(name, "\n")] = '\0';
}

#endif

/* May the counter be used? Fills in `why` if not. */
static bool tsc_usable(rcp_clock_t *clock, int want)
{
    if (!tsc_invariant()) {
        snprintf(clock->why, sizeof clock->why, "the processor does not promise a counter of constant rate");
        return false;
    }
#if defined(__linux__)
    if (tsc_forbidden()) {
        snprintf(clock->why, sizeof clock->why, "the process may not read the time stamp counter");
        return false;
    }
    if (want == RCP_CLOCK_WANT_AUTO) {
        char name[32];
        kernel_source(name, sizeof name);
        if (strcmp(name, "tsc") != 0) {
            snprintf(clock->why, sizeof clock->why, "the kernel's clock source is %s, not tsc",
                     name[0] != '\0' ? name : "unknown");
            return false;
        }
    }
#else
    (void)want;
#endif
    return true;
}

#endif

/* -- Pairs ------------------------------------------------------------------------------------------------ */

/* The same moment by the counter and by another clock. Of several tries the one in the shortest bracket. */
static void read_pair(const rcp_clock_t *clock, uint64_t (*other)(void), uint64_t *ticks, uint64_t *ns)
{
    uint64_t narrowest = 0;
    int i;
    for (i = 0; i < pair_tries; i++) {
        uint64_t before = rcp_clock_ticks(clock), between = other(), after = rcp_clock_ticks(clock);
        if (i == 0 || after - before < narrowest) {
            narrowest = after - before;
            *ticks = before + narrowest / 2;
            *ns = between;
        }
    }
}

/* Does 1% or less lie between the two? */
static bool agree(uint64_t a, uint64_t b)
{
    uint64_t difference = a > b ? a - b : b - a;
    return difference <= (a > b ? a : b) / 100;
}

#if defined(HAVE_TSC)

/* In Hz, from the first pair and one some time later. */
static double measured_frequency(rcp_clock_t *clock)
{
    uint64_t ticks, ns;
    read_pair(clock, raw_ns, &clock->first_ticks, &clock->first_raw_ns);
    do
        read_pair(clock, raw_ns, &ticks, &ns);
    while (ns - clock->first_raw_ns < calibration_ns);
    clock->refined_ns = ns - clock->first_raw_ns;
    return (double)(ticks - clock->first_ticks) * 1e9 / (double)clock->refined_ns;
}

#endif

/* -- Choosing --------------------------------------------------------------------------------------------- */

static void use_system(rcp_clock_t *clock)
{
    clock->measured = false;
    clock->base_ticks = clock->base_ns = 0;
    clock->inverse = UINT64_C(1) << 32;
    clock->resolution_ns = system_resolution_ns();
    atomic_store_explicit(&clock->scale, UINT64_C(1) << 32, memory_order_relaxed);
    atomic_store_explicit(&clock->source, RCP_CLOCK_SYSTEM, memory_order_release);
}

/* Try to use the counter; false leaves the reason in `why`. */
static bool use_counter(rcp_clock_t *clock, int want)
{
#if defined(HAVE_TSC)
    const char *by = "measurement";
    double stated, measured;
    if (!tsc_usable(clock, want))
        return false;
    atomic_store_explicit(&clock->source, RCP_CLOCK_TSC, memory_order_relaxed);
    stated = stated_frequency(&by);
    measured = measured_frequency(clock);
    if (!(measured > 1e6)) {
        snprintf(clock->why, sizeof clock->why, "the time stamp counter does not advance");
        return false;
    }
    /* A stated frequency is rounded and sometimes plainly wrong: believe it as far as it can be confirmed. */
    if (!agree((uint64_t)stated, (uint64_t)measured)) {
        by = "measurement";
        stated = measured;
    }
    clock->measured = true;
    clock->resolution_ns = 1e9 / stated;
    atomic_store_explicit(&clock->scale, scale_of(stated), memory_order_relaxed);
    snprintf(clock->why, sizeof clock->why, "invariant counter%s, %.1f MHz by %s",
             want == RCP_CLOCK_WANT_AUTO ? " that the system uses too" : "", stated / 1e6, by);
    return true;
#elif defined(__aarch64__) && defined(__GNUC__)
    uint64_t hertz;
    (void)want;
    __asm__ volatile("mrs %0, cntfrq_el0" : "=r"(hertz));
    if (hertz == 0) {
        snprintf(clock->why, sizeof clock->why, "the counter's frequency is not set");
        return false;
    }
    clock->measured = false;
    clock->resolution_ns = 1e9 / (double)hertz;
    atomic_store_explicit(&clock->scale, scale_of((double)hertz), memory_order_relaxed);
    atomic_store_explicit(&clock->source, RCP_CLOCK_CNTVCT, memory_order_relaxed);
    snprintf(clock->why, sizeof clock->why, "architectural counter, %.1f MHz", (double)hertz / 1e6);
    return true;
#else
    (void)want;
    snprintf(clock->why, sizeof clock->why, "no counter is known for this processor");
    return false;
#endif
}

/* The cheapest of some batches, so that one interrupt does not count. */
static double cost_of_read(const rcp_clock_t *clock)
{
    enum { batches = 8, reads = 64 };
    uint64_t least = UINT64_MAX;
    volatile uint64_t sink;
    int i, j;
    for (i = 0; i < batches; i++) {
        uint64_t begin = rcp_clock_system_ns(), took;
        for (j = 0; j < reads; j++)
            sink = rcp_clock_ticks(clock);
        took = rcp_clock_system_ns() - begin;
        if (took < least)
            least = took;
    }
    (void)sink;
    return (double)least / reads;
}

int rcp_clock_init(rcp_clock_t *clock, int want)
{
    if (want < RCP_CLOCK_WANT_AUTO || want > RCP_CLOCK_WANT_SYSTEM)
        return RCP_EINVAL;
    memset(clock, 0, sizeof *clock);
    atomic_flag_clear(&clock->busy);
    if (want == RCP_CLOCK_WANT_SYSTEM)
        snprintf(clock->why, sizeof clock->why, "asked for");
    if (want == RCP_CLOCK_WANT_SYSTEM || !use_counter(clock, want))
        use_system(clock);
    clock->read_ns = cost_of_read(clock);
    read_pair(clock, rcp_clock_system_ns, &clock->reference_ticks, &clock->reference_ns);
    return 0;
}

const char *rcp_clock_name(const rcp_clock_t *clock)
{
    switch (rcp_clock_source(clock)) {
    case RCP_CLOCK_TSC: return "tsc";
    case RCP_CLOCK_CNTVCT: return "cntvct";
    default: return system_name;
    }
}

/* -- Reading and checking --------------------------------------------------------------------------------- */

uint64_t rcp__clock_ticks_slow(const rcp_clock_t *clock)
{
    /* Pairs with the release in rcp_clock_fall_back, so that the base is seen with the source. */
    atomic_load_explicit(&clock->source, memory_order_acquire);
    return clock->base_ticks + rcp__mul_shift32(rcp_clock_system_ns() - clock->base_ns, clock->inverse);
}

uint64_t rcp_ns_to_ticks(const rcp_clock_t *clock, uint64_t ns)
{
    uint64_t scale = rcp_clock_scale(clock), ticks = 0, rest = ns >> 32;
    int i;
    /* Long division of ns * 2^32 by the scale, a bit at a time: portable, and nobody is in a hurry. */
    if (ns == UINT64_MAX || rest >= scale)
        return UINT64_MAX;
    for (i = 0; i < 64; i++) {
        bool carry = rest >> 63 != 0;
        rest = rest << 1 | (i < 32 ? ns >> (31 - i) & 1 : 0);
        ticks <<= 1;
        if (carry || rest >= scale) {
            rest -= scale;
            ticks |= 1;
        }
    }
    return rest != 0 && ticks != UINT64_MAX ? ticks + 1 : ticks;
}

int rcp_clock_check(rcp_clock_t *clock)
{
    uint64_t ticks, ns, by_ticks, by_system, longer, apart;
    int verdict = RCP_CLOCK_SOUND;
    bool back;
    if (atomic_flag_test_and_set_explicit(&clock->busy, memory_order_acquire))
        return RCP_CLOCK_SOUND;
    if (rcp_clock_source(clock) == RCP_CLOCK_SYSTEM) {
        atomic_flag_clear_explicit(&clock->busy, memory_order_release);
        return RCP_CLOCK_SOUND;
    }
    read_pair(clock, rcp_clock_system_ns, &ticks, &ns);
    back = ticks < clock->reference_ticks;
    by_ticks = rcp_ticks_to_ns(clock, back ? clock->reference_ticks - ticks : ticks - clock->reference_ticks);
    by_system = ns - clock->reference_ns;
    longer = by_ticks > by_system ? by_ticks : by_system;
    apart = back ? by_system + by_ticks : by_ticks > by_system ? by_ticks - by_system : by_system - by_ticks;
    if (longer >= judged_ns) {
        if (apart > tolerated_ns && apart > longer / 100) {
            clock->suspects++;
            verdict = clock->suspects >= 3 ? RCP_CLOCK_UNRELIABLE : RCP_CLOCK_SUSPECT;
            /* A comparison across the fault would spoil the scale: begin a new one. */
            read_pair(clock, raw_ns, &clock->first_ticks, &clock->first_raw_ns);
            clock->refined_ns = SECOND;
        }
        /* Each stretch of time is judged by itself; a long sound past must not hide a fault. */
        clock->reference_ticks = ticks;
        clock->reference_ns = ns;
    }
    atomic_flag_clear_explicit(&clock->busy, memory_order_release);
    return verdict;
}

bool rcp_clock_refine(rcp_clock_t *clock)
{
    uint64_t ticks, ns, scale;
    bool changed = false;
    if (atomic_flag_test_and_set_explicit(&clock->busy, memory_order_acquire))
        return false;
    if (clock->measured && raw_ns() - clock->first_raw_ns >= 2 * clock->refined_ns) {
        read_pair(clock, raw_ns, &ticks, &ns);
        scale = scale_of((double)(ticks - clock->first_ticks) * 1e9 / (double)(ns - clock->first_raw_ns));
        clock->refined_ns = ns - clock->first_raw_ns;
        if (agree(scale, rcp_clock_scale(clock))) {
            changed = scale != rcp_clock_scale(clock);
            atomic_store_explicit(&clock->scale, scale, memory_order_relaxed);
        }
    }
    atomic_flag_clear_explicit(&clock->busy, memory_order_release);
    return changed;
}

void rcp_clock_fall_back(rcp_clock_t *clock)
{
    rcp__lock(&clock->busy);
    if (rcp_clock_source(clock) != RCP_CLOCK_SYSTEM) {
        uint64_t scale = rcp_clock_scale(clock);
        clock->base_ticks = rcp_clock_ticks(clock);
        clock->base_ns = rcp_clock_system_ns();
        clock->inverse = (uint64_t)(18446744073709551616.0 / (double)scale);
        clock->measured = false;   /* the scale stays as it is */
        clock->resolution_ns = system_resolution_ns();
        snprintf(clock->why, sizeof clock->why, "the counter disagreed with the system clock %u times",
                 (unsigned)clock->suspects);
        atomic_store_explicit(&clock->source, RCP_CLOCK_SYSTEM, memory_order_release);
    }
    rcp__unlock(&clock->busy);
    clock->read_ns = cost_of_read(clock);
}
