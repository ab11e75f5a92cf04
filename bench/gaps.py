"""A thread that loops and notes where it could not."""

import threading
import time

KEPT_NS = 20_000
LONG_NS = 1_000_000
"""What counts as a gap that somebody might notice."""


class Loop(threading.Thread):
    """Does nothing but read the clock, and keeps each gap of 0.02 ms and more between two readings."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._gaps: list[tuple[int, int]] = []
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

    def end(self) -> None:
        """End the thread and wait for it."""
        self._goes_on = False
        self.join()

    def within(self, start: int, end: int) -> list[int]:
        """Return the lengths in ns of the gaps that have a part between two times of `perf_counter_ns`."""
        time.sleep(0.001)  # a gap that is not over yet is not kept yet
        return [this - last for last, this in list(self._gaps) if last < end and this > start]
