"""Where probes may go: the sites of a code object."""

from dataclasses import dataclass
from types import CodeType
from typing import NamedTuple

from ..errors import NotRewritable
from . import calls, exctable, facts, lines, names
from .decode import Body, Instruction, decode

KINDS = frozenset(
    (
        "entry", "created", "return", "unwind", "handler", "call", "called", "yield", "resume", "throw", "await",
        "awaited", "waiting", "waited", "async_end", "leaving",
    )
)  # fmt: skip
CALLS = frozenset(("call", "called"))

# Suspensions that have a `yield` and a `resume`. On 3.11 none of an await: `throw()` reads the SEND ahead of it.
_SUSPENSIONS = (facts.AFTER_YIELD, facts.AFTER_YIELD_FROM, *(() if facts.THROW_READS_SEND else (facts.AFTER_AWAIT,)))


@dataclass(frozen=True, slots=True)
class Site:
    """One place where a probe may go.

    Attributes:
        kind: see the package's docstring.
        unit: the instruction that the mark stands next to (for ``unwind`` the end of the code).
        index: number within its kind. A ``yield`` and its ``resume`` share one, and so do the ``waiting``,
            the ``waited`` and the ``async_end`` of one implicit await, an ``await`` and its ``awaited``, and a ``call``
            and its ``called``.
        line, end_line, column, end_column: source position of the instruction; for the three kinds of an
            implicit await, that of the await. None where there is none, and for ``entry``, ``created`` and ``unwind``.
        implicit: of a ``call`` and its ``called``: whether nobody wrote it as a call; of a ``yield`` and its
            ``resume``: whether it is an await that suspends.
        name: of a ``call`` and its ``called``: what is called, if that is a name or attributes of a name.
    """

    kind: str
    unit: int
    index: int
    line: int | None
    end_line: int | None
    column: int | None
    end_column: int | None
    implicit: bool = False
    name: str | None = None


class Place(NamedTuple):
    """A spot in the code that serves a site. A site may have two: a ``resume`` is reached on two ways.

    For a ``throw`` nothing is inserted: ``at`` is the start and ``unit`` the opcode of the instruction whose exceptions
    go to a handler of their own first.
    """

    kind: str
    number: int  # Site.index
    at: int  # what is inserted comes before this unit
    after: bool  # whether jumps to that unit skip it; else they land on it
    unit: int  # the instruction it stands next to
    like: int | None  # the unit whose location it takes; None for no location
    shown: int | None  # the unit whose source position the site has
    constant: int | None = None  # index of the constant that a RETURN_CONST returns
    implicit: bool = False
    callee: int = -1  # the instruction that loads what is called


class Delegation(NamedTuple):
    """3.11: a ``yield from`` loop, whose SEND is read by ``throw()``."""

    suspension: int  # its YIELD_VALUE
    exit: int  # where SEND goes when the inner iterator is done


class Points(NamedTuple):
    places: list[Place]
    delegations: list[Delegation]


def sites(code: CodeType, include_implicit: bool = False) -> list[Site]:
    """All sites of a code object, in the order of the code.

    Parameters:
        code: the code object.
        include_implicit: also the calls that nobody wrote as a call and, from 3.12, the ``yield`` and ``resume`` of
            awaits, those of ``async for`` and ``async with`` too. They are counted by `Site.index` in any case.

    Raises:
        TypeError: not a code object.
        NotRewritable: it cannot take probes.
    """
    body = decode(code)
    places = find(body, with_calls=True).places
    wanted = [place for place in places if include_implicit or not place.implicit]
    return sorted(described(body, wanted), key=lambda site: site.unit)


def described(body: Body, places: list[Place]) -> list[Site]:
    """The sites that places serve, each once."""
    code = body.code
    unique: dict[tuple[str, int], Place] = {}
    for place in places:
        unique.setdefault((place.kind, place.number), place)
    shown = {place.shown for place in unique.values() if place.shown is not None}
    positions = lines.positions(code, shown)
    jumps = names.ways(body) if any(place.callee >= 0 for place in unique.values()) else []
    return [
        Site(
            place.kind,
            place.unit,
            place.number,
            *(lines.NOWHERE if place.shown is None else positions[place.shown]),
            place.implicit,
            names.dotted(body, place.callee, place.unit, jumps),
        )
        for place in unique.values()
    ]


