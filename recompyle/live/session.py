"""Everything that a screen or a plain table shows, without either.

A session takes samples of a source, and keeps what the user does to the view: order, filter, selection, freezing. It is
used by one thread; answers of the source are taken in by `refresh` and `answers`.
"""

import time
from bisect import insort
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from recompyle.errors import RecompyleError
from recompyle.live.record import Row
from recompyle.live.source import Details, Source

__all__ = ["COLUMNS", "HZ", "Line", "Session", "Snapshot"]

HZ = (1, 2, 4, 5, 10, 20)
MODES = ("counter", "hook")
COLUMNS = ("state", "name", "calls", "hits", "rate", "last", "cost", "history")
TEXT_COLUMNS = ("state", "name")
SPARK_SECONDS = 30
Snapshot = dict[str, Any]


@dataclass(slots=True)
class Line:
    """One row as it is shown.

    Attributes:
        row: the newest sample, ``rate`` and ``last_hit_ms`` filled in.
        calls, hits: those since the last `Session.zero`; of calls None where the program does not count.
        rate: hits a second; None with one sample.
        last: seconds since the last hit that was seen; None if none was.
        cost: part of one core that the probe takes, from 0 to 1; None where it is not known.
        history: hits a second of the last 30 s, oldest first; it begins with the first hit that was seen.
    """

    row: Row
    calls: int | None = None
    hits: int = 0
    rate: float | None = None
    last: float | None = None
    cost: float | None = None
    history: "deque[float]" = field(default_factory=deque)

    @property
    def path(self) -> str:
        return self.row["path"]

    @property
    def state(self) -> str:
        return self.row["state"]

    @property
    def is_still(self) -> bool:
        """Whether time alone changes nothing of it."""
        return self.last is None and (self.rate is not None or self.state != "on")


@dataclass(slots=True)
class _Track:
    """What is remembered of one path between two samples."""

    hits: int
    seen: float | None = None  # when its hits last grew
    base_hits: int = 0
    base_calls: int = 0
    since: float = 0.0  # the beginning of the present part of the history
    counted: int = 0  # the hits then
    history: "deque[float]" = field(default_factory=lambda: deque(maxlen=SPARK_SECONDS))


