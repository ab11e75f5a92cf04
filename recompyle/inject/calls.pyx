"""Where a code object calls something, and which of these calls nobody wrote as a call.

``with``, ``class``, ``assert`` and generator expressions compile to calls too. What tells them is the instruction
that pushed the callee, so the stack is followed along every way through the code. Of each slot only one thing is
remembered: whether what lies there was pushed to be called by the compiler itself, and which instruction pushed it.
"""

import dis
import opcode
from typing import NamedTuple

from recompyle.inject import facts

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport free, realloc

cdef extern from *:
    """
    /* Opcodes of the running interpreter, -1 where it lacks one: the same for all interpreters of the process. */
    static int rcp_op[32];
    static unsigned char rcp_only_takes[256]; /* whether it leaves alone what it does not take from the stack */
    """
    int rcp_op[32]
    uint8_t rcp_only_takes[256]

cdef enum:
    BEFORE_ASYNC_WITH = 0
    BEFORE_WITH
    CALL
    CALL_FUNCTION_EX
    CALL_KW
    COPY
    END_ASYNC_FOR
    EXTENDED_ARG
    KW_NAMES
    LOAD_ASSERTION_ERROR
    LOAD_ATTR
    LOAD_BUILD_CLASS
    LOAD_COMMON_CONSTANT
    LOAD_CONST
    LOAD_GLOBAL
    LOAD_METHOD
    LOAD_SPECIAL
    LOAD_SUPER_ATTR
    MAKE_FUNCTION
    PRECALL
    PUSH_NULL
    RETURN_GENERATOR
    SET_FUNCTION_ATTRIBUTE
    SWAP
    OPCODES

    ROOM_ABOVE = 256  # slots beyond what the code says it needs: more are only asked for where nothing ever runs

_NAMES = (
    "BEFORE_ASYNC_WITH", "BEFORE_WITH", "CALL", "CALL_FUNCTION_EX", "CALL_KW",
    "COPY", "END_ASYNC_FOR", "EXTENDED_ARG", "KW_NAMES", "LOAD_ASSERTION_ERROR",
    "LOAD_ATTR", "LOAD_BUILD_CLASS", "LOAD_COMMON_CONSTANT", "LOAD_CONST", "LOAD_GLOBAL",
    "LOAD_METHOD", "LOAD_SPECIAL", "LOAD_SUPER_ATTR", "MAKE_FUNCTION", "PRECALL",
    "PUSH_NULL", "RETURN_GENERATOR", "SET_FUNCTION_ATTRIBUTE", "SWAP",
)  # fmt: skip
for _number, _name in enumerate(_NAMES):
    rcp_op[<int>_number] = opcode.opmap.get(_name, -1)

_TAKES = (
    "CACHE", "COPY_FREE_VARS", "DELETE_", "DICT_", "END_ASYNC_FOR", "END_FOR", "FOR_ITER", "IMPORT_STAR", "JUMP_",
    "LIST_APPEND", "LIST_EXTEND", "MAKE_CELL", "MAP_ADD", "NOP", "NOT_TAKEN", "POP_", "RAISE_", "RERAISE", "RESUME", "RETURN_", "SET_ADD",
    "SET_UPDATE", "SETUP_", "STORE_", "UNPACK_",
)  # fmt: skip
for _number, _name in enumerate(opcode.opname[:256]):
    rcp_only_takes[<int>_number] = _name.startswith(_TAKES) and _name != "STORE_FAST_LOAD_FAST"

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
    """One call. All positions in units.

    Attributes:
        start: of its group: names of keywords and preparation come first, up to 3.12.
        unit: its CALL, CALL_KW or CALL_FUNCTION_EX.
        end: behind its caches.
        implicit: whether nobody wrote it as a call.
        callee: the instruction that pushed the callee, if it only loads it; else -1.
    """

    start: int
    unit: int
    end: int
    implicit: bool
    callee: int


def find(body):
    """The calls of a code object, given as `recompyle.inject.decode.Body`, in the order of the code."""
    cdef _Walk walk = _Walk(body)
    cdef int32_t unit
    walk.run(0)
    for unit in range(walk.count):
        if not walk.seen[unit]:  # code that is never reached, if the compiler left any
            walk.run(unit)
    return sorted(walk.found)


cdef struct Slot:
    # the top of a stack
    int32_t below  # number of the slot below; 0: none that is known
    int32_t height  # of the stack that ends here
    bint flag  # whether it was pushed to be called by the compiler itself
    int32_t unit  # the instruction that pushed it, or -1


