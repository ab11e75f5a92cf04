"""Work in slices, so that the program's threads need not wait for all of it."""

import time
from typing import Any

from recompyle.patch.turns import give_way

__all__ = ["between", "empty"]

SLICE = 0.0005  # seconds, for which others stand still
# When the slice that runs is over. To all others the work of several of our threads, one after another, is one; so it
# is not known where it has begun, and after a rest the first step gives way.
_over = 0.0


def between() -> None:
    """Give way if the slice is over; to be called often, between two steps."""
    global _over
    if not _over - SLICE <= time.perf_counter() <= _over:  # tests of others may turn that clock back
        give_way()
        _over = time.perf_counter() + SLICE


def empty(items: list[Any]) -> None:
    """Let go of the items of a list, in slices: to free thousands at once takes milliseconds."""
    while items:
        del items[-100:]
        between()
