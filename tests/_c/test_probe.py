"""The base of all probes: hands on what it gets, is equal to itself only, survives copies of code."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
import weakref
from typing import Any

import pytest

from recompyle._c.probe import Probe
from recompyle.profile.passes import ProfileCalls
from recompyle.rewrite import rewrite


class Odd:
    """Everything that a careless operator would ask the value for."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)

    def __index__(self) -> int:
        raise AssertionError("index")

    def __hash__(self) -> int:
        raise AssertionError("hash")

    def __eq__(self, other: object) -> bool:
        raise AssertionError("equal")

    def __bool__(self) -> bool:
        raise AssertionError("bool")

    def __rmatmul__(self, other: object) -> Any:
        raise AssertionError("matmul")


VALUES = [None, NotImplemented, ..., 0, "text", slice(1), (1, 2), [], Odd(), Probe, int]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_value_comes_back_itself(value: Any) -> None:
    assert Probe()[value] is value


def test_mark_gives_nothing() -> None:
    assert ~Probe() is None


def test_no_reference_is_kept() -> None:
    class Value:
        pass

    probe, value = Probe(), Value()
    before = sys.getrefcount(value)
    for _ in range(100):
        probe[value]
    assert sys.getrefcount(value) == before
    ref = weakref.ref(value)
    del value
    gc.collect()
    assert ref() is None


def test_equal_to_itself_only() -> None:
    one, other = Probe(), Probe()
    assert one == one
    assert one != other
    assert len({one, other, one}) == 2


def test_copies_are_the_probe_itself() -> None:
    probe = Probe()
    assert copy.copy(probe) is probe
    assert copy.deepcopy([probe])[0] is probe


def test_pickled_is_a_probe_that_records_nothing() -> None:
    def f(x: Any) -> str:
        return str(x)

    probes = [each for each in rewrite(f, ProfileCalls(-1)).__code__.co_consts if isinstance(each, Probe)]
    assert len({type(each) for each in probes}) >= 4
    for each in probes:
        arrived = pickle.loads(pickle.dumps(each))
        assert type(arrived) is Probe
        assert arrived["x"] == "x"


def test_shown_with_its_label() -> None:
    def f(x: Any) -> str:
        return str(x)

    shown = [
        repr(each) for each in rewrite(f, ProfileCalls(-1)).__code__.co_consts if isinstance(each, Probe)
    ]
    assert {"<Start start_0>", "<End end_0>", "<Enter enter>", "<Exit exit>", "<Unwind unwind>"} <= set(shown)
    assert repr(Probe()) == "<Probe>"
