"""What a slow run costs on top of a fast one: its report built, put into the ring and handed to a callback.

The same function, with 20 calls, runs once with a limit that is never reached and once with a limit of 0.
"""

from collections.abc import Callable

import timing
from cases.fast_run import ONE, short_runs
from subjects import TWENTY
from tools import NEVER_S, Tool, copy_of

TITLE = "One report, 20 sites, on top of a fast run"
UNIT = "us"
TOOLS = ("recompyle",)
QUESTIONS = ("report to a callback",)
LAUNCHES, ROUNDS = 3, 5


def prepare(tool: Tool, question: str) -> Callable[[], dict[str, float]]:
    from recompyle import shallow_call_profiler

    reports = 0

    def count(report):
        nonlocal reports
        reports += 1

    fast = shallow_call_profiler(NEVER_S, above_callback=count)(copy_of(TWENTY.bare))
    slow = shallow_call_profiler(0, above_callback=count)(copy_of(TWENTY.bare))
    fast(ONE)
    slow(ONE)
    if reports != 1:
        raise AssertionError(f"{reports} reports of one slow run")
    runs = 200

    def play_round():
        turns = [(short_runs(fast, runs), short_runs(slow, runs)) for _ in range(timing.ALTERNATIONS)]
        bare, other = min(a for a, _ in turns), min(b for _, b in turns)
        return {"bare": bare / 1000, "with": other / 1000, "value": (other - bare) / 1000}

    return play_round
