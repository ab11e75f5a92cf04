"""The fast writer. Its output is that of `recompyle.inject.plain`, byte for byte.

It is Cython alone, on C arrays: nearly all of it walks over bytes that Python objects own and makes new ones, once for
each code object. A module of the C core would pass a dozen arrays to and fro, and its judge would be the same: the
writer in Python, on the whole standard library.

There are two ways. Probes at the entry alone are spliced in: no jump crosses the unit behind the first RESUME, so what
follows is copied as a block. Everything else is laid out anew. Sites that are simply instructions of some kind are
found in the same walk that finds the jumps; places that take more to find come from `recompyle.inject.points`.

Whatever looks unusual, what is to be refused above all, is left to the plain writer: then `write` returns None. All
positions count units, as everywhere in this package.
"""

from types import CodeType

from recompyle.inject import exctable, facts, plain, points
from recompyle.inject.decode import decode
from recompyle.inject.edit import Edit, matches

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy

cdef extern from *:
    """
    /* What the opcodes of the running interpreter mean: the same for all interpreters of the process. */
    static unsigned char rcp_role[256];
    static unsigned char rcp_caches[256];
    static struct {
        int call_intrinsic_1, cleanup_throw, end_async_for, extended_arg, push_exc_info, resume, return_const, return_value,
            yield_value;
        int place_mask, depth_one, throw_reads_send;
    } rcp_is;
    """
    uint8_t rcp_role[256]
    uint8_t rcp_caches[256]

    cdef struct rcp_numbers:
        int call_intrinsic_1
        int cleanup_throw
        int end_async_for
        int extended_arg
        int push_exc_info
        int resume
        int return_const
        int return_value
        int yield_value
        int place_mask
        int depth_one
        int throw_reads_send
    rcp_numbers rcp_is

cdef enum:
    # roles of an opcode
    STRANGE = 1  # the compiler does not write it
    FORWARD = 2  # its argument is a distance
    BACKWARD = 4
    STATION = 8  # a site may be here
    IN_PROLOGUE = 16  # may stand before the first RESUME

    NOWHERE = -1  # location of a mark that has none
    LONGEST = 1 << 24  # what is longer is left to the plain writer; keeps sums far from overflow
    AT_ONCE = 8  # units that one entry of the location table covers at most
    SILENT = 15  # form of an entry without location
    LASTI = 1  # see plain._LASTI

    # kinds that the walk finds
    ENTRY = 0
    RETURN
    UNWIND
    HANDLER
    YIELD
    RESUMED
    AWAIT_YIELD
    AWAIT_RESUMED
    LEAVING
    KINDS

_NUMBERS = {
    "entry": ENTRY, "return": RETURN, "unwind": UNWIND, "handler": HANDLER, "yield": YIELD, "resume": RESUMED,
    "leaving": LEAVING,
}  # fmt: skip
_IN_AWAITS = {YIELD: AWAIT_YIELD, RESUMED: AWAIT_RESUMED}  # the kinds for those edits that include what is implicit


_ARMOR = ("__pyarmor", "__armor")


def _learn():
    """Copy the facts to where C reads them."""
    rcp_is.call_intrinsic_1 = facts.CALL_INTRINSIC_1
    rcp_is.cleanup_throw = facts.CLEANUP_THROW
    rcp_is.end_async_for = facts.END_ASYNC_FOR
    rcp_is.extended_arg = facts.EXTENDED_ARG
    rcp_is.push_exc_info = facts.PUSH_EXC_INFO
    rcp_is.resume = facts.RESUME
    rcp_is.return_const = facts.RETURN_CONST
    rcp_is.return_value = facts.RETURN_VALUE
    rcp_is.yield_value = facts.YIELD_VALUE
    rcp_is.place_mask = facts.PLACE_MASK
    rcp_is.depth_one = facts.DEPTH_ONE
    rcp_is.throw_reads_send = facts.THROW_READS_SEND
    stations = (
        facts.CALL_INTRINSIC_1, facts.PUSH_EXC_INFO, facts.RESUME, facts.RETURN_CONST, facts.RETURN_VALUE, facts.YIELD_VALUE
    )  # fmt: skip
    for op in range(256):
        way = facts.JUMPS.get(op, 0)
        rcp_caches[op] = facts.CACHES[op]
        rcp_role[op] = (
            (0 if op in facts.PLAIN else STRANGE)
            | (FORWARD if way > 0 else 0)
            | (BACKWARD if way < 0 else 0)
            | (STATION if op in stations else 0)
            | (IN_PROLOGUE if op in facts.PROLOGUE else 0)
        )


_learn()


