"""The report as data: exact sums, round trips, and no object of the program inside."""

from __future__ import annotations

import dataclasses
import gc
import importlib.util
import json
import pickle
import sys
import types
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recompyle.profile.limits import Options
from recompyle.profile.model import (
    CallSite,
    Cause,
    Clock,
    Failure,
    More,
    SlowCall,
    Suppressed,
    Usual,
    describe_exception,
)


def test_fields_of_the_json_form(checkout: SlowCall) -> None:
    data = json.loads(checkout.json())
    assert " ".join(data) == (
        "schema version id pid started started_unix_ns function kind file line thread task context arguments "
        "total_ns calls_ns own_ns own_usual_ns awaiting_ns suspended_ns cpu_ns gc_ns probes_ns limit_ns rule "
        "finished exception usual cause calls more suppressed clock writer"
    )
    assert " ".join(data["calls"][0]) == (
        "id inside kind line end_line column end_column source name count total_ns max_ns max_index "
        "max_start_ns errors last_error usual_ns unfinished"
    )
    assert (data["schema"], data["version"], data["id"], data["line"]) == ("recompyle.slow_call", 1, 17, 118)
    assert data["started"] == "2026-11-20T10:31:07.412Z"
    assert (data["total_ns"], data["calls_ns"], data["own_ns"]) == (812_400_000, 804_000_000, 8_400_000)
    assert data["awaiting_ns"] == 640_200_000
    assert data["exception"] == {"type": "TimeoutError", "text": "bank", "line": 131, "call": 9}
    assert data["more"] == {"sites": 6, "total_ns": 700_000}
    assert data["clock"] == {"source": "tsc", "clamped": 0, "suspect": False}
    assert [data[name] for name in ("cpu_ns", "gc_ns", "usual", "cause", "context", "suppressed")] == [
        None
    ] * 6
    assert [(call["id"], call["inside"]) for call in data["calls"]] == [
        (9, None),
        (1, None),
        (2, None),
        (3, None),
        (4, 3),
        (0, None),
    ]


def full(report: SlowCall) -> SlowCall:
    """The report with a value in every field."""
    return dataclasses.replace(
        report,
        context={"request_id": "8c1f22"},
        arguments={"order": "<Order 7>"},
        usual=Usual(48211, 142_000_000, 205_000_000, 291_000_000),
        cause=Cause(9, 599_200_000),
        suppressed=Suppressed(3, 901_000_000, 10**10, "1/10s"),
        own_usual_ns=8_400_000,
        cpu_ns=1,
        gc_ns=0,
    )


def test_round_trips(checkout: SlowCall) -> None:
    for report in (checkout, full(checkout)):
        assert SlowCall.from_dict(report.to_dict()) == report
        assert SlowCall.from_dict(json.loads(report.json())) == report
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            assert pickle.loads(pickle.dumps(report, protocol)) == report
        assert "\n" not in report.json()
        assert report.json().isascii()
    assert full(checkout) != checkout


def test_reading_what_a_later_version_writes(checkout: SlowCall) -> None:
    data = json.loads(checkout.json())
    data["weather"] = "fine"
    data["clock"]["phase"] = 3
    data["calls"][0]["colour"] = "red"
    assert SlowCall.from_dict(data) == checkout


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "other"}, "the schema is 'other'"),
        ({"version": 2}, "version 2; only version 1"),
        ({"total_ns": ...}, "total_ns"),
        ({"calls": [{"id": 1}]}, "missing"),
        ({"calls": 5}, "not a whole"),
        ({"clock": 5}, "not a whole"),
    ],
)
def test_reading_something_else(checkout: SlowCall, change: dict[str, Any], message: str) -> None:
    data = {key: value for key, value in (checkout.to_dict() | change).items() if value is not ...}
    with pytest.raises(ValueError, match=message):
        SlowCall.from_dict(data)


