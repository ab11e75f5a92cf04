"""The ready passes: what they find, how sites are chosen, and that real code stays what it is under all of them."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import types
from typing import Any

import pytest
from helpers import code_differences

import recompyle
from recompyle import Assignments, Calls, Clock, Counter, EntryExit, Expressions, Handlers, Loops, Statements


class Note:
    """A probe written in Python that keeps what it sees."""

    def __init__(self, site: Any = None):
        self.site = site
        self.seen: list[Any] = []

    def __getitem__(self, value: Any) -> Any:
        self.seen.append(value)
        return value

    def __invert__(self) -> None:
        self.seen.append(sys.exception())


def sample(items: Any) -> Any:
    """A docstring."""
    global unused
    total = 0
    for item in items:
        try:
            total += int(item)
        except (TypeError, ValueError) as error:
            name = type(error).__name__
            print(name)
        except KeyError:
            raise
    while total > 100:
        total = total // 2
    self = sample
    self.last = (half := total / 2)
    count: int = len(items)
    return [total, half, count]


def seen(made: Any, *arguments: Any, function: Any = sample) -> dict[str, Any]:
    """What each site's probe has seen when a function runs under a pass."""
    recompyle.rewrite(function, made)(*arguments)
    return {site.source: probe.seen for site, probe in made.probes.items()}


ITEMS = ["3", "x", 400]


def test_calls() -> None:
    assert seen(Calls(Note), ITEMS) == {
        "int(item)": [3, 400],
        "type(error)": [ValueError],
        "print(name)": [None],
        "len(items)": [3],
    }


def test_calls_with_a_pair_are_timed() -> None:
    clocks = Calls(Clock)
    recompyle.rewrite(sample, clocks)(ITEMS)
    assert {site.name: clock.count for site, clock in clocks.probes.items()} == {
        "int": 2,
        "type": 1,
        "print": 1,
        "len": 1,
    }
    assert all(0 < clock.max_ns <= clock.total_ns for clock in clocks.probes.values())


def test_statements() -> None:
    found = seen(Statements(Note), ITEMS)
    assert {source[:16]: len(marks) for source, marks in found.items()} == {
        "total = 0": 1,
        "for item in item": 1,
        "try: total += in": 3,
        "total += int(ite": 3,
        "name = type(erro": 1,
        "print(name)": 1,
        "raise": 0,
        "while total > 10": 1,
        "total = total //": 2,
        "self = sample": 1,
        "self.last = (hal": 1,
        "count: int = len": 1,
        "return [total, h": 1,
    }


def test_a_text_that_is_no_docstring_is_a_statement() -> None:
    def f(x: Any) -> Any:
        """This is one."""
        "no docstring any more"
        if x:
            "nor this"
        return g

    def g() -> None: ...

    marked = Statements(Counter)
    recompyle.preview(f, marked)
    recompyle.preview(g, marked)
    texts = [site.source for site in marked.probes if site.source.startswith(('"', "'", "."))]
    assert texts == ['"no docstring any more"', '"nor this"', "..."]


def test_assignments() -> None:
    made = Assignments(Note)
    found = seen(made, ITEMS)
    assert [(site.name, probe.seen) for site, probe in made.probes.items()] == [
        ("name", ["ValueError"]),
        ("total", [201, 100]),
        ("self", [sample]),
        ("self.last", [50.0]),
        ("half", [50.0]),
        ("count", [3]),
    ]
    assert found["total = total // 2"] == [201, 100]


def test_loops() -> None:
    made = Loops(Note)
    recompyle.rewrite(sample, made)(ITEMS)
    assert [(site.name, len(probe.seen)) for site, probe in made.probes.items()] == [("item", 3), (None, 2)]


def test_handlers_see_the_exception() -> None:
    made = Handlers(Note)
    recompyle.rewrite(sample, made)(ITEMS)
    (first, second) = made.probes.values()
    assert [type(each) for each in first.seen] == [ValueError]
    assert (first.site.name, second.site.name, second.seen) == (None, "KeyError", [])


def test_expressions_skip_what_may_not_be_observed() -> None:
    found = seen(Expressions(Note), ITEMS)
    assert found["total / 2"] == [50.0]
    assert found["half"] == [50.0]
    (left,) = recompyle.preview(sample, Expressions(Note)).skipped
    assert (left.source, left.reason) == ("self", "the compiler notes which attributes are stored on a bare name")


def test_entry_exit_and_error() -> None:
    entry, done, failed = Note(), Note(), Note()

    def f(x: Any) -> Any:
        return 10 // x

    changed = recompyle.rewrite(f, EntryExit(entry, done, failed))
    assert changed(2) == 5
    with pytest.raises(ZeroDivisionError) as caught:
        changed(0)
    assert entry.seen == [None, None]
    assert done.seen == [5]
    assert failed.seen == [caught.value]


