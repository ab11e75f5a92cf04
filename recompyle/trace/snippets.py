"""What is traced of a function, as text: each statement's own source, and the names it mentions."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from recompyle._env import FSTRING_POSITIONS

__all__ = ["COMPREHENSIONS", "FUNCTIONS", "Line", "Listing", "line_of", "names_of", "unique"]

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_SCOPES = (*FUNCTIONS, ast.ClassDef, ast.Lambda, *COMPREHENSIONS)
_NAMED = (*FUNCTIONS, ast.ClassDef, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)
_BLOCKS = ("body", "orelse", "handlers", "finalbody", "cases", "decorator_list", "type_comment")
_FORMATTED = (ast.JoinedStr, *((ast.TemplateStr,) if hasattr(ast, "TemplateStr") else ()))
_Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Line:
    """What is counted as one: a statement or the header of one, or a comprehension.

    Attributes:
        source: its text as written, stripped.
        line, column: where it begins: line from 1, column in UTF-8 bytes from 0.
        end_line: the line it ends on.
        names: the names it mentions, sorted.
    """

    source: str
    line: int
    column: int
    end_line: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """A function, as far as it is shown.

    Attributes:
        name: its qualified name.
        file: as the code object has it.
        first: number of the first line of ``text``.
        text: its lines of source.
        lines: what is counted in it, by number.
    """

    name: str
    file: str
    first: int
    text: tuple[str, ...]
    lines: tuple[Line, ...]


def unique(lines: list[str]) -> list[str]:
    """Texts told apart: what was there before gets spaces at its end."""
    taken: set[str] = set()
    for i, each in enumerate(lines):
        while each in taken:
            each += " "
        taken.add(each)
        lines[i] = each
    return lines


def line_of(node: Any, at: Any) -> Line:
    """The `Line` of a statement, handler, ``case`` or comprehension.

    Parameters:
        node: the node; of a lambda, its body.
        at: the cursor.
    """
    names = tuple(sorted(set(_mangled(names_of(node), node, at))))
    around = None if FSTRING_POSITIONS else _formatted(node, at)
    if around is not None:  # its own position is that of a text that never stood in the file
        return Line(at.source(node), around.lineno, around.col_offset, around.lineno, names)
    start, end = _start(node, at), (node.end_lineno, node.end_col_offset) if _is_whole(node) else _header_end(node, at)
    return Line(at.between(start, end).strip(), *start, end[0], names)


def _is_whole(node: ast.AST) -> bool:
    return not any(getattr(node, name, None) for name in ("body", "cases")) or isinstance(node, ast.expr)


def _start(node: Any, at: Any) -> _Place:
    if not isinstance(node, ast.match_case):
        return node.lineno, node.col_offset
    # It has no position, and its pattern may stand in parentheses: the keyword is the last one before it.
    siblings = at.parent(node).cases
    before = siblings.index(node)
    after = siblings[before - 1].body[-1] if before else at.parent(node).subject
    from_, to = (after.end_lineno, after.end_col_offset), (node.pattern.lineno, node.pattern.col_offset)
    text = at.between(from_, to).encode()
    offset = text.rindex(b"case")
    line = from_[0] + text.count(b"\n", 0, offset)
    newline = text.rfind(b"\n", 0, offset)
    return line, offset - newline - 1 if newline >= 0 else from_[1] + offset


def _header_end(node: Any, at: Any) -> _Place:
    """Behind the colon of a compound statement."""
    last = max(_ends(node), default=_start(node, at))
    body = node.cases[0].pattern if isinstance(node, ast.Match) else node.body[0]
    decorators = getattr(body, "decorator_list", None)
    first = (decorators[0] if decorators else body).lineno, (decorators[0] if decorators else body).col_offset
    line, column = last
    for text in at.between(last, first).split("\n"):
        code = text.partition("#")[0].encode()
        colon = code.find(b":")
        if colon >= 0:
            return line, column + colon + 1
        line, column = line + 1, 0
    return last


def _ends(node: ast.AST) -> Iterator[_Place]:
    """Where the parts of a header end."""
    for field, value in ast.iter_fields(node):
        if field in _BLOCKS:
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST):
                continue
            if hasattr(child, "end_lineno"):
                yield child.end_lineno, child.end_col_offset  # type: ignore[attr-defined]
            else:
                yield from _ends(child)


def names_of(node: ast.AST) -> Iterator[str]:
    """The names that a line mentions: not attributes, nor what belongs to functions and comprehensions inside it."""
    yield from _bound(node)
    if isinstance(node, FUNCTIONS):
        return
    work = [(node, field, value) for field, value in ast.iter_fields(node)]
    while work:
        parent, field, value = work.pop()
        if isinstance(parent, ast.stmt | ast.ExceptHandler | ast.match_case) and field in _BLOCKS:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.Name):
                yield child.id
            elif isinstance(child, ast.AST) and not isinstance(child, _SCOPES):
                yield from _bound(child)
                work += [(child, inner, part) for inner, part in ast.iter_fields(child)]


def _bound(node: Any) -> Iterator[str]:
    """Names that stand in a node as text."""
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, _NAMED):
        if node.name:
            yield node.name
    elif isinstance(node, ast.MatchMapping) and node.rest:
        yield node.rest
    elif isinstance(node, ast.Import | ast.ImportFrom):
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            if name != "*":
                yield name


def _mangled(names: Iterator[str], node: ast.AST, at: Any) -> Iterator[str]:
    """Names as the variables are called: private ones carry the name of the class around."""
    for name in names:
        private = name.startswith("__") and not name.endswith("__")
        owner = _class_around(node, at) if private else None
        yield f"_{owner.lstrip('_')}{name}" if owner and owner.strip("_") else name


def _class_around(node: ast.AST, at: Any) -> str | None:
    while (around := at.parent(node)) is not None:
        if isinstance(around, ast.ClassDef):
            return around.name
        node = around
    outside = at.function.rpartition("<locals>.")[2].split(".")
    return outside[-2] if len(outside) > 1 else None


def _formatted(node: ast.AST, at: Any) -> Any:
    """The outermost formatted string around a node."""
    found = None
    while (node := at.parent(node)) is not None and not isinstance(node, ast.stmt):
        if isinstance(node, _FORMATTED):
            found = node
    return found
