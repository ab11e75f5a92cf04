"""What a pass may ask for: which expressions can be observed and why others cannot, and what its verbs do."""

from __future__ import annotations

import ast
import dis
import re
import sys
import types
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import recompyle
from recompyle import inject
from recompyle.errors import PassError

# -- why an expression is left alone -----------------------------------------------------------------------

SETUP = """
import sys
log = []

class Dies:
    # Notes when it is freed.
    def __init__(self, name):
        self.name = name
    def __del__(self):
        log.append(f"{self.name} freed")

class T:
    # Has a truth, and notes when somebody asks for it.
    def __init__(self, value):
        self.value = value
    def __bool__(self):
        log.append(f"bool {self.value}")
        return bool(self.value)
    def __lt__(self, other):
        return T(self.value < other.value)
    def __str__(self):
        log.append(f"str {self.value}")
        return str(self.value)

def say(word):
    log.append(word)
    return word

class Base:
    def m(self):
        return "base"
"""


@dataclass
class Case:
    """A function `f`, one expression in it that must be left alone, and the reason that is given.

    `differs` says what wrapping it would do: "behaviour": another log or result; "invalid": the tree does not
    compile; "code": the compiler makes other instructions than for the bare expression;
    "layout": the same instructions, in an order that costs time or that tracers can see.
    """

    name: str
    program: str
    expression: str
    reason: str
    differs: str
    since: tuple[int, int] = (3, 11)


