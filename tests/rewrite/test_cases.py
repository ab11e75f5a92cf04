"""Each hard case, in each mode: the program runs plain and rewritten, and nothing may differ.

rewrite  the copies that `recompyle.rewrite` makes, with probes round all calls
every    in place, with probes written in Python round every expression that may be observed
swap     in place, with probes round all calls; restored between the two calls of ``main()``
report   by the decorator, as users write it, and every run makes a report
"""

from __future__ import annotations

import ast
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import Program, accounting_faults, code_differences, differences, load_programs, run

import recompyle

PROGRAMS = load_programs(Path(__file__).parent / "cases")


class Passing:
    """A probe in Python that hands on what it gets, and counts."""

    def __init__(self) -> None:
        self.hits = 0

    def __getitem__(self, value: Any) -> Any:
        self.hits += 1
        return value


class EveryExpression(recompyle.Pass):
    """One probe round each expression that can be observed."""

    name = "every expression"

    def __init__(self) -> None:
        self.probe = Passing()
        self.asked = 0

    def visit(self, node: ast.expr, at: Any) -> None:
        if at.can_observe(node):
            self.asked += 1
            at.through(node, self.probe)

    def __getattr__(self, name: str) -> Any:
        kind = getattr(ast, name.removeprefix("visit_"), None)
        if name.startswith("visit_") and isinstance(kind, type) and issubclass(kind, ast.expr):
            return self.visit
        raise AttributeError(name)


class Mode:
    """What `observe` means in one mode, and what is known afterwards.

    pairs    original and rewritten code object of each function
    refused  the exceptions with which targets were refused
    """

    def __init__(self) -> None:
        self.pairs: list[tuple[types.CodeType, types.CodeType]] = []
        self.refused: list[str] = []
        self.patches: list[Any] = []

    def observe(self, target: Any) -> Any:
        try:
            return self.rewritten(target)
        except recompyle.errors.RecompyleError as error:
            self.refused.append(f"{type(error).__name__}: {error}")
            return target

    def rewritten(self, target: Any) -> Any:
        raise NotImplementedError

    def apply(self, target: Any, *passes: Any) -> None:
        before = {id(f): f.__code__ for f in recompyle.patch.resolve.functions_of(target)}
        patch = recompyle.apply(target, *passes)
        self.patches.append(patch)
        self.pairs += [(before[id(f)], f.__code__) for f in patch.functions]

    def between(self) -> None:
        """Called between the two calls of ``main()``."""

    def after(self) -> None:
        """Called at the end, also after a failure."""
        for patch in self.patches:
            patch.restore()

    def check(self) -> None:
        """What this mode promises beside an equal run."""


class Copies(Mode):
    def rewritten(self, target: Any) -> Any:
        if not isinstance(target, types.FunctionType):
            self.apply(target, recompyle.ProfileCalls(-1))
            return target
        copy = recompyle.rewrite(target, recompyle.ProfileCalls(-1))
        assert copy is not target
        self.pairs.append((target.__code__, copy.__code__))
        return copy


class Every(Mode):
    def __init__(self) -> None:
        super().__init__()
        self.passes: list[EveryExpression] = []

    def rewritten(self, target: Any) -> Any:
        self.passes.append(EveryExpression())
        self.apply(target, self.passes[-1])
        return target

    def check(self) -> None:
        asked = sum(each.asked for each in self.passes)
        assert not asked or sum(each.probe.hits for each in self.passes)


class Swap(Mode):
    def rewritten(self, target: Any) -> Any:
        self.apply(target, recompyle.ProfileCalls(-1))
        return target

    def between(self) -> None:
        functions = [function for patch in self.patches for function in patch.functions]
        self.after()
        for function in functions:
            assert function.__code__ is recompyle.pristine(function)


class Report(Mode):
    def __init__(self) -> None:
        super().__init__()
        self.reports: list[Any] = []

    def rewritten(self, target: Any) -> Any:
        decorated = recompyle.shallow_call_profiler(time_limit=0, above_callback=self.reports.append)(target)
        assert decorated is target
        return decorated

    def after(self) -> None:
        recompyle.restore()

    def check(self) -> None:
        assert self.reports
        for report in self.reports:
            assert accounting_faults(report) == []
            assert report.finished in ("return", "raise", "close")


MODES: dict[str, Callable[[], Mode]] = {"rewrite": Copies, "every": Every, "swap": Swap, "report": Report}


@pytest.fixture
def restored() -> Iterator[None]:
    """Whatever a test leaves rewritten is put back."""
    yield
    recompyle.restore()


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize("mode_name", MODES)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.id)
def test_nothing_differs(program: Program, mode_name: str, tmp_path: Path) -> None:
    if reason := program.excuse(mode_name):
        pytest.skip(reason)
    for watch in program.watches:
        mode = MODES[mode_name]()
        plain = run(program, tmp_path, watch=watch)
        try:
            rewritten = run(program, tmp_path, mode.observe, watch, mode.between)
        finally:
            mode.after()
        assert differences(plain, rewritten) == [], watch
        if program.refused is None or mode_name == "report":
            assert mode.refused == []
            mode.check()
        else:
            assert mode.refused
            assert {reason.split(":")[0] for reason in mode.refused} == {program.refused}
        if program.refused is None and mode_name != "report":
            assert mode.pairs
        for old, new in mode.pairs:
            assert code_differences(old, new) == []
