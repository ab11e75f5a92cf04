"""The source map of a preview: every name in the rewritten text leads to where it stands in the file, and back."""

from __future__ import annotations

import ast
import importlib
import io
import tokenize
from typing import Any

import pytest

import recompyle
from recompyle import Calls, Clock, Counter, Expressions, Statements
from recompyle.patch.resolve import resolve


def work(self: Any, x: Any) -> Any:
    # a comment
    total = len( str( x ) )  # fmt: skip
    ß = "é"; y = self.repo.load(total, ß)  # fmt: skip  # noqa: E702
    return y


PROBE = "\N{LATIN SMALL LETTER F WITH HOOK}"  # one that may stand in a name


def names_in(text: str) -> list[tuple[str, int, int]]:
    """Each name in a text of Python, with its line and its column in bytes; names of probes stay out."""
    found = []
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text.replace("@", PROBE)).readline):
        if token.type == tokenize.NAME and PROBE not in token.string:
            line, column = token.start
            found.append((token.string, line, len(lines[line - 1][:column].encode())))
    return found


def faults(function: Any, *passes: Any) -> tuple[list[Any], int]:
    """Names of the rewritten text that lead to something else in the file, and how many lead to the same name."""
    shown = recompyle.preview(function, *passes)
    with tokenize.open(function.__code__.co_filename) as file:
        lines = [line.encode() for line in file]
    wrong, right = [], 0
    for name, line, column in names_in(shown.source):
        place = shown.map.to_original(line, column)
        if place is None or not lines[place[0] - 1][place[1] :].startswith(name.encode()):
            wrong.append((name, line, column, place))
        elif shown.map.to_rewritten(*place) is None:
            wrong.append((name, line, column, place, "not found again"))
        else:
            right += 1
    return wrong, right


PASSES = (Calls(Clock), Statements(Counter), Expressions(Counter))


def test_each_name() -> None:
    wrong, right = faults(work, *PASSES)
    assert wrong == []
    assert right == 20


def test_probes_have_no_original() -> None:
    shown = recompyle.preview(work, Calls(Clock))
    line = shown.source.splitlines()[1]
    assert line == "    total = @end_0[len(@start_0[@end_1[str(@start_1[x])]])]"
    first = work.__code__.co_firstlineno
    at = line.index
    assert shown.map.to_original(2, at("@end_0")) is None
    assert shown.map.to_original(2, at("@start_1")) is None
    assert shown.map.to_original(2, at("len")) == (first + 2, 12)
    assert shown.map.to_original(2, at("str")) == (first + 2, 17)
    assert shown.map.to_original(2, at("x]") + 1) is None
    assert shown.map.to_rewritten(first + 2, 12) == (2, at("len"))


def test_what_a_free_pass_made_leads_to_what_it_stands_for() -> None:
    class Halve(recompyle.Pass):
        level = "free"

        def visit_Call(self, node: ast.Call, at: Any) -> None:
            if isinstance(node.func, ast.Name) and node.func.id == "len":
                at.replace(node, ast.Call(at.constant(min, "smaller of"), [node, ast.Name("limit", ast.Load())], []))

    shown = recompyle.preview(work, Halve())
    line = shown.source.splitlines()[1]
    assert line == "    total = (~@smaller of)(len(str(x)), limit)"
    first = work.__code__.co_firstlineno
    assert shown.map.to_original(2, line.index("limit")) == (first + 2, 12)
    assert shown.map.to_original(2, line.index("str")) == (first + 2, 17)


def test_without_source_it_is_empty() -> None:
    shown = recompyle.preview(work, recompyle.EntryExit(Counter))
    assert (shown.source, len(shown.map)) == ("", 0)


KEYWORDS = {"if", "elif", "else", "not", "is", "in", "and", "or", "as", "for", "from", "except", "finally", "case"}


@pytest.mark.parametrize("module", ["json.decoder", "textwrap", "difflib", "statistics", "contextlib", "argparse"])
def test_standard_library(module: str) -> None:
    importlib.import_module(module)
    total, missed = 0, []
    for function in resolve(f"{module}:*"):
        if function.__code__.co_filename.startswith("<"):
            continue
        wrong, right = faults(function, *PASSES)
        # Keywords belong to no node, and `ast.unparse` writes `elif` and brackets in its own way.
        missed += [each for each in wrong if each[0] not in KEYWORDS]
        total += right
    assert total > 500
    assert [each for each in missed if each[0] not in ("r", "s")] == []  # the `!r` of an f-string is no node either