CASES = [
    Case(
        "and in a test",
        "def f():\n    if T(0) and T(1):\n        say('x')",
        "T(0) and T(1)",
        "asked for twice",
        "behaviour",
    ),
    Case(
        "or in while",
        "def f():\n    while T(0) or T(0):\n        pass",
        "T(0) or T(0)",
        "asked for twice",
        "code",
    ),
    Case(
        "and in assert",
        "def f():\n    assert not (T(0) and T(1))",
        "T(0) and T(1)",
        "asked for twice",
        "behaviour",
    ),
    Case(
        "or in and",
        "def f():\n    return (T(1) or T(0)) and T(0)",
        "T(1) or T(0)",
        "asked for twice",
        "behaviour",
    ),
    Case(
        "tested in an expression",
        "def f():\n    return 1 if T(1) or T(0) else 2",
        "T(1) or T(0)",
        "asked for twice",
        "behaviour",
    ),
    Case(
        "condition of a comprehension",
        "def f():\n    return [x for x in (1,) if T(0) and T(1)]",
        "T(0) and T(1)",
        "asked for twice",
        "behaviour",
    ),
    Case(
        "guard",
        "def f():\n    match 1:\n        case 1 if T(0) and T(1):\n            pass",
        "T(0) and T(1)",
        "asked for twice",
        "behaviour",
    ),
    Case(
        "chain in a test",
        "def f():\n    if T(2) < T(1) < T(3):\n        pass",
        "T(2) < T(1) < T(3)",
        "asked for twice",
        "behaviour",
    ),
    Case(
        "boolean branch of a tested expression",
        "def f():\n    if (T(0) and T(1) if say('c') else 0):\n        pass",
        "T(0) and T(1)",
        "asked for twice",
        "behaviour",
    ),
    Case(
        "two lines",
        "def f():\n    return bool(T(0)\n        or T(1))",
        "T(0) or T(1)",
        "ends on different lines",
        "layout",
    ),
    Case(
        "test for None",
        "def f():\n    if log is None:\n        pass",
        "log is None",
        "jump of its own",
        "code",
    ),
    Case(
        "super()",
        (
            "class D(Base):\n"
            "    def m(self):\n"
            "        del self\n"
            "        return super().m()\n"
            "def f():\n"
            "    try:\n"
            "        D().m()\n"
            "    except Exception as e:\n"
            "        return type(e).__name__"
        ),
        "super()",
        "syntax to the compiler",
        "behaviour",
        since=(3, 12),
    ),
    Case(
        "super",
        "class D(Base):\n    def m(self):\n        return super().m()\ndef f():\n    return D().m()",
        "super",
        "syntax to the compiler",
        "code",
        since=(3, 12),
    ),
    Case("method", "def f():\n    return log.copy()", "log.copy", "stands bare", "code"),
    Case(
        "imported receiver",
        "def f():\n    return sys.intern('a')",
        "sys",
        "was imported",
        "code",
        since=(3, 12),
    ),
    Case("not in", "def f():\n    return not 1 in log", "1 in log", "one operation", "layout"),
    Case(
        "formatted tuple",
        "def f():\n    return '%s-%s' % (T(1), say('s'))",
        "(T(1), say('s'))",
        "piece by piece",
        "behaviour",
    ),
    Case(
        "growing string",
        "def f():\n    s = ''\n    s = s + say('x')\n    return s",
        "s + say('x')",
        "grow in place",
        "layout",
    ),
    Case(
        "the string that grows",
        "def f():\n    s = ''\n    s = s + say('x')\n    return s",
        "s",
        "grow in place",
        "layout",
    ),
    Case(
        "receiver of a store",
        "class A:\n    def m(self):\n        self.x = 1\ndef f():\n    return A.__static_attributes__",
        "self",
        "on a bare name",
        "behaviour",
        since=(3, 13),
    ),
    Case(
        "stored comprehension",
        "def f():\n    x = [n for n in log]\n    return x",
        "[n for n in log]",
        "comprehension hid",
        "layout",
        since=(3, 12),
    ),
    *(
        Case(
            f"end of a lambda that yields, {whole}",
            f"def f():\n    g = lambda x=T(1): {whole}\n    return list(g())",
            part,
            "returns from each of its ends",
            "layout",
        )
        for whole, part in [
            ("(yield) and x", "(yield) and x"),
            ("x if (yield) else log", "x if (yield) else log"),
            ("(x or (yield)) if x else log", "x or (yield)"),
            ("x and (lambda y=(yield): y)", "x and (lambda y=(yield): y)"),
        ]
    ),
    Case("display after in", "def f(x=1):\n    return x in [1, 2]", "[1, 2]", "display a constant", "code"),
    Case(
        "display after for",
        "def f(x=1):\n    for n in [x, 2]:\n        pass",
        "[x, 2]",
        "display a constant",
        "code",
    ),
    Case("swap", "def f(a=1, b=2):\n    a, b = b, a\n    return a, b", "(b, a)", "never built", "code"),
    Case("constant", "def f():\n    return 1 + 2", "1", "a constant", "code"),
    Case("constant sum", "def f():\n    return -(1 + 2)", "1 + 2", "a constant", "code"),
    Case("__debug__", "def f():\n    if __debug__:\n        say('x')", "__debug__", "a constant", "code"),
    Case("assigned", "def f():\n    x = 1\n    return x", "x", "assigned to", "invalid"),
    Case("deleted", "def f(x=1):\n    del x", "x", "deleted", "invalid"),
    *(
        Case(
            f"comprehension stored, {targets}",
            f"def f():\n    {targets} = {values}[1 for i in [Dies('i')] for j in [Dies('j')]]",
            "[1 for i in [Dies('i')] for j in [Dies('j')]]",
            "before it restores",
            "behaviour",
            since=(3, 12),
        )
        for targets, values in [("x", ""), ("x, y", "0, "), ("x, y, z", "0, 0, ")]
    ),
    Case(
        "inlined any",
        "def f():\n    return any(x for x in log)",
        "(x for x in log)",
        "unrolls",
        "code",
        since=(3, 14),
    ),
]


class Asker(recompyle.Pass):
    """Notes for each expression why it cannot be observed."""

    def __init__(self) -> None:
        self.reasons: dict[str, list[str | None]] = {}

    def visit(self, node: ast.expr, at: Any) -> None:
        reason = at.why_not(node)
        assert at.can_observe(node) == (reason is None)
        self.reasons.setdefault(ast.unparse(node), []).append(reason)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("visit_") and issubclass(getattr(ast, name.removeprefix("visit_"), int), ast.expr):
            return self.visit
        raise AttributeError(name)


class Careless(ast.NodeTransformer):
    """Wraps the first expression of that text in `P[...]`; one that is read, if there is one to choose."""

    def __init__(self, text: str, read: bool) -> None:
        self.text = text
        self.read = read
        self.done = False

    def visit(self, node: ast.AST) -> ast.AST:
        skip = self.read and not isinstance(getattr(node, "ctx", ast.Load()), ast.Load)
        if isinstance(node, ast.expr) and not self.done and not skip and ast.unparse(node) == self.text:
            self.done = True
            probe = ast.Name("P", ast.Load())
            return ast.fix_missing_locations(ast.copy_location(ast.Subscript(probe, node, ast.Load()), node))
        return self.generic_visit(node)


