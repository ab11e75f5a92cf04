"""Programs that profilers of this kind got wrong, with exact counts, and the ways frames can interleave."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import inspect
import linecache
import os
import pickle
import sys
import threading
import time
import traceback
import types
import warnings
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from helpers import accounting_faults, counts_of, rows_of

import recompyle
from recompyle import profile

SLEEP = 0.02  # seconds; a sleep is never shorter, so it is a sure lower bound of what was measured


class Reports(list[Any]):
    """The reports of every run of the functions that it decorated, each checked to add up."""

    def __call__(self, target: Any, **options: Any) -> Any:
        """Profiles a function so that each of its runs ends up here."""
        return recompyle.shallow_call_profiler(time_limit=0, above_callback=self.take, **options)(target)

    def take(self, report: Any) -> None:
        assert accounting_faults(report) == []
        self.append(report)

    def of(self, name: str) -> list[Any]:
        return [report for report in self if report.qualname.endswith(name)]

    @property
    def only(self) -> Any:
        (report,) = self
        return report


@pytest.fixture
def reports() -> Iterator[Reports]:
    yield Reports()
    recompyle.restore()


def g(*args: Any) -> int:
    return len(args)


# -- what went wrong elsewhere


def test_coroutine(reports: Reports) -> None:
    async def inner() -> str:
        await asyncio.sleep(0)
        return "value"

    async def f() -> str:
        g()
        return await inner()

    assert reports(f) is f
    assert inspect.iscoroutinefunction(f)
    assert asyncio.run(f()) == "value"
    report = reports.only
    assert report.kind == "coroutine"
    assert counts_of(report) == {"g()": 1, "await inner()": 1}
    assert rows_of(report)["await inner()"].kind == "await"
    assert report.awaiting_ns == rows_of(report)["await inner()"].total_ns


def test_generator(reports: Reports) -> None:
    @reports
    def f() -> Iterator[int]:
        yield g()

    made = f()
    assert reports == []
    assert list(made) == [0]
    assert reports.only.kind == "generator"
    assert counts_of(reports.only) == {"g()": 1}
    assert reports.only.finished == "return"


def test_recursion(reports: Reports) -> None:
    @reports
    def f(n: int) -> None:
        g()
        n and f(n - 1)
        g(n)

    f(1)
    inner, outer = reports
    assert counts_of(inner) == {"g()": 1, "g(n)": 1}
    assert counts_of(outer) == {"g()": 1, "f(n - 1)": 1, "g(n)": 1}
    assert rows_of(outer)["f(n - 1)"].total_ns >= inner.total_ns
    del reports[:]
    f(50)
    assert len(reports) == 51
    assert all(counts_of(report)["g()"] == counts_of(report)["g(n)"] == 1 for report in reports)


@pytest.mark.parametrize("threads", [4, 8])
def test_threads(reports: Reports, threads: int) -> None:
    ready = threading.Barrier(threads)

    @reports
    def f(x: int) -> int:
        g(x)
        time.sleep(0)
        total = 0
        for i in range(x):
            total += g(i)
        return g(total)

    def many(x: int) -> None:
        ready.wait()
        for _ in range(200):
            f(x)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(many, range(1, threads + 1)))
    assert len(reports) == threads * 200
    for x in range(1, threads + 1):
        expected = {"g(x)": 1, "time.sleep(0)": 1, "range(x)": 1, "g(i)": x, "g(total)": 1}
        assert sum(counts_of(report) == expected for report in reports) == 200
    assert len({report.thread for report in reports}) == threads
    assert len({report.id for report in reports}) == len(reports)


def test_closures(reports: Reports) -> None:
    def make(k: int) -> tuple[Any, Callable[[], int]]:
        total = 0

        @reports
        def f(x: int) -> int:
            nonlocal total
            total += g(x)
            return g(x) + k

        return f, lambda: total

    one, total_one = make(10)
    two, total_two = make(20)
    assert (one(1), two(1), one(2)) == (11, 21, 11)
    assert (total_one(), total_two()) == (2, 1)
    assert [sum(counts_of(report).values()) for report in reports] == [2, 2, 2]
    assert one.__code__ is two.__code__


class Base:
    def m(self) -> str:
        return "base"


def test_zero_argument_super(reports: Reports) -> None:
    class Child(Base):
        @reports
        def m(self) -> str:
            return super().m()

    assert Child().m() == "base"
    assert counts_of(reports.only) == {"super().m()": 1}
    if sys.version_info >= (3, 12):
        import dis

        assert "LOAD_SUPER_ATTR" in {i.opname for i in dis.get_instructions(Child.m)}


def test_private_names(reports: Reports) -> None:
    class Box:
        def __init__(self) -> None:
            self.__x = [1, 2]

        @reports
        def size(self) -> int:
            return len(self.__x)

    assert Box().size() == 2
    assert counts_of(reports.only) == {"len(self.__x)": 1}


def test_defaults_from_the_class_body(reports: Reports) -> None:
    class Box:
        K = 3

        @reports
        def m(self, k: int = K, *, q: int = K + 1) -> tuple[int, int]:
            return g(k), k + q

    assert Box().m() == (1, 7)
    assert counts_of(reports.only) == {"g(k)": 1}


def test_defaults_are_made_once(reports: Reports) -> None:
    made = []

    def make() -> int:
        made.append(1)
        return 5

    def f(x: int = make(), acc: list[int] = []) -> list[int]:  # noqa: B006
        acc.append(g(x))
        return acc

    defaults = f.__defaults__
    reports(f)
    assert f.__defaults__ is defaults
    f()
    assert f() is defaults[1] == [1, 1]
    assert made == [1]


def test_future_annotations(reports: Reports, tmp_path: Path) -> None:
    text = "def f(x: Later) -> Never:\n    y: NotThere = str(x)\n    return y\n"
    text = "from __future__ import annotations\n\n" + text
    space = run_text(tmp_path / "annotated.py", text)
    f = reports(space["f"])
    assert f(1) == "1"
    assert f.__annotations__ == {"x": "Later", "return": "Never"}
    assert counts_of(reports.only) == {"str(x)": 1}


def run_text(path: Path, text: str) -> dict[str, Any]:
    """Runs a text from a real file and gives its names."""
    path.write_text(text, encoding="utf-8")
    space: dict[str, Any] = {"__name__": path.stem, "__file__": str(path)}
    exec(compile(text, str(path), "exec", dont_inherit=True), space)
    return space


def test_multi_line_text_in_a_method(reports: Reports) -> None:
    class Letter:
        @reports
        def body(self, name: str) -> str:
            return str.replace("""
