"""Proves that the new code is the old code plus probes, and gives every instruction its old position.

The two code objects are walked side by side from their first instruction, through both arms of every jump
and into every exception handler. Probes are stepped over in the new code, plain jumps in both; what is left
must be the same, instruction by instruction, wherever the compiler laid it out. So the walk is at once the
proof that nothing else moved and the source of exact positions: an instruction takes those of its partner, a
start probe takes those of the instruction it precedes, an end probe those of the instruction it follows.
"""

import opcode

from recompyle._env import HAS_COLUMNS, PYTHON
from recompyle.errors import NotRewritable
from recompyle.inject import exctable, facts
from recompyle.rewrite.transform import number_of

from cpython.mem cimport PyMem_Free, PyMem_Malloc

_CodeType = type(compile("", "", "exec"))


def _numbers(*names):
    return frozenset(opcode.opmap[name] for name in names if name in opcode.opmap)


# Instructions that only lead on: they may stand elsewhere, or not at all, in the new code. A call wants a NULL
# beside its function; it follows from the call and has no meaning of its own, but it comes in three ways: alone, as
# part of loading a global, and as part of loading a method. `probe[f](a)` and `probe[x.m](a)` get it alone.
_THROUGH = _numbers("NOP", "JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT", "TO_BOOL", "PUSH_NULL")
_ENDS = _numbers("RETURN_VALUE", "RETURN_CONST", "RERAISE", "RAISE_VARARGS", "INTERPRETER_EXIT")
_PROBE_BEGINS = _numbers("LOAD_CONST", "UNARY_INVERT", "POP_TOP")
_CONSTANTS = _numbers("LOAD_CONST", "RETURN_CONST", "KW_NAMES")
_CALLS = _numbers("PRECALL", "CALL", "CALL_KW")
_METHODS = _numbers("LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR")

# Loads of what is known beforehand. The compiler leaves one out if right behind it the value is dropped.
_KNOWN = _numbers("LOAD_CONST", "LOAD_SMALL_INT", "LOAD_COMMON_CONSTANT")

# Loads whose lowest bit says that they push what a call wants: a NULL, or for attributes of 3.12 and later the
# method apart from its object, which means the same.
_WITH_NULL = _numbers("LOAD_GLOBAL", *(("LOAD_ATTR", "LOAD_SUPER_ATTR") if PYTHON >= (3, 12) else ()))

# Two opcodes for one meaning, of which the compiler takes one or the other by what it can prove (a local is
# bound; its reference need not be counted) or by where the code happens to lie (3.11: forward, backward).
_PLAIN = {
    opcode.opmap[name]: opcode.opmap[plain]
    for name, plain in {
        "LOAD_FAST_BORROW": "LOAD_FAST",
        "LOAD_FAST_CHECK": "LOAD_FAST",
        "LOAD_METHOD": "LOAD_ATTR",
        "POP_JUMP_BACKWARD_IF_TRUE": "POP_JUMP_FORWARD_IF_TRUE",
        "POP_JUMP_BACKWARD_IF_FALSE": "POP_JUMP_FORWARD_IF_FALSE",
        "POP_JUMP_BACKWARD_IF_NONE": "POP_JUMP_FORWARD_IF_NONE",
        "POP_JUMP_BACKWARD_IF_NOT_NONE": "POP_JUMP_FORWARD_IF_NOT_NONE",
    }.items()
    if name in opcode.opmap
}

# From 3.13 the compiler writes two neighbouring accesses to locals as one instruction, if nothing is between.
_PAIRS = {
    opcode.opmap[name]: tuple(opcode.opmap[part] for part in parts)
    for name, parts in {
        "LOAD_FAST_LOAD_FAST": ("LOAD_FAST", "LOAD_FAST"),
        "LOAD_FAST_BORROW_LOAD_FAST_BORROW": ("LOAD_FAST", "LOAD_FAST"),
        "STORE_FAST_LOAD_FAST": ("STORE_FAST", "LOAD_FAST"),
        "STORE_FAST_STORE_FAST": ("STORE_FAST", "STORE_FAST"),
    }.items()
    if name in opcode.opmap
}


# Tests that are each other's contrary. The compiler may take the one for the other and exchange their two ways, where
# there is a mark at the end of a block or where blocks that are seldom reached lie elsewhere. What was the way of a true
# value is then still compared with what is.
_CONTRARY = {
    opcode.opmap[one]: opcode.opmap[other]
    for pair in (
        ("POP_JUMP_IF_TRUE", "POP_JUMP_IF_FALSE"),
        ("POP_JUMP_IF_NONE", "POP_JUMP_IF_NOT_NONE"),
        ("POP_JUMP_FORWARD_IF_TRUE", "POP_JUMP_FORWARD_IF_FALSE"),
        ("POP_JUMP_FORWARD_IF_NONE", "POP_JUMP_FORWARD_IF_NOT_NONE"),
    )
    for one, other in (pair, pair[::-1])
    if one in opcode.opmap
}

