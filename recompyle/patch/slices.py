"""Work in slices, so that the program's threads need not wait for all of it."""

import time

__all__ = ["Slices", "give_way"]

SLICE = 0.0005  # seconds of this thread's own work


def give_way() -> None:
    """Let another thread run that waits for the interpreter.

    A sleep of no time at all is too short for it to wake up: then this thread has the interpreter back before.
    """
    time.sleep(1e-6)


class Slices:
    """The slices of one piece of work, the first of which begins now."""

    def __init__(self) -> None:
        self._end = time.thread_time() + SLICE

    def next(self) -> None:
        """Give way if the slice is over; to be called often."""
        if time.thread_time() > self._end:
            give_way()
            self._end = time.thread_time() + SLICE
