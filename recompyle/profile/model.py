"""A slow call as plain data: what one run of a profiled function did, call site by call site.

The probes hand over a `RawRun`; together with the `FunctionInfo` it becomes a `SlowCall`, which holds numbers
and text only. It keeps no object of the program alive, can be pickled and compared, and its fields are those
of the JSON form.
"""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from recompyle.profile import report as _report

if TYPE_CHECKING:
    from recompyle.profile.limits import Options
    from recompyle.rewrite import Site

__all__ = [
    "CallSite",
    "Cause",
    "Clock",
    "Failure",
    "FunctionInfo",
    "More",
    "RawRun",
    "SlowCall",
    "Suppressed",
    "Usual",
    "describe_exception",
]


# What comes in


class RawRun(NamedTuple):
    """One finished run as the probes hand it over; durations in ns.

    Attributes:
        started_unix_ns: when the run began, since 1970 UTC.
        total_ns: how long it took, without `suspended_ns`.
        suspended_ns: how long a generator was out of the run, between a yield and its resumption.
        rows: (site, inside_site or -1, count, total_ns, max_ns, max_index, max_start_ns, errors, last_error
            or None, unfinished) of every site touched; several may have the same site with different
            inside_site.
        finished: "return", "raise" or "close".
        exception: (type_name, text, line or None, site or -1) of the exception that left the run, or None.
        limit_ns: the limit that held when the run ended; negative for none.
        slow: the run reached the limit.
        probes_ns: estimated cost of the probes in this run.
        clamped: how many durations had to be corrected because the clock went back.
        suspect: the clock disagreed with the system's.
        clock: name of the clock.
    """

    started_unix_ns: int
    total_ns: int
    suspended_ns: int
    rows: Sequence[tuple[int, int, int, int, int, int, int, int, str | None, bool]]
    finished: str
    exception: tuple[str, str, int | None, int] | None
    limit_ns: int
    slow: bool
    probes_ns: int
    clamped: int
    suspect: bool
    clock: str


@dataclasses.dataclass(slots=True, eq=False)
class FunctionInfo:
    """What all runs of one profiled function have in common.

    Attributes:
        name: "app.orders:OrderService.checkout".
        module, qualname: the two parts of the name.
        kind: "function", "generator", "coroutine" or "async generator".
        file: file name of the code object.
        line: line of the `def`.
        globals: the function's globals, in which names are looked up for the report.
        sites: the call sites; the index is the site's number.
        writer: which writer placed the probes, "none" where only the whole run is timed.
        options: the options in force.
        local_names: every name that is not global in the function or in code nested in it.
    """

    name: str
    module: str
    qualname: str
    kind: str
    file: str
    line: int
    globals: dict[str, Any]
    sites: tuple[Site, ...]
    writer: str
    options: Options
    local_names: frozenset[str] = frozenset()


# The parts of a report


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """The exception that ended a run: its type's name, its text, the line and the call site it came from."""

    type: str
    text: str
    line: int | None
    call: int | None


@dataclasses.dataclass(frozen=True, slots=True)
class Usual:
    """How long runs of this function usually take."""

    runs: int
    p50_ns: int
    p99_ns: int
    p999_ns: int


@dataclasses.dataclass(frozen=True, slots=True)
class Cause:
    """The call site, or own code (None), that explains most of what was unusual, and by how much."""

    call: int | None
    excess_ns: int


@dataclasses.dataclass(frozen=True, slots=True)
class More:
    """The top-level rows that the report leaves out."""

    sites: int
    total_ns: int


@dataclasses.dataclass(frozen=True, slots=True)
class Suppressed:
    """The slow calls that the rate limit kept from the sinks since the last record, `window_ns` ago."""

    count: int
    worst_ns: int
    window_ns: int
    rate: str


@dataclasses.dataclass(frozen=True, slots=True)
class Clock:
    """The clock's name, how many durations were corrected, and whether it disagreed with the system's."""

    source: str
    clamped: int
    suspect: bool