# What cannot raise: whether a handler covers it or not is the compiler's chance. Up to 3.12 a test asks for the truth
# itself, later `TO_BOOL` has done so before.
_QUIET = _numbers("NOT_TAKEN") | {
    number for number in _CONTRARY if opcode.opname[number].endswith("NONE") or PYTHON >= (3, 13)
}

NOWHERE = (None, None, None, None)

# The same by number, for the walk. Every interpreter of the process writes the same values.
cdef extern from *:
    """
    static char IS_THROUGH[256], IS_END[256], IS_CONSTANT[256], IS_CALL[256], IS_METHOD[256], HAS_NULL[256];
    static char BEGINS_PROBE[256], IS_QUIET[256], IS_KNOWN[256];
    static int PLAIN_OF[256], CONTRARY_OF[256], CACHES_OF[256], WAY_OF[256], FIRST_OF[256], SECOND_OF[256];
    static int EXTENDED_ARG_, LOAD_CONST_, SUBSCRIPT_, SUBSCRIPT_ARG_, NOT_TAKEN_, END_ASYNC_FOR_, COMPARE_, PUSH_NULL_;
    static int SWAP_, STORE_FAST_, POP_TOP_, RERAISE_, INVERT_, NOP_;
    """
    char[256] IS_THROUGH, IS_END, IS_CONSTANT, IS_CALL, IS_METHOD, HAS_NULL, BEGINS_PROBE, IS_QUIET, IS_KNOWN
    int[256] PLAIN_OF, CONTRARY_OF, CACHES_OF, WAY_OF, FIRST_OF, SECOND_OF
    int EXTENDED_ARG "EXTENDED_ARG_"
    int LOAD_CONST "LOAD_CONST_"
    int SUBSCRIPT "SUBSCRIPT_"
    int SUBSCRIPT_ARG "SUBSCRIPT_ARG_"
    int NOT_TAKEN "NOT_TAKEN_"
    int END_ASYNC_FOR "END_ASYNC_FOR_"
    int COMPARE "COMPARE_"
    int PUSH_NULL "PUSH_NULL_"
    int SWAP "SWAP_"
    int STORE_FAST "STORE_FAST_"
    int RERAISE "RERAISE_"
    int INVERT "INVERT_"
    int POP_TOP "POP_TOP_"
    int NOP "NOP_"

for _number in range(256):
    IS_THROUGH[_number] = _number in _THROUGH
    IS_END[_number] = _number in _ENDS
    IS_CONSTANT[_number] = _number in _CONSTANTS
    IS_CALL[_number] = _number in _CALLS
    IS_METHOD[_number] = _number in _METHODS
    HAS_NULL[_number] = _number in _WITH_NULL
    IS_KNOWN[_number] = _number in _KNOWN
    BEGINS_PROBE[_number] = _number in _PROBE_BEGINS
    IS_QUIET[_number] = _PLAIN.get(_number, _number) in _QUIET
    PLAIN_OF[_number] = _PLAIN.get(_number, _number)
    CONTRARY_OF[_number] = _CONTRARY.get(_number, -1)
    CACHES_OF[_number] = facts.CACHES[_number]
    WAY_OF[_number] = facts.JUMPS.get(_number, 0)
    FIRST_OF[_number], SECOND_OF[_number] = _PAIRS.get(_number, (-1, -1))
EXTENDED_ARG = facts.EXTENDED_ARG
LOAD_CONST = facts.LOAD_CONST
SUBSCRIPT = facts.SUBSCRIPT
SUBSCRIPT_ARG = facts.SUBSCRIPT_ARG
NOT_TAKEN = facts.NOT_TAKEN
END_ASYNC_FOR = facts.END_ASYNC_FOR
COMPARE = opcode.opmap["COMPARE_OP"]
PUSH_NULL = opcode.opmap["PUSH_NULL"]
SWAP = opcode.opmap["SWAP"]
STORE_FAST = opcode.opmap["STORE_FAST"]
RERAISE = opcode.opmap["RERAISE"]
INVERT = facts.UNARY_INVERT
POP_TOP = facts.POP_TOP
NOP = opcode.opmap["NOP"]


