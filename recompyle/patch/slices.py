"""Work in slices, so that the program's threads need not wait for all of it."""

import time
from typing import Any

__all__ = ["Slices", "empty", "give_way"]

SLICE = 0.0007  # seconds, for which others stand still


def give_way() -> None:
    """Let another thread run that waits for the interpreter.

    A sleep of no time at all is too short for it to wake up: then this thread has the interpreter back before.
    """
    time.sleep(1e-6)


class Slices:
    """The slices of one piece of work, the first of which begins now."""

    def __init__(self) -> None:
        self._end = time.perf_counter() + SLICE

    def next(self) -> None:
        """Give way if the slice is over; to be called often."""
        if time.perf_counter() > self._end:
            give_way()
            self._end = time.perf_counter() + SLICE


def empty(items: list[Any]) -> None:
    """Let go of the items of a list, in slices: to free thousands at once takes milliseconds."""
    slices = Slices()
    while items:
        del items[-100:]
        slices.next()
