"""Small probes that passes are built from: a counter, a clock, a constant, and a coat for foreign objects."""

cimport cython
from libc.stdint cimport uint64_t

from recompyle._c.probe cimport Probe
from recompyle._c.rcp_clock cimport rcp_clock_system_ns
from recompyle._c.state cimport recompyle_frame, recompyle_thread_state


cdef extern from "count.h":
    void recompyle_count(uint64_t number) noexcept

cdef extern from "Python.h":
    object PyLong_FromVoidPtr(void *pointer)


cdef class Counter(Probe):
    """Counts how often it is reached, as a mark or by a value. No thread loses a count to another.

    Parameters:
        site: what it stands for, such as a `Site`; only kept.

    Attributes:
        site: as given.
        count: how often so far; may be set.
    """

    cdef readonly object site
    cdef public uint64_t count

    def __init__(self, site=None):
        self.site = site

    def __getitem__(self, value):
        recompyle_count(self.count)
        return value

    def __invert__(self):
        recompyle_count(self.count)

    def __repr__(self):
        return f"<Counter {self.count}>"


cdef class Clock:
    """Times what runs between its two probes, for `Cursor.around`.

    One clock may serve any number of places, generators, recursive functions and threads, as long as no two of its
    pairs are open in one frame at once. A run that an exception ended is not counted.

    Parameters:
        site: what it stands for, such as a `Site`; only kept.

    Attributes:
        site: as given.
        start, end: the two probes.
        count: how many runs have ended.
        total_ns, max_ns: how long they took together, and the longest, in nanoseconds.
    """

    cdef readonly object site
    cdef readonly object start
    cdef readonly object end
    cdef readonly uint64_t count
    cdef readonly uint64_t total_ns
    cdef readonly uint64_t max_ns
    # The newest start, and below it others that are open. A later frame at the same address overwrites what an
    # exception left behind.
    cdef const void *frame
    cdef uint64_t started
    cdef dict below

    def __init__(self, site=None):
        self.site = site
        self.below = {}
        self.start = _Start(self)
        self.end = _End(self)

    def __repr__(self):
        return f"<Clock {self.count} runs, {self.total_ns} ns>"

    # The table fails without memory and, as keys are compared, at the limit of the recursion. What a probe meets there
    # must not reach the program, so that one measurement is lost.

    cdef void begin(self) noexcept:
        cdef const void *frame = recompyle_frame(recompyle_thread_state())
        with cython.critical_section(self):
            if self.frame != NULL and self.frame != frame:
                try:
                    self.below[PyLong_FromVoidPtr(<void *>self.frame)] = self.started
                except Exception:
                    pass
            self.frame = frame
            self.started = rcp_clock_system_ns()

    cdef void finish(self) noexcept:
        cdef uint64_t now = rcp_clock_system_ns(), started = 0
        cdef const void *frame = recompyle_frame(recompyle_thread_state())
        with cython.critical_section(self):
            if self.frame == frame:
                self.frame = NULL
                started = self.started
            else:
                try:
                    started = self.below.pop(PyLong_FromVoidPtr(<void *>frame), 0)
                except Exception:
                    pass
            if started:
                self.count += 1
                self.total_ns += now - started
                self.max_ns = max(self.max_ns, now - started)


cdef class _Start(Probe):
    cdef Clock clock

    def __init__(self, clock):
        self.clock = clock

    def __getitem__(self, value):
        self.clock.begin()
        return value

    def __invert__(self):
        self.clock.begin()
        return self.clock.end


cdef class _End(Probe):
    cdef Clock clock

    def __init__(self, clock):
        self.clock = clock

    def __getitem__(self, value):
        self.clock.finish()
        return value


cdef class Held(Probe):
    """Gives the very object it holds, as ``~held``: to the compiler no constant, so that nothing folds it away."""

    cdef readonly object value

    def __init__(self, value):
        self.value = value

    def __invert__(self):
        return self.value


cdef class Coat(Probe):
    """A coat for a probe with an equality of its own: code objects hash and compare their constants."""

    cdef readonly object probe

    def __init__(self, probe):
        self.probe = probe

    def __getitem__(self, value):
        return self.probe[value]

    def __invert__(self):
        return ~self.probe
