"""Timing two forms of one loop against each other inside a process."""

import os
import time
from collections.abc import Callable, Iterable
from itertools import repeat

ALTERNATIONS = 3
SLICE_NS = 6_000_000
"""How long one loop runs: long against the clock, short against the time slice of a busy machine."""

Loop = Callable[[Iterable[object]], object]


def elapsed(loop: Loop, count: int) -> int:
    """Run `loop` over `count` items and return the nanoseconds it took."""
    items = repeat(None, count)
    start = time.perf_counter_ns()
    loop(items)
    return time.perf_counter_ns() - start


def fitting_count(loop: Loop, slice_ns: int = SLICE_NS) -> int:
    """Return how many items keep `loop` busy for about `slice_ns` ns; warms it up on the way."""
    count = 100
    while (spent := elapsed(loop, count)) < slice_ns // 4:
        count *= 2
    return max(1, round(count * slice_ns / spent))


def difference(bare: Loop, other: Loop, count: int) -> dict[str, float]:
    """Run both loops in turns and return ns an item.

    The result has `bare`, `with` (the lowest of each) and `value`, their difference.
    """
    turns = [(elapsed(bare, count), elapsed(other, count)) for _ in range(ALTERNATIONS)]
    lowest_bare = min(a for a, _ in turns) / count
    lowest_other = min(b for _, b in turns) / count
    return {"bare": lowest_bare, "with": lowest_other, "value": lowest_other - lowest_bare}


def use_all_processors() -> None:
    """Let this process, which was given one processor, use all: for what two threads or processes do at once."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
