"""Slow runs among many fast ones: is each of them reported, and no other?

A run's true length is taken around it by the benchmark. A run that was not meant to be slow but took longer
than the limit, because the machine did something else, is not a false alarm.
"""

import random
import time
from collections.abc import Callable

from tools import Tool

TITLE = "100 slow runs among 5,000"
UNIT = "runs"
TOOLS = ("recompyle",)
MISSED, FALSE = "missed", "false alarms"
QUESTIONS = (MISSED, FALSE)
LAUNCHES, ROUNDS = 3, 1
RUNS, SLOW = 5_000, 100
LIMIT_NS, DELAY_S = 2_000_000, 0.0025


def wait(seconds):
    if seconds:
        time.sleep(seconds)


def work(seconds):
    wait(0)
    wait(seconds)


def prepare(tool: Tool, question: str) -> Callable[[], dict[str, float]]:
    from recompyle import shallow_call_profiler

    reported: set[int] = set()
    number = 0

    def note(report):
        reported.add(number)

    profiled = shallow_call_profiler(LIMIT_NS / 1e9, above_callback=note)(work)

    def play_round():
        nonlocal number
        slow = set(random.Random(20).sample(range(RUNS), SLOW))
        reported.clear()
        false_alarms = 0
        for number in range(RUNS):
            start = time.perf_counter_ns()
            profiled(DELAY_S if number in slow else 0)
            took = time.perf_counter_ns() - start
            false_alarms += number in reported and took < LIMIT_NS
        wrong = len(slow - reported) if question == MISSED else false_alarms
        return {"value": wrong, "reported": len(reported)}

    return play_round
