"""Edits in, new code object out."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import CodeType

from ..errors import NotRewritable
from . import exctable, facts, lines
from .decode import Body, decode
from .insert import Layout, Units
from .points import KINDS, Place, find

_SLOTS = {"statement": "__invert__", "value": "__getitem__", "hook": "__call__"}
_POP_TOP = bytes((facts.POP_TOP, 0))
_SUBSCRIPT = facts.units(facts.SUBSCRIPT, facts.SUBSCRIPT_ARG)
_CALL_WITH_ONE = b"".join(facts.units(op, 1) for op in (facts.PRECALL, facts.CALL) if op >= 0)
_LASTI = 1  # state of a handler: stack emptied, position of the exception kept for RERAISE


@dataclass(frozen=True, slots=True)
class Edit:
    """A probe and where it goes.

    Parameters:
        site: kind of site.
        probe: object to run there. The code holds it among its constants.
        form: ``"statement"`` runs ``~probe``. ``"value"`` passes the object on top of the stack through
            ``probe[object]``, which must give back what is to be there. ``"hook"``, for ``entry`` only, calls
            ``probe(argument)``, an ordinary call that sees the frame of the function with the position of its
            first statement. What it raises, the function raises. At one entry, hooks run after other probes.
        index: number of the one site meant, as in `Site.index`; None means every site of the kind, if any.
        argument: what a hook is called with. Code objects hash and compare their constants, so the hook and its
            argument should do so by identity, or be strings.

    Raises:
        ValueError: unknown kind or form, or one that the kind does not have; an argument without a hook.
        TypeError: the probe lacks the method that the form calls.
    """

    site: str
    probe: object
    form: str = "statement"
    index: int | None = None
    argument: object = None

    def __post_init__(self) -> None:
        if self.site not in KINDS:
            raise ValueError(f"unknown kind of site {self.site!r}; there are {', '.join(sorted(KINDS))}")
        if self.form not in _SLOTS:
            raise ValueError(f"unknown form {self.form!r}; there are 'statement', 'value' and 'hook'")
        if self.site == "entry" and self.form == "value":
            raise ValueError("there is no value to pass at 'entry'; use the form 'statement'")
        if self.site != "entry" and self.form == "hook":
            raise ValueError(f"the form 'hook' is for 'entry' only, not for {self.site!r}")
        if self.argument is not None and self.form != "hook":
            raise ValueError(f"only the form 'hook' takes an argument, not {self.form!r}")
        slot = _SLOTS[self.form]
        if not (callable(self.probe) if self.form == "hook" else hasattr(type(self.probe), slot)):
            raise TypeError(f"{type(self.probe).__name__} has no {slot}, which the form {self.form!r} calls")

    def key(self) -> tuple[object, ...]:
        """Equal for edits whose result may be shared by functions of one code, as long as the code lives."""
        return self.site, id(self.probe), self.form, self.index, id(self.argument)


def write(code: CodeType, edits: Sequence[Edit]) -> CodeType:
    """Make a code object that does the same and runs probes on the way.

    Parameters:
        code: the code object. It is not changed.
        edits: what to insert. At one site, probes run in the order of the edits.

    Returns:
        A new code object. It differs in code, constants, location table, exception table and stack size,
        and in nothing else; without edits not in a byte.

    Raises:
        TypeError: not a code object, not an Edit.
        NotRewritable: the code cannot take these probes; the slug says why.
    """
    body = decode(code)
    places, delegations = find(body)
    constants = _Constants(code)
    before: Units = {}
    after: Units = {}
    tail = b""
    need = 0
    located: list[tuple[int, int]] = []  # unit, and how many new units share its location
    silent: dict[int, int] = {}  # unit, and how many new units ahead of it have no location
    uncovered: list[tuple[int, int]] = []  # returns whose run has ended when an exception could arise
    for place, edit in _matches(code, places, edits):
        units, slots = _text(edit, constants, place)
        need = max(need, slots)
        if place.kind == "unwind":
            tail += units
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
        # Jump over a SEND that never runs: it is there for throw() to read.
        skip = bytes((facts.JUMP_FORWARD, 1, facts.SEND, 0))
        before[loop.suspension] = before.get(loop.suspension, b"") + skip
        located.append((loop.suspension, len(skip) // 2))
    layout = Layout(body, before, after, steered)
    written = layout.code()
    ranges = exctable.move(body.ranges, layout.label)
    stack = code.co_stacksize + need
    if tail:
        tail += bytes((facts.RERAISE, 1))
        written = _visible_to_close(body, layout, written) + tail
        ranges = _catch_all(body, layout, ranges, uncovered)
        stack = max(stack, 3)  # position, exception, probe
    for unit, count in layout.widened.items():
        if body.ops[unit] == facts.END_ASYNC_FOR:
            silent[unit] = silent.get(unit, 0) + count  # see facts.HANDLERS_START_LINES
        else:
            located.append((unit, count))
    return code.replace(
        co_code=written,
        co_consts=constants.all(),
        co_linetable=lines.grow(code, len(body.ops), located, silent, len(tail) // 2),
        co_exceptiontable=exctable.encode(ranges),
        co_stacksize=stack,
    )


class _Constants:
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
        return _load_const(index)

    def all(self) -> tuple[object, ...]:
        return (*self._old, *self._probes)


def _matches(code: CodeType, places: list[Place], edits: Sequence[Edit]) -> list[tuple[Place, Edit]]:
    """Which edit goes where."""
    by_kind: dict[str, list[Edit]] = {}
    for edit in edits:
        if not isinstance(edit, Edit):
            raise TypeError(f"an Edit is needed, not {type(edit).__name__}")
        if edit.index is not None and not any(p.kind == edit.site and p.number == edit.index for p in places):
            raise NotRewritable(f"{code!r}: has no {edit.site!r} site number {edit.index}", "no_such_site")
        by_kind.setdefault(edit.site, []).append(edit)
    if "entry" in by_kind:  # only what comes last can have the location of what follows
        by_kind["entry"].sort(key=lambda edit: edit.form == "hook")
    return [
        (place, edit)
        for place in places
        if place.kind in by_kind
        for edit in by_kind[place.kind]
        if edit.index is None or edit.index == place.number
    ]


def _text(edit: Edit, constants: _Constants, place: Place) -> tuple[bytes, int]:
    """The units of a mark, and how many stack slots it needs."""
    load = constants.load(edit.probe)
    if edit.form == "hook":
        null = bytes((facts.PUSH_NULL, 0))
        callee = null + load if facts.NULL_FIRST else load + null
        return callee + constants.load(edit.argument) + _CALL_WITH_ONE + _POP_TOP, 3
    if edit.form == "statement":
        return load + bytes((facts.UNARY_INVERT, 0)) + _POP_TOP, 1
    if place.constant is not None:
        # RETURN_CONST has nothing on the stack: show the probe the constant, and return it as before.
        return load + _load_const(place.constant) + _SUBSCRIPT + _POP_TOP, 2
    return load + bytes((facts.SWAP, 2)) + _SUBSCRIPT, 1


def _load_const(index: int) -> bytes:
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