@dataclasses.dataclass(frozen=True, slots=True)
class CallSite:
    """One row: all calls made at one place in one run. Durations in ns.

    Attributes:
        id: number of the site in its function.
        inside: the site whose call was under way meanwhile, else None. Such a row is not summed.
        kind: "call", "await", "yield", "iterate" or "with".
        line, end_line, column, end_column: where it stands in the file.
        source: its text, whitespace collapsed.
        name: what is called, "module:qualname", where the globals and builtins tell without running code.
        count: calls; total_ns: their time together.
        max_ns, max_index, max_start_ns: the longest one, its number from 0, and its start since the run's.
        errors, last_error: how many raised, and the type of the last exception.
        usual_ns: what this row usually takes in a run.
        unfinished: the last call had not returned when the run ended.
    """

    id: int
    inside: int | None
    kind: str
    line: int | None
    end_line: int | None
    column: int | None
    end_column: int | None
    source: str | None
    name: str | None
    count: int
    total_ns: int
    max_ns: int
    max_index: int
    max_start_ns: int
    errors: int
    last_error: str | None
    usual_ns: int | None = None
    unfinished: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SlowCall:
    """One run of a profiled function. Durations in ns; what is not known is None.

    Always `sum(top-level total_ns) + more.total_ns == calls_ns` and `calls_ns + own_ns == total_ns`.

    Attributes:
        id: number of the slow call in its process, rising by one; None for a run that was not slow.
        pid, thread, task: where it ran.
        started_unix_ns: when it began, since 1970 UTC; `started` is the same as ISO text.
        function: "module:qualname"; kind: "function", "generator", "coroutine" or "async generator".
        file, def_line: where the function is defined; in JSON the latter is "line".
        context, arguments: text that was kept with the run.
        total_ns: the run; calls_ns: in calls; own_ns: outside of them; own_usual_ns: what that usually is.
        awaiting_ns: in awaits, `async for` and `async with`; part of calls_ns.
        suspended_ns: between a yield and its resumption; not part of total_ns.
        cpu_ns, gc_ns: processor time and pauses for garbage collection within the run.
        probes_ns: what measuring cost, estimated; part of the other figures.
        limit_ns: the limit, None if there was none; rule: "fixed" or "default".
        finished: "return", "raise" or "close"; exception: what was raised.
        usual, cause: what is usual for the function, and what this run differs in.
        calls: the rows shown, greatest first, rows inside another one after it; more: those left out.
        suppressed: slow calls before this one that were not logged.
        clock: what measured.
        writer: "ast", "code" or "none".
    """

    SCHEMA: ClassVar[str] = "recompyle.slow_call"
    VERSION: ClassVar[int] = 1

    id: int | None
    pid: int
    started_unix_ns: int
    function: str
    kind: str
    file: str
    def_line: int
    thread: str | None = None
    task: str | None = None
    context: dict[str, Any] | None = None
    arguments: dict[str, Any] | None = None
    total_ns: int
    calls_ns: int
    own_ns: int
    own_usual_ns: int | None = None
    awaiting_ns: int = 0
    suspended_ns: int = 0
    cpu_ns: int | None = None
    gc_ns: int | None = None
    probes_ns: int | None = None
    limit_ns: int | None
    rule: str
    finished: str
    exception: Failure | None = None
    usual: Usual | None = None
    cause: Cause | None = None
    calls: tuple[CallSite, ...]
    more: More
    suppressed: Suppressed | None = None
    clock: Clock
    writer: str

    @classmethod
    def build(
        cls,
        info: FunctionInfo,
        run: RawRun,
        *,
        id: int | None,
        pid: int,
        thread: str | None = None,
        task: str | None = None,
    ) -> SlowCall:
        """Make the report of one run.

        Parameters:
            info: the function.
            run: what the probes measured.
            id: number of the slow call, None for a run that was not slow.
            pid, thread, task: where the run ended.
        """
        outer = [row for row in run.rows if row[1] < 0]
        calls_ns = sum(row[3] for row in outer)
        # A clock that went back inside a row can make the rows longer than the run. They are the finer
        # measurement.
        total_ns = max(run.total_ns, calls_ns)
        places = _report.arrange(
            [(row[0], row[1] if row[1] >= 0 else None, row[3]) for row in run.rows], info.options.top
        )
        shown = [run.rows[place.at] for place in places]
        shown_outer = [row for row in shown if row[1] < 0]
        failure = None
        if run.exception is not None:
            type_name, text, line, site = run.exception
            failure = Failure(type_name, text, line, site if site >= 0 else None)
        return cls(
            id=id,
            pid=pid,
            started_unix_ns=run.started_unix_ns,
            function=info.name,
            kind=info.kind,
            file=info.file,
            def_line=info.line,
            thread=thread,
            task=task,
            total_ns=total_ns,
            calls_ns=calls_ns,
            own_ns=total_ns - calls_ns,
            awaiting_ns=sum(row[3] for row in outer if info.sites[row[0]].kind in _report.AWAITING),
            suspended_ns=run.suspended_ns,
            probes_ns=run.probes_ns,
            limit_ns=run.limit_ns if run.limit_ns >= 0 else None,
            rule=info.options.rule,
            finished=run.finished,
            exception=failure,
            calls=tuple(_call_site(info, row) for row in shown),
            more=More(len(outer) - len(shown_outer), calls_ns - sum(row[3] for row in shown_outer)),
            clock=Clock(run.clock, run.clamped + (calls_ns > run.total_ns), run.suspect),
            writer=info.writer,
        )

    @property
    def started(self) -> str:
        """When the run began: ISO 8601, UTC, in milliseconds."""
        seconds, rest = divmod(self.started_unix_ns, 10**9)
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 10**6:03d}Z"

    @property
    def qualname(self) -> str:
        """The function's name within its module."""
        return self.function.partition(":")[2] or self.function

    @property
    def slow(self) -> bool:
        """Whether the run reached its limit."""
        return self.limit_ns is not None and self.total_ns >= self.limit_ns

    def text(self, width: int | None = 120, top: int | None = None, color: bool = False) -> str:
        """The drawn entry.

        Parameters:
            width: columns at most (source text gives way), None for no limit.
            top: rows at most, None for all of `calls`.
            color: with ANSI colours.
        """
        return _report.text(self, width, top, color)

    def line(self) -> str:
        """The report in one line."""
        return _report.line(self)

    def __str__(self) -> str:
        return _report.text(self)

    def __rich__(self) -> Any:
        return _report.rich_table(self)

    def _repr_html_(self) -> str:
        return _report.html(self)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON types; the inverse of `from_dict`."""
        data: dict[str, Any] = {"schema": self.SCHEMA, "version": self.VERSION}
        for name in _SLOW_CALL_FIELDS:
            value = getattr(self, name)
            if name == "started_unix_ns":
                data["started"] = self.started
            elif name == "calls":
                value = [{field: getattr(site, field) for field in _CALL_SITE_FIELDS} for site in value]
            elif name in _PARTS and value is not None:
                value = {field: getattr(value, field) for field in _fields(value)}
            data[_KEYS.get(name, name)] = value
        return data

    def json(self) -> str:
        """The report as one line of JSON, ASCII only."""
        return json.dumps(self.to_dict(), separators=(",", ":"))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SlowCall:
        """Make a report from what `to_dict` gave, perhaps by way of JSON. Unknown keys are ignored.

        Raises:
            ValueError: another schema, a newer version, or a key that every slow call has is missing.
        """
        if data.get("schema") != cls.SCHEMA:
            raise ValueError(f"not a {cls.SCHEMA}: the schema is {data.get('schema')!r}")
        if data.get("version") != cls.VERSION:
            raise ValueError(
                f"{cls.SCHEMA} of version {data.get('version')!r}; only version {cls.VERSION} is known"
            )
        try:
            values = {name: data[key] for name in _SLOW_CALL_FIELDS if (key := _KEYS.get(name, name)) in data}
            for name, part in _PARTS.items():
                if values.get(name) is not None:
                    values[name] = part(*(values[name].get(field) for field in _fields(part)))
            values["calls"] = tuple(
                CallSite(**{field: site[field] for field in _CALL_SITE_FIELDS if field in site})
                for site in values["calls"]
            )
            return cls(**values)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"not a whole {cls.SCHEMA}: {error}") from error


def _fields(record: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(record))


_CALL_SITE_FIELDS = _fields(CallSite)
_SLOW_CALL_FIELDS = _fields(SlowCall)
_PARTS: dict[str, Any] = {
    "exception": Failure,
    "usual": Usual,
    "cause": Cause,
    "more": More,
    "suppressed": Suppressed,
    "clock": Clock,
}
_KEYS = {"def_line": "line"}  # the only field whose attribute has another name: `line()` is the one-line form


def _call_site(
    info: FunctionInfo, row: tuple[int, int, int, int, int, int, int, int, str | None, bool]
) -> CallSite:
    number, inside, count, total_ns, max_ns, max_index, max_start_ns, errors, last_error, unfinished = row
    site = info.sites[number]
    return CallSite(
        id=number,
        inside=inside if inside >= 0 else None,
        kind=site.kind,
        line=site.line,
        end_line=site.end_line,
        column=site.column,
        end_column=site.end_column,
        source=None if site.source is None else " ".join(site.source.split()),
        name=_callee_name(info, site.name),
        count=count,
        total_ns=total_ns,
        max_ns=max_ns,
        max_index=max_index,
        max_start_ns=max_start_ns,
        errors=errors,
        last_error=last_error,
        unfinished=unfinished,
    )


# Names of callees, found without running any code of the program


_module_dict: Callable[[object], dict[str, object]] = vars(types.ModuleType)["__dict__"].__get__
_class_module = vars(type)["__module__"].__get__
_class_qualname = vars(type)["__qualname__"].__get__
_class_name = vars(type)["__name__"].__get__


def _callee_name(info: FunctionInfo, dotted: str | None) -> str | None:
    """What a dotted name means in the function, as "module:qualname", if globals, builtins, modules tell."""
    if dotted is None:
        return None
    first, *rest = dotted.split(".")
    if first in info.local_names:
        return None
    found = dict.get(info.globals, first, _NOTHING)
    if found is _NOTHING:
        builtins = dict.get(info.globals, "__builtins__")
        found = builtins.get(first) if type(builtins) is dict else _member(builtins, first)
    for name in rest:
        found = _member(found, name)
    return _name_of(found)


_NOTHING = object()


def _member(owner: object, name: str) -> object:
    # Through the module's dict: a lazy module would run its loader at an attribute access.
    return _module_dict(owner).get(name) if issubclass(type(owner), types.ModuleType) else None


def _name_of(found: object) -> str | None:
    module: object
    qualname: object
    if type(found) is types.FunctionType or (
        type(found) is types.BuiltinFunctionType and type(found.__self__) is types.ModuleType
    ):
        module, qualname = found.__module__, found.__qualname__
    elif issubclass(type(found), type):
        module, qualname = _class_module(found), _class_qualname(found)
    else:
        return None
    return f"{module}:{qualname}" if type(module) is str and type(qualname) is str else None


# Exceptions as text


_LONGEST_TEXT = 500


def describe_exception(error: BaseException) -> tuple[str, str]:
    """Name of an exception's type, and its text of at most 500 characters.

    `str()` of an exception may run code of the program. Where that fails the text says so, and nothing is
    raised unless it is no `Exception`.
    """
    try:
        # A subclass of str could do anything later, so an exact str is taken out of it.
        text = str.__str__(str(error))
    except Exception as failure:
        text = f"<str failed: {_class_name(type(failure))}>"
    if len(text) > _LONGEST_TEXT:
        text = text[: _LONGEST_TEXT - 3] + "..."
    return _class_name(type(error)), text