class Hand:
    def __getitem__(self, value: Any) -> Any:
        return value


def run(tree: ast.Module, name: str) -> tuple[Any, types.CodeType]:
    """What `f` of a module does, as text, and the module's code."""
    code = compile(tree, name, "exec", dont_inherit=True)
    names: dict[str, Any] = {"P": Hand(), "__name__": name}
    exec(code, names)
    try:
        result = repr(names["f"]())
    except Exception as error:
        result = repr(error)
    return (result, names["log"]), code


def operations(code: types.CodeType) -> Counter[tuple[str, str]]:
    """The instructions of a code object and those within, jumps without their targets."""
    found: Counter[tuple[str, str]] = Counter()
    for each in dis.get_instructions(code):
        target = (
            each.opcode in dis.hasjrel
            or each.opcode in dis.hasjabs
            or isinstance(each.argval, types.CodeType)
        )
        found[each.opname, "" if target else each.argrepr] += 1
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            found += operations(const)
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_expression_that_cannot_be_observed(case: Case, tmp_path: Path) -> None:
    if sys.version_info < case.since:
        pytest.skip(f"no such optimisation before CPython {case.since}")
    path = tmp_path / "program.py"
    path.write_text(SETUP + case.program + "\n")
    names: dict[str, Any] = {"__name__": "program"}
    exec(compile(path.read_text(), str(path), "exec", dont_inherit=True), names)
    function = next((names[each].__dict__["m"] for each in ("D", "A") if each in names), names["f"])

    asker = Asker()
    recompyle.rewrite(function, asker)
    assert any(case.reason in each for each in asker.reasons[case.expression] if each is not None)

    tree = ast.parse(path.read_text())
    plain, code = run(tree, str(path))
    head = len(ast.parse(SETUP).body)
    careless = Careless(case.expression, read=case.differs != "invalid")
    tree.body[head:] = [careless.visit(each) for each in tree.body[head:]]
    assert careless.done
    if case.differs == "invalid":
        with pytest.raises((ValueError, TypeError, SyntaxError)):
            run(tree, str(path))
        return
    seen, new_code = run(tree, str(path))
    if case.differs == "behaviour":
        assert seen != plain
    else:
        assert seen == plain
        before, after = operations(code), operations(new_code)
        probe = Counter({("LOAD_GLOBAL", "P"): 1, ("BINARY_SUBSCR", ""): 1, ("BINARY_OP", "[]"): 1})
        assert case.differs == "layout" or before - after or after - before - probe


def test_ends_of_other_lambdas_can_be_observed() -> None:
    def chosen(a: Any, b: Any) -> Any:
        return lambda: a and (lambda: (yield)), lambda: [a or b, (yield)]

    asker = Asker()
    recompyle.rewrite(chosen, asker)
    assert asker.reasons["a and (lambda: (yield))"] == asker.reasons["a or b"] == [None]


def test_what_is_no_value_of_its_own() -> None:
    def f(x: Any, d: Any) -> Any:
        return f"{x!r:>{10}}", print(*x), x[1:2], d[x, 1], [y := x, y]

    asker = Asker()
    recompyle.rewrite(f, asker)
    reasons = asker.reasons
    assert reasons["*x"] == reasons["1:2"] == ["it is not a value of its own"]
    assert reasons["(x, 1)"] == ["it is an index"]
    assert reasons["d"] == reasons["(y := x)"] == [None]
    assert "it is part of a formatted string" in [each for them in reasons.values() for each in them], reasons
    assert reasons["y"] == ["it is assigned to or deleted", None]
    assert set(reasons["x"]) == {None}


def test_a_constant_that_a_comprehension_gives_can_be_observed() -> None:
    def f(xs: Any) -> Any:
        return [1 for _ in xs], {2: 3 for _ in xs}, [x for x in xs if 4]  # noqa: B035

    asker = Asker()
    recompyle.rewrite(f, asker)
    assert [asker.reasons[each] for each in "1234"] == [[None], [None], [None], ["it is a constant"]]


# -- the verbs ---------------------------------------------------------------------------------------------


class Probe:
    """Notes what passes through it."""

    def __init__(self, label: str, log: list[Any], end: Probe | None = None) -> None:
        self.label, self.log, self.end = label, log, end

    def __getitem__(self, value: Any) -> Any:
        self.log.append((self.label, value))
        return value

    def __invert__(self) -> Any:
        self.log.append(self.label)
        return self.end


