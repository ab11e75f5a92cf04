"""Who gets which report, and that nothing disturbs the profiled function."""

from __future__ import annotations

import _thread
import asyncio
import json
import logging
import os
import signal
import sys
import textwrap
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import recompyle
from recompyle.profile import control, delivery, ring, sinks
from recompyle.profile.delivery import deliver, get_sinks, set_sinks
from recompyle.profile.limits import Options
from recompyle.profile.model import RawRun, SlowCall

MS = 1_000_000


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """An empty ring, no sinks, no errors."""
    before = get_sinks()
    set_sinks([])
    ring.clear()
    sinks.errors.reset()
    yield
    set_sinks(before)
    ring.clear()
    sinks.errors.reset()


@pytest.fixture
def got() -> list[SlowCall]:
    """What the one sink in force got."""
    reports: list[SlowCall] = []
    set_sinks([reports.append])
    return reports


class Bucket:
    """One record per `interval` runs; the others are held back."""

    def __init__(self, interval: int, always_ns: int = 2**63) -> None:
        self.interval, self.always_ns = interval, always_ns
        self.asked = self.held = self.worst = 0
        self.lock = threading.Lock()
        self.last_ns = 0

    def admit(self, now_ns: int, took_ns: int) -> tuple[bool, int, int, int]:
        with self.lock:
            self.asked += 1
            if (self.asked - 1) % self.interval == 0 or took_ns >= self.always_ns:
                told = (True, self.held, self.worst, now_ns - self.last_ns)
                self.last_ns = now_ns
                self.held = self.worst = 0
                return told
            self.held += 1
            self.worst = max(self.worst, took_ns)
            return False, 0, 0, 0


def test_slow_run(make: SimpleNamespace, got: list[SlowCall]) -> None:
    before = ring.next_id()
    report = deliver(make.info(), make.run(812 * MS), None)
    assert got == [report]
    assert ring.recent() == [report]
    assert report is not None and report.suppressed is None
    assert (report.id, report.pid, report.thread, report.task) == (
        before + 1,
        os.getpid(),
        "MainThread",
        None,
    )


def test_the_default_sink_is_the_log(make: SimpleNamespace, caplog: pytest.LogCaptureFixture) -> None:
    set_sinks([sinks.LoggingSink()])
    report = deliver(make.info(), make.run(812 * MS), None)
    assert [(record.name, record.getMessage()) for record in caplog.records] == [("app.orders", str(report))]


