"""Free passes: other trees in place of a function's own, what of the function stays, and where probes go then."""

from __future__ import annotations

import ast
import inspect
import textwrap
import traceback
import types
from collections.abc import Iterator
from typing import Any

import pytest

import recompyle
from recompyle.errors import PassError


def price(count: int, each: float = 2.0) -> float:
    """What some of a thing cost."""
    total = count * each
    if total > 10:
        return round(total - 1, 2)
    return total


class Each(recompyle.Pass):
    """Replaces each node of a kind by what a function makes of it."""

    level = "free"
    name = "each"

    def __init__(self, kind: str, make: Any, name: str = "each"):
        self.name = name
        setattr(self, f"visit_{kind}", lambda node, at: at.replace(node, make(node, at)))


class Swap(ast.NodeTransformer):
    """Multiplication becomes addition."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Mult):
            return ast.BinOp(node.left, ast.Add(), node.right)
        return node


class Identity(ast.NodeTransformer):
    """Changes nothing."""


class Wrapped(ast.NodeTransformer):
    """Sends each call's result through a function that no name leads to."""

    def __init__(self, function: Any):
        self.function = function

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        return ast.Call(ast.Constant(self.function), [node], [])


def markers(code: types.CodeType) -> list[Any]:
    """Positions that no line of the source has."""
    found = [
        place for place in code.co_positions() if max(place[2] or 0, place[3] or 0) > 1000 or place[0] is None
    ]
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            found += markers(const)
    return [place for place in found if place != (None, None, None, None)]


# -- what a free pass can do -------------------------------------------------------------------------------


def test_node_transformer_is_a_pass() -> None:
    assert recompyle.rewrite(price, Swap())(1) == 3.0
    assert price(1) == 2.0
    with recompyle.apply(price, Swap()) as patch:
        assert price(1) == 3.0
        assert isinstance(patch.passes[0], Swap)
    assert price(1) == 2.0


def test_transformer_that_changes_nothing_leaves_the_code() -> None:
    assert recompyle.rewrite(price, Identity()).__code__ is price.__code__


def test_transformers_go_in_order() -> None:
    class Cut(ast.NodeTransformer):
        def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
            return ast.Constant(0) if isinstance(node.op, ast.Add) else self.generic_visit(node)

    assert recompyle.rewrite(price, Swap(), Cut())(3) == 0
    assert recompyle.rewrite(price, Cut(), Swap())(3) == 5.0


def test_transformer_gets_a_module_with_the_function() -> None:
    seen = []

    class Look(ast.NodeTransformer):
        def visit_Module(self, node: ast.Module) -> ast.AST:
            seen.append([type(each).__name__ for each in node.body])
            return node

    recompyle.rewrite(price, Look())
    recompyle.rewrite(lambda x: x, Look())
    assert seen == [["FunctionDef"], ["Expr"]]


def test_replace_expression_that_uses_the_old_one() -> None:
    double = Each("BinOp", lambda node, at: ast.BinOp(node, ast.Mult(), ast.Constant(2)))
    assert recompyle.rewrite(price, double)(1) == 4.0
    assert recompyle.rewrite(price, double)(3) == 22


@pytest.mark.parametrize(("new", "result"), [([], 3), (ast.Pass(), 3), ([ast.Return(ast.Constant("x"))], "x")])
def test_replace_statement(new: Any, result: Any) -> None:
    def f(a: int) -> Any:
        a += 1
        return a

    changed = recompyle.rewrite(f, Each("AugAssign", lambda node, at: new))
    assert changed(3) == result


def test_replacements_nest_and_later_ones_use_earlier_ones() -> None:
    def f(a: Any) -> Any:
        return str(len(a))

    def named(name: str) -> Each:
        make = lambda node, at: ast.Tuple([ast.Constant(name), node], ast.Load())  # noqa: E731
        return Each("Call", make, name)

    class Two(recompyle.Pass):
        level = "free"

        def visit_Call(self, node: ast.Call, at: Any) -> None:
            at.replace(node, ast.Tuple([ast.Constant(1), node], ast.Load()))
            at.replace(node, ast.Tuple([ast.Constant(2), node], ast.Load()))

    assert recompyle.rewrite(f, Two())("ab") == (2, (1, "(2, (1, 2))"))
    assert recompyle.rewrite(f, named("in"), named("out"))("ab") == ("out", ("in", "('out', ('in', 2))"))


