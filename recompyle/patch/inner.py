"""Functions that are still to be made: their code stands in the constants of the functions around them.

``def`` inside a function makes a new function object at each run, of a code object that the enclosing code
holds as a constant. To rewrite those to come, that constant is exchanged. The enclosing function is found among
the living ones of the same module; what it was rewritten to itself stays.
"""

import gc
from collections.abc import Iterator, Mapping
from types import CellType, CodeType, FunctionType

from recompyle import _env
from recompyle.errors import NotRewritable
from recompyle.patch import builds
from recompyle.rewrite import origin

__all__ = ["exchange", "holders", "living", "stand_in"]

_CO_OPTIMIZED = 0x1  # set for functions, not for the bodies of classes


def holders(code: CodeType, namespace: dict[str, object]) -> list[FunctionType]:
    """The living functions of one module that hold a code object in their own, at any depth."""
    return [
        each
        for each in gc.get_objects()
        if type(each) is FunctionType
        and each.__globals__ is namespace
        and any(inside is code for inside in _inside(origin.of(each.__code__)))
    ]


def _inside(code: CodeType) -> Iterator[CodeType]:
    for const in code.co_consts:
        if type(const) is CodeType:
            yield const
            yield from _inside(const)


def stand_in(function: FunctionType, code: CodeType) -> FunctionType:
    """A function of the same code and globals that is never called; unlike a closure it keeps no values alive."""
    return FunctionType(code, function.__globals__, closure=tuple(CellType() for _ in code.co_freevars))


def living(codes: list[CodeType]) -> list[FunctionType]:
    """All functions that run one of some code objects."""
    ids = set(map(id, codes))
    referrers = gc.get_referrers(*codes) if codes else []
    return [each for each in referrers if type(each) is FunctionType and id(each.__code__) in ids]


def exchange(code: CodeType, pristine: CodeType, replacing: Mapping[int, CodeType]) -> CodeType:
    """Put other code objects into the constants of a code object.

    Parameters:
        code: the code object, rewritten or not; it is not changed.
        pristine: what it was made from.
        replacing: ``id()`` of a code object inside ``pristine``, and what to put in the same place.

    Returns:
        A new code object, known as made from ``pristine``; ``code`` itself if nothing was to be replaced.

    Raises:
        NotRewritable: the constants cannot be told apart, or this Python cannot copy the code around them.
    """
    changed = _exchange(code, pristine, replacing)
    if changed is not code:
        builds.note_origins(changed, pristine)
    return changed


def _exchange(code: CodeType, pristine: CodeType, replacing: Mapping[int, CodeType]) -> CodeType:
    nested = builds.nested_pairs(code, pristine)
    new = {id(each): replacing.get(id(old)) or _exchange(each, old, replacing) for each, old in nested}
    if all(new[id(each)] is each for each, _ in nested):
        return code
    if _env.REPLACE_LOSES_FLAGS and not code.co_flags & _CO_OPTIMIZED:
        raise NotRewritable(f"{code!r}: Python 3.12.0 cannot copy the body of a class", "hidden_locals")
    return code.replace(co_consts=tuple(new.get(id(const), const) for const in code.co_consts))