cdef class _Walk:
    """A walk over every instruction that can be reached, each once.

    State: ``seen`` has a mark at each unit visited; ``ways`` are the places to go on, with the number of the slot that is
    on top there; ``slots`` are all slots of all stacks, as lists that share their ends.
    """

    cdef bytes raw
    cdef const uint8_t *units
    cdef int32_t count
    cdef bytearray seen
    cdef list found
    cdef list ways
    cdef tuple consts
    cdef dict handlers  # by the unit where their range begins
    cdef dict effects
    cdef dict jumps
    cdef tuple caches
    cdef bint null_first
    cdef Slot *slots
    cdef int32_t used
    cdef int32_t room
    cdef int32_t highest  # no stack is taken to be higher

    def __init__(self, body):
        self.raw = body.raw
        self.units = self.raw
        self.count = <int32_t>(len(self.raw) // 2)
        self.consts = body.code.co_consts
        self.handlers = {each.start: each for each in body.ranges}
        self.seen = bytearray(self.count)
        self.found, self.ways, self.effects = [], [], {}
        self.jumps, self.caches, self.null_first = facts.JUMPS, facts.CACHES, facts.NULL_FIRST
        self.used = 1  # number 0 is the empty stack
        self.highest = min(<int32_t>body.code.co_stacksize, <int32_t>0xFFFFFF) + ROOM_ABOVE

    def __dealloc__(self):
        free(self.slots)

    cdef int run(self, int32_t unit) except -1:
        self.ways.append((unit, 0))
        while self.ways:
            start, top = self.ways.pop()
            self.straight(start, top)
        return 0

    cdef int straight(self, int32_t unit, int32_t top) except -1:
        """Go on from one instruction to the next, until the end or what was seen already."""
        cdef int32_t start, end, each, size, callee, effect, held, constant = 0, group = -1
        cdef int64_t arg
        cdef int op
        cdef bint flag
        while 0 <= unit < self.count and not self.seen[unit]:
            start = unit
            op, arg = self.units[2 * unit], self.units[2 * unit + 1]
            while op == rcp_op[EXTENDED_ARG] and unit + 1 < self.count:
                unit += 1
                op, arg = self.units[2 * unit], (arg << 8 | self.units[2 * unit + 1]) & 0x7FFFFFFF
            end = min(unit + 1 + <int32_t>self.caches[op], self.count)
            held = <int32_t>min(arg, <int64_t>self.highest)
            for each in range(start, end):
                self.seen[each] = 1
            if self.handlers:
                for each in range(start, unit + 1):
                    handler = self.handlers.get(each)
                    if handler is not None:
                        self.ways.append((handler.target, self.caught(top, handler.state)))
            if op == rcp_op[KW_NAMES] or op == rcp_op[PRECALL]:
                if group < 0:
                    group = start
            elif op == rcp_op[CALL] or op == rcp_op[CALL_KW] or op == rcp_op[CALL_FUNCTION_EX]:
                size = _size(op, held)
                # Beside the callee lies NULL or `self`. Neither was ever pushed to be called: both may be asked.
                flag = self.flag(top, size - 1) or self.flag(top, size - 2)
                callee = self.pusher(top, size - 1)
                if callee >= 0 and self.pushes_null(self.units[2 * callee]):
                    callee = self.pusher(top, size - 2)
                self.found.append(Call(start if group < 0 else group, unit, end, flag, callee))
                group = -1
                top = self.pushed(self.below(top, size), False, -1)
            elif op == rcp_op[SWAP]:
                top = self.swapped(top, held)
            elif op == rcp_op[COPY]:
                top = self.pushed(top, self.flag(top, held - 1), self.pusher(top, held - 1))
            elif op == rcp_op[LOAD_BUILD_CLASS] or op == rcp_op[LOAD_ASSERTION_ERROR]:
                top = self.pushed(top, True, unit)
            elif op == rcp_op[LOAD_COMMON_CONSTANT]:
                top = self.pushed(top, arg == _ASSERTION_ERROR, unit)
            elif op == rcp_op[BEFORE_WITH] or op == rcp_op[BEFORE_ASYNC_WITH] or op == rcp_op[LOAD_SPECIAL]:
                top = self.pushed(self.pushed(self.below(top, 1), True, -1), False, -1)
            elif op == rcp_op[MAKE_FUNCTION]:
                name = getattr(self.consts[constant], "co_name", "") if constant < len(self.consts) else ""
                top = self.pushed(self.below(top, 1 - self.effect(op, arg)), name.startswith(_MADE_ON_THE_SPOT), -1)
            elif op == rcp_op[SET_FUNCTION_ATTRIBUTE]:
                top = self.pushed(self.below(top, 2), self.flag(top, 0), -1)
            elif op == rcp_op[LOAD_ATTR] or op == rcp_op[LOAD_METHOD]:
                effect = self.effect(op, arg)
                top = self.grown(self.below(top, 1), effect + 1, unit)
            elif op == rcp_op[LOAD_SUPER_ATTR]:
                top = self.grown(self.below(top, 3), self.effect(op, arg) + 3, -1)
            else:
                way = self.jumps.get(op)
                if way is not None and op != rcp_op[END_ASYNC_FOR]:
                    effect = dis.stack_effect(op, arg if op in WITH_ARG else None, jump=True)
                    self.ways.append((end + way * arg, self.after(op, top, effect, unit)))
                if op in FINAL:
                    return 0
                top = self.after(op, top, self.effect(op, arg), unit)
                if op == rcp_op[LOAD_CONST]:
                    constant = <int32_t>arg
            unit = end
        return 0

    cdef bint pushes_null(self, int op) noexcept:
        """Whether what lies lowest is NULL, pushed by itself or, up to 3.12, together with a global name."""
        return op == rcp_op[PUSH_NULL] or (self.null_first and op == rcp_op[LOAD_GLOBAL])

    cdef int effect(self, int op, int64_t arg) except? -100000:
        """How much higher the stack is after an instruction that does not jump."""
        key = arg << 8 | op
        known = self.effects.get(key)
        if known is None:
            known = 1 if op == rcp_op[RETURN_GENERATOR] else dis.stack_effect(op, arg if op in WITH_ARG else None, jump=False)
            self.effects[key] = known
        return known

    cdef int32_t pushed(self, int32_t top, bint flag, int32_t unit) except -1:
        cdef void *grown
        if self.used >= self.room:
            grown = realloc(self.slots, (2 * self.room + 256) * sizeof(Slot))
            if grown == NULL:
                raise MemoryError
            self.slots = <Slot *>grown
            self.slots[0] = Slot(0, 0, False, -1)
            self.room = 2 * self.room + 256
        self.slots[self.used] = Slot(top, self.slots[top].height + 1, flag, unit)
        self.used += 1
        return self.used - 1

    cdef int32_t below(self, int32_t top, int32_t count) noexcept:
        while count > 0 and top:
            top = self.slots[top].below
            count -= 1
        return top

    cdef bint flag(self, int32_t top, int32_t depth) noexcept:
        top = self.below(top, depth)
        return top != 0 and self.slots[top].flag

    cdef int32_t pusher(self, int32_t top, int32_t depth) noexcept:
        """The instruction that pushed the slot at a depth, or -1."""
        top = self.below(top, depth)
        return self.slots[top].unit if top else -1

    cdef int32_t grown(self, int32_t top, int32_t effect, int32_t unit) except -1:
        effect = min(effect, self.highest)
        while effect > 0:
            top = self.pushed(top, False, unit)
            effect -= 1
        return self.below(top, -effect)

    cdef int32_t after(self, int op, int32_t top, int32_t effect, int32_t unit) except -1:
        """The stack after an instruction of no special kind. What takes and gives puts something new on top."""
        top = self.grown(top, effect, unit)
        if effect <= 0 and not rcp_only_takes[op]:
            top = self.pushed(self.below(top, 1), False, -1)
        return top

    cdef int32_t caught(self, int32_t top, int32_t state) except -1:
        """The stack of a handler: cut to its depth, then the place where the exception was raised if wanted, and that."""
        cdef int32_t height = self.slots[top].height if top else 0
        return self.grown(self.below(top, height - (state >> 1)), 1 + (state & 1), -1)

    cdef int32_t swapped(self, int32_t top, int32_t place) except -1:
        """The top slot exchanged with the one at ``place``, which counts from 1."""
        cdef int32_t depth
        cdef list between = [(self.flag(top, depth), self.pusher(top, depth)) for depth in range(place)]
        if between:
            between[0], between[-1] = between[-1], between[0]
        top = self.below(top, place)
        for flag, unit in reversed(between):
            top = self.pushed(top, flag, unit)
        return top


cdef int32_t _size(int op, int32_t arg) except -1:
    """How many slots a call takes."""
    if op == rcp_op[CALL_FUNCTION_EX]:
        return 4 if facts.CALL_EX_HAS_BOTH else 3 + (arg & 1)
    return arg + (3 if op == rcp_op[CALL_KW] else 2)
