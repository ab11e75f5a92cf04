"""The comparing harness itself: equal runs show no difference, and each kind of wrong rewrite is caught."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import copy
import functools
import sys
import types
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from helpers import Program, _reached, _units, code_differences, differences, load_programs, read_programs, run

CASES = Path(__file__).parent / "rewrite" / "cases"
PROGRAMS = load_programs(CASES)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.id)
def test_a_program_is_the_same_twice(program: Program, tmp_path: Path) -> None:
    """Without this a difference would say nothing about a rewrite."""
    if reason := program.excuse():
        pytest.skip(reason)
    for watch in program.watches:
        first, second = (run(program, tmp_path, watch=watch) for _ in range(2))
        assert differences(first, second) == []
        assert bool(first.events) is (watch != "none")
    imported, *results = first.results
    assert imported == "returned None"
    for result in results:
        outcome, name = result.split()[:2]
        assert (name in program.raises) if program.raises else outcome == "returned", result


def recompiled(function: types.FunctionType, change: ast.NodeTransformer) -> types.FunctionType:
    """The function with its code made anew from its whole file, after ``change`` went over its body."""
    old = function.__code__
    tree = ast.parse(Path(old.co_filename).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        first = min((decorator.lineno for decorator in node.decorator_list), default=node.lineno)
        if (node.name, first) == (old.co_name, old.co_firstlineno):
            node.body = [change.visit(statement) for statement in node.body]
    code = compile(ast.fix_missing_locations(tree), old.co_filename, "exec", dont_inherit=True)
    pending = [code]
    while pending:
        code = pending.pop()
        if (code.co_qualname, code.co_firstlineno) == (old.co_qualname, old.co_firstlineno):
            function.__code__ = code
            return function
        pending += [c for c in code.co_consts if isinstance(c, types.CodeType)]
    raise LookupError(old.co_qualname)


def wrapped(function: types.FunctionType) -> Callable[..., object]:
    """The wrong way of every decorator: one more frame."""

    @functools.wraps(function)
    def wrapper(*args: object, **kwargs: object) -> object:
        return function(*args, **kwargs)

    return wrapper


def one_line_off(function: types.FunctionType) -> types.FunctionType:
    function.__code__ = function.__code__.replace(co_firstlineno=function.__code__.co_firstlineno + 1)
    return function


class Unchanged(ast.NodeTransformer):
    """Nothing is changed: the control."""


class NoColumns(ast.NodeTransformer):
    """Nodes lose where in the line they stand."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if hasattr(node, "col_offset"):
            node.col_offset = node.end_col_offset = 0
        return super().generic_visit(node)


class StatementPositions(ast.NodeTransformer):
    """Each call is given the position of its first argument."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        return ast.copy_location(node, node.args[0]) if node.args else node


class TestedTwice(ast.NodeTransformer):
    """What an ``and`` or ``or`` hands on is tested once more."""

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        again = ast.BoolOp(ast.And(), [node, ast.Constant(True)])
        return ast.copy_location(ast.IfExp(node, again, copy.copy(node)), node)


class ArgumentsFirst(ast.NodeTransformer):
    """Calls are made through a helper, so that all arguments are evaluated before the function."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if node.keywords or any(isinstance(a, ast.Starred) for a in node.args):
            return node
        hidden = ast.Lambda(
            ast.arguments([], [ast.arg("f")], ast.arg("a"), [], [], None, []),
            ast.Call(ast.Name("f", ast.Load()), [ast.Starred(ast.Name("a", ast.Load()), ast.Load())], []),
        )
        return ast.copy_location(ast.Call(hidden, [node.func, *node.args], []), node)


