"""What one timed call costs: the instrumented loop minus the bare loop, divided by the number of calls."""

from collections.abc import Callable

import timing
from subjects import CALLS
from tools import Tool

TITLE = "Cost of one timed call"
UNIT = "ns"
TOOLS = (
    "passages",
    "floor",
    "recompyle",
    "recompyle (system clock)",
    "by hand",
    "cProfile",
    "line_profiler",
    "wrap_calls (no clock)",
    "wrap_calls (timing)",
    "flat_profile",
)
QUESTIONS = tuple(CALLS)
LAUNCHES, ROUNDS = 5, 5
CHECKED_CALLS = 1000


def prepare(tool: Tool, question: str) -> Callable[[], dict[str, float]]:
    """Instrument one kind of call and let the tool show that it times each of them; rounds are ns a call."""
    subject = CALLS[question]
    loop = tool.instrument(subject)
    events = tool.events(loop, CHECKED_CALLS)
    if events is not None and events < CHECKED_CALLS:
        raise AssertionError(f"timed {events} of {CHECKED_CALLS} calls")
    bare = subject.loop(subject.bare)
    timing.fitting_count(bare)
    count = timing.fitting_count(loop)
    return lambda: timing.difference(bare, loop, count)
