"""Runs a program as it stands and with chosen functions rewritten, and compares everything that can be seen.

A *program* is a short module with a function ``main()``. It hands the functions that are to be rewritten to
``observe``, as a decorator or by a call, anywhere: at module level, in a class body, inside a function. What
``observe`` does is the caller's choice; in the plain run it hands its argument back.

The programs stand in text files, many in one file. A program begins with a heading line::

    === NUMBER SLUG [key=value ...]

and reaches to the next heading; text before the first heading is a remark. The keys:

    since=3.12    the first CPython version that can compile or run it
    until=3.13    the last version on which it is promised to behave the same
    modes=a,b     the only modes it is run in (default: all)
    watch=none    it is not run under a tracer, a profile function and the monitoring interface
    raises=NAME   ``main()`` ends with this exception (or one of several: A,B); without the key it must return
    refused=NAME  each ``observe`` must be refused with this exception
"""

from __future__ import annotations

import contextlib
import dis
import functools
import gc
import importlib.util
import io
import itertools
import re
import sys
import traceback
import types
import warnings
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WATCHES = ("none", "trace", "profile", "monitor")

_TOOL = 4  # a tool number of sys.monitoring that no known tool takes for itself

# From 3.12 on a handler at the end of a rewritten function adds EXCEPTION_HANDLED and RERAISE events for each
# exception that leaves it. That is documented; all other events must be the same.
_MONITORED = (
    "LINE", "CALL", "C_RETURN", "C_RAISE", "PY_START", "PY_RETURN", "PY_YIELD", "PY_RESUME", "PY_THROW",
    "PY_UNWIND", "RAISE",
)  # fmt: skip


# -- programs


@dataclass(frozen=True, slots=True)
class Program:
    """One program of a program file, with what its heading says."""

    number: int
    slug: str
    text: str
    since: tuple[int, ...] = (3, 11)
    until: tuple[int, ...] = (99,)
    modes: tuple[str, ...] = ()
    watch: str = "all"
    raises: tuple[str, ...] = ()
    refused: str | None = None

    @property
    def id(self) -> str:
        return f"{self.number}-{self.slug}"

    @property
    def watches(self) -> tuple[str, ...]:
        """The ways in which it is watched on the running version of CPython."""
        if self.watch == "none":
            return ("none",)
        return WATCHES if sys.version_info >= (3, 12) else WATCHES[:-1]

    def excuse(self, mode: str = "") -> str | None:
        """Why it is not run here in this mode, or None."""
        if sys.version_info[: len(self.since)] < self.since:
            return f"needs CPython {'.'.join(map(str, self.since))}"
        if sys.version_info[: len(self.until)] > self.until:
            return f"promised up to CPython {'.'.join(map(str, self.until))}"
        if mode and self.modes and mode not in self.modes:
            return f"makes sense only in the modes {', '.join(self.modes)}"
        return None


