"""Where a code object calls something, and which of these calls nobody wrote as a call.

``with``, ``class``, ``assert`` and generator expressions compile to calls too. What tells them is the instruction
that pushed the callee, so the stack is followed from instruction to instruction. Of each slot only one thing is
remembered: whether what lies there was pushed to be called by the compiler itself.
"""

import dis
import opcode
from typing import Any, NamedTuple

from . import facts
from .decode import Body

_CALL = facts.CALL
_NAMES = facts.KW_NAMES
_PRECALL = facts.PRECALL
_CALL_KW, _CALL_FUNCTION_EX = (opcode.opmap.get(name, -1) for name in ("CALL_KW", "CALL_FUNCTION_EX"))
_LOAD_BUILD_CLASS, _LOAD_ASSERTION_ERROR, _LOAD_COMMON_CONSTANT, _LOAD_SPECIAL = (
    opcode.opmap.get(name, -1)
    for name in ("LOAD_BUILD_CLASS", "LOAD_ASSERTION_ERROR", "LOAD_COMMON_CONSTANT", "LOAD_SPECIAL")
)
_BEFORE_WITH = {opcode.opmap[name] for name in ("BEFORE_WITH", "BEFORE_ASYNC_WITH") if name in opcode.opmap}
_MAKE_FUNCTION = opcode.opmap["MAKE_FUNCTION"]
_SET_FUNCTION_ATTRIBUTE = opcode.opmap.get("SET_FUNCTION_ATTRIBUTE", -1)
_COPY = opcode.opmap["COPY"]
_ASSERTION_ERROR = 0  # argument of LOAD_COMMON_CONSTANT
_MADE_ON_THE_SPOT = ("<genexpr>", "<listcomp>", "<setcomp>", "<dictcomp>", "<generic parameters of ")

# What ends a stretch of code: behind it only jumps and handlers go on.
FINAL = {
    opcode.opmap[name]
    for name in (
        "INTERPRETER_EXIT", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT", "JUMP_FORWARD", "RAISE_VARARGS",
        "RERAISE", "RETURN_CONST", "RETURN_VALUE",
    )
    if name in opcode.opmap
}  # fmt: skip
# What stack_effect() wants an argument for.
WITH_ARG = frozenset(getattr(dis, "hasarg", range(dis.HAVE_ARGUMENT, 256)))


class Call(NamedTuple):
    """One call. All positions in units."""

    start: int  # its group: names of keywords and preparation come first, up to 3.12
    unit: int  # its CALL, CALL_KW or CALL_FUNCTION_EX
    end: int  # behind its caches
    implicit: bool  # whether nobody wrote it as a call


# A stack: the top slot and what is below it. What is below the known part counts as pushed by the program.
_Stack = tuple[bool, Any] | None


def find(body: Body) -> list[Call]:
    """The calls of a code object, in the order of the code."""
    found = []
    ops, args, consts = body.ops, body.raw[1::2], body.code.co_consts
    known: dict[int, _Stack] = {}  # at targets of forward jumps
    effects: dict[tuple[int, int], int] = {}
    stack: _Stack = None
    unit = start = arg = constant = 0
    group: int | None = None  # start of a call's group whose CALL is still to come
    while unit < len(ops):
        op = ops[unit]
        arg = arg << 8 | args[unit]
        if op == facts.EXTENDED_ARG:
            unit += 1
            continue
        end = unit + 1 + facts.CACHES[op]
        if start in known:
            stack = known.pop(start)
        if op in (_NAMES, _PRECALL):
            group = start if group is None else group
        elif op in (_CALL, _CALL_KW, _CALL_FUNCTION_EX):
            callee, size = _callee(op, arg)
            implicit = any(_slot(stack, depth) for depth in callee)
            found.append(Call(start if group is None else group, unit, end, implicit))
            group = None
            stack = (False, _below(stack, size))
        elif op == facts.SWAP:
            stack = _swapped(stack, arg)
        elif op == _COPY:
            stack = (_slot(stack, arg - 1), stack)
        elif op in (_LOAD_BUILD_CLASS, _LOAD_ASSERTION_ERROR):
            stack = (True, stack)
        elif op == _LOAD_COMMON_CONSTANT:
            stack = (arg == _ASSERTION_ERROR, stack)
        elif op in _BEFORE_WITH or op == _LOAD_SPECIAL:
            stack = (False, (True, _below(stack, 1)))
        elif op == _MAKE_FUNCTION:
            taken = 1 - _effect(effects, op, arg)
            name = getattr(consts[constant], "co_name", "")
            stack = (name.startswith(_MADE_ON_THE_SPOT), _below(stack, taken))
        elif op == _SET_FUNCTION_ATTRIBUTE:
            stack = (_slot(stack, 0), _below(stack, 2))
        else:
            if facts.JUMPS.get(op) == 1:
                taken = dis.stack_effect(op, arg if op in WITH_ARG else None, jump=True)
                known.setdefault(end + arg, _grown(stack, taken))
            stack = None if op in FINAL else _grown(stack, _effect(effects, op, arg))
            if op == facts.LOAD_CONST:
                constant = arg
        unit = start = end
        arg = 0
    return found


def _effect(known: dict[tuple[int, int], int], op: int, arg: int) -> int:
    """How much higher the stack is after an instruction that does not jump."""
    effect = known.get((op, arg))
    if effect is None:
        effect = known[op, arg] = dis.stack_effect(op, arg if op in WITH_ARG else None, jump=False)
    return effect


def _callee(op: int, arg: int) -> tuple[tuple[int, ...], int]:
    """The depths, from the top, at which the callee may lie; and how many slots the call takes.

    Beside the callee lies NULL or ``self``. Neither was ever pushed to be called, so both slots may be asked.
    """
    if op == _CALL_FUNCTION_EX:
        size = 3 + (1 if facts.CALL_EX_HAS_BOTH else arg & 1)
    elif op == _CALL_KW:
        size = arg + 3
    else:
        size = arg + 2
    return (size - 1, size - 2), size


def _slot(stack: _Stack, depth: int) -> bool:
    stack = _below(stack, depth)
    return stack is not None and stack[0]


def _below(stack: _Stack, count: int) -> _Stack:
    while count > 0 and stack is not None:
        stack = stack[1]
        count -= 1
    return stack


def _grown(stack: _Stack, effect: int) -> _Stack:
    for _ in range(effect):
        stack = (False, stack)
    return _below(stack, -effect)


def _swapped(stack: _Stack, place: int) -> _Stack:
    """The top slot exchanged with the one at ``place``, which counts from 1."""
    between = [_slot(stack, depth) for depth in range(place)]
    between[0], between[-1] = between[-1], between[0]
    stack = _below(stack, place)
    for each in reversed(between):
        stack = (each, stack)
    return stack
