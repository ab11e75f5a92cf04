"""What a call calls, as far as the compiled code tells."""

import opcode
from bisect import bisect_right

from . import facts
from .decode import Body

_LOADS = {
    opcode.opmap[name]
    for name in ("LOAD_FAST", "LOAD_FAST_BORROW", "LOAD_FAST_CHECK", "LOAD_DEREF", "LOAD_CLASSDEREF")
    if name in opcode.opmap
}
_LOAD_NAME, _LOAD_GLOBAL, _LOAD_ATTR = (opcode.opmap[name] for name in ("LOAD_NAME", "LOAD_GLOBAL", "LOAD_ATTR"))
_LOAD_METHOD = opcode.opmap.get("LOAD_METHOD", 256)  # up to 3.11; then a bit in the argument of LOAD_ATTR
_ATTR_SHIFT = 0 if _LOAD_METHOD < 256 else 1  # pseudo opcodes are above


def ways(body: Body) -> list[tuple[int, int]]:
    """Where each jump ahead leads and where it stands, in order."""
    ahead = [found for found in body.watched if facts.JUMPS.get(found.op, 0) > 0]
    return sorted((found.end + found.arg, found.start) for found in ahead)


def dotted(body: Body, unit: int, call: int, jumps: list[tuple[int, int]]) -> str | None:
    """The name that an instruction loads, with those it is an attribute of: ``a.b.c``.

    Parameters:
        body: the code.
        unit: the instruction; -1: none.
        call: where it is called.
        jumps: what `ways` gives for the code.

    Returns:
        None if it is no plain name, or one of several, as in ``(a or b)()``: then there are ways past its beginning.
    """
    try:
        start, name = _loaded(body, unit)
    except IndexError:  # what never runs may load anything
        return None
    between = jumps[bisect_right(jumps, (start, call)) : bisect_right(jumps, (call, call))]
    return None if any(source < start for _, source in between) else name


def _loaded(body: Body, unit: int) -> tuple[int, str | None]:
    """Where the load of a name with attributes begins, and the name."""
    names = body.code.co_names
    parts: list[str] = []
    while unit >= 0:
        op, arg, start = body.ops[unit], body.raw[2 * unit + 1], unit
        while start and body.ops[start - 1] == facts.EXTENDED_ARG:
            start -= 1
            arg |= body.raw[2 * start + 1] << 8 * (unit - start)
        if op in (_LOAD_ATTR, _LOAD_METHOD):
            parts.append(names[arg >> _ATTR_SHIFT if op == _LOAD_ATTR else arg])
            unit = start - 1
            while unit >= 0 and body.ops[unit] == facts.CACHE:
                unit -= 1
            continue
        if op in _LOADS:
            parts.append(body.code._varname_from_oparg(arg))  # type: ignore[attr-defined]
        elif op == _LOAD_GLOBAL:
            parts.append(names[arg >> 1])
        elif op == _LOAD_NAME:
            parts.append(names[arg])
        else:
            break
        return start, ".".join(reversed(parts))
    return unit, None
