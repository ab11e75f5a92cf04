"""Rows as text in columns: what fits a width, and names that cannot do harm."""

import sys
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from recompyle.live.session import Line

__all__ = ["Column", "columns_for", "fit", "glyph", "printable", "shorten", "text_of", "width_of"]

GLYPHS = {"off": "·", "on": "●", "pending": "◌", "refused": "\u00d7", "foreign": "!", "failed": "\u00d7"}
ASCII = {"off": "-", "on": "*", "pending": "?", "refused": "x", "foreign": "!", "failed": "x"}
BUSY = "~"  # applying, restoring
BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = "_.-=+*#@"
MIN_WIDTH, MIN_HEIGHT = 60, 12


class Column(NamedTuple):
    """One column.

    Attributes:
        name: as of `recompyle.live.session.COLUMNS`.
        title: its heading.
        width: in cells.
    """

    name: str
    title: str
    width: int


_STATE = Column("state", "", 1)
_NUMBERS = (
    (0, Column("calls", "Calls", 10)),
    (0, Column("hits", "Hits", 10)),
    (80, Column("rate", "Hits/s", 8)),
    (100, Column("last", "Last hit", 9)),
    (120, Column("cost", "Cost", 7)),
    (140, Column("history", "30 s", 30)),
)


def columns_for(width: int) -> list[Column]:
    """The columns that a width holds: state, name and numbers; the name gets what is left.

    Parameters:
        width: of the whole table, in cells.
    """
    numbers = [column for least, column in _NUMBERS if width >= least]
    left = width - _STATE.width - sum(1 + column.width for column in numbers) - 1
    return [_STATE, Column("name", "Qualified name", max(1, left)), *numbers]


def printable(text: str) -> str:
    """A text of the program's without anything that a terminal could take for an order, or that hides what it is."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_shown, text))


def _shown(char: str) -> str:
    # Cc: control, Cf: among them those that turn the direction, Cs: half of a pair, Zl and Zp: line ends.
    if unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def width_of(text: str) -> int:
    """How many cells a printable text takes."""
    return len(text) if text.isascii() else _wide(text)


@lru_cache(maxsize=1024)  # what is shown is shown again, and asked for more than once
def _wide(text: str) -> int:
    return sum(map(_cells, text))


def _cells(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def shorten(text: str, width: int, mark: str = "…") -> str:
    """A text cut in the middle, so that beginning and end stay; the end, where the function's name is, gets more."""
    if width_of(text) <= width:
        return text
    room = max(0, width - width_of(mark))
    tail = _cut(text[::-1], room - room // 3)[::-1]
    return _cut(text, room - width_of(tail)) + mark[:width] + tail


def _cut(text: str, width: int) -> str:
    """The beginning of a text that takes so many cells at most."""
    taken = 0
    for at, char in enumerate(text):
        taken += _cells(char)
        if taken > width:
            return text[:at]
    return text


def fit(text: str, width: int, right: bool = False) -> str:
    """A text as wide as its column."""
    width -= width_of(text) - len(text)
    return text.rjust(width) if right else text.ljust(width)


def is_unicode(encoding: str | None = None) -> bool:
    """Whether a terminal shows more than ASCII; None: the standard output."""
    encoding = encoding or getattr(sys.stdout, "encoding", None) or "ascii"
    return encoding.lower().replace("-", "").startswith("utf")


def glyph(state: str, unicode: bool = True) -> str:
    """The sign of a state, one cell wide."""
    return (GLYPHS if unicode else ASCII).get(state, BUSY)


@lru_cache(maxsize=1024)
def name_of(path: str, width: int, unicode: bool = True) -> str:
    """A path, at most so wide."""
    return shorten(printable(path), width, "…" if unicode else "...")


def text_of(line: Line, column: str, width: int, unicode: bool = True) -> str:
    """One cell, at most so wide.

    Parameters:
        line: the row.
        column: name of the column.
        width: the column's width.
        unicode: whether more than ASCII can be shown.
    """
    match column:
        case "state":
            return glyph(line.state, unicode)
        case "name":
            return name_of(line.path, width, unicode)
        case "calls":
            return "-" if line.calls is None else _number(line.calls, width)
        case "hits":
            return _number(line.hits, width)
        case "rate":
            return "-" if line.rate is None else _number(round(line.rate), width)
        case "last":
            return "-" if line.last is None else _ago(line.last)
        case "cost":
            return "-" if line.cost is None else f"{line.cost:.2%}"
        case _:
            return _bars(list(line.history)[-width:], unicode)


def _number(number: int, width: int) -> str:
    """A number with thousands set apart, shortened where it does not fit."""
    text = f"{number:,}"
    if len(text) <= width:
        return text
    for unit in "kMGTPE":
        number = round(number / 1000)
        if len(text := f"{number:,}{unit}") <= width:
            break
    return text


def _ago(seconds: float) -> str:
    if seconds < 1:
        return "now"
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.0f} h"


def _bars(values: Sequence[float], unicode: bool) -> str:
    signs = BARS if unicode else ASCII_BARS
    most = max(values, default=0) or 1
    return "".join(signs[min(len(signs) - 1, int(value / most * len(signs)))] if value else " " for value in values)