def test_constant_is_the_very_object() -> None:
    class Odd:
        def __bool__(self) -> bool:
            return False

        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            raise AssertionError("nobody compares it")

    def f() -> Any:
        if 5:
            return "true"
        return [7, not 7, (7, 7), 7]

    for value in (Odd(), [1], {}, 1.0, "text", None, len, f, (1, []), 3j):

        def make(node: ast.Constant, at: Any, value: Any = value) -> ast.AST:
            return at.constant(value) if node.value in (5, 7) else node

        class Given(recompyle.Pass):
            level = "free"

            def visit_Constant(self, node: ast.Constant, at: Any, make: Any = make) -> None:
                if node.value in (5, 7):
                    at.replace(node, make(node, at))

        got = recompyle.rewrite(f, Given())()
        if value:
            assert got == "true"
        else:
            assert got[0] is value
            assert got[1] is True
            assert got[2][0] is value
            assert got[2][1] is value
            assert got[3] is value


def test_plain_constant_of_any_object() -> None:
    log: list[Any] = []

    def note(value: Any) -> Any:
        log.append(value)
        return value

    assert recompyle.rewrite(price, Wrapped(note))(6) == 11.0
    assert log == [11.0]
    assert "note" not in price.__globals__


def test_nested_functions_lambdas_and_comprehensions() -> None:
    def f(n: int) -> Any:
        def inner(x: int) -> int:
            return x * n

        return [inner(i) for i in range(3)], (lambda y: y * 2)(5), {k: k * n for k in (1, 2)}

    assert f(4) == ([0, 4, 8], 10, {1: 4, 2: 8})
    changed = recompyle.rewrite(f, Swap())
    assert changed(4) == ([4, 5, 6], 7, {1: 5, 2: 6})
    assert markers(changed.__code__) == []


def test_methods_super_and_private_names() -> None:
    class Base:
        def value(self) -> int:
            return 3

    class Derived(Base):
        __scale = 5

        def value(self) -> int:
            return super().value() * self.__scale

    with recompyle.apply(Derived.value, Swap()):
        assert Derived().value() == 8
    assert Derived().value() == 15


# -- what of the function stays ----------------------------------------------------------------------------


def test_introspection_is_that_of_the_function() -> None:
    changed = recompyle.rewrite(price, Swap())
    for name in ("co_name", "co_qualname", "co_filename", "co_firstlineno", "co_flags", "co_freevars"):
        assert getattr(changed.__code__, name) == getattr(price.__code__, name)
    assert inspect.signature(changed) == inspect.signature(price)
    assert changed.__doc__ == price.__doc__
    assert recompyle.pristine(changed) is price.__code__


def test_cells_that_the_new_tree_no_longer_mentions_are_kept() -> None:
    def outer(k: int) -> Any:
        def f(a: int) -> int:
            """Has a docstring."""
            return a * k

        return f, lambda a: a * k

    class Cut(ast.NodeTransformer):
        def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
            return ast.Constant(1)

    for function in outer(3):
        changed = recompyle.rewrite(function, Cut())
        assert changed(2) == 1
        assert changed.__code__.co_freevars == ("k",)
        with recompyle.apply(function, Cut()):
            assert function(2) == 1
        assert function(2) == 6


def test_position_of_what_was_replaced() -> None:
    def f(a: Any) -> Any:
        b = a
        return (
            b.first *
            b.second
        )  # fmt: skip

    class Broken(ast.NodeTransformer):
        def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
            return ast.BinOp(ast.Constant(1), ast.Div(), ast.Constant(0))

    first = f.__code__.co_firstlineno
    for changes in (Each("BinOp", lambda node, at: Broken().visit_BinOp(node)), Broken()):
        with pytest.raises(ZeroDivisionError) as caught:
            recompyle.rewrite(f, changes)(1)
        (last,) = traceback.extract_tb(caught.value.__traceback__)[-1:]
        assert last.lineno == first + (3 if isinstance(changes, Each) else 2)


