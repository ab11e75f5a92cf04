"""`preview`: the rewritten source, the sites, what was left out, the diff; and nothing happens."""

from __future__ import annotations

import ast
from typing import Any

import pytest

import recompyle
from recompyle import ProfileCalls, inject
from recompyle.errors import PassError, SourceNotFound


def work(self: Any, x: Any) -> Any:
    # a comment
    total = len(str(x))
    return self.repo.load(total)


def test_source_shows_probes_by_name() -> None:
    shown = recompyle.preview(work, ProfileCalls())
    assert shown.original == (
        "def work(self: Any, x: Any) -> Any:\n    total = len(str(x))\n    return self.repo.load(total)\n"
    )
    assert shown.source == (
        "def work(self: Any, x: Any) -> Any:\n"
        "    total = @end_0[len(@start_0[@end_1[str(@start_1[x])]])]\n"
        "    return @end_2[self.repo.load(@start_2[total])]\n"
    )
    assert str(shown) == shown.source
    assert repr(shown) == "<Preview: 3 sites, 0 skipped>"


def test_diff() -> None:
    assert recompyle.preview(work, ProfileCalls(exclude=["len", "str"])).diff == (
        "--- original\n"
        "+++ rewritten\n"
        "@@ -1,3 +1,3 @@\n"
        " def work(self: Any, x: Any) -> Any:\n"
        "     total = len(str(x))\n"
        "-    return self.repo.load(total)\n"
        "+    return @end_0[self.repo.load(@start_0[total])]\n"
    )
    assert recompyle.preview(work, recompyle.Pass()).diff == ""


def test_sites_and_what_was_skipped() -> None:
    shown = recompyle.preview(work, ProfileCalls(include=["len"]))
    first = work.__code__.co_firstlineno
    assert [(site.kind, site.source, site.line, site.column) for site in shown.sites] == [
        ("call", "len(str(x))", first + 2, 12)
    ]
    assert [(each.source, each.line, each.column, each.reason) for each in shown.skipped] == [
        ("str(x)", first + 2, 16, "not in include"),
        ("self.repo.load(total)", first + 3, 11, "not in include"),
    ]


def test_sites_of_several_passes() -> None:
    shown = recompyle.preview(work, recompyle.Pass(), Lines(), ProfileCalls(include=["len"]))
    assert [(site.id, site.kind) for site in shown.sites] == [(0, "line"), (1, "line"), (0, "call")]


class Lines(recompyle.Pass):
    def __invert__(self) -> None:
        return None

    def visit_stmt(self, node: Any, at: Any) -> None:
        at.mark(node, self, f"line_{at.site(node, 'line').id}")

    visit_Assign = visit_Return = visit_stmt


def test_marks_are_statements() -> None:
    lines = recompyle.preview(work, Lines()).source.splitlines()
    assert lines[1::2] == ["    ~@line_0", "    ~@line_1"]


def test_nothing_is_changed_or_run() -> None:
    def f(x: Any) -> Any:
        raise AssertionError(str(x))

    before = f.__code__
    recompyle.preview(f, ProfileCalls())
    assert f.__code__ is before


def test_patched_function_is_shown_from_its_original() -> None:
    with recompyle.apply(work, ProfileCalls()):
        assert recompyle.preview(work, ProfileCalls()).source.count("@start_0") == 1


def test_lambda() -> None:
    double = lambda x: int(x) * 2  # noqa: E731
    shown = recompyle.preview(double, ProfileCalls())
    assert shown.original == "lambda x: int(x) * 2\n"
    assert shown.source == "lambda x: @end_0[int(@start_0[x])] * 2\n"


def test_only_the_compiled_code_is_changed() -> None:
    class Entry(recompyle.Pass):
        def edits(self, code: Any, at: Any, nested: bool) -> Any:
            return [inject.Edit("entry", self)]

        def __invert__(self) -> None:
            return None

    shown = recompyle.preview(work, Entry())
    assert shown.source == shown.original
    assert (shown.sites, shown.skipped, shown.diff) == ((), (), "")


def test_refusals_are_those_of_a_rewrite() -> None:
    names: dict[str, Any] = {}
    exec("def f(): return str(1)", names)
    with pytest.raises(SourceNotFound):
        recompyle.preview(names["f"], ProfileCalls())

    class Faulty(recompyle.Pass):
        def visit_Call(self, node: ast.Call, at: Any) -> None:
            raise KeyError

    with pytest.raises(PassError):
        recompyle.preview(work, Faulty())