def test_frozen(checkout: SlowCall) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        checkout.total_ns = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        checkout.calls[0].count = 1
    assert not hasattr(checkout, "__dict__")
    assert hash(checkout) == hash(dataclasses.replace(checkout))


def test_holds_numbers_and_text_only(checkout: SlowCall) -> None:
    plain = {int, str, bool, type(None), tuple, SlowCall, CallSite, Failure, More, Clock}
    seen, waiting = set(), [checkout]
    while waiting:
        value = waiting.pop()
        assert type(value) in plain
        if id(value) not in seen:
            seen.add(id(value))
            waiting += [other for other in gc.get_referents(value) if not isinstance(other, type)]
    assert len(seen) > 50


ROW = st.tuples(
    st.integers(0, 5), st.sampled_from([-1, -1, 0, 1, 5]), st.integers(0, 10**12), st.integers(1, 10**6)
)


@given(
    st.lists(ROW, max_size=24, unique_by=lambda row: row[:2]),
    st.integers(0, 10**13),
    st.integers(0, 6),
    st.integers(0, 3),
)
def test_accounting_is_exact(
    make: SimpleNamespace, drawn: list[tuple[int, int, int, int]], total_ns: int, top: int, clamped: int
) -> None:
    kinds = ["call", "await", "yield", "iterate", "with", "call"]
    info = make.info([make.site(n, kind, "f()") for n, kind in enumerate(kinds)], options=Options.of(top=top))
    rows = [make.row(site, ns, inside=inside, count=count) for site, inside, ns, count in drawn]
    report = make.report(info, make.run(total_ns, rows, clamped=clamped))

    outer = [row for row in drawn if row[1] < 0]
    assert report.calls_ns == sum(row[2] for row in outer)
    assert report.calls_ns + report.own_ns == report.total_ns
    assert report.own_ns >= 0
    if report.calls_ns > total_ns:
        assert (report.total_ns, report.clock.clamped) == (report.calls_ns, clamped + 1)
    else:
        assert (report.total_ns, report.clock.clamped) == (total_ns, clamped)

    shown = [call for call in report.calls if call.inside is None]
    assert sum(call.total_ns for call in shown) + report.more.total_ns == report.calls_ns
    assert len(shown) + report.more.sites == len(outer)
    assert len(report.calls) == (min(top, len(drawn)) if top else len(drawn))
    assert report.awaiting_ns == sum(row[2] for row in outer if kinds[row[0]] in ("await", "iterate", "with"))
    assert SlowCall.from_dict(json.loads(report.json())) == report
    assert str(report).count("\n") >= 3


def test_limit_that_is_never_reached_is_null(make: SimpleNamespace) -> None:
    report = make.report(make.info(), make.run(10, limit_ns=-1))
    assert (report.limit_ns, report.slow) == (None, False)
    assert make.report(make.info(), make.run(10, limit_ns=10, slow=True)).slow
    assert not make.report(make.info(), make.run(9, limit_ns=10)).slow


def test_rule_comes_from_the_options(make: SimpleNamespace) -> None:
    assert make.report(make.info(), make.run(1)).rule == "fixed"
    assert make.report(make.info(options=Options()), make.run(1)).rule == "default"


def test_exception_from_own_code(make: SimpleNamespace) -> None:
    run = make.run(10, finished="raise", exception=("KeyError", "'k'", None, -1))
    report = make.report(make.info(), run)
    assert report.exception == Failure("KeyError", "'k'", None, None)
    assert "raised KeyError(\"'k'\"), propagated to the caller" in str(report)


def price() -> None:
    """A function of this module, to be found by name."""


class Shop:
    """A class of this module whose attributes must not be asked for."""

    @property
    def till(self) -> object:
        raise AssertionError("a descriptor was run")

    def __getattr__(self, name: str) -> object:
        raise AssertionError("an attribute was evaluated")


class Loud(type):
    def __getattribute__(cls, name: str) -> object:
        raise AssertionError("a metaclass was asked")


