"""Which original code object a rewritten one was made from.

Kept by identity: code objects of equal text in two files compare equal. Compiled, since it is asked while exceptions
are on their way, where a frame of Python would be seen by tracers.
"""

import weakref

_origins = {}  # id of the rewritten code -> a weak reference to it, and its original


def remember(new, original):
    """Note that ``new`` was made from ``original``, for as long as ``new`` lives."""
    key = id(new)
    _origins[key] = (weakref.KeyedRef(new, _forget, key), original)


def _forget(ref, pop=_origins.pop):  # bound here: module globals are gone when the interpreter ends
    pop(ref.key, None)


def of(code):
    """The original of a rewritten code object; the code object itself if nobody rewrote it."""
    known = _origins.get(id(code))
    return known[1] if known is not None and known[0]() is code else code
