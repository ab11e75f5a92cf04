"""What can be changed while the program runs: `configure`, `override`, `stats`, `clock_info`."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import recompyle
from recompyle import profile
from recompyle.patch import builds
from recompyle.profile import control, delivery

HERE = __name__
SLEEP = 0.02  # seconds; a sleep is never shorter


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """No function is profiled at first; settings and sinks are as they were in the end."""
    settings, sinks = control._settings[:], delivery.get_sinks()
    control._settings.clear()
    profile.clear()
    recompyle.restore()
    builds._kept.clear()  # what is kept for closures to come
    gc.collect()
    yield
    profile.configure(enabled=True)
    recompyle.restore()
    control._settings[:] = settings
    delivery.set_sinks(sinks)
    profile.clear()


def g(x: Any = None) -> Any:
    return x


def made(**options: Any) -> Callable[[Any], Any]:
    """A new profiled function that calls what it is given."""

    @recompyle.shallow_call_profiler(**options)
    def f(x: Any) -> Any:
        return x() if callable(x) else g(x)

    return f


def limit_of(function: Any) -> int:
    name = f"{HERE}:{function.__qualname__}"
    (entry,) = [each for each in profile.stats() if each.function == name]
    return entry.limit_ns


# -- configure ---------------------------------------------------------------------------------------------

BAD = [
    ({"time_limit": "fast"}, ValueError),
    ({"time_limit": float("nan")}, ValueError),
    ({"time_limit": "p101"}, ValueError),
    ({"time_limit": "0x"}, ValueError),
    ({"time_limit": True}, TypeError),
    ({"time_limit": []}, TypeError),
    ({"rate": "often"}, ValueError),
    ({"always": "0.5x"}, ValueError),
    ({"top": -1}, ValueError),
    ({"ring": 1.5}, ValueError),
    ({"level": "LOUD"}, ValueError),
    ({"logger": 7}, ValueError),
    ({"above_callback": 7}, TypeError),
    ({"above_callback": None, "below_callback": None}, ValueError),
    ({"enabled": 1}, ValueError),
    ({"enabled": "no"}, ValueError),
    ({"sinks": 7}, TypeError),
    ({"sinks": [7]}, ValueError),
    ({"mode": "total"}, ValueError),
    ({"include": "g"}, ValueError),
    ({"clock": "system"}, ValueError),
    ({"no_such_option": 1}, ValueError),
]


@pytest.mark.parametrize(("options", "error"), BAD, ids=lambda each: str(each))
def test_bad_value_changes_nothing(options: dict[str, Any], error: type[Exception]) -> None:
    f = made(time_limit="7s")
    code, sinks = f.__code__, delivery.get_sinks()
    with pytest.raises(error):
        profile.configure(**{"time_limit": "1s", **options})
    assert limit_of(f) == 7_000_000_000
    assert (f.__code__, delivery.get_sinks(), control._settings) == (code, sinks, [])


def test_bad_value_for_one_of_the_functions_changes_none() -> None:
    """Both callbacks None is bad only for the function whose other one is None."""
    first = made(time_limit="1s", below_callback=g)
    second = made(time_limit="2s")
    with pytest.raises(ValueError, match="nothing would be reported"):
        profile.configure(time_limit="3s", above_callback=None)
    assert sorted(each.limit_ns for each in profile.stats()) == [1_000_000_000, 2_000_000_000]
    assert control._settings == []
    assert first is not second


def test_first_argument_is_a_pattern() -> None:
    with pytest.raises(TypeError, match="a pattern of function names first"):
        profile.configure(0.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{"enabled": False}, {"sinks": []}])
def test_what_holds_for_all_takes_no_pattern(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="for all functions"):
        profile.configure("app.*", **options)


def test_configured_limit_wins_over_the_decorators_and_later_over_earlier() -> None:
    f = made(time_limit="1s")
    profile.configure(time_limit="2s")
    assert limit_of(f) == 2_000_000_000
    profile.configure(f"{HERE}:*", time_limit="3s")
    assert limit_of(f) == 3_000_000_000
    profile.configure("elsewhere:*", time_limit="4s")
    assert limit_of(f) == 3_000_000_000
    profile.configure(time_limit=None)
    assert limit_of(f) == 100_000_000


def test_functions_decorated_later_get_the_settings() -> None:
    profile.configure(f"{HERE}:made.*", time_limit="2s")
    assert limit_of(made(time_limit="1s")) == 2_000_000_000


def test_pattern_tells_functions_apart() -> None:
    @recompyle.shallow_call_profiler("1s")
    def fast() -> None:
        g()

    @recompyle.shallow_call_profiler("1s")
    def slow() -> None:
        g()

    profile.configure("*slow", time_limit="9s")
    assert (limit_of(fast), limit_of(slow)) == (1_000_000_000, 9_000_000_000)


def test_open_runs_obey() -> None:
    f = made(time_limit=-1)
    with profile.collect() as got:
        f(lambda: profile.configure(time_limit=0))
        f(lambda: profile.configure(time_limit=-1))
        f(1)
    assert len(got) == 1
    assert got[0].limit_ns == 0


def test_open_generator_obeys() -> None:
    @recompyle.shallow_call_profiler(time_limit=-1)
    def f() -> Iterator[int]:
        yield g(1)

    generator = f()
    next(generator)
    profile.configure(time_limit=0)
    with profile.collect() as got:
        assert list(generator) == []
    assert [report.finished for report in got] == ["return"]


def test_callbacks_can_be_changed() -> None:
    old: list[Any] = []
    new: list[Any] = []
    f = made(time_limit=0, above_callback=old.append)
    f(1)
    profile.configure(above_callback=new.append)
    f(1)
    assert (len(old), len(new)) == (1, 1)


def test_below_callback_can_be_set_and_taken_away() -> None:
    fast: list[Any] = []
    f = made(time_limit=-1)
    profile.configure(below_callback=fast.append)
    f(1)
    profile.configure(below_callback=None)
    f(1)
    assert [report.id for report in fast] == [None]


def test_sinks_are_replaced() -> None:
    got: list[Any] = []
    profile.configure(sinks=[got.append])
    made(time_limit=0)(1)
    assert [report.qualname for report in got] == ["made.<locals>.f"]


def test_ring_size() -> None:
    f = made(time_limit=0, rate=None)
    profile.configure(ring=2, sinks=[])
    for n in range(5):
        f(n)
    assert len(profile.recent(10)) == 2
    profile.configure(ring=0)
    profile.clear()
    f(1)
    assert profile.recent(10) == []


# -- enabled -----------------------------------------------------------------------------------------------


def test_off_is_the_original_code_object_and_on_brings_the_probes_back() -> None:
    def f(x: Any) -> Any:
        return g(x)

    original = f.__code__
    got: list[Any] = []
    recompyle.shallow_call_profiler(time_limit=0, above_callback=got.append)(f)
    assert f.__code__ is not original
    f(1)
    profile.configure(enabled=False)
    assert f.__code__ is original
    f(1)
    assert len(got) == 1
    profile.configure(enabled=False)
    profile.configure(enabled=True)
    assert f.__code__ is not original
    f(1)
    assert len(got) == 2
    assert recompyle.pristine(f) is original


def test_decorated_while_off() -> None:
    profile.configure(enabled=False)

    def f(x: Any) -> Any:
        return g(x)

    original = f.__code__
    got: list[Any] = []
    assert recompyle.shallow_call_profiler(time_limit=0, above_callback=got.append)(f) is f
    assert f.__code__ is original
    f(1)
    assert got == []
    profile.configure(enabled=True)
    assert f.__code__ is not original
    f(1)
    assert len(got) == 1


def test_decorated_again_while_off() -> None:
    got: list[Any] = []
    f = made(time_limit=-1, above_callback=got.append)
    profile.configure(enabled=False)
    recompyle.shallow_call_profiler(time_limit=0)(f)
    profile.configure(enabled=True)
    f(1)
    assert len(got) == 1


def test_restored_while_off_stays_restored() -> None:
    f = made(time_limit=0)
    original = recompyle.pristine(f)
    profile.configure(enabled=False)
    recompyle.restore(f)
    profile.configure(enabled=True)
    assert f.__code__ is original


def test_switched_off_in_the_midst_of_a_run() -> None:
    got: list[Any] = []
    f = made(time_limit=0, above_callback=got.append)
    f(lambda: profile.configure(enabled=False))
    assert f.__code__ is recompyle.pristine(f)
    assert [len(report.calls) for report in got] == [2]


# -- override ----------------------------------------------------------------------------------------------


def test_override_holds_in_its_block_only() -> None:
    f = made(time_limit="1h")
    with profile.collect() as got:
        f(1)
        with profile.override(time_limit=0):
            f(2)
        f(3)
    assert [report.limit_ns for report in got] == [0]


def test_override_can_silence() -> None:
    f = made(time_limit=0)
    with profile.collect() as got:
        with profile.override(time_limit=-1):
            f(1)
        f(1)
    assert len(got) == 1


def test_overrides_nest() -> None:
    f = made(time_limit="1h")
    with profile.collect() as got, profile.override(time_limit=0):
        with profile.override(time_limit=-1):
            f(1)
        f(2)
    assert len(got) == 1
    assert control._overrides == []


def test_override_does_not_reach_other_threads() -> None:
    f = made(time_limit="1h")
    with profile.collect() as got, profile.override(time_limit=0):
        thread = threading.Thread(target=f, args=(1,), name="other")
        thread.start()
        thread.join()
        f(2)
    assert [report.thread for report in got] == [threading.current_thread().name]


def test_override_belongs_to_one_task() -> None:
    @recompyle.shallow_call_profiler("1h")
    async def f() -> None:
        await asyncio.sleep(0)

    async def with_override() -> None:
        with profile.override(time_limit=0):
            await f()
            await asyncio.sleep(0)
            await f()

    async def without() -> None:
        for _ in range(4):
            await f()

    async def main() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(without(), name="without")
            tasks.create_task(with_override(), name="with")

    with profile.collect() as got:
        asyncio.run(main())
    assert [report.task for report in got] == ["with", "with"]


def test_override_ends_with_an_exception() -> None:
    f = made(time_limit="1h")
    with pytest.raises(KeyError), profile.override(time_limit=0):
        raise KeyError
    with profile.collect() as got:
        f(1)
    assert got == []
    assert control._overrides == []


@pytest.mark.parametrize(("limit", "error"), [(None, ValueError), ("fast", ValueError), (True, TypeError)])
def test_bad_override(limit: Any, error: type[Exception]) -> None:
    with pytest.raises(error), profile.override(time_limit=limit):
        pytest.fail("the block was entered")
    assert control._overrides == []


def test_override_leaves_the_statistics_alone() -> None:
    f = made(time_limit="1h")
    with profile.override(time_limit=0):
        f(1)
    assert limit_of(f) == 3_600_000_000_000


# -- stats and clock ---------------------------------------------------------------------------------------


def test_stats_count_every_run() -> None:
    f = made(time_limit="1h")
    for n in range(100):
        f(n)
    f(lambda: time.sleep(SLEEP))
    (entry,) = profile.stats(f"{HERE}:*")
    assert (entry.runs, entry.slow_runs) == (101, 0)
    assert entry.p50_ns <= entry.p90_ns <= entry.p99_ns <= entry.p999_ns <= entry.max_ns * 1.04
    assert 0 < entry.p50_ns < SLEEP * 1e9
    assert entry.max_ns >= SLEEP * 0.96e9


def test_stats_count_slow_runs() -> None:
    f = made(time_limit="1h", above_callback=g)
    f(1)
    profile.configure(time_limit=SLEEP / 2)
    f(lambda: time.sleep(SLEEP))
    (entry,) = profile.stats(f"{HERE}:*")
    assert (entry.runs, entry.slow_runs) == (2, 1)


def test_stats_by_pattern_and_name() -> None:
    @recompyle.shallow_call_profiler
    def kept() -> None:
        g()

    @recompyle.shallow_call_profiler
    def another() -> None:
        g()

    prefix = f"{HERE}:test_stats_by_pattern_and_name.<locals>."
    assert [each.function for each in profile.stats()] == [prefix + "another", prefix + "kept"]
    assert [each.function for each in profile.stats("*kept")] == [prefix + "kept"]
    assert profile.stats("nowhere:*") == []
    assert kept() is another() is None


def test_functions_that_are_gone_are_in_no_statistics() -> None:
    f = made(time_limit="1h")
    f(1)
    assert len(profile.stats(f"{HERE}:*")) == 1
    del f
    builds._kept.clear()
    gc.collect()
    assert profile.stats(f"{HERE}:*") == []


def test_closures_that_come_and_go_share_one_entry() -> None:
    for n in range(5):
        made(time_limit="1h")(n)
    (entry,) = profile.stats(f"{HERE}:*")
    assert entry.runs == 5


@pytest.mark.parametrize("clock", ["auto", "system"])
def test_clock_info(clock: str) -> None:
    info = profile.clock_info(clock)
    assert set(info) == {"source", "read_ns", "resolution_ns", "why", "suspects"}
    assert 0 < info["read_ns"] < 1e6
    assert 0 < info["resolution_ns"] < 1e9
    assert info["why"]
    assert clock != "system" or info["source"] == "system"


def test_unknown_clock() -> None:
    with pytest.raises(ValueError, match="clock must be"):
        profile.clock_info("sundial")
