"""Several interpreters in one process: each has functions, settings and rings of its own."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import recompyle
from recompyle import profile
from recompyle.profile import control, delivery

if sys.version_info >= (3, 13):
    import _interpreters as interpreters
else:
    import _xxsubinterpreters as interpreters

ROOT = Path(recompyle.__file__).parents[1]

PREPARE = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}]
import json, textwrap
import recompyle
from recompyle import profile
"""

TELL = """
import os
os.write({pipe}, json.JSONEncoder().encode({value}).encode())
"""


@pytest.fixture(autouse=True)
def own_settings() -> Iterator[None]:
    """No sinks, an empty ring; afterwards everything is as it was."""
    settings, sinks = control._settings[:], delivery.get_sinks()
    delivery.set_sinks([])
    profile.clear()
    yield
    recompyle.restore()
    control._settings[:] = settings
    delivery.set_sinks(sinks)
    profile.clear()


class Interpreter:
    """One more interpreter, with the package imported."""

    def __init__(self) -> None:
        self.id = interpreters.create()
        self.run(PREPARE)

    def run(self, program: str) -> None:
        """Runs a program in it; what it raises is raised here."""
        failed = interpreters.run_string(self.id, program)
        if failed is not None:  # from 3.13; before that it raises by itself
            raise RuntimeError(failed.formatted)

    def value(self, expression: str) -> Any:
        """The value of an expression there, by way of JSON."""
        reading, writing = os.pipe()
        try:
            self.run(TELL.format(pipe=writing, value=expression))
            return json.loads(os.read(reading, 65536))
        finally:
            os.close(reading)
            os.close(writing)

    def end(self) -> None:
        interpreters.destroy(self.id)


@pytest.fixture
def other() -> Iterator[Interpreter]:
    made = Interpreter()
    yield made
    made.end()


PROFILE_DUMPS = """
profile.configure(sinks=[], time_limit=0)
recompyle.apply("json:dumps", recompyle.ProfileCalls())
for _ in range({runs}):
    json.dumps([1, 2], indent=1)
"""

COUNTS = "[(each.runs, each.slow_runs) for each in profile.stats('json:dumps')]"


def test_settings_and_rings_are_apart(other: Interpreter) -> None:
    profile.configure(time_limit="1h")
    recompyle.apply("json:dumps", recompyle.ProfileCalls())
    other.run(PROFILE_DUMPS.format(runs=3))
    json.dumps([1, 2], indent=1)
    assert profile.recent() == []
    assert other.value("[report.function for report in profile.recent()]") == ["json:dumps"] * 3
    (mine,) = profile.stats("json:dumps")
    assert (mine.runs, mine.slow_runs) == (1, 0)
    assert other.value(COUNTS) == [[3, 3]]


def test_run_in_the_midst_of_a_run(other: Interpreter) -> None:
    """The same thread runs another interpreter, which profiles too, while a profiled run is open."""
    @recompyle.shallow_call_profiler(time_limit=0)
    def outer(text: str) -> list[Any]:
        first = json.loads(text)
        other.run(PROFILE_DUMPS.format(runs=2))
        steps = (json.loads(each) for each in [text, text])
        return [first, *steps]

    assert outer("[1]") == [[1], [1], [1]]
    (report,) = profile.recent()
    assert [(call.source.split("(")[0], call.count) for call in sorted(report.calls, key=lambda call: call.line)] == [
        ("json.loads", 1),
        ("other.run", 1),
        ("PROFILE_DUMPS.format", 1),
        ("json.loads", 2),
    ]
    assert not any(call.unfinished for call in report.calls)
    assert report.clock.clamped == 0
    assert other.value("len(profile.recent())") == 2


def test_generator_resumed_after_another_interpreter_ran(other: Interpreter) -> None:
    @recompyle.shallow_call_profiler(time_limit=0)
    def steps() -> Iterator[int]:
        yield len("a")
        yield len("ab")

    generator = steps()
    assert next(generator) == 1
    other.run(PROFILE_DUMPS.format(runs=1))
    assert list(generator) == [2]
    (report,) = profile.recent()
    assert sorted(call.count for call in report.calls) == [1, 1]


def test_ended_interpreter_leaves_the_others_alone() -> None:
    recompyle.apply("json:dumps", recompyle.ProfileCalls(0))
    for _ in range(3):
        each = Interpreter()
        each.run(PROFILE_DUMPS.format(runs=1))
        each.end()
        json.dumps([1], indent=1)
    assert len(profile.recent()) == 3


def test_interpreters_at_once() -> None:
    """Four threads, each with an interpreter of its own; from 3.12 they truly run at once."""
    runs = 2_000
    all_of_them = [Interpreter() for _ in range(4)]
    failures: list[BaseException] = []

    def work(each: Interpreter) -> None:
        try:
            each.run(PROFILE_DUMPS.format(runs=runs))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(each,)) for each in all_of_them]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for each in all_of_them:
        assert each.value(COUNTS) == [[runs, runs]]
        each.end()