cdef class _Code:
    """A code object, decoded as far as the walk needs it. Positions count units.

    Attributes:
        count: number of units.
        op, arg: by unit; -1 where no instruction starts (prefixes point at their instruction by ``next``).
        next: by unit: the unit behind the instruction and its caches.
        target: by unit: where a jump leads, else -1.
        cover: by unit: number of the exception range, else -1.
        positions: by unit, as ``co_positions`` gives them.
        ranges: exception ranges.
    """

    cdef object code
    cdef tuple consts
    cdef list positions, ranges
    cdef int count
    cdef int *op
    cdef int *arg
    cdef int *next
    cdef int *target
    cdef int *cover

    def __cinit__(self, code):
        cdef bytes raw = code.co_code
        cdef const unsigned char *units = raw
        cdef int count = len(raw) // 2, unit = 0, start, op, arg, number
        self.code = code
        self.consts = code.co_consts
        self.positions = _positions(code, count)
        self.ranges = exctable.decode(code.co_exceptiontable)
        self.count = count
        self.op = <int *> PyMem_Malloc(5 * count * sizeof(int))
        if self.op == NULL:
            raise MemoryError()
        self.arg = self.op + count
        self.next = self.arg + count
        self.target = self.next + count
        self.cover = self.target + count
        for unit in range(count):
            self.op[unit] = self.target[unit] = self.cover[unit] = -1
            self.arg[unit] = self.next[unit] = 0
        unit = 0
        while unit < count:
            start = unit
            arg = units[2 * unit + 1]
            while units[2 * unit] == EXTENDED_ARG and unit + 1 < count:
                unit += 1
                arg = arg << 8 | units[2 * unit + 1]
            op = units[2 * unit]
            unit += 1 + CACHES_OF[op]
            self.op[start] = op
            self.arg[start] = arg
            self.next[start] = unit
            if WAY_OF[op]:
                self.target[start] = unit + WAY_OF[op] * arg
        for number, found in enumerate(self.ranges):
            for unit in range(found.start, min(found.end, count)):
                self.cover[unit] = number

    def __dealloc__(self):
        PyMem_Free(self.op)

    cdef constant(self, int unit):
        return self.consts[self.arg[unit]]


cdef list _positions(code, int count):
    """Where each unit comes from, as ``co_positions`` says, in a fraction of the time; units of one entry share it.

    The format is described in `recompyle.inject.lines`.
    """
    cdef bytes table = code.co_linetable + b"\0\0\0\0"  # the most that an entry can lack
    cdef const unsigned char *byte = table
    cdef const unsigned char *end = byte + len(table) - 4
    cdef int line = code.co_firstlineno, head, form, lines, column, end_column
    cdef list found = []
    if not HAS_COLUMNS:
        return list(code.co_positions())
    while byte < end:
        head = byte[0]
        form = head >> 3 & 15
        byte += 1
        if form < 10:
            column = form << 3 | byte[0] >> 4
            position = (line, line, column, column + (byte[0] & 15))
            byte += 1
        elif form < 13:
            line += form - 10
            position = (line, line, byte[0], byte[1])
            byte += 2
        elif form == 13:
            line += _read_signed(&byte)
            position = (line, line, None, None)
        elif form == 14:
            line += _read_signed(&byte)
            lines = _read(&byte)
            column = _read(&byte) - 1
            end_column = _read(&byte) - 1
            position = (line, line + lines, None if column < 0 else column, None if end_column < 0 else end_column)
        else:
            position = NOWHERE
        found += [position] * ((head & 7) + 1)
    return found if len(found) == count else list(code.co_positions())


cdef int _read(const unsigned char **byte) noexcept:
    """Read a varint."""
    cdef int value = 0, shift = 0
    while byte[0][0] & 0x40:
        value |= (byte[0][0] & 0x3F) << shift
        shift += 6
        byte[0] += 1
    value |= (byte[0][0] & 0x3F) << shift
    byte[0] += 1
    return value


cdef int _read_signed(const unsigned char **byte) noexcept:
    """Read a varint with a sign."""
    cdef int value = _read(byte)
    return -(value >> 1) if value & 1 else value >> 1


def match(old, new, placeholders):
    """Walk two code objects side by side.

    Parameters:
        old: the code without probes.
        new: the code compiled with placeholders.
        placeholders: constant to `recompyle.rewrite.transform.Placeholder`.

    Returns:
        A list of ``(new code object, its location table)`` for ``new`` and every nested code object in it.

    Raises:
        NotRewritable: the new code is not the old code plus probes.
    """
    found = []
    work = [(old, new)]
    while work:
        one, other = work.pop()
        walk = _Walk(one, other, placeholders)
        walk.run()
        found.append((other, walk.table()))
        work.extend(walk.nested)
        work.extend(_unmet(one, other, walk.nested))
    return found


