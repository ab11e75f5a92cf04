"""Where the profiler's probes go: which calls get rows, of which kind, and what filters leave out."""

from __future__ import annotations

import ast
import asyncio
import linecache
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from helpers import counts_of

import recompyle
from recompyle import ProfileCalls
from recompyle.profile.passes import kind_of
from recompyle.rewrite.names import dotted


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    recompyle.restore()


def g(*args: Any, **kwargs: Any) -> int:
    return len(args)


def sites(function: Any, **options: Any) -> list[tuple[str, str]]:
    return [(site.kind, site.source) for site in recompyle.preview(function, ProfileCalls(**options)).sites]


def skipped(function: Any, **options: Any) -> dict[str, str]:
    return {each.source: each.reason for each in recompyle.preview(function, ProfileCalls(**options)).skipped}


# -- filters -----------------------------------------------------------------------------------------------


class Repo:
    def load(self, key: Any) -> Any:
        return key


def patterns(self: Any, table: Any, b: Any) -> Any:
    g(1)
    self.repo.load(2)
    table[b](3)
    table["b"](4)
    table["c"].load(5)
    (g or len)(6)
    g(7).real.conjugate()


ALL = [
    "g(1)",
    "self.repo.load(2)",
    "table[b](3)",
    'table["b"](4)',
    'table["c"].load(5)',
    "(g or len)(6)",
    "g(7).real.conjugate()",
    "g(7)",
]

FILTERS = [
    ({}, ALL),
    ({"include": "g"}, ["g(1)", "g(7)"]),
    ({"include": ["self.repo.load"]}, ["self.repo.load(2)"]),
    ({"include": ["table[b]"]}, ["table[b](3)", 'table["b"](4)']),
    ({"include": ['table["b"]']}, ["table[b](3)", 'table["b"](4)']),
    ({"include": ["table[*]"]}, ["table[b](3)", 'table["b"](4)']),
    ({"include": ["table[*].load", "g"]}, ["g(1)", 'table["c"].load(5)', "g(7)"]),
    ({"include": ["repo.load"]}, []),
    ({"include": ["load"]}, []),
    ({"include": ["self.repo"]}, []),
    ({"exclude": ["g"]}, [each for each in ALL if not each.startswith("g(")] + ["g(7).real.conjugate()"]),
    (
        {"exclude": ["table[*]", "self.repo.load"]},
        ["g(1)", 'table["c"].load(5)', "(g or len)(6)", "g(7).real.conjugate()", "g(7)"],
    ),
    ({"exclude": ["g.*"]}, ALL),
]


@pytest.mark.parametrize(("options", "wanted"), FILTERS, ids=lambda each: str(each)[:60])
def test_filters(options: dict[str, Any], wanted: list[str]) -> None:
    assert sorted(source for _, source in sites(patterns, **options)) == sorted(wanted)


def test_what_a_filter_left_out_is_told() -> None:
    assert skipped(patterns, include=["g"])["self.repo.load(2)"] == "not in include"
    assert skipped(patterns, exclude=["g"]) == {"g(1)": "in exclude", "g(7)": "in exclude"}
    assert skipped(patterns) == {}


def test_include_leaves_out_what_waits_without_a_call() -> None:
    async def work(things: Any) -> None:
        async for x in things:
            g(x)

    assert skipped(work, include=["g"]) == {"things": "not in include"}


def test_filters_hold_for_awaits() -> None:
    async def f() -> None:
        await asyncio.sleep(0)
        await g
        g()

    assert sites(f, include=["asyncio.sleep"]) == [("await", "await asyncio.sleep(0)")]
    assert sites(f, exclude=["asyncio.sleep"]) == [("await", "await g"), ("call", "g()")]


def min(*args: Any) -> Any:
    """Hides the builtin from this whole module."""
    return args[0]


def test_builtins_by_name_unless_hidden() -> None:
    def f(max: Any) -> Any:
        sum = g
        return len([]), min(1), max(2), sum(3), [abs(4) for abs in [g]], str.upper("x"), print, g(5)

    calls = [source for _, source in sites(f, builtins=False)]
    assert calls == ["min(1)", "max(2)", "sum(3)", "abs(4)", 'str.upper("x")', "g(5)"]
    assert skipped(f, builtins=False) == {"len([])": "a builtin"}


def test_builtin_hidden_inside_a_comprehension() -> None:
    def f() -> Any:
        return [abs(1) for abs in [g]], abs(-2)

    assert [source for _, source in sites(f, builtins=False)] == ["abs(1)", "abs(-2)"]


# -- what gets a row ---------------------------------------------------------------------------------------