def test_tracebacks_of_what_is_left_have_their_columns() -> None:
    changed = recompyle.rewrite(price, Swap(), recompyle.Expressions(recompyle.Counter))
    with pytest.raises(TypeError) as caught:
        changed(None)
    with pytest.raises(TypeError) as plain:
        price(None)  # type: ignore[arg-type]
    ours, theirs = [traceback.extract_tb(each.value.__traceback__)[-1] for each in (caught, plain)]
    assert (ours.lineno, ours.colno, ours.end_colno) == (theirs.lineno, theirs.colno, theirs.end_colno)
    assert markers(changed.__code__) == []


def test_inserted_statements_stand_where_the_next_one_does() -> None:
    class Insert(ast.NodeTransformer):
        def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
            (statement,) = ast.parse("\n" * 9000 + "boom").body
            node.body.insert(1, statement)
            node.body.append(ast.Expr(ast.Name("last", ast.Load())))
            return node

    with pytest.raises(NameError, match="boom") as caught:
        recompyle.rewrite(price, Insert())(1)
    assert traceback.extract_tb(caught.value.__traceback__)[-1].line == "total = count * each"


# -- together with other passes ----------------------------------------------------------------------------


@pytest.mark.parametrize("turn", [1, -1])
def test_probes_stay_with_the_nodes_they_were_asked_for(turn: int) -> None:
    def f(a: Any) -> Any:
        b = str(a * 2)
        return len(b)

    names = recompyle.Expressions(recompyle.Counter)
    clock = recompyle.Calls(recompyle.Clock)
    log: list[Any] = []
    passes = [names, clock, Wrapped(lambda value: log.append(value) or value), Swap()][::turn]
    shown = recompyle.preview(f, *passes)
    assert recompyle.rewrite(f, *passes)(4) == 1
    assert log == ["6", 1]
    seen = {site.source: probe.count for site, probe in names.probes.items()}
    assert seen == {"str(a * 2)": 1, "a * 2": 0, "str": 1, "a": 1, "len(b)": 1, "len": 1, "b": 1}
    assert [clock.count for clock in clock.probes.values()] == [1, 1]
    skipped = {(each.source, each.reason) for each in shown.skipped}
    assert ("a * 2", "a free pass has replaced it") in skipped


def test_probe_that_would_change_the_new_program_is_left_out() -> None:
    asked = []

    class Truth:
        def __bool__(self) -> bool:
            asked.append(self)
            return True

    def f(a: Any, b: Any) -> Any:
        c = a and b
        return c

    class Test(ast.NodeTransformer):
        def visit_Assign(self, node: ast.Assign) -> ast.AST:
            (target,) = node.targets
            return ast.If(node.value, [ast.Assign([target], ast.Constant(1))], [])

    shown = recompyle.preview(f, Test(), recompyle.Expressions(recompyle.Counter))
    assert "its truth would be asked for twice" in [each.reason for each in shown.skipped]
    assert recompyle.rewrite(f, Test(), recompyle.Expressions(recompyle.Counter))(Truth(), Truth()) == 1
    assert len(asked) == 2


def test_layers_go_in_any_order() -> None:
    counts = recompyle.Statements(recompyle.Counter)
    first = recompyle.apply(price, Swap())
    second = recompyle.apply(price, counts)
    assert price(1) == 3.0
    first.restore()
    assert price(1) == 2.0
    third = recompyle.apply(price, Each("Return", lambda node, at: ast.Return(at.constant(price))))
    assert price(1) is price
    second.restore()
    third.restore()
    assert price(1) == 2.0
    assert max(probe.count for probe in counts.probes.values()) == 3


# -- what is refused ---------------------------------------------------------------------------------------


