# cython: language_level=3, boundscheck=False
"""The yardstick: two probe objects that read the time stamp counter and do nothing else.

No profiler that puts a C object before and behind a call can be cheaper than this, so every timed call is
shown as a multiple of it. It shares no code with the package it is compared with.
"""

from libc.stdint cimport int64_t

cdef extern from *:
    """
    #include <stdint.h>
    #if defined(__x86_64__) || defined(_M_X64)
    #  ifdef _MSC_VER
    #    include <intrin.h>
    #  else
    #    include <x86intrin.h>
    #  endif
    static inline int64_t floor_ticks(void) { return (int64_t)__rdtsc(); }
    #elif defined(__aarch64__)
    static inline int64_t floor_ticks(void) { int64_t t; __asm__ volatile("mrs %0, cntvct_el0" : "=r"(t)); return t; }
    #else
    #  include <time.h>
    static inline int64_t floor_ticks(void)
    { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec; }
    #endif
    """
    int64_t floor_ticks() noexcept nogil


cdef class Stamp:
    """A probe that stores the counter each time a value passes through it: `stamp[value]` is `value`."""

    cdef int64_t _ticks

    def __getitem__(self, value):
        self._ticks = floor_ticks()
        return value

    @property
    def ticks(self) -> int:
        """The counter at the last passage, in ticks of the processor; 0 before the first."""
        return self._ticks


cdef class Passage:
    """A probe that hands on its value and does nothing at all: what the interpreter alone costs."""

    def __getitem__(self, value):
        return value
