"""Everything that a screen or a plain table shows, without either.

A session takes samples of a source, and keeps what the user does to the view: order, filter, selection, freezing. It is
used by one thread; answers of the source are taken in by `refresh` and `answers`.
"""

import time
from bisect import insort
from collections import deque
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from recompyle.errors import RecompyleError
from recompyle.live.record import Row
from recompyle.live.source import Details, Source

__all__ = ["COLUMNS", "HZ", "Line", "Session", "Snapshot", "did_you_mean"]

HZ = (1, 2, 4, 5, 10, 20)
MODES = ("counter", "hook")
COLUMNS = ("state", "name", "calls", "hits", "rate", "last", "cost", "history")
TEXT_COLUMNS = ("state", "name")
SPARK_SECONDS = 30
Snapshot = dict[str, Any]


@dataclass(slots=True, eq=False)
class Line:
    """One function as it is shown; it takes in sample after sample.

    Attributes:
        sample: the newest one.
        path: of the function.
        rate: hits a second; None with one sample.
        history: hits a second of the last 30 s, oldest first; it begins with the first hit that was seen.
    """

    sample: Row
    _now: float  # when it was taken
    _ns_per_hit: Mapping[str | None, float | None]
    path: str = field(init=False)
    rate: float | None = None
    history: "deque[float]" = field(default_factory=lambda: deque(maxlen=SPARK_SECONDS))
    _seen: float | None = None  # when hits last grew
    _since: float = field(init=False)  # the beginning of the present part of the history
    _counted: int = field(init=False)  # the hits then
    _base_hits: int = 0
    _base_calls: int = 0

    def __post_init__(self) -> None:
        self.path, self._since, self._counted = self.sample["path"], self._now, self.sample["hits"]

    def take(self, sample: Row, before: float, now: float) -> None:
        """Take in the next sample.

        Parameters:
            sample: of the same function.
            before: when the program was last looked at.
            now: when it was taken.
        """
        hits = sample["hits"]
        grown = hits - self.sample["hits"]
        if grown > 0:
            if self._seen is None:
                self._since = before
            self._seen = now
        elif grown < 0:  # counted from 0 again
            self._base_hits, self._counted = 0, hits
        self.rate = grown / (now - before) if grown >= 0 and now > before and sample["state"] == "on" else None
        if self._seen is not None and now - self._since >= 1:
            self.history.append(max(0, hits - self._counted) / (now - self._since))
            self._since, self._counted = now, hits
        self.sample, self._now = sample, now

    def zero(self) -> None:
        """Show numbers from the newest sample on."""
        self._base_hits, self._base_calls = self.sample["hits"], self.sample["calls"] or 0

    @property
    def row(self) -> Row:
        """The newest sample, ``rate`` and ``last_hit_ms`` filled in."""
        rate, last = self.rate, self.last
        return {
            **self.sample,
            "rate": None if rate is None else round(rate, 1),
            "last_hit_ms": None if last is None else round(last * 1000),
        }

    @property
    def state(self) -> str:
        return self.sample["state"]

    @property
    def calls(self) -> int | None:
        """Those since the last `Session.zero`; None where the program does not count."""
        calls = self.sample["calls"]
        return None if calls is None else calls - self._base_calls

    @property
    def hits(self) -> int:
        """Those since the last `Session.zero`."""
        return self.sample["hits"] - self._base_hits

    @property
    def last(self) -> float | None:
        """Seconds since the last hit that was seen; None if none was."""
        return None if self._seen is None else self._now - self._seen

    @property
    def cost(self) -> float | None:
        """Part of one core that the probe takes, from 0 to 1; None where it is not known."""
        ns = self._ns_per_hit.get(self.sample["mode"])
        return None if self.rate is None or ns is None else self.rate * ns / 1e9

    @property
    def is_still(self) -> bool:
        """Whether time alone changes nothing of it."""
        return self._seen is None and (self.rate is not None or self.state != "on")


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
        self._ns_per_hit: dict[str | None, float | None] = {mode: source.ns_per_hit(mode) for mode in MODES}
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
        is_other = self._take_in(rows, now)
        if self._zero_pending:
            for line in self._all:
                line.zero()
        self._zero_pending = False
        self._still = all(line.is_still for line in self._all)
        self._tell_frames()
        if is_other or not (self.order_frozen or self.column == "name"):
            self.arrange()
        return True

    def _take_in(self, rows: list[Row], now: float) -> bool:
        """Give each line its sample.

        Returns:
            Whether the lines are others than before.
        """
        before, self._rows, self._sampled = self._sampled, rows, now
        if [row["path"] for row in rows] == [line.path for line in self._all]:
            for line, row in zip(self._all, rows, strict=True):
                line.take(row, before, now)
            return False
        known: dict[str, list[Line]] = {}  # several may have one path, as after a reload
        for line in self._all:
            known.setdefault(line.path, []).append(line)
        self._all = []
        for row in rows:
            if known.get(row["path"]):
                line = known[row["path"]].pop(0)
                line.take(row, before, now)
            else:
                line = Line(row, now, self._ns_per_hit)
            self._all.append(line)
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

    def _tell_frames(self) -> None:
        """Say when no frame runs old code any more."""
        if not self._watched:
            return
        for line in self._all:
            if line.path in self._watched and line.sample["in_flight"] == 0:
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
        hint = did_you_mean(what, self._paths()) if slug == "not_found" or isinstance(error, ValueError) else ""
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

    def _paths(self) -> list[str]:
        known = [line for line in self._all if line.state != "refused"]
        return [path for line in known for path in (line.path, *line.sample["aliases"])]

    # -- the whole

    @property
    def totals(self) -> dict[str, int]:
        """How many functions are on, pending and refused, and all hits."""
        states = [row["state"] for row in self._rows]
        return {
            "on": states.count("on"),
            "pending": states.count("pending"),
            "refused": states.count("refused"),
            "hits": sum([row["hits"] for row in self._rows]),
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
            "session": self.source.session,
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


def did_you_mean(path: str, known: Collection[str]) -> str:
    """What to add to a refusal: the three known paths that end in a wrong one or look most like it; else nothing."""
    if path in known:  # that was not what was wrong
        return ""
    ends = [each for each in known if each.endswith((f".{path}", f":{path}"))]
    near = list(dict.fromkeys((*ends, *get_close_matches(path, known, n=3, cutoff=0.5))))[:3]
    return f"; did you mean {', '.join(near)}?" if near else ""