cdef list _unmet(old, new, nested):
    """Pairs of code objects that only code mentions which cannot be reached: they are given positions, too."""
    met = {id(each) for pair in nested for each in pair}
    rest = [[c for c in code.co_consts if type(c) is _CodeType and id(c) not in met] for code in (old, new)]
    if [(c.co_name, c.co_firstlineno) for c in rest[0]] != [(c.co_name, c.co_firstlineno) for c in rest[1]]:
        raise NotRewritable(f"{old.co_qualname}: with probes the compiler finds other code unreachable", "unproved")
    return list(zip(*rest))


def relocate(new, placeholders):
    """Take the markers out of code that has no original to be compared with.

    Probes get the position of their neighbours; everything else keeps what the compiler gave it.

    Parameters:
        new: the code compiled with placeholders.
        placeholders: as for `match`.

    Returns:
        As `match`.
    """
    before = {each.number: each.before for each in placeholders.values()}
    found = []
    work = [new]
    while work:
        code = work.pop()
        found.append((code, _without_markers(code, before) if HAS_COLUMNS else code.co_linetable))
        work += [const for const in code.co_consts if type(const) is _CodeType]
    return found


cdef bytes _without_markers(raw, dict before):
    cdef _Code code = _Code(raw)
    cdef int unit
    ends = {}
    for unit in range(code.count):
        if code.op[unit] >= 0:
            number = number_of(code.positions[unit][2])
            if number in before:
                ends[unit] = before[number] if code.op[unit] == SUBSCRIPT else BEGINS_PROBE[code.op[unit]]
    return _table(code, [None] * code.count, ends, {})


cdef inline int _opcode(_Code code, int unit, int part) noexcept:
    """The opcode of an instruction, or of one half of it; without what makes no difference."""
    cdef int op = code.op[unit]
    if FIRST_OF[op] >= 0:
        return SECOND_OF[op] if part else FIRST_OF[op]
    return PLAIN_OF[op]


cdef inline int _argument(_Code code, int unit, int part) noexcept:
    """The argument of an instruction, or of one half of it; without what makes no difference."""
    cdef int op = code.op[unit], arg = code.arg[unit]
    if FIRST_OF[op] >= 0:
        return arg & 15 if part else arg >> 4
    return arg >> 1 if HAS_NULL[op] else arg


cdef inline bint _is_double(_Code code, int unit) noexcept:
    """Whether an instruction does the work of two."""
    return FIRST_OF[code.op[unit]] >= 0


cdef inline bint _takes(int op) noexcept:
    """Whether an instruction just takes one value from the stack."""
    return op == STORE_FAST or op == POP_TOP


cdef int _dropped(_Code code, int unit, bint blindly) except -2:
    """Where what an instruction loads is dropped at once; else -1.

    Only what leads on may be between, and ends of probes; with ``blindly`` each subscript is taken for one.
    """
    cdef int steps
    unit = code.next[unit]
    for steps in range(code.count):
        if unit >= code.count:
            return -1
        if code.op[unit] == POP_TOP:
            return unit
        if IS_THROUGH[code.op[unit]] and code.target[unit] >= 0:
            unit = code.target[unit]
        elif code.op[unit] == NOP or _ended(code, unit) >= 0 or (blindly and _may_end_probe(code, unit)):
            unit = code.next[unit]
        else:
            return -1
    return -1


cdef int _ended(_Code code, int unit) except -2:
    """The number of the placeholder of which a marker says that an instruction is its probe's second half; else -1."""
    return number_of(code.positions[unit][2]) if _may_end_probe(code, unit) else -1


cdef inline bint _may_end_probe(_Code code, int unit) noexcept:
    """Whether an instruction is a subscript."""
    return code.op[unit] == SUBSCRIPT and (not SUBSCRIPT_ARG or code.arg[unit] == SUBSCRIPT_ARG)


