"""What the beginning and end of a fast run cost.

`without calls` is the plain case: a run that times nothing, profiled and bare.

For a run in which 20 sites are touched, the same function with 20 calls in its loop is run in two ways: many
runs of one turn each, and one run of many turns. `20 sites, all in` is what the short runs cost. Per 20
calls, they have a run's beginning, the first touch of each site and the run's end on top of the long run, so

    (short runs profiled - short runs bare) - (long run profiled - long run bare)

is what a run costs beyond its timed calls. It can come out below nothing: a processor that waits for one
thing does another meanwhile, so costs do not simply add up.
"""

import time
from collections.abc import Callable, Iterable
from itertools import repeat

import timing
from subjects import NOTHING, TWENTY
from tools import Tool

TITLE = "Beginning and end of a fast run"
UNIT = "ns"
TOOLS = ("recompyle", "recompyle (system clock)", "flat_profile")
EMPTY, ALL, BEYOND = "without calls", "20 sites, all in", "20 sites, beyond the timed calls"
QUESTIONS = (EMPTY, ALL, BEYOND)
LAUNCHES, ROUNDS = 5, 5
ONE = (None,)


def short_runs(loop: Callable[[Iterable[object]], object], count: int) -> float:
    """Return ns a run for `count` runs of one turn."""
    start = time.perf_counter_ns()
    for _ in repeat(None, count):
        loop(ONE)
    return (time.perf_counter_ns() - start) / count


def long_run(loop: Callable[[Iterable[object]], object], count: int) -> float:
    """Return ns a turn for one run of `count` turns."""
    return timing.elapsed(loop, count) / count


def prepare(tool: Tool, question: str) -> Callable[[], dict[str, float]]:
    subject = NOTHING if question == EMPTY else TWENTY
    loop, bare = tool.instrument(subject), subject.bare
    if subject is TWENTY and tool.events(loop, 1) != 20:
        raise AssertionError("the 20 calls of a run are not all timed")
    runs = 20_000 if subject is NOTHING else 3_000
    short_runs(loop, runs)

    def play_round():
        plus, minus = zip(*(turn() for _ in range(timing.ALTERNATIONS)), strict=True)
        added = [min(column) for column in zip(*plus, strict=True)]
        taken = [min(column) for column in zip(*minus, strict=True)]
        return {"with": sum(added), "bare": sum(taken), "value": sum(added) - sum(taken)}

    def turn():
        if question != BEYOND:
            return (short_runs(loop, runs),), (short_runs(bare, runs),)
        return (
            (short_runs(loop, runs), long_run(bare, runs)),
            (short_runs(bare, runs), long_run(loop, runs)),
        )

    return play_round
