"""Marks at the ends of blocks: when they run, what tracers see of them, and that the proof stays one."""

from __future__ import annotations

import ast
import dis
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import code_differences

import recompyle
from recompyle import Pass
from recompyle.errors import NotRewritable, PassError
from recompyle.rewrite import engine
from recompyle.rewrite.locate import match

BLOCKS = {ast.For: ("body", "orelse"), ast.While: ("body", "orelse"), ast.Try: ("finalbody",)}


class Ends(Pass):
    """Notes the line of a compound statement and its block when that has run to its end."""

    name = "ends"

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []

    def _ends(self, node: Any, at: Any) -> None:
        first = at.node.lineno
        for block in BLOCKS[type(node)]:
            if block != "finalbody" or node.finalbody:
                at.mark_end(node, block, Noting(self.seen, (block, node.lineno - first)))

    visit_For = visit_While = visit_Try = _ends


class Noting:
    def __init__(self, seen: list[tuple[str, int]], what: tuple[str, int]) -> None:
        self.seen, self.what = seen, what

    def __invert__(self) -> None:
        self.seen.append(self.what)


SHAPES = {
    "if at the end": "for x in a:\n        if x:\n            b(x)\n    return b",
    "if and else": (
        "for x in a:\n        if x is None:\n            b(x)\n        else:\n            if x:\n"
        "                b(1)"
    ),
    "while": "while a:\n        if a.pop():\n            b(a)\n    return b",
    "elif": (
        "for x in a:\n        if x == 1:\n            continue\n        elif x is None:\n            b(x)\n"
        "        elif x:\n            break\n    else:\n        b(2)"
    ),
    "short circuit": (
        "for x in a:\n        if x is None: b(4)\n        (b(x)\n            and x\n            and (x\n"
        "                or b(3)))"
    ),
    "nested loops": (
        "for x in a:\n        for y in a:\n            if y:\n                if x is not None:\n"
        "                    b(y)"
    ),
    "finally": (
        "for x in a:\n        try:\n            b(x)\n            if x: continue\n            b(1)\n"
        "        finally:\n            if x:\n"
        "                b(x)\n            try:\n                b(x)\n            except TypeError:\n"
        "                b(0)"
    ),
    "while true": (
        "while True:\n        try:\n            if a.pop():\n                continue\n            break\n"
        "        finally:\n            b(a)\n    return a"
    ),
    "handler": (
        "for x in a:\n        try:\n            b(1 / x)\n        except ZeroDivisionError as e:\n            if x:\n"
        "                b(e)\n        except TypeError as e:\n            b(x)\n            if x: b(e)"
    ),
    "with": "for x in a:\n        with b as c:\n            if c: b(x)\n            elif x is None: b(c)",
    "match": (
        "for x in a:\n        match x:\n            case 1 if b(x):\n                b(1)\n"
        "            case None:\n                b(2)\n            case _: pass"
    ),
    "generator": (
        "for x in a:\n        if x:\n            yield b(x)\n        else:\n            y = yield\n"
        "            if y: b(y)"
    ),
}


