"""Finished code on disk: what one process has rewritten, the next one only loads.

The code is kept as it is in the end, with a number in place of each object in it that is no plain constant, and for each
of these a note by which its pass makes it again; beside it the sites and what was skipped. So of a function that was
rewritten before nothing is parsed, shown to passes, compiled, proved or edited.

Only passes are asked of which it is known what decides what they ask for, see `recompyle.rewrite.passes.Keepable`. All
of that is part of the key or, as the text of the source and this version of the package, of the name of the file.
"""

import marshal
from collections.abc import Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from types import CodeType, EllipsisType, FunctionType, NoneType
from typing import Any, NamedTuple

from recompyle import _env
from recompyle.rewrite import cache
from recompyle.rewrite.link import exchange
from recompyle.rewrite.passes import Cursor, Keepable, Pass, Plan, Site, Skipped, guard, is_foreign
from recompyle.rewrite.source import lines_of
from recompyle.rewrite.transform import constant_of
from recompyle.rewrite.walk import Walk

__all__ = ["Made", "Place", "place_of", "put", "take"]

_PLAIN = frozenset((NoneType, bool, int, float, complex, str, bytes, tuple, frozenset, slice, EllipsisType))
_parts_of_site = attrgetter(*(field.name for field in fields(Site)))
_parts_of_skipped = attrgetter(*(field.name for field in fields(Skipped)))


@dataclass(frozen=True, slots=True)
class Made:
    """A rewrite that only its passes have yet to be told of.

    Attributes:
        code: the new code object.
        passes, cursors: the passes in force, in order, and the cursor of each.
        skipped: places left as they are.
    """

    code: CodeType
    passes: list[Pass]
    cursors: list[Cursor]
    skipped: tuple[Skipped, ...]


class Place(NamedTuple):
    """Where one rewrite is kept."""

    record: cache.Record
    key: bytes


def place_of(function: FunctionType, code: CodeType, passes: Sequence[Pass]) -> Place | None:
    """Where the rewrite of a function is kept, if it was made before; None if it cannot be kept.

    Parameters:
        function: the function, for its globals.
        code: its original code object.
        passes: the passes in force, in order.
    """
    if not passes or not cache.is_keeping() or _env.REPLACE_LOSES_FLAGS:
        return None
    decisive = []
    for each in passes:
        if not isinstance(each, Keepable) or is_foreign(each):
            return None
        decisive.append((type(each).__name__, each.decides(function.__globals__)))
    lines = lines_of(code, function.__globals__)
    record = cache.record_of(code.co_filename, lines) if lines else None
    key = None if record is None else cache.key_of(code, decisive)
    return None if record is None or key is None else Place(record, key)


def put(place: Place, made: Made) -> None:
    """Keep a rewrite, if its passes can make all objects in its code again."""
    numbers: dict[int, int] = {}
    notes: list[tuple[int, Any]] = []
    unknown = False

    def numbered(const):
        nonlocal unknown
        if type(const) in _PLAIN:
            return const
        number = numbers.get(id(const))
        if number is None:
            told = [(i, each.note(const, at)) for i, (each, at) in enumerate(zip(made.passes, made.cursors, strict=True))]
            told = [(i, note) for i, note in told if note is not None]
            unknown = unknown or len(told) != 1  # of two passes that call it theirs, each may have another next time
            number = numbers[id(const)] = len(notes)
            notes.extend(told)
        return constant_of(number)

    code = exchange(made.code, numbered)
    if unknown:
        return
    same = made.code is made.cursors[0].code  # the very object is to be had again: then nothing is swapped
    sites = [[*map(_parts_of_site, at.sites)] for at in made.cursors]
    skipped = [*map(_parts_of_skipped, made.skipped)]
    try:
        blob = marshal.dumps((None if same else code, notes, sites, skipped, made.cursors[0].line))
    except ValueError:
        return
    place.record.put(place.key, blob)


def take(place: Place, function: FunctionType, code: CodeType, passes: list[Pass]) -> Made | None:
    """A rewrite that was kept, with probes of these passes in it; parameters as for `place_of`. None if there is none."""
    blob = place.record.get(place.key)
    if blob is None:
        return None
    kept, notes, sites, skipped, line = marshal.loads(blob)
    cursors = []
    objects: dict[complex, Any] = {}
    for i, each in enumerate(passes):
        at = Cursor(Plan(), None, function, code, Walk(), each)
        at.line, at.sites = line, [Site(*parts) for parts in sites[i]]
        cursors.append(at)
        mine = [(number, note) for number, (by, note) in enumerate(notes) if by == i]
        made = guard(each, None, at, each.recall, [note for _, note in mine], at)
        for (number, _), thing in zip(mine, made, strict=True):
            objects[constant_of(number)] = thing

    def filled(const):
        return objects.get(const, const) if type(const) is complex else const

    new = code if kept is None else exchange(kept, filled)
    return Made(new, passes, cursors, tuple(Skipped(*each) for each in skipped))
