"""Each hard case of the AST writer, every call going through a wrapper that hands on: nothing may differ.

The wrapper's frames are hidden, or cleaned away when the program ends, so tracebacks must be equal to the letter. Not
hidden, the wrapper stands in the code itself; hidden, a probe leads to it. The programs are also traced; calls of
builtins begin in the wrapper's frame, so what `sys.setprofile` and `sys.monitoring` say of calls is not compared.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import helpers
import pytest
from helpers import Program, differences, load_programs, run

import recompyle

PROGRAMS = load_programs(Path(__file__).parents[1] / "rewrite" / "cases")

# What a frame more, or a reference more, must change.
DIFFERENT = {
    21: "the callee looks at the frame that called it, which is the wrapper's",
    22: "the callee warns at the line of its caller, which is in the wrapper",
    23: "the callee looks for its caller in the frames",
    104: "a wrapper's frame counts towards the limit of the recursion",
    129: "the wrapper's arguments hold references",
    135: "the callee looks at the frame that called it, which is the wrapper's",
    149: "builtins are called in the wrapper's frame",
    155: "builtins allocate in the wrapper's frame",
    160: "the callee looks at the instruction that called it, which is in the wrapper",
}

# What differs in the events of a trace function alone, from a version on.
DIFFERENT_TRACED = {
    27: ((3, 14), "the compiler unrolls `any(... for ...)`, but calls it where it has a wrapper"),
    **dict.fromkeys(
        (24, 26, 70), ((3, 15), "the compiler unrolls `list(... for ...)`, but calls it where it has a wrapper")
    ),
}

# What differs only if the wrapper stands in the code itself and is not hidden.
DIFFERENT_DIRECT = {
    **dict.fromkeys((92, 93, 94), "the program itself looks at tracebacks, where the wrapper stands"),
    150: "the wrapper is what is called, to `sys.monitoring`",
}


def hand_on(call: Any, extras: Any, /, *args: Any, **kwargs: Any) -> Any:
    return call(*args, **kwargs)


class Wrapped:
    """Wraps the calls of what a program observes; refusals are kept."""

    def __init__(self, hide: bool) -> None:
        self.hide = hide
        self.refused: list[str] = []
        self.done = 0

    def observe(self, target: Any) -> Any:
        try:
            patch = recompyle.apply(target, recompyle.WrapCalls(hand_on, hide_wrapper=self.hide))
        except recompyle.RecompyleError as error:
            self.refused.append(f"{type(error).__name__}: {error}")
        else:
            self.done += len(patch.functions)
        return target


@pytest.mark.parametrize("hide", [True, False], ids=["probe", "direct"])
@pytest.mark.parametrize("watch", ["none", "trace"])
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.id)
def test_nothing_differs(
    program: Program, watch: str, hide: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if reason := program.excuse():
        pytest.skip(reason)
    if program.number in DIFFERENT:
        pytest.skip(DIFFERENT[program.number])
    since, cause = DIFFERENT_TRACED.get(program.number, ((99,), ""))
    if watch == "trace" and sys.version_info >= since:
        pytest.skip(cause)
    if watch not in program.watches:
        pytest.skip("the program is not to be traced")
    if not hide:
        if program.number in DIFFERENT_DIRECT:
            pytest.skip(DIFFERENT_DIRECT[program.number])
        shown = helpers._traceback_of
        monkeypatch.setattr(helpers, "_traceback_of", lambda error, path: shown(recompyle.clean_traceback(error), path))
    wrapped = Wrapped(hide)
    plain = run(program, tmp_path, watch=watch)
    other = run(program, tmp_path, wrapped.observe, watch)
    assert differences(plain, other) == []
    if program.refused is None:
        assert wrapped.refused == []
        assert wrapped.done
    else:
        assert {reason.split(":")[0] for reason in wrapped.refused} == {program.refused}
