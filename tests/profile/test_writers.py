"""Both writers count the same: calls found in the source, and in the compiled code where there is no source."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import difflib
import json
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import recompyle
from recompyle import SlowCall
from recompyle.profile.limits import Options
from recompyle.profile.passes import ProfileCalls
from recompyle.rewrite.names import dotted


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    recompyle.restore()


def g(*args: Any, **kwargs: Any) -> int:
    return len(args)


def fails() -> None:
    raise KeyError("no")


class Steps:
    def __init__(self, n: int) -> None:
        self.n = n

    def step(self) -> Steps:
        self.n += 1
        return self


async def pausing(n: int) -> int:
    await asyncio.sleep(0)
    return n


def plain(n: int) -> list[Any]:
    found = [g(n), g(*[n], **{}), g(n, n=n)]
    for i in range(3):
        found.append(str(i).join("ab"))
    return sorted(found, key=str)


def failing(n: int) -> str:
    try:
        return str(fails())
    except KeyError:
        g(1)
    with contextlib.suppress(KeyError):
        fails()
    return str(n)


def methods(n: int) -> int:
    steps = Steps(n)
    return steps.step().step().n + max(g(), n)


def leaving(n: int) -> None:
    g(n)
    fails()


async def awaiting(n: int) -> int:
    made = pausing(n)
    return await pausing(g(n)) + await made


def generating(n: int) -> Iterator[int]:
    for i in range(n):
        yield g(i)
    g()


def conditional(n: int) -> int:
    return g(n if n > 1 else g(), str(n) if n else None)


def run(function: Callable[..., Any]) -> Any:
    try:
        made = function(2)
        if hasattr(made, "send"):
            return list(made) if hasattr(made, "__next__") else asyncio.run(made)
        return made
    except KeyError as error:
        return repr(error)


CORPUS = [plain, failing, methods, leaving, awaiting, generating, conditional]


def reports_of(function: Any, from_code: bool) -> list[SlowCall]:
    got: list[SlowCall] = []
    options = Options.of(time_limit=0, above_callback=got.append)
    with recompyle.apply(function, ProfileCalls.from_options(options, from_code=from_code)):
        run(function)
    return got


def rows(report: SlowCall) -> list[tuple[Any, ...]]:
    """What must agree: position, number of calls and of errors. A row of the source may be of ``super``."""
    return sorted(
        (call.kind, call.line, call.end_line, call.end_column, call.count, call.errors, call.last_error)
        for call in report.calls
    )


@pytest.mark.parametrize("function", CORPUS, ids=lambda function: function.__name__)
def test_the_rows_are_the_same(function: Any) -> None:
    expected = run(function)
    (by_source,) = reports_of(function, from_code=False)
    (by_code,) = reports_of(function, from_code=True)
    assert run(function) == expected
    assert (by_source.writer, by_code.writer) == ("ast", "code")
    assert rows(by_code) == rows(by_source)
    assert by_code.finished == by_source.finished
    assert by_code.calls_ns <= by_code.total_ns


@pytest.mark.parametrize("function", CORPUS, ids=lambda function: function.__name__)
def test_names_are_those_of_the_source(function: Any) -> None:
    (by_source,) = reports_of(function, from_code=False)
    (by_code,) = reports_of(function, from_code=True)
    named = {(call.line, call.end_column): call.source for call in by_code.calls}
    for call in by_source.calls:
        text = str(call.source).removeprefix("await ")
        node = ast.parse(text, mode="eval").body
        name = dotted(node.func) if isinstance(node, ast.Call) else None
        assert named[call.line, call.end_column] == (f"{name}(...)" if name else None)


WORK = [
    (textwrap.dedent, lambda: textwrap.dedent("  a\n    b")),
    (textwrap.TextWrapper._wrap_chunks, lambda: textwrap.wrap("some words and more of them " * 5, 20)),
    (difflib.SequenceMatcher.get_matching_blocks, lambda: difflib.SequenceMatcher(None, "abcd", "bcde").ratio()),
    (difflib.SequenceMatcher.find_longest_match, lambda: difflib.SequenceMatcher(None, "abcd", "bcde").ratio()),
    (json.loads, lambda: json.loads("[1, 2]")),
]


@pytest.mark.parametrize("function, work", WORK, ids=lambda each: getattr(each, "__name__", ""))
def test_on_the_standard_library(function: Any, work: Callable[[], Any]) -> None:
    counted = []
    for from_code in (False, True):
        got: list[SlowCall] = []
        options = Options.of(time_limit=0, above_callback=got.append)
        with recompyle.apply(function, ProfileCalls.from_options(options, from_code=from_code)):
            work()
        counted.append([rows(report) for report in got])
    assert counted[0] and counted[0] == counted[1]


FILTERS: list[dict[str, Any]] = [{"include": ["g"]}, {"exclude": ["g"]}, {"builtins": False}]


@pytest.mark.parametrize("given", FILTERS, ids=lambda given: next(iter(given)))
def test_filters_mean_the_same(given: dict[str, Any]) -> None:
    sources = []
    for from_code in (False, True):
        got: list[SlowCall] = []
        options = Options.of(time_limit=0, above_callback=got.append, **given)
        with recompyle.apply(plain, ProfileCalls.from_options(options, from_code=from_code)):
            plain(2)
        sources.append([row[:4] for row in rows(got[0])])
    assert sources[0] == sources[1]
