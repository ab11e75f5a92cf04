"""Where a session gets its rows from and sends its orders to: this process, or another one."""

import os
import sys
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Protocol, TypedDict

from recompyle.errors import NotRewritable, RecompyleError
from recompyle.inject.listing import listing
from recompyle.live import cost, state
from recompyle.live.listing import Listed, listed, matches
from recompyle.live.place import start_of, started_at
from recompyle.live.record import Record, Row
from recompyle.live.resolve import Target, resolve
from recompyle.patch import slices
from recompyle.patch.registry import Patch, put_on
from recompyle.patch.targets import Found

__all__ = ["Details", "Local", "Source", "details_of", "profile", "row_of", "settled_row"]

RESCAN = 5.0  # seconds between two looks for functions that were defined meanwhile


class Details(TypedDict):
    """What the screen of details shows.

    Attributes:
        row: the function's row, with frames on old code counted.
        before, after: disassembly; ``after`` is None while it is off. Without a function ``before`` is empty.
    """

    row: Row
    before: str
    after: str | None


class Source(Protocol):
    """What a session needs. All methods may be called from any thread; orders are carried out one after another.

    Attributes:
        pid: of the program.
        python: its version.
        started: when it was started, in seconds since 1970; None if the system does not tell.
        session: how the session there begins; None in the process itself.
    """

    pid: int
    python: str
    started: float | None
    session: str | None

    def rows(self, pattern: str = "*") -> list[Row]:
        """All rows that match, looked up anew."""

    def poll(self) -> Sequence[Row]:
        """The same rows with fresh numbers: cheap enough to be called 20 times a second.

        A row that was given stays as it is. What has changed comes as another dict, what has not may be the same one.

        Raises:
            ConnectionError: the program is gone.
        """

    def instrument(self, path: str, mode: str = "counter") -> "Future[Row]":
        """Order it; the row is that after it was done."""

    def restore(self, path: str) -> "Future[Row]":
        """Order it."""

    def restore_all(self) -> "Future[list[Row]]":
        """Restore what this session has instrumented."""

    def details(self, path: str) -> "Future[Details]":
        """Order it."""

    def profile(self, path: str, limit_ms: float, report: Callable[[str], None]) -> "Future[Callable[[], None]]":
        """Have runs of a function timed call by call.

        Parameters:
            path: the function.
            limit_ms: runs that take as long are reported.
            report: gets the text of each slow run, in whichever thread that is.

        Returns:
            What ends it.
        """

    def ns_per_hit(self, mode: str) -> float | None:
        """What one hit costs the program, in nanoseconds; None if it is not known.

        Parameters:
            mode: ``"counter"`` or ``"hook"``, the hook itself not counted.
        """

    def close(self, keep: bool = False) -> None:
        """End the session.

        Parameters:
            keep: leave in place what it has instrumented.
        """


