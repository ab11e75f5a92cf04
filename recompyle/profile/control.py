"""The profiled functions of this process, and what can be changed about them while they run."""

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from fnmatch import fnmatchcase

from recompyle import patch
from recompyle._c import state
from recompyle.profile import delivery
from recompyle.profile.limits import DEFAULT_LIMIT_NS, NEVER, Options, parse_time_limit
from recompyle.profile.sinks import as_sink

__all__ = ["FunctionStats", "clock_info", "configure", "deliver", "override", "register", "set_pass", "stats"]

_RUNTIME_OPTIONS = frozenset(
    {"time_limit", "above_callback", "below_callback", "rate", "always", "top", "ring", "logger", "level"}
)

# What `configure` was told, in order: pattern of function names, and options. Later entries win.
_settings: list[tuple[str, dict]] = []
_records: "weakref.WeakSet" = weakref.WeakSet()
_lock = threading.RLock()

_overrides: list[int] = []  # the limits of all `override` blocks that are open, in any context
_overridden: ContextVar[int | None] = ContextVar("recompyle_time_limit", default=None)


def register(record, options: Options) -> None:
    """Take note of a newly profiled function and give it the settings in force.

    Parameters:
        record: `recompyle.profile.probes.Profiled`, its ``info`` set.
        options: what its decorator asked for.
    """
    record.deliver = deliver
    record.asked = options
    with _lock:
        _records.add(record)
        _settle(record)


def _effective(record) -> Options:
    options = record.asked
    for pattern, given in _settings:
        if fnmatchcase(record.info.name, pattern):
            options = options.updated(**given)
    return options


def _limit(options: Options) -> int:
    return DEFAULT_LIMIT_NS if options.time_limit_ns is None else options.time_limit_ns


def _settle(record) -> None:
    """Bring a record in line with settings and overrides."""
    options = record.info.options = _effective(record)
    limit = _limit(options)
    rate = options.rate
    record.set_rate(rate.count if rate else 0, rate.per_ns if rate else 0, options.always_ns(limit) or 0)
    # While someone overrides the limit, whatever is slow by any of the limits is looked at more closely.
    lowest = min((each for each in (limit, *_overrides) if each >= 0), default=NEVER)
    record.set_limit(lowest, options.below_callback is not None)


def deliver(info, run, record):
    """Decide by the limit that holds in this context, then hand the run on; called at the end of a run."""
    limit = _overridden.get()
    if limit is None:
        limit = _limit(info.options)
    slow = 0 <= limit <= run.total_ns
    if slow:
        record.count_slow()
    if slow or info.options.below_callback is not None:
        delivery.deliver(info, run._replace(limit_ns=limit, slow=slow), record)


def configure(pattern: str = "*", /, *, enabled: bool | None = None, sinks=None, **options) -> None:
    """Change profiled functions while they run; nothing is rewritten again, and open runs obey too.

    Parameters:
        pattern: the functions to change, by ``module:qualified.name`` with ``*`` and ``?``; those to be decorated
            later included.
        enabled: False puts the original code objects back, True the probes; for all functions only.
        sinks: where records go: callables, or objects with ``emit(report)``; for all functions only.
        options: ``time_limit``, ``rate``, ``always``, ``top``, ``ring``, ``logger``, ``level``,
            ``above_callback``, ``below_callback`` as for `shallow_call_profiler`. They win over the decorator's.

    Raises:
        ValueError, TypeError: a bad value or an option that cannot be changed at run time; nothing has changed.
    """
    if not isinstance(pattern, str):
        raise TypeError(f"configure() takes a pattern of function names first, not {type(pattern).__name__}")
    unknown = options.keys() - _RUNTIME_OPTIONS
    if unknown:
        known = ", ".join(sorted(_RUNTIME_OPTIONS))
        raise ValueError(f"{', '.join(sorted(unknown))} cannot be changed at run time; what can: {known}")
    if enabled is not None and not isinstance(enabled, bool):
        raise ValueError(f"enabled must be True or False, not {enabled!r}")
    if pattern != "*" and (enabled is not None or sinks is not None):
        raise ValueError("enabled and sinks are for all functions: leave the pattern out")
    if sinks is not None:
        sinks = [as_sink(each) for each in sinks]
    Options().updated(**options)
    with _lock:
        for record in list(_records):
            if fnmatchcase(record.info.name, pattern):
                _effective(record).updated(**options)  # raises before anything has changed
    if enabled is not None and _pass is not None:
        # Not under our lock: whoever applies a patch holds the registry's and then asks for ours.
        patch.pause(_pass, not enabled)
    with _lock:
        if options:
            _add_settings(pattern, options)
            for record in list(_records):
                _settle(record)
        if sinks is not None:
            delivery.set_sinks(sinks)


def _add_settings(pattern: str, options: dict) -> None:
    """Append to the settings, and drop what this makes void: a program may change its limit every minute."""
    kept = [
        (each, {name: value for name, value in given.items() if each != pattern or name not in options})
        for each, given in _settings
    ]
    _settings[:] = [*((each, given) for each, given in kept if given), (pattern, options)]


_pass: type | None = None


def set_pass(kind: type) -> None:
    """Tell the class of the profiler's pass, which `configure(enabled=)` switches."""
    global _pass
    _pass = kind


@contextmanager
def override(*, time_limit) -> Iterator[None]:
    """Another time limit for the runs that end in this context during the block: this thread or task only.

    Parameters:
        time_limit: as for `shallow_call_profiler`; 0 reports every run, a negative number none.

    Raises:
        ValueError, TypeError: no valid limit.
    """
    limit = parse_time_limit(time_limit)
    if limit is None:
        raise ValueError("override() needs a time limit")
    _change_overrides(_overrides.append, limit)
    token = _overridden.set(limit)
    try:
        yield
    finally:
        _change_overrides(_overrides.remove, limit)
        _overridden.reset(token)  # refused in another context than that of the beginning


def _change_overrides(change, limit):
    with _lock:
        change(limit)
        for record in list(_records):
            _settle(record)


@dataclass(frozen=True, slots=True)
class FunctionStats:
    """How the runs of one profiled function were distributed; durations in ns, percentiles to within 3.1%."""

    function: str
    runs: int
    slow_runs: int
    p50_ns: int
    p90_ns: int
    p99_ns: int
    p999_ns: int
    max_ns: int
    limit_ns: int


def stats(pattern: str = "*") -> list[FunctionStats]:
    """Statistics of all runs since the function was profiled, fast ones included.

    Parameters:
        pattern: ``module:qualified.name`` with ``*`` and ``?``.

    Returns:
        One entry for each profiled function that still exists, by name.
    """
    with _lock:
        records = list(_records)
    found = []
    for record in records:
        if fnmatchcase(record.info.name, pattern):
            runs, slow, (p50, p90, p99, p999), longest = record.stats((50, 90, 99, 99.9))
            limit = _limit(record.info.options)
            found.append(FunctionStats(record.info.name, runs, slow, p50, p90, p99, p999, longest, limit))
    return sorted(found, key=lambda each: each.function)


def clock_info(clock: str = "auto") -> dict:
    """Source, cost of a read in ns, resolution in ns and the reason for the choice of a clock.

    Parameters:
        clock: ``"auto"``, ``"tsc"`` or ``"system"``.
    """
    return state.clock_info(clock)


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()
    for record in list(_records):
        record.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
