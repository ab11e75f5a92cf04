"""From requests to a tree with placeholders: what is copied, what shared, how places are written."""

from __future__ import annotations

import ast
import math
import warnings
from typing import Any

import pytest

from recompyle.rewrite.passes import Plan, Wrap
from recompyle.rewrite.transform import Placeholder, number_of, transform


def planned(text: str, *requests: tuple[str, str, str]) -> tuple[ast.FunctionDef, Plan]:
    """A function and a plan: each request is a table, the text of a node, and a role."""
    tree = ast.parse(text).body[0]
    assert isinstance(tree, ast.FunctionDef)
    plan = Plan()
    for parent in ast.walk(tree):
        for child in ast.iter_child_nodes(parent):
            plan.parents[id(child)] = parent
    nodes = [
        each
        for statement in tree.body
        for each in ast.walk(statement)
        if isinstance(each, (ast.expr, ast.stmt))
    ]
    for number, (table, source, role) in enumerate(requests, 1):
        node = next(each for each in nodes if ast.unparse(each) == source)
        plan.request(getattr(plan, table), node, Wrap(role, object(), f"{role}_{number}"))
    return tree, plan


def shown(text: str, *requests: tuple[str, str, str]) -> str:
    tree, plan = planned(text, *requests)
    new, _ = transform(tree, plan, names=True)
    return ast.unparse(ast.fix_missing_locations(new)).partition("\n")[2].replace("    ", "")


F = "def f(a, b):\n    x = g(a.m(), b)\n    return x"


@pytest.mark.parametrize(
    ("requests", "text"),
    [
        ([("inner", "g(a.m(), b)", "through")], "x = @through_1[g(a.m(), b)]\nreturn x"),
        ([("inner", "g(a.m(), b)", "first")], "x = (~@first_1)[g(a.m(), b)]\nreturn x"),
        ([("marks", "return x", "mark")], "x = g(a.m(), b)\n~@mark_1\nreturn x"),
        (
            [("outer", "b", "through"), ("inner", "g(a.m(), b)", "through")],
            "x = @through_2[g(a.m(), @through_1[b])]\nreturn x",
        ),
        (
            [("outer", "a.m()", "through"), ("inner", "a.m()", "through")],
            "x = g(@through_1[@through_2[a.m()]], b)\nreturn x",
        ),
        (
            [("marks", "return x", "mark"), ("marks", "return x", "mark")],
            "x = g(a.m(), b)\n~@mark_1\n~@mark_2\nreturn x",
        ),
        ([("inner", "a", "through")], "x = g(@through_1[a].m(), b)\nreturn x"),
    ],
)
def test_where_probes_stand(requests: Any, text: str) -> None:
    assert shown(F, *requests) == text


def test_without_requests_it_is_the_same_tree() -> None:
    tree, plan = planned(F)
    assert transform(tree, plan) == (tree, [])
    assert not plan


def test_original_is_untouched_and_shared() -> None:
    tree, plan = planned(F, ("inner", "a.m()", "through"))
    before = ast.dump(tree, include_attributes=True)
    new, _ = transform(tree, plan)
    assert ast.dump(tree, include_attributes=True) == before
    assert new is not tree
    assert new.body[0] is not tree.body[0]
    assert new.body[1] is tree.body[1]
    assert new.args is tree.args
    call = new.body[0].value  # type: ignore[attr-defined]
    assert call.args[1] is tree.body[0].value.args[1]  # type: ignore[attr-defined]


def test_marks_in_all_lists_of_statements() -> None:
    text = (
        "def f(a):\n if a:\n  b\n else:\n  c\n try:\n  d\n except E:\n  e\n else:\n  h\n finally:\n  i\n"
        " match a:\n  case 1:\n   j"
    )
    for name in "bcdehij":
        lines = shown(text, ("marks", name, "mark")).splitlines()
        assert lines[lines.index(name) - 1] == "~@mark_1", name


def test_placeholders_are_numbered_and_their_constants_unique() -> None:
    tree, plan = planned(
        F, ("outer", "b", "through"), ("inner", "g(a.m(), b)", "through"), ("marks", "return x", "mark")
    )
    new, placeholders = transform(tree, plan)
    assert [each.number for each in placeholders] == [0, 1, 2]
    assert [(each.role, each.before) for each in placeholders] == [
        ("through", True),
        ("through", False),
        ("mark", True),
    ]
    constants = [each.constant for each in placeholders]
    assert len(set(constants)) == 3
    assert all(math.isfinite(each.real) and each.imag > 0 for each in constants)
    found = [
        each.value
        for each in ast.walk(new)
        if isinstance(each, ast.Constant) and isinstance(each.value, complex)
    ]
    assert {each: found.count(each) for each in found} == dict.fromkeys(constants, 2)


def test_marker_columns_name_the_placeholder() -> None:
    tree, plan = planned(F, ("inner", "b", "through"))
    new, (placeholder,) = transform(tree, plan)
    wrapped = new.body[0].value.args[1]  # type: ignore[attr-defined]
    assert isinstance(wrapped, ast.Subscript)
    assert number_of(wrapped.col_offset) == number_of(wrapped.end_col_offset) == placeholder.number == 0
    assert wrapped.lineno == 2
    assert wrapped.slice.col_offset == 17


@pytest.mark.parametrize(
    ("column", "number"), [(None, -1), (0, -1), (79, -1), (100_000, -1), (1 << 24, 0), ((1 << 24) + 7, 7)]
)
def test_number_of(column: int | None, number: int) -> None:
    assert number_of(column) == number


@pytest.mark.parametrize(
    "text",
    [
        "1",
        "'a'",
        "None",
        "...",
        "(1, 2)",
        "{1: 2}",
        "[1][0]",
        "-1",
        "1 + 2",
        "'a' 'b'",
        "f'{a}'",
        "lambda: 1",
        "not a",
        "b'x'[0]",
    ],
)
def test_placeholders_are_never_folded_and_never_warned_about(text: str) -> None:
    source = ast.unparse(ast.parse(text, mode="eval"))
    tree, plan = planned(f"def f(a):\n    return {source}", ("inner", source, "through"))
    new, (placeholder,) = transform(tree, plan)
    module = ast.Module(body=[new], type_ignores=[])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        code = compile(module, "<placeholders>", "exec")
    (function,) = [each for each in code.co_consts if hasattr(each, "co_code")]
    assert placeholder.constant in function.co_consts


def test_constant_of_a_placeholder() -> None:
    first, second = Placeholder(0, None, "through", True), Placeholder(1, None, "mark", False)
    assert first.constant == first.constant != second.constant
    assert first.constant.real == 1.0
