"""A session's source in another process: keeps the program's rows, and lets a screen read them without waiting."""

import contextlib
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from typing import Any

from recompyle.errors import RecompyleError, Unreachable
from recompyle.live.client import Client, Page, details_of, pairs, restored_row, rows_of, then
from recompyle.live.listing import matches
from recompyle.live.place import started_at
from recompyle.live.proto import BadMessage, Message, check_row, field, strings
from recompyle.live.record import Row
from recompyle.live.session import Session
from recompyle.live.source import Details

__all__ = ["Remote", "watch"]

RESCAN = 10.0  # seconds between two looks for functions that were defined meanwhile, at least
SHARE = 0.01  # of the program's time, at most, for those
HZ = 4
QUIET_HZ = 1  # where the counters are shared, only states are told


def watch(client: Client, *, hz: int = HZ, **chosen: Any) -> Session:
    """A session that shows the program of a client, and ends the client when it is closed.

    Parameters:
        client: connected.
        hz: samples a second.
        chosen: which rows: see `Remote`.
    """
    source = Remote(client, **chosen)
    session = Session(source, hz=hz)
    source.say = session.tell
    return session


class Remote:
    """What a session drives when the program is another process; see `recompyle.live.source.Source`.

    Parameters:
        client: connected.
        everything: also functions of the standard library and of installed packages.
        pattern: what their paths must match.
        paths: only these functions, which have been asked for before; None: all.

    Attributes:
        pid, python, started, session: as of `Source`.
        client: as given.
        say: called with what the program has to say, in the thread that reads.
    """

    def __init__(
        self, client: Client, everything: bool = False, pattern: str = "*", paths: Collection[str] | None = None
    ):
        self.client = client
        self._asked: dict[str, Any] = {"everything": everything, "pattern": pattern, "instrumented": paths is not None}
        self._paths = paths
        self.pid, self.python = client.pid, client.python
        self.started = started_at(client.start)
        self.session: str | None = client.session[:8]  # all of it would be enough to take the session over
        self.say: Callable[[str], object] = lambda text: None
        self._lock = threading.Lock()
        self._rows: dict[str, Row] = {}  # they are given away: what changes is replaced
        self._refreshing = False
        self._scanning = False
        self._scan_at = 0.0
        self._page: Page | None = None
        self._generation = -1
        client.on_event(self._event)
        self.rows()
        try:
            self._page = client.page()
        except (RecompyleError, BadMessage):
            self._page = None  # told by events
        counts = any(row["calls"] is not None for row in self._rows.values())
        client.call("subscribe", hz=HZ if counts or self._page is None else QUIET_HZ)

    # -- rows

    def rows(self, pattern: str = "*") -> list[Row]:
        began = time.monotonic()
        self._replace(self.client.list(**self._asked))
        self._plan(began)
        return [row for row in self.poll() if matches(pattern, row["path"], row["aliases"])]

    def poll(self) -> list[Row]:
        """See `Source.poll`."""
        if self.client.gone is not None:
            raise Unreachable(str(self.client.gone))
        page = self._page
        if page is not None and page.generation != self._generation:
            self._relearn(page.generation)
        if time.monotonic() >= self._scan_at and not self._scanning:
            self._scan()
        with self._lock:
            if page is not None and page.generation == self._generation:
                slots = [(path, row, row["slot"]) for path, row in self._rows.items()]
                counted = [(path, row, page.hits(slot)) for path, row, slot in slots if slot is not None]
                if page.generation == self._generation:  # else the numbers may be those of other functions
                    self._rows.update((path, {**row, "hits": n}) for path, row, n in counted if n != row["hits"])
            return list(self._rows.values())

    def _relearn(self, generation: int) -> None:
        """Slots have got other meanings: ask which."""
        if self._refreshing:
            return
        self._refreshing = True

        def learnt(rows: list[Row], generation: int) -> None:
            self._merge(rows)
            self._generation = generation

        def ended() -> None:
            self._refreshing = False

        self._fetch({"instrumented": True}, learnt, ended)

    def _scan(self) -> None:
        """Look whether there are other functions by now."""
        self._scanning = True
        began = time.monotonic()

        def ended() -> None:
            self._plan(began)
            self._scanning = False

        self._fetch(self._asked, lambda rows, _: self._replace(rows), ended)

    def _fetch(
        self, asked: dict[str, Any], take: Callable[[list[Row], int], object], ended: Callable[[], object]
    ) -> None:
        """Ask for rows without waiting.

        Parameters:
            asked: which.
            take: called with all of them and the generation that the first part was of; not if one is refused.
            ended: called in any case.
        """
        generations: list[int] = []

        def read(answer: Message) -> list[Row]:
            generations.append(field(answer, "generation", int))
            return rows_of(answer)

        def gathered(rows: "Future[list[Row]]") -> None:
            # Refused: another look comes; if there is no program any more, `poll` says why.
            with contextlib.suppress(RecompyleError, ValueError):
                take(rows.result(), generations[0])
            ended()

        self.client.gather("list", read, **asked).add_done_callback(gathered)

    def _plan(self, began: float) -> None:
        now = time.monotonic()
        self._scan_at = now + max(RESCAN, (now - began) / SHARE)

    def _replace(self, rows: list[Row]) -> None:
        with self._lock:
            self._rows = {row["path"]: row for row in rows if self._is_shown(row)}

    def _merge(self, rows: list[Row]) -> None:
        with self._lock:
            self._rows.update((row["path"], row) for row in rows if self._is_shown(row))

    def _is_shown(self, row: Row) -> bool:
        if self._paths is not None:
            return row["path"] in self._paths
        return matches(self._asked["pattern"], row["path"], row["aliases"]) or row["path"] in self._rows

    # -- events, in the thread that reads

    def _event(self, event: Message) -> None:
        match event["event"]:
            case "state":
                self._merge(rows_of(event))
                with self._lock:
                    for path in strings(event, "gone"):
                        row = self._rows.get(path)
                        if row is not None and row["state"] in ("pending", "refused"):
                            del self._rows[path]
            case "stats":
                with self._lock:
                    for name in ("hits", "calls"):
                        for path, number in pairs(event, name):
                            row = self._rows.get(path)
                            if row is not None and (number is not None or name == "calls"):
                                self._rows[path] = {**row, name: number}  # type: ignore[misc]
            case "restored_for_cost":
                self.say(f"{field(event, 'path', str)}: restored, for it cost too much")
            case "hook_disabled":
                self.say(f"{field(event, 'path', str)}: its hook failed too often and is off; hits are counted")

    # -- orders

    def instrument(self, path: str, mode: str = "counter") -> "Future[Row]":
        return then(self.client.request("instrument", path=path, mode=mode), self._changed)

    def restore(self, path: str) -> "Future[Row]":
        return then(self.client.request("restore", path=path), lambda answer: self._restored([restored_row(answer)])[0])

    def _changed(self, answer: Message) -> Row:
        row = check_row(answer.get("row"))
        self._merge([{**row}])
        return row

    def _restored(self, rows: list[Row]) -> list[Row]:
        self._merge([{**row} for row in rows])
        self._scan_at = 0.0  # of what waited for its module nothing is left
        return rows

    def restore_all(self) -> "Future[list[Row]]":
        return then(self.client.gather("restore", rows_of, all=True, own=True), self._restored)

    def details(self, path: str) -> "Future[Details]":
        return then(self.client.request("details", path=path), details_of)

    def profile(self, path: str, limit_ms: float, report: Callable[[str], None]) -> "Future[Callable[[], None]]":
        return self.client.begin_profile(path, limit_ms, report)

    def ns_per_hit(self, mode: str) -> float:
        return self.client.ns_per_hook_hit if mode == "hook" else self.client.ns_per_hit

    def close(self, keep: bool = False) -> None:
        self.client.close(keep)
