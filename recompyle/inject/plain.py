"""The writer in plain Python: edits in, new code object out.

It says what is right. `recompyle.inject._fast` does the same some ten times faster where it can, and leaves the rest,
errors included, to this one.
"""

from collections.abc import Sequence
from types import CodeType

from . import exctable, facts, lines
from .decode import Body, decode
from .edit import Edit, matches
from .insert import Layout, Units
from .points import CALLS, find

_POP_TOP = bytes((facts.POP_TOP, 0))
_SUBSCRIPT = facts.units(facts.SUBSCRIPT, facts.SUBSCRIPT_ARG)
_CALL_WITH_ONE = b"".join(facts.units(op, 1) for op in (facts.PRECALL, facts.CALL) if op >= 0)
RERAISE = bytes((facts.RERAISE, 1))
SKIP = bytes((facts.JUMP_FORWARD, 1, facts.SEND, 0))  # over a SEND that never runs: it is there for throw() to read
HOOK_NEEDS = 3  # slots of the stack
_LASTI = 1  # state of a handler: stack emptied, position of the exception kept for RERAISE


def write(code: CodeType, edits: Sequence[Edit]) -> CodeType:
    """As `recompyle.inject.write`."""
    for edit in edits:
        if not isinstance(edit, Edit):
            raise TypeError(f"an Edit is needed, not {type(edit).__name__}")
    body = decode(code)
    places, delegations = find(body, with_calls=any(edit.site in CALLS for edit in edits))
    constants = Constants(code)
    before: Units = {}
    after: Units = {}
    tail = b""
    need = 0
    located: list[tuple[int, int]] = []  # unit, and how many new units share its location
    silent: dict[int, int] = {}  # unit, and how many new units ahead of it have no location
    uncovered: list[tuple[int, int]] = []  # returns whose run has ended when an exception could arise
    thrown: dict[tuple[int, int], bytes] = {}  # the instruction where it surfaces: what is to see it first
    for place, edit in matches(body, places, edits):
        units, slots = text(edit, constants, place.constant)
        need = max(need, slots)
        if place.kind == "unwind":
            tail += units
        elif place.kind == "throw":
            thrown[place.at, place.unit + 1] = thrown.get((place.at, place.unit + 1), b"") + units
        else:
            where = after if place.after else before
            where[place.at] = where.get(place.at, b"") + units
            if edit.form == "hook":
                located.append((place.at, len(units) // 2))
            elif place.like is None:
                silent[place.at] = silent.get(place.at, 0) + len(units) // 2
            else:
                located.append((place.like, len(units) // 2))
        if place.kind == "return":
            uncovered.append((place.at, place.unit + 1))
    steered = [loop for loop in delegations if loop.suspension in before or loop.exit in after]
    for loop in steered:
        before[loop.suspension] = before.get(loop.suspension, b"") + SKIP
        located.append((loop.suspension, len(SKIP) // 2))
    layout = Layout(body, before, after, steered)
    written = layout.code()
    ranges = exctable.move(body.ranges, layout.label)
    stack = code.co_stacksize + need
    if tail:
        tail += RERAISE
        written = _visible_to_close(body, layout, written)
        ranges = _catch_all(body, layout, ranges, uncovered)
        stack = max(stack, 3)  # position, exception, probe
    if thrown:
        placed = [(layout.placed(start), layout.gap(end), text) for (start, end), text in sorted(thrown.items())]
        ranges, blocks, depth = catch_thrown(ranges, placed, (len(written) + len(tail)) // 2)
        tail += blocks
        stack = max(stack, depth + 3)
    for unit, count in layout.widened.items():
        if body.ops[unit] == facts.END_ASYNC_FOR:
            silent[unit] = silent.get(unit, 0) + count  # see facts.HANDLERS_START_LINES
        else:
            located.append((unit, count))
    return code.replace(
        co_code=written + tail,
        co_consts=constants.all(),
        co_linetable=lines.grow(code, len(body.ops), located, silent, len(tail) // 2),
        co_exceptiontable=exctable.encode(ranges),
        co_stacksize=stack,
    )


class Constants:
    """The constants of the new code: the old ones, then each probe once. None is ever hashed or compared."""

    def __init__(self, code: CodeType):
        self._old = code.co_consts
        self._probes: list[object] = []
        self._index: dict[int, int] = {}  # by identity

    def load(self, probe: object) -> bytes:
        """The instruction that puts a probe on the stack. Nothing else knows how probes are reached."""
        index = self._index.get(id(probe))
        if index is None:
            index = self._index[id(probe)] = len(self._old) + len(self._probes)
            self._probes.append(probe)
        return load_const(index)

    def all(self) -> tuple[object, ...]:
        return (*self._old, *self._probes)


def text(edit: Edit, constants: Constants, returned: int | None) -> tuple[bytes, int]:
    """The units of a mark, and how many stack slots it needs; ``returned`` is the constant of a RETURN_CONST."""
    load = constants.load(edit.probe)
    if edit.form == "hook":
        null = bytes((facts.PUSH_NULL, 0))
        callee = null + load if facts.NULL_FIRST else load + null
        return callee + constants.load(edit.argument) + _CALL_WITH_ONE + _POP_TOP, HOOK_NEEDS
    if edit.form == "statement":
        return load + bytes((facts.UNARY_INVERT, 0)) + _POP_TOP, 1
    if returned is not None:
        # RETURN_CONST has nothing on the stack: show the probe the constant, and return it as before.
        return load + load_const(returned) + _SUBSCRIPT + _POP_TOP, 2
    return load + bytes((facts.SWAP, 2)) + _SUBSCRIPT, 1


def load_const(index: int) -> bytes:
    *high, low = index.to_bytes((index.bit_length() + 7) // 8 or 1, "big")
    return b"".join(bytes((facts.EXTENDED_ARG, digit)) for digit in high) + bytes((facts.LOAD_CONST, low))


def _catch_all(
    body: Body, layout: Layout, ranges: list[exctable.Range], ended: list[tuple[int, int]]
) -> list[exctable.Range]:
    """Let every stretch after the entry that no handler covers lead to the one at the end.

    What leaves an existing handler passes through such a stretch, so existing ranges stay.
    """
    end = len(body.ops)
    covered = [(found.start, found.end) for found in body.ranges] + ended
    target = layout.label(end)
    free = exctable.uncovered(covered, body.entry, end)
    return sorted(
        ranges + [exctable.Range(layout.label(a), layout.label(b), target, _LASTI) for a, b in free]
    )


def catch_thrown(
    ranges: list[exctable.Range], thrown: list[tuple[int, int, bytes]], at: int
) -> tuple[list[exctable.Range], bytes, int]:
    """Let single instructions lead to handlers of their own, which pass on to what handled those instructions before.

    Parameters:
        ranges: all ranges, in order; units of the new code.
        thrown: start and end of each instruction, in order, and the marks that see its exceptions.
        at: where the handlers will stand.

    Returns:
        The ranges, the handlers, and the greatest depth of the stack below one.
    """
    result: list[exctable.Range] = []
    handlers: dict[tuple[bytes, tuple[int, int] | None], tuple[int, int]] = {}  # to start and end
    pending = list(reversed(ranges))
    blocks, deepest = b"", 0
    for start, end, text in thrown:
        while pending and pending[-1].end <= start:
            result.append(pending.pop())
        covering = None
        if pending and pending[-1].start <= start:
            found = pending.pop()
            covering = found.target, found.state
            if found.start < start:
                result.append(found._replace(end=start))
            if end < found.end:
                pending.append(found._replace(start=end))
        if (text, covering) not in handlers:
            block = text + RERAISE
            first = at + len(blocks) // 2
            handlers[text, covering] = first, first + len(block) // 2
            blocks += block
        depth = 0 if covering is None else covering[1] >> 1
        deepest = max(deepest, depth)
        result.append(exctable.Range(start, end, handlers[text, covering][0], depth << 1 | _LASTI))
    result += reversed(pending)
    for (_, covering), (first, last) in handlers.items():
        if covering is not None:
            result.append(exctable.Range(first, last, *covering))
    return result, blocks, deepest


def _visible_to_close(body: Body, layout: Layout, written: bytes) -> bytes:
    """Let ``close()`` run the handler at the end of a generator.

    From 3.13 a bit in RESUME's argument says that only a handler made by the compiler covers the yield. Then
    ``close()`` drops the frame without running it.
    """
    raw = bytearray(written)
    for found in body.watched:
        if found.op == facts.RESUME and found.arg & facts.DEPTH_ONE:
            raw[2 * layout.label(found.unit) + 1] = found.arg & ~facts.DEPTH_ONE
    return bytes(raw)