cdef struct Bytes:
    # bytes that grow
    uint8_t *data
    Py_ssize_t size
    Py_ssize_t room

cdef struct Mark:
    # units to insert
    int32_t at
    int32_t next  # number of the next mark at the same unit, from 1
    int32_t units
    bint after  # whether jumps to that unit skip them
    Py_ssize_t text  # where they stand in the texts

cdef struct Jump:
    int32_t start
    int32_t unit
    int32_t end
    int32_t target
    int32_t way
    int64_t arg

cdef struct Range:
    # of the exception table
    int32_t start
    int32_t end
    int32_t target
    int32_t state


cdef int _room(Bytes *to, Py_ssize_t more) except -1:
    cdef Py_ssize_t room = to.size + more
    cdef void *grown
    if room > to.room:
        room += room // 2 + 64
        grown = realloc(to.data, room)
        if grown == NULL:
            raise MemoryError
        to.data = <uint8_t *>grown
        to.room = room
    return 0


cdef int _put(Bytes *to, const uint8_t *data, Py_ssize_t size) except -1:
    _room(to, size)
    if size:
        memcpy(to.data + to.size, data, size)
    to.size += size
    return 0


cdef bytes _object(const Bytes *of):
    return PyBytes_FromStringAndSize(<char *>of.data, of.size) if of.size else b""


# -- the location table --------------------------------------------------------------------------------------


cdef int _silent(Bytes *to, int32_t units) except -1:
    cdef uint8_t entry = 0x80 | SILENT << 3
    _resized(to, &entry, 1, units)
    return 0


cdef int _resized(Bytes *to, const uint8_t *entry, Py_ssize_t size, int32_t units) except -1:
    """An entry that covers so many units, with more of the same location where one is too few."""
    cdef int32_t covered = min(units, <int32_t>AT_ONCE)
    if units <= 0:
        return 0
    _room(to, size)
    to.data[to.size] = entry[0] & 0xF8 | (covered - 1)
    memcpy(to.data + to.size + 1, entry + 1, size - 1)
    to.size += size
    units -= covered
    while units > 0:
        covered = min(units, <int32_t>AT_ONCE)
        _again(to, entry, size, covered)
        units -= covered
    return 0


cdef int _again(Bytes *to, const uint8_t *entry, Py_ssize_t size, int32_t units) except -1:
    """An entry for up to eight units right behind another, with the same location: without a step in lines."""
    cdef int form = entry[0] >> 3 & 15
    cdef Py_ssize_t end = 1  # of the step
    _room(to, size + 1)
    if form == 13 or form == 14:
        while end < size - 1 and entry[end] & 0x40:
            end += 1
        to.data[to.size] = 0x80 | form << 3 | (units - 1)
        to.data[to.size + 1] = 0
        memcpy(to.data + to.size + 2, entry + end + 1, size - end - 1)
        to.size += 2 + size - end - 1
        return 0
    if 10 < form < 13:
        form = 10
    to.data[to.size] = 0x80 | form << 3 | (units - 1)
    memcpy(to.data + to.size + 1, entry + 1, size - 1)
    to.size += size
    return 0


cdef int _piece(Bytes *to, const uint8_t *entry, Py_ssize_t size, bint again, int32_t units) except -1:
    """One stretch of an entry that was split."""
    cdef int32_t covered
    if not again:
        return _resized(to, entry, size, units)
    while units > 0:
        covered = min(units, <int32_t>AT_ONCE)
        _again(to, entry, size, covered)
        units -= covered
    return 0


cdef Py_ssize_t _entry_end(const uint8_t *table, Py_ssize_t size, Py_ssize_t at) noexcept:
    at += 1
    while at < size and not table[at] & 0x80:
        at += 1
    return at


cdef bint _covers(const uint8_t *table, Py_ssize_t size, int32_t units) noexcept:
    """Whether a location table is well formed, as far as it matters, and covers so many units."""
    cdef Py_ssize_t at = 0, end, step
    cdef int32_t covered = 0
    cdef int form
    if size == 0 or not table[0] & 0x80:
        return False
    while at < size:
        covered += (table[at] & 7) + 1
        form = table[at] >> 3 & 15
        end = _entry_end(table, size, at)
        if form == 13 or form == 14:
            step = at + 1
            while step < end and table[step] & 0x40:
                step += 1
            if step == end:
                return False  # the step in lines, which `_again` leaves out, has no end
        at = end
    return covered == units


# -- the exception table -------------------------------------------------------------------------------------


