"""What must hold of a written code object, checked against the original.

Reads both code objects on its own, one instruction at a time, so that a fault of the writer is not repeated
here. Meant for tests: it takes some milliseconds for a long function.
"""

import dis
import itertools
from collections.abc import Sequence
from types import CodeType
from typing import NamedTuple

from . import calls, exctable, facts, lines
from .decode import Instruction
from .edit import Edit

_CALLS = {dis.opmap[name] for name in ("CALL", "CALL_KW", "CALL_FUNCTION_EX") if name in dis.opmap}
_RETURNS = {facts.RETURN_VALUE, facts.RETURN_CONST}
_RETURN_GENERATOR = dis.opmap["RETURN_GENERATOR"]
_END_SEND = dis.opmap.get("END_SEND", -1)
_KEPT = (
    "co_name", "co_qualname", "co_filename", "co_firstlineno", "co_flags", "co_argcount", "co_kwonlyargcount",
    "co_posonlyargcount", "co_nlocals", "co_names", "co_varnames", "co_cellvars", "co_freevars",
)  # fmt: skip
_WAITED = ("awaited", "waited")
_NOWHERE = ("entry", "created", "unwind", "throw")  # kinds without a position
_AFTER = ("entry", "handler", "called", "resume")  # kinds that stand after their instruction


class _Mark(NamedTuple):
    """Inserted units in the gap before an old instruction."""

    gap: int  # number of the old instruction that follows
    start: int  # new units
    end: int
    kind: str  # of its edit; "steer" for the stand-in for SEND
    edit: Edit | None


class _Handler(NamedTuple):
    """A handler at the end of the new code: marks and a RERAISE."""

    start: int  # new units
    end: int
    edits: list[Edit]


class _Fault(Exception):
    """The new code cannot even be read along the old."""


def faults(original: CodeType, written: CodeType, edits: Sequence[Edit]) -> list[str]:
    """Everything that is wrong with a code object made by ``write``.

    Parameters:
        original: the code object given to ``write``.
        written: the one it returned.
        edits: the edits given; each must have a probe of its own.

    Returns:
        One text for each fault; empty if the writer did right.
    """
    if len({id(edit.probe) for edit in edits}) < len(edits):
        raise ValueError("two edits share a probe, so their marks cannot be told apart")
    try:
        check = _Check(original, written, edits)
    except _Fault as fault:
        return [str(fault)]
    return check.run()


def unpack(code: CodeType) -> list[Instruction]:
    """Every instruction of a code object, by stepping over caches."""
    raw = code.co_code
    found = []
    unit = start = arg = 0
    while 2 * unit < len(raw):
        op = raw[2 * unit]
        arg = arg << 8 | raw[2 * unit + 1]
        if op == facts.EXTENDED_ARG:
            unit += 1
            continue
        end = unit + 1 + facts.CACHES[op]
        found.append(Instruction(start, unit, op, arg, end))
        unit = start = end
        arg = 0
    return found


def deepest(code: CodeType) -> int:
    """The most stack slots in use on any way through the code.

    Raises:
        ValueError: a way takes more from the stack than is on it.
    """
    return _deepest(unpack(code), exctable.decode(code.co_exceptiontable))


def _deepest(instructions: list[Instruction], ranges: list[exctable.Range]) -> int:
    at_unit = {found.start: number for number, found in enumerate(instructions)}
    covering = _by_unit(ranges, instructions[-1].end)
    known: dict[int, int] = {}
    ways = [(0, 0)]
    most = 0
    while ways:
        number, depth = ways.pop()
        while known.get(number, -1) < depth:
            known[number] = depth
            found = instructions[number]
            most = max(most, depth)
            if handled := covering[found.unit]:
                ways.append((at_unit[handled.target], (handled.state >> 1) + (handled.state & 1) + 1))
            arg = found.arg if found.op in calls.WITH_ARG else None
            if (way := facts.JUMPS.get(found.op)) and found.op != facts.END_ASYNC_FOR:
                there = depth + dis.stack_effect(found.op, arg, jump=True)
                ways.append((at_unit[found.end + way * found.arg], there))
            if found.op in calls.FINAL:
                break
            depth += 1 if found.op == _RETURN_GENERATOR else dis.stack_effect(found.op, arg, jump=False)
            if depth < 0:
                raise ValueError(f"unit {found.unit} takes from an empty stack")
            number += 1
    return most


def _by_unit(ranges: list[exctable.Range], units: int) -> list[exctable.Range | None]:
    """The range that covers each unit."""
    covering: list[exctable.Range | None] = [None] * units
    for found in ranges:
        covering[found.start : found.end] = [found] * (found.end - found.start)
    return covering


