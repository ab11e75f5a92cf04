"""What goes over the socket: one object of JSON a line, within limits.

Both sides treat what the other one sends as hostile. Everything is checked before it is used: its length before it is
kept, its depth before it is parsed, each field's type where it is read.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, TypeVar

from recompyle.live.registry import LARGEST, Row

__all__ = [
    "VERSION",
    "BadMessage",
    "Lines",
    "Message",
    "check_row",
    "decode",
    "encode",
    "field",
    "optional",
    "part",
    "shortened",
    "strings",
    "take_part",
]

VERSION = 1
NAME = "recompyle.live"

REQUEST_BYTES = 64 * 1024
ANSWER_BYTES = 2 * 1024 * 1024
DEPTH = 8
CLIENTS = 8
PROBES = 200
PAGE = 500  # rows in one message
PART_BYTES = 256 * 1024  # of rows in one message, and of the texts of one; so several fit into the queue of output
ROWS = 1_000_000  # that are taken of somebody who never comes to an end
HELLO_SECONDS = 2.0
REQUESTS_A_SECOND = 1000
ENDLESS = 16  # times the greatest length: a line that goes on for so long is another fault
QUEUE_BYTES = 1024 * 1024  # output that a client has not read
BAD_MESSAGES = 3  # of one client, then it is closed
LEASE_SECONDS = 5.0
HZ = 20
PATH_LENGTH = 1000

Message = dict[str, Any]
T = TypeVar("T")

# Strings are skipped, so that brackets in them do not count. One that has no end is skipped as a whole: to look for its
# end from each quote in it would take time by the square of its length.
_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


class BadMessage(ValueError):
    """What was sent is not according to the protocol; the text says how."""


class Lines:
    """Cuts a stream of bytes into lines, and never keeps more than one line of the greatest length.

    Parameters:
        limit: greatest length of a line in bytes.
    """

    def __init__(self, limit: int):
        self._limit = limit
        self._rest = bytearray()
        self._skips = False  # the rest of a line that was too long
        self._skipped = 0

    def feed(self, data: bytes) -> Iterator[bytes | None]:
        """Take in what has arrived.

        Parameters:
            data: some bytes.

        Returns:
            The lines that are complete now, without their ends; None for each that is too long, and again now and then
            for one that does not end.
        """
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            whole = not self._skips and len(self._rest) + end - start <= self._limit
            line = bytes(self._rest) + data[start:end] if whole else None
            if not self._skips:
                yield line
            self._rest.clear()
            self._skips, self._skipped, start = False, 0, end + 1
        if self._skips:
            self._skipped += len(data) - start
            if self._skipped > ENDLESS * self._limit:
                self._skipped = 0
                yield None
        elif len(self._rest) + len(data) - start > self._limit:
            self._rest.clear()
            self._skips = True
            yield None
        else:
            self._rest += data[start:]


def encode(message: Message) -> bytes:
    """One line; pure ASCII, so that no text can break it, half of a surrogate pair included."""
    return json.dumps(message, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"


def part(items: list[T]) -> list[T]:
    """The first items of a list, such as rows, that go into one message; none only if there are none."""
    chosen = items[:PAGE]
    while len(chosen) > 1 and len(json.dumps(chosen)) > PART_BYTES:
        chosen = chosen[: len(chosen) // 2]
    return chosen


def take_part(found: list[T], new: list[T], answer: Message) -> bool:
    """Add what one message brought, and look whether that was all.

    Parameters:
        found: what others have brought; it grows.
        new: what this one has.
        answer: the message; it tells the total.

    Raises:
        BadMessage: that has no end.
    """
    found += new
    if len(found) > ROWS:
        raise BadMessage(f"more than {ROWS} rows")
    return not new or len(found) >= field(answer, "total", int)


def shortened(text: str) -> str:
    """The beginning of a text, so long that two of them fit into one message, however its letters are written there."""
    while len(json.dumps(text)) > PART_BYTES // 2:
        text = text[: len(text) * 3 // 4]
    return text


def decode(line: bytes | None) -> Message:
    """A message from a line.

    Parameters:
        line: as `Lines` gives it.

    Raises:
        BadMessage: too long, too deep, no JSON, or no object.
    """
    if line is None:
        raise BadMessage("the message is too long")
    depth = 0
    for found in _BRACKETS.finditer(line):
        sign = found[0]
        depth += 1 if sign in (b"[", b"{") else -1 if sign in (b"]", b"}") else 0
        if depth > DEPTH:
            raise BadMessage(f"the message is nested more than {DEPTH} deep")
    try:
        message = json.loads(line.decode("utf-8"), parse_constant=_refuse_constant)
    except ValueError as error:
        raise BadMessage(f"no JSON: {error}") from None
    if type(message) is not dict:
        raise BadMessage("not an object")
    return message


def _refuse_constant(name: str) -> float:
    raise BadMessage(f"{name} is no number")


def field(message: Message, name: str, kind: type[T]) -> T:
    """A field that must be there.

    Parameters:
        message: the message.
        name: the field's name.
        kind: its type; ``float`` takes whole numbers too.

    Raises:
        BadMessage: it is missing, of another type, or a number that is not finite or takes more than 64 bits.
    """
    value: Any = message.get(name)
    if kind is float and type(value) is int and abs(value) < 1 << 53:
        value = float(value)
    is_finite = type(value) is not float or math.isfinite(value)
    if type(value) is int and abs(value) >= LARGEST:  # what is computed from it would not fit into a float
        raise BadMessage(f"{name}: the number is too large")
    if type(value) is not kind or not is_finite:
        raise BadMessage(f"{name}: expected {kind.__name__}, got {type(value).__name__}")
    return value


def optional(message: Message, name: str, kind: type[T], default: T) -> T:
    """A field that may be missing or null: the default then."""
    return default if message.get(name) is None else field(message, name, kind)


def strings(message: Message, name: str) -> list[str]:
    """A field that is a list of strings."""
    value = field(message, name, list)
    if not all(type(each) is str for each in value):
        raise BadMessage(f"{name}: expected strings")
    return value


def check_row(value: object) -> Row:
    """A row as it must be, whoever sent it.

    Raises:
        BadMessage: something is missing or of another type.
    """
    if type(value) is not dict:
        raise BadMessage("a row must be an object")
    row: Any = {
        name: field(value, name, str) for name in ("path", "kind", "flavor", "owner", "file", "state", "engine")
    }
    row.update(aliases=strings(value, "aliases"), notes=strings(value, "notes"))
    row.update({name: field(value, name, int) for name in ("line", "hits")})
    row.update({name: _or_none(value, name, int) for name in ("calls", "in_flight", "slot")})
    row.update(rate=None, last_hit_ms=None)  # the reader's own affair
    row["mode"] = _or_none(value, "mode", str)
    error = _or_none(value, "error", dict)
    row["error"] = None if error is None else {name: field(error, name, str) for name in ("slug", "text")}
    return row  # type: ignore[no-any-return]


def _or_none(message: Message, name: str, kind: type[T]) -> T | None:
    return None if message.get(name) is None else field(message, name, kind)