class NumberSlot(ast.NodeTransformer):
    """Values pass through a binary operator of the probe."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        lookup = ast.Call(ast.Name("__import__", ast.Load()), [ast.Constant("sys")], [])
        modules = ast.Attribute(lookup, "modules", ast.Load())
        probe = ast.Subscript(modules, ast.Constant("matmul_probe"), ast.Load())
        return ast.copy_location(ast.BinOp(probe, ast.MatMult(), node), node)


class MatmulProbe:
    def __matmul__(self, value: object) -> object:
        return value


class ExtraLocal(ast.NodeTransformer):
    """An assigned value passes through a new local variable."""

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        node.value = ast.copy_location(ast.NamedExpr(ast.Name("value_", ast.Store()), node.value), node.value)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return node


class Handler(ast.NodeTransformer):
    """A handler round each raise: the exception has a context that it did not have."""

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        note = ast.Expr(ast.Call(ast.Name("len", ast.Load()), [ast.Constant(1)], []))
        handler = ast.ExceptHandler(ast.Name("TypeError", ast.Load()), None, [node])
        return ast.copy_location(ast.Try([note], [handler], [], []), node)


WRONG: list[tuple[Callable[[types.FunctionType], object] | type[ast.NodeTransformer], str, str]] = [
    (wrapped, "21-callers-frame", "none"),
    (wrapped, "22-warning-stacklevel", "none"),
    (wrapped, "104-recursion-limit", "none"),
    (wrapped, "79-coroutine-predicates", "none"),
    (one_line_off, "92-lines-of-a-method-chain", "none"),
    (one_line_off, "148-lines-under-a-tracer", "trace"),
    (NoColumns, "93-carets", "none"),
    (NoColumns, "160-node-from-position", "none"),
    (StatementPositions, "92-lines-of-a-method-chain", "none"),
    (StatementPositions, "148-lines-under-a-tracer", "none"),
    (TestedTwice, "112-conditions-are-tested-once", "none"),
    (ArgumentsFirst, "149-calls-under-a-profile-function", "profile"),
    (ArgumentsFirst, "18-vars-and-dir-without-arguments", "none"),
    (ArgumentsFirst, "19-eval-and-exec", "none"),
    (NumberSlot, "109-not-implemented-as-a-value", "none"),
    (NumberSlot, "110-values-with-slots-of-their-own", "profile"),
    (ExtraLocal, "81-suspended-frames", "none"),
    (ExtraLocal, "17-locals-as-arguments", "none"),
    (Handler, "95-context-and-cause", "none"),
]


def observer(change: object) -> Callable[[types.FunctionType], object]:
    if isinstance(change, type):
        return lambda function: recompiled(function, change())
    return change  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("change", "program_id", "watch"), WRONG, ids=[f"{change.__name__}-{id}" for change, id, _ in WRONG]
)
def test_a_wrong_rewrite_is_caught(
    change: object, program_id: str, watch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matmul_probe", MatmulProbe())  # type: ignore[arg-type]
    (program,) = [program for program in PROGRAMS if program.id == program_id]
    plain = run(program, tmp_path, watch=watch)
    assert differences(plain, run(program, tmp_path, observer(Unchanged), watch)) == []
    assert differences(plain, run(program, tmp_path, observer(change), watch)) != []


def sample(a, b=2):  # type: ignore[no-untyped-def]
    total = max(a, b)
    for x in [len(str(total))]:
        total += x
    return total


@pytest.mark.parametrize("change", [NoColumns, ExtraLocal, ArgumentsFirst, one_line_off])
def test_a_change_of_the_code_object_is_caught(change: object) -> None:
    function = types.FunctionType(sample.__code__, globals())
    assert code_differences(sample.__code__, observer(Unchanged)(function).__code__) == []
    assert code_differences(sample.__code__, observer(change)(function).__code__) != []


def test_probe_operations_are_not_a_difference() -> None:
    class Probed(ast.NodeTransformer):
        def visit_Call(self, node: ast.Call) -> ast.AST:
            self.generic_visit(node)
            mark = ast.IfExp(ast.Constant(True), ast.Constant(7j), ast.Constant(7j))
            return ast.copy_location(ast.Subscript(mark, node, ast.Load()), node)

    function = types.FunctionType(sample.__code__, globals())
    assert code_differences(sample.__code__, recompiled(function, Probed()).__code__) == []


def test_all_that_runs_can_be_reached() -> None:
    ran: dict[types.CodeType, set[int]] = {}

    def trace(frame: types.FrameType, event: str, arg: object) -> object:
        frame.f_trace_opcodes = True
        if event == "opcode":
            ran.setdefault(frame.f_code, set()).add(frame.f_lasti // 2)
        return trace

    async def waits() -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 0)
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
        async for number in counts():
            assert number < 3

    async def counts() -> AsyncIterator[int]:
        for number in range(3):
            yield number

    before = sys.gettrace()
    sys._getframe().f_trace_opcodes = True  # 3.12 looks when the function is set
    sys.settrace(trace)
    try:
        ast.unparse(ast.parse(Path(contextlib.__file__).read_text(encoding="utf-8")))
        asyncio.run(waits())
    finally:
        sys.settrace(before)
    assert len(ran) > 100
    assert {code.co_qualname: places - _reached(code) for code, places in ran.items() if places - _reached(code)} == {}


def test_what_is_never_reached_is_not_compared() -> None:
    def compiled(body: str) -> types.CodeType:
        names: dict[str, types.FunctionType] = {}
        exec(f"def f(x):\n    try: {body}\n    except* KeyError as e: print(e)\n    return x", names)
        return names["f"].__code__

    assert ("LOAD_GLOBAL", repr("print")) in {unit[:2] for unit in _units(compiled("x()"))}
    assert ("LOAD_GLOBAL", repr("print")) not in {unit[:2] for unit in _units(compiled("pass"))}


def test_headings_that_are_not_understood_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "cases.txt"
    path.write_text("=== 1 twice\npass\n=== 1 twice\npass\n", encoding="utf-8")
    with pytest.raises(ValueError, match="twice"):
        read_programs(path)
    path.write_text("=== 1 slug colour=red\npass\n", encoding="utf-8")
    with pytest.raises(TypeError, match="colour"):
        read_programs(path)
