"""Finished code on disk: what one process has rewritten, the next one only loads.

The code is kept as it is in the end, with a number in place of each object in it that is no plain constant, and for
each of these a note by which its pass makes it again; beside it the sites and what was skipped. So of a function that
was rewritten before nothing is parsed, shown to passes, compiled, proved or edited.

Only passes are asked of which it is known what decides what they ask for, see `recompyle.rewrite.passes.Keepable`. All
of that is part of the key or, as the text of the source and this version of the package, of the name of the file.
"""

import marshal
from collections.abc import Sequence
from dataclasses import dataclass
from types import CodeType, EllipsisType, FunctionType, NoneType
from typing import Any, NamedTuple

from recompyle import _env
from recompyle.inject.usable import unusable
from recompyle.rewrite import cache
from recompyle.rewrite.link import exchange
from recompyle.rewrite.passes import Cursor, Keepable, Pass, Plan, Site, Skipped, guard, is_foreign, parts_of_site
from recompyle.rewrite.source import lines_of
from recompyle.rewrite.transform import constant_of
from recompyle.rewrite.walk import Walk

__all__ = ["Made", "Place", "place_of", "put", "take"]

_PLAIN = frozenset((NoneType, bool, int, float, complex, str, bytes, tuple, frozenset, slice, EllipsisType))


@dataclass(frozen=True, slots=True)
class Made:
    """A rewrite that only its passes have yet to be told of.

    Attributes:
        code: the new code object.
        passes, cursors: the passes in force, in order, and the cursor of each.
        skipped: places left as they are.
    """

    code: CodeType
    passes: Sequence[Pass]
    cursors: Sequence[Cursor]
    skipped: tuple[Skipped, ...]


class Place(NamedTuple):
    """Where one rewrite is kept.

    Attributes:
        record, key: the place.
        passes: those in force, in order.
        decisive: what decides what they ask for, besides code and source.
    """

    record: cache.Record
    key: bytes
    passes: list[Keepable]
    decisive: list[Any]


def place_of(function: FunctionType, code: CodeType, passes: Sequence[Pass]) -> Place | None:
    """Where the rewrite of a function is kept, if it was made before; None if it cannot be kept.

    Parameters:
        function: the function, for its globals.
        code: its original code object.
        passes: the passes in force, in order.
    """
    if not passes or not cache.is_keeping() or _env.REPLACE_LOSES_FLAGS or unusable() is not None:
        return None
    able = [each for each in passes if isinstance(each, Keepable) and not is_foreign(each)]
    if len(able) < len(passes):
        return None
    decisive = _decisive(able, function)
    lines = lines_of(code, function.__globals__)
    record = cache.record_of(code.co_filename, lines) if lines else None
    key = None if record is None else cache.key_of(code, decisive)
    return None if record is None or key is None else Place(record, key, able, decisive)


def _decisive(passes: list[Keepable], function: FunctionType) -> list[Any]:
    return [(type(each).__name__, each.nested_functions, each.decides(function.__globals__)) for each in passes]


def put(place: Place, function: FunctionType, made: Made) -> None:
    """Keep a rewrite of a function, if its passes can make all objects in its code again."""
    if _decisive(place.passes, function) != place.decisive:  # another thread has changed it meanwhile
        return
    writing = _Writing(list(zip(place.passes, made.cursors, strict=True)))
    code = exchange(made.code, writing.numbered)
    if not writing.complete:
        return
    same = made.code is made.cursors[0].code  # the very object is to be had again: then nothing is swapped
    sites = [[*map(parts_of_site, at.sites)] for at in made.cursors]
    skipped = [(each.line, each.column, each.source, each.reason) for each in made.skipped]
    try:
        blob = marshal.dumps((None if same else code, writing.notes, sites, skipped, made.cursors[0].line))
    except ValueError:
        return
    place.record.put(place.key, blob)


class _Writing:
    """The objects in finished code, by number.

    Attributes:
        notes: for each number the pass it belongs to, also a number, and what that noted.
        complete: whether each object belongs to one pass. Of two that call it theirs, each may have another next time.
    """

    def __init__(self, parties: list[tuple[Keepable, Cursor]]):
        self.notes: list[tuple[int, Any] | None] = []
        self.complete = True
        self._parties = parties
        self._numbers: dict[int, int] = {}  # by address: an object that stands in several places stays one

    def numbered(self, const: Any) -> Any:
        """A constant of the program itself, and the constant of its number for any other object."""
        if type(const) in _PLAIN:
            return const
        number = self._numbers.get(id(const))
        if number is None:
            number = self._numbers[id(const)] = len(self.notes)
            notes = [each.note(const, at) for each, at in self._parties]
            told = [(by, note) for by, note in enumerate(notes) if note is not None]
            self.complete = self.complete and len(told) == 1
            self.notes.append(told[0] if told else None)
        return constant_of(number)


def take(place: Place, function: FunctionType, code: CodeType) -> Made | None:
    """A rewrite that was kept, with probes of its passes in it; None if none was. Parameters as for `place_of`."""
    blob = place.record.get(place.key)
    if blob is None:
        return None
    try:
        kept, notes, sites, skipped, line = marshal.loads(blob)
    except (EOFError, ValueError, TypeError):  # nobody but the user can have written it, but that is no reason to fail
        return None
    cursors = []
    objects: dict[complex, Any] = {}
    for i, each in enumerate(place.passes):
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
    return Made(new, place.passes, cursors, tuple(Skipped(*each) for each in skipped))
