"""Giving way to other threads without waiting long for one's own turn.

A thread that computes gives the interpreter up only when another one has waited for the switch interval, 5 ms. Work that
gives way after each slice would wait that long each time: so for as long as it waits that interval is short.
"""

import os
from sys import getswitchinterval, setswitchinterval
from time import sleep

__all__ = ["ROUNDING", "TURN", "give_way"]

TURN = 0.0007  # seconds for which another thread runs in between, at most
PAUSE = 5e-5  # seconds that are slept; with none at all this thread would be back before another one has woken up
ROUNDING = 4e-7  # seconds, to be added to an interval that is set: it is cut off to whole microseconds


cdef class _Shortened:
    """How many threads wait with a short interval. None of this is interrupted: it is C code that holds the interpreter."""

    cdef int waiting
    cdef double before
    cdef double cut

    cdef int begin(self) except -1:
        if self.waiting == 0:
            self.before = getswitchinterval()
            self.cut = min(self.before, <double>TURN)
            setswitchinterval(self.cut + ROUNDING)
        self.waiting += 1
        return 0

    cdef int end(self) except -1:
        if self.waiting == 0:  # a signal handler has forked meanwhile
            return 0
        self.waiting -= 1
        if self.waiting == 0 and abs(<double>getswitchinterval() - self.cut) < ROUNDING:
            setswitchinterval(self.before + ROUNDING)  # nobody has set another one meanwhile
        return 0

    def forked(self):
        """In a child process: those that waited are not there."""
        if self.waiting:
            self.waiting = 1
            self.end()


_shortened = _Shortened()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_shortened.forked)


def give_way():
    """Let another thread run that waits for the interpreter, for `TURN` at most if it computes.

    While this waits, `sys.getswitchinterval` is at most `TURN`; then it is what it was before, or what somebody has set
    meanwhile.
    """
    cdef _Shortened shortened = _shortened
    shortened.begin()
    try:
        sleep(PAUSE)
    finally:
        shortened.end()
