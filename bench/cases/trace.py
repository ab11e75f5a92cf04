"""What it takes to trace a call: the whole of it, the function's own work included.

The function was traced before. The long loop is for tools that do not take milliseconds an iteration.
"""

import time
from collections.abc import Callable

from tools import TOOLS as TOOLS_BY_NAME
from tools import Tool

TITLE = "One traced call"
UNIT = "us"
TOOLS = ("untraced", "recompyle tracefunc", "tracefunc", "snoop")
FAST = ("untraced", "recompyle tracefunc")
HUGE, LONG, SHORT, DEEP = "loop of 1,000,000", "loop of 1,000", "short call", "recursion of 20"
QUESTIONS = (HUGE, LONG, SHORT, DEEP)
LAUNCHES, ROUNDS = 3, 3


def loop(n):
    total = 0
    for i in range(n):
        a = i & 7
        b = a * 3
        total += b
    return total


def short(x):
    y = x + 1
    return y


def deep(n):
    if n == 0:
        return 0
    return deep(n - 1) + 1


CALLS = {HUGE: (loop, 1_000_000), LONG: (loop, 1_000), SHORT: (short, 1), DEEP: (deep, 20)}


def prepare(tool: Tool, question: str) -> Callable[[], dict[str, float]]:
    if question == HUGE and not isinstance(tool, tuple(TOOLS_BY_NAME[name] for name in FAST)):
        raise ValueError("an hour a round")
    function, argument = CALLS[question]
    traced = tool.instrument(function)

    def play_round() -> dict[str, float]:
        start = time.perf_counter_ns()
        traced(argument)
        return {"value": (time.perf_counter_ns() - start) / 1000}

    play_round()
    return play_round
