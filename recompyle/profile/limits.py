"""What a person may ask of the profiler: time limits, rates, and the options of one function.

Everything that comes from outside (decorator, configuration, environment) passes through this file once, is
checked here, and leaves it as integers in nanoseconds and tuples. Nothing behind it checks again.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from numbers import Rational, Real
from typing import Any, Final

__all__ = [
    "DEFAULT_LIMIT_NS",
    "NEVER",
    "SINKS",
    "Options",
    "Rate",
    "parse_always",
    "parse_rate",
    "parse_time_limit",
]

NEVER: Final = -1
"""The time limit of a function whose runs are never slow."""

DEFAULT_LIMIT_NS: Final = 100_000_000
"""The time limit where nobody gave one."""

_LONGEST_NS = 2**63 - 1

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,  # the micro sign and, below, the Greek letter: both are typed
    "\u03bcs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "sec": 1_000_000_000,
    "min": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_NUMBER = r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+"
_DURATION = re.compile(rf"(-?)({_NUMBER})\s*([a-z\u00b5\u03bc]*)", re.ASCII)
_ADAPTIVE = re.compile(rf"p({_NUMBER})|({_NUMBER})x", re.ASCII)
_RATE = re.compile(rf"([0-9]+)\s*/\s*({_NUMBER})?\s*([a-z\u00b5\u03bc]+)", re.ASCII)
_FACTOR = re.compile(rf"({_NUMBER})x", re.ASCII)

_LIMIT_FORMS = (
    'a number of seconds such as 0.3, or text such as "300ms", "1.5s", "2min" or "250us"; '
    "0 reports every run, a negative number none"
)


class _Sinks(Enum):
    """The one value that says: slow calls go to the sinks in force."""

    SINKS = "the sinks in force"

    def __repr__(self) -> str:
        return "SINKS"


SINKS: Final = _Sinks.SINKS


@dataclasses.dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` records of one function go to the sinks in `per_ns`; `text` is how that was written."""

    count: int
    per_ns: int
    text: str


def parse_time_limit(value: object) -> int | None:
    """Turn a time limit into nanoseconds.

    Parameters:
        value: seconds as int, float, Decimal or any real number; text with a unit (`"300ms"`, a bare number
            means seconds); or None.

    Returns:
        Nanoseconds, 0 for "every run", `NEVER` for a negative limit, None for None: the limit then comes from
        the configuration, else it is `DEFAULT_LIMIT_NS`.

    Raises:
        TypeError: a bool, or neither a number nor text.
        ValueError: NaN, infinity, or text of no accepted form.
    """
    if value is None:
        return None
    if isinstance(value, bool):
        raise TypeError(f"time_limit must be {_LIMIT_FORMS}; not the bool {value}")
    if isinstance(value, str):
        nanoseconds = _duration_of_text(value)
    elif isinstance(value, Rational):
        nanoseconds = Fraction(value) * _UNITS["s"]
    elif isinstance(value, (Real, Decimal)):
        if not math.isfinite(value):
            raise ValueError(f"time_limit must be {_LIMIT_FORMS}; not {value}")
        nanoseconds = Fraction(value if isinstance(value, Decimal) else float(value)) * _UNITS["s"]
    else:
        raise TypeError(f"time_limit must be {_LIMIT_FORMS}; not {type(value).__name__}")
    if nanoseconds < 0:
        return NEVER
    if nanoseconds > _LONGEST_NS:
        raise ValueError(f"time_limit is longer than 292 years: {value}")
    # A limit below the resolution is still a limit; rounded to 0 it would mean "every run".
    return max(round(nanoseconds), 1) if nanoseconds else 0


def _duration_of_text(text: str) -> Fraction:
    form = text.strip().lower()
    if (found := _DURATION.fullmatch(form)) and (unit := _UNITS.get(found[3] or "s")):
        return Fraction(found[1] + found[2]) * unit
    adaptive = _ADAPTIVE.fullmatch(form)
    if adaptive and (float(adaptive[1]) <= 100 if adaptive[1] else float(adaptive[2]) > 0):
        raise ValueError(f"time_limit {text!r}: adaptive limits are not available; give {_LIMIT_FORMS}")
    raise ValueError(f"time_limit must be {_LIMIT_FORMS}; not {text!r}")