def read_programs(path: Path) -> list[Program]:
    """The programs of one file. Raises ValueError for a heading that is not understood."""
    programs = []
    _, *chunks = re.split(r"^=== ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for chunk in chunks:
        heading, _, text = chunk.partition("\n")
        number, slug, *settings = heading.split()
        options: dict[str, Any] = dict(setting.split("=", 1) for setting in settings)
        for key in ("since", "until"):
            if key in options:
                options[key] = tuple(map(int, options[key].split(".")))
        for key in ("modes", "raises"):
            if key in options:
                options[key] = tuple(options[key].split(","))
        programs.append(Program(int(number), slug, text, **options))
    if len({program.id for program in programs}) != len(programs):
        raise ValueError(f"{path}: a program id stands there twice")
    return programs


# -- what is seen of one run


@dataclass(slots=True)
class Seen:
    """What one run of a program showed to the outside, addresses and folders taken out."""

    results: list[str] = field(default_factory=list)
    output: str = ""
    warnings: list[str] = field(default_factory=list)
    unraisable: list[str] = field(default_factory=list)
    events: list[tuple[object, ...]] = field(default_factory=list)


def differences(plain: Seen, other: Seen) -> list[str]:
    """One line for each thing that was seen differently; an empty list when nothing was."""
    found = []
    for name in ("results", "output", "warnings", "unraisable", "events"):
        left, right = getattr(plain, name), getattr(other, name)
        if left == right:
            continue
        if name == "output":
            left, right = left.splitlines(), right.splitlines()
        unequal = (i for i, (one, two) in enumerate(zip(left, right, strict=False)) if one != two)
        at = next(unequal, min(len(left), len(right)))
        show = [side[at] if at < len(side) else "(nothing)" for side in (left, right)]
        sizes = f"{name}[{at}] of {len(left)} and {len(right)}"
        found.append(f"{sizes}\n    plain: {show[0]}\n    other: {show[1]}")
    return found


def run(
    program: Program,
    folder: Path,
    rewrite: Callable[[Any], Any] = lambda target: target,
    watch: str = "none",
    between: Callable[[], None] = lambda: None,
) -> Seen:
    """Runs a program from a real file and calls its ``main()`` twice.

    folder   where the program's file is written; both runs that are compared take the same one
    rewrite  what is done with each target that the program observes; gives what takes its place
    watch    "none", "trace" (sys.settrace), "profile" (sys.setprofile) or "monitor" (sys.monitoring)
    between  called after the first ``main()``
    """
    name = f"program_{program.number}_{program.slug.replace('-', '_')}"
    path = folder / f"{name}.py"
    if not path.exists():
        path.write_text(program.text, encoding="utf-8")
    code = _compiled(program.text, str(path))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)

    def observe(target: Any) -> Any:  # the same function in every run, for those that watch calls
        return rewrite(target)

    module.__dict__["observe"] = observe
    seen = Seen()
    clean = _cleaner(folder)

    def attempt(action: Callable[[], object]) -> bool:
        try:
            value = action()
            text = "returned " + repr(value)
            del value
        except BaseException as error:
            text = f"raised {type(error).__name__} {error.args!r}\n{_traceback_of(error, str(path))}"
        seen.results.append(clean(text))
        return text.startswith("returned")

    def everything() -> None:
        if attempt(lambda: exec(code, module.__dict__)):
            attempt(lambda: module.main())
            between()
            attempt(lambda: module.main())

    sys.modules[name] = module
    stdout, old_hook, old_name = io.StringIO(), sys.unraisablehook, module.__name__
    sys.unraisablehook = lambda args: seen.unraisable.append(
        clean(f"{args.err_msg} {args.object!r}: {args.exc_type.__name__}({args.exc_value})")
    )
    try:
        with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(stdout):
            warnings.simplefilter("always")
            with _watching(watch, str(path), seen.events):
                everything()
            module.__dict__.clear()
            gc.collect(1)
    finally:
        sys.unraisablehook = old_hook
        del sys.modules[old_name]
    seen.output = clean(stdout.getvalue())
    for each in caught:
        place = f"{Path(each.filename).name}:{each.lineno}"
        seen.warnings.append(clean(f"{each.category.__name__}: {each.message} ({place})"))
    return seen


@functools.lru_cache(maxsize=4)
def _compiled(text: str, path: str) -> types.CodeType:
    """A program's code: one object for all of its runs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the compiler says of the program itself is not of interest
        return compile(text, path, "exec", dont_inherit=True)


def _cleaner(folder: Path) -> Callable[[str], str]:
    def clean(text: str) -> str:
        return re.sub(r"0x[0-9a-fA-F]{6,}", "0x...", text.replace(str(folder), "FOLDER"))

    return clean


def _traceback_of(error: BaseException, path: str) -> str:
    """The formatted traceback, carets and chained exceptions included, from the program's first frame on."""
    tb = error.__traceback__
    while tb is not None and tb.tb_frame.f_code.co_filename == __file__:
        tb = tb.tb_next
    return "".join(traceback.TracebackException(type(error), error, tb).format())