class Local:
    """The source of a session in the very process that is watched.

    Parameters:
        everything: also functions of the standard library and of installed packages.
        allow_import: import the modules of paths if need be; whatever else is asked for waits until that has ended.
    """

    def __init__(self, everything: bool = False, allow_import: bool = False):
        self.pid = os.getpid()
        self.python = ".".join(map(str, sys.version_info[:3]))
        self.started = started_at(start_of(self.pid))
        self.session: str | None = None
        self._everything, self._allow_import = everything, allow_import
        self._listed: list[Listed] = []
        self._scanned = float("-inf")
        self._modules = 0

    # -- rows

    def rows(self, pattern: str = "*") -> list[Row]:
        return list(map(self.row, self.found(pattern)))

    def poll(self) -> list[Row]:
        if len(sys.modules) != self._modules or time.monotonic() - self._scanned > RESCAN:
            self._scan()
        return list(map(self.row, self._known("*")))

    def found(self, pattern: str) -> list[Listed | Record]:
        """What there are rows of, looked up anew: thousands of rows take time, and memory."""
        self._scan()
        return self._known(pattern)

    def row(self, each: Listed | Record) -> Row:
        """The row of something found."""
        registry = state.registry
        if isinstance(each, Record):
            return registry.row(each)
        function = each.ref()
        record = None if function is None else registry.of(function)  # somebody may have asked for it meanwhile
        return _row_of(each, registry.calls_of(each.path)) if record is None else registry.row(record)

    def _scan(self) -> None:
        self._modules = len(sys.modules)
        old, self._listed = self._listed, listed(everything=self._everything)
        slices.empty(old)
        self._scanned = time.monotonic()

    def _known(self, pattern: str) -> list[Listed | Record]:
        registry = state.registry
        shown: set[int] = set()
        paths: set[str] = set()
        found: list[Listed | Record] = []
        for each in list(self._listed):  # another thread may scan anew
            slices.between()
            function = each.ref()
            if function is None:
                continue
            record = registry.of(function)
            shown.add(id(record))
            paths.add(each.path)
            if matches(pattern, each.path, each.aliases):
                found.append(each if record is None else record)
        # What lies outside of the list: functions of the standard library; one whose name means another one by now.
        for record in registry.records():
            is_past = record.state == "off" and (record.hits is None or record.path in paths)
            if id(record) not in shown and not is_past and matches(pattern, record.path, record.aliases):
                found.append(record)
        return found

    # -- orders

    def instrument(self, path: str, mode: str = "counter") -> "Future[Row]":
        def work() -> Row:
            record = state.registry.instrument(path, mode=mode, allow_import=self._allow_import, holder=self)
            return settled_row(record)

        return state.worker.submit(work)

    def restore(self, path: str) -> "Future[Row]":
        return state.worker.submit(lambda: self._restored(path))

    def _restored(self, path: str) -> Row:
        record = state.registry.find(path)
        if record is None:
            raise NotRewritable(f"{path} is not instrumented", "not_found")
        state.registry.restore(record)
        return settled_row(record)

    def restore_all(self) -> "Future[list[Row]]":
        return state.worker.submit(lambda: list(map(state.registry.row, state.registry.restore_all(holder=self))))

    def details(self, path: str) -> "Future[Details]":
        return state.worker.submit(lambda: details_of(path))

    def profile(self, path: str, limit_ms: float, report: Callable[[str], None]) -> "Future[Callable[[], None]]":
        return state.worker.submit(lambda: profile(path, limit_ms, report))

    def ns_per_hit(self, mode: str) -> float:
        return cost.ns_per_hit(mode)

    def close(self, keep: bool = False) -> None:
        if not keep:
            self.restore_all().result()


def details_of(path: str) -> Details:
    """What the screen of details shows of a path.

    Raises:
        RecompyleError, LookupError, ValueError: the path leads to no function.
    """
    try:
        target = resolve(path)
    except (RecompyleError, LookupError):  # of what waits for its module or was refused, that is all
        waiting = state.registry.known(path)
        if waiting is None:
            raise
        return {"row": settled_row(waiting), "before": "", "after": None}
    record = _record_of(target)
    if record is None:
        return {"row": _row_at(target), "before": listing(target.function.__code__), "after": None}
    after = (record.keep or target.function).__code__  # of closures what stands for those that will be made
    before = record.original_code or after
    return {"row": settled_row(record), "before": listing(before), "after": None if after is before else listing(after)}


def row_of(path: str) -> Row:
    """The row of the function that a path leads to.

    Raises:
        RecompyleError, LookupError, ValueError: it leads to none; what waits or was refused leads nowhere, too.
    """
    target = resolve(path)
    record = _record_of(target)
    return _row_at(target) if record is None else settled_row(record)


def _record_of(target: Target) -> Record | None:
    return state.registry.known(target.path) if target.kind == "closure" else state.registry.of(target.function)


def _row_at(target: Target) -> Row:
    place = Listed(*target[:8], weakref.ref(target.function))
    return _row_of(place, state.registry.calls_of(target.path))


def profile(path: str, limit_ms: float, report: Callable[[str], None]) -> Callable[[], None]:
    """Have slow runs of a function reported; see `Source.profile`.

    Raises:
        RecompyleError, LookupError, ValueError: the path leads to no function, or it cannot be profiled.
    """
    from recompyle.profile import ProfileCalls  # not before somebody wants it

    target = resolve(path)
    patch = Patch((ProfileCalls(limit_ms / 1000, above_callback=lambda run: report(run.text())),))
    put_on(patch, Found([target.function]))
    return patch.restore


def settled_row(record: Record) -> Row:
    """A row that says how many frames are on old code, even if that takes a search."""
    record.now().frames.count(search=True)
    return state.registry.row(record.now())


def _row_of(each: Listed, calls: int | None) -> Row:
    """The row of a function that nobody asked for so far."""
    row: Any = {name: getattr(each, name) for name in ("path", "kind", "flavor", "owner", "file", "line")}
    row.update(
        aliases=list(each.aliases), state="off", mode=None, calls=calls, hits=0, rate=None, last_hit_ms=None,
        in_flight=0, slot=None, engine="code", notes=list(each.notes), error=None,
    )
    return row
