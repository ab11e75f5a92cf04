"""The newest slow calls, in memory: some of each function, so that a busy one does not drive out others."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from heapq import nlargest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recompyle.profile.model import SlowCall

__all__ = ["Ring", "add", "clear", "collect", "hand_out", "next_id", "recent"]


class Ring:
    """Slow calls by function, newest kept; safe to use from all threads.

    The lock is re-entrant: while a thread holds it the garbage collector may run a destructor whose slow call
    ends up here as well.
    """

    def __init__(self) -> None:
        self._collectors: tuple[list[SlowCall], ...] = ()
        self.reset()

    def reset(self) -> None:
        """Begin anew with a fresh lock: in the child of a fork a thread that is gone may hold the old one."""
        self._lock = threading.RLock()
        self._newest_id = 0
        self._kept: dict[str, deque[SlowCall]] = {}

    def next_id(self) -> int:
        """The number of the next slow call: 1, 2, 3 ... in this process."""
        with self._lock:
            self._newest_id += 1
            return self._newest_id

    def add(self, report: SlowCall, size: int) -> None:
        """Keep a report, and drop the oldest of the same function beyond `size`; 0 keeps none."""
        with self._lock:
            kept = self._kept.get(report.function)
            if kept is None or kept.maxlen != size:
                kept = self._kept[report.function] = deque(kept or (), maxlen=size)
            kept.append(report)

    def hand_out(self, report: SlowCall) -> None:
        """Add a report to the lists of all open `collect` blocks."""
        for got in self._collectors:
            got.append(report)

    def recent(self, n: int = 10) -> list[SlowCall]:
        """The `n` newest slow calls of all functions, newest first."""
        with self._lock:
            everything = [report for kept in self._kept.values() for report in kept]
        return nlargest(n, everything, key=lambda report: report.id or 0)

    def clear(self) -> None:
        """Forget all slow calls; numbers go on rising."""
        with self._lock:
            self._kept.clear()

    @contextmanager
    def collect(self) -> Iterator[list[SlowCall]]:
        """Collect the slow calls that end in any thread of the process during the block.

        Slow calls that happen inside a sink or callback are left out.
        """
        got: list[SlowCall] = []
        with self._lock:
            self._collectors = (*self._collectors, got)
        try:
            yield got
        finally:
            with self._lock:  # by identity: two lists with the same reports are equal
                self._collectors = tuple(other for other in self._collectors if other is not got)


_ring = Ring()
next_id = _ring.next_id
add = _ring.add
hand_out = _ring.hand_out
recent = _ring.recent
clear = _ring.clear
collect = _ring.collect

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_ring.reset)
