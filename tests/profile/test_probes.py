"""What the probes record: times, errors, threads, forks, and that they leave nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import subprocess
import sys
import threading
import time
import tracemalloc
import types
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import accounting_faults, counts_of, rows_of

import recompyle
from recompyle import profile
from recompyle._c import state
from recompyle.patch import builds
from recompyle.profile import delivery

SLEEP = 0.02  # seconds; a sleep is never shorter, so it is a sure lower bound of what was measured
SLEEP_NS = int(SLEEP * 1e9)


class Reports(list[Any]):
    """The reports of every run of the functions that it decorates, each checked to add up."""

    def __call__(self, target: Any, **options: Any) -> Any:
        return recompyle.shallow_call_profiler(time_limit=0, above_callback=self.take, **options)(target)

    def take(self, report: Any) -> None:
        assert accounting_faults(report) == []
        self.append(report)

    @property
    def only(self) -> Any:
        (report,) = self
        return report


@pytest.fixture
def reports() -> Iterator[Reports]:
    errors = profile.sink_errors()
    yield Reports()
    recompyle.restore()
    assert profile.sink_errors() == errors, "a check inside a callback failed"


@pytest.fixture
def sinks() -> Iterator[list[Any]]:
    """What goes to the sinks."""
    before = delivery.get_sinks()
    got: list[Any] = []
    profile.configure(sinks=[got.append])
    yield got
    delivery.set_sinks(before)
    recompyle.restore()


def g(*args: Any) -> int:
    return len(args)


def wait(seconds: float = SLEEP) -> None:
    time.sleep(seconds)


# -- durations ---------------------------------------------------------------------------------------------


def test_longest_call_its_number_and_its_start(reports: Reports) -> None:
    @reports
    def f() -> None:
        for n in range(5):
            wait(SLEEP * 10 if n == 3 else SLEEP / 10)

    f()
    row = rows_of(reports.only)["wait(SLEEP * 10 if n == 3 else SLEEP / 10)"]
    assert (row.count, row.max_index) == (5, 3)
    assert row.max_ns >= SLEEP_NS * 10
    assert row.total_ns >= SLEEP_NS * 10.4
    assert SLEEP_NS * 0.3 <= row.max_start_ns <= reports.only.total_ns - row.max_ns


def test_arguments_are_no_part_of_a_call(reports: Reports) -> None:
    @reports
    def f() -> int:
        return g(wait())

    f()
    rows = rows_of(reports.only)
    assert rows["wait()"].total_ns >= SLEEP_NS
    assert rows["g(wait())"].total_ns < rows["wait()"].total_ns


def test_slow_attribute_counts_as_part_of_a_call_without_arguments(reports: Reports) -> None:
    class Order:
        @property
        def lazy(self) -> Callable[[], int]:
            wait()
            return g

    @reports
    def f(order: Order) -> int:
        return order.lazy()

    f(Order())
    assert rows_of(reports.only)["order.lazy()"].total_ns >= SLEEP_NS


def test_operators_and_subscripts_are_own_code(reports: Reports) -> None:
    class Slow:
        def __add__(self, other: Any) -> int:
            wait()
            return 1

        def __getitem__(self, key: Any) -> int:
            wait()
            return 2

    @reports
    def f(slow: Slow) -> int:
        return slow + 1 + slow["key"]

    f(Slow())
    assert reports.only.calls == ()
    assert reports.only.own_ns >= 2 * SLEEP_NS


def test_total_only() -> None:
    whole: list[Any] = []

    @recompyle.shallow_call_profiler(time_limit=0, mode="total", above_callback=whole.append)
    def h() -> int:
        wait()
        return g()

    assert h() == 0
    (report,) = whole
    assert (report.calls, report.calls_ns, report.writer) == ((), 0, "none")
    assert report.own_ns == report.total_ns >= SLEEP_NS


@pytest.mark.parametrize("kind", ["generator", "coroutine", "async generator"])
def test_total_only_of_every_kind(kind: str) -> None:
    whole: list[Any] = []
    decorate = recompyle.shallow_call_profiler(time_limit=0, mode="total", above_callback=whole.append)

    @decorate
    def generator() -> Iterator[int]:
        yield g()

    @decorate
    async def coroutine() -> int:
        await asyncio.sleep(0)
        return g()

    @decorate
    async def async_generator() -> AsyncIterator[int]:
        yield g()

    async def consume() -> list[int]:
        return [n async for n in async_generator()]

    if kind == "generator":
        assert list(generator()) == [0]
    elif kind == "coroutine":
        assert asyncio.run(coroutine()) == 0
    else:
        assert asyncio.run(consume()) == [0]
    (report,) = whole
    assert (report.kind, report.calls, report.finished) == (kind, (), "return")


@pytest.mark.parametrize("clock", ["auto", "system"])
def test_every_clock(reports: Reports, clock: str) -> None:
    def f() -> None:
        wait()

    reports(f, clock=clock)
    f()
    report = reports.only
    assert report.clock.source == profile.clock_info(clock)["source"]
    assert clock == "auto" or report.clock.source == "system"
    row = report.calls[0]
    assert SLEEP_NS <= row.total_ns <= report.total_ns
    assert report.clock.clamped == 0
    now = time.time_ns()
    assert now - 60e9 < report.started_unix_ns <= now


def test_tsc_falls_back_where_there_is_none(reports: Reports) -> None:
    def f() -> None:
        wait()

    reports(f, clock="tsc")
    f()
    assert reports.only.clock.source == state.clock_info("tsc")["source"]
    assert reports.only.total_ns >= SLEEP_NS


# -- generators and coroutines -----------------------------------------------------------------------------


def test_suspended_time_is_told_and_not_counted(reports: Reports) -> None:
    @reports
    def f() -> Iterator[int]:
        for _ in range(3):
            yield g()

    for _ in f():
        wait()
    report = reports.only
    assert report.suspended_ns >= 3 * SLEEP_NS
    assert report.total_ns < report.suspended_ns
    assert report.awaiting_ns == 0


def test_yield_inside_an_argument(reports: Reports) -> None:
    @reports
    def f() -> Iterator[int]:
        got = g((yield 1))
        yield got

    for _ in f():
        wait()
    report = reports.only
    assert report.suspended_ns >= 2 * SLEEP_NS
    assert rows_of(report)["g((yield 1))"].total_ns < SLEEP_NS


def test_yield_from_of_a_list(reports: Reports) -> None:
    @reports
    def f() -> Iterator[int]:
        yield from [1, 2]
        return g()

    for _ in f():
        wait()
    report = reports.only
    row = rows_of(report)["yield from [1, 2]"]
    assert (row.kind, row.count) == ("yield", 1)
    assert report.suspended_ns >= 2 * SLEEP_NS
    assert row.total_ns < SLEEP_NS


def test_generator_finished_in_another_thread(reports: Reports) -> None:
    @reports
    def f() -> Iterator[int]:
        for n in range(4):
            yield g(n)
        wait()

    generator = f()
    assert [next(generator), next(generator)] == [1, 1]
    rest: list[int] = []
    thread = threading.Thread(target=lambda: rest.extend(generator), name="finisher")
    thread.start()
    thread.join()
    assert rest == [1, 1]
    report = reports.only
    assert report.thread == "finisher"
    assert counts_of(report) == {"range(4)": 1, "g(n)": 4, "wait()": 1}


def test_async_for_ends_without_an_error(reports: Reports) -> None:
    async def numbers() -> AsyncIterator[int]:
        for n in range(3):
            await asyncio.sleep(0)
            yield n

    @reports
    async def f() -> int:
        total = 0
        async for n in numbers():
            total += n
        else:
            total += 10
        return total

    assert asyncio.run(f()) == 13
    (row,) = [row for row in reports.only.calls if row.kind == "iterate"]
    assert (row.count, row.errors, row.last_error, row.unfinished) == (4, 0, None, False)
    assert row.source == "async for n in numbers()"


def test_async_for_that_fails(reports: Reports) -> None:
    async def numbers() -> AsyncIterator[int]:
        yield 1
        raise KeyError("gone")

    @reports
    async def f() -> None:
        async for _ in numbers():
            g()

    with pytest.raises(KeyError):
        asyncio.run(f())
    (row,) = [row for row in reports.only.calls if row.kind == "iterate"]
    assert (row.count, row.errors, row.last_error) == (2, 1, "KeyError")
    assert reports.only.exception.type == "KeyError"
    assert reports.only.exception.call == row.id


def test_awaiting_is_the_sum_of_waiting_rows(reports: Reports) -> None:
    class Manager:
        async def __aenter__(self) -> None:
            await asyncio.sleep(SLEEP)

        async def __aexit__(self, *_: object) -> None:
            await asyncio.sleep(0)

    async def numbers() -> AsyncIterator[int]:
        await asyncio.sleep(SLEEP)
        yield 1

    @reports
    async def f() -> None:
        wait()
        async with Manager():
            async for _ in numbers():
                await asyncio.sleep(SLEEP)

    asyncio.run(f())
    report = reports.only
    waiting = [row for row in report.calls if row.kind in ("await", "with", "iterate") and row.inside is None]
    assert sorted(row.kind for row in waiting) == ["await", "iterate", "with"]
    assert report.awaiting_ns == sum(row.total_ns for row in waiting) >= 3 * SLEEP_NS * 0.9
    assert report.awaiting_ns < report.calls_ns


# -- errors and rows that do not end -----------------------------------------------------------------------


def test_errors_and_the_last_one(reports: Reports) -> None:
    errors = [ValueError, KeyError, None, OSError]

    def fail(error: Any) -> None:
        if error:
            raise error

    @reports
    def f() -> None:
        for error in errors:
            with contextlib.suppress(Exception):
                fail(error)

    f()
    row = rows_of(reports.only)["fail(error)"]
    assert (row.count, row.errors, row.last_error) == (4, 3, "OSError")
    assert reports.only.finished == "return"


def test_row_open_at_close_is_no_error_of_the_run(reports: Reports) -> None:
    @reports
    def f() -> Iterator[int]:
        yield from iter([g(), g(1)])

    generator = f()
    next(generator)
    generator.close()
    report = reports.only
    assert report.finished == "close"
    assert counts_of(report) == {"yield from iter([g(), g(1)])": 1, "g()": 1, "g(1)": 1}


def test_generator_dropped_in_the_midst_of_yield_from(reports: Reports) -> None:
    @reports
    def f() -> Iterator[int]:
        yield from [1, 2, 3]

    generator = f()
    next(generator)
    del generator
    gc.collect()
    report = reports.only
    assert report.finished == "close"
    assert report.calls[0].count == 1


def test_rows_inside_rows_in_a_recursion(reports: Reports) -> None:
    @reports
    def f(depth: int) -> list[int]:
        return sorted([2, 1], key=lambda n: g(n) + (len(f(depth - 1)) if depth else 0))

    assert f(2) == [2, 1]
    assert len(reports) == 1 + 2 + 4
    for report in reports:
        outer = [row for row in report.calls if row.source.startswith("sorted(")]
        inner = [row for row in report.calls if row.source == "g(n)"]
        assert [row.count for row in outer] == [1]
        assert [(row.count, row.inside) for row in inner] == [(2, outer[0].id)]
    deep = [row for row in reports[-1].calls if row.source == "f(depth - 1)"]
    assert [row.count for row in deep] == [2]


def test_same_nested_site_inside_two_rows(reports: Reports) -> None:
    @reports
    def f() -> None:
        key = lambda n: g(n)  # noqa: E731
        sorted([1, 2, 3], key=key)
        max([1, 2], key=key)
        key(0)

    f()
    rows = {row.source: row for row in reports.only.calls if row.source != "g(n)"}
    inside = {row.inside: row.count for row in reports.only.calls if row.source == "g(n)"}
    assert inside == {
        rows["sorted([1, 2, 3], key=key)"].id: 3,
        rows["max([1, 2], key=key)"].id: 2,
        rows["key(0)"].id: 1,
    }


# -- exceptions out of callbacks and sinks -----------------------------------------------------------------


def test_interrupt_in_a_callback_reaches_the_caller() -> None:
    def interrupt(report: Any) -> None:
        raise KeyboardInterrupt

    @recompyle.shallow_call_profiler(time_limit=0, above_callback=interrupt)
    def f() -> int:
        return g()

    with pytest.raises(KeyboardInterrupt):
        f()
        for _ in range(1000):  # it is raised where the interpreter looks for signals next
            g()
    recompyle.restore()
    assert f() == 0


def test_exit_in_a_sink_does_not(sinks: list[Any]) -> None:
    def leave(report: Any) -> None:
        raise SystemExit(3)

    profile.configure(sinks=[leave, sinks.append])

    @recompyle.shallow_call_profiler(time_limit=0)
    def f() -> int:
        return g()

    assert f() == 0


def test_error_in_a_sink_is_counted_and_the_next_sink_runs(sinks: list[Any]) -> None:
    def fail(report: Any) -> None:
        raise ValueError("sink")

    before = profile.sink_errors()
    profile.configure(sinks=[fail, sinks.append])

    @recompyle.shallow_call_profiler(time_limit=0)
    def f() -> int:
        return g()

    assert f() == 0
    assert len(sinks) == 1
    assert profile.sink_errors() == before + 1


@pytest.mark.parametrize("hook", ["settrace", "setprofile"])
def test_slow_report_under_a_tracer(reports: Reports, hook: str) -> None:
    """The tracer sees the callback, as it runs in Python, and the function as it is."""

    @reports
    def f() -> int:
        return g()

    seen: list[tuple[str, str]] = []

    def tracer(frame: types.FrameType, event: str, arg: Any) -> Any:
        if event in ("call", "return") and frame.f_code.co_filename == __file__:
            seen.append((frame.f_code.co_name, event))
        return tracer

    getattr(sys, hook)(tracer)
    try:
        value = f()
    finally:
        getattr(sys, hook)(None)
    assert value == 0
    own = [each for each in seen if each[0] in ("f", "g")]
    assert own == [("f", "call"), ("g", "call"), ("g", "return"), ("f", "return")]
    assert counts_of(reports.only) == {"g()": 1}


# -- threads and processes ---------------------------------------------------------------------------------


def test_thousands_of_short_threads(reports: Reports) -> None:
    @reports
    def f(x: int) -> int:
        return g(x)

    for _ in range(100):
        threads = [threading.Thread(target=f, args=(n,)) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(reports) == 2000
    assert all(counts_of(report) == {"g(x)": 1} for report in reports)


def test_threads_that_end_with_open_generators(reports: Reports) -> None:
    @reports
    def f(n: int) -> Iterator[int]:
        yield g(n)
        yield g(n)

    opened: list[Any] = []

    def begin(n: int) -> None:
        generator = f(n)
        next(generator)
        opened.append(generator)

    for n in range(200):
        thread = threading.Thread(target=begin, args=(n,))
        thread.start()
        thread.join()
    assert [list(generator) for generator in opened] == [[1]] * 200
    assert [counts_of(report) for report in reports] == [{"g(n)": 2}] * 200


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_open_generators_and_threads_across_a_fork(reports: Reports) -> None:
    @reports
    def f(n: int) -> Iterator[int]:
        yield g(n)
        yield g(n, n)

    generators = [f(n) for n in range(20)]
    for generator in generators:
        next(generator)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            done = [list(generator) for generator in generators]
            fresh = list(f(7))
            whole = all(counts_of(report) == {"g(n)": 1, "g(n, n)": 1} for report in reports)
            status = 0 if (done, fresh, len(reports), whole) == ([[2]] * 20, [1, 2], 21, True) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert [list(generator) for generator in generators] == [[2]] * 20
    assert len(reports) == 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_child_of_a_fork_begins_with_an_empty_ring(sinks: list[Any]) -> None:
    @recompyle.shallow_call_profiler(time_limit=0)
    def f() -> int:
        return g()

    profile.clear()
    f()
    assert len(profile.recent()) == 1
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            empty = profile.recent() == []
            f()
            status = 0 if empty and [report.pid for report in profile.recent()] == [os.getpid()] else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert len(profile.recent()) == 1


# -- nothing is left behind --------------------------------------------------------------------------------


def module_function(tmp_path: Path, name: str, text: str) -> Any:
    """A function at module level with source: its builds are kept for nobody."""
    path = tmp_path / f"{name}.py"
    path.write_text(text)
    names: dict[str, Any] = {"__name__": name}
    exec(compile(text, str(path), "exec"), names)
    return names["f"]


def test_function_record_and_code_are_freed(tmp_path: Path) -> None:
    f = recompyle.shallow_call_profiler("1h")(
        module_function(tmp_path, "freed", "def f(x):\n    return str(x)\n")
    )
    assert f(1) == "1"
    assert [each.function for each in profile.stats("freed:*")] == ["freed:f"]
    refs = weakref.ref(f), weakref.ref(f.__code__)
    f.__globals__.clear()
    del f
    gc.collect()
    assert [ref() for ref in refs] == [None, None]
    assert profile.stats("freed:*") == []


def test_closure_and_its_cells_are_freed() -> None:
    class Held:
        pass

    def make(held: Any) -> Any:
        @recompyle.shallow_call_profiler("1h")
        def f() -> str:
            return str(type(held))

        return f

    held = Held()
    f = make(held)
    assert "Held" in f()
    refs = weakref.ref(held), weakref.ref(f)
    del f, held
    gc.collect()
    assert [ref() for ref in refs] == [None, None]


def test_values_and_exceptions_are_freed(reports: Reports) -> None:
    class Value:
        pass

    class Failure(Exception):
        pass

    def hand(value: Any) -> Any:
        return value

    @reports
    def f(value: Any, fail: bool) -> None:
        hand(hand(value))
        if fail:
            raise Failure(value)

    refs = []
    for fail in (False, True):
        value = Value()
        refs.append(weakref.ref(value))
        with contextlib.suppress(Failure):
            f(value, fail)
        del value
    gc.collect()
    assert [ref() for ref in refs] == [None, None]
    assert len(reports) == 2


def resident_kib() -> int:
    """Memory of this process in KiB; 0 where it tells nothing: no /proc, or freed memory kept by AddressSanitizer."""
    if "libasan" in os.environ.get("LD_PRELOAD", ""):
        return 0
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    return 0


def growth(action: Callable[[], object], rounds: int) -> tuple[int, int, int]:
    """By how much objects, bytes and KiB grew while an action ran so often, after a warm-up of a tenth."""

    def measure() -> tuple[int, int, int]:
        gc.collect()
        return len(gc.get_objects()), tracemalloc.get_traced_memory()[0], resident_kib()

    for _ in range(rounds // 10):
        action()
    tracemalloc.start()
    try:
        for _ in range(50):  # what tracing itself takes
            action()
        before = measure()
        for _ in range(rounds):
            action()
        after = measure()
    finally:
        tracemalloc.stop()
    return tuple(b - a for a, b in zip(before, after, strict=True))  # type: ignore[return-value]


def plain(x: Any) -> int:
    return g(x) + len(str(x))


def steps(x: Any) -> Iterator[int]:
    yield g(x)
    yield g(x, x)


async def wait_for(x: Any) -> int:
    return g(x)


def fail(x: Any) -> int:
    return g(x) + int("no number")


def drive_generator() -> None:
    list(steps(1))


def drop_generator() -> None:
    next(steps(1))


def drive_coroutine() -> None:
    coroutine = wait_for(1)
    with contextlib.suppress(StopIteration):
        coroutine.send(None)


def drive_failure() -> None:
    with contextlib.suppress(ValueError):
        fail(1)


LOADS = {
    "plain": (plain, lambda: plain(1)),
    "generator": (steps, drive_generator),
    "dropped generator": (steps, drop_generator),
    "coroutine": (wait_for, drive_coroutine),
    "raising": (fail, drive_failure),
}


@pytest.mark.parametrize("limit", ["1h", 0], ids=["fast", "slow"])
@pytest.mark.parametrize(("function", "action"), LOADS.values(), ids=LOADS)
def test_calls_leave_nothing(function: Any, action: Any, limit: Any) -> None:
    runs = 100_000 if limit else 1_000
    recompyle.shallow_call_profiler(limit, above_callback=lambda report: None, ring=0)(function)
    try:
        objects, traced, resident = growth(action, runs)
        (entry,) = profile.stats(f"*:{function.__qualname__}")
    finally:
        recompyle.restore(function)
    assert entry.runs >= runs
    assert objects < 50
    assert traced < 20_000
    assert resident < 2_000


@pytest.mark.parametrize("cycles", [300, pytest.param(10_000, marks=pytest.mark.prove)])
def test_cycles_of_apply_and_restore_leave_nothing(cycles: int) -> None:
    profile_calls = recompyle.ProfileCalls("1h")
    original = plain.__code__

    def cycle() -> None:
        with recompyle.apply(plain, profile_calls):
            plain(1)

    objects, traced, resident = growth(cycle, cycles)
    assert plain.__code__ is original
    assert profile.stats("*:plain") == []
    assert objects < 50
    assert traced < 150_000  # the interpreter's free lists fill up, to some 70 KB; a lost code object a cycle were more
    assert resident < 4_000


def test_decorating_again_and_again_leaves_nothing() -> None:
    def again() -> None:
        recompyle.shallow_call_profiler("1h")(plain)

    try:
        objects, traced, _ = growth(again, 200)
        assert len(profile.stats("*:plain")) == 1
    finally:
        recompyle.restore(plain)
    builds._kept.clear()
    assert objects < 50
    assert traced < 150_000


AT_EXIT = """
import recompyle, threading, time
@recompyle.shallow_call_profiler(time_limit=-1)
def f():
    for _ in range(100):
        yield time.sleep(0.001)
for n in range(3):
    threading.Thread(target=lambda: [None for _ in f()], daemon=True).start()
time.sleep(0.01)
"""


def test_daemon_threads_in_runs_at_the_interpreters_end(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(AT_EXIT)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