class Each(recompyle.Pass):
    """Does one thing with each node of one kind."""

    def __init__(self, kind: str, action: Callable[[Any, Any], object], name: str = "each") -> None:
        self.name = name
        setattr(self, f"visit_{kind}", action)


def add(a: int, b: int = 1) -> int:
    total = a + b
    return total


def call(a: Any) -> Any:
    return str(len(a))


def test_mark_runs_before_the_statement() -> None:
    log: list[Any] = []
    probe = Probe("mark", log)
    new = recompyle.rewrite(add, Each("Return", lambda node, at: at.mark(node, probe)))
    assert new(2) == 3
    assert log == ["mark"]
    assert add(2) == 3
    assert log == ["mark"]


def test_several_marks_of_one_statement_run_in_order() -> None:
    log: list[Any] = []
    passes = [Each("Return", lambda node, at, n=n: at.mark(node, Probe(n, log))) for n in "abc"]
    assert recompyle.rewrite(add, *passes)(1) == 2
    assert log == ["a", "b", "c"]


def test_marks_stand_behind_docstring_and_before_any_statement() -> None:
    def f() -> int:
        """Text."""
        x = 1
        return x

    log: list[Any] = []

    def mark(node: Any, at: Any) -> None:
        at.mark(node, Probe(node.lineno - at.line, log))

    new = recompyle.rewrite(f, Each("Assign", mark), Each("Return", mark))
    assert new() == 1
    assert log == [2, 3]
    assert new.__doc__ == "Text."


def test_through_gets_the_value() -> None:
    log: list[Any] = []
    new = recompyle.rewrite(add, Each("BinOp", lambda node, at: at.through(node, Probe("sum", log))))
    assert new(2, 5) == 7
    assert log == [("sum", 7)]


def test_around_starts_after_the_last_argument() -> None:
    log: list[Any] = []

    def around(node: Any, at: Any) -> None:
        number = at.site(node, "call").id
        end = Probe(f"end {number}", log)
        at.around(node, Probe(f"start {number}", log, end), end)

    assert recompyle.rewrite(call, Each("Call", around))("ab") == "2"
    assert log == [("start 1", "ab"), ("end 1", 2), ("start 0", 2), ("end 0", "2")]


def test_around_without_arguments_starts_in_front() -> None:
    def f() -> dict[Any, Any]:
        return dict()  # noqa: C408

    log: list[Any] = []
    end = Probe("end", log)
    new = recompyle.rewrite(f, Each("Call", lambda node, at: at.around(node, Probe("start", log, end), end)))
    assert new() == {}
    assert log == ["start", ("end", {})]


async def calls(f: Any, a: Any, x: Any) -> None:
    f(a, x)
    f(a, key=x)
    f(a, key=a, **x)
    f(key=a, *x)  # noqa: B026
    f(*a, *x)
    f()
    a.m()
    f()()
    f().m()
    f().n.m()
    a[f()].m()
    (lambda: f())()
    await x
    await f(a)
    await f()
    await (x or f)


STARTS = """\
@e[f(a, @s[x])]
@e[f(a, key=@s[x])]
@e[f(a, key=a, **@s[x])]
@e[f(*x, key=@s[a])]
@e[f(*a, *@s[x])]
(~@s)[f()]
(~@s)[a.m()]
@e[@s[(~@s)[f()]]()]
@e[@s[(~@s)[f()]].m()]
@e[@s[(~@s)[f()].n].m()]
@e[@s[a[(~@s)[f()]]].m()]
(~@s)[(lambda: (~@s)[f()])()]
(~@s)[await x]
@e[await @e[f(@s[@s[a]])]]
(~@s)[await (~@s)[f()]]
(~@s)[await (x or f)]
"""


def test_the_start_stands_behind_what_is_evaluated_before_the_call() -> None:
    probe = Probe("x", [])

    def around(node: Any, at: Any) -> None:
        at.around(node, probe, probe)

    shown = recompyle.preview(calls, Each("Call", around), Each("Await", around)).source
    text = "".join(line[4:] + "\n" for line in shown.splitlines()[1:])
    assert re.sub(r"@(start|end)_?\d*", lambda found: f"@{found[1][0]}", text) == STARTS