@contextlib.contextmanager
def _watching(watch: str, path: str, events: list[tuple[object, ...]]) -> Iterator[None]:
    """Notes in ``events`` what happens in frames of the file ``path`` while the block runs."""
    if watch == "none":
        yield
    elif watch == "trace":
        lines = _Lines()

        def trace(frame: types.FrameType, event: str, arg: Any) -> Any:
            if frame.f_code.co_filename != path:
                return None
            kind = arg[0] if event == "exception" else None
            # Whether a for loop shows the StopIteration of a generator depends on how warm the loop is.
            if not (kind and issubclass(kind, StopIteration)) and lines.is_news(frame, event):
                events.append((event, frame.f_code.co_name, frame.f_lineno, kind and kind.__name__))
            return trace

        sys.settrace(trace)
        try:
            yield
        finally:
            sys.settrace(None)
    elif watch == "profile":

        def profile(frame: types.FrameType, event: str, arg: Any) -> None:
            if frame.f_code.co_filename == path:
                callee = arg.__qualname__ if event.startswith("c_") else None
                events.append((event, frame.f_code.co_name, frame.f_lineno, callee))

        sys.setprofile(profile)
        try:
            yield
        finally:
            sys.setprofile(None)
    else:
        with _monitoring(path, events):
            yield


class _Lines:
    """Tells when a frame reports the line again in which it was already.

    CPython 3.12 does that where a jump leads to the instruction after a call of a Python function. A probe in
    between, or a function that is not written in Python, make it stop, so it is not compared.
    """

    def __init__(self) -> None:
        self.at: dict[int, int] = {}

    def is_news(self, frame: types.FrameType, event: str) -> bool:
        """Whether an event in this frame is to be noted."""
        if sys.version_info[:2] != (3, 12):
            return True
        if event in ("call", "PY_START", "PY_RESUME", "PY_THROW"):
            self.at.pop(id(frame), None)  # an older frame may have had the same address
        if event.lower() != "line":
            return True
        known, self.at[id(frame)] = self.at.get(id(frame)), frame.f_lineno
        return known != frame.f_lineno


@contextlib.contextmanager
def _monitoring(path: str, events: list[tuple[object, ...]]) -> Iterator[None]:
    monitoring = sys.monitoring  # type: ignore[attr-defined]
    monitoring.use_tool_id(_TOOL, "recompyle tests")
    mask, lines = 0, _Lines()

    def callback(event: str) -> Callable[..., None]:
        def note(code: types.CodeType, *details: Any) -> None:
            if code.co_filename != path:
                return
            if not lines.is_news(sys._getframe(1), event):
                return
            detail = None
            if event == "LINE":
                detail = details[0]
            elif event in ("CALL", "C_RETURN", "C_RAISE"):
                detail = getattr(details[1], "__qualname__", type(details[1]).__name__)
            elif event in ("RAISE", "PY_UNWIND", "PY_THROW"):
                detail = type(details[1]).__name__
            events.append((event, code.co_name, detail))

        return note

    for event in _MONITORED:
        number = getattr(monitoring.events, event)
        monitoring.register_callback(_TOOL, number, callback(event))
        # C_RETURN and C_RAISE are switched by CALL.
        mask |= 0 if event in ("C_RETURN", "C_RAISE") else number
    monitoring.set_events(_TOOL, mask)
    try:
        yield
    finally:
        monitoring.set_events(_TOOL, 0)
        for event in _MONITORED:
            monitoring.register_callback(_TOOL, getattr(monitoring.events, event), None)
        monitoring.free_tool_id(_TOOL)


# -- code objects

_METADATA = (
    "co_name", "co_qualname", "co_filename", "co_firstlineno", "co_varnames", "co_cellvars", "co_freevars",
    "co_flags", "co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_names",
)  # fmt: skip

_JUMPS = frozenset(dis.hasjrel) | frozenset(dis.hasjabs)

