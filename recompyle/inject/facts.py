"""What the code-object writer knows about the bytecode of each CPython.

Opcode numbers and cache sizes come from the running interpreter's own ``opcode`` module. Stated here is
only what that module does not say. A new version of CPython is one more row of ``_ROWS``.

A *unit* is two bytes, an opcode and its argument. All positions and lengths in this package count units.
"""

import opcode
import re
from importlib.util import MAGIC_NUMBER
from typing import NamedTuple

from .. import _env


class _Row(NamedTuple):
    magic: int  # number of the bytecode format
    place_mask: int  # bits of RESUME's argument that say what it resumes after
    depth_one: int  # bit of RESUME's argument: only the compiler's own handler covers the yield
    throw_reads_send: bool
    handlers_start_lines: bool
    null_first: bool  # whether NULL stands below what is called, or above it
    call_ex_has_both: bool  # whether CALL_FUNCTION_EX always takes keywords, or NULL for none


_ROWS = {
    (3, 11): _Row(3495, 3, 0, True, False, True, False),
    (3, 12): _Row(3531, 3, 0, False, True, True, False),
    (3, 13): _Row(3571, 3, 4, False, True, False, False),
    (3, 14): _Row(3627, 3, 4, False, True, False, True),
    (3, 15): _Row(3666, 7, 8, False, True, False, True),
}

_row = _ROWS.get(_env.PYTHON, _Row(0, 3, 0, False, False, False, False))

KNOWN = _env.SUPPORTED and _row.magic == int.from_bytes(MAGIC_NUMBER[:2], "little")
PLACE_MASK, DEPTH_ONE = _row.place_mask, _row.depth_one
AFTER_YIELD, AFTER_YIELD_FROM, AFTER_AWAIT = 1, 2, 3  # places in RESUME's argument

# 3.11: generator.throw() steps back from YIELD_VALUE to the unit before it, takes that for the SEND of the
# loop and reads its one-byte argument to leave the loop. Later versions have CLEANUP_THROW for this.
THROW_READS_SEND = _row.throw_reads_send

# From 3.12 a handler that has a line begins a line event, unless it begins with END_ASYNC_FOR. So marks and
# prefixes ahead of END_ASYNC_FOR must have no location there; up to 3.11 marks must have one.
HANDLERS_START_LINES = _row.handlers_start_lines

NULL_FIRST = _row.null_first
CALL_EX_HAS_BOTH = _row.call_ex_has_both


def _number(name: str) -> int:
    """Opcode of that name, or -1 (which no unit has) where this version lacks it."""
    return opcode.opmap.get(name, -1)


CACHE = 0
CALL = _number("CALL")
CALL_INTRINSIC_1 = _number("CALL_INTRINSIC_1")
STOPITERATION_ERROR = 3  # its argument where it makes a StopIteration that leaves a generator a RuntimeError
CLEANUP_THROW = _number("CLEANUP_THROW")
END_ASYNC_FOR = _number("END_ASYNC_FOR")
EXTENDED_ARG = _number("EXTENDED_ARG")
GET_ANEXT = _number("GET_ANEXT")
GET_AWAITABLE = _number("GET_AWAITABLE")
JUMP_BACKWARD_NO_INTERRUPT = _number("JUMP_BACKWARD_NO_INTERRUPT")
JUMP_FORWARD = _number("JUMP_FORWARD")
KW_NAMES = _number("KW_NAMES")
LOAD_CONST = _number("LOAD_CONST")
NOT_TAKEN = _number("NOT_TAKEN")
POP_TOP = _number("POP_TOP")
PRECALL = _number("PRECALL")
PUSH_EXC_INFO = _number("PUSH_EXC_INFO")
PUSH_NULL = _number("PUSH_NULL")
RERAISE = _number("RERAISE")
RESUME = _number("RESUME")
RETURN_CONST = _number("RETURN_CONST")
RETURN_GENERATOR = _number("RETURN_GENERATOR")
RETURN_VALUE = _number("RETURN_VALUE")
SEND = _number("SEND")
SWAP = _number("SWAP")
UNARY_INVERT = _number("UNARY_INVERT")
YIELD_VALUE = _number("YIELD_VALUE")

# ``container[key]``: an opcode of its own up to 3.13, one case of BINARY_OP after.
SUBSCRIPT, SUBSCRIPT_ARG = (
    (_number("BINARY_SUBSCR"), 0) if "BINARY_SUBSCR" in opcode.opmap else (_number("BINARY_OP"), 26)
)

# What may stand before the first RESUME. None of them has caches.
PROLOGUE = frozenset(
    map(_number, ("COPY_FREE_VARS", "MAKE_CELL", "RETURN_GENERATOR", "POP_TOP", "EXTENDED_ARG"))
)


def _caches() -> tuple[int, ...]:
    """Cache units behind each opcode. The table is a list by number up to 3.12, then a mapping by name."""
    table = opcode._inline_cache_entries  # type: ignore[attr-defined]
    if hasattr(table, "get"):
        return tuple(table.get(name, 0) for name in opcode.opname[:256])
    return tuple(table[:256])


CACHES = _caches()


def units(op: int, arg: int) -> bytes:
    """An instruction with its caches, which are zero."""
    return bytes((op, arg)) + bytes(2 * CACHES[op])


# Opcode to +1 or -1: which way its argument counts. ``hasjrel`` also lists pseudo opcodes, above 255, and
# the instrumented twins. END_ASYNC_FOR is in it from 3.14: its distance back to the loop serves monitoring.
JUMPS = {
    number: -1 if "BACKWARD" in name or name == "END_ASYNC_FOR" else 1
    for number in opcode.hasjrel
    if number < 256 and not (name := opcode.opname[number]).startswith("INSTRUMENTED_")
}

_WATCHED = {
    CALL_INTRINSIC_1, CLEANUP_THROW, END_ASYNC_FOR, GET_ANEXT, GET_AWAITABLE, PUSH_EXC_INFO, RESUME,
    RETURN_CONST, RETURN_GENERATOR, RETURN_VALUE, SEND, YIELD_VALUE, *JUMPS,
} - {-1}  # fmt: skip

# Finds, in the opcodes of a code object, those that are a site, lead to one, or jump. Caches read as zero
# in ``co_code``, and no opcode that is searched for is zero, so every hit is an instruction.
WATCHED = re.compile(b"[" + b"".join(re.escape(bytes((number,))) for number in sorted(_WATCHED)) + b"]")

# Every opcode that the compiler may write. Anything else is a specialised or instrumented form.
PLAIN = bytes(
    sorted(
        number
        for name, number in opcode.opmap.items()
        if number < 256
        and not name.startswith("INSTRUMENTED_")
        and name not in ("ENTER_EXECUTOR", "TRACE_RECORD")
    )
)
