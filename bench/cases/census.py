"""Do calls stay specialised? The interpreter's fast forms of calls, bare and profiled, after a warm-up."""

import dis
from collections import Counter
from collections.abc import Callable
from types import FunctionType

from subjects import CALLS, SPECIALISED
from tools import NEVER_S, Tool, copy_of

TITLE = "Call instructions that lost their specialised form"
UNIT = "lost"
TOOLS = ("recompyle",)
SUBJECTS = {**{name: s for name, s in CALLS.items() if not s.coroutine}, **SPECIALISED}
QUESTIONS = tuple(SUBJECTS)
LAUNCHES, ROUNDS = 1, 1
WARM = 2_000
FAMILIES = ("PRECALL", "CALL", "LOAD_METHOD", "LOAD_SUPER_ATTR")
NOT_YET = ("_ADAPTIVE", "_QUICK")


def specialised(function: FunctionType) -> Counter[str]:
    """Return the specialised call instructions in a function's code, with how often each stands there."""
    plain = dis.get_instructions(function)
    warm = dis.get_instructions(function, adaptive=True)
    return Counter(
        now.opname
        for base, now in zip(plain, warm, strict=True)
        if base.opname.startswith(FAMILIES) and now.opname != base.opname and not now.opname.endswith(NOT_YET)
    )


def prepare(tool: Tool, question: str) -> Callable[[], dict[str, float]]:
    from recompyle import shallow_call_profiler

    bare = SUBJECTS[question].bare
    profiled = shallow_call_profiler(NEVER_S)(copy_of(bare))

    def play_round():
        for function in (bare, profiled):
            function(range(WARM))
        before, after = specialised(bare), specialised(profiled)
        return {"value": (before - after).total(), "specialised": before.total()}

    return play_round