cdef class _Walk:
    """One pair of code objects.

    State: ``partner`` (new unit to the position of its partner), ``ends`` (new unit of a probe to whether it
    takes its position from what follows), ``nested`` (pairs of code objects met as constants), ``met`` (old unit to
    the first new unit it was met with), ``met_again`` (pairs besides), ``dropped`` (new unit that drops what is known
    beforehand to one that has loaded it) and ``lines`` (new unit that stands for several of which some have no place to
    the lines of the others).
    """

    cdef _Code old, new
    cdef dict placeholders, before, roles
    cdef bint has_callees, has_endings
    cdef list partner
    cdef dict ends, dropped, lines
    cdef list met
    cdef set met_again
    cdef list work, passed_old, passed_new, passed_behind, passed_marks
    cdef readonly list nested
    cdef int last_handler, last_new_handler

    def __init__(self, old, new, placeholders):
        for name in ("co_varnames", "co_names", "co_cellvars", "co_freevars", "co_flags", "co_name"):
            if getattr(old, name) != getattr(new, name):
                raise NotRewritable(f"{old.co_qualname}: with probes, {name} would differ", "unproved")
        self.old = _Code(old)
        self.new = _Code(new)
        self.placeholders = placeholders
        self.before = {each.number: each.before for each in placeholders.values()}
        self.roles = {each.number: each.role for each in placeholders.values()}
        self.has_callees = not {"callee", "call"}.isdisjoint(self.roles.values())
        self.has_endings = "ending" in self.roles.values()
        self.partner = [None] * self.new.count
        self.ends = {}
        self.dropped = {}
        self.lines = {}
        self.met = [None] * self.old.count
        self.met_again = set()
        self.passed_old, self.passed_new, self.passed_behind, self.passed_marks = [], [], [], []
        self.work = [(0, 0)]
        self.nested = []
        self.last_handler = self.last_new_handler = -1

    def run(self):
        while self.work:
            a, b = self.work.pop()
            self.follow(a, b)

    cdef fail(self, int a, int b):
        cdef _Code old = self.old, new = self.new
        raise NotRewritable(
            f"{old.code.co_qualname}: with probes the compiler lays out the code differently near line "
            f"{old.positions[a][0]} ({opcode.opname[old.op[a]]} became {opcode.opname[new.op[b]]})",
            "unproved",
        )

    cdef int outside(self) except -1:
        raise NotRewritable(f"{self.old.code.co_qualname}: the code leads out of itself", "unproved")

    cdef bint was_met(self, int a, int b) except -1:
        """Whether a pair was met before; it is noted."""
        first = self.met[a]
        if first is None:
            self.met[a] = b
            return False
        if first == b:
            return True
        pair = (a, b)
        if pair in self.met_again:
            return True
        self.met_again.add(pair)
        return False

    cdef follow(self, int a, int b):
        """Walk a straight run from a pair of units; put its branches on the list of work.

        ``part_a`` and ``part_b`` say which half of an instruction that does two things comes next.
        """
        cdef _Code old = self.old, new = self.new
        cdef int part_a = 0, part_b = 0
        while True:
            if self.passed_old:
                self.passed_old = []
            if self.passed_new:
                self.passed_new = []
            if self.passed_behind:
                self.passed_behind = []
            if self.passed_marks:
                self.passed_marks = []
            if not part_a:
                a = self.lead(a)
            if not part_b:
                b = self.skip(b, a)
            if self.passed_old and (self.passed_new or self.passed_marks):
                self.match_passed()
            if self.passed_behind:
                self.place_behind()
            if not (part_a or part_b) and self.was_met(a, b):
                return
            if new.op[b] == SWAP and _takes(_opcode(old, a, part_a)):
                a, part_a, b, part_b = self.follow_swap(a, part_a, b)
                continue
            if CONTRARY_OF[PLAIN_OF[old.op[a]]] == PLAIN_OF[new.op[b]]:
                self.take(b, old.positions[a])
                if not IS_QUIET[old.op[a]]:
                    self.handlers(a, b)
                self.work.append((old.target[a], self.not_taken(new, new.next[b])))
                a, b = self.not_taken(old, old.next[a]), new.target[b]
                continue
            self.compare(a, part_a, b, part_b)
            self.take(b, old.positions[a])
            if not IS_QUIET[old.op[a]]:
                self.handlers(a, b)
            if old.target[a] >= 0 and old.op[a] != END_ASYNC_FOR:  # its argument is no jump
                self.work.append((old.target[a], new.target[b]))
            if IS_END[old.op[a]] or IS_THROUGH[old.op[a]]:  # the latter is the jump of `while True: pass`
                return
            if not part_a and _is_double(old, a):
                part_a = 1
            else:
                a, part_a = old.next[a], 0
            if not part_b and _is_double(new, b):
                part_b = 1
            else:
                b, part_b = new.next[b], 0

    cdef tuple follow_swap(self, int a, int part_a, int b):
        """Walk over what the old code takes from the stack, and the new code takes after it swapped first and last.

        That is how the compiler ends a comprehension: the result is swapped with what the comprehension hid. Where it
        is stored at once, the old code stores in another order instead, unless a jump is between. Short ways out of
        a function are copied to where a jump to them would be, and with probes in them they may not be short.

        Returns:
            Where the walk goes on: ``a, part_a, b, part_b``.
        """
        cdef _Code old = self.old, new = self.new
        cdef int part_b = 0, start = b
        taken = []
        for _ in range(new.arg[b]):
            op = _opcode(old, a, part_a)
            if not _takes(op):
                self.fail(a, b)
            taken.append((op, _argument(old, a, part_a), a))
            a, part_a = (a, 1) if not part_a and _is_double(old, a) else (old.next[a], 0)
        stored = [arg for op, arg, _ in taken if op == STORE_FAST]
        if len(set(stored)) < len(stored):
            self.fail(taken[0][2], start)
        taken[0], taken[-1] = taken[-1], taken[0]
        b = new.next[b]
        for op, arg, unit in taken:
            if not part_b:
                b = self.skip(b, unit)
            if op != _opcode(new, b, part_b) or arg != _argument(new, b, part_b):
                self.fail(unit, b)
            self.take(b, old.positions[unit])
            self.handlers(unit, b)
            b, part_b = (b, 1) if not part_b and _is_double(new, b) else (new.next[b], 0)
        return a, part_a, b, part_b

    cdef int not_taken(self, _Code code, int unit) noexcept:
        """The unit behind the mark that a test has on the way that it does not jump."""
        return code.next[unit] if unit < code.count and code.op[unit] == NOT_TAKEN else unit

    cdef match_passed(self):
        """Pair the instructions passed on the way, as far as they are the same ones in the same order.

        Of ``try:``, ``pass`` and the like the old code has nothing but a NOP, for the event of its line. With a mark
        before it the compiler finds that needless, as the mark is of the same line: then the mark stands for it.
        """
        rest = list(self.passed_old)
        alone = []
        for b in self.passed_new:
            alike = [i for i in range(len(rest)) if self.old.op[<int> rest[i]] == self.new.op[<int> b]]
            if alike:
                # Several may be there for their lines alone, such as those of ``try:`` and a folded condition.
                there = [i for i in alike if self.old.positions[rest[i]] == self.new.positions[b]]
                i = (there or [i for i in alike if self.same_line(rest[i], b)] or alike)[0]
                self.take(b, self.old.positions[rest[i]])
                alone += rest[:i]
                del rest[: i + 1]
        for b in self.passed_marks:
            for a in (*alone, *rest):
                if self.same_line(a, b):
                    self.take(b, self.old.positions[a])

    cdef place_behind(self):
        """Place what stands behind a mark at the end of a block: where this way jumps back in the old code."""
        jumps = [a for a in self.passed_old if self.old.target[<int> a] >= 0]
        for b in self.passed_behind:
            self.take(b, self.old.positions[jumps[-1]] if jumps else NOWHERE)

    cdef bint same_line(self, int a, int b) except -1:
        return self.old.positions[a][0] == self.new.positions[b][0]

    cdef int lead(self, int a) except -1:
        """The next instruction of the old code that does something; in a loop that never will, its jump back."""
        cdef _Code old = self.old
        cdef int steps = 0, dropped = -1
        while True:
            if not 0 <= a < old.count or old.op[a] < 0:
                self.outside()
            if a == dropped:
                dropped = -1
            elif dropped < 0 and IS_KNOWN[old.op[a]] and (dropped := _dropped(old, a, False)) >= 0:
                pass
            elif not IS_THROUGH[old.op[a]] or (steps > old.count and 0 <= old.target[a] <= a):
                return a
            self.passed_old.append(a)
            a = old.target[a] if old.target[a] >= 0 else old.next[a]
            steps += 1

    cdef int skip(self, int b, int a) except -1:
        """The next instruction of the new code that does something and belongs to no probe; as `lead`.

        The old code goes on at ``a``. Without columns that alone tells true subscripts from probes.
        """
        cdef _Code new = self.new
        cdef int steps = 0, op, dropped = -1
        cdef bint ended = False
        cdef int expected = self.old.op[a]
        cdef bint blindly = not HAS_COLUMNS and not (IS_KNOWN[expected] and _may_end_probe(self.old, self.old.next[a]))
        while True:
            if not 0 <= b < new.count or new.op[b] < 0:
                self.outside()
            steps += 1
            op = new.op[b]
            if op == LOAD_CONST and type(new.constant(b)) is complex:
                placeholder = self.placeholders.get(new.constant(b))
                if placeholder is not None:
                    ended = placeholder.role == "ending"
                    b = self.step_over(b, placeholder)
                    continue
            if op == SUBSCRIPT and self.is_probe(b, expected):
                b = new.next[b]
                continue
            if b == dropped:
                dropped = -1
            elif dropped < 0 and IS_KNOWN[op] and (dropped := _dropped(new, b, blindly)) >= 0:
                self.dropped[dropped] = b
                ended = False
            elif not IS_THROUGH[op] or (steps > new.count and 0 <= new.target[b] <= b):
                return b
            if op == PUSH_NULL and number_of(new.positions[b][2]) >= 0:
                self.ends[b] = True
            (self.passed_behind if ended else self.passed_new).append(b)
            if new.target[b] >= 0:
                b, ended = new.target[b], False
            else:
                b = new.next[b]

    cdef int step_over(self, int b, placeholder) except -1:
        """The unit behind a probe's load and, where it has them, its inversion and the removal of its result."""
        cdef int more = {"first": 1, "mark": 2, "ending": 2}.get(placeholder.role, 0), part
        cdef bint is_mark = placeholder.role == "mark"
        for part in range(more + 1):
            if part and (b >= self.new.count or self.new.op[b] != (INVERT if part == 1 else POP_TOP)):
                self.outside()
            self.ends[b] = True
            if is_mark:
                self.passed_marks.append(b)
            b = self.new.next[b]
        return b

    cdef bint is_probe(self, int b, int expected) except -1:
        """Whether a subscript is the second half of a probe; remembers from where it takes its position."""
        cdef int number = _ended(self.new, b)
        if number >= 0:
            self.ends[b] = self.before[number]
            return True
        if HAS_COLUMNS or expected == SUBSCRIPT or not _may_end_probe(self.new, b):
            return False
        self.ends[b] = False
        return True

    cdef compare(self, int a, int part_a, int b, int part_b):
        cdef _Code old = self.old, new = self.new
        cdef int op = _opcode(old, a, part_a)
        cdef int arg = _argument(old, a, part_a), new_arg = _argument(new, b, part_b)
        if op != _opcode(new, b, part_b):
            self.fail(a, b)
        if IS_CONSTANT[op]:
            one, other = old.constant(a), new.constant(b)
            if type(one) is not type(other):
                self.fail(a, b)
            if type(one) is _CodeType:
                self.nested.append((one, other))
            elif one is not other and repr(one) != repr(other) and one != other:
                self.fail(a, b)
        elif op == COMPARE:
            if (arg | 16) != (new_arg | 16):  # whether the result is wanted as a truth value
                self.fail(a, b)
        elif IS_METHOD[op]:
            bare = old.op[a] == new.op[b] and old.arg[a] == new.arg[b]
            if arg != new_arg or not (bare or self.has_callees):  # a method is fetched in another way for its probe
                self.fail(a, b)
        elif IS_CALL[op]:
            if arg != new_arg and not (arg + 2 == new_arg and self.is_called_instead(b)):
                self.fail(a, b)
        elif old.target[a] < 0 and arg != new_arg:
            self.fail(a, b)

    cdef bint is_called_instead(self, int b) except -1:
        """Whether a call is that of a function called instead, which gets the callee and one object in front.

        Its column tells. A ``with`` block calls ``__exit__`` at the same column, but with arguments of its own.
        """
        return self.roles.get(number_of(self.new.positions[b][2])) == "call"

    cdef handlers(self, int a, int b):
        cdef int one = self.old.cover[a], other = self.new.cover[b]
        if one == other == -1 or (one == self.last_handler and other == self.last_new_handler):
            return
        if one < 0 or other < 0:
            self.fail(a, b)
        before, now = self.old.ranges[one], self.new.ranges[other]
        if (before.state ^ now.state) & 1 or before.state > now.state:
            self.fail(a, b)
        self.work.append((before.target, now.target))
        self.last_handler, self.last_new_handler = one, other

    cdef take(self, int b, position):
        """Give a unit its position. The copies of one instruction have the same, but for lines of exits.

        What has no place in the source, such as the jump back of a loop, is copied to each way that leads there and
        has the line of that. A mark at the end of a block joins the ways before it: then it has no line of its own.
        """
        known = self.partner[b]
        if known is None:
            self.partner[b] = position
        elif known == position:
            return
        elif self.has_endings and (not IS_END[self.new.op[b]] or self.new.op[b] == RERAISE):
            self.partner[b] = (known[0], known[0], None, None) if known[0] == position[0] else NOWHERE
        else:
            if NOWHERE in (known, position):
                self.lines.setdefault(b, set()).add(known[0] or position[0])
            if position == self.new.positions[b]:
                self.partner[b] = position

    def table(self):
        """The location table of the new code."""
        for unit, loaded in self.dropped.items():
            if self.partner[unit] is None:  # only the new code has it
                self.partner[unit] = self.new.positions[loaded]
        return _table(self.new, self.partner, self.ends, self.lines)