class _Check:
    """One comparison.

    State: the old and new instructions, ``place`` (number of an old instruction to its new one), the marks,
    and the handlers at the end: that of ``unwind`` first, then those of ``throw``.
    """

    def __init__(self, original: CodeType, written: CodeType, edits: Sequence[Edit]):
        self.original = original
        self.written = written
        self.edits = edits
        self.old = unpack(original)
        self.new = unpack(written)
        self.number = {found.start: at for at, found in enumerate(self.old)}
        self.number[self.old[-1].end] = len(self.old)
        self.entry = 1 + next(at for at, found in enumerate(self.old) if found.op == facts.RESUME)
        self.old_ranges = exctable.decode(original.co_exceptiontable)
        self.new_ranges = exctable.decode(written.co_exceptiontable)
        self.unwinds = any(edit.site == "unwind" for edit in edits)
        self.place: list[Instruction] = []
        self.marks: list[_Mark] = []
        self.handlers: list[_Handler] = []
        self._align()
        # Old instructions that have a mark before them: where jumps to them must land.
        self.labels: dict[int, int] = {}
        for mark in self.marks:
            if mark.gap < len(self.old) and not self._is_after(mark):
                self.labels.setdefault(mark.gap, mark.start)
        self.found: list[str] = []

    def run(self) -> list[str]:
        self._attributes()
        self._instructions()
        self._completeness()
        self._jumps()
        self._handlers()
        self._positions()
        self._stack()
        return self.found

    def _fault(self, text: str) -> None:
        self.found.append(f"{self.original!r}: {text}")

    # Reading the new code along the old

    def _align(self) -> None:
        at = gap = 0
        while at < len(self.new):
            found = self.new[at]
            if self._loads_probe(at):
                at = self._mark(at, gap)
            elif facts.NULL_FIRST and found.op == facts.PUSH_NULL and self._loads_probe(at + 1):
                at = self._mark(at, gap, below=1)
            elif gap == len(self.old):
                marks = [mark for mark in self.marks if mark.gap == gap and mark.start >= self._end_of_handlers()]
                if not marks or (found.op, found.arg) != (facts.RERAISE, 1):
                    raise _Fault(f"{self.original!r}: unit {found.unit} is left over")
                edits = [mark.edit for mark in marks if mark.edit is not None]
                self.handlers.append(_Handler(marks[0].start, found.end, edits))
                at += 1
            elif self._is_steer(at, gap):
                send = self.new[at + 1]
                self.marks.append(_Mark(gap, found.start, send.end, "steer", None))
                at += 2
            else:
                self.place.append(found)
                gap += 1
                at += 1
        if gap < len(self.old) or self._end_of_handlers() < self.new[-1].end:
            raise _Fault(f"{self.original!r}: the new code ends too early")
        kinds = [{edit.site for edit in handler.edits} for handler in self.handlers]
        if kinds[: self.unwinds] != [{"unwind"}] * self.unwinds or any(k != {"throw"} for k in kinds[self.unwinds :]):
            raise _Fault(f"{self.original!r}: has handlers of {kinds} at its end")

    def _end_of_handlers(self) -> int:
        return self.handlers[-1].end if self.handlers else self.place[-1].end

    def _loads_probe(self, at: int) -> bool:
        found = self.new[at]
        return found.op == facts.LOAD_CONST and found.arg >= len(self.original.co_consts)

    def _mark(self, at: int, gap: int, below: int = 0) -> int:
        """Read one mark, with that many instructions ahead of its probe; returns the number of what is behind it."""
        first, at = at, at + below
        probe = self.written.co_consts[self.new[at].arg]
        edit = next((edit for edit in self.edits if edit.probe is probe), None)
        if edit is None:
            raise _Fault(f"{self.original!r}: loads an unknown probe {probe!r}")
        subscript = (facts.SUBSCRIPT, facts.SUBSCRIPT_ARG)
        if edit.form == "hook":
            added = range(len(self.original.co_consts), len(self.written.co_consts))
            argument = next((i for i in added if self.written.co_consts[i] is edit.argument), -1)
            text = [] if facts.NULL_FIRST else [(facts.PUSH_NULL, 0)]
            text += [(facts.LOAD_CONST, argument)]
            text += [(op, 1) for op in (facts.PRECALL, facts.CALL) if op >= 0] + [(facts.POP_TOP, 0)]
        elif edit.form == "statement":
            text = [(facts.UNARY_INVERT, 0), (facts.POP_TOP, 0)]
        elif edit.site == "return" and self.old[gap].op == facts.RETURN_CONST:
            text = [(facts.LOAD_CONST, self.old[gap].arg), subscript, (facts.POP_TOP, 0)]
        else:
            text = [(facts.SWAP, 2), subscript]
        end = at + 1 + len(text)
        needs_null = edit.form == "hook" and facts.NULL_FIRST
        if [(found.op, found.arg) for found in self.new[at + 1 : end]] != text or needs_null != bool(below):
            raise _Fault(f"{self.original!r}: a mark of {edit.site!r} is garbled")
        self.marks.append(_Mark(gap, self.new[first].start, self.new[end - 1].end, edit.site, edit))
        return end

    def _is_steer(self, at: int, gap: int) -> bool:
        return (
            facts.THROW_READS_SEND
            and self.old[gap].op == facts.YIELD_VALUE
            and (self.new[at].op, self.new[at].arg) == (facts.JUMP_FORWARD, 1)
        )

    def _is_after(self, mark: _Mark) -> bool:
        """Whether a mark belongs to the instruction before it."""
        if mark.kind == "resume":
            return mark.gap == len(self.old) or self.old[mark.gap].op != facts.CLEANUP_THROW
        if mark.kind in _WAITED:
            return not facts.THROW_READS_SEND
        return mark.kind in _AFTER

    def _label(self, gap: int) -> int:
        """Where jumps to an old instruction must land."""
        return self.labels.get(gap, self.place[gap].start)

    # The checks

    def _attributes(self) -> None:
        for name in _KEPT:
            if getattr(self.original, name) != getattr(self.written, name):
                self._fault(f"{name} changed")
        kept = self.written.co_consts[: len(self.original.co_consts)]
        if any(a is not b for a, b in zip(self.original.co_consts, kept, strict=True)):
            self._fault("constants changed")

    def _instructions(self) -> None:
        for old, new in zip(self.old, self.place, strict=True):
            arg = old.arg
            if old.op == facts.RESUME and self.unwinds:
                arg &= ~facts.DEPTH_ONE
            if old.op != new.op or (old.op not in facts.JUMPS and arg != new.arg):
                self._fault(
                    f"unit {old.unit}: {dis.opname[old.op]} {old.arg} became {dis.opname[new.op]} {new.arg}"
                )
            if new.unit - new.start < old.unit - old.start or new.end - new.unit != old.end - old.unit:
                self._fault(f"unit {old.unit}: prefixes or caches lost")
            if any(self.written.co_code[2 * new.unit + 2 : 2 * new.end]):
                self._fault(f"unit {old.unit}: caches are not zero")
        kept = {found.unit for found in self.place}
        for found in self.new:
            if found.unit not in kept and any(self.written.co_code[2 * found.unit + 2 : 2 * found.end]):
                self._fault(f"new unit {found.unit}: caches of a mark are not zero")

    def _completeness(self) -> None:
        """Each edit stands at exactly the gaps that its kind asks for, in the order of the edits."""
        all_gaps: dict[int, list[int]] = {id(edit): [] for edit in self.edits}
        for mark in self.marks:
            if mark.edit:
                all_gaps[id(mark.edit)].append(mark.gap)
        for edit in self.edits:
            if edit.site == "throw":
                continue  # see _thrown
            gaps = all_gaps[id(edit)]
            expected = self._expected(edit.site, edit.include_implicit or edit.index is not None)
            if len(gaps) != len(set(gaps)) or not set(gaps) <= expected:
                self._fault(f"{edit.site!r} stands at {gaps}, not at {sorted(expected)}")
            if not self._is_limited(edit) and set(gaps) != expected:
                self._fault(f"{edit.site!r} is missing at {sorted(expected - set(gaps))}")
        rank = {id(edit): (edit.form == "hook", number) for number, edit in enumerate(self.edits)}
        for mark, following in itertools.pairwise(mark for mark in self.marks if mark.edit):
            together = (mark.gap, mark.kind) == (following.gap, following.kind)
            if mark.kind == "throw":  # they all stand at the end, a block for each place
                together = mark.end == following.start
            if together and rank[id(mark.edit)] > rank[id(following.edit)]:
                self._fault(f"marks of {mark.kind!r} at {mark.start} are out of order")

    def _is_limited(self, edit: Edit) -> bool:
        """Whether it may stand at some of the sites of its kind only."""
        named = edit.index is not None or edit.lines is not None or edit.where is not None
        return named or (edit.site in ("call", "called") and not edit.include_implicit)

    def _expected(self, kind: str, implicit: bool) -> set[int]:
        """The gaps of a kind; of ``yield`` and ``resume`` those of awaits only if ``implicit``."""
        old = self.old
        at = range(len(old))
        if kind == "entry":
            return {self.entry}
        if kind == "unwind":
            return {len(old)}
        if kind == "return":
            return {n for n in at if old[n].op in _RETURNS}
        if kind == "created":
            return {n for n in at if old[n].op == _RETURN_GENERATOR}
        if kind == "called":
            return {n + 1 for n in at if old[n].op in _CALLS}
        if kind == "call":
            return {self._group(n) for n in at if old[n].op in _CALLS}
        if kind == "handler":
            return {n + 1 for n in at if old[n].op == facts.PUSH_EXC_INFO}
        if kind == "leaving":
            call = facts.CALL_INTRINSIC_1, facts.STOPITERATION_ERROR
            return {n for n in at if (old[n].op, old[n].arg) == call}
        if kind == "async_end":
            return {n for n in at if old[n].op == facts.END_ASYNC_FOR}
        if kind in ("await", "awaited"):
            explicit = {n for n in at if old[n].op == facts.GET_AWAITABLE and not old[n].arg}
            return explicit if kind == "await" else {self._loop_end(n) for n in explicit}
        awaits = {
            n for n in at if old[n].op == facts.GET_ANEXT or (old[n].op == facts.GET_AWAITABLE and old[n].arg)
        }
        if kind == "waiting":
            return awaits
        if kind == "waited":
            return {self._loop_end(n) for n in awaits}
        after = (1, 2, 3) if implicit and not facts.THROW_READS_SEND else (1, 2)
        own = {n for n in at if old[n].op == facts.YIELD_VALUE and old[n + 1].arg & facts.PLACE_MASK in after}
        if kind == "yield":
            return own
        delegating = {n for n in own if old[n + 1].arg & facts.PLACE_MASK == 2}
        if facts.THROW_READS_SEND:
            thrown = {n + 3 for n in delegating}
        else:
            covering = _by_unit(self.old_ranges, old[-1].end)
            thrown = {self.number[found.target] for n in delegating if (found := covering[old[n].unit])}
        return {n + 2 for n in own} | thrown

    def _group(self, call: int) -> int:
        """The first instruction of a call's group."""
        while self.old[call - 1].op in (facts.KW_NAMES, facts.PRECALL):
            call -= 1
        return call

    def _loop_end(self, await_: int) -> int:
        """The gap behind the send loop of an implicit await."""
        send = next(n for n in range(await_, len(self.old)) if self.old[n].op == facts.SEND)
        end = self.number[self.old[send].end + self.old[send].arg]
        if facts.THROW_READS_SEND:
            return end
        if self.old[end].op != _END_SEND:
            self._fault(f"unit {self.old[send].unit}: SEND does not lead to END_SEND")
        return end + 2 if self.old[end + 1].op == facts.NOT_TAKEN else end + 1

    def _jumps(self) -> None:
        for old, new in zip(self.old, self.place, strict=True):
            if way := facts.JUMPS.get(old.op):
                target = self._label(self.number[old.end + way * old.arg])
                if new.end + way * new.arg != target:
                    self._fault(f"unit {old.unit}: jumps to {new.end + way * new.arg}, not to {target}")
        for mark in self.marks:
            if mark.kind == "steer":
                send = next(found for found in self.new if found.end == mark.end)
                resumes = [m.start for m in self.marks if m.gap == mark.gap + 3 and m.kind == "resume"]
                if (
                    send.end + send.arg != min(resumes, default=self._label(mark.gap + 3))
                    or send.start != send.unit
                ):
                    self._fault(f"unit {send.unit}: the stand-in for SEND leads astray")
            elif facts.THROW_READS_SEND and mark.kind == "yield" and self.old[mark.gap + 1].arg == 2:
                before = next(found for found in self.new if found.end == self.place[mark.gap].start)
                if before.op != facts.SEND:
                    self._fault(f"unit {mark.start}: a mark between SEND and YIELD_VALUE")

    def _handlers(self) -> None:
        last = 0
        for found in self.new_ranges:
            if not last <= found.start < found.end:
                self._fault(f"exception ranges are out of order at {found}")
            last = found.end
        unwind = self.handlers[0].start if self.unwinds else None
        marked = {mark.gap for mark in self.marks if mark.kind == "return"}
        before = _by_unit(self.old_ranges, self.old[-1].end)
        now = [
            (found.target, found.state) if found else None
            for found in _by_unit(self.new_ranges, self.new[-1].end)
        ]
        expected: list[tuple[int, int] | None] = []
        for number, old in enumerate(self.old):
            covered = before[old.unit]
            if covered:
                expected.append((self._label(self.number[covered.target]), covered.state))
            elif unwind is not None and number >= self.entry and number not in marked:
                expected.append((unwind, 1))
            else:
                expected.append(None)
        thrown = self._thrown(now, expected)
        checks = [(new.start, new.end, thrown.get(n, expected[n])) for n, new in enumerate(self.place)]
        for mark in self.marks:
            if mark.gap < len(self.old):
                checks.append((mark.start, mark.end, expected[mark.gap - self._is_after(mark)]))
        if self.unwinds:
            checks.append((self.handlers[0].start, self.handlers[0].end, None))
        for start, end, handled in checks:
            if set(now[start:end]) != {handled}:
                self._fault(f"new units {start} to {end} are handled by {now[start:end]}, not by {handled}")

    def _thrown(
        self, now: list[tuple[int, int] | None], expected: list[tuple[int, int] | None]
    ) -> dict[int, tuple[int, int]]:
        """What handles each instruction at which a thrown exception surfaces, if a `throw` stands there.

        Those handlers pass on to what handles the instruction otherwise; that is checked here.
        """
        handled = {}
        by_start = {handler.start: handler for handler in self.handlers[self.unwinds :]}
        used = set()
        seen: dict[int, list[Edit]] = {}  # the YIELD_VALUE, and in 3.11 the jump back, to what stands there
        for number in self._surfaces():
            to, otherwise = now[self.place[number].unit], expected[number]
            if to is None or to[0] not in by_start:
                seen[number] = []
                continue
            handler = by_start[to[0]]
            used.add(to[0])
            seen[number] = handler.edits
            handled[number] = handler.start, (otherwise[1] >> 1 if otherwise else 0) << 1 | 1
            if set(now[handler.start : handler.end]) != {otherwise}:
                self._fault(f"the handler at {handler.start} does not lead to {otherwise}")
        for edit in self.edits:
            there = [number for number, edits in seen.items() if any(each is edit for each in edits)]
            if edit.site == "throw" and not self._is_limited(edit) and len(there) < len(seen):
                self._fault(f"'throw' is missing at {sorted(set(seen) - set(there))}")
        if used != set(by_start):
            self._fault(f"nothing leads to the handlers at {sorted(set(by_start) - used)}")
        return handled

    def _surfaces(self) -> list[int]:
        """The instructions at which a thrown exception surfaces."""
        old = self.old
        found = [n for n in range(len(old)) if old[n].op == facts.YIELD_VALUE]
        if facts.THROW_READS_SEND:
            found += [n + 2 for n in found if old[n + 2].op == facts.JUMP_BACKWARD_NO_INTERRUPT]
        return found

    def _positions(self) -> None:
        old = list(self.original.co_positions())
        new = list(self.written.co_positions())
        if len(new) != len(self.written.co_code) // 2:
            self._fault("the location table does not cover the code")
            return
        for before, after in zip(self.old, self.place, strict=True):
            widened = (after.unit - after.start) - (before.unit - before.start)
            silent = self.original.co_code[2 * before.start] == facts.END_ASYNC_FOR
            prefix = lines.NOWHERE if silent else old[before.start]
            expected = [prefix] * widened + old[before.start : before.end]
            if new[after.start : after.end] != expected:
                self._fault(f"unit {before.unit}: its positions changed")
        for mark in self.marks:
            if mark.edit is not None and mark.edit.form == "hook":
                position = old[self.old[mark.gap].start]
            elif mark.kind in _NOWHERE or (mark.kind == "async_end" and facts.HANDLERS_START_LINES):
                position = lines.NOWHERE
            elif mark.kind in _WAITED:
                position = old[self.old[mark.gap].start]
            else:
                neighbour = self.old[mark.gap - self._is_after(mark)]
                position = old[neighbour.end - 1 if self._is_after(mark) else neighbour.start]
            there = set(new[mark.start : mark.end])
            if there != {position}:
                self._fault(f"{mark.kind!r} at {mark.start}: has positions {there}, not {position}")
        if set(new[self.place[-1].end :]) - {lines.NOWHERE}:
            self._fault("the handlers at the end have positions")

    def _stack(self) -> None:
        most = _deepest(self.new, self.new_ranges)
        if most > self.written.co_stacksize:
            self._fault(f"uses {most} stack slots of {self.written.co_stacksize}")
