"""The fixture `slow_calls`, in a pytest of its own."""

from __future__ import annotations

import os
import sys

import pytest

pytest_plugins = ["pytester"]

TEST = """
import pytest
from recompyle.profile import ring
from recompyle.profile.limits import Options
from recompyle.profile.delivery import deliver, set_sinks
from recompyle.profile.model import FunctionInfo, RawRun

set_sinks([])
options = Options.of(time_limit="1ms")
info = FunctionInfo("m:f", "m", "f", "function", "m.py", 1, {}, (), "none", options)

def run(ms):
    return RawRun(0, ms * 10**6, 0, [], "return", None, 10**6, ms >= 1, 0, 0, False, "system")

def test_slow(slow_calls):
    assert slow_calls == []
    deliver(info, run(5), None)
    deliver(info, run(0), None)
    deliver(info, run(7), None)
    assert [call.total_ns for call in slow_calls] == [5_000_000, 7_000_000]

def test_begins_anew(slow_calls):
    assert slow_calls == []

def test_must_be_fast(slow_calls):
    deliver(info, run(3), None)
    assert not slow_calls, "\\n".join(map(str, slow_calls))

def test_without():
    assert ring._ring._collectors == ()
"""


def test_fixture(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    pytester.makepyfile(TEST)
    # By module name, so that this runs in a checkout too; the entry point of an installed package stays out.
    result = pytester.runpytest_subprocess("-p", "no:recompyle", "-p", "recompyle.pytest_plugin")
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["E*slow call: f took 3.000 ms (limit 1 ms, x3.0)*"])


def test_fixture_is_listed(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    result = pytester.runpytest_subprocess(
        "-p", "no:recompyle", "-p", "recompyle.pytest_plugin", "--fixtures"
    )
    result.stdout.fnmatch_lines(["*slow_calls*", "*The slow calls of profiled functions*"])