def test_site_knows_place_and_text() -> None:
    class Sites(recompyle.Pass):
        def visit_Call(self, node: Any, at: Any) -> None:
            at.site(node, "call", "the name")
            at.site(node, "other", source="shown")

    shown = recompyle.preview(call, Sites())
    first, second, third, _ = shown.sites
    line = call.__code__.co_firstlineno + 1
    assert (first.id, first.kind, first.name, first.source) == (0, "call", "the name", "str(len(a))")
    assert (first.line, first.end_line, first.column, first.end_column) == (line, line, 11, 22)
    assert (first.file, first.function) == (__file__, "call")
    assert (second.id, second.kind, second.name, second.source) == (1, "other", None, "shown")
    assert third.source == "len(a)"


def test_columns_count_bytes_and_text_is_exact() -> None:
    def f(x: Any) -> Any:
        return "äöü", len(  x   ),  len([
            x
        ])  # fmt: skip

    shown = recompyle.preview(f, recompyle.ProfileCalls())
    assert [site.source for site in shown.sites] == ["len( x )", "len([ x ])"]
    first, second = shown.sites
    line = Path(__file__).read_bytes().splitlines()[first.line - 1]
    assert line[first.column : first.end_column] == b"len(  x   )"
    assert second.end_line == second.line + 2


def test_skip_is_told_in_the_preview() -> None:
    shown = recompyle.preview(call, Each("Call", lambda node, at: at.skip(node, "not today")))
    assert [(each.source, each.reason) for each in shown.skipped] == [
        ("str(len(a))", "not today"),
        ("len(a)", "not today"),
    ]
    assert shown.sites == ()


def test_data_belongs_to_one_rewrite() -> None:
    class Counting(recompyle.Pass):
        counts: list[int] = []  # noqa: RUF012

        def begin(self, at: Any) -> None:
            at.data = 0

        def visit_Call(self, node: Any, at: Any) -> None:
            at.data += 1

        def end(self, at: Any) -> None:
            self.counts.append(at.data)

    counting = Counting()
    recompyle.rewrite(call, counting)
    recompyle.rewrite(add, counting)
    assert counting.counts == [2, 0]


def test_parents_and_nested_frames() -> None:
    def f(xs: Any) -> Any:
        return [abs(x) for x in iter(xs)], (str(x) for x in list(xs)), lambda: repr(xs)

    found = {}

    def note(node: Any, at: Any) -> None:
        found[at.source(node)] = at.is_nested(node), type(at.parent(node)).__name__

    recompyle.rewrite(f, Each("Call", note))
    assert found == {
        "abs(x)": (sys.version_info < (3, 12), "ListComp"),
        "iter(xs)": (False, "comprehension"),
        "str(x)": (True, "GeneratorExp"),
        "list(xs)": (False, "comprehension"),
        "repr(xs)": (True, "Lambda"),
    }


def test_first_pass_is_innermost_on_a_value() -> None:
    log: list[Any] = []
    passes = [Each("BinOp", lambda node, at, n=n: at.through(node, Probe(n, log))) for n in "ab"]
    assert recompyle.rewrite(add, *passes)(1) == 2
    assert log == [("a", 2), ("b", 2)]


def test_first_pass_is_innermost_on_a_call() -> None:
    log: list[Any] = []

    def around(name: str) -> Callable[[Any, Any], None]:
        def visit(node: Any, at: Any) -> None:
            end = Probe(f"{name} end", log)
            at.around(node, Probe(f"{name} start", log, end), end)

        return visit

    def f(x: Any) -> Any:
        return len(x)

    assert recompyle.rewrite(f, Each("Call", around("a")), Each("Call", around("b")))("ab") == 2
    labels = [each[0] for each in log]
    assert sorted(labels[:2]) == ["a start", "b start"]
    assert labels[2:] == ["a end", "b end"]


def test_a_pass_sees_the_unchanged_tree() -> None:
    seen = []
    probe = Probe("x", [])
    first = Each("Call", lambda node, at: at.around(node, probe, probe))
    second = Each("Call", lambda node, at: seen.append(ast.unparse(node)))
    recompyle.rewrite(call, first, second)
    assert seen == ["str(len(a))", "len(a)"]


