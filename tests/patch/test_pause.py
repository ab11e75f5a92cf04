"""Pausing one kind of pass: its probes are out, its patches stay."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

import recompyle
from recompyle import inject
from recompyle.errors import NotRewritable
from recompyle.patch import apply, pause, pristine, registry, restore
from recompyle.rewrite import Pass


class Probe:
    def __init__(self, log: list[str], label: str) -> None:
        self.log, self.label = log, label

    def __invert__(self) -> None:
        self.log.append(self.label)


class One(Pass):
    """Marks the entry."""

    label = "one"

    def __init__(self, log: list[str]) -> None:
        self.log = log

    def needs_source(self) -> bool:
        return False

    def edits(self, code: Any, at: Any, nested: bool) -> Any:
        return [inject.Edit("entry", Probe(self.log, self.label))]


class Two(One):
    label = "two"


class Fails(One):
    """Can be built once only."""

    built = 0

    def edits(self, code: Any, at: Any, nested: bool) -> Any:
        self.built += 1
        if self.built > 1:
            raise NotRewritable("not again")
        return super().edits(code, at, nested)


@pytest.fixture(autouse=True)
def resumed() -> Iterator[None]:
    yield
    restore()
    for kind in list(registry._paused):
        pause(kind, False)


def f() -> str:
    return "f"


def g() -> str:
    return "g"


def test_paused_function_has_its_own_code() -> None:
    log: list[str] = []
    patch = apply(f, One(log))
    patched = f.__code__
    pause(One, True)
    assert f.__code__ is pristine(f) is patch.original
    assert patch.active
    assert (f(), log) == ("f", [])
    pause(One, False)
    assert f.__code__ is not patch.original
    assert (f(), log) == ("f", ["one"])
    assert pristine(patched) is patch.original


def test_other_passes_stay() -> None:
    log: list[str] = []
    apply(f, One(log))
    apply(f, Two(log))
    apply(g, Two(log))
    code = g.__code__
    pause(One, True)
    f(), g()
    assert log == ["two", "two"]
    assert g.__code__ is code
    pause(One, False)
    del log[:]
    f()
    assert sorted(log) == ["one", "two"]


def test_class_counts_not_its_base() -> None:
    log: list[str] = []
    apply(f, Two(log))
    pause(One, True)
    f()
    assert log == ["two"]


def test_pausing_twice_is_pausing_once() -> None:
    log: list[str] = []
    apply(f, One(log))
    pause(One, True)
    pause(One, True)
    pause(One, False)
    f()
    assert log == ["one"]
    code = f.__code__
    pause(One, False)
    assert f.__code__ is code


def test_applied_while_paused() -> None:
    log: list[str] = []
    pause(One, True)
    original = f.__code__
    patch = apply(f, One(log))
    assert f.__code__ is original
    assert patch.active
    pause(One, False)
    f()
    assert log == ["one"]


def test_restored_while_paused() -> None:
    log: list[str] = []
    original = f.__code__
    patch = apply(f, One(log))
    pause(One, True)
    patch.restore()
    assert patch.state == "restored"
    pause(One, False)
    assert f.__code__ is original
    f()
    assert log == []


def test_restored_by_name_while_paused() -> None:
    apply(f, One([]))
    pause(One, True)
    assert restore(f) == 1
    assert restore(f) == 0


def test_one_that_cannot_be_built_leaves_all_as_they_are() -> None:
    log: list[str] = []
    for function in (g, f):
        apply(function, One(log), Fails(log))
    codes = f.__code__, g.__code__
    with pytest.raises(NotRewritable, match="not again"):
        pause(One, True)
    assert (f.__code__, g.__code__) == codes
    assert One not in registry._paused
    g()
    assert log == ["one", "one"]


def test_nothing_is_built_again() -> None:
    log: list[str] = []
    apply(f, Fails(log))
    patched = f.__code__
    pause(Fails, True)
    pause(Fails, False)
    assert f.__code__ is patched


def test_one_that_cannot_take_a_paused_pass_is_refused_at_once() -> None:
    once = Fails([])
    once.built = 1
    pause(Fails, True)
    with pytest.raises(NotRewritable, match="not again"):
        apply(f, once)
    assert restore(f) == 0


def test_foreign_code_is_left_alone() -> None:
    def h() -> str:
        return "h"

    def other() -> str:
        return "other"

    apply(h, One([]))
    h.__code__ = other.__code__
    pause(One, True)
    assert h() == "other"
    pause(One, False)
    assert h() == "other"
    with pytest.warns(recompyle.RecompyleWarning, match="changed by somebody else"):
        apply(h, Two([]))


def test_open_runs_end_in_the_code_they_began_with() -> None:
    log: list[str] = []

    def steps() -> Iterator[int]:
        yield 1
        yield 2

    apply(steps, One(log))
    open_run = steps()
    next(open_run)
    pause(One, True)
    assert list(open_run) == [2]
    assert list(steps()) == [1, 2]
    assert log == ["one"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring is new in 3.12")
def test_monitoring_events_follow() -> None:
    monitoring = sys.monitoring  # type: ignore[attr-defined]
    apply(f, One([]))
    seen: list[str] = []
    monitoring.use_tool_id(4, "test")
    try:
        monitoring.register_callback(
            4, monitoring.events.PY_START, lambda code, offset: seen.append(code.co_name)
        )
        monitoring.set_local_events(4, f.__code__, monitoring.events.PY_START)
        pause(One, True)
        f()
        pause(One, False)
        f()
    finally:
        monitoring.free_tool_id(4)
    assert seen == ["f", "f"]