cdef bint _may_begin_probe(_Code code, int unit):
    return BEGINS_PROBE[code.op[unit]] and (code.op[unit] != LOAD_CONST or type(code.constant(unit)) is complex)


cdef bytes _table(_Code new, list partner, dict ends, dict lines):
    """The location table of code whose probes stand at the units in ``ends``; see `_Walk` for the arguments."""
    cdef int unit = 0, target, count = new.count
    starts = []
    while unit < count:
        starts.append(unit)
        unit = new.next[unit]
    placed = [None] * count
    last = (None, None, None, None)
    aims = {new.target[each] for each in starts} if lines else ()
    late = set()  # ends that jumps without a place lead to: their line would begin there, so they belong to what follows
    for unit in starts:  # forward: ends, and jumps that stood elsewhere, stay where the code came from
        position = partner[unit]
        target = new.target[unit] if IS_THROUGH[new.op[unit]] else new.next[unit] if unit in late else -1
        if target > unit and ends.get(target) is False and (unit in late or position == NOWHERE):
            late.add(target)
        if position is None:
            own = new.positions[unit]
            is_marked = number_of(own[2]) >= 0 or number_of(own[3]) >= 0
            if is_marked and unit not in ends and _may_begin_probe(new, unit):
                position = (own[0], own[0], None, None)  # never met: code that cannot be reached has its lines, too
            else:
                position = last if is_marked or unit in ends else own
        elif position == NOWHERE and unit not in aims and lines.get(unit) == {last[0]}:
            position = (last[0], last[0], None, None)  # a line that the program did come to
        placed[unit] = position
        last = position
    for unit in reversed(starts):  # backward: starts belong to what follows
        target = new.target[unit]
        if unit in late or (ends.get(unit) and partner[unit] is None):
            placed[unit] = last
        elif target > unit and IS_THROUGH[new.op[unit]] and partner[unit] is None and placed[unit][0] is None:
            placed[unit] = placed[target]  # else a jump that the old code needs none of would begin the line there anew
        last = placed[unit]
    return _encode(new.code.co_firstlineno, [(placed[unit], new.next[unit] - unit) for unit in starts])