class Session:
    """What one user sees of one program, and does to it.

    Parameters:
        source: the program.
        hz: samples a second, one of `HZ`.
        clock: gives seconds.

    Attributes:
        source: as given.
        lines: what is to be shown: filtered and in order.
        selected: the path under the cursor; None if nothing is shown.
        column, descending: what the lines are sorted by.
        filter: the text that names must contain.
        paused: whether the display stands still.
        order_frozen: whether the order of lines stays.
        messages: what was done and what failed, newest last: pairs of level (``info`` or ``error``) and text.
        gone: why the program cannot be reached any more; None while it can.
        commands: what was typed, oldest first.
        wake: called whenever there is something for `answers`, in whichever thread that is.
    """

    def __init__(
        self,
        source: Source,
        *,
        hz: int = 4,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.source = source
        self.hz = hz
        self._ns_per_hit = {mode: source.ns_per_hit(mode) for mode in MODES}
        self.lines: list[Line] = []
        self.selected: str | None = None
        self.column, self.descending = "name", False
        self.filter = ""
        self.paused = self.order_frozen = False
        self.messages: deque[tuple[str, str]] = deque(maxlen=200)
        self.commands: list[str] = []
        self.gone: str | None = None
        self.wake: Callable[[], object] = lambda: None
        self._clock = clock
        self._all: list[Line] = []
        self._rows: list[Row] = []  # the newest sample
        self._sampled = 0.0  # when it was taken
        self._still = False  # whether the same sample once more would show the same
        self._tracks: dict[str, _Track] = {}
        self._places: dict[str, int] = {}  # of lines in a frozen order
        self._answers: deque[Callable[[], None]] = deque()  # filled by other threads
        self._watched: set[str] = set()  # whose frames on old code are still counted down
        self._zero_pending = False

    # -- samples

    def refresh(self) -> bool:
        """Take in what was answered, and a new sample unless the display is paused.

        Returns:
            Whether `lines` or `messages` may be others than before.
        """
        answered = self.answers()
        if self.paused or self.gone is not None:
            return answered
        try:
            rows = list(self.source.poll())
        except ConnectionError as error:
            self.gone = str(error) or "the program is gone"
            self._say("error", self.gone)
            return True
        now = self._clock()
        if self._still and rows == self._rows:
            self._sampled = now
            return answered
        self._all = [self._line(row, now) for row in rows]
        self._rows, self._sampled = rows, now
        self._still = all(line.is_still for line in self._all)
        self._zero_pending = False
        paths = {line.path for line in self._all}
        for path in self._tracks.keys() - paths:
            del self._tracks[path]
        self._tell_frames()
        self.arrange()
        return True

    def answers(self) -> bool:
        """Take in what the source has answered meanwhile.

        Returns:
            Whether there was anything.
        """
        found = bool(self._answers)
        while self._answers:
            self._answers.popleft()()
        return found

    def _line(self, row: Row, now: float) -> Line:
        hits, calls = row["hits"], row["calls"]
        track = self._tracks.get(row["path"])
        rate: float | None = None
        if track is None:
            track = self._tracks[row["path"]] = _Track(hits, since=now, counted=hits)
        else:
            if hits > track.hits:
                if track.seen is None:
                    track.since = self._sampled
                track.seen = now
            if hits < track.hits:  # counted from 0 again
                track.base_hits, track.counted = 0, hits
            if now > self._sampled and hits >= track.hits:
                rate = (hits - track.hits) / (now - self._sampled)
            if track.seen is not None and now - track.since >= 1:
                track.history.append(max(0, hits - track.counted) / (now - track.since))
                track.since, track.counted = now, hits
            track.hits = hits
        if self._zero_pending:
            track.base_hits, track.base_calls = hits, calls or 0
        if row["state"] != "on":
            rate = None
        last = None if track.seen is None else now - track.seen
        if rate is not None:
            row = {**row, "rate": round(rate, 1), "last_hit_ms": None if last is None else round(last * 1000)}
        elif last is not None:
            row = {**row, "last_hit_ms": round(last * 1000)}
        ns = self._ns_per_hit.get(row["mode"] or "")
        cost = None if rate is None or ns is None else rate * ns / 1e9
        return Line(
            row, None if calls is None else calls - track.base_calls, hits - track.base_hits, rate, last, cost,
            track.history,
        )

    def _tell_frames(self) -> None:
        """Say when no frame runs old code any more."""
        for line in self._all:
            if line.path in self._watched and line.row["in_flight"] == 0:
                self._watched.discard(line.path)
                self._say("info", f"{line.path}: 0 frames still on old code")

    def zero(self) -> None:
        """Show numbers from now on; totals are kept."""
        self._zero_pending, self._still = True, False

    # -- order, filter, selection

    def arrange(self) -> None:
        """Filter and sort again, the cursor staying on its function."""
        needle = self.filter.lower()
        shown = [line for line in self._all if not needle or needle in line.path.lower()]
        index = self.index
        if self.order_frozen:
            end = len(self._places)
            shown.sort(key=lambda line: self._places.get(line.path, end))
        else:
            shown.sort(key=self._key, reverse=self.descending)
        self.lines = shown
        if self.selected is None or all(line.path != self.selected for line in shown):
            at = min(index or 0, len(shown) - 1)
            self.selected = shown[at].path if shown else None

    def _key(self, line: Line) -> Any:
        if self.column == "name":
            return line.path
        if self.column == "state":
            return line.state
        value: Any = getattr(line, {"history": "rate"}.get(self.column, self.column))
        return float("-inf") if value is None else value

    def sort(self, column: str) -> None:
        """Sort by a column: numbers begin with the largest, texts with the first."""
        if column not in COLUMNS:
            raise ValueError(f"a column is one of {', '.join(COLUMNS)}, not {column!r}")
        self.column, self.descending = column, column not in TEXT_COLUMNS
        self.arrange()

    def sort_next(self, step: int = 1) -> None:
        """Sort by the next column, or with -1 by the previous one."""
        self.sort(COLUMNS[(COLUMNS.index(self.column) + step) % len(COLUMNS)])

    def reverse(self) -> None:
        """Turn the order round."""
        self.descending = not self.descending
        self.arrange()

    def set_filter(self, text: str) -> None:
        """Show only names that contain a text, upper and lower case being equal."""
        self.filter = text
        self.arrange()

    def freeze_order(self, frozen: bool | None = None) -> None:
        """Keep the order of lines as it is; None: the other way than now."""
        self.order_frozen = not self.order_frozen if frozen is None else frozen
        self._places = {line.path: place for place, line in enumerate(self.lines)} if self.order_frozen else {}
        self.arrange()

    def pause(self, paused: bool | None = None) -> None:
        """Let the display stand still; the program runs on. None: the other way than now."""
        self.paused = not self.paused if paused is None else paused

    def faster(self) -> None:
        """More samples a second."""
        self.hz = next((each for each in HZ if each > self.hz), HZ[-1])

    def slower(self) -> None:
        """Fewer samples a second."""
        self.hz = next((each for each in reversed(HZ) if each < self.hz), HZ[0])

    @property
    def index(self) -> int | None:
        """Where the selected line stands; None if nothing is shown."""
        return next((at for at, line in enumerate(self.lines) if line.path == self.selected), None)

    @property
    def line(self) -> Line | None:
        """The selected line."""
        at = self.index
        return None if at is None else self.lines[at]

    def select(self, at: int) -> None:
        """Move the cursor to a line, or to the nearest one that there is."""
        if self.lines:
            self.selected = self.lines[max(0, min(at, len(self.lines) - 1))].path

    def move(self, by: int) -> None:
        """Move the cursor up (negative) or down."""
        self.select((self.index or 0) + by)

    # -- orders

    def instrument(self, path: str, mode: str = "counter", select: bool = False) -> "Future[Row]":
        """Have a function instrumented; the answer becomes a message.

        Parameters:
            path: the function.
            mode: ``"counter"`` or ``"hook"``.
            select: move the cursor to it then.
        """
        return self._order(self.source.instrument(path, mode), path, lambda row: self._instrumented(row, select))

    def _instrumented(self, row: Row, select: bool) -> None:
        if select and any(line.path == row["path"] for line in self.lines):
            self.selected = row["path"]
        if row["state"] == "pending":
            self._say("info", f"pending {row['path']}: its module is not imported yet")
            return
        frames = row["in_flight"] or 0
        if frames:
            self._watched.add(row["path"])
        left = f"{frames} frame{'s' * (frames != 1)} still on old code"
        self._say("info", f"patched {row['path']} ({row['mode']}); {left}")
        for note in row["notes"]:
            self._say("info", f"{row['path']}: {note}")

    def restore(self, path: str) -> "Future[Row]":
        """Have a function restored."""
        return self._order(self.source.restore(path), path, lambda row: self._say("info", f"restored {row['path']}"))

    def restore_all(self) -> "Future[list[Row]]":
        """Have all functions of this session restored."""

        def done(rows: list[Row]) -> None:
            self._say("info", f"restored {len(rows)} function{'s' * (len(rows) != 1)}")

        return self._order(self.source.restore_all(), "all", done)

    def details(self, path: str, show: Callable[[Details], None]) -> "Future[Details]":
        """Have details of a function gathered; `show` is called by `answers`."""
        return self._order(self.source.details(path), path, show)

    def profile(self, path: str, limit_ms: float, report: Callable[[str], None]) -> "Future[Callable[[], None]]":
        """Have a function's slow runs reported; `report` is called by `answers`, with the text of each.

        Parameters:
            path: the function.
            limit_ms: from how many milliseconds on a run is slow.
            report: shows one.
        """

        def take(text: str) -> None:
            self._answered(lambda: report(text))

        def begun(end: Callable[[], None]) -> None:
            self._say("info", f"profiling {path}: runs of {limit_ms:g} ms and more")

        return self._order(self.source.profile(path, limit_ms, take), path, begun)

    def _order(self, future: "Future[Any]", what: str, done: Callable[[Any], None]) -> "Future[Any]":
        # in the source's thread
        future.add_done_callback(lambda future: self._answered(lambda: self._take(future, what, done)))
        return future

    def _answered(self, take: Callable[[], None]) -> None:
        self._answers.append(take)
        self.wake()

    def _take(self, future: "Future[Any]", what: str, done: Callable[[Any], None]) -> None:
        error = future.exception()
        if error is None:
            done(future.result())
            return
        slug = getattr(error, "slug", None)
        is_told = isinstance(error, (RecompyleError, ValueError, LookupError))
        said = str(error) if is_told else f"{type(error).__name__}: {error}"
        near = self.nearest(what) if slug == "not_found" or isinstance(error, ValueError) else []
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        self._say("error", f"{'refused' if slug else 'failed'}{f' ({slug})' if slug else ''}: {said}{hint}")

    def command(self, text: str) -> str | None:
        """Carry out a typed line.

        That is ``PATH``, ``hook PATH``, ``restore PATH``, ``restore all``, ``list [PATTERN]`` or ``quit``.

        Returns:
            ``"quit"`` or ``"list"`` if the caller has to do that; else None.
        """
        words = text.split()
        if not words:
            return None
        if text not in self.commands[-1:]:
            self.commands.append(text.strip())
        match words:
            case ["quit" | "q"]:
                return "quit"
            case ["list"]:
                self.set_filter("")
                return "list"
            case ["list", pattern]:
                self.set_filter(pattern.strip("*"))
                return "list"
            case ["restore", "all"]:
                self.restore_all()
            case ["restore", path]:
                self.restore(path)
            case ["hook", path]:
                self.instrument(path, "hook", select=True)
            case [path]:
                self.instrument(path, select=True)
            case _:
                self._say("error", "type a path, hook PATH, restore PATH, restore all, list or quit")
        return None

    # -- completion

    def complete(self, text: str) -> list[str]:
        """The paths that begin with what was typed, as far as the next ``.`` or ``:`` where they differ.

        Parameters:
            text: a line as for `command`, perhaps unfinished.

        Returns:
            Whole lines, sorted; one only if there is no doubt.
        """
        verb, space, typed = text.rpartition(" ")
        found: list[str] = []
        for path in self._paths():
            if path.startswith(typed):
                ends = [at for mark in ".:" if (at := path.find(mark, len(typed))) >= 0]
                offer = path[: min(ends, default=len(path)) + 1]
                if offer not in found:
                    insort(found, offer)
        if len(found) == 1 and found[0] != typed and found[0][-1:] in (".", ":"):
            return self.complete(verb + space + found[0]) or [verb + space + found[0]]
        return [verb + space + each for each in found]

    def nearest(self, path: str) -> list[str]:
        """The three known paths that look most like one."""
        return get_close_matches(path, self._paths(), n=3, cutoff=0.5)

    def _paths(self) -> list[str]:
        known = [line for line in self._all if line.state != "refused"]
        return [path for line in known for path in (line.path, *line.row["aliases"])]

    # -- the whole

    @property
    def totals(self) -> dict[str, int]:
        """How many functions are on, pending and refused, and all hits."""
        states = [line.state for line in self._all]
        return {
            "on": states.count("on"),
            "pending": states.count("pending"),
            "refused": states.count("refused"),
            "hits": sum(line.row["hits"] for line in self._all),
        }

    @property
    def count(self) -> int:
        """How many functions are known, filtered out ones included."""
        return len(self._all)

    def snapshot(self) -> Snapshot:
        """Everything as plain data, for JSON; see the reference."""
        return {
            "v": 1,
            "pid": self.source.pid,
            "start": self.source.started,
            "python": self.source.python,
            "time": time.time(),
            "session": None,
            "hz": self.hz,
            "rows": [line.row for line in self.lines],
            "totals": self.totals,
        }

    def close(self, keep: bool = False) -> None:
        """End the session; what it has instrumented is restored.

        Parameters:
            keep: leave it in place.
        """
        self.source.close(keep)

    def _say(self, level: str, text: str) -> None:
        self.messages.append((level, text))

    def tell(self, text: str) -> None:
        """Show a message with the next answers. May be called by any thread."""
        self._answered(lambda: self._say("info", text))
