"""The table as plain text or JSON, without any escape sequence."""

import json
import queue
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import TextIO

from recompyle.live.session import TEXT_COLUMNS, Line, Session
from recompyle.live.table import MIN_WIDTH, columns_for, fit, is_unicode, printable, text_of

__all__ = ["PERIOD", "Writer", "run"]

PERIOD = 2.0  # seconds between two tables
SLICE = 0.02  # seconds between two looks at what was typed


class Writer:
    """Writes what a session shows.

    Parameters:
        session: the session.
        out: where to.
        as_json: a snapshot as one line of JSON, not a table.
    """

    def __init__(self, session: Session, out: TextIO, as_json: bool = False):
        self._session, self._out, self._as_json = session, out, as_json
        self._encoding = getattr(out, "encoding", None) or "utf-8"
        self._unicode = is_unicode(self._encoding)
        self._written: dict[str, tuple[str, int | None, int]] = {}

    def table(self, whole: bool = False) -> None:
        """Write the rows that have changed since the last time.

        Parameters:
            whole: all rows.
        """
        if self._as_json:
            self._print(json.dumps(self._session.snapshot()))
            return
        whole = whole or not self._written
        rows = [line for line in self._session.lines if whole or self._written.get(line.path) != _key(line)]
        self._written.update((line.path, _key(line)) for line in rows)
        if rows:
            self._rows(rows)

    def _rows(self, rows: list[Line]) -> None:
        columns = columns_for(max(MIN_WIDTH, shutil.get_terminal_size().columns))
        totals = self._session.totals
        pid, count = self._session.source.pid, self._session.count
        self._print(f"pid {pid}  {totals['on']} on / {count}  hits {totals['hits']:,}")
        self._print(" ".join(fit(each.title, each.width, each.name not in TEXT_COLUMNS) for each in columns).rstrip())
        for line in rows:
            texts = [text_of(line, each.name, each.width, self._unicode) for each in columns]
            both = zip(texts, columns, strict=True)
            cells = [fit(text, each.width, each.name not in TEXT_COLUMNS) for text, each in both]
            self._print(" ".join(cells).rstrip())

    def messages(self) -> None:
        """Write what has been said meanwhile; with JSON to the standard error, so that the output stays JSON."""
        while self._session.messages:
            level, text = self._session.messages.popleft()
            shown = printable(f"error: {text}" if level == "error" else text)
            if self._as_json:
                print(shown, file=sys.stderr, flush=True)
            else:
                self._print(shown)

    def _print(self, text: str) -> None:
        print(text.encode(self._encoding, "backslashreplace").decode(self._encoding), file=self._out, flush=True)


def _key(line: Line) -> tuple[str, int | None, int]:
    return line.state, line.sample["calls"], line.sample["hits"]


def run(
    session: Session,
    out: TextIO | None = None,
    *,
    as_json: bool = False,
    once: bool = False,
    duration: float | None = None,
    lines: Iterable[str] = (),
    work: Callable[[float], object] = time.sleep,
) -> None:
    """Write tables, and carry out the lines that are read meanwhile, until the time is over or the program is gone.

    Parameters:
        session: what is shown.
        out: where to; None: the standard output.
        as_json: JSON, not tables.
        once: write one table at the end, no other.
        duration: seconds until it ends; None: 1 if there is but one table, else never.
        lines: see `Session.command`; their end is not that of the session.
        work: called with a few hundredths of a second again and again: what happens meanwhile.
    """
    writer = Writer(session, out or sys.stdout, as_json)
    typed: queue.SimpleQueue[str] = queue.SimpleQueue()
    if lines != ():
        threading.Thread(target=_read, args=(lines, typed), name="recompyle live input", daemon=True).start()
    end = time.monotonic() + (duration if duration is not None else 1.0 if once else float("inf"))
    sample = table = float("-inf")
    while (now := time.monotonic()) < end and session.gone is None:
        if now - sample >= 1 / session.hz:
            session.refresh()
            sample = now
        if not once and now - table >= PERIOD:
            writer.table()
            table = now
        work(min(SLICE, end - now))
        while not typed.empty():
            asked = session.command(typed.get())
            if asked == "quit":
                return
            if asked == "list":
                session.refresh()
                writer.table(whole=True)
        session.answers()
        writer.messages()
    session.refresh()
    writer.messages()
    writer.table(whole=once)


def _read(lines: Iterable[str], typed: "queue.SimpleQueue[str]") -> None:
    for line in lines:
        typed.put(line.strip())
