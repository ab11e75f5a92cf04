"""The table as plain text or JSON, without any escape sequence."""

import json
import shutil
import sys
from typing import TextIO

from recompyle.live.session import Line, Session
from recompyle.live.table import MIN_WIDTH, columns_for, fit, is_unicode, printable, text_of

__all__ = ["PERIOD", "Writer"]

PERIOD = 2.0  # seconds between two tables
NUMBERS = ("calls", "hits", "rate", "last", "cost")  # to the right of their columns


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
        self._print(" ".join(fit(each.title, each.width, each.name in NUMBERS) for each in columns).rstrip())
        for line in rows:
            texts = [text_of(line, each.name, each.width, self._unicode) for each in columns]
            cells = [fit(text, each.width, each.name in NUMBERS) for text, each in zip(texts, columns, strict=True)]
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
    return line.state, line.row["calls"], line.row["hits"]