def parse_rate(value: object) -> Rate | None:
    """Turn `"1/10s"` or `"5/min"` into a `Rate`; None and `""` mean no limit.

    Raises:
        ValueError: anything else.
    """
    if value is None or value == "":
        return None
    if isinstance(value, Rate):
        return value
    found = _RATE.fullmatch(value.strip().lower()) if isinstance(value, str) else None
    if found and (unit := _UNITS.get(found[3])):
        count, per = int(found[1]), round(Fraction(found[2] or 1) * unit)
        if count > 0 and 0 < per <= _LONGEST_NS:
            return Rate(count, per, f"{found[1]}/{found[2] or ''}{found[3]}")
    raise ValueError(f'rate must look like "1/10s" or "5/min", or be None for no limit; not {value!r}')


def parse_always(value: object) -> float | None:
    """Turn `"10x"` or `10` into the factor over the limit from which on a record ignores the rate limit.

    None means that no record ignores it.

    Raises:
        ValueError: no such form, or a factor below 1.
    """
    if value is None:
        return None
    if isinstance(value, str):
        found = _FACTOR.fullmatch(value.strip().lower())
        factor = float(found[1]) if found else math.nan
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        factor = float(value)
    else:
        factor = math.nan
    if not 1 <= factor < math.inf:
        raise ValueError(f'always must be a factor of at least 1 such as "10x", or None; not {value!r}')
    return factor


def _patterns(option: str) -> Callable[[object], tuple[str, ...] | None]:
    def parse(value: object) -> tuple[str, ...] | None:
        if value is None:
            return None
        names = (
            (value,) if isinstance(value, str) else tuple(value) if isinstance(value, Iterable) else (value,)
        )
        for name in names:
            if not isinstance(name, str) or not name.strip():
                raise ValueError(f'{option} takes dotted names such as "self.repo.load"; not {name!r}')
        return names

    return parse


