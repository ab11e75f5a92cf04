"""Which passes are in force on a function, and in which order."""

import ast

from recompyle.errors import PassError
from recompyle.inject import Edit
from recompyle.rewrite.passes import LEVELS, Pass

__all__ = ["Transformer", "in_order"]


class Transformer(Pass):
    """An ast.NodeTransformer as a pass. It visits nothing of the shared tree: it gets a copy to change.

    Parameters:
        transformer: the transformer; its class gives the name.
    """

    level = "free"

    def __init__(self, transformer: ast.NodeTransformer):
        self.transformer = transformer
        self.name = type(transformer).__name__


def in_order(passes) -> "list[Pass]":
    """The passes that take part in a rewrite, each behind those it goes after.

    Parameters:
        passes: passes, ast.NodeTransformers and edits, as registered.

    Returns:
        Passes: without edits, which apply to what all passes have made, and without those that a later one of the same
            class replaces (see `Pass.single`), in the order given as far as `Pass.before` and `Pass.after` allow.

    Raises:
        TypeError: something else stands among them.
        PassError: their demands contradict each other, or one has a level that there is not.
    """
    chosen = [each for each in passes if type(each) is not Edit]
    waiting = [_as_pass(each) for i, each in enumerate(chosen) if not _is_replaced(each, chosen[i + 1 :])]
    for each in waiting:
        if each.level not in LEVELS:
            raise PassError(f"pass {each.name!r} has level {each.level!r}; there are {', '.join(map(repr, LEVELS))}")
    ordered: list[Pass] = []
    while waiting:
        ready = next((each for each in waiting if not any(_precedes(other, each) for other in waiting)), None)
        if ready is None:
            names = ", ".join(repr(each.name) for each in waiting)
            raise PassError(f"passes {names} cannot be ordered: each is to go before another")
        waiting.remove(ready)
        ordered.append(ready)
    return ordered


def _as_pass(each):
    if isinstance(each, Pass):
        return each
    if isinstance(each, ast.NodeTransformer):
        return Transformer(each)
    hint = "; give an instance" if isinstance(each, type) else ""
    raise TypeError(f"{each!r} is neither a recompyle.Pass nor an ast.NodeTransformer{hint}")


def _is_replaced(each, later):
    return getattr(each, "single", False) and any(type(other) is type(each) for other in later)


def _precedes(one, other):
    return one is not other and (_is_named(other, one.before) or _is_named(one, other.after))


def _is_named(each, wanted):
    own = each.transformer if isinstance(each, Transformer) else each
    return any(
        isinstance(own, name) if isinstance(name, type) else name in (each.name, type(own).__name__)
        for name in ([wanted] if isinstance(wanted, (str, type)) else wanted)
    )
