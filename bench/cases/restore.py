"""What is left when the profiler is gone: calls of a restored function against its untouched twin."""

from collections.abc import Callable

import timing
from tools import NEVER_S, Tool

TITLE = "Calls of a function that was profiled and restored, against one that never was"
UNIT = "ns"
TOOLS = ("recompyle",)
RESTORED, CONTROL, PROFILED = "restored", "neither was profiled", "profiled"
QUESTIONS = (RESTORED, CONTROL, PROFILED)
LAUNCHES, ROUNDS = 5, 7


def target(x):
    return abs(x)


def twin(x):
    return abs(x)


def call_target(items):
    for _ in items:
        target(1)


def call_twin(items):
    for _ in items:
        twin(1)


def prepare(tool: Tool, question: str) -> Callable[[], dict[str, float]]:
    import recompyle

    original = target.__code__
    counts = [timing.fitting_count(loop) for loop in (call_twin, call_target)]
    if question != CONTROL:
        patch = recompyle.apply(target, recompyle.ProfileCalls(NEVER_S))
        timing.fitting_count(call_target)
        if question == RESTORED:
            patch.restore()
            if target.__code__ is not original:
                raise AssertionError("the original code object is not back")
            timing.fitting_count(call_target)
    return lambda: timing.difference(call_twin, call_target, min(counts))