Dear NAME,
    indented as it is,
        and more \
on one line.
            """, "NAME", name)  # fmt: skip

    lines = Letter().body("Ann").split("\n")
    assert lines == ["", "Dear Ann,", "    indented as it is,", "        and more on one line.", " " * 12]
    assert len(reports.only.calls) == 1


def test_above_a_wrapper(reports: Reports) -> None:
    order: list[str] = []

    def retry(function: Any) -> Any:
        order.append("retry applied")

        @functools.wraps(function)
        def wrapper(*args: Any) -> Any:
            order.append("attempt")
            try:
                return function(*args)
            except ValueError:
                order.append("again")
                return function("1")

        return wrapper

    @reports
    @retry
    def f(x: str) -> int:
        return int(x)

    assert f("x") == 1
    assert order == ["retry applied", "attempt", "again"]
    assert [counts_of(report) for report in reports] == [{"int(x)": 1}] * 2
    assert [report.finished for report in reports] == ["raise", "return"]


def test_static_and_class_methods(reports: Reports) -> None:
    class Tools:
        @reports
        @staticmethod
        def one(x: int) -> int:
            return g(x)

        @staticmethod
        @reports
        def two(x: int) -> int:
            return g(x, x)

        @reports
        @classmethod
        def three(cls, x: int) -> tuple[str, int]:
            return cls.__name__, g(x)

        @classmethod
        @reports
        def four(cls, x: int) -> tuple[str, int]:
            return cls.__name__, g(x, x)

    assert [Tools.one(1), Tools().two(1)] == [1, 2]
    assert [Tools.three(1), Tools().four(1)] == [("Tools", 1), ("Tools", 2)]
    assert [type(vars(Tools)[n]).__name__ for n in ("one", "two", "three", "four")] == [
        "staticmethod", "staticmethod", "classmethod", "classmethod"]  # fmt: skip
    assert [list(counts_of(report).values()) for report in reports] == [[1]] * 4


def test_one_name_twice(reports: Reports) -> None:
    class Box:
        _x = 0

        @property
        def x(self) -> int:
            return g(self._x)

        @x.setter
        def x(self, value: int) -> None:
            self._x = g(value, value)

        x = reports(x)

    box = Box()
    box.x = 5
    assert box.x == 1
    assert [counts_of(report) for report in reports] == [{"g(value, value)": 1}, {"g(self._x)": 1}]
    del reports[:]
    for branch in (True, False):
        if branch:

            @reports
            def f(x: int) -> int:
                return g(x)
        else:

            @reports
            def f(x: int) -> int:
                return g(x, x)

        assert f(1) == (1 if branch else 2)
    assert [counts_of(report) for report in reports] == [{"g(x)": 1}, {"g(x, x)": 1}]


def test_any_callee(reports: Reports) -> None:
    @reports
    def f(x: Any, a: Any, b: Any, d: Any, i: int) -> list[Any]:
        return [
            f"{x}".strip(), d[i + 1].bit_length(), (a or b)(), [1, 2].index(2), (lambda: 7)(),
            {"k": g}["k"](1),
            x.split()[0].upper(), (g if i else len)(x), (y := g)(2), b"x".hex(), y,
        ]  # fmt: skip

    assert f(" x ", None, dict, {1: 8}, 0) == ["x", 4, {}, 1, 7, 1, "X", 3, 1, "78", g]
    counts = counts_of(reports.only)
    assert set(counts.values()) == {1}
    assert len(counts) == 11
    assert {'f"{x}".strip()', "(a or b)()", "[1, 2].index(2)", "(lambda: 7)()"} <= set(counts)


def test_lambdas(reports: Reports) -> None:
    f = reports(lambda x: g(x))
    assert f(1) == 1
    assert counts_of(reports.only) == {"g(x)": 1}
    del reports[:]
    one, two = (lambda x: g(x, 1)), (lambda x: g(x, 2, 3))
    reports(two)
    assert (one(1), two(1)) == (2, 3)
    assert counts_of(reports.only) == {"g(x, 2, 3)": 1}


def test_unhashable_callee(reports: Reports) -> None:
    class Unhashable:
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            raise AssertionError("compared")

        def __call__(self, x: int) -> int:
            return x

    callee = Unhashable()

    @reports
    def f(x: int) -> int:
        return callee(x)

    assert f(3) == 3
    assert counts_of(reports.only) == {"callee(x)": 1}


def test_no_object_is_kept(reports: Reports) -> None:
    alive: list[weakref.ref[Any]] = []

    class Big:
        def __init__(self) -> None:
            alive.append(weakref.ref(self))

        def m(self, *others: Any) -> Big:
            return self

    @reports
    def f() -> None:
        for _ in range(5):
            Big().m()
        Big().m(Big()).m()
        with contextlib.suppress(TypeError):
            Big().m(Big(), nothing=Big())  # type: ignore[call-arg]

    f()
    assert len(alive) == 10
    assert [ref() for ref in alive] == [None] * 10
    assert counts_of(reports.only)["Big().m()"] == 5
    pickle.loads(pickle.dumps(reports.only))


def test_failing_callback() -> None:
    def fail(report: Any) -> None:
        raise RuntimeError("callback")

    try:

        @recompyle.shallow_call_profiler(time_limit=0, above_callback=fail)
        def f(x: str) -> int:
            return int(x)

        assert f("1") == 1
        with pytest.raises(ValueError, match="invalid literal"):
            f("x")
    finally:
        recompyle.restore()


def test_same_traceback(reports: Reports) -> None:
    def low(x: Any) -> Any:
        return x["key"]

    def f(x: Any) -> Any:
        return [g(), low(
            x)][1]  # fmt: skip

    def caught() -> list[str]:
        try:
            f({})
        except KeyError as error:
            return traceback.format_exception(error.with_traceback(error.__traceback__.tb_next))  # type: ignore[union-attr]
        raise AssertionError("nothing was raised")

    plain = caught()
    reports(f)
    assert caught() == plain
    report = reports.only
    assert report.finished == "raise"
    assert (report.exception.type, report.exception.text) == ("KeyError", "'key'")
    assert report.exception.line == f.__code__.co_firstlineno + 1
    row = rows_of(report)["low( x)"]
    assert (row.count, row.errors, row.last_error) == (1, 1, "KeyError")
    assert report.exception.call == row.id


def test_what_reads_the_callers_frame(reports: Reports) -> None:
    def who() -> str:
        return sys._getframe(1).f_code.co_name

    def f(x: int, y: int) -> list[Any]:
        warnings.warn("careful", stacklevel=2)
        return [sorted(vars()), dir(), eval("x+y"), who(), sys._getframe(1).f_code.co_name, sorted(locals())]

    def call() -> tuple[list[Any], list[tuple[str, int]]]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            return f(1, 2), [(w.filename, w.lineno) for w in caught]

    plain = call()
    reports(f)
    assert call() == plain
    assert counts_of(reports.only)["vars()"] == 1


def test_without_source(reports: Reports) -> None:
    space: dict[str, Any] = {"g": g}
    exec("def f(x):\n    return g(x) + g()\n", space)
    f = reports(space["f"])
    assert f is space["f"]
    assert f(1) == 1
    assert reports.only.finished == "return"
    assert reports.only.writer in ("code", "none")
    assert reports.only.total_ns > 0


def test_source_known_to_linecache_only(reports: Reports) -> None:
    text, name = "def f(x):\n    return g(x) + g()\n", "<ipython-input-3-0123456789ab>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    space: dict[str, Any] = {"g": g}
    exec(compile(text, name, "exec"), space)
    assert reports(space["f"])(1) == 1
    assert reports.only.writer == "ast"
    assert counts_of(reports.only) == {"g(x)": 1, "g()": 1}


def test_constant_memory(reports: Reports) -> None:
    import tracemalloc

    @reports
    def f(n: int) -> None:
        for x in range(n):
            g(x)

    f(10)
    tracemalloc.start()
    try:
        f(200_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert counts_of(reports[-1]) == {"range(n)": 1, "g(x)": 200_000}
    assert peak < 200_000


# -- accounting


def test_two_calls_on_one_line_are_two_rows(reports: Reports) -> None:
    @reports
    def f(x: int) -> int:
        return g(x) + g(x) + g(g(x))

    assert f(1) == 3
    assert len(reports.only.calls) == 4
    assert [row.count for row in reports.only.calls] == [1] * 4
    assert len({(row.line, row.column) for row in reports.only.calls}) == 4


def test_rows_inside_rows(reports: Reports) -> None:
    @reports
    def f(words: list[str]) -> Any:
        lengths = [g(w) for w in words]
        return sorted(words, key=lambda w: g(w, w)), lengths, list(map(str.upper, (str(w) for w in words)))

    assert f(["b", "a"])[0] == ["b", "a"]
    report = reports.only
    rows = rows_of(report)
    (outer,) = [row for source, row in rows.items() if source.startswith("sorted(")]
    assert rows["g(w, w)"].inside == outer.id
    assert rows["g(w, w)"].count == 2
    assert rows["g(w)"].inside is None
    assert rows["g(w)"].count == 2
    (lazy,) = [row for source, row in rows.items() if source.startswith("list(")]
    assert rows["str(w)"].inside == lazy.id
    assert rows["str(w)"].count == 2
    assert report.calls_ns == sum(row.total_ns for row in report.calls if row.inside is None)


def test_nested_code_after_the_end_hands_on_values(reports: Reports) -> None:
    @reports
    def f(n: int) -> Any:
        return (g(i) for i in range(n)), lambda x: g(x, x)

    lazy, later = f(3)
    assert list(lazy) == [1, 1, 1]
    assert later(1) == 2
    assert counts_of(reports.only) == {"range(n)": 1}


def test_errors_are_counted_and_handlers_are_own_code(reports: Reports) -> None:
    @reports
    def f(words: list[str]) -> int:
        total = 0
        for w in words:
            try:
                total += int(w)
            except ValueError:
                time.sleep(SLEEP)
                total -= 1
        return total

    assert f(["1", "x", "2", "y"]) == 1
    rows = rows_of(reports.only)
    row = rows["int(w)"]
    assert (row.count, row.errors, row.last_error) == (4, 2, "ValueError")
    slept = rows["time.sleep(SLEEP)"]
    assert slept.count == 2
    assert slept.total_ns >= 2 * SLEEP * 0.9e9
    assert row.total_ns + slept.total_ns + reports.only.own_ns == reports.only.total_ns


def test_slow_handler_code_is_own_code(reports: Reports) -> None:
    def wait() -> str:
        deadline = time.monotonic() + SLEEP
        while time.monotonic() < deadline:
            pass
        return "waited"

    class Slow(dict[str, str]):
        def __missing__(self, key: str) -> str:
            return wait()

    slow = Slow()

    @reports
    def f(x: str) -> str:
        try:
            int(x)
        except ValueError:
            return slow[x]
        return "not reached"

    assert f("x") == "waited"
    assert reports.only.own_ns >= SLEEP * 0.9e9
    assert rows_of(reports.only)["int(x)"].errors == 1


def test_every_way_out_of_a_row(reports: Reports) -> None:
    @contextlib.contextmanager
    def quiet() -> Iterator[None]:
        with contextlib.suppress(ValueError):
            yield

    @reports
    def f(n: int) -> list[Any]:
        out: list[Any] = []
        for i in range(n):
            with quiet():
                out.append(int("x" if i % 2 else i))
            try:
                out.append(int("y" if i % 3 else i))
            except ValueError:
                continue
            finally:
                g(i)
        return out

    f(6)
    counts = counts_of(reports.only)
    assert counts["quiet()"] == counts["g(i)"] == 6
    rows = rows_of(reports.only)
    first, second = rows["int(\"x\" if i % 2 else i)"], rows["int(\"y\" if i % 3 else i)"]
    assert (first.count, first.errors) == (6, 3)
    assert (second.count, second.errors) == (6, 4)
    assert rows['out.append(int("x" if i % 2 else i))'].count == 3
    assert rows['out.append(int("y" if i % 3 else i))'].count == 2


# -- generators


def test_time_of_the_consumer_is_not_the_generators(reports: Reports) -> None:
    @reports
    def f(n: int) -> Iterator[int]:
        for i in range(n):
            yield g(i)

    began = time.perf_counter_ns()
    for _ in f(3):
        time.sleep(SLEEP)
    took = time.perf_counter_ns() - began
    report = reports.only
    assert counts_of(report) == {"range(n)": 1, "g(i)": 3}
    assert report.suspended_ns >= 3 * SLEEP * 0.9e9
    assert report.total_ns + report.suspended_ns <= took * 1.05 + 1e6


def test_interleaved_generators(reports: Reports) -> None:
    @reports
    def f(name: str, n: int) -> Iterator[str]:
        for i in range(n):
            got = yield str(name) * g(i)
            g(got, i)

    runs = {n: f(chr(97 + n), n) for n in range(1, 6)}
    alive = dict(runs)
    while alive:
        for n, generator in list(alive.items()):
            if next(generator, None) is None:
                del alive[n]
    assert len(reports) == 5
    for n, report in enumerate(reports, 1):
        assert counts_of(report) == {"range(n)": 1, "str(name)": n, "g(i)": n, "g(got, i)": n}


def test_generator_ends(reports: Reports) -> None:
    @reports
    def f(log: list[str]) -> Iterator[int]:
        try:
            yield g()
            yield g(1)
        finally:
            log.append("finally")

    log: list[str] = []
    exhausted = f(log)
    list(exhausted)
    closed = f(log)
    next(closed)
    closed.close()
    dropped = f(log)
    next(dropped)
    del dropped
    gc.collect()
    thrown = f(log)
    next(thrown)
    with pytest.raises(KeyError):
        thrown.throw(KeyError("k"))  # type: ignore[attr-defined]
    never_started = f(log)
    del never_started
    assert log == ["finally"] * 4
    assert [report.finished for report in reports] == ["return", "close", "close", "raise"]
    appended = "log.append(\"finally\")"
    stopped = {"g()": 1, appended: 1}
    assert [counts_of(report) for report in reports] == [stopped | {"g(1)": 1}, stopped, stopped, stopped]


def test_generator_without_a_handler_closed_and_dropped(reports: Reports) -> None:
    @reports
    def f() -> Iterator[int]:
        yield g()
        yield g(1)

    closed = f()
    next(closed)
    closed.close()
    dropped = f()
    next(dropped)
    del dropped
    gc.collect()
    assert [report.finished for report in reports] == ["close", "close"]
    assert [counts_of(report) for report in reports] == [{"g()": 1}] * 2


def test_yield_from(reports: Reports) -> None:
    @reports
    def inner(n: int) -> Iterator[int]:
        for i in range(n):
            yield g(i)
        return str(n)  # type: ignore[return-value]

    @reports
    def outer(n: int) -> Iterator[Any]:
        result = yield from inner(n)
        yield g(result)

    for _ in outer(2):
        time.sleep(SLEEP)
    first, second = reports
    assert counts_of(first) == {"range(n)": 1, "g(i)": 2, "str(n)": 1}
    assert counts_of(second)["g(result)"] == 1
    assert first.suspended_ns >= 2 * SLEEP * 0.9e9
    assert second.suspended_ns >= 3 * SLEEP * 0.9e9
    delegated = [row for row in second.calls if row.source.startswith("yield from")]
    assert [row.count for row in delegated] == [1]


def test_started_on_one_thread_finished_on_another(reports: Reports) -> None:
    @reports
    def f(n: int) -> Iterator[int]:
        for i in range(n):
            yield g(i)

    generator = f(4)
    next(generator)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(next, generator).result() == 1
    next(generator)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(list, generator).result() == [1]
    assert counts_of(reports.only) == {"range(n)": 1, "g(i)": 4}


# -- coroutines


def test_gathered_coroutines(reports: Reports) -> None:
    async def step(delay: float) -> None:
        await asyncio.sleep(delay)

    @reports
    async def f(n: int) -> int:
        for i in range(n):
            await step(0)
            g(i)
        return g(n)

    async def main() -> list[int]:
        return await asyncio.gather(*(f(n) for n in range(1, 9)))

    assert asyncio.run(main()) == [1] * 8
    assert len(reports) == 8
    for report in reports:
        n = counts_of(report)["g(i)"]
        assert counts_of(report) == {"range(n)": 1, "await step(0)": n, "g(i)": n, "g(n)": 1}
        assert report.task is not None
    assert sorted(counts_of(report)["g(i)"] for report in reports) == list(range(1, 9))


def test_waiting_belongs_to_the_row_of_the_await(reports: Reports) -> None:
    @reports
    async def f() -> None:
        await asyncio.sleep(SLEEP)
        await asyncio.ensure_future(asyncio.sleep(0))
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(SLEEP, future.set_result, None)
        await future

    asyncio.run(f())
    rows = {row.source: row for row in reports.only.calls if row.kind == "await"}
    immediate = "await asyncio.ensure_future(asyncio.sleep(0))"
    assert set(rows) == {"await asyncio.sleep(SLEEP)", immediate, "await future"}
    assert rows["await asyncio.sleep(SLEEP)"].total_ns >= SLEEP * 0.9e9
    assert rows["await future"].total_ns >= SLEEP * 0.5e9
    assert reports.only.suspended_ns == 0
    assert reports.only.awaiting_ns == sum(row.total_ns for row in rows.values())


class Ticks:
    """Waits in each step of ``async for`` and at both ends of ``async with``."""

    def __init__(self, n: int) -> None:
        self.left = n

    async def __aenter__(self) -> Ticks:
        await asyncio.sleep(SLEEP)
        return self

    async def __aexit__(self, *exception: object) -> None:
        await asyncio.sleep(SLEEP)

    def __aiter__(self) -> Ticks:
        return self

    async def __anext__(self) -> int:
        await asyncio.sleep(SLEEP)
        if not self.left:
            raise StopAsyncIteration
        self.left -= 1
        return self.left


def test_async_for_is_a_row(reports: Reports) -> None:
    @reports
    async def f(ticks: Ticks) -> int:
        total = 0
        async for i in ticks:
            total += g(i)
        return total

    assert asyncio.run(f(Ticks(3))) == 3
    (row,) = [row for row in reports.only.calls if row.kind == "iterate"]
    assert row.inside is None
    assert row.count == 4
    assert row.total_ns >= 4 * SLEEP * 0.9e9
    assert row.line == f.__code__.co_firstlineno + 3
    assert reports.only.awaiting_ns == row.total_ns
    assert counts_of(reports.only)["g(i)"] == 3


def test_async_with_is_a_row(reports: Reports) -> None:
    @reports
    async def f(ticks: Ticks, text: str) -> int:
        async with ticks:
            return int(text)

    assert asyncio.run(f(Ticks(0), "1")) == 1
    with pytest.raises(ValueError, match="invalid"):
        asyncio.run(f(Ticks(0), "x"))
    for report in reports:
        rows = [row for row in report.calls if row.kind == "with"]
        assert sum(row.count for row in rows) == 2
        assert sum(row.total_ns for row in rows) >= 2 * SLEEP * 0.9e9
        assert all(row.line == f.__code__.co_firstlineno + 2 for row in rows)
    assert [report.finished for report in reports] == ["return", "raise"]
    assert rows_of_kind(reports[0], "call") == [("int(text)", 1, 0)]
    assert rows_of_kind(reports[1], "call") == [("int(text)", 1, 1)]


def rows_of_kind(report: Any, kind: str) -> list[tuple[str, int, int]]:
    return [(row.source, row.count, row.errors) for row in report.calls if row.kind == kind]


def test_async_comprehension(reports: Reports) -> None:
    @reports
    async def f(ticks: Ticks) -> list[int]:
        return [g(i) async for i in ticks if g()  == 0]

    assert asyncio.run(f(Ticks(2))) == [1, 1]
    counts = counts_of(reports.only)
    assert (counts["g(i)"], counts["g()"]) == (2, 2)
    assert [row.count for row in reports.only.calls if row.kind == "iterate"] == [3]


def test_async_generator(reports: Reports) -> None:
    @reports
    async def f(n: int) -> Any:
        for i in range(n):
            await asyncio.sleep(0)
            yield g(i)

    async def consume() -> None:
        async for _ in f(3):
            await asyncio.sleep(SLEEP)
        closed = f(3)
        await closed.__anext__()
        await closed.aclose()

    asyncio.run(consume())
    whole, closed = reports
    assert whole.kind == "async generator"
    assert counts_of(whole) == {"range(n)": 1, "await asyncio.sleep(0)": 3, "g(i)": 3}
    assert counts_of(closed) == {"range(n)": 1, "await asyncio.sleep(0)": 1, "g(i)": 1}
    assert [report.finished for report in reports] == ["return", "close"]
    assert whole.suspended_ns >= 3 * SLEEP * 0.9e9


def test_cancelled_coroutine(reports: Reports) -> None:
    @reports
    async def f() -> None:
        g()
        await asyncio.sleep(3600)

    async def main() -> None:
        task = asyncio.ensure_future(f())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    report = reports.only
    assert report.finished == "raise"
    assert report.exception.type == "CancelledError"
    row = rows_of(report)["await asyncio.sleep(3600)"]
    assert (row.count, row.errors, row.last_error) == (1, 1, "CancelledError")


def test_coroutine_that_is_never_awaited(reports: Reports) -> None:
    @reports
    async def f() -> None:
        g()

    with pytest.warns(RuntimeWarning, match=r"coroutine '.*f' was never awaited"):
        f()
        gc.collect()
    assert reports == []


# -- greenlets


def test_greenlets_keep_their_own_rows(reports: Reports) -> None:
    greenlet = pytest.importorskip("greenlet", reason="the greenlet package is not installed")

    def switch(*args: Any) -> Any:
        return greenlet.getcurrent().parent.switch(*args)

    @reports
    def f(name: str, n: int) -> str:
        for i in range(n):
            g(i)
            switch(name)
            str(name)
        return name

    alive = {n: greenlet.greenlet(functools.partial(f, chr(96 + n), n)) for n in range(1, 7)}
    while alive:
        for n, each in list(alive.items()):
            each.switch()
            if each.dead:
                del alive[n]
    assert len(reports) == 6
    for n, report in enumerate(reports, 1):
        assert counts_of(report) == {"range(n)": 1, "g(i)": n, "switch(name)": n, "str(name)": n}
        assert all(row.errors == 0 and not row.unfinished for row in report.calls)


def test_greenlet_killed_inside_a_row(reports: Reports) -> None:
    greenlet = pytest.importorskip("greenlet", reason="the greenlet package is not installed")

    @reports
    def f() -> None:
        g()
        greenlet.getcurrent().parent.switch("inside")
        g(1)

    each = greenlet.greenlet(f)
    assert each.switch() == "inside"
    del each
    gc.collect()
    report = reports.only
    assert report.exception.type == "GreenletExit"
    assert counts_of(report)["g()"] == 1
    assert "g(1)" not in counts_of(report)
    assert g(1, 2) == 2


# -- other ways to the reports


def test_collect_sees_all_threads() -> None:
    @recompyle.shallow_call_profiler(time_limit=0)
    def f(x: int) -> int:
        return g(x)

    try:
        with profile.collect() as got:
            f(1)
            thread = threading.Thread(target=f, args=(2,), name="another")
            thread.start()
            thread.join()
        f(3)
    finally:
        recompyle.restore()
    assert [report.thread for report in got] == [threading.current_thread().name, "another"]
    assert [counts_of(report) for report in got] == [{"g(x)": 1}] * 2


def test_generator_open_while_restored(reports: Reports) -> None:
    """A run that has begun goes on in the rewritten code and still ends with a report."""

    @reports
    def f(n: int) -> Iterator[int]:
        for i in range(n):
            yield g(i)

    generator = f(3)
    next(generator)
    recompyle.restore()
    assert f.__code__ is recompyle.pristine(f)
    assert list(generator) == [1, 1]
    assert counts_of(reports.only) == {"range(n)": 1, "g(i)": 3}
    assert list(f(2)) == [1, 1]
    assert len(reports) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_run_open_across_a_fork(reports: Reports) -> None:
    @reports
    def f() -> int:
        g()
        pid = os.fork()
        g(pid)
        return pid

    pid = f()
    if pid == 0:
        status = 1
        try:
            status = 0 if counts_of(reports.only) == {"g()": 1, "os.fork()": 1, "g(pid)": 1} else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert counts_of(reports.only) == {"g()": 1, "os.fork()": 1, "g(pid)": 1}


def test_typed_as_before(reports: Reports) -> None:
    def f(x: int) -> int:
        return g(x)

    before = dict(vars(f)), f.__name__, f.__wrapped__ if hasattr(f, "__wrapped__") else None
    assert reports(f) is f
    assert type(f) is types.FunctionType
    assert (dict(vars(f)), f.__name__, None) == before
