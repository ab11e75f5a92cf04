"""Reads a code object: the instructions that matter to the writer, and the exception table."""

from types import CodeType
from typing import NamedTuple

from .. import _env
from ..errors import NotRewritable
from . import exctable, facts

_CO_OPTIMIZED = 0x1  # set for functions, not for the bodies of modules and classes


class Instruction(NamedTuple):
    """One instruction. All positions in units."""

    start: int  # its first prefix, where jumps to it land
    unit: int  # its opcode
    op: int
    arg: int  # prefixes included
    end: int  # behind its caches


class Body(NamedTuple):
    """What the writer needs to know of a code object."""

    code: CodeType
    raw: bytes  # co_code
    ops: bytes  # its opcodes alone
    entry: int  # unit behind the first RESUME
    watched: list[Instruction]  # sites and jumps, in order
    ranges: list[exctable.Range]


def decode(code: CodeType) -> Body:
    """Read a code object.

    Parameters:
        code: the code object.

    Returns:
        What the writer needs to know of it.

    Raises:
        TypeError: not a code object.
        NotRewritable: unknown interpreter, or code of a shape that the compiler does not make.
    """
    if not isinstance(code, CodeType):
        raise TypeError(f"a code object is needed, not {type(code).__name__}")
    if not facts.KNOWN:
        raise NotRewritable(
            "the bytecode of this Python is unknown: CPython 3.11 to 3.15 are supported", "unknown_python"
        )
    if _env.REPLACE_LOSES_FLAGS and not code.co_flags & _CO_OPTIMIZED:
        raise NotRewritable(
            f"{code!r}: Python 3.12.0 cannot copy the body of a module or class", "hidden_locals"
        )
    raw = code.co_code  # read once: it is made anew from the running code
    ops = raw[::2]
    if strange := ops.translate(None, facts.PLAIN):
        raise NotRewritable(
            f"{code!r}: holds opcode {strange[0]}, which only a running interpreter writes", "instrumented"
        )
    watched = _watched(ops, raw[1::2])
    return Body(code, raw, ops, _entry(code, ops, watched), watched, _ranges(code, len(ops)))


def _watched(ops: bytes, args: bytes) -> list[Instruction]:
    found = []
    caches, prefix = facts.CACHES, facts.EXTENDED_ARG
    for match in facts.WATCHED.finditer(ops):
        start = unit = match.start()
        op, arg, shift = ops[unit], args[unit], 8
        while start and ops[start - 1] == prefix:
            start -= 1
            arg |= args[start] << shift
            shift += 8
        found.append(Instruction(start, unit, op, arg, unit + 1 + caches[op]))
    return found


def _ranges(code: CodeType, units: int) -> list[exctable.Range]:
    try:
        found = exctable.decode(code.co_exceptiontable)
    except ValueError:
        found = [exctable.Range(-1, 0, 0, 0)]
    last = 0
    for each in found:
        if not last <= each.start < each.end <= units or each.target > units:
            raise NotRewritable(f"{code!r}: its exception table does not fit its code", "exception_table")
        last = each.end
    return found


def _entry(code: CodeType, ops: bytes, watched: list[Instruction]) -> int:
    """The unit behind the first RESUME. Before it the frame is incomplete, and nothing may stand there."""
    first = next((found for found in watched if found.op == facts.RESUME), None)
    if first is None or not facts.PROLOGUE.issuperset(ops[: first.unit]):
        raise NotRewritable(f"{code!r}: does not begin as compiled code does", "no_resume")
    return first.end