# What a rewrite may add. Everything else that is new is a fault. Jumps follow from the compiler's layout, and
# so does TO_BOOL: from 3.13 on it is part of a comparison only if no probe stands in between.
_ADDED = {
    "LOAD_CONST", "LOAD_SMALL_INT", "BINARY_SUBSCR", "BINARY_OP", "UNARY_INVERT", "POP_TOP", "NOP", "COPY",
    "PUSH_NULL", "PUSH_EXC_INFO", "POP_EXCEPT", "RERAISE", "SWAP", "SEND", "CALL_INTRINSIC_1",
    "TO_BOOL", *(dis.opname[number] for number in _JUMPS),
}  # fmt: skip

_WIDEST = 10_000  # no program of ours has a line as wide as this

# Behind these the next instruction is not reached, unless something jumps there. A jump without a condition only leads
# on: where one stands, and where none is needed, follows from the layout.
_LEADING_AWAY = {"JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT"}
_UNINTERESTING = {"CACHE", "EXTENDED_ARG", "NOP", "NOT_TAKEN", "RESUME", "RESUME_CHECK", *_LEADING_AWAY}
_ENDING = {"RETURN_VALUE", "RETURN_CONST", "RERAISE", "RAISE_VARARGS"}
# What never raises: a handler that covers nothing else is not reached.
_QUIET = {"NOP", "NOT_TAKEN", "EXTENDED_ARG", "JUMP_FORWARD"}

Unit = tuple[str, str, "tuple[int | None, ...] | None"]


def code_differences(old: types.CodeType, new: types.CodeType, joined: bool = False) -> list[str]:
    """What a rewrite changed beside adding probes: metadata, lines, original instructions, their positions.

    Compared recursively. Instructions are compared as sets, since the compiler copies short exit blocks or
    not according to their length; jumps by their line alone, since it joins them in several ways. With ``joined`` ways
    may meet, as behind probes at the ends of blocks: then one instruction without a place may stand for several.
    """
    if old is new:
        return []
    where = old.co_qualname
    found = [
        f"{where}: {name} {getattr(old, name)!r} became {getattr(new, name)!r}"
        for name in _METADATA
        if getattr(old, name) != getattr(new, name)
    ]
    lines = [{line for _, _, line in code.co_lines() if line is not None} for code in (old, new)]
    if lines[0] != lines[1]:
        found.append(f"{where}: lines {sorted(lines[0])} became {sorted(lines[1])}")
    for line, end_line, column, end_column in new.co_positions():
        if max(column or 0, end_column or 0) > _WIDEST or (line or 0) > (end_line or 1 << 30):
            found.append(f"{where}: impossible position {line}-{end_line}, {column}-{end_column}")
    before, after = _known_units(old, id(old)), _units(new)
    after |= {(operation, argument, place[:1]) for operation, argument, place in after if place}
    anywhere = {unit[:2] for unit in after}
    for unit in sorted(before, key=repr):
        if unit in after or (*unit[:2], None) in after or (unit[2] is None and unit[:2] in anywhere):
            continue
        if not (_contrary(unit) in after or (joined and _is_joined(unit, after))):
            same = [other[2] for other in after if other[:2] == unit[:2]]
            found.append(f"{where}: instruction {unit} is gone; the same is now at {same}")
    known = _known_operations(old, id(old))
    for unit in sorted(after, key=repr):
        if unit[:2] not in known and unit[0] not in _ADDED:
            found.append(f"{where}: instruction {unit} is new")
    nested = [[c for c in code.co_consts if isinstance(c, types.CodeType)] for code in (old, new)]
    if [c.co_qualname for c in nested[0]] != [c.co_qualname for c in nested[1]]:
        found.append(f"{where}: nested code {nested[0]} became {nested[1]}")
    for inner in zip(*nested, strict=False):
        found += code_differences(*inner, joined)
    return found


def _contrary(unit: Unit) -> Unit:
    """The test that jumps where a conditional jump does not: the compiler may exchange its two ways."""
    ways = {"TRUE": "FALSE", "FALSE": "TRUE", "NONE": "NOT_NONE", "NOT_NONE": "NONE"}
    test, _, way = unit[0].partition("_IF_")
    return f"{test}_IF_{ways.get(way)}", *unit[1:]