def test_a_sink_gets_the_options_if_it_wants_them(
    make: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    set_sinks([sinks.LoggingSink()])
    info = make.info(options=Options.of(logger="app.slow", level="CRITICAL"))
    deliver(info, make.run(812 * MS), None)
    assert [(record.name, record.levelname) for record in caplog.records] == [("app.slow", "CRITICAL")]


def test_fast_run_goes_to_its_callback_only(make: SimpleNamespace, got: list[SlowCall]) -> None:
    fast: list[SlowCall] = []
    with ring.collect() as collected:
        report = deliver(
            make.info(options=Options.of(below_callback=fast.append)), make.run(5 * MS), Bucket(1)
        )
    assert fast == [report]
    assert report is not None and report.id is None
    assert (got, collected, ring.recent()) == ([], [], [])


def test_own_callback_takes_the_place_of_the_sinks(make: SimpleNamespace, got: list[SlowCall]) -> None:
    mine: list[SlowCall] = []
    info = make.info(options=Options.of(above_callback=mine.append))
    gate = Bucket(100)
    with ring.collect() as collected:
        for _ in range(5):
            deliver(info, make.run(812 * MS), gate)
    assert len(mine) == len(collected) == len(ring.recent()) == 5
    assert (got, gate.asked) == ([], 0), "no rate limit for a callback"


def test_no_callback_above(make: SimpleNamespace, got: list[SlowCall]) -> None:
    info = make.info(options=Options.of(above_callback=None, below_callback=print))
    report = deliver(info, make.run(812 * MS), None)
    assert (got, ring.recent()) == ([], [report])


def test_rate_limit(make: SimpleNamespace, got: list[SlowCall]) -> None:
    info, gate = make.info(), Bucket(4)
    with ring.collect() as collected:
        for took in (400, 500, 901, 600, 410):
            deliver(info, make.run(took * MS), gate)
    first, second = got
    assert first.suppressed is None
    assert second.suppressed is not None
    assert (second.suppressed.count, second.suppressed.worst_ns, second.suppressed.rate) == (
        3,
        901 * MS,
        "1/10s",
    )
    assert 0 < second.suppressed.window_ns < 3600 * 10**9
    assert "3 slow calls were not logged in the last" in str(second)
    assert "(rate limit 1/10s); worst 901.0 ms" in str(second)
    assert [report.id for report in collected] == list(range(first.id, first.id + 5)), "all of them"
    assert len(ring.recent()) == 5


def test_very_slow_runs_pass(make: SimpleNamespace, got: list[SlowCall]) -> None:
    info, gate = make.info(), Bucket(1000, always_ns=3000 * MS)
    for took in (400, 500, 3000, 600):
        deliver(info, make.run(took * MS), gate)
    assert [report.total_ns for report in got] == [400 * MS, 3000 * MS]
    assert got[1].suppressed is not None and got[1].suppressed.count == 1


@pytest.mark.parametrize(
    ("runs", "threads"), [(20_000, 1), (20_000, 4), pytest.param(1_000_000, 1, marks=pytest.mark.prove)]
)
def test_every_suppressed_run_is_counted(
    make: SimpleNamespace, got: list[SlowCall], runs: int, threads: int
) -> None:
    info, run, gate = make.info(options=Options.of(ring=4)), make.run(812 * MS), Bucket(997)

    def work() -> None:
        for _ in range(runs // threads):
            deliver(info, run, gate)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert gate.asked == runs
    assert len(got) == -(-runs // 997)
    assert len(got) + sum(report.suppressed.count for report in got if report.suppressed) + gate.held == runs
    assert len(ring.recent(100)) == 4
    assert sinks.sink_errors() == 0


def test_failing_sinks_and_callbacks(make: SimpleNamespace, caplog: pytest.LogCaptureFixture) -> None:
    def fail(report: SlowCall) -> None:
        raise ValueError("no sink today")

    reached: list[SlowCall] = []
    set_sinks([fail, reached.append, sinks.JSONLinesSink("/nowhere/at/all.jsonl")])
    report = deliver(make.info(), make.run(812 * MS), None)
    assert reached == [report] == ring.recent()
    assert sinks.sink_errors() == 2
    above = make.info(options=Options.of(above_callback=fail))
    assert deliver(above, make.run(812 * MS), None) is not None
    below = make.info(options=Options.of(below_callback=fail))
    assert deliver(below, make.run(1), None) is not None
    assert sinks.sink_errors() == 4
    assert [record.name for record in caplog.records] == ["recompyle"], "told once a minute"
    assert "no sink today" in caplog.text


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_full_disk_is_counted(make: SimpleNamespace) -> None:
    set_sinks([sinks.JSONLinesSink("/dev/full")])
    assert deliver(make.info(), make.run(812 * MS), None) is not None
    assert sinks.sink_errors() == 1


def test_a_gate_or_run_that_makes_no_sense_is_counted(make: SimpleNamespace, got: list[SlowCall]) -> None:
    assert deliver(make.info(), make.run(812 * MS), object()) is not None
    assert deliver(make.info(), make.run(812 * MS, [make.row(5, 1)]), None) is None
    assert (got, sinks.sink_errors()) == ([], 2)


def test_at_the_recursion_limit(make: SimpleNamespace, got: list[SlowCall]) -> None:
    """However little room is left, the caller sees no error."""
    info, run = make.info([make.site(0, "call", "f()")]), make.run(812 * MS, [make.row(0, MS)])
    outcomes = []

    def descend() -> None:
        try:
            descend()
        except RecursionError:
            if len(outcomes) < 60:  # with room for one more frame each time
                try:
                    outcomes.append(deliver(info, run, None))
                except RecursionError as error:
                    outcomes.append(error)
            raise

    with pytest.raises(RecursionError):
        descend()
    assert len(outcomes) == 60
    assert isinstance(outcomes[-1], SlowCall)
    for error in outcomes:
        if isinstance(error, RecursionError):
            frames = traceback.extract_tb(error.__traceback__)
            assert [frame.name for frame in frames] == ["descend"], "there was no room for deliver itself"


def test_slow_calls_inside_a_sink(make: SimpleNamespace) -> None:
    """They go to the ring, and nowhere else; also on a thread of its own the next one is reported again."""
    info, run = make.info(), make.run(812 * MS)
    reached: list[SlowCall] = []

    def profiled_sink(report: SlowCall) -> None:
        reached.append(report)
        deliver(info, run, None)

    set_sinks([profiled_sink])
    with ring.collect() as collected:
        for expected in (1, 2):
            deliver(info, run, None)
            assert len(reached) == len(collected) == expected
            assert len(ring.recent(100)) == 2 * expected
        mine = make.info(options=Options.of(above_callback=profiled_sink, below_callback=profiled_sink))
        deliver(mine, run, None)
        deliver(mine, make.run(1), None)
    assert (len(reached), len(collected)) == (4, 3)


def test_other_threads_are_reported_while_a_sink_runs(make: SimpleNamespace) -> None:
    info, run = make.info(), make.run(812 * MS)
    reached: list[str | None] = []

    def sink(report: SlowCall) -> None:
        reached.append(report.thread)
        if len(reached) == 1:
            other = threading.Thread(target=deliver, args=(info, run, None), name="other")
            other.start()
            other.join()

    set_sinks([sink])
    deliver(info, run, None)
    assert reached == ["MainThread", "other"]


def test_set_sinks_all_or_nothing() -> None:
    first = [print, sinks.LoggingSink()]
    set_sinks(first)
    with pytest.raises(ValueError):
        set_sinks([repr, 5])
    kept = get_sinks()
    assert kept[0].callback is print and kept[1] is first[1]
    set_sinks(kept)
    assert get_sinks() == kept


# Ctrl-C and other things thrown in from outside


def test_interrupt_inside_a_sink_is_raised_after_the_delivery(make: SimpleNamespace) -> None:
    def sink(report: SlowCall) -> None:
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("not interrupted")

    set_sinks([sink])
    info, run = make.info(), make.run(812 * MS)
    report = None
    try:
        report = deliver(info, run, None)
        for _ in range(1000):
            pass
        interrupted = False
    except KeyboardInterrupt:
        interrupted = True
    assert isinstance(report, SlowCall), "the delivery itself ended"
    assert interrupted
    assert sinks.sink_errors() == 0
    set_sinks([])
    with ring.collect() as collected:
        deliver(info, run, None)
    assert len(collected) == 1, "the next one is delivered as usual"


def test_interrupt_on_another_thread_reaches_the_main_thread(make: SimpleNamespace) -> None:
    def sink(report: SlowCall) -> None:
        raise KeyboardInterrupt

    set_sinks([sink])
    outcome: list[Any] = []
    worker = threading.Thread(target=lambda: outcome.append(deliver(make.info(), make.run(812 * MS), None)))
    with pytest.raises(KeyboardInterrupt):
        worker.start()
        worker.join()
        for _ in range(1000):
            pass
    worker.join()
    assert isinstance(outcome[0], SlowCall)


class Thrown(BaseException):
    """Like the exit of a greenlet."""


def test_what_is_thrown_from_outside_passes(make: SimpleNamespace) -> None:
    def sink(report: SlowCall) -> None:
        raise Thrown

    set_sinks([sink])
    with pytest.raises(Thrown):
        deliver(make.info(), make.run(812 * MS), None)
    set_sinks([])
    with ring.collect() as collected:
        deliver(make.info(), make.run(812 * MS), None)
    assert len(collected) == 1


# Where it ran


def test_thread_names(make: SimpleNamespace, got: list[SlowCall]) -> None:
    worker = threading.Thread(target=deliver, args=(make.info(), make.run(812 * MS), None), name="worker-3")
    worker.start()
    worker.join()
    assert got[0].thread == "worker-3"


def test_thread_that_threading_did_not_start(make: SimpleNamespace, got: list[SlowCall]) -> None:
    info, run = make.info(), make.run(812 * MS)
    done = _thread.allocate_lock()
    done.acquire()
    known: list[int] = []

    def work() -> None:
        deliver(info, run, None)
        known.append(threading.active_count())
        done.release()

    before = threading.active_count()
    number = _thread.start_new_thread(work, ())
    done.acquire()
    assert got[0].thread == f"thread {number}"
    assert known == [before], "it was not registered"


def test_task_names(make: SimpleNamespace, got: list[SlowCall]) -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        deliver(make.info(), make.run(812 * MS), None)

    async def main() -> None:
        await asyncio.gather(*(asyncio.create_task(work(), name=f"checkout-{n}") for n in range(3)))
        asyncio.get_running_loop().call_soon(deliver, make.info(), make.run(812 * MS), None)
        await asyncio.sleep(0)

    asyncio.run(main())
    assert [report.task for report in got] == ["checkout-0", "checkout-1", "checkout-2", None]


def test_asyncio_is_not_imported(tmp_path: Path) -> None:
    program = (
        "import sys; from recompyle.profile import delivery; assert delivery._task_name() is None; "
        "assert 'asyncio' not in sys.modules"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert os.spawnve(os.P_WAIT, sys.executable, [sys.executable, "-S", "-c", program], environment) == 0


# Forks


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_fork(make: SimpleNamespace, tmp_path: Path) -> None:
    """Parent and child report to one file, each with its own numbers, whatever locks another thread holds."""
    path = tmp_path / "slow.jsonl"
    set_sinks([sinks.JSONLinesSink(path)])
    info, run = make.info(), make.run(812 * MS)
    deliver(info, run, None)
    locked, release = threading.Event(), threading.Event()

    def hold() -> None:
        with ring._ring._lock, sinks.errors._lock:
            locked.set()
            release.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    locked.wait()
    child = os.fork()
    if not child:
        try:
            deliver(info, run, None)
            deliver(info, run, object())
            assert [report.id for report in ring.recent()] == [2, 1]
            assert sinks.sink_errors() == 1
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    release.set()
    holder.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert sinks.sink_errors() == 0
    written = [json.loads(line) for line in path.read_text("ascii").splitlines()]
    assert [report["pid"] for report in written] == [os.getpid(), child]
    assert written[1]["id"] == 1


def test_log_record_comes_from_the_slow_thread(
    make: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    set_sinks([sinks.LoggingSink()])
    worker = threading.Thread(target=deliver, args=(make.info(), make.run(812 * MS), None), name="worker-5")
    worker.start()
    worker.join()
    assert [record.threadName for record in caplog.records] == ["worker-5"]
    assert caplog.records[0].levelno == logging.WARNING
    assert delivery.get_sinks()


def test_report_makes_no_reports_of_what_makes_it() -> None:
    """Making a report calls functions that are profiled themselves: their runs count, and that is all."""
    helpers = [control.deliver, SlowCall.build, RawRun._replace]
    own: list[SlowCall] = []
    ring.clear()
    recompyle.apply("textwrap:dedent", recompyle.ProfileCalls(0, above_callback=own.append))
    for helper in helpers:
        recompyle.apply(helper, recompyle.ProfileCalls(0))
    try:
        for _ in range(3):
            textwrap.dedent(" a")
        counted = {each.function: (each.runs, each.slow_runs) for each in control.stats()}
    finally:
        recompyle.restore()
    assert [report.function for report in own] == ["textwrap:dedent"] * 3
    assert [report.function for report in ring.recent()] == ["textwrap:dedent"] * 3
    assert counted["recompyle.profile.control:deliver"] == (3, 3)
    assert counted["recompyle.profile.model:SlowCall.build"] == (3, 3)


def test_callback_makes_reports_of_its_own() -> None:
    """What a callback calls is the program's own code again: its slow calls go to the ring."""
    ring.clear()
    recompyle.apply("textwrap:dedent", recompyle.ProfileCalls(0, above_callback=lambda report: json.dumps([1])))
    recompyle.apply("json:dumps", recompyle.ProfileCalls(0))
    try:
        textwrap.dedent(" a")
    finally:
        recompyle.restore()
    assert [report.function for report in ring.recent()] == ["json:dumps", "textwrap:dedent"]
