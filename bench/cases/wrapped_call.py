"""What a wrapper round a call costs: the wrapped loop minus the bare loop, divided by the number of calls.

All tools call the same wrapper, a Python function that takes and hands on any arguments. Most of the cost is that
function's own; `wrapper by hand` calls it in the source, and no tool can be faster than that.
"""

from collections.abc import Callable

import timing
from subjects import CALLS
from tools import Tool

TITLE = "Cost of one wrapped call"
UNIT = "ns"
TOOLS = ("wrapper by hand", "recompyle wrap_calls", "wrap_calls (no clock)")
SUBJECTS = {name: subject for name, subject in CALLS.items() if subject.wrapped is not None}
QUESTIONS = tuple(SUBJECTS)
LAUNCHES, ROUNDS = 5, 5


def prepare(tool: Tool, question: str) -> Callable[[], dict[str, float]]:
    subject = SUBJECTS[question]
    loop, bare = tool.instrument(subject), subject.loop(subject.bare)
    timing.fitting_count(bare)
    count = timing.fitting_count(loop)
    return lambda: timing.difference(bare, loop, count)