class Returns(ast.NodeTransformer):
    def __init__(self, text: str):
        self.text = text

    def visit_Return(self, node: ast.Return) -> Any:
        return ast.parse(textwrap.dedent(self.text)).body


class Parts(ast.NodeTransformer):
    def __init__(self, result: Any):
        self.result = result

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        return self.result(node)


def renamed(node: ast.FunctionDef) -> Any:
    node.name = "other"
    return node


def with_argument(node: ast.FunctionDef) -> Any:
    node.args.args.append(ast.arg("more"))
    return node


@pytest.mark.parametrize(
    ("transformer", "text"),
    [
        (Returns("yield 1"), "it would change the function's kind (generator, coroutine) or flags"),
        (Parts(lambda node: None), "it must give back one definition of price, and nothing else"),
        (Parts(lambda node: [node, ast.Pass()]), "it must give back one definition of price"),
        (Parts(renamed), "it would change the function's name"),
        (Parts(with_argument), "it would change the function's arguments"),
        (Returns("continue"), "does not compile: 'continue' not properly in loop"),
    ],
)
def test_what_a_transformer_may_not_do(transformer: Any, text: str) -> None:
    before = price.__code__
    with pytest.raises(PassError) as caught:
        recompyle.apply(price, transformer)
    assert text in str(caught.value)
    assert str(caught.value).startswith(f"pass '{type(transformer).__name__}' in price: ")
    assert price.__code__ is before


def test_variable_of_an_enclosing_function_that_there_is_no_cell_for() -> None:
    hidden = 1

    def f(a: Any) -> Any:
        return a

    assert hidden
    with pytest.raises(PassError, match="hidden of an enclosing function cannot be reached"):
        recompyle.rewrite(f, Returns("return hidden"))
    assert recompyle.rewrite(f, Returns("return len"))(1) is len
    assert recompyle.rewrite(f, Returns("hidden = 3; return a.hidden if a.real is None else hidden"))(1) == 3


def replaced(kind: str, make: Any, level: str = "free") -> str:
    asking = Each(kind, make, "asker")
    asking.level = level
    before = price.__code__
    with pytest.raises(PassError) as caught:
        recompyle.rewrite(price, asking)
    assert price.__code__ is before
    return str(caught.value)


def line_of(text: str) -> int:
    lines, first = inspect.getsourcelines(price)
    return first + next(i for i, line in enumerate(lines) if text in line)


def at_multiplication(reason: str) -> str:
    place = f'File "{__file__}", line {line_of("total = ")}'
    return f"pass 'asker' in price: {reason}\n  {place}\n    total = count * each\n            ^^^^^^^^^^^^"


@pytest.mark.parametrize(
    ("make", "level", "reason"),
    [
        (
            lambda node, at: ast.Constant(1),
            "value",
            "only a pass of level 'free' replaces nodes, and this one has level 'value'",
        ),
        (lambda node, at: ast.Pass(), "free", "a BinOp is replaced by a Pass, which is no ast.expr"),
        (lambda node, at: 5, "free", "a BinOp is replaced by 5, which is no ast.expr"),
    ],
)
def test_error_shows_the_node_in_its_line(make: Any, level: str, reason: str) -> None:
    assert replaced("BinOp", make, level) == at_multiplication(reason)


def test_error_of_the_compiler_shows_the_smallest_part() -> None:
    text = replaced("BinOp", lambda node, at: ast.List([node, ast.BinOp(node, ast.Add(), ast.Pass())], ast.Load()))
    assert text.startswith("pass 'asker' in price: the rewritten tree does not compile: expected some sort of expr")
    assert text.endswith(("count * each\n            ^^^^^^^^^^^^", "round(total - 1, 2)\n                 ^^^^^^^^^"))


