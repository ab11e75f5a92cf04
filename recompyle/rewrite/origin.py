"""Which original code object a rewritten one was made from.

Kept by identity: code objects of equal text in two files compare equal.
"""

import weakref
from types import CodeType

__all__ = ["of", "remember"]

_origins: dict[int, tuple[weakref.KeyedRef, CodeType]] = {}


def remember(new: CodeType, original: CodeType) -> None:
    """Note that ``new`` was made from ``original``, for as long as ``new`` lives."""
    key = id(new)
    _origins[key] = (weakref.KeyedRef(new, _forget, key), original)


def _forget(ref, pop=_origins.pop):  # bound here: module globals are gone when the interpreter ends
    pop(ref.key, None)


def of(code: CodeType) -> CodeType:
    """The original of a rewritten code object; the code object itself if nobody rewrote it."""
    known = _origins.get(id(code))
    return known[1] if known is not None and known[0]() is code else code