def test_nested_functions_are_visited_or_not() -> None:
    def f() -> Any:
        def inner() -> str:
            return str(1)

        class C:
            x = int("2")

        return inner(), C.x

    seen: list[str] = []
    each = Each("Call", lambda node, at: seen.append(ast.unparse(node)))
    recompyle.rewrite(f, each)
    assert seen == ["str(1)", "int('2')", "inner()"]
    del seen[:]
    each.nested_functions = False
    recompyle.rewrite(f, each)
    assert seen == ["inner()"]


def test_of_several_passes_that_stand_for_each_other_the_last_counts() -> None:
    log: list[Any] = []

    class Only(Each):
        single = True

    passes = [Only("BinOp", lambda node, at, n=n: at.through(node, Probe(n, log))) for n in "abc"]
    assert recompyle.rewrite(add, *passes)(1) == 2
    assert log == [("c", 2)]


# -- passes without source ---------------------------------------------------------------------------------


class Entry(recompyle.Pass):
    """Marks the entry in the compiled code."""

    name = "entry"

    def __init__(self, log: list[Any]) -> None:
        self.log = log

    def needs_source(self) -> bool:
        return False

    def edits(self, code: types.CodeType, at: Any, nested: bool) -> Any:
        assert code is at.code
        assert not nested
        assert at.line == code.co_firstlineno
        return [inject.Edit("entry", Probe("entry", self.log))]


def test_edits_need_no_source() -> None:
    names: dict[str, Any] = {}
    exec("def f(x):\n    return x + 1", names)
    log: list[Any] = []
    new = recompyle.rewrite(names["f"], Entry(log))
    assert new(1) == 2
    assert log == ["entry"]
    shown = recompyle.preview(names["f"], Entry(log))
    assert (shown.source, shown.original, shown.diff) == ("", "", "")


def test_edits_and_visits_together() -> None:
    class Both(recompyle.Pass):
        def __init__(self, log: list[Any]) -> None:
            self.log = log

        def visit_BinOp(self, node: Any, at: Any) -> None:
            at.through(node, Probe("sum", self.log))

        def edits(self, code: types.CodeType, at: Any, nested: bool) -> Any:
            return [
                inject.Edit("entry", Probe("entry", self.log)),
                inject.Edit("return", Probe("return", self.log)),
            ]

    log: list[Any] = []
    assert recompyle.rewrite(add, Both(log))(1) == 2
    assert log == ["entry", ("sum", 2), "return"]


def test_edits_of_nested_code_are_told_so() -> None:
    def f(xs: Any) -> Any:
        return sum(abs(x) for x in xs)

    told = []

    class Nested(recompyle.Pass):
        def visit_Call(self, node: Any, at: Any) -> None:
            probe = Probe("x", [])
            at.around(node, probe, probe) if node.args and at.source(node).startswith("abs") else None

        def edits(self, code: types.CodeType, at: Any, nested: bool) -> Any:
            told.append((code.co_name, nested))
            return ()

    recompyle.rewrite(f, Nested())
    assert sorted(told) == [("<genexpr>", True), ("f", False)]


# -- what a pass does wrong --------------------------------------------------------------------------------


def test_error_of_a_pass_names_pass_function_line_and_text() -> None:
    def fail(node: Any, at: Any) -> None:
        raise KeyError("gone")

    before = call.__code__
    with pytest.raises(PassError) as caught:
        recompyle.rewrite(call, Each("Call", fail, "counter"))
    line = call.__code__.co_firstlineno + 1
    assert str(caught.value) == (
        "pass 'counter' failed in call: KeyError: 'gone'\n"
        f'  File "{__file__}", line {line}\n'
        "    return str(len(a))\n"
        "           ^^^^^^^^^^^"
    )
    assert isinstance(caught.value.__cause__, KeyError)
    assert caught.value.slug == "pass_failed"
    assert call.__code__ is before


def test_error_before_the_first_node() -> None:
    class Broken(recompyle.Pass):
        name = "broken"

        def begin(self, at: Any) -> None:
            raise ValueError("no")

    with pytest.raises(PassError, match=r"^pass 'broken' failed in add: ValueError: no$"):
        recompyle.rewrite(add, Broken())


@pytest.mark.parametrize("method", ["edits", "end"])
def test_error_after_the_last_node(method: str) -> None:
    class Broken(recompyle.Pass):
        name = "broken"

    def fail(*_: Any) -> None:
        raise ValueError("no")

    setattr(Broken, method, fail)
    with pytest.raises(PassError, match=r"^pass 'broken' failed in add: ValueError: no$"):
        recompyle.rewrite(add, Broken())


