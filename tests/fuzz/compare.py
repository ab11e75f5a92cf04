"""Runs a program plain and with what it observes rewritten, in each of many ways, and tells what differs."""

from __future__ import annotations

import ast
import functools
import gc
import linecache
import re
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from fuzz import objects
from helpers import Program, Seen, code_differences, differences, run

import recompyle
from recompyle import Assignments, Calls, Clock, Counter, EntryExit, Expressions, Handlers, Loops, Pass, Statements
from recompyle._env import PYTHON
from recompyle.rewrite.passes import is_docstring, is_unrolled
from recompyle.trace.passes import TraceStatements
from recompyle.trace.probes import Tracer

_ADDRESS = re.compile(r"\b0x[0-9a-f]{6}|'0', 'x'")  # in the `repr` of something, which may have been cut into letters


class Passing:
    """A probe in Python."""

    def __getitem__(self, value: Any) -> Any:
        return value

    def __invert__(self) -> None:
        pass


class Everywhere(Pass):
    """A probe written in Python before each statement and round each expression that can be observed."""

    name = "everywhere"

    def __init__(self) -> None:
        probe = Passing()

        def visit(node: Any, at: Any) -> None:
            if isinstance(node, ast.stmt):
                if not is_docstring(node, at.parent(node)):
                    at.mark(node, probe)
            elif at.can_observe(node):
                at.through(node, probe)

        for kind in {*ast.expr.__subclasses__(), *ast.stmt.__subclasses__()} - {ast.Global, ast.Nonlocal}:
            setattr(self, f"visit_{kind.__name__}", visit)


class Guarded(ast.NodeTransformer):
    """Puts a handler round all of a function, in its text, that raises again what it catches."""

    def visit_Module(self, node: ast.Module) -> ast.Module:
        (function,) = node.body
        assert isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        start = 1 if is_docstring(function.body[0], function) else 0
        handler = ast.ExceptHandler(None, None, [ast.Raise()])
        guarded = ast.Try(function.body[start:], [handler], [], [])
        for each in (guarded, handler, handler.body[0]):
            ast.copy_location(each, function.body[-1])
        function.body[start:] = [guarded]
        return node


def hand_on(call: Any, extras: Any, /, *args: Any, **kwargs: Any) -> Any:
    """A wrapper that changes nothing."""
    return call(*args, **kwargs)


def _ready() -> list[Pass]:
    return [
        Calls(Clock), Statements(Counter), Expressions(Counter), Assignments(Counter), Loops(Counter),
        Handlers(Counter), EntryExit(Counter, Counter, Counter),
    ]  # fmt: skip


# name -> the passes of one function. The reports of "always" go nowhere.
PASSES: dict[str, Callable[[], list[Any]]] = {
    "never": lambda: [recompyle.ProfileCalls(-1)],
    "always": lambda: [recompyle.ProfileCalls(0, above_callback=lambda report: None)],
    "wrap": lambda: [recompyle.WrapCalls(hand_on)],
    "wrap-hidden": lambda: [recompyle.WrapCalls(hand_on, hide_wrapper=True)],
    "calls": lambda: [Calls(Counter)],
    "clocks": lambda: [Calls(Clock)],
    "statements": lambda: [Statements(Counter)],
    "expressions": lambda: [Expressions(Counter)],
    "assignments": lambda: [Assignments(Counter)],
    "loops": lambda: [Loops(Counter)],
    "handlers": lambda: [Handlers(Counter)],
    "entry-exit": lambda: [EntryExit(Counter, Counter, Counter)],
    "all": _ready,
    "everywhere": lambda: [Everywhere()],
    # No samples: `repr` of what the programs make tells that it was called.
    "trace": lambda: [TraceStatements(Tracer(1000, 0, 50, None))],
}

# What is more than probes is not compared instruction by instruction.
_OTHER_CODE = ("wrap", "wrap-hidden")

