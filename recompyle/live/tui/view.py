"""What the screen shows, as rows of cells: pure functions of a session, without a terminal."""

import textwrap
from collections.abc import Sequence

from recompyle.live.session import TEXT_COLUMNS, Line, Session
from recompyle.live.source import Details
from recompyle.live.table import (
    MIN_HEIGHT,
    MIN_WIDTH,
    Column,
    columns_for,
    fit,
    glyph,
    printable,
    shorten,
    text_of,
    width_of,
)

__all__ = ["Cell", "Row", "Table", "details", "header", "hint", "marker", "messages", "scrolled", "too_small", "total"]

Cell = tuple[str, str]  # text, and the name of its style
Row = tuple[Cell, ...]
MOST_MESSAGES = 5
HINTS = ("a path", "Enter instrument", "u restore", "d details", "/ filter", "? help", "q quit", "s sort")


def too_small(width: int, height: int) -> Row | None:
    """What a terminal that is too small shows; None if it is large enough."""
    if width >= MIN_WIDTH and height >= MIN_HEIGHT:
        return None
    return ((f"{width}x{height} is too small: {MIN_WIDTH}x{MIN_HEIGHT} at least"[:width], ""),)


def header(session: Session, width: int, unicode: bool) -> Row:
    """The first line: what is watched and how; on its right what is on."""
    source = session.source
    right = f"{total(session)} / {session.count} "
    parts = {"title": "recompyle live", "pid": f"pid {source.pid}", "python": f"python {source.python}"}
    flags = [f"{session.hz} Hz"]
    if session.column not in [each.name for each in columns_for(width)]:
        flags.append(f"by {session.column}{marker(session, unicode)}")
    if session.gone is not None:
        flags.append("gone")
    if session.paused:
        flags.append("frozen")
    if session.order_frozen:
        flags.append("order frozen")
    if session.filter:
        flags.append(f"filter: {printable(session.filter)}")
    room = width - width_of(right)
    for least in ("title", "python", "pid"):
        if sum(width_of(each) + 3 for each in (*parts.values(), *flags)) > room:
            del parts[least]
    left = " " + "   ".join((*parts.values(), *flags))
    return ((fit(shorten(left, room, ""), room), "head"), (right, "head"))


def total(session: Session) -> str:
    """How many functions are on, and how many wait."""
    totals = session.totals
    return f"{totals['pending']} pending, " * bool(totals["pending"]) + f"{totals['on']} on"


def marker(session: Session, unicode: bool) -> str:
    """Shows which way the lines are sorted."""
    return ("▲▼" if unicode else "^v")[session.descending]


def scrolled(top: int, at: int, height: int) -> int:
    """The first visible line that makes another line visible, as near as can be to what it was."""
    return max(min(top, at), at - height + 1)


class Table:
    """What part of the lines is visible, in which columns.

    Parameters:
        width: of both halves, in cells.
        height: without the heading.
        top: the first visible line, if there are enough.
        unicode: whether more than ASCII can be shown.
    """

    def __init__(self, session: Session, width: int, height: int, top: int, unicode: bool):
        self._session, self._unicode = session, unicode
        columns = columns_for(width)
        self.names, self.numbers = columns[:2], columns[2:]
        self.top = max(0, min(top, len(session.lines) - height))
        self._lines = session.lines[self.top : self.top + height]

    @property
    def numbers_width(self) -> int:
        """How wide the right half is."""
        return sum(1 + each.width for each in self.numbers)

    def left(self) -> list[Row]:
        """Heading, states and names: this half seldom changes."""
        return self._half(self.names)

    def right(self) -> list[Row]:
        """Heading and numbers."""
        return self._half(self.numbers)

    def column_at(self, x: int, right: bool) -> str:
        """The name of the column in which a cell of one half is."""
        columns = self.numbers if right else self.names
        end = 0
        for each in columns:
            end += len(_gap(each)) + each.width
            if x < end:
                break
        return each.name

    def _half(self, columns: Sequence[Column]) -> list[Row]:
        heading = tuple((_placed(self._title(each), each), "title") for each in columns)
        return [heading, *(tuple(self._cell(line, each) for each in columns) for line in self._lines)]

    def _title(self, column: Column) -> str:
        if column.name != self._session.column:
            return column.title
        return column.title[: column.width - 1] + marker(self._session, self._unicode)

    def _cell(self, line: Line, column: Column) -> Cell:
        text = text_of(line, column.name, column.width, self._unicode)
        style = line.state if column.name == "state" else ""
        return _placed(text, column), f"{style} selected" if line.path == self._session.selected else style


def _gap(column: Column) -> str:
    return "" if column.name == "state" else " "


def _placed(text: str, column: Column) -> str:
    return _gap(column) + fit(text, column.width, column.name not in TEXT_COLUMNS)


def messages(said: Sequence[tuple[str, str]], width: int) -> list[Row]:
    """What was said last, in a few lines at most.

    Parameters:
        said: pairs of level and text that belong together.
        width: in cells.
    """
    rows: list[Row] = [((f" {part}", level),) for level, text in said for part in _wrapped(text, width - 1, "  ")]
    if len(rows) > MOST_MESSAGES:
        rows[MOST_MESSAGES - 1 :] = [((" ...", "hint"),)]
    return rows or [()]


def _wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """A text in lines of some width at most; leading spaces stay, and so do words as long as they fit."""
    return textwrap.wrap(printable(text), max(1, width), subsequent_indent=indent, break_on_hyphens=False)


def hint(width: int) -> Row:
    """The last line while nothing is typed: as many keys as there is room for."""
    text = ""
    for each in HINTS:
        if len(text) + 3 + len(each) > width:
            break
        text += f"   {each}" if text else f" {each}"
    return ((text, "hint"),)


def details(shown: Details, line: Line | None, width: int, unicode: bool) -> list[Row]:
    """The screen of details.

    Parameters:
        shown: as gathered when it was opened.
        line: the newest numbers, if there are any.
        width: in cells; long facts take several lines.
        unicode: whether more than ASCII can be shown.
    """
    row = shown["row"] if line is None else line.row
    state = row["state"] if row["mode"] is None else f"{row['state']} ({row['mode']})"
    facts: dict[str, object] = {
        "state": f"{glyph(row['state'], unicode)} {state}",
        "kind": row["kind"] if row["flavor"] == "plain" else f"{row['flavor'].replace('_', ' ')}, {row['kind']}",
        "defined": row["file"] and f"{row['file']}, line {row['line']}",
        "owner": row["owner"],
        "also": ", ".join(row["aliases"]),
        "calls": "not counted by the program" if row["calls"] is None else f"{row['calls']:,}",
        "hits": f"{row['hits']:,}",
        "on old code": "not looked up" if row["in_flight"] is None else f"{row['in_flight']} frames",
        "engine": row["engine"],
    }
    if row["error"] is not None:
        facts[row["error"]["slug"]] = row["error"]["text"]
    told = [*((name, str(text)) for name, text in facts.items() if text), *(("note", note) for note in row["notes"])]
    rows: list[Row] = [
        ((f" {'' if number else name:<12}", "title"), (part, ""))
        for name, text in told
        for number, part in enumerate(_wrapped(text, width - 13))
    ]
    for title, text in (("code before" if shown["after"] else "code", shown["before"]), ("code after", shown["after"])):
        if text:
            lines = (_wrapped(each, width - 1, " " * 24) or [""] for each in text.splitlines())
            rows += [(), ((f" {title}", "title"),), *(((f" {part}", ""),) for parts in lines for part in parts)]
    return rows