def _is_joined(unit: Unit, after: set[Unit]) -> bool:
    """Whether an instruction without a place stands for this one. For a delayed return any of its kind may."""
    if "JUMP" in unit[0]:  # which of its two ways a test jumps may have changed
        return True
    is_delayed = unit[0] == "RETURN_VALUE" and unit[2] is not None and len(unit[2]) == 1
    return any(
        other[:2] == unit[:2] and (is_delayed or (other[2] is not None and other[2][-1] is None)) for other in after
    )


@functools.lru_cache(maxsize=64)
def _known_units(code: types.CodeType, _: int) -> set[Unit]:
    """Those of code that is compared often; its address tells it from code that is only equal.

    What stands nowhere in the source has only a line.
    """
    return _units(code, only_written=True)


@functools.lru_cache(maxsize=64)
def _known_operations(code: types.CodeType, _: int) -> set[tuple[str, str]]:
    """All that the code does, wherever: a mark in the block of ``try: pass`` makes its handlers look as if reached."""
    return {unit[:2] for unit in _units(code, only_reached=False)}


def _units(code: types.CodeType, only_written: bool = False, only_reached: bool = True) -> set[Unit]:
    """The instructions of a code object as (operation, argument, position).

    Where the compiler joined two accesses of local variables into one instruction they are taken apart again,
    without a position, for the joint instruction has only one. Which neighbours it joins shifts with a probe. What can
    never be reached is left out: the rewriter proves nothing of it, and nothing can be seen of it but its lines.
    """
    units: set[Unit] = set()
    wanted: Container[int] = range(len(code.co_code) // 2)
    if only_reached:
        wanted = _reached(code) - (_dropped(code) if only_written else set())
    instructions = list(_instructions(code, wanted))
    unplaced = _without_place(instructions) if only_written else ()
    for at, (opcode, value, place) in enumerate(instructions):
        operation = dis.opname[opcode]
        if at in unplaced:
            place = place[:1]
        if opcode in _DOUBLE:
            first, second = re.findall(r"(?:LOAD|STORE)_FAST", operation)
            units |= {(first, repr(value[0]), None), (second, repr(value[1]), None)}
            continue
        if operation in ("LOAD_FAST_BORROW", "LOAD_FAST_CHECK"):  # one access, by what the compiler can prove of it
            operation = "LOAD_FAST"
        if isinstance(value, types.CodeType):
            argument = value.co_qualname
        elif opcode in _JUMPS or operation == "POP_TOP":
            operation = re.sub("(FORWARD|BACKWARD)_", "", operation)  # a test of 3.11 says which way it jumps
            # What drops a value follows from the layout as well: one for both arms of a condition, or one for each.
            # Where several ways meet it has no line; they may have met before, in a probe.
            if only_written and place[:1] == (None,):
                continue
            argument, place = "", place[:1]
        elif operation in ("LOAD_CONST", "RETURN_CONST"):
            shown = sorted(map(repr, value)) if isinstance(value, frozenset) else repr(value)
            argument = f"{type(value).__name__} {shown}"
        else:
            argument = repr(value)
        units.add((operation, argument, place))
    return units


_DOUBLE = {number for number, name in enumerate(dis.opname) if name.count("_FAST") == 2}
_VARIABLES = {*dis.haslocal, *dis.hasfree}
# Loads whose argument says more than which name, and by how many bits.
_MORE_THAN_NAMES = {
    number: bits
    for number, name in enumerate(dis.opname)
    if (bits := {"LOAD_GLOBAL": 1, "LOAD_ATTR": sys.version_info >= (3, 12), "LOAD_SUPER_ATTR": 2}.get(name))
}
_COMPARISON_BITS = {(3, 11): 0, (3, 12): 4}.get(sys.version_info[:2], 5)
_SKIPPED = {number for number, name in enumerate(dis.opname) if name in _UNINTERESTING}


def _instructions(code: types.CodeType, wanted: Container[int]) -> Iterator[tuple[int, Any, tuple[int | None, ...]]]:
    """Opcode, meaning of the argument, and position. `dis` gives the same, but the fuzzer would wait for it mostly."""
    words, prefix = code.co_code, 0
    name_of = code._varname_from_oparg  # type: ignore[attr-defined]
    for at, place in enumerate(code.co_positions()):
        opcode, argument = words[2 * at], prefix | words[2 * at + 1]
        prefix = argument << 8 if opcode == dis.EXTENDED_ARG else 0
        if opcode in _SKIPPED or at not in wanted:
            continue
        value: Any = argument
        if opcode in _DOUBLE:
            value = name_of(argument >> 4), name_of(argument & 15)
        elif opcode in _VARIABLES:
            value = name_of(argument)
        elif opcode in dis.hasconst:
            value = code.co_consts[argument]
        elif opcode in _MORE_THAN_NAMES:
            value = code.co_names[argument >> _MORE_THAN_NAMES[opcode]]
        elif opcode in dis.hascompare:
            value = dis.cmp_op[argument >> _COMPARISON_BITS]
        elif dis.opname[opcode] == "LOAD_COMMON_CONSTANT":  # None is one of them from 3.15 on
            opcode, value = dis.opmap["LOAD_CONST"], dis._common_constants[argument]  # type: ignore[attr-defined]
        yield opcode, value, place


def _reached(code: types.CodeType) -> set[int]:
    """Where the instructions are that can be reached: by falling through, by a jump, or by an exception.

    Places count units of two bytes. An instruction is reached with its prefixes, but not with its caches.
    """
    words = code.co_code
    handlers: dict[int, int] = {}
    for entry in dis._parse_exception_table(code):  # type: ignore[attr-defined]
        handlers |= dict.fromkeys(range(entry.start // 2, entry.end // 2), entry.target // 2)
    reached: set[int] = set()
    work = [0]
    while work:
        at = work.pop()
        argument = 0
        while at not in reached:
            reached.add(at)
            opcode = words[2 * at]
            if opcode not in _CANNOT_RAISE and at in handlers:
                work.append(handlers[at])
            argument = argument << 8 | words[2 * at + 1]
            at += 1
            if opcode == dis.EXTENDED_ARG:
                continue
            while 2 * at < len(words) and words[2 * at] == _CACHE:
                at += 1
            if opcode in _WAYS:
                work.append(at + _WAYS[opcode] * argument)
            if opcode in _STOPS:
                break
            argument = 0
    return reached


def _dropped(code: types.CodeType) -> set[int]:
    """Where constants are loaded that are dropped at once, counted as above.

    Of ``'s' if a else b`` as a statement the compiler leaves one out, unless a jump is between.
    """
    instructions = {each.offset: each for each in dis.get_instructions(code)}
    following = dict(itertools.pairwise(instructions))
    found = set()
    for at, each in instructions.items():
        behind = following.get(at, at)
        while each.opname in _LOADING and instructions[behind].opname in ("NOP", "JUMP_FORWARD"):
            one = instructions[behind]
            behind = one.argval if one.opname == "JUMP_FORWARD" else following[behind]
        if each.opname in _LOADING and instructions[behind].opname == "POP_TOP":
            found.add(at // 2)
    return found


_LOADING = ("LOAD_CONST", "LOAD_SMALL_INT", "LOAD_COMMON_CONSTANT")
_CACHE = dis.opmap["CACHE"]
_STOPS = {dis.opmap[name] for name in _LEADING_AWAY | _ENDING if name in dis.opmap}
_CANNOT_RAISE = {dis.opmap[name] for name in _QUIET if name in dis.opmap}
# Which way a jump counts. The argument of END_ASYNC_FOR (from 3.14) says where its loop begins, and is no jump.
_WAYS = {
    number: -1 if "BACKWARD" in dis.opname[number] else 1 for number in _JUMPS if dis.opname[number] != "END_ASYNC_FOR"
}


def _without_place(instructions: Sequence[tuple[int, Any, Any]]) -> set[int]:
    """Which instructions let go of an exception and its name, raise it again, or return at an end.

    They stand nowhere in the source, and the compiler gives them the position of what happens to stand before; of the
    ends of a condition, say, one for each or one for both. So it does with a return that a ``finally`` has delayed.
    """
    found = set()
    for at, (opcode, value, place) in enumerate(instructions):
        name = dis.opname[opcode]
        # LIST_APPEND 1 collects what handlers of groups raise.
        if name in ("POP_EXCEPT", "RERAISE") or (name == "LIST_APPEND" and value == 1):
            found.add(at)
        elif name.startswith("DELETE_") and at > 1 and instructions[at - 1][1:] == (value, place):
            none, nothing, _ = instructions[at - 2]
            if dis.opname[none] == "LOAD_CONST" and nothing is None:
                found |= {at - 2, at - 1, at}
        elif name == "RETURN_CONST" and value is None:
            found.add(at)
        elif name == "RETURN_VALUE" and at and dis.opname[instructions[at - 1][0]] == "LOAD_CONST":
            found |= {at - 1, at} if instructions[at - 1][1] is None else set()
        elif name == "RETURN_VALUE" and at and instructions[at - 1][2] == place:
            found.add(at)
    return found


# -- wrapped calls


@dataclass
class CallLog:
    """A wrapper that hands on and notes every call: source text, callee, arguments."""

    calls: list[tuple[str, Any, tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)
    extras: list[Any] = field(default_factory=list)

    def __call__(self, call: Callable[..., Any], extras: Any, /, *args: Any, **kwargs: Any) -> Any:
        self.calls.append((extras.source, call, args, kwargs))
        self.extras.append(extras)
        return call(*args, **kwargs)

    @property
    def sources(self) -> list[str]:
        return [source for source, _, _, _ in self.calls]


# -- reports of the profiler


def accounting_faults(report: Any) -> list[str]:
    """What does not add up in a report of one run; an empty list when everything does."""
    faults = []
    top = [row for row in report.calls if row.inside is None]
    if sum(row.total_ns for row in top) + report.more.total_ns != report.calls_ns:
        faults.append(f"{[row.total_ns for row in top]} + {report.more} is not {report.calls_ns}")
    if report.calls_ns + report.own_ns != report.total_ns:
        faults.append(f"calls {report.calls_ns} + own code {report.own_ns} is not {report.total_ns}")
    ids = {row.id for row in report.calls}
    for row in report.calls:
        if row.count < 1 or not 0 <= row.max_ns <= row.total_ns or not 0 <= row.max_index < row.count:
            faults.append(f"impossible numbers: {row}")
        if row.errors > row.count or (row.errors > 0) != (row.last_error is not None):
            faults.append(f"impossible errors: {row}")
        if row.inside is not None and row.inside not in ids and not report.more.sites:
            faults.append(f"inside a row that is not there: {row}")
    return faults


def least(measure: Callable[[], int], below: int, tries: int = 50) -> int:
    """The least of what is measured again and again, until it is below a bound.

    A busy machine makes any time longer and none shorter: one try that it left alone shows what a time is made of.
    """
    found = measure()
    while found >= below and tries > 1:
        found, tries = min(found, measure()), tries - 1
    return found


def rows_of(report: Any) -> dict[str, Any]:
    """The rows of a report by their source text. Raises ValueError where two rows have the same text."""
    rows = {row.source: row for row in report.calls}
    if len(rows) != len(report.calls):
        raise ValueError(f"two rows have one text: {[row.source for row in report.calls]}")
    return rows


def counts_of(report: Any) -> dict[str, int]:
    """How often each call of a report ran, by its source text; rows of one text are added up."""
    counts: dict[str, int] = {}
    for row in report.calls:
        counts[row.source] = counts.get(row.source, 0) + row.count
    return counts


def load_programs(folder: Path) -> Sequence[Program]:
    """All programs of a folder's ``.txt`` files, by number."""
    programs = [program for path in sorted(folder.glob("*.txt")) for program in read_programs(path)]
    return sorted(programs, key=lambda program: program.number)
