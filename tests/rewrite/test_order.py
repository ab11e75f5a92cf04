"""In which order passes take part, and several passes on one place."""

from __future__ import annotations

import ast
from typing import Any

import pytest

import recompyle
from recompyle.errors import PassError
from recompyle.rewrite.order import in_order


class One(recompyle.Pass):
    name = "one"


class Two(recompyle.Pass):
    name = "two"


class Three(recompyle.Pass):
    name = "three"


class Change(ast.NodeTransformer):
    pass


def order(*passes: Any) -> list[str]:
    return [each.name for each in in_order(passes)]


def with_demands(kind: type, **demands: Any) -> Any:
    made = kind()
    vars(made).update(demands)
    return made


def test_order_of_registration() -> None:
    assert order(Two(), One(), Change(), Three()) == ["two", "one", "Change", "three"]


@pytest.mark.parametrize("wanted", ["one", "One", One, ("x", "one"), (One,)])
def test_before_and_after(wanted: Any) -> None:
    assert order(One(), with_demands(Two, before=wanted)) == ["two", "one"]
    assert order(with_demands(Two, after=wanted), One()) == ["one", "two"]


def test_only_what_must_moves() -> None:
    last = with_demands(One, after=("three", "two"))
    assert order(last, Two(), Change(), Three()) == ["two", "Change", "three", "one"]


def test_transformers_are_named_by_their_class() -> None:
    for wanted in ("Change", Change, ast.NodeTransformer):
        assert order(Change(), with_demands(One, before=wanted)) == ["one", "Change"]


def test_contradiction() -> None:
    with pytest.raises(PassError, match="passes 'one', 'two' cannot be ordered"):
        order(with_demands(One, before="two"), Three(), with_demands(Two, before="one"))


def test_of_a_single_pass_the_last_is_in_force() -> None:
    first, second = with_demands(One, single=True), with_demands(One, single=True)
    assert in_order([first, Two(), second])[1] is second
    assert len(in_order([first, Two(), second])) == 2


class Say:
    """A probe written in Python that says when it is reached."""

    def __init__(self, word: str, log: list[str]):
        self.word = word
        self.log = log

    def __getitem__(self, value: Any) -> Any:
        self.log.append(f"{self.word} {value!r}")
        return value

    def __invert__(self) -> None:
        self.log.append(self.word)


def work(a: Any) -> Any:
    b = len(a)
    return b


def say(kind: type, word: str, log: list[str], **demands: Any) -> Any:
    made = kind(Say(word, log))
    vars(made).update(demands)
    return made


@pytest.mark.parametrize("layers", [False, True])
def test_earlier_passes_are_inner_on_one_node(layers: bool) -> None:
    log: list[str] = []
    passes = [
        say(recompyle.Calls, "a", log),
        say(recompyle.Expressions, "b", log),
        say(recompyle.Assignments, "first", log, before=("Calls", recompyle.Expressions)),
        say(recompyle.Statements, "s", log),
        say(recompyle.Statements, "t", log),
    ]
    if layers:
        patches = [recompyle.apply(work, each) for each in passes]
        assert work("xy") == 2
        for each in patches[::2] + patches[1::2]:
            each.restore()
    else:
        assert recompyle.rewrite(work, *passes)("xy") == 2
    names = ["b <built-in function len>", "b 'xy'"]
    assert log == ["s", "t", *names, "first 2", "a 2", "b 2", "s", "t", "b 2"]
    log.clear()
    assert work("xy") == 2
    assert log == []


def test_order_stays_when_a_layer_goes() -> None:
    log: list[str] = []
    passes = {word: say(recompyle.Calls, word, log) for word in "abc"}
    patches = {word: recompyle.apply(work, passes[word]) for word in "abc"}
    patches["b"].restore()
    work("x")
    assert log == ["a 1", "c 1"]
    log.clear()
    patches["b"] = recompyle.apply(work, passes["b"])
    patches["a"].restore()
    work("x")
    assert log == ["c 1", "b 1"]
    for each in patches.values():
        each.restore()


def test_counts_outlive_a_rebuild_by_other_layers() -> None:
    counts = recompyle.Statements(recompyle.Counter)
    patch = recompyle.apply(work, counts)
    work("a")
    other = recompyle.apply(work, recompyle.Calls(recompyle.Counter))
    work("a")
    other.restore()
    work("a")
    patch.restore()
    assert [probe.count for probe in counts.probes.values()] == [3, 3]