def test_entry_exit_of_nested_functions_and_without_source() -> None:
    names: dict[str, Any] = {}
    text = "def f(n):\n    class K:\n        def m(self): return n\n"
    text += "    return [K().m(), (lambda: n)(), *(n for _ in 'ab')]"
    exec(text, names)
    ends = EntryExit(Note, exit=Note)
    assert recompyle.rewrite(names["f"], ends)(7) == [7, 7, 7, 7]
    assert {(site.kind, site.name): len(probe.seen) for site, probe in ends.probes.items()} == {
        ("entry", "f"): 1,
        ("exit", "f"): 1,
        ("entry", "f.<locals>.K.m"): 1,
        ("exit", "f.<locals>.K.m"): 1,
        ("entry", "f.<locals>.<lambda>"): 1,
        ("exit", "f.<locals>.<lambda>"): 1,
    }
    outer = EntryExit(Note, nested_functions=False)
    recompyle.rewrite(names["f"], outer)(7)
    assert [site.name for site in outer.probes] == ["f"]


def lines_alone(a: Any) -> Any:
    try:
        pass
    except KeyError:
        pass
    while True:
        if a:
            break
        continue
    try:
        a = (+(a
            if "s" else a))
    finally:
        pass
    return a


def test_marks_keep_lines_that_do_nothing_else() -> None:
    marked = recompyle.rewrite(lines_alone, Statements(Counter), Handlers(Counter), Loops(Counter))
    assert code_differences(lines_alone.__code__, marked.__code__) == []


def test_what_goes_to_one_name_twice_is_skipped() -> None:
    def f(a: Any) -> Any:
        x = (x := a + 1)
        return x

    assert recompyle.rewrite(f, Expressions(Counter), Assignments(Counter))(1) == 2
    (left, _) = recompyle.preview(f, Expressions(Counter), Assignments(Counter)).skipped
    assert left.reason == "the compiler stores only once what goes to one name twice"


# -- which sites -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"names": "int"}, ["int"]),
        ({"names": ["t*", "len"]}, ["type", "len"]),
        ({"names": "nothing"}, []),
        ({"where": lambda site: site.source.startswith("p")}, ["print"]),
        ({"names": "*t", "where": lambda site: site.name != "int"}, ["print"]),
    ],
)
def test_choice_by_name_and_predicate(options: Any, names: list[str]) -> None:
    made = Calls(Counter, **options)
    shown = recompyle.preview(sample, made)
    assert [site.name for site in made.probes] == names
    assert [site.name for site in shown.sites] == names


def test_choice_by_lines() -> None:
    first = sample.__code__.co_firstlineno
    made = Statements(Counter, lines=(first + 4, first + 7))
    recompyle.preview(sample, made)
    assert [site.line - first for site in made.probes] == [4, 5, 6]


def test_factory_may_leave_a_site_out() -> None:
    made = Calls(lambda site: Counter(site) if site.name == "len" else None)
    recompyle.rewrite(sample, made)(ITEMS)
    assert [probe.count for probe in made.probes.values()] == [1]


def test_one_probe_for_all_sites() -> None:
    count = Counter()
    recompyle.rewrite(sample, Calls(count), Loops(count))(ITEMS)
    assert count.count == 5 + 5


