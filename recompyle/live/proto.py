"""What goes over the socket: one object of JSON a line, within limits.

Both sides treat what the other one sends as hostile. Everything is checked before it is used: its length before it is
kept, its depth before it is parsed, each field's type where it is read.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from recompyle.live.record import LARGEST, Row
from recompyle.patch import slices

__all__ = [
    "VERSION",
    "BadMessage",
    "Lines",
    "Message",
    "Part",
    "check_row",
    "decode",
    "encode",
    "field",
    "items_json",
    "optional",
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
PAGE = 500  # items of something long in one message
PART_BYTES = 256 * 1024  # of such items, and of the texts of one message; so several fit into the queue of output
ROWS = 1_000_000  # that are taken of somebody who never comes to an end
HELLO_SECONDS = 2.0
REQUESTS_A_SECOND = 1000
ENDLESS = 16  # times the greatest length: a line that goes on for so long is another fault
BATCH = 32  # such items that are written at once
QUEUE_BYTES = 1024 * 1024  # output that a client has not read
BAD_MESSAGES = 3  # of one client, then it is closed
LEASE_SECONDS = 5.0
HZ = 20
PATH_LENGTH = 1000

Message = dict[str, Any]
T = TypeVar("T")

_SQUARE = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


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


_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def items_json(items: list[Any]) -> str:
    """Items of a list, as they stand between its brackets."""
    return _json(items)[1:-1]


class Part(list[T]):
    """The first items of something long, such as rows, that go into one message; none only if there are none.

    Parameters:
        items: all of them.
        make: makes what goes into the message of some of them, as many; it may be asked more than once for one.
        limit: how many are wanted at most.
        write: writes what was made, as JSON without the brackets around it.
        step: how many are made and written at once, while all other threads wait.

    Attributes:
        json: the items as they stand in the message, written once.
    """

    def __init__(
        self,
        items: Sequence[Any],
        make: Callable[[Sequence[Any]], list[T]] = list,
        limit: int = PAGE,
        write: Callable[[list[T]], str] = items_json,
        step: int = BATCH,
    ):
        super().__init__()
        self.json = ""
        limit, largest = min(limit, PAGE, len(items)), 0
        while len(self) < limit and len(self.json) + largest <= PART_BYTES:
            batch = make(items[len(self) : min(len(self) + step, limit)])
            text = write(batch)
            largest = max(largest, len(text))
            if len(self.json) + len(text) <= PART_BYTES or (not self and len(batch) == 1):
                self += batch
                self.json += "," + text if self.json else text
            elif self:
                break
            else:
                step, largest = len(batch) // 2, 0
            if len(self) > step or len(self) < limit:  # one step alone takes less than it takes to give way
                slices.between()


def encode(message: Message) -> bytes:
    """One line; pure ASCII, so that no text can break it, half of a surrogate pair included.

    Parameters:
        message: the message. Not all of its fields are a `Part`.
    """
    line = _json({name: value for name, value in message.items() if type(value) is not Part})
    for name, value in message.items():
        if type(value) is Part:
            line = f'{line[:-1]},"{name}":[{value.json}]}}'
    return line.encode("ascii") + b"\n"


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
    if _is_deep(line):
        raise BadMessage(f"the message is nested more than {DEPTH} deep")
    try:
        message = json.loads(line.decode("utf-8"), parse_constant=_refuse_constant)
    except ValueError as error:
        raise BadMessage(f"no JSON: {error}") from None
    if type(message) is not dict:
        raise BadMessage("not an object")
    return message


def _is_deep(line: bytes) -> bool:
    """Whether brackets are nested too deep, in time by the length, whatever the line is."""
    outside = line.replace(rb"\\", b"").replace(rb"\"", b"").split(b'"')[::2]  # of strings
    brackets = b"".join(outside).translate(_SQUARE, _NO_BRACKETS)
    for _ in range(DEPTH):
        brackets = brackets.replace(b"[]", b"")  # those with nothing in them any more
    return b"[]" in brackets or brackets.count(b"[") > DEPTH


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