cdef int _varint(Bytes *to, int32_t value, uint8_t first) except -1:
    cdef int shift = 0
    _room(to, 6)
    while value >> shift > 0x3F:
        shift += 6
    while shift:
        to.data[to.size] = value >> shift & 0x3F | 0x40 | first
        to.size += 1
        first = 0
        shift -= 6
    to.data[to.size] = value & 0x3F | first
    to.size += 1
    return 0


cdef int _put_range(Bytes *to, int32_t start, int32_t end, int32_t target, int32_t state) except -1:
    _varint(to, start, 0x80)
    _varint(to, end - start, 0)
    _varint(to, target, 0)
    _varint(to, state, 0)
    return 0


cdef Py_ssize_t _ranges(bytes table, int32_t units, Range **found) except -2:
    """Read an exception table into new memory; gives how many there are, -1 if it is not as the compiler writes it."""
    cdef const uint8_t *data = <const uint8_t *>PyBytes_AS_STRING(table)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(table), at = 0, count = 0
    cdef int32_t values[4]
    cdef int32_t value
    cdef int32_t last = 0
    cdef int which
    cdef Range *ranges
    if size == 0:
        return 0
    ranges = <Range *>malloc((size // 4 + 1) * sizeof(Range))
    if ranges == NULL:
        raise MemoryError
    found[0] = ranges
    while at < size:
        for which in range(4):
            value = 0
            while True:
                if at >= size or value > LONGEST:
                    return -1
                value = value << 6 | data[at] & 0x3F
                at += 1
                if not data[at - 1] & 0x40:
                    break
            values[which] = value
        if values[1] == 0 or values[0] < last or values[0] > units or values[1] > units - values[0] or values[2] > units:
            return -1
        last = values[0] + values[1]
        ranges[count] = Range(values[0], last, values[2], values[3])
        count += 1
    return count


# -- entry alone ---------------------------------------------------------------------------------------------


cdef _splice(code, bytes raw, list edits):
    """A new code object with probes at the entry only, or None."""
    cdef const uint8_t *units = <const uint8_t *>PyBytes_AS_STRING(raw)
    cdef int32_t count = <int32_t>(PyBytes_GET_SIZE(raw) // 2)
    cdef int32_t entry = 0, unit, prefix, statements, hooks
    cdef int64_t distance
    cdef uint8_t role
    cdef int shift
    while entry < count and units[2 * entry] != rcp_is.resume:
        if not rcp_role[units[2 * entry]] & IN_PROLOGUE:
            return None
        entry += 1
    entry += 1 + rcp_caches[rcp_is.resume]
    if entry >= count:
        return None
    for unit in range(count):
        role = rcp_role[units[2 * unit]]
        if role & STRANGE:
            return None
        if role & BACKWARD:
            distance = units[2 * unit + 1]
            prefix, shift = unit, 8
            while prefix and units[2 * prefix - 2] == rcp_is.extended_arg and shift < 32:
                prefix -= 1
                distance |= <int64_t>units[2 * prefix + 1] << shift
                shift += 8
            if unit + 1 + rcp_caches[units[2 * unit]] - distance < entry:
                return None  # it would cross the probe
    constants = plain.Constants(code)
    silent = b"".join([plain.text(edit, constants, None)[0] for edit in edits if edit.form != "hook"])
    located = b"".join([plain.text(edit, constants, None)[0] for edit in edits if edit.form == "hook"])
    statements, hooks = len(silent) // 2, len(located) // 2
    lines = _spliced_lines(code.co_linetable, count, entry, statements, hooks)
    if lines is None:
        return None
    handlers = _spliced_handlers(code.co_exceptiontable, count, entry, statements + hooks)
    if handlers is None:
        return None
    return code.replace(
        co_code=raw[: 2 * entry] + silent + located + raw[2 * entry :],
        co_consts=constants.all(),
        co_linetable=lines,
        co_exceptiontable=handlers,
        co_stacksize=code.co_stacksize + (plain.HOOK_NEEDS if hooks else 1),
    )


cdef _spliced_lines(bytes table, int32_t units, int32_t entry, int32_t statements, int32_t hooks):
    """The location table with so many units more: the first ones without location, the others located as the entry."""
    cdef const uint8_t *data = <const uint8_t *>PyBytes_AS_STRING(table)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(table), at = 0, end
    cdef int32_t unit = 0, length
    cdef Bytes new = Bytes(NULL, 0, 0)
    if not _covers(data, size, units):
        return None
    while True:
        length = (data[at] & 7) + 1
        if unit + length > entry:
            break
        unit += length
        at = _entry_end(data, size, at)
    end = _entry_end(data, size, at)
    try:
        if statements == 0 or unit == entry:
            _silent(&new, statements)
            _resized(&new, data + at, end - at, length + hooks)
        else:
            _resized(&new, data + at, end - at, entry - unit)
            _silent(&new, statements)
            _piece(&new, data + at, end - at, True, unit + length - entry + hooks)
        return table[:at] + _object(&new) + table[end:]
    finally:
        free(new.data)


cdef _spliced_handlers(bytes table, int32_t units, int32_t entry, int32_t more):
    cdef Range *ranges = NULL
    cdef Bytes new = Bytes(NULL, 0, 0)
    cdef Py_ssize_t count, i
    cdef Range each
    try:
        count = _ranges(table, units, &ranges)
        if count < 0:
            return None
        for i in range(count):
            each = ranges[i]
            _put_range(
                &new,
                each.start + (more if each.start >= entry else 0),
                each.end + (more if each.end >= entry else 0),
                each.target + (more if each.target >= entry else 0),
                each.state,
            )
        return _object(&new)
    finally:
        free(ranges)
        free(new.data)


# -- anything else -------------------------------------------------------------------------------------------


cdef class _Kinds


cdef class _Work:
    """One code object that is being written.

    State: the marks in the order in which they run at one unit, and what belongs to each old unit, in arrays: ``head``
    (number of the first mark there, from 1), ``after`` and ``before`` (how many units are inserted), ``wide`` (prefixes
    that the jump there came to need), ``shared`` and ``silent`` (new units with its location, and those without any
    ahead of it), ``gap`` (the new place of all that is inserted there).
    """

    cdef object code
    cdef bytes raw
    cdef const uint8_t *units
    cdef int32_t count
    cdef int32_t entry
    cdef Bytes texts
    cdef Bytes out
    cdef Mark *marks
    cdef int32_t n_marks
    cdef int32_t room
    cdef int32_t *arrays
    cdef int32_t *head
    cdef int32_t *after
    cdef int32_t *before
    cdef int32_t *wide
    cdef int32_t *shared
    cdef int32_t *silent
    cdef int32_t *gap
    cdef Jump *jumps
    cdef int32_t n_jumps
    cdef Range *ranges
    cdef Py_ssize_t n_ranges
    cdef int32_t *ended  # returns whose run has ended when an exception could arise: start and end of each
    cdef int32_t n_ended
    cdef list lone  # units of the RESUMEs that say that only the compiler's handler covers their yield

    def __dealloc__(self):
        free(self.texts.data)
        free(self.out.data)
        free(self.marks)
        free(self.arrays)
        free(self.jumps)
        free(self.ranges)
        free(self.ended)

    cdef bint begin(self, code, bytes raw) except -1:
        cdef int32_t n = <int32_t>(PyBytes_GET_SIZE(raw) // 2)
        self.code, self.raw, self.count, self.lone = code, raw, n, []
        self.units = <const uint8_t *>PyBytes_AS_STRING(raw)
        self.arrays = <int32_t *>calloc(7 * (n + 1), sizeof(int32_t))
        self.jumps = <Jump *>malloc((n + 1) * sizeof(Jump))
        self.ended = <int32_t *>malloc(2 * (n + 1) * sizeof(int32_t))
        if self.arrays == NULL or self.jumps == NULL or self.ended == NULL:
            raise MemoryError
        self.head = self.arrays
        self.after = self.head + n + 1
        self.before = self.after + n + 1
        self.wide = self.before + n + 1
        self.shared = self.wide + n + 1
        self.silent = self.shared + n + 1
        self.gap = self.silent + n + 1
        self.n_ranges = _ranges(code.co_exceptiontable, n, &self.ranges)
        return self.n_ranges >= 0

    cdef Py_ssize_t text(self, bytes units) except -1:
        """Keep a text; gives where it stands."""
        cdef Py_ssize_t at = self.texts.size
        _put(&self.texts, <const uint8_t *>PyBytes_AS_STRING(units), PyBytes_GET_SIZE(units))
        return at

    cdef bint mark(self, int32_t at, bint after, int32_t like, Py_ssize_t text, int32_t units) except -1:
        cdef void *grown
        if not 0 <= at <= self.count or like >= self.count or (like == NOWHERE and at == self.count):
            return False
        if self.n_marks == self.room:
            self.room = 2 * self.room + 16
            grown = realloc(self.marks, self.room * sizeof(Mark))
            if grown == NULL:
                raise MemoryError
            self.marks = <Mark *>grown
        self.marks[self.n_marks] = Mark(at, 0, units, after, text)
        self.n_marks += 1
        if after:
            self.after[at] += units
        else:
            self.before[at] += units
        if like == NOWHERE:
            self.silent[at] += units
        else:
            self.shared[like] += units
        return True

    cdef void end_at(self, int32_t start, int32_t end) noexcept:
        """Note a return; they come in order, perhaps several times."""
        if self.n_ended == 0 or self.ended[2 * self.n_ended - 2] < start:
            self.ended[2 * self.n_ended] = start
            self.ended[2 * self.n_ended + 1] = end
            self.n_ended += 1

    cdef int32_t handler(self, int32_t unit) noexcept:
        """Where an exception raised at a unit is handled, or -1."""
        cdef Py_ssize_t low = 0, high = self.n_ranges, middle
        while low < high:
            middle = (low + high) // 2
            if unit < self.ranges[middle].start:
                high = middle
            elif unit >= self.ranges[middle].end:
                low = middle + 1
            else:
                return self.ranges[middle].target
        return -1

    # Reading

    cdef bint walk(self, _Kinds kinds) except -1:
        """Find all jumps and, unless ``kinds`` is None, the sites; False if something is unusual."""
        cdef const uint8_t *units = self.units
        cdef int32_t unit = 0, start = 0, end, n = self.count, at
        cdef int64_t arg = 0
        cdef int op
        cdef uint8_t role
        while unit < n:
            op = units[2 * unit]
            arg |= units[2 * unit + 1]
            role = rcp_role[op]
            if role & STRANGE or (self.entry == 0 and op != rcp_is.resume and not role & IN_PROLOGUE):
                return False
            if op == rcp_is.extended_arg:
                unit += 1
                if unit - start > 3:
                    return False
                arg <<= 8
                continue
            end = unit + 1 + rcp_caches[op]
            if end > n:
                return False
            for at in range(unit + 1, end):
                if units[2 * at] or units[2 * at + 1]:
                    return False
            if role & (FORWARD | BACKWARD):
                if not self.jump(start, unit, end, arg, 1 if role & FORWARD else -1):
                    return False
            elif role & STATION:
                if op == rcp_is.resume:
                    if self.entry == 0:
                        self.entry = end
                        if kinds is not None and not kinds.entry(end):
                            return False
                    if arg & rcp_is.depth_one:
                        self.lone.append((unit, arg))
                elif kinds is not None and not self.station(kinds, op, start, unit, end, arg):
                    return False
            start = unit = end
            arg = 0
        return start == n and 0 < self.entry < n

    cdef bint jump(self, int32_t start, int32_t unit, int32_t end, int64_t arg, int32_t way) noexcept:
        cdef int64_t target = end + way * arg
        if not 0 <= target <= self.count:
            return False
        self.jumps[self.n_jumps] = Jump(start, unit, end, <int32_t>target, way, arg)
        self.n_jumps += 1
        return True

    cdef bint station(self, _Kinds kinds, int op, int32_t start, int32_t unit, int32_t end, int64_t arg) except -1:
        """Put marks at an instruction where sites may be."""
        cdef int place
        cdef int32_t cleanup, behind
        if op == rcp_is.return_value or op == rcp_is.return_const:
            if kinds.wants(RETURN):
                self.end_at(start, unit + 1)
                if op == rcp_is.return_const:
                    return kinds.put_constant(start, unit, arg)
                return kinds.put(RETURN, start, False, unit)
        elif op == rcp_is.push_exc_info:
            return kinds.put(HANDLER, end, True, unit)
        elif op == rcp_is.call_intrinsic_1:
            if arg == facts.STOPITERATION_ERROR:
                return kinds.put(LEAVING, start, False, unit)
        elif op == rcp_is.yield_value:
            if end >= self.count or self.units[2 * end] != rcp_is.resume:
                return False
            place = self.units[2 * end + 1] & rcp_is.place_mask
            behind = end + 1 + rcp_caches[rcp_is.resume]
            if place == 2 and rcp_is.throw_reads_send:
                return False
            if place == 1 or place == 2:
                if not kinds.put(YIELD, start, False, unit) or not kinds.put(RESUMED, behind, True, end):
                    return False
                cleanup = self.handler(unit) if place == 2 else -1
                if 0 <= cleanup < self.count and self.units[2 * cleanup] == rcp_is.cleanup_throw:
                    return kinds.put(RESUMED, cleanup, False, cleanup)
            elif place == 3 and not rcp_is.throw_reads_send:
                return kinds.put(AWAIT_YIELD, start, False, unit) and kinds.put(AWAIT_RESUMED, behind, True, end)
        return True

    # Laying out

    cdef int32_t label(self, int32_t unit) noexcept:
        """The new place where jumps to an old unit land."""
        return self.gap[unit] + self.after[unit]

    cdef int32_t placed(self, int32_t unit) noexcept:
        """The new place of an old unit, with the prefixes that its jump came to need."""
        return self.gap[unit] + self.after[unit] + self.before[unit]

    cdef int64_t distance(self, const Jump *jump) noexcept:
        return jump.way * (<int64_t>self.label(jump.target) - self.gap[jump.end])

    cdef void measure(self) noexcept:
        cdef int32_t unit, place = 0
        for unit in range(self.count):
            self.gap[unit] = place
            place += self.after[unit] + self.before[unit] + self.wide[unit] + 1
        self.gap[self.count] = place

    cdef bint lay_out(self) noexcept:
        """Give everything its place; prefixes to the jumps whose argument outgrew them. None is ever taken away."""
        cdef int32_t number, room, need
        cdef int64_t arg
        cdef bint changed = True
        cdef Jump *jump
        for number in range(self.n_marks, 0, -1):
            self.marks[number - 1].next = self.head[self.marks[number - 1].at]
            self.head[self.marks[number - 1].at] = number
        while changed:
            changed = False
            self.measure()
            for number in range(self.n_jumps):
                jump = &self.jumps[number]
                arg = self.distance(jump)
                if arg < 0:
                    return False
                need = 0
                while arg:
                    need += 1
                    arg >>= 8
                room = jump.unit - jump.start + 1 + self.wide[jump.start]
                if need > room:
                    self.wide[jump.start] += need - room
                    changed = True
        for number in range(self.n_jumps):
            jump = &self.jumps[number]
            for room in range(jump.start + 1, jump.unit + 1):
                if self.head[room]:
                    return False  # between a jump and its prefixes
            if self.wide[jump.start]:
                if self.units[2 * jump.start] == rcp_is.end_async_for:
                    self.silent[jump.start] += self.wide[jump.start]
                else:
                    self.shared[jump.start] += self.wide[jump.start]
        return True

    # Writing

    cdef bytes written(self, bint lone_too):
        """The new code up to the old end; with ``lone_too`` its RESUMEs let ``close()`` run the handlers."""
        cdef int32_t unit, run = 0, number, total, i
        cdef int64_t arg
        cdef Py_ssize_t at
        cdef Jump *jump
        cdef Bytes *out = &self.out
        out.size = 0
        _room(out, 2 * <Py_ssize_t>self.placed(self.count))
        for unit in range(self.count + 1):
            if self.head[unit] or self.wide[unit]:
                _put(out, self.units + 2 * run, 2 * (unit - run))
                run = unit
                self.put_marks(unit, True)
                self.put_marks(unit, False)
                out.size += 2 * self.wide[unit]  # filled in below
        _put(out, self.units + 2 * run, 2 * (self.count - run))
        for number in range(self.n_jumps):
            jump = &self.jumps[number]
            arg = self.distance(jump)
            total = self.wide[jump.start] + jump.unit - jump.start + 1
            at = 2 * <Py_ssize_t>self.placed(jump.start)
            for i in range(total):
                if i < self.wide[jump.start]:
                    out.data[at + 2 * i] = rcp_is.extended_arg
                out.data[at + 2 * i + 1] = arg >> 8 * (total - 1 - i) & 255
        if lone_too:
            for unit, arg in self.lone:
                out.data[2 * <Py_ssize_t>self.label(unit) + 1] = arg & ~<int64_t>rcp_is.depth_one
        return _object(out)

    cdef int put_marks(self, int32_t unit, bint after) except -1:
        cdef int32_t number = self.head[unit]
        cdef Mark *mark
        while number:
            mark = &self.marks[number - 1]
            if mark.after == after:
                _put(&self.out, self.texts.data + mark.text, 2 * mark.units)
            number = mark.next
        return 0

    cdef bytes lines(self, int32_t tail):
        """The location table, or None if the old one does not cover the code."""
        cdef bytes table = self.code.co_linetable
        cdef const uint8_t *data = <const uint8_t *>PyBytes_AS_STRING(table)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(table), at = 0, end
        cdef int32_t first = 0, last, begin, unit, more
        cdef Bytes *out = &self.out
        if not _covers(data, size, self.count):
            return None
        out.size = 0
        while at < size:
            end = _entry_end(data, size, at)
            last = first + (data[at] & 7) + 1
            begin, more = first, 0
            for unit in range(first, last):
                if self.silent[unit]:
                    if unit > begin:
                        _piece(out, data + at, end - at, begin > first, unit - begin + more)
                        begin, more = unit, 0
                    _silent(out, self.silent[unit])
                more += self.shared[unit]
            _piece(out, data + at, end - at, begin > first, last - begin + more)
            first, at = last, end
        _silent(out, tail)
        return _object(out)

    cdef bytes handlers(self, bint catch_all):
        """The exception table; with ``catch_all`` what nothing covered leads to the handler at the end."""
        cdef Bytes *out = &self.out
        cdef Range each
        cdef int32_t free_from = self.entry, target = self.label(self.count), start, end
        cdef Py_ssize_t i = 0, j = 0
        out.size = 0
        while i < self.n_ranges or (catch_all and j < self.n_ended):
            if catch_all and j < self.n_ended and (i == self.n_ranges or self.ended[2 * j] < self.ranges[i].start):
                start, end = self.ended[2 * j], self.ended[2 * j + 1]
                j += 1
                self.free_stretch(free_from, start, target)
            else:
                each = self.ranges[i]
                start, end = each.start, each.end
                i += 1
                if catch_all:
                    self.free_stretch(free_from, start, target)
                _put_range(out, self.label(start), self.label(end), self.label(each.target), each.state)
            free_from = max(free_from, end)
        if catch_all:
            self.free_stretch(free_from, self.count, target)
        return _object(out)

    cdef int free_stretch(self, int32_t start, int32_t end, int32_t target) except -1:
        if start < end:
            _put_range(&self.out, self.label(start), self.label(end), target, LASTI)
        return 0


cdef class _Kinds:
    """The edits of each kind that the walk finds, and their texts, which are made when the first site is met.

    So that probes get their places among the constants in the order in which the plain writer gives them.
    """

    cdef _Work work
    cdef object constants
    cdef list edits  # by kind; None where there are none
    cdef list values  # for returned constants: edits of the kind ``return`` where one is in the form ``value``
    cdef Py_ssize_t text[KINDS]
    cdef int32_t units[KINDS]  # -1: not made yet
    cdef int32_t hooks  # units at the end of the text of ENTRY
    cdef int32_t need

    def __init__(self, work, constants, by_kind):
        cdef int kind
        self.work, self.constants = work, constants
        self.edits = [None] * KINDS
        for name, edits in by_kind.items():
            self.edits[<int>_NUMBERS[name]] = edits
        for kind in range(KINDS):
            self.units[kind] = -1
        for kind, implicit in _IN_AWAITS.items():
            if self.edits[kind] is not None:
                self.edits[implicit] = [edit for edit in self.edits[kind] if edit.include_implicit] or None
        returns = self.edits[RETURN]
        if returns is not None and any([edit.form == "value" for edit in returns]):
            self.values = returns
        for kind in (ENTRY, UNWIND):  # these come before all sites
            if self.edits[kind] is not None:
                self.make(kind)

    cdef bint wants(self, int kind) noexcept:
        return self.edits[kind] is not None

    cdef bytes made(self, int kind):
        return (<char *>self.work.texts.data)[self.text[kind] : self.text[kind] + 2 * self.units[kind]]

    cdef int make(self, int kind) except -1:
        pieces = []
        for edit in self.edits[kind]:
            units, need = plain.text(edit, self.constants, None)
            pieces.append(units)
            self.need = max(self.need, <int32_t>need)
            if edit.form == "hook":
                self.hooks += len(units) // 2
        joined = b"".join(pieces)
        self.text[kind] = self.work.text(joined)
        self.units[kind] = len(joined) // 2
        return 0

    cdef bint put(self, int kind, int32_t at, bint after, int32_t like) except -1:
        if self.edits[kind] is None:
            return True
        if self.units[kind] < 0:
            self.make(kind)
        return self.work.mark(at, after, like, self.text[kind], self.units[kind])

    cdef bint put_constant(self, int32_t at, int32_t like, int64_t constant) except -1:
        """Marks before a RETURN_CONST."""
        if self.values is None:
            return self.put(RETURN, at, False, like)
        joined = b""
        for edit in self.values:
            units, need = plain.text(edit, self.constants, constant)
            joined += units
            self.need = max(self.need, <int32_t>need)
        return self.work.mark(at, False, like, self.work.text(joined), len(joined) // 2)

    cdef bint entry(self, int32_t at) except -1:
        cdef int32_t statements
        if self.edits[ENTRY] is None:
            return True
        statements = self.units[ENTRY] - self.hooks
        if statements and not self.work.mark(at, True, NOWHERE, self.text[ENTRY], statements):
            return False
        return not self.hooks or self.work.mark(at, True, at, self.text[ENTRY] + 2 * statements, self.hooks)


def write(code, edits):
    """As `recompyle.inject.plain.write`, or None if that is to do it."""
    cdef dict by_kind = {}
    cdef bint simple = True
    if type(code) is not CodeType or not edits:
        return None
    for edit in edits:
        if type(edit) is not Edit:
            return None
        site = edit.site
        if site not in _NUMBERS or edit.index is not None or edit.lines is not None or edit.where is not None:
            simple = False
        by_kind.setdefault(site, []).append(edit)
    raw = code.co_code
    if len(raw) > LONGEST:
        return None
    if simple:
        if "entry" in by_kind:
            by_kind["entry"].sort(key=_is_hook)
            if len(by_kind) == 1:
                return _splice(code, raw, by_kind["entry"])
        written = _write_simple(code, raw, by_kind)
        if written is not None:
            return written
    return _write_any(code, raw, edits)


def is_protected(code):
    """Whether a code object holds the names of PyArmor's runtime."""
    for names in (code.co_names, code.co_consts):
        for name in <tuple>names:
            if type(name) is str and len(<str>name) > 7 and (<str>name)[0] == "_" and name.startswith(_ARMOR):
                return True
    return False


def _is_hook(edit):
    return edit.form == "hook"


cdef _write_simple(code, bytes raw, dict by_kind):
    """All sites of kinds that the walk finds."""
    cdef _Work work = _Work()
    cdef _Kinds kinds
    cdef bytes tail = b""
    constants = plain.Constants(code)
    if not work.begin(code, raw):
        return None
    kinds = _Kinds(work, constants, by_kind)
    if not work.walk(kinds) or not work.lay_out():
        return None
    if kinds.wants(UNWIND):
        tail = kinds.made(UNWIND) + plain.RERAISE
    return _finished(work, constants, kinds.need, tail, {})


cdef _write_any(code, bytes raw, edits):
    """Sites that `recompyle.inject.points` finds."""
    cdef _Work work = _Work()
    cdef int need = 0
    cdef bytes tail = b""
    cdef Py_ssize_t skip
    if not work.begin(code, raw) or not work.walk(None):
        return None
    body = decode(code)
    places, delegations = points.find(body, any([edit.site in points.CALLS for edit in edits]))
    constants = plain.Constants(code)
    thrown = {}
    texts = {}
    for place, edit in matches(body, places, edits):
        key = id(edit), place.constant
        if key not in texts:
            units, slots = plain.text(edit, constants, place.constant)
            need = max(need, slots)
            texts[key] = units, work.text(units)
        units, at = texts[key]
        if place.kind == "unwind":
            tail += units
        elif place.kind == "throw":
            thrown[place.at, place.unit + 1] = thrown.get((place.at, place.unit + 1), b"") + units
        else:
            like = place.at if edit.form == "hook" else NOWHERE if place.like is None else place.like
            if not work.mark(place.at, place.after, like, at, len(units) // 2):
                return None
        if place.kind == "return":
            work.end_at(place.at, place.unit + 1)
    skips = []
    for loop in delegations:
        if work.before[<int32_t>loop.suspension] or work.after[<int32_t>loop.exit]:
            skip = work.text(plain.SKIP)
            skips.append((loop, skip))
            if not work.mark(loop.suspension, False, loop.suspension, skip, len(plain.SKIP) // 2):
                return None
    if not work.lay_out():
        return None
    for loop, skip in skips:
        distance = work.gap[<int32_t>loop.exit] - work.placed(loop.suspension)
        if distance > 255:
            return None
        work.texts.data[skip + len(plain.SKIP) - 1] = distance
    return _finished(work, constants, need, tail + plain.RERAISE if tail else b"", thrown)


cdef _finished(_Work work, constants, int need, bytes tail, dict thrown):
    """The new code object; ``tail`` is the handler of ``unwind``, if any."""
    code = work.code
    stack = code.co_stacksize + need
    if tail:
        stack = max(stack, 3)  # position, exception, probe
    handlers = work.handlers(bool(tail))
    written = work.written(bool(tail)) + tail
    if thrown:
        placed = [
            (work.placed(start), work.gap[<int32_t>end], text) for (start, end), text in sorted(thrown.items())
        ]
        ranges, blocks, depth = plain.catch_thrown(exctable.decode(handlers), placed, len(written) // 2)
        handlers = exctable.encode(ranges)
        written += blocks
        tail += blocks
        stack = max(stack, depth + 3)
    lines = work.lines(len(tail) // 2)
    if lines is None:
        return None
    return code.replace(
        co_code=written,
        co_consts=constants.all(),
        co_linetable=lines,
        co_exceptiontable=handlers,
        co_stacksize=stack,
    )
