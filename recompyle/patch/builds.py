"""Rewritten code, made once for all functions that may share it.

Closures of one factory are functions of one code object. Their rewritten code is one object too, as long as
their passes say so by their keys. Code objects are told apart by identity alone: those of equal text in two
files compare equal.

Nothing here keeps a function alive. A build lives as long as a patched function does; since closures come and go,
the last few builds of nested functions are kept a little longer. Of passes that come again (`Renewable`) a build with
blank probes is kept as long as the code it was made from.
"""

import weakref
from collections import deque
from collections.abc import Hashable
from functools import partial
from inspect import CO_NESTED
from types import CodeType, FunctionType
from typing import Any, NamedTuple

from recompyle.rewrite import engine, origin
from recompyle.rewrite.link import relink
from recompyle.rewrite.passes import Renewable

__all__ = ["code_for", "forget", "nested_pairs", "note_origins"]

KEPT = 64


class _Shared(NamedTuple):
    """A build, and a function that runs it: while that lives, the address of its globals names them alone."""

    code: "weakref.ref[CodeType]"
    user: "weakref.ref[FunctionType]"


class _Blank(NamedTuple):
    """A build that records nothing and never runs: what others of its kind are made from."""

    code: CodeType
    pristine: "weakref.ref[CodeType]"


_shared: dict[Hashable, _Shared] = {}
_blanks: dict[tuple[int, type], _Blank] = {}  # by the address of the pristine code and the type of the pass
_kept: "deque[tuple[CodeType, dict[str, Any]]]" = deque(maxlen=KEPT)


def code_for(function: FunctionType, pristine: CodeType, passes: tuple[Any, ...]) -> CodeType:
    """The code of a function with the probes of some passes.

    Parameters:
        function: the function it is for; not touched.
        pristine: the code object the rewrite begins with.
        passes: the passes, in order.

    Returns:
        A code object made just now, or one that another function of the same code and globals runs already.

    Raises:
        RecompyleError: as `recompyle.rewrite.engine.build`.
    """
    key = _key(function, pristine, passes)
    code = None if key is None else _find(key, function)
    if code is None:
        code = _renewed(pristine, passes) or _built(function, pristine, passes)
        note_origins(code, pristine)
        if key is not None and pristine.co_flags & CO_NESTED:
            _kept.append((code, function.__globals__))
    if key is not None and code is not pristine:
        _shared[key] = _Shared(weakref.ref(code, partial(_drop, _shared, key)), weakref.ref(function))
    return code


def _built(function: FunctionType, pristine: CodeType, passes: tuple[Any, ...]) -> CodeType:
    code = engine.build(function, pristine, passes).code
    if len(passes) == 1 and isinstance(passes[0], Renewable):
        key = id(pristine), type(passes[0])
        # Nobody is told where the kept code comes from: who notes origins holds the original.
        kept = relink(code, passes[0].blank().renew)
        _blanks[key] = _Blank(kept, weakref.ref(pristine, partial(_drop_blank, _blanks, key)))
    return code


def _renewed(pristine: CodeType, passes: tuple[Any, ...]) -> CodeType | None:
    """What was built before, with the probes of other passes; None if nothing was, or something stands beside it."""
    if len(passes) != 1 or not isinstance(passes[0], Renewable):
        return None
    blank = _blanks.get((id(pristine), type(passes[0])))
    return relink(blank.code, passes[0].renew) if blank is not None and blank.pristine() is pristine else None


def forget(pristine: CodeType) -> None:
    """Lets go of the kept builds of a code object, and so of the probes in them."""
    others = [kept for kept in _kept if origin.of(kept[0]) is not pristine]
    _kept.clear()
    _kept.extend(others)


def _key(function: FunctionType, pristine: CodeType, passes: tuple[Any, ...]) -> Hashable | None:
    keys = [(type(each), each.key() if hasattr(each, "key") else None) for each in passes]
    if any(key is None for _, key in keys):
        return None
    return id(pristine), id(function.__globals__), tuple(keys)


def _find(key: Hashable, function: FunctionType) -> CodeType | None:
    shared = _shared.get(key)
    if shared is None or (code := shared.code()) is None:
        return None
    user, namespace = shared.user(), function.__globals__
    if user is not None and user.__globals__ is namespace:
        return code
    if any(kept is code and globals_ is namespace for kept, globals_ in _kept):
        return code
    return None


def _drop(shared: dict[Hashable, _Shared], key: Hashable, gone: "weakref.ref[CodeType]") -> None:
    """Runs when a build is freed, whenever and in whichever thread that is: it must not wait for a lock.

    That may be at the end of the process, when this module's names are gone.
    """
    found = shared.get(key)
    if found is not None and found.code is gone:
        shared.pop(key, None)


def _drop_blank(blanks: dict[tuple[int, type], _Blank], key: tuple[int, type], gone: "weakref.ref[CodeType]") -> None:
    """As `_drop`."""
    found = blanks.get(key)
    if found is not None and found.pristine is gone:
        blanks.pop(key, None)


def note_origins(code: CodeType, pristine: CodeType) -> None:
    """Notes what each code object was made from: a nested function may be rewritten by itself later on."""
    pending = [(code, pristine)]
    while pending:
        new, old = pending.pop()
        if new is not old:
            origin.remember(new, origin.of(old))
            pending += nested_pairs(new, old)


def nested_pairs(new: CodeType, old: CodeType) -> list[tuple[CodeType, CodeType]]:
    """The code objects among the constants of two code objects, side by side; none if they do not correspond."""
    pairs = [[const for const in code.co_consts if type(const) is CodeType] for code in (new, old)]
    if [_place(nested) for nested in pairs[0]] != [_place(nested) for nested in pairs[1]]:
        return []
    return list(zip(*pairs, strict=True))


def _place(code: CodeType) -> tuple[str, int]:
    return code.co_name, code.co_firstlineno