def test_factory_that_fails_is_a_pass_that_fails() -> None:
    with pytest.raises(recompyle.PassError, match="pass 'Calls' failed in sample: ZeroDivisionError"):
        recompyle.rewrite(sample, Calls(lambda site: 1 // 0))


# -- code that nobody here wrote ---------------------------------------------------------------------------


class Through:
    """The plainest probe in Python."""

    def __getitem__(self, value: Any) -> Any:
        return value

    def __invert__(self) -> None:
        pass


def results() -> list[Any]:
    """What some of the standard library gives."""
    import difflib
    import json.decoder
    import statistics
    import textwrap

    text = "The quick brown fox  jumps over\tthe lazy dog. " * 4
    decoder = json.decoder.JSONDecoder()
    decoder.parse_object, decoder.parse_array = json.decoder.JSONObject, json.decoder.JSONArray
    decoder.scan_once = json.scanner.py_make_scanner(decoder)  # type: ignore[attr-defined]
    found: list[Any] = [
        decoder.decode('{"a": [1, 2.5, {"b": null}], "c": "\\u00e4\\n", "d": {}}'),
        textwrap.wrap(text, 30, initial_indent="* "),
        textwrap.shorten(text, 40),
        textwrap.dedent("    a\n      b\n    c"),
        list(difflib.unified_diff(["a", "b", "c"], ["a", "x", "c"])),
        difflib.get_close_matches("appel", ["ape", "apple", "peach"]),
        statistics.quantiles([1, 5, 2, 8, 7, 9, 12], n=4),
        statistics.linear_regression([1, 2, 3], [2, 4, 6.5]),
        statistics.multimode("aabbc"),
    ]
    for bad in ("[1,}", '{"a" 1}', '"x'):
        with pytest.raises(json.decoder.JSONDecodeError) as caught:
            decoder.decode(bad)
        found.append(str(caught.value))
    return found


MODULES = ["json.decoder", "textwrap", "difflib", "statistics"]


def all_at_once(probe: Any) -> list[Any]:
    kinds = [Calls, Statements, Expressions, Assignments, Loops, Handlers]
    return [*(kind(probe) for kind in kinds), EntryExit(probe, probe, probe)]


@pytest.mark.parametrize("together", [True, False], ids=["in one layer", "in layers"])
def test_standard_library_under_all_of_them(together: bool) -> None:
    expected = results()
    count = Counter()
    try:
        for module in MODULES:
            passes = all_at_once(count)
            for group in [passes] if together else [[each] for each in passes]:
                assert recompyle.apply(f"{module}:*", *group).skipped == []
        assert results() == expected
    finally:
        recompyle.restore()
    assert count.count > 9_000
    reached = count.count
    assert results() == expected
    assert count.count == reached


def test_standard_library_under_a_value_probe_written_in_python_on_every_expression() -> None:
    class Values(Expressions):
        level = "value"

    expected = results()
    try:
        for module in MODULES:
            assert recompyle.apply(f"{module}:*", Values(Through())).skipped == []
        assert results() == expected
    finally:
        recompyle.restore()


def test_coroutines_and_generators() -> None:
    async def f(n: int) -> Any:
        total = 0
        async for each in g(n):
            total += each
            await asyncio.sleep(0)
        return total

    async def g(n: int) -> Any:
        for i in range(n):
            yield i

    statements, ends, loops = Statements(Counter), EntryExit(Counter, Counter), Loops(Counter)
    changed = recompyle.rewrite(f, statements, ends, loops, Calls(Clock), Expressions(Through()))
    assert asyncio.run(changed(4)) == 6
    assert [probe.count for probe in ends.probes.values()] == [1, 1]
    assert [probe.count for probe in loops.probes.values()] == [4]


def test_a_site_without_a_name_matches_no_pattern() -> None:
    def f(table: Any) -> Any:
        return (lambda: table)()["a"].get(1), table["a"].get(2), table[-1].get(3)

    for pattern, expected in {
        "*": ["table[a].get", "table[-1].get"],
        "table[*].get": ["table[a].get", "table[-1].get"],
        "table[a].*": ["table[a].get"],
        "table['a'].get": ["table[a].get"],
    }.items():
        made = Calls(Counter, names=pattern)
        recompyle.preview(f, made)
        assert [site.name for site in made.probes] == expected


def bare_lines(items: Any, count: int = 0) -> int:
    """Statements of which the compiler keeps nothing but the event of their line."""
    try:
        try:
            for _ in items:
                pass
        finally:
            pass
    except TypeError:
        pass
    else:
        pass
    if 0:
        count = -1
    while 0:
        count = -1
    while True:
        if count:
            break
        else:
            count += 1
            continue
    for item in items:
        if item:
            continue
        try:
            pass
        except ValueError:
            pass
    with contextlib.nullcontext():
        pass
    try:
        raise KeyError
    except KeyError:
        pass
    return count


def raising_lines(items: Any) -> None:
    """Here what follows `try` raises at once."""
    for _ in items:
        try:
            raise KeyError
        except (
            KeyError,
            ValueError,
        ):
            pass


def events(function: Any, *arguments: Any) -> list[tuple[str, int]]:
    """The events that a tracer sees of the frames of a function."""
    seen = []

    def trace(frame: types.FrameType, event: str, arg: Any) -> Any:
        if frame.f_code.co_name != function.__name__:
            return None
        seen.append((event, frame.f_lineno))
        return trace

    sys.settrace(trace)
    try:
        function(*arguments)
    finally:
        sys.settrace(None)
    return seen


@pytest.mark.parametrize("function", [bare_lines, raising_lines])
@pytest.mark.parametrize("kind", [Statements, Loops, Handlers])
def test_marks_keep_the_events_of_lines(kind: Any, function: Any) -> None:
    plain = events(function, [1, 0])
    counter = Counter()
    with recompyle.apply(function, kind(counter)):
        assert events(function, [1, 0]) == plain
    assert counter.count > 0


@pytest.mark.parametrize("made", [Calls, Statements, Loops, Handlers, Expressions])
def test_a_loop_that_never_ends_is_no_reason_to_refuse(made: Any) -> None:
    def waits(ready: Any) -> None:
        try:
            if ready():
                return
            while True:
                pass
        except KeyboardInterrupt:
            pass

    counter = Counter()
    with recompyle.apply(waits, made(counter)):
        waits(lambda: True)


def test_a_formatted_string_without_values_is_a_constant() -> None:
    def f() -> str:
        f"""no docstring"""  # noqa: B021, F541 - as CPython's own tests have it
        return f"ab"  # noqa: F541

    counter = Counter()
    assert recompyle.rewrite(f, Expressions(counter))() == "ab"
    assert counter.count == 0
