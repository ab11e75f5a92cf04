"""What instrumentation costs the program: one hit measured once, all hits watched."""

import time
from collections.abc import Callable, Iterable
from functools import cache
from types import FunctionType
from typing import Any

from recompyle.live._guard import Guard, Hits
from recompyle.live.record import Record
from recompyle.patch.turns import give_way

__all__ = ["CAP", "Watch", "ns_per_hit"]

CAP = 0.05  # of one core
SECONDS = 3  # in a row, above the cap
CALLS, ROUNDS = 5000, 5


def _nothing(*given: object) -> None:
    pass


@cache
def ns_per_hit(mode: str) -> float:
    """What one hit takes here, in nanoseconds; the program's hook itself not counted.

    Parameters:
        mode: ``counter`` or ``hook``.
    """
    from recompyle import inject

    hits = Hits("cost")
    edit = inject.Edit("entry", hits)
    if mode == "hook":
        edit = inject.Edit("entry", Guard(hits, _nothing), form="hook", argument="cost")
    probed = FunctionType(inject.write(_nothing.__code__, [edit]), {})
    plain = FunctionType(_nothing.__code__.replace(), {})
    return max(1.0, (_best(probed) - _best(plain)) / CALLS)


def _best(function: Callable[[], Any]) -> float:
    """The shortest time of many calls, in nanoseconds."""
    best = float("inf")
    for _ in range(ROUNDS):
        begin = time.perf_counter_ns()
        for _ in range(CALLS):
            function()
        best = min(best, time.perf_counter_ns() - begin)
        give_way()
    return best


class Watch:
    """Tells when probes cost too much. Ask it once a second.

    Parameters:
        cap: the part of one core that they may take; None: any.
    """

    def __init__(self, cap: float | None):
        self._cap = cap
        self._before: dict[Record, tuple[int, float]] = {}
        self._above = 0

    def dearest(self, records: Iterable[Record], now: float) -> tuple[Record, float] | None:
        """The probe to be taken out.

        Parameters:
            records: those that may be.
            now: the time in seconds.

        Returns:
            The record, and the part of a core that all of them took; None while they cost little, or not for long.
        """
        before, costs = self._before, {}
        self._before = {}
        for record in records:
            if record.state == "on" and record.hits is not None and record.mode is not None:
                hits = record.hits.count
                self._before[record] = hits, now
                was, at = before.get(record, (hits, now))
                if now > at:
                    costs[record] = (hits - was) * ns_per_hit(record.mode) / 1e9 / (now - at)
        total = sum(costs.values())
        self._above = self._above + 1 if self._cap is not None and total > self._cap else 0
        if self._above < SECONDS:
            return None
        self._above = 0
        return max(costs, key=costs.__getitem__), total
