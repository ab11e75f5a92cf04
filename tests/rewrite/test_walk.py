"""The walk that lists a function's nodes."""

from __future__ import annotations

import ast
import inspect
import json.decoder
import textwrap
from typing import Any

import pytest

from recompyle._env import INLINED_COMPREHENSIONS
from recompyle.rewrite.walk import Walk


def function_of(text: str) -> Any:
    return ast.parse(textwrap.dedent(text)).body[0]


def shown(walk: Walk) -> list[str]:
    return [ast.unparse(node) for node, _ in walk.order if isinstance(node, ast.expr)]


def test_nodes_stand_in_source_order() -> None:
    node = function_of(inspect.getsource(json.decoder.JSONDecoder.decode))
    places = [(each.lineno, each.col_offset) for each, _ in Walk(node).order if isinstance(each, (ast.stmt, ast.Name))]
    assert places == sorted(places)
    assert len(places) > 10


def test_every_node_has_its_parent() -> None:
    root = function_of(inspect.getsource(json.decoder.JSONArray))
    walk = Walk(root)
    for node, _ in walk.order:
        assert any(each is node for each in ast.iter_child_nodes(walk.parents[id(node)]))
    assert walk.parents[id(root.body[0])] is root


def test_what_is_no_expression_of_the_function_is_left_out() -> None:
    walk = Walk(
        function_of(
            """
            def f(a=left_out) -> left_out:
                x: left_out = a
                @left_out
                def inner(b=left_out): return b
                match a:
                    case left_out: pass
            """
        )
    )
    assert "left_out" not in " ".join(shown(walk))
    assert shown(walk) == ["x", "a", "b", "a"]


def test_depth_counts_functions_and_nested_tells_other_frames() -> None:
    walk = Walk(
        function_of(
            """
            def f():
                class C(base):
                    inside = 1
                    def g(self): deep
                return (lambda: later), (gen for _ in first)
            """
        )
    )
    depths = {ast.unparse(node): depth for node, depth in walk.order if isinstance(node, ast.Name)}
    assert depths == {"base": 0, "inside": 1, "deep": 2, "later": 0, "gen": 0, "_": 0, "first": 0}
    other = {ast.unparse(node) for node, _ in walk.order if isinstance(node, ast.Name) and id(node) in walk.nested}
    assert other == {"inside", "deep", "later", "gen", "_"}


@pytest.mark.parametrize("kind", ["[{}]", "{{{}}}", "{{{}: 1}}"])
def test_comprehensions_run_where_the_version_runs_them(kind: str) -> None:
    walk = Walk(function_of(f"def f(): return {kind.format('x')[:-1]} for x in first for y in second if y" + kind[-1]))
    other = {node.id for node, _ in walk.order if isinstance(node, ast.Name) and id(node) in walk.nested}
    assert other == (set() if INLINED_COMPREHENSIONS else {"x", "second", "y"})


def test_lambda_and_nothing() -> None:
    node: Any = ast.parse("lambda a=left_out: a + 1", mode="eval").body
    assert shown(Walk(node)) == ["a + 1", "a", "1"]
    assert Walk().order == []
