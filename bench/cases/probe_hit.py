"""What a probe in compiled code costs each time it is reached: a call with it minus a call of an untouched twin."""

from collections.abc import Callable

import timing
from tools import Tool

TITLE = "Cost of one call through probes of the code-object writer"
UNIT = "ns"
TOOLS = ("recompyle",)
ENTRY, RETURN, ALL = "entry", "return, value form", "entry, return and unwind"
HOOK, RESTORED, CONTROL = "entry hook, empty Python function", "restored", "neither has probes"
QUESTIONS = (ENTRY, RETURN, ALL, HOOK, RESTORED, CONTROL)
LAUNCHES, ROUNDS = 5, 9
CHECKED_CALLS = 1000


def target(x):
    return x


def twin(x):
    return x


def call_target(items):
    for _ in items:
        target(1)


def call_twin(items):
    for _ in items:
        twin(1)


def hook(name):
    pass


def prepare(tool: Tool, question: str) -> Callable[[], dict[str, float]]:
    """Put the probes in, let them show that they count each call, and return the round."""
    import recompyle
    from recompyle.inject import Edit, SlotCounter

    memory = bytearray(8)
    counter = SlotCounter(memory)
    edits = {
        ENTRY: [Edit("entry", counter)],
        RETURN: [Edit("return", counter, "value")],
        ALL: [Edit("entry", counter), Edit("return", counter, "value"), Edit("unwind", counter, "value")],
        HOOK: [Edit("entry", hook, "hook", argument="target"), Edit("entry", counter)],
        RESTORED: [Edit("entry", counter)],
        CONTROL: [],
    }[question]
    counts = [timing.fitting_count(loop) for loop in (call_twin, call_target)]
    if edits:
        patch = recompyle.apply(target, *edits)
        call_target(range(CHECKED_CALLS))
        if counter.count != CHECKED_CALLS * (2 if question == ALL else 1):
            raise AssertionError(f"counted {counter.count} times in {CHECKED_CALLS} calls")
        if question == HOOK:  # without the counter that the count was taken with
            patch.restore()
            recompyle.apply(target, edits[0])
        elif question == RESTORED:
            patch.restore()
        timing.fitting_count(call_target)
    return lambda: timing.difference(call_twin, call_target, min(counts))
