"""What a person may ask for, and what the answer is to anything else."""

from __future__ import annotations

import logging
import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recompyle.profile.limits import (
    NEVER,
    SINKS,
    Options,
    Rate,
    parse_always,
    parse_rate,
    parse_time_limit,
)


@pytest.mark.parametrize(
    ("value", "ns"),
    [
        (0.3, 300_000_000),
        (2, 2_000_000_000),
        (Decimal("0.1"), 100_000_000),
        (Fraction(1, 4), 250_000_000),
        ("300ms", 300_000_000),
        ("300 ms", 300_000_000),
        (" 1.5s ", 1_500_000_000),
        ("2min", 120_000_000_000),
        ("250us", 250_000),
        ("250\u00b5s", 250_000),
        ("250\u03bcs", 250_000),
        ("40ns", 40),
        ("1h", 3_600_000_000_000),
        ("0.25", 250_000_000),
        (".5S", 500_000_000),
        (0, 0),
        ("0", 0),
        (-0.0, 0),
        (1e-12, 1),
        (-1, NEVER),
        ("-1ms", NEVER),
        (-(10**400), NEVER),
        (None, None),
    ],
)
def test_time_limit(value: object, ns: int | None) -> None:
    assert parse_time_limit(value) == ns


@pytest.mark.parametrize(
    "value",
    [
        "fast",
        "p101",
        "0x",
        "",
        "ms",
        "300 parsecs",
        "1e3",
        "1_000",
        "nan",
        "--1",
        "1s2",
        math.nan,
        Decimal("nan"),
    ],
)
def test_bad_time_limit_names_the_accepted_forms(value: object) -> None:
    with pytest.raises(ValueError, match=r'a number of seconds such as 0\.3.*"300ms".*"2min"'):
        parse_time_limit(value)


@pytest.mark.parametrize("value", [math.inf, Decimal("inf"), 1e300, 10**400, "99999999h", Decimal("sNaN")])
def test_endless_time_limit(value: object) -> None:
    with pytest.raises(ValueError):
        parse_time_limit(value)


@pytest.mark.parametrize("value", ["p99.9", "P50", "5x", "1.5x"])
def test_adaptive_limits_are_told_apart_from_nonsense(value: str) -> None:
    with pytest.raises(ValueError, match="adaptive limits are not available"):
        parse_time_limit(value)


@pytest.mark.parametrize("value", [True, False, [1], b"300ms", object(), 1j])
def test_time_limit_of_a_wrong_type(value: object) -> None:
    with pytest.raises(TypeError, match="time_limit must be a number of seconds"):
        parse_time_limit(value)


@given(st.integers(1, 2**63 - 1))
def test_time_limit_text_is_exact(ns: int) -> None:
    assert parse_time_limit(f"{ns}ns") == ns
    assert parse_time_limit(f"{ns // 10**9}.{ns % 10**9:09d}") == ns
    assert parse_time_limit(Fraction(ns, 10**9)) == ns


@pytest.mark.parametrize(
    ("value", "rate"),
    [
        ("1/10s", Rate(1, 10_000_000_000, "1/10s")),
        ("5/min", Rate(5, 60_000_000_000, "5/min")),
        (" 100 / 0.5 S ", Rate(100, 500_000_000, "100/0.5s")),
        (Rate(2, 3, "2/3ns"), Rate(2, 3, "2/3ns")),
        (None, None),
        ("", None),
    ],
)
def test_rate(value: object, rate: Rate | None) -> None:
    assert parse_rate(value) == rate


@pytest.mark.parametrize(
    "value", ["0/10s", "1/0s", "1/10", "10s", "often", "1/10parsecs", "-1/10s", "1.5/s", 5, True]
)
def test_malformed_rate(value: object) -> None:
    with pytest.raises(ValueError, match="rate must look like"):
        parse_rate(value)


@pytest.mark.parametrize(("value", "factor"), [("10x", 10), ("1.5X", 1.5), (3, 3), (2.5, 2.5), (None, None)])
def test_always(value: object, factor: float | None) -> None:
    assert parse_always(value) == factor


@pytest.mark.parametrize("value", ["10", "x", "0x", 0, -1, 0.5, True, math.nan, math.inf, [10]])
def test_bad_always(value: object) -> None:
    with pytest.raises(ValueError, match="always must be a factor"):
        parse_always(value)


def test_always_in_ns() -> None:
    options = Options.of(always="2.5x")
    assert options.always_ns(300_000_000) == 750_000_000
    assert options.always_ns(0) is None
    assert options.always_ns(NEVER) is None
    assert Options.of(always=None).always_ns(300_000_000) is None


def test_defaults() -> None:
    options = Options.of()
    assert options == Options()
    assert (options.time_limit_ns, options.rule) == (None, "default")
    assert (options.rate, options.always, options.top, options.ring) == (parse_rate("1/10s"), 10, 20, 32)
    assert (options.above_callback, options.below_callback) == (SINKS, None)
    assert (options.level, options.logger) == (logging.WARNING, None)
    assert Options.of(time_limit=0.1).rule == "fixed"


def test_old_names() -> None:
    assert Options.of(whitelist=["a.b"]).include == ("a.b",)
    assert Options.of(blacklist="a[*]").exclude == ("a[*]",)
    assert Options.of(ignore_builtins=True).builtins is False
    with pytest.raises(ValueError, match="whitelist is the old name of include"):
        Options.of(whitelist=["a"], include=["a"])


def test_options_that_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="include and exclude"):
        Options.of(include=["a"], exclude=["b"])
    with pytest.raises(ValueError, match="include and exclude"):
        Options.of(whitelist=["a"], blacklist=["b"])
    with pytest.raises(ValueError, match="cannot both be None"):
        Options.of(above_callback=None)
    with pytest.raises(ValueError, match="cannot both be None"):
        Options.of(above_callback=None, below_callback=None)
    assert Options.of(above_callback=None, below_callback=print).below_callback is print


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("mode", "fast", "'pairs', 'total'"),
        ("mode", "lap", "'pairs', 'total'"),
        ("clock", "sundial", "'auto', 'system', 'tsc'"),
        ("clock", [], "'auto', 'system', 'tsc'"),
        ("on_error", "ignore", "'fallback', 'raise'"),
        ("top", -1, "0 or more"),
        ("top", 2.5, "0 or more"),
        ("ring", True, "0 or more"),
        ("level", "LOUD", "WARNING"),
        ("level", -1, "WARNING"),
        ("logger", 5, "logger must be"),
        ("builtins", 1, "True or False"),
        ("include", [1], "dotted names"),
        ("exclude", 7, "dotted names"),
        ("exclude", [" "], "dotted names"),
        ("rewrite_details", [], "a dict to fill"),
    ],
)
def test_bad_value_names_the_choices(option: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Options.of(**{option: value})


def test_wrong_types() -> None:
    with pytest.raises(TypeError, match="above_callback must be callable"):
        Options.of(above_callback=7)
    with pytest.raises(TypeError, match=r"unknown option tiem_limit.*time_limit"):
        Options.of(tiem_limit=1)


def test_update_replaces_only_what_is_given() -> None:
    first = Options.of(time_limit="1s", include=["a"], level="ERROR", top=3)
    second = first.updated(time_limit="2s", exclude=["b"])
    assert (second.time_limit_ns, second.level, second.top) == (2_000_000_000, logging.ERROR, 3)
    assert (second.include, second.exclude) == (None, ("b",))
    assert first.include == ("a",)
    with pytest.raises(ValueError):
        first.updated(top=5, mode="none")
    assert first.top == 3