class Quiet(metaclass=Loud):
    pass


def name_of(make: SimpleNamespace, dotted: str | None, **changes: Any) -> str | None:
    info = make.info([make.site(0, "call", "f()", name=dotted)], **({"globals": globals()} | changes))
    return make.report(info, make.run(10, [make.row(0, 5)])).calls[0].name


def test_names_are_looked_up(make: SimpleNamespace) -> None:
    assert name_of(make, "price") == f"{__name__}:price"
    assert name_of(make, "Shop") == f"{__name__}:Shop"
    assert name_of(make, "sorted") == "builtins:sorted"
    assert name_of(make, "dict") == "builtins:dict"
    assert name_of(make, "json.dumps") == "json:dumps"
    assert name_of(make, "sys.intern") == "sys:intern"
    assert name_of(make, "importlib.util.find_spec") == "importlib.util:find_spec"
    assert name_of(make, "len", globals={"__builtins__": vars(sys.modules["builtins"])}) == "builtins:len"
    assert name_of(make, "len", globals={"__builtins__": sys.modules["builtins"]}) == "builtins:len"


def test_names_that_nobody_can_tell(make: SimpleNamespace) -> None:
    for dotted in (None, "self.repo.load", "nowhere", "json.nothing", "json.dumps.__call__"):
        assert name_of(make, dotted) is None
    assert name_of(make, "len", globals={}) is None
    assert name_of(make, "append", globals={"append": [].append}) is None
    assert name_of(make, "price", local_names=frozenset({"price"})) is None, "a local hides the global"
    assert name_of(make, "len", globals=globals() | {"len": 5}) is None, "a global hides the builtin"


def test_looking_up_runs_no_code(make: SimpleNamespace) -> None:
    shop = Shop()
    assert name_of(make, "shop.till", globals={"shop": shop}) is None
    assert name_of(make, "shop.anything", globals={"shop": shop}) is None
    assert name_of(make, "shop", globals={"shop": shop}) is None
    assert name_of(make, "Quiet", globals={"Quiet": Quiet}) == f"{__name__}:Quiet"


def test_looking_up_loads_no_lazy_module(make: SimpleNamespace) -> None:
    spec = importlib.util.find_spec("colorsys")
    assert spec is not None and spec.loader is not None
    lazy = importlib.util.module_from_spec(spec)
    importlib.util.LazyLoader(spec.loader).exec_module(lazy)
    lazy_type = type(lazy)
    assert lazy_type is not types.ModuleType
    assert name_of(make, "lazy.rgb_to_hsv", globals={"lazy": lazy}) is None
    assert type(lazy) is lazy_type, "still not loaded"


class BadText(Exception):
    def __str__(self) -> str:
        raise LookupError("no text")


class OddText(Exception):
    def __str__(self) -> str:
        class Text(str):
            __slots__ = ("owner",)

        return Text("odd")


class StopText(Exception):
    def __str__(self) -> str:
        raise KeyboardInterrupt


def test_text_of_exceptions() -> None:
    assert describe_exception(ValueError("x")) == ("ValueError", "x")
    assert describe_exception(KeyError("k")) == ("KeyError", "'k'")
    assert describe_exception(BadText()) == ("BadText", "<str failed: LookupError>")
    name, text = describe_exception(OddText())
    assert (name, text, type(text)) == ("OddText", "odd", str)
    assert describe_exception(ValueError("x" * 501)) == ("ValueError", "x" * 497 + "...")
    with pytest.raises(KeyboardInterrupt):
        describe_exception(StopText())


def test_failed_text_in_a_report(make: SimpleNamespace) -> None:
    name, text = describe_exception(BadText())
    report = make.report(make.info(), make.run(10, finished="raise", exception=(name, text, 5, -1)))
    assert "raised BadText('<str failed: LookupError>') at line 5" in str(report)
    assert json.loads(report.json())["exception"]["text"] == "<str failed: LookupError>"