cdef bytes _encode(int first_line, entries):
    """Write a location table (format: see `recompyle.inject.lines`)."""
    table = bytearray()
    cdef int line = first_line
    merged = []
    for position, units in entries:
        if merged and merged[-1][0] == position:
            merged[-1][1] += units
        else:
            merged.append([position, units])
    for position, units in merged:
        while units > 0:
            line = _entry(table, position, min(units, 8), line)
            units -= 8
    return bytes(table)


cdef int _entry(bytearray table, position, int units, int line) except? -1:
    at, end, column, end_column = position
    if at is None:
        table.append(0x80 | 15 << 3 | (units - 1))
        return line
    cdef int delta = at - line
    if column is None or end_column is None:
        if end is None or end == at:
            table.append(0x80 | 13 << 3 | (units - 1))
            _varint(table, _signed(delta))
        else:
            _long(table, units, delta, end - at, 0, 0)
    elif end == at and delta == 0 and column < 80 and 0 <= end_column - column < 16:
        table.append(0x80 | (column >> 3) << 3 | (units - 1))
        table.append((column & 7) << 4 | (end_column - column))
    elif end == at and 0 <= delta < 3 and column < 128 and end_column < 128:
        table.append(0x80 | (10 + delta) << 3 | (units - 1))
        table.append(column)
        table.append(end_column)
    else:
        _long(table, units, delta, end - at, column + 1, end_column + 1)
    return at


cdef _long(bytearray table, int units, int delta, int lines, int column, int end_column):
    table.append(0x80 | 14 << 3 | (units - 1))
    _varint(table, _signed(delta))
    _varint(table, lines)
    _varint(table, column)
    _varint(table, end_column)


cdef long _signed(int value):
    return -value << 1 | 1 if value < 0 else value << 1


cdef _varint(bytearray table, long value):
    while value > 0x3F:
        table.append(value & 0x3F | 0x40)
        value >>= 6
    table.append(value)