def test_error_in_a_transformer_shows_the_node_it_was_at() -> None:
    class Failing(ast.NodeTransformer):
        def visit_Compare(self, node: ast.Compare) -> ast.AST:
            raise LookupError("no")

    with pytest.raises(PassError) as caught:
        recompyle.rewrite(price, Failing())
    assert str(caught.value) == (
        "pass 'Failing' failed in price: LookupError: no\n"
        f'  File "{__file__}", line {line_of("total > 10")}\n'
        "    if total > 10:\n"
        "       ^^^^^^^^^^"
    )
    assert isinstance(caught.value.__cause__, LookupError)


def test_later_pass_may_not_undo_an_earlier_one() -> None:
    one = Each("BinOp", lambda node, at: ast.BinOp(node, ast.Add(), ast.Constant(1)), "one")
    two = Each("BinOp", lambda node, at: ast.Constant(0), "two")
    with pytest.raises(PassError, match="pass 'two' in price: it would undo what pass 'one' put here"):
        recompyle.rewrite(price, one, two)


@pytest.mark.parametrize("what", [5, Swap, recompyle.Pass, lambda node: node])
def test_what_is_no_pass(what: Any) -> None:
    with pytest.raises(TypeError, match=r"is neither a recompyle\.Pass nor an ast\.NodeTransformer"):
        recompyle.apply(price, what)


def test_unknown_level() -> None:
    class Odd(recompyle.Pass):
        level = "loose"

    with pytest.raises(PassError, match="has level 'loose'; there are 'probe', 'value', 'free'"):
        recompyle.rewrite(price, Odd())


# -- code that nobody here wrote ---------------------------------------------------------------------------


class Rebuild(ast.NodeTransformer):
    """Makes every expression anew as the operand of a call of a function that hands it back."""

    def visit(self, node: ast.AST) -> Any:
        node = self.generic_visit(node)
        if isinstance(node, (ast.Call, ast.BinOp, ast.Compare, ast.Attribute)) and self.is_loaded(node):
            return ast.Call(ast.Constant(self.same), [node], [])
        return node

    @staticmethod
    def is_loaded(node: Any) -> bool:
        is_super = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super"
        return isinstance(getattr(node, "ctx", ast.Load()), ast.Load) and not is_super

    @staticmethod
    def same(value: Any) -> Any:
        return value


@pytest.fixture
def cleanly() -> Iterator[None]:
    yield
    recompyle.restore()


def test_standard_library_rebuilt_by_a_transformer_does_the_same(cleanly: None) -> None:
    import difflib
    import statistics

    def results() -> list[Any]:
        text = "The quick brown fox  jumps over\tthe lazy dog. " * 4
        return [
            textwrap.wrap(text, 30, initial_indent="* "),
            textwrap.dedent("    a\n      b\n    c"),
            list(difflib.unified_diff(["a", "b", "c"], ["a", "x", "c"])),
            statistics.quantiles([1, 5, 2, 8, 7, 9, 12], n=4),
            statistics.linear_regression([1, 2, 3], [2, 4, 6.5]),
        ]

    expected = results()
    for module in ("textwrap", "difflib", "statistics"):
        patch = recompyle.apply(f"{module}:*", Rebuild(), recompyle.Statements(recompyle.Counter))
        assert patch.skipped == []
        for function in patch.functions:
            assert markers(function.__code__) == []
    assert results() == expected


def test_pass_that_changes_the_shared_tree_is_told_so_and_the_tree_is_mended() -> None:
    class Meddler(recompyle.Pass):
        name = "meddler"

        def visit_BinOp(self, node: ast.BinOp, at: Any) -> None:
            if isinstance(node.op, ast.Mult):
                node.op = ast.Add()

        def visit_If(self, node: ast.If, at: Any) -> None:
            node.body.clear()

    with pytest.raises(PassError) as caught:
        recompyle.rewrite(price, Meddler())
    assert str(caught.value) == (
        "pass 'meddler' in price: it changed the shared tree; at.replace and ast.NodeTransformer are there for that\n"
        f'  File "{__file__}", line {line_of("total = ")}\n'
        "    total = count * each\n"
        "            ^^^^^^^^^^^^"
    )
    assert recompyle.rewrite(price, recompyle.Statements(recompyle.Counter))(6) == 11.0
