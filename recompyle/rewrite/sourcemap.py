"""Where each piece of a previewed text came from.

The text is parsed again and its tree laid beside the one that it was written from: that one carries the positions in
the file. Names of probes, which no parser takes, are stood in for by names of the same width.
"""

import ast

from recompyle._c.linemap import LineMap, encode_pieces
from recompyle._env import FSTRING_POSITIONS
from recompyle.rewrite.transform import number_of

__all__ = ["of"]

_INSERTED = (-1, -1)


def of(node: ast.AST) -> LineMap:
    """The line map of ``ast.unparse(node)``; empty if the text of the tree cannot be parsed.

    Parameters:
        node: a tree that `recompyle.rewrite.transform.transform` wrote with names. What a free pass made maps to what
            it stands for.
    """
    probes = [each for each in ast.walk(node) if isinstance(each, ast.Name) and each.id.startswith("@")]
    shown = [each.id for each in probes]
    for each in probes:
        each.id = "_" * len(each.id.encode())
    try:
        (parsed,) = ast.parse(ast.unparse(node)).body
    except SyntaxError:
        return LineMap(encode_pieces([]))
    finally:
        for each, name in zip(probes, shown, strict=True):
            each.id = name
    pieces: list[tuple[tuple[int, int], bool, tuple[int, int]]] = []
    _pair(node, parsed.value if isinstance(parsed, ast.Expr) else parsed, False, pieces)
    pieces.sort(key=lambda piece: piece[:2])  # at one place ends come first, and of both sorts the last one counts
    places = {place: came_from for place, _, came_from in pieces}
    return LineMap(encode_pieces([(*place, *came_from) for place, came_from in places.items()]))


def _pair(node, parsed, inside_probe, pieces):
    """Note for a node and all below it what begins where it begins, and what goes on where it ends."""
    if type(node) is not type(parsed):
        return
    inserted = inside_probe
    if "lineno" in node._attributes:
        inserted = number_of(node.col_offset) >= 0
        start = _INSERTED if inserted else (node.lineno, node.col_offset)
        pieces.append(((parsed.lineno, parsed.col_offset), True, start))
    if FSTRING_POSITIONS or not isinstance(node, ast.JoinedStr):
        for field in node._fields:
            one, other = getattr(node, field, None), getattr(parsed, field, None)
            if isinstance(one, ast.AST):
                _pair(one, other, inserted, pieces)
            elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
                for each, twin in zip(one, other, strict=True):
                    if isinstance(each, ast.AST):
                        _pair(each, twin, inserted, pieces)
    if isinstance(node, ast.Attribute) and not inserted:  # its name may stand on another line than what is before it
        width = len(node.attr.encode())
        place = (node.end_lineno, node.end_col_offset - width)
        pieces.append(((parsed.end_lineno, parsed.end_col_offset - width), True, place))
    if "lineno" in node._attributes:
        end = _INSERTED if inside_probe else _end(node)
        pieces.append(((parsed.end_lineno, parsed.end_col_offset), False, end))


def _end(node):
    """Where a node ended in the file; a probe ends where the value did that passes through it."""
    while number_of(node.col_offset) >= 0:
        if not isinstance(node, ast.Subscript):
            return _INSERTED
        node = node.slice
    return node.end_lineno, node.end_col_offset