def test_probe_without_the_operator_is_refused() -> None:
    class Broken(recompyle.Pass):
        def edits(self, code: types.CodeType, at: Any, nested: bool) -> Any:
            return [inject.Edit("entry", object())]

    with pytest.raises(PassError, match="object has no __invert__"):
        recompyle.rewrite(add, Broken())


@pytest.mark.parametrize(
    ("kind", "action", "text"),
    [
        (
            "Constant",
            lambda node, at: at.through(node, Probe("x", [])),
            "'1' cannot be observed: it is a constant",
        ),
        ("Attribute", lambda node, at: at.through(node, Probe("x", [])), "the method stands bare"),
        ("Name", lambda node, at: at.mark(node, Probe("x", [])), "only a statement can be marked, not 'len'"),
    ],
)
def test_what_may_not_be_asked(kind: str, action: Any, text: str) -> None:
    def f(xs: Any) -> Any:
        return len(xs.copy()) + 1

    with pytest.raises(PassError) as caught:
        recompyle.rewrite(f, Each(kind, action))
    assert text in str(caught.value)
    assert f"line {f.__code__.co_firstlineno + 1}: " in str(caught.value)


@pytest.mark.parametrize(
    "ask",
    [
        lambda at, node, probe: at.mark(node, probe),
        lambda at, node, probe: at.mark([node], probe),
        lambda at, node, probe: at.mark(at.node, probe),
        lambda at, node, probe: at.mark_end(node, "body", probe),
        lambda at, node, probe: at.through(node.test, probe),
        lambda at, node, probe: at.callee(node.test, probe),
        lambda at, node, probe: at.around(node.test, probe, probe),
        lambda at, node, probe: at.replace(node, ast.Pass()),
    ],
)
def test_what_is_asked_at_a_node_of_another_tree_is_not_lost(ask: Any) -> None:
    """It is refused, and the message shows where the pass was."""
    foreign = ast.parse("while f(): pass").body[0]

    class Lost(recompyle.Pass):
        level = "free"

        def visit_Return(self, node: Any, at: Any) -> None:
            ask(at, foreign, Probe("x", []))

    with pytest.raises(PassError, match="is no part of the function's body") as caught:
        recompyle.rewrite(add, Lost())
    assert str(caught.value).endswith("    return total\n    ^^^^^^^^^^^^")


def test_nodes_of_which_nothing_can_be_observed() -> None:
    asked = []

    def ask(node: Any, at: Any) -> None:
        asked.extend(at.why_not(each) for each in (node, ast.parse("x + 1").body[0].value, at.node))  # type: ignore[attr-defined]

    recompyle.rewrite(add, Each("Return", ask))
    recompyle.rewrite(lambda x: x + 1, Each("BinOp", ask))
    foreign = "it is no part of the function's body"
    assert asked == ["it is not an expression", foreign, "it is not an expression", None, foreign, foreign]


def test_error_at_a_node_without_a_place_shows_what_it_stands_in() -> None:
    def f(x: Any, y: Any) -> Any:
        match x:
            case int():
                with y:
                    return x + 1 + x

    for kind, shown in ("match_case", "    match x:"), ("withitem", "    with y:"), ("Add", None):
        with pytest.raises(PassError) as caught:
            recompyle.rewrite(f, Each(kind, lambda node, at: at.site(node, "here")))
        assert dict(enumerate(str(caught.value).splitlines())).get(2) == shown


def test_failed_rewrite_in_place_leaves_the_function() -> None:
    def fail(node: Any, at: Any) -> None:
        raise RuntimeError

    before = add.__code__
    log: list[Any] = []
    first = recompyle.apply(add, Each("BinOp", lambda node, at: at.through(node, Probe("sum", log))))
    try:
        kept = add.__code__
        with pytest.raises(PassError):
            recompyle.apply(add, Each("BinOp", fail))
        assert add.__code__ is kept
        assert add(1) == 2
        assert log == [("sum", 2)]
    finally:
        first.restore()
    assert add.__code__ is before


def test_any_object_with_the_operators_is_a_probe() -> None:
    """Its errors are its author's."""
    new = recompyle.rewrite(add, Each("BinOp", lambda node, at: at.through(node, {2: "two"})))
    assert new(1) == "two"
    with pytest.raises(KeyError):
        new(2)