# They have a handler at the end, so that closing a generator runs it from 3.13 on. Documented.
_ENDING = ("never", "always", "entry-exit", "all", "trace")
# They may have a probe behind a `yield`: if a jump leads there, too, CPython reports the line once more after a resume,
# but not if something is in between. Documented.
_BEHIND_YIELD = ("never", "always", "all", "everywhere", "expressions", "assignments", "calls", "clocks", "trace")

# Their marks may make a way out of a function too long to be copied: ways meet before it. Documented.
_JOINING = ("statements", "all", "everywhere", "trace")
# They may have a mark behind, or a probe round, a conditional expression that is a statement of several lines: its
# value is dropped in one place then, which is of one of these lines. Documented.
_DROPPING = (*_JOINING, "expressions")


class Fuzzed:
    """One program, run plain once for each way of watching, and then rewritten as often as wanted."""

    def __init__(self, text: str, number: int, folder: Path) -> None:
        self.text, self.folder = text, folder
        self.program = Program(number, "random", text)
        self.plain: dict[str, Seen] = {}
        self.unsteady = False  # whether it turned out to be different each time by itself
        self.known = False  # whether something differed last time that is documented to

    def differences(
        self, name: str, watches: tuple[str, ...] = ("none", "trace"), make: Callable[[], list[Any]] | None = None
    ) -> list[str]:
        """What differs under some passes, but for what is documented to: that is only noted, in `known`.

        Parameters:
            name: of the passes, from `PASSES`; with ``make`` any other name.
            watches: the ways in which the program is watched; see `helpers.run`.
            make: gives the passes for one function.
        """
        make = make or PASSES[name]
        self.known = False
        if name in _OTHER_CODE and _unrolls(self.text):
            return []
        # A wrapper's arguments keep objects alive a little longer, which is documented.
        text = self.text.replace("finish(True)", "finish(False)") if name.startswith("wrap") else self.text
        found: list[str] = []
        for watch in watches:
            pairs: list[tuple[types.CodeType, types.CodeType]] = []

            def rewrite(target: Any, pairs: Any = pairs, found: list[str] = found) -> Any:
                try:
                    patch = recompyle.apply(target, *make())
                except recompyle.RecompyleError as refusal:
                    found.append(f"refused: {refusal}")
                else:
                    pairs += [(recompyle.pristine(each), each.__code__) for each in patch.functions]
                return target

            key = f"{watch} {text is self.text}"
            if key not in self.plain:
                self.plain[key] = self.run(text, watch)
            try:
                with _cleaned(name == "wrap"):
                    other = self.run(text, watch, rewrite)
            finally:
                recompyle.restore()
            plain = self.plain[key]
            seen = differences(plain, other)
            if seen:
                plain, other = _without_known(plain, name), _without_known(other, name)
                if name in _DROPPING:
                    other = _without_drops(plain, other, _dropped(text))
                if name in _JOINING:
                    other = _with_ends_of(plain, other)
                unknown = differences(plain, other)
                if unknown and not self.is_steady(text, watch, self.plain[key]):
                    seen, unknown, self.unsteady = [], [], True
                if unknown and name in _ENDING and self.frees_as_guarded(text, watch, plain, other):
                    unknown = []
                self.known = self.known or len(unknown) < len(seen)
                found += [f"{watch}: {each}" for each in unknown]
            if watch == watches[0] and name not in _OTHER_CODE:
                for old, new in pairs:
                    unlike = code_differences(old, new, joined=name == "trace")
                    unknown = [each for each in unlike if name not in _DROPPING or not _is_drop(each, text)]
                    self.known = self.known or len(unknown) < len(unlike)
                    found += unknown
        return found

    def frees_as_guarded(self, text: str, watch: str, plain: Seen, other: Seen) -> bool:
        """Whether all that differs is what differs as well where a generator's own text has a handler round all of it.

        From 3.13 on `close()` then runs the generator, and what it holds is freed in another order. Documented.
        """
        if PYTHON < (3, 13) or replace(plain, output="") != replace(other, output=""):
            return False
        try:
            guarded = self.run(text, watch, lambda target: recompyle.apply(target, Guarded()) and target)
        finally:
            recompyle.restore()
        return guarded.output == other.output

    def is_steady(self, text: str, watch: str, seen: Seen) -> bool:
        """Whether a program does the same wherever its objects lie: the order of functions in a set follows that."""
        if _ADDRESS.search(seen.output):
            return False
        for many in range(8):
            moved = [[None] * (size // 8) for size in range(16, 512, 16) for _ in range(5 * many)]
            if differences(seen, self.run(text, watch)):
                return False
            del moved
        return True

    def run(self, text: str, watch: str = "none", rewrite: Any = lambda target: target) -> Seen:
        """What one run of a text shows."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            gc.collect()  # what another program has left is not of interest
        program = Program(self.program.number, "random", text)
        path = self.folder / f"program_{program.number}_random.py"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            linecache.cache.pop(str(path), None)
        return run(program, self.folder, rewrite, watch)


def _unrolls(text: str) -> bool:
    """Whether the compiler makes a loop of a call that is a call where it has a wrapper (from 3.14). Documented."""
    return any(isinstance(node, ast.Call) and is_unrolled(node) for node in ast.walk(ast.parse(text)))


def _without_known(seen: Seen, name: str) -> Seen:
    """What was seen without what is documented to differ.

    Lines just resumed; from 3.13 quick ends of generators; where a coroutine is freed that was never awaited, and
    where a generator that was not run to its end, for a wrapper holds its arguments until it returns.
    """
    events: list[tuple[Any, ...]] = []
    for event in seen.events:
        if name in _BEHIND_YIELD and events and events[-1][0] == "call" and event[:3] == ("line", *events[-1][1:3]):
            continue
        events.append(event)
        kinds = [each[0] for each in events[-3:]]
        is_end = kinds == ["call", "exception", "return"] and events[-2][3] == "GeneratorExit"
        if is_end and name in (*_ENDING, *_OTHER_CODE):
            del events[-3:]
    told = seen.warnings
    if name in _OTHER_CODE:
        told = [each.rpartition(" (")[0] if " was never awaited (" in each else each for each in told]
    return replace(seen, events=events, warnings=told)


def _with_ends_of(plain: Seen, other: Seen) -> Seen:
    """What was seen without the documented lines of functions' ends: one of the lines before once more, or none."""
    events = list(other.events)
    for at, end in enumerate(plain.events):
        if end[0] != "return":
            continue
        ends = [("return", end[1], None, None)]
        if events[at : at + 1] and events[at][:2] == ("line", end[1]):
            ends = [events[at], ("return", *events[at][1:])]
        if events[at : at + len(ends)] == ends:
            events[at : at + len(ends)] = [end]
    return replace(other, events=events)


def _without_drops(plain: Seen, other: Seen, dropped: set[int]) -> Seen:
    """What was seen without the documented line of a value that is dropped, right before that of a `return`."""
    events = list(other.events)
    for at, (line, end) in enumerate(zip(plain.events, plain.events[1:], strict=False)):
        is_short = line[0] == "line" and end == ("return", *line[1:])
        if is_short and events[at + 1 : at + 2] == [line] and events[at][:2] == line[:2] and events[at][2] in dropped:
            del events[at]
    return replace(other, events=events)


@functools.lru_cache(maxsize=1)
def _dropped(text: str) -> set[int]:
    """The lines of statements of several lines that are but a conditional expression."""
    return {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr) and isinstance(node.value, (ast.IfExp, ast.BoolOp))
        for line in range(node.lineno, (node.end_lineno or 0) + 1)
        if node.end_lineno != node.lineno
    }


def _is_drop(difference: str, text: str) -> bool:
    """Whether two code objects differ in where such a statement drops its value."""
    gone = re.search(r"instruction \('POP_TOP', '', \((\d+),\)\) is gone", difference)
    return gone is not None and int(gone[1]) in _dropped(text)


@contextmanager
def _cleaned(wanted: bool) -> Iterator[None]:
    """Takes the wrapper's frames out of what is caught."""
    if wanted:
        objects.seen = recompyle.clean_traceback
    try:
        yield
    finally:
        objects.seen = _nothing


def _nothing(error: BaseException) -> None:
    pass


objects.seen = _nothing