def find(body: Body, with_calls: bool) -> Points:
    """All places of a code object; those of calls take most of the time and are left out unless asked for."""
    length = len(body.ops)
    places = [
        Place("entry", 0, body.entry, True, body.entry - 1, None, None),
        Place("unwind", 0, length, False, length, None, None),
    ]
    delegations: list[Delegation] = []
    returns = handlers = yields = awaits = waits = leavings = throws = 0
    waiting: Place | None = None  # before an await whose SEND is still to come
    ends: dict[int, tuple[int, int]] = {}  # END_ASYNC_FOR to the index and the unit of its await
    resumes = {found.unit: found for found in body.watched if found.op == facts.RESUME}
    behind = 0 if facts.THROW_READS_SEND else 1  # see `_waited`: it may look at one unit more
    for at, found in enumerate(body.watched):
        op, start, unit = found.op, found.start, found.unit
        if op in (facts.RETURN_VALUE, facts.RETURN_CONST):
            constant = found.arg if op == facts.RETURN_CONST else None
            places.append(Place("return", returns, start, False, unit, unit, unit, constant))
            returns += 1
        elif op == facts.RETURN_GENERATOR:
            places.append(Place("created", 0, start, False, unit, None, None))
        elif op == facts.PUSH_EXC_INFO:
            places.append(Place("handler", handlers, found.end, True, unit, unit, unit))
            handlers += 1
        elif op == facts.YIELD_VALUE:
            resume = resumes.get(found.end)
            if resume is None:
                raise NotRewritable(f"{body.code!r}: has a yield with no RESUME behind it", "no_resume")
            places.append(Place("throw", throws, start, False, unit, None, unit))
            if (back := _closing(body, at)) is not None:
                places.append(Place("throw", throws, back.start, False, back.unit, None, unit))
            throws += 1
            kind = resume.arg & facts.PLACE_MASK
            if kind in _SUSPENSIONS:
                implicit = kind == facts.AFTER_AWAIT
                places.append(Place("yield", yields, start, False, unit, unit, unit, implicit=implicit))
                places.append(
                    Place("resume", yields, resume.end, True, resume.unit, resume.unit, unit, implicit=implicit)
                )
                if kind == facts.AFTER_YIELD_FROM:
                    if facts.THROW_READS_SEND:
                        loop = _delegation(body, at)
                        places.append(
                            Place("resume", yields, loop.exit, True, loop.exit - 1, loop.exit - 1, unit)
                        )
                        delegations.append(loop)
                    elif (cleanup := _cleanup(body, unit)) is not None:
                        places.append(Place("resume", yields, cleanup, False, cleanup, cleanup, unit))
                yields += 1
        elif op == facts.GET_ANEXT or (op == facts.GET_AWAITABLE and found.arg):
            waiting = Place("waiting", waits, start, False, unit, unit, unit)
            places.append(waiting)
            if op == facts.GET_ANEXT and (end := exctable.handler(body.ranges, unit)) is not None:
                ends[end] = waits, unit
            waits += 1
        elif op == facts.GET_AWAITABLE:
            waiting = Place("await", awaits, start, False, unit, unit, unit)
            places.append(waiting)
            awaits += 1
        elif op == facts.SEND and waiting is not None and found.end + found.arg + behind < length:
            places.append(_waited(body, waiting, found))
            waiting = None
        elif op == facts.END_ASYNC_FOR and start in ends:
            index, shown = ends[start]
            like = None if facts.HANDLERS_START_LINES else unit
            places.append(Place("async_end", index, start, False, unit, like, shown))
        elif op == facts.CALL_INTRINSIC_1 and found.arg == facts.STOPITERATION_ERROR:
            places.append(Place("leaving", leavings, start, False, unit, unit, unit))
            leavings += 1
    if with_calls:
        for number, call in enumerate(calls.find(body)):
            unit = call.unit
            what = None, call.implicit, call.callee
            places.append(Place("call", number, call.start, False, unit, call.start, unit, *what))
            places.append(Place("called", number, call.end, True, unit, unit, unit, *what))
    return Points(places, delegations)


def _closing(body: Body, at: int) -> Instruction | None:
    """The jump that closes the loop of an await or ``yield from``, if what ``throw()`` raises surfaces there."""
    if facts.THROW_READS_SEND and at + 2 < len(body.watched):
        resume, back = body.watched[at + 1 : at + 3]
        if back.op == facts.JUMP_BACKWARD_NO_INTERRUPT and back.start == resume.end:
            return back
    return None


def _cleanup(body: Body, unit: int) -> int | None:
    """The CLEANUP_THROW that takes an exception thrown in at a ``yield from``."""
    target = exctable.handler(body.ranges, unit)
    if target is None or body.ops[target] != facts.CLEANUP_THROW:
        return None
    return target


def _waited(body: Body, before: Place, send: Instruction) -> Place:
    """Where the loop of an await ends.

    The mark has the location of what follows: branch events name the place behind END_SEND and NOT_TAKEN.
    """
    kind = "waited" if before.kind == "waiting" else "awaited"
    end = send.end + send.arg
    if facts.THROW_READS_SEND:
        return Place(kind, before.number, end, False, end, end, before.shown)
    # END_SEND. Branch events of an `async for` know the pair END_SEND, NOT_TAKEN: nothing between them.
    unit = end + 1 if body.ops[end + 1] == facts.NOT_TAKEN else end
    return Place(kind, before.number, unit + 1, True, unit, unit + 1, before.shown)


def _delegation(body: Body, at: int) -> Delegation:
    """The loop SEND, YIELD_VALUE, RESUME, jump back round the yield at ``watched[at]``; its exit follows."""
    loop = body.watched[max(at - 1, 0) : at + 3]
    if len(loop) == 4:
        send, suspension, _, back = loop
        if send.op == facts.SEND and send.end == suspension.start and send.end + send.arg == back.end:
            return Delegation(suspension.unit, back.end)
    raise NotRewritable(f"{body.code!r}: a `yield from` loop of unknown shape", "send_loop")
