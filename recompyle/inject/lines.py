"""The location table: which line and columns each unit came from.

An entry covers 1 to 8 units. Its first byte is ``0x80 | form << 3 | (units - 1)``, and no other byte has
0x80 set. Forms 0 to 9 stay on the line; 10 to 12 step 0 to 2 lines; 13 has a line and no columns; 14 has
all four numbers; 15 has no location. Varints: six bits a byte, lowest group first, 0x40 says more follow.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from types import CodeType

from ..errors import NotRewritable

_ENTRY = re.compile(rb"[\x80-\xff][\x00-\x7f]*")
_CUT_SHORT = re.compile(rb"[\xe8-\xf7][\x40-\x7f]*(?![\x00-\x7f])")  # form 13 or 14 whose step in lines has no end
_SILENT = 15  # form of an entry without location
_MOST = 8  # units that one entry can cover

Position = tuple[int | None, int | None, int | None, int | None]  # line, end line, column, end column
NOWHERE: Position = (None, None, None, None)


def grow(
    code: CodeType, units: int, located: Iterable[tuple[int, int]], silent: dict[int, int], tail: int
) -> bytes:
    """The location table after an insertion.

    Most new units take the location of a neighbour, so its entry just becomes longer. Units without location
    need entries of their own, and may split one.

    Parameters:
        code: the code object before the insertion.
        units: its length.
        located: ``(unit, count)``: so many new units share the location of that unit.
        silent: ``{unit: count}``: so many new units without location stand before that unit.
        tail: so many units without location stand at the end.

    Raises:
        NotRewritable: the table does not cover the code, or an entry is cut short.
    """
    entries = _ENTRY.findall(code.co_linetable)
    ends = list(accumulate([(entry[0] & 7) + 1 for entry in entries]))
    if not ends or ends[-1] != units:
        raise _refusal(code, "does not cover its code")
    if _CUT_SHORT.search(code.co_linetable):
        raise _refusal(code, "has an entry that is cut short")
    for unit in silent:
        which = bisect_right(ends, unit)
        entry, size = entries[which], (entries[which][0] & 7) + 1
        below = ends[which] - unit
        if below < size:
            entries[which : which + 1] = _resized(entry, size - below), _resized(_again(entry), below)
            ends.insert(which, unit)
    more: dict[int, int] = {}
    for unit, count in located:
        which = bisect_right(ends, unit)
        more[which] = more.get(which, 0) + count
    for which, count in more.items():
        entries[which] = _resized(entries[which], (entries[which][0] & 7) + 1 + count)
    for unit, count in silent.items():
        which = bisect_right(ends, unit)
        entries[which] = _silent(count) + entries[which]
    return b"".join(entries) + _silent(tail)


def positions(code: CodeType, units: Iterable[int]) -> dict[int, Position]:
    """The positions of some units. Columns count bytes of UTF-8, as everywhere in code objects.

    Raises:
        NotRewritable: the table does not reach that far, or an entry before is cut short.
    """
    wanted = sorted(units)
    found: dict[int, Position] = {}
    line, end, asked = code.co_firstlineno, 0, 0
    for entry in _ENTRY.findall(code.co_linetable):
        if asked == len(wanted):
            break
        end += (entry[0] & 7) + 1
        try:
            line += _line_delta(entry)
            while asked < len(wanted) and wanted[asked] < end:
                found[wanted[asked]] = _position(entry, line)
                asked += 1
        except (IndexError, ValueError):
            raise _refusal(code, "has an entry that is cut short") from None
    if asked < len(wanted):
        raise _refusal(code, "does not cover its code")
    return found


def _refusal(code: CodeType, why: str) -> NotRewritable:
    return NotRewritable(f"{code!r}: its location table {why}", "location_table")


def _form(entry: bytes) -> int:
    return entry[0] >> 3 & 15


def _resized(entry: bytes, units: int) -> bytes:
    """The entry, covering that many units, with more entries of the same location where one is too few."""
    if units <= _MOST:
        return bytes((entry[0] & 0xF8 | units - 1,)) + entry[1:]
    again = _again(entry)
    rest = b"".join(_resized(again, min(_MOST, units - done)) for done in range(_MOST, units, _MOST))
    return _resized(entry, _MOST) + rest


def _again(entry: bytes) -> bytes:
    """An entry that repeats the location of ``entry`` right behind it: the same, with no step in lines."""
    form = _form(entry)
    if form < 10 or form == _SILENT:
        return entry
    if form < 13:
        return bytes((0x80 | 10 << 3 | entry[0] & 7,)) + entry[1:]
    delta_end = next(at for at, byte in enumerate(entry) if at and not byte & 0x40) + 1
    return entry[:1] + b"\0" + entry[delta_end:]


def _silent(units: int) -> bytes:
    if not units:
        return b""
    return _resized(bytes((0x80 | _SILENT << 3,)), units)


def _varints(data: bytes) -> list[int]:
    numbers = []
    value = shift = 0
    for byte in data:
        value |= (byte & 0x3F) << shift
        shift += 6
        if not byte & 0x40:
            numbers.append(value)
            value = shift = 0
    return numbers


def _line_delta(entry: bytes) -> int:
    form = _form(entry)
    if form < 10 or form == _SILENT:
        return 0
    if form < 13:
        return form - 10
    delta = _varints(entry[1:])[0]
    return -(delta >> 1) if delta & 1 else delta >> 1


def _position(entry: bytes, line: int) -> Position:
    form = _form(entry)
    if form < 10:
        column = form * 8 + (entry[1] >> 4)
        return line, line, column, column + (entry[1] & 15)
    if form < 13:
        return line, line, entry[1], entry[2]
    if form == 13:
        return line, line, None, None
    if form == 14:
        _, lines, column, end_column = _varints(entry[1:])
        return line, line + lines, column - 1 if column else None, end_column - 1 if end_column else None
    return NOWHERE
