"""Puts new units between the old ones, and lets every jump find its target again."""

from bisect import bisect_left

from ..errors import NotRewritable
from . import facts
from .decode import Body, Instruction
from .points import Delegation

Units = dict[int, bytes]  # old unit: what is inserted there


class Layout:
    """The places of the old units among the new ones.

    At one old unit stand, in this order: what ``after`` holds for it, the label (where jumps to the unit
    land), what ``before`` holds, the prefixes that its jump came to need, the unit itself.

    Parameters:
        body: the code object.
        before: insertions on which jumps to the unit land.
        after: insertions which jumps to the unit skip.
        steered: the loops whose stand-in for SEND, the last unit of ``before[suspension]``, is to lead to the
            ``after`` of their exit.
    """

    def __init__(self, body: Body, before: Units, after: Units, steered: list[Delegation]):
        self._body = body
        self._before = before
        self._after = after
        self._steered = steered
        self.widened: dict[int, int] = {}  # first unit of a jump: prefixes it needs in addition
        self._jumps = [(jump, way) for jump in body.watched if (way := facts.JUMPS.get(jump.op))]
        self._measure()
        while self._widen():
            self._measure()

    def gap(self, unit: int) -> int:
        """The new place of the gap before an old unit: of all that is inserted there and of the unit."""
        return unit + self._shifts[bisect_left(self._spots, unit)]

    def label(self, unit: int) -> int:
        """The new place where jumps to an old unit land."""
        return self.gap(unit) + len(self._after.get(unit, b"")) // 2

    def placed(self, unit: int) -> int:
        """The new place of an old unit, with the prefixes that its jump came to need."""
        return self.label(unit) + len(self._before.get(unit, b"")) // 2

    def code(self) -> bytes:
        """The new code."""
        raw = bytearray(self._body.raw)
        prefixes: Units = {}
        for jump, way in self._jumps:
            arg = self._distance(jump, way)
            if arg != jump.arg:
                prefixes[jump.start] = self._write_arg(raw, jump, arg)
        before = {**self._before, **{loop.suspension: self._steer(loop) for loop in self._steered}}
        pieces: list[bytes | bytearray] = []
        done = 0
        for spot in self._spots:
            pieces.append(raw[2 * done : 2 * spot])
            pieces += [units.get(spot, b"") for units in (self._after, before, prefixes)]
            done = spot
        pieces.append(raw[2 * done :])
        return b"".join(pieces)

    def _measure(self) -> None:
        """Sum up what stands before each spot where something is inserted."""
        self._spots = sorted({*self._before, *self._after, *self.widened})
        self._shifts = [0]
        for spot in self._spots:
            inserted = len(self._before.get(spot, b"")) + len(self._after.get(spot, b""))
            self._shifts.append(self._shifts[-1] + inserted // 2 + self.widened.get(spot, 0))

    def _distance(self, jump: Instruction, way: int) -> int:
        target = self.label(jump.end + way * jump.arg)
        return way * (target - self.gap(jump.end))

    def _widen(self) -> bool:
        """Give prefixes to the jumps whose argument outgrew them. Never takes one away, so this ends."""
        changed = False
        for jump, way in self._jumps:
            room = jump.unit - jump.start + 1 + self.widened.get(jump.start, 0)
            need = (self._distance(jump, way).bit_length() + 7) // 8
            if need > room:
                self.widened[jump.start] = self.widened.get(jump.start, 0) + need - room
                changed = True
        return changed

    def _write_arg(self, raw: bytearray, jump: Instruction, arg: int) -> bytes:
        """Set a jump's argument, in place as far as it has units; returns the prefixes that come before."""
        extra = self.widened.get(jump.start, 0)
        digits = arg.to_bytes(extra + jump.unit - jump.start + 1, "big")
        raw[2 * jump.start + 1 : 2 * jump.unit + 2 : 2] = digits[extra:]
        return b"".join(bytes((facts.EXTENDED_ARG, digit)) for digit in digits[:extra])

    def _steer(self, loop: Delegation) -> bytes:
        """Aim the stand-in for SEND at what is inserted at the loop's exit."""
        units = self._before[loop.suspension]
        distance = self.gap(loop.exit) - self.label(loop.suspension) - len(units) // 2
        if distance > 255:
            raise NotRewritable(
                f"{self._body.code!r}: too many probes in a `yield from` loop", "send_distance"
            )
        return units[:-1] + bytes((distance,))
