"""A thread that loops and notes where it could not."""

import gc
import math
import threading
import time
from typing import Any

KEPT_NS = 20_000
LONG_NS = 1_000_000
"""What counts as a gap that somebody might notice."""


class Loop(threading.Thread):
    """Does nothing but read the clock, and keeps each gap of 0.02 ms and more between two readings.

    It keeps as well when the garbage collector ran, in whichever thread.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._gaps: list[tuple[int, int]] = []
        self._collections: list[list[float]] = []
        gc.callbacks.append(self._collects)
        self._goes_on = True
        self.start()

    def run(self) -> None:
        now, keep = time.perf_counter_ns, self._gaps.append
        last = now()
        while self._goes_on:
            this = now()
            if this - last >= KEPT_NS:
                keep((last, this))
            last = this

    def _collects(self, phase: str, _: dict[str, Any]) -> None:
        if phase == "start":
            self._collections.append([time.perf_counter_ns(), math.inf])
        elif self._collections:
            self._collections[-1][1] = time.perf_counter_ns()

    def end(self) -> None:
        """End the thread and wait for it."""
        self._goes_on = False
        self.join()
        gc.callbacks.remove(self._collects)

    def within(self, start: int, end: int, collector: bool = True) -> list[int]:
        """Return the lengths in ns of the gaps that have a part between two times of `perf_counter_ns`.

        Parameters:
            collector: also those in which the garbage collector ran.
        """
        time.sleep(0.001)  # a gap that is not over yet is not kept yet
        left_out = [] if collector else self._collections
        return [
            this - last
            for last, this in list(self._gaps)
            if last < end and this > start and not any(first < this and then > last for first, then in left_out)
        ]
