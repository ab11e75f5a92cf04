"""What it takes to trace a call: the whole of it, the function's own work included.

Loops are short, since other tools take milliseconds an iteration.
"""

import time
from collections.abc import Callable

from tools import Tool

TITLE = "One traced call"
UNIT = "us"
TOOLS = ("recompyle tracefunc", "tracefunc", "snoop")
LONG, SHORT, DEEP = "loop of 1,000", "short call", "recursion of 20"
QUESTIONS = (LONG, SHORT, DEEP)
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


CALLS = {LONG: (loop, 1_000), SHORT: (short, 1), DEEP: (deep, 20)}


def prepare(tool: Tool, question: str) -> Callable[[], dict[str, float]]:
    function, argument = CALLS[question]
    traced = tool.instrument(function)

    def play_round() -> dict[str, float]:
        start = time.perf_counter_ns()
        traced(argument)
        return {"value": (time.perf_counter_ns() - start) / 1000}

    play_round()
    return play_round
