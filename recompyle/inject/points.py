"""Where probes may go: the sites of a code object."""

from dataclasses import dataclass
from types import CodeType
from typing import NamedTuple

from ..errors import NotRewritable
from . import exctable, facts, lines
from .decode import Body, Instruction, decode

KINDS = frozenset(
    ("entry", "return", "unwind", "handler", "yield", "resume", "waiting", "waited", "async_end", "leaving")
)


@dataclass(frozen=True, slots=True)
class Site:
    """One place where a probe may go.

    Attributes:
        kind: see the package's docstring.
        unit: the instruction that the mark stands next to (for ``unwind`` the end of the code).
        index: number within its kind. A ``yield`` and its ``resume`` share one, and so do the ``waiting``,
            the ``waited`` and the ``async_end`` of one implicit await.
        line, end_line, column, end_column: source position of the instruction; for the three kinds of an
            implicit await, that of the await. None where there is none, and for ``entry`` and ``unwind``.
    """

    kind: str
    unit: int
    index: int
    line: int | None
    end_line: int | None
    column: int | None
    end_column: int | None


class Place(NamedTuple):
    """A spot in the code that serves a site. A site may have two: a ``resume`` is reached on two ways."""

    kind: str
    number: int  # Site.index
    at: int  # what is inserted comes before this unit
    after: bool  # whether jumps to that unit skip it; else they land on it
    unit: int  # the instruction it stands next to
    like: int | None  # the unit whose location it takes; None for no location
    shown: int | None  # the unit whose source position the site has
    constant: int | None = None  # index of the constant that a RETURN_CONST returns


class Delegation(NamedTuple):
    """3.11: a ``yield from`` loop, whose SEND is read by ``throw()``."""

    suspension: int  # its YIELD_VALUE
    exit: int  # where SEND goes when the inner iterator is done


class Points(NamedTuple):
    places: list[Place]
    delegations: list[Delegation]


def sites(code: CodeType) -> list[Site]:
    """All sites of a code object, in the order of the code.

    Raises:
        TypeError: not a code object.
        NotRewritable: it cannot take probes.
    """
    unique: dict[tuple[str, int], Place] = {}
    for place in find(decode(code)).places:
        unique.setdefault((place.kind, place.number), place)
    shown = {place.shown for place in unique.values() if place.shown is not None}
    positions = lines.positions(code, shown)
    found = [
        Site(
            place.kind,
            place.unit,
            place.number,
            *(lines.NOWHERE if place.shown is None else positions[place.shown]),
        )
        for place in unique.values()
    ]
    return sorted(found, key=lambda site: site.unit)


def find(body: Body) -> Points:
    """All places of a code object."""
    length = len(body.ops)
    places = [
        Place("entry", 0, body.entry, True, body.entry - 1, None, None),
        Place("unwind", 0, length, False, length, None, None),
    ]
    delegations: list[Delegation] = []
    returns = handlers = yields = waits = leavings = 0
    waiting: Instruction | None = None  # an implicit await whose SEND is still to come
    ends: dict[int, tuple[int, int]] = {}  # END_ASYNC_FOR to the index and the unit of its await
    resumes = {found.unit: found for found in body.watched if found.op == facts.RESUME}
    for at, found in enumerate(body.watched):
        op, start, unit = found.op, found.start, found.unit
        if op in (facts.RETURN_VALUE, facts.RETURN_CONST):
            constant = found.arg if op == facts.RETURN_CONST else None
            places.append(Place("return", returns, start, False, unit, unit, unit, constant))
            returns += 1
        elif op == facts.PUSH_EXC_INFO:
            places.append(Place("handler", handlers, found.end, True, unit, unit, unit))
            handlers += 1
        elif op == facts.YIELD_VALUE:
            resume = resumes.get(found.end)
            if resume is None:
                raise NotRewritable(f"{body.code!r}: has a yield with no RESUME behind it", "no_resume")
            kind = resume.arg & facts.PLACE_MASK
            if kind in (facts.AFTER_YIELD, facts.AFTER_YIELD_FROM):
                places.append(Place("yield", yields, start, False, unit, unit, unit))
                places.append(Place("resume", yields, resume.end, True, resume.unit, resume.unit, unit))
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
            waiting = found
            places.append(Place("waiting", waits, start, False, unit, unit, unit))
            if op == facts.GET_ANEXT and (end := exctable.handler(body.ranges, unit)) is not None:
                ends[end] = waits, unit
            waits += 1
        elif op == facts.SEND and waiting is not None:
            places.append(_waited(body, waits - 1, waiting.unit, found))
            waiting = None
        elif op == facts.END_ASYNC_FOR and start in ends:
            index, shown = ends[start]
            like = None if facts.HANDLERS_START_LINES else unit
            places.append(Place("async_end", index, start, False, unit, like, shown))
        elif op == facts.CALL_INTRINSIC_1 and found.arg == facts.STOPITERATION_ERROR:
            places.append(Place("leaving", leavings, start, False, unit, unit, unit))
            leavings += 1
    return Points(places, delegations)


def _cleanup(body: Body, unit: int) -> int | None:
    """The CLEANUP_THROW that takes an exception thrown in at a ``yield from``."""
    target = exctable.handler(body.ranges, unit)
    if target is None or body.ops[target] != facts.CLEANUP_THROW:
        return None
    return target


def _waited(body: Body, index: int, shown: int, send: Instruction) -> Place:
    """Where the loop of an implicit await ends.

    The mark has the location of what follows: branch events name the place behind END_SEND and NOT_TAKEN.
    """
    end = send.end + send.arg
    if facts.THROW_READS_SEND:
        return Place("waited", index, end, False, end, end, shown)
    # END_SEND. Branch events of an `async for` know the pair END_SEND, NOT_TAKEN: nothing between them.
    unit = end + 1 if body.ops[end + 1] == facts.NOT_TAKEN else end
    return Place("waited", index, unit + 1, True, unit, unit + 1, shown)


def _delegation(body: Body, at: int) -> Delegation:
    """The loop SEND, YIELD_VALUE, RESUME, jump back round the yield at ``watched[at]``; its exit follows."""
    loop = body.watched[max(at - 1, 0) : at + 3]
    if len(loop) == 4:
        send, suspension, _, back = loop
        if send.op == facts.SEND and send.end == suspension.start and send.end + send.arg == back.end:
            return Delegation(suspension.unit, back.end)
    raise NotRewritable(f"{body.code!r}: a `yield from` loop of unknown shape", "send_loop")
