"""What a process has once: its clocks, and a record for each thread that outlives nobody."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

import recompyle
from recompyle._c import state


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    recompyle.restore()


@pytest.mark.parametrize("name", ["auto", "tsc", "system"])
def test_clock_is_calibrated_once(name: str) -> None:
    first, second = state.clock_info(name), state.clock_info(name)
    assert first == second
    assert first["source"]
    assert 0 < first["read_ns"] < 1e6


def test_without_a_name_it_is_the_clock_chosen() -> None:
    assert state.clock_info() == state.clock_info("auto")


@pytest.mark.parametrize("name", ["", "TSC", "sundial"])
def test_unknown_clock(name: str) -> None:
    with pytest.raises(ValueError, match="'auto', 'tsc' or 'system'"):
        state.clock_info(name)


def test_name_that_is_no_text() -> None:
    with pytest.raises(TypeError):
        state.clock_info(7)  # type: ignore[arg-type]


def test_clock_asked_for_by_many_threads_at_once() -> None:
    found: list[Any] = []
    ready = threading.Barrier(8)

    def ask() -> None:
        ready.wait()
        found.append(state.clock_info("system")["source"])

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["system"] * 8


def test_reports_of_a_thread_that_ends_with_runs_in_its_own_destructors() -> None:
    """Thread-local objects die after the thread's last Python frame; their methods may be profiled."""
    got: list[Any] = []

    class Last:
        @recompyle.shallow_call_profiler(time_limit=0, above_callback=got.append)
        def __del__(self) -> None:
            str(1)

    local = threading.local()

    def work() -> None:
        local.last = Last()

    for _ in range(50):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert len(got) == 50
    assert all([row.source for row in report.calls] == ["str(1)"] for report in got)