def _choice(option: str, *choices: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        if value not in choices:
            raise ValueError(f"{option} must be one of {', '.join(map(repr, choices))}; not {value!r}")
        return str(value)

    return parse


def _whole(option: str) -> Callable[[object], int]:
    def parse(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ValueError(f"{option} must be a whole number, 0 or more; not {value!r}")
        return int(value)

    return parse


def _flag(option: str) -> Callable[[object], bool]:
    def parse(value: object) -> bool:
        if not isinstance(value, bool):
            raise ValueError(f"{option} must be True or False; not {value!r}")
        return value

    return parse


def _callback(option: str) -> Callable[[object], Any]:
    def parse(value: object) -> Any:
        if value is not None and value is not SINKS and not callable(value):
            raise TypeError(f"{option} must be callable with one report, or None; not {type(value).__name__}")
        return value

    return parse


def _logger(value: object) -> str | logging.Logger | None:
    if value is None or isinstance(value, logging.Logger) or (isinstance(value, str) and value):
        return value
    raise ValueError(
        f"logger must be a logger, the name of one, or None for that of the module; not {value!r}"
    )


def _level(value: object) -> int:
    names = logging.getLevelNamesMapping()
    if isinstance(value, str) and value.strip().upper() in names:
        return names[value.strip().upper()]
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return int(value)
    raise ValueError(f"level must be a logging level such as 30 or one of {', '.join(names)}; not {value!r}")


def _details(value: object) -> dict[str, Any] | None:
    if value is None or isinstance(value, dict):
        return value
    raise ValueError(f"rewrite_details must be a dict to fill, or None; not {type(value).__name__}")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The checked options of one profiled function; made by `Options.of` and `updated`, never by hand.

    Attributes:
        time_limit_ns: nanoseconds; `NEVER`; None where nobody gave one.
        above_callback: gets the report of each slow run in place of the sinks; `SINKS` leaves them to the
            sinks, None reports no slow run.
        below_callback: gets the report of each run that was not slow, or None.
        include, exclude: the calls to time, or not to time, by dotted name; at most one of the two is not
            None.
        builtins: time calls of builtins too.
        rate: records per time that may go to the sinks; None for any number.
        always: a run this many times over its limit goes to the sinks whatever the rate; None for no
            exception.
        top: rows in a report, 0 for all.
        ring: slow calls of this function that are kept in memory.
        logger: a logger or its name; None for the one of the function's module.
        level: the level of the log record.
        clock: which clock the probes read: "auto", "system" or "tsc".
        on_error: "fallback" or "raise": what happens where the function cannot be rewritten.
        mode: "pairs" times each call, "total" the whole run only.
        rewrite_details: a dict that is told the original and the new source, or None.
    """

    time_limit_ns: int | None = None
    above_callback: Callable[[Any], object] | _Sinks | None = SINKS
    below_callback: Callable[[Any], object] | None = None
    include: tuple[str, ...] | None = None
    exclude: tuple[str, ...] | None = None
    builtins: bool = True
    rate: Rate | None = Rate(1, 10_000_000_000, "1/10s")
    always: float | None = 10.0
    top: int = 20
    ring: int = 32
    logger: str | logging.Logger | None = None
    level: int = logging.WARNING
    clock: str = "auto"
    on_error: str = "fallback"
    mode: str = "pairs"
    rewrite_details: dict[str, Any] | None = None

    @classmethod
    def of(cls, **given: object) -> Options:
        """Make options from what a person wrote.

        Parameters:
            given: any of the options by name, and the old names `whitelist`, `blacklist` and
                `ignore_builtins`.

        Raises:
            ValueError: a value that the option does not take, options that exclude each other, or both
                callbacks None.
            TypeError: an unknown option, a time limit that is neither number nor text, a callback that cannot
                be called.
        """
        return cls().updated(**given)

    def updated(self, **given: object) -> Options:
        """These options with some of them replaced; takes and raises what `of` does."""
        given = _with_new_names(given)
        if unknown := given.keys() - _PARSERS.keys():
            raise TypeError(f"unknown option {', '.join(sorted(unknown))}; there are {', '.join(_PARSERS)}")
        if given.get("include") is not None and given.get("exclude") is not None:
            raise ValueError("include and exclude cannot be given together")
        values: dict[str, Any] = {name: _PARSERS[name](value) for name, value in given.items()}
        if "time_limit" in values:
            values["time_limit_ns"] = values.pop("time_limit")
        # A new list replaces the old one, whichever of the two that was.
        for one, other in (("include", "exclude"), ("exclude", "include")):
            if values.get(one) is not None:
                values[other] = None
        new = dataclasses.replace(self, **values)
        if new.above_callback is None and new.below_callback is None:
            raise ValueError(
                "above_callback and below_callback cannot both be None: nothing would be reported"
            )
        return new

    @property
    def rule(self) -> str:
        """Where the limit comes from: "fixed" if it was given, else "default"."""
        return "default" if self.time_limit_ns is None else "fixed"

    def always_ns(self, limit_ns: int) -> int | None:
        """The duration in ns from which on a run under `limit_ns` ignores the rate limit; None for no such.

        A limit of 0 or `NEVER` has no multiple, so the rate limit then holds for every run.
        """
        return round(limit_ns * self.always) if self.always is not None and limit_ns > 0 else None


_PARSERS: Mapping[str, Callable[[object], Any]] = {
    "time_limit": parse_time_limit,
    "above_callback": _callback("above_callback"),
    "below_callback": _callback("below_callback"),
    "include": _patterns("include"),
    "exclude": _patterns("exclude"),
    "builtins": _flag("builtins"),
    "rate": parse_rate,
    "always": parse_always,
    "top": _whole("top"),
    "ring": _whole("ring"),
    "logger": _logger,
    "level": _level,
    "clock": _choice("clock", "auto", "system", "tsc"),
    "on_error": _choice("on_error", "fallback", "raise"),
    "mode": _choice("mode", "pairs", "total"),
    "rewrite_details": _details,
}


def _with_new_names(given: Mapping[str, object]) -> dict[str, object]:
    """Translate the names of the first recompyle, which programs still use."""
    new = dict(given)
    for old, name in (("whitelist", "include"), ("blacklist", "exclude"), ("ignore_builtins", "builtins")):
        if old in new:
            if name in new:
                raise ValueError(f"{old} is the old name of {name}: give one of them")
            value = new.pop(old)
            new[name] = not value if isinstance(value, bool) else value
    return new