class Callee:
    """Counts calls, is a context manager, and is false each third time."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def __call__(self, *args: Any) -> bool:
        self.log.append(repr(args))
        return len(self.log) % 3 != 0

    def __enter__(self) -> bool:
        return self()

    def __exit__(self, *exc_info: object) -> None:
        self()

    def __repr__(self) -> str:
        return "b"


@pytest.fixture(params=SHAPES)
def shape(request: pytest.FixtureRequest, tmp_path: Path) -> types.FunctionType:
    path = tmp_path / "ending.py"
    path.write_text(f"def f(a, b):\n    {SHAPES[request.param]}\n")
    names: dict[str, Any] = {"__name__": "ending"}
    exec(compile(path.read_text(), str(path), "exec"), names)
    function: types.FunctionType = names["f"]
    return function


def observed(function: Callable[..., Any]) -> tuple[list[Any], list[str], str]:
    """Events of the function with their lines, its calls, and what came out."""
    events: list[Any] = []
    code = recompyle.pristine(function)

    def trace(frame: Any, event: str, arg: Any) -> Any:
        if frame.f_code.co_filename != code.co_filename:
            return None
        events.append((event, frame.f_lineno))
        return trace

    callee, before = Callee(), sys.gettrace()
    sys.settrace(trace)
    try:
        result = function([1, None, 0, 2, ""], callee)
        result = list(result) if isinstance(result, types.GeneratorType) else repr(result)
    except Exception as error:
        result = repr(error)
    finally:
        sys.settrace(before)
    return events, callee.log, str(result)


def test_tracers_see_the_original_program(shape: types.FunctionType) -> None:
    rewritten = recompyle.rewrite(shape, Ends())
    assert observed(rewritten) == observed(shape)
    assert code_differences(shape.__code__, rewritten.__code__, joined=True) == []


def test_marks_run_where_control_falls_out_of_a_block() -> None:
    def f(items: list[int]) -> int:
        for x in items:
            if x == 1:
                continue
            elif x == 2:
                break
            try:
                if x == 3:
                    return 3
                if x == 4:
                    raise KeyError
            except KeyError:
                pass
            else:
                x = 5
            finally:
                x = 6
        else:
            return 0
        return 1

    def seen(*items: int) -> list[tuple[str, int]]:
        ends = Ends()
        assert recompyle.rewrite(f, ends)(list(items)) == f(list(items))
        return ends.seen

    assert seen() == seen(1) == seen(2) == []
    assert seen(0) == [("finalbody", 6), ("body", 1)]
    assert seen(3) == [("finalbody", 6)]
    assert seen(4, 0, 2) == 2 * [("finalbody", 6), ("body", 1)]


def test_other_blocks_are_refused() -> None:
    class Wrong(Pass):
        def __init__(self, block: str) -> None:
            self.block = block

        def visit_Try(self, node: ast.Try, at: Any) -> None:
            at.mark_end(node, self.block, Noting([], ("", 0)))

    def f(a: Any) -> None:
        try:
            a()
        except KeyError:
            a = None

    for block in ("body", "orelse", "finalbody", "lineno", "nothing"):
        with pytest.raises(PassError, match=f"the block '{block}' of a Try has no end that could be marked"):
            recompyle.rewrite(f, Wrong(block))


# -- the proof ------------------------------------------------------------------------------------------------

_CONTRARY = (
    ("_IF_TRUE", "_IF_FALSE"), ("_IF_FALSE", "_IF_TRUE"), ("_IF_NOT_NONE", "_IF_NONE"), ("_IF_NONE", "_IF_NOT_NONE"),
)  # fmt: skip


def proof_of(function: types.FunctionType, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, types.CodeType, Any]:
    """What the walk is asked about a function: the old code, the new one, and the placeholders in it."""
    asked: list[Any] = []
    with monkeypatch.context() as patched:
        patched.setattr(engine, "match", lambda *args: asked.append(args) or match(*args))
        engine.build(function, function.__code__, (Ends(),))
    (found,) = asked
    return found


def contrary(name: str) -> str | None:
    return next((name.replace(one, other) for one, other in _CONTRARY if name.endswith(one)), None)


def changed(code: types.CodeType, offset: int, name: str) -> types.CodeType:
    raw = bytearray(code.co_code)
    raw[offset] = dis.opmap[name]
    return code.replace(co_code=bytes(raw))


def conditions(code: types.CodeType) -> Iterator[tuple[int, str]]:
    """Offset and contrary name of each conditional jump."""
    for each in dis.get_instructions(code):
        other = contrary(each.opname)
        if other is not None and "JUMP" in each.opname:
            yield each.offset, other


def test_a_test_with_its_ways_not_exchanged_is_refused(
    shape: types.FunctionType, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new, placeholders = proof_of(shape, monkeypatch)
    assert list(conditions(new))
    for offset, name in conditions(new):
        with pytest.raises(NotRewritable) as caught:
            match(old, changed(new, offset, name), placeholders)
        assert caught.value.slug == "unproved"


def test_a_mark_that_is_none_is_refused(shape: types.FunctionType, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new, placeholders = proof_of(shape, monkeypatch)
    instructions = [each for each in dis.get_instructions(new) if each.opname != "CACHE"]
    marks = [i for i, each in enumerate(instructions) if type(each.argval) is complex and each.argval in placeholders]
    assert marks
    for i in marks:
        assert [each.opname for each in instructions[i : i + 3]] == ["LOAD_CONST", "UNARY_INVERT", "POP_TOP"]
        for offset, name in ((instructions[i + 1].offset, "UNARY_NOT"), (instructions[i + 2].offset, "NOP")):
            with pytest.raises(NotRewritable):
                match(old, changed(new, offset, name), placeholders)


def test_code_without_its_handlers_is_refused(shape: types.FunctionType, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new, placeholders = proof_of(shape, monkeypatch)
    if not old.co_exceptiontable:
        assert match(old, new, placeholders)
        return
    with pytest.raises(NotRewritable) as caught:
        match(old, new.replace(co_exceptiontable=b""), placeholders)
    assert caught.value.slug == "unproved"


def test_the_compiler_does_exchange_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nothing would be proved by the tests above."""

    def f(a: list[Any], b: Any) -> None:
        for x in a:
            if x:
                b(x)

    old, new, placeholders = proof_of(f, monkeypatch)
    (before,), (after,) = ([name for _, name in conditions(code)] for code in (old, new))
    if before == after:
        pytest.skip("this compiler tests it in the same way with and without the mark")
    assert contrary(before) == after
    assert match(old, new, placeholders)


def test_a_contrary_test_with_the_same_ways_is_refused() -> None:
    def turned(negated: str) -> types.CodeType:
        names: dict[str, Any] = {}
        exec(f"def f(a, b):\n    if {negated} a:\n        b()\n        return 1\n    b(2)\n    return 2", names)
        code: types.CodeType = names["f"].__code__
        return code

    one, other = turned(""), turned("not")
    with pytest.raises(NotRewritable):
        match(one, other, {})


def test_ways_are_exchanged_without_a_mark_too() -> None:
    """What follows an asynchronous comprehension lies with what is seldom reached, where jumps lead the other way."""

    async def f(a: Any, b: Any, c: Any) -> Any:
        try:
            b = tuple(b if c else ([x async for x in a] and a))
        except LookupError:
            b = None
        return b

    class Items:
        def __init__(self, items: list[Any]) -> None:
            self.items = items

        async def __aiter__(self) -> Any:
            for each in self.items:
                yield each

        def __iter__(self) -> Iterator[Any]:
            return iter(self.items)

    def run(function: Any, *arguments: Any) -> Any:
        try:
            function(*arguments).send(None)
        except StopIteration as stop:
            return stop.value

    changed = recompyle.rewrite(f, recompyle.Expressions(recompyle.Counter))
    for arguments in ((Items([1]), "b", 1), (Items([1, 2]), "b", 0), (Items([]), "b", 0)):
        assert run(changed, *arguments) == run(f, *arguments)
    assert run(f, Items([1, 2]), "b", 0) == (1, 2)
