"""The table as plain text or JSON, without any escape sequence."""

import json
import shutil
from typing import TextIO

from recompyle.live.session import Line, Session
from recompyle.live.table import columns_for, fit, is_unicode, printable, text_of

__all__ = ["PERIOD", "Writer"]

PERIOD = 2.0  # seconds between two tables


class Writer:
    """Writes what a session shows.

    Parameters:
        session: the session.
        out: where to.
        as_json: a snapshot as one line of JSON, not a table.
    """

    def __init__(self, session: Session, out: TextIO, as_json: bool = False):
        self._session, self._out, self._as_json = session, out, as_json
        self._unicode = is_unicode(getattr(out, "encoding", None))
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
        columns = columns_for(max(60, shutil.get_terminal_size().columns))
        if rows:
            totals = self._session.totals
            self._print(f"pid {self._session.source.pid}  {totals['on']} on / {self._session.count}  hits {totals['hits']:,}")
            self._print(" ".join(fit(each.title, each.width, each.name not in ("state", "name")) for each in columns).rstrip())
        for line in rows:
            cells = (
                fit(text_of(line, each.name, each.width, self._unicode), each.width, each.name not in ("state", "name", "history"))
                for each in columns
            )
            self._print(" ".join(cells).rstrip())

    def messages(self) -> None:
        """Write what has been said meanwhile; with JSON nothing."""
        while self._session.messages:
            level, text = self._session.messages.popleft()
            if not self._as_json:
                self._print(printable(f"error: {text}" if level == "error" else text))

    def _print(self, text: str) -> None:
        print(text.encode(self._out.encoding or "ascii", "backslashreplace").decode(self._out.encoding or "ascii"), file=self._out, flush=True)


def _key(line: Line) -> tuple[str, int | None, int]:
    return line.state, line.row["calls"], line.row["hits"]