def test_every_kind_of_row() -> None:
    async def f(things: Any, manager: Any) -> Any:
        g()
        await g
        await g(1)
        async for x in things:
            g(x)
        async with manager as m, g(2):
            pass
        return [y async for y in things], x, m

    assert sites(f) == [
        ("call", "g()"),
        ("await", "await g"),
        ("await", "await g(1)"),
        ("iterate", "async for x in things"),
        ("call", "g(x)"),
        ("with", "async with manager, g(2)"),
        ("call", "g(2)"),
        ("iterate", "async for y in things"),
    ]


def test_yield_from() -> None:
    def f() -> Any:
        x = yield from g(1)
        yield g(2)
        return x

    assert sites(f) == [("yield", "yield from g(1)"), ("call", "g(2)")]


def test_bodies_of_nested_functions_have_no_rows_but_lambdas_do() -> None:
    def f() -> Any:
        @g
        def inner(x: Any = g(1)) -> Any:  # noqa: B008
            return g(2)

        class C(object if g(3) else g):  # type: ignore[misc]
            y = g(4)

        return inner, C, lambda: g(5), [g(6) for _ in ()], (g(7) for _ in g(8))

    assert [source for _, source in sites(f)] == ["g(3)", "g(5)", "g(6)", "g(7)", "g(8)"]


def test_super_has_no_row() -> None:
    class C(Repo):
        def load(self, key: Any) -> Any:
            return super().load(key)

    assert sites(C.load) == [("call", "super().load(key)")]


def test_operators_and_statements_have_no_rows() -> None:
    def f(x: Any, y: Any) -> Any:
        import os

        with x as z:
            for _ in y:
                del x[y].z
        return x + y, x[y], x.y, x < y, f"{x}", z, os, not x

    assert sites(f) == []


def test_total_needs_no_sites() -> None:
    assert sites(patterns, mode="total") == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("f()", "f"),
        ("a.b.c()", "a.b.c"),
        ("a[b]()", "a[b]"),
        ("a['b'].c()", "a[b].c"),
        ("a[0]()", "a[0]"),
        ("a[b.c]()", "a[b.c]"),
        ("a[b['c']][i + 1:].d()", "a[b[c]][i + 1:].d"),
        ("f()()", None),
        ("f().g()", None),
        ("(a or b)()", None),
        ("'x'.join()", None),
        ("f'{x}'.strip()", None),
        ("(lambda: 1)()", None),
    ],
)
def test_dotted_names(text: str, name: str | None) -> None:
    assert dotted(ast.parse(text, mode="eval").body.func) == name  # type: ignore[attr-defined]


def test_kinds() -> None:
    def function() -> Any:
        return (x for x in ())

    def generator() -> Iterator[int]:
        yield 1

    async def coroutine() -> None:
        pass

    async def async_generator() -> AsyncIterator[int]:
        yield 1

    kinds = [kind_of(each.__code__) for each in (function, generator, coroutine, async_generator)]
    assert kinds == ["function", "generator", "coroutine", "async generator"]


def test_names_of_callees_are_found_when_reporting() -> None:
    got: list[Any] = []

    @recompyle.shallow_call_profiler(0, above_callback=got.append)
    def f(repo: Any) -> Any:
        return g(), len(""), repo.load(1), str.upper("x")

    f(Repo())
    names = {row.source: row.name for row in got[0].calls}
    assert names["g()"] == f"{__name__}:g"
    assert names['len("")'] == "builtins:len"
    assert names["repo.load(1)"] is None


def test_rows_counted_by_filter() -> None:
    got: list[Any] = []

    @recompyle.shallow_call_profiler(0, above_callback=got.append, builtins=False, exclude="g")
    def f(repo: Any) -> Any:
        return g(), len(""), repo.load(1)

    f(Repo())
    assert counts_of(got[0]) == {"repo.load(1)": 1}


def test_passes_of_equal_options_share_a_build() -> None:
    assert ProfileCalls("1s").key() == ProfileCalls(1).key()
    assert ProfileCalls("1s").key() != ProfileCalls("2s").key()
    assert ProfileCalls(rewrite_details={}).key() is None
    assert repr(ProfileCalls(mode="total")) == "<ProfileCalls total>"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="type parameters are new in 3.12")
def test_calls_in_type_parameters_and_annotations_are_left_alone() -> None:
    names: dict[str, Any] = {"g": g, "__name__": __name__}
    text = "def f[T: g(1)](x: g(2) = 3) -> g(4):\n    y: g(5) = g(6)\n    return y\n"
    linecache.cache["<annotations>"] = (len(text), None, text.splitlines(True), "<annotations>")
    exec(compile(text, "<annotations>", "exec"), names)
    assert sites(names["f"]) == [("call", "g(6)")]
