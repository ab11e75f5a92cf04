"""The exception table: which stretch of code is covered by which handler.

Four varints a range: start, length, target, ``depth << 1 | lasti``. Six bits a byte, highest group first;
0x40 says that more follow, 0x80 marks the first byte of a range. Ranges are sorted and do not overlap.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple


class Range(NamedTuple):
    """Units ``start`` to ``end`` (exclusive) are covered by the handler at ``target``."""

    start: int
    end: int
    target: int
    state: int  # depth << 1 | lasti


def decode(table: bytes) -> list[Range]:
    """Read ``co_exceptiontable``.

    Raises:
        ValueError: it ends within a range.
    """
    numbers = []
    value = 0
    for byte in table:
        value = value << 6 | byte & 0x3F
        if not byte & 0x40:
            numbers.append(value)
            value = 0
    return [
        Range(start, start + length, target, state)
        for start, length, target, state in zip(*(numbers[at::4] for at in range(4)), strict=True)
    ]


def encode(ranges: Iterable[Range]) -> bytes:
    """Write ``co_exceptiontable`` from ranges in order."""
    table = bytearray()
    for start, end, target, state in ranges:
        first = len(table)
        for value in (start, end - start, target, state):
            if value > 0x3F:
                for shift in range((value.bit_length() - 1) // 6 * 6, 0, -6):
                    table.append(value >> shift & 0x3F | 0x40)
            table.append(value & 0x3F)
        table[first] |= 0x80
    return bytes(table)


def handler(ranges: Iterable[Range], unit: int) -> int | None:
    """The unit where an exception raised at ``unit`` is handled, or None."""
    for found in ranges:
        if found.start <= unit < found.end:
            return found.target
    return None


def move(ranges: Iterable[Range], label: Callable[[int], int]) -> list[Range]:
    """The ranges after an insertion; ``label`` gives the new place of a unit."""
    return [Range(label(start), label(end), label(target), state) for start, end, target, state in ranges]


def uncovered(covered: Iterable[tuple[int, int]], first: int, last: int) -> Iterator[tuple[int, int]]:
    """The stretches between ``first`` and ``last`` that no ``(start, end)`` of ``covered`` touches."""
    for start, end in sorted(covered):
        if first < start:
            yield first, start
        first = max(first, end)
    if first < last:
        yield first, last
