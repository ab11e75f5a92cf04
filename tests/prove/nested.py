"""Makes a copy of a test module in which every function made while it runs passes through `__inner__`.

Inner functions exist only while their outer function runs, so nobody can profile them beforehand. In the copy
a decorator hands each to `__inner__` as soon as it is made: `def`s in functions, lambdas, and what doctests
define. Both runs use the copy, one with an `__inner__` that does nothing, so both see the same lines.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import shutil
from pathlib import Path

DECORATOR = b"@__inner__\n"
DOCTEST_FIRST = re.compile(rb"^([ \t]*)>>> ((?:async +)?def )", re.MULTILINE)
DOCTEST_NEXT = re.compile(rb"^([ \t]*)\.\.\. ([ \t]+)((?:async +)?def )", re.MULTILINE)


class _Edits(ast.NodeVisitor):
    """Collects (line, column in bytes, bytes to insert). State: how deep in functions the walk is."""

    def __init__(self) -> None:
        self.edits: list[tuple[int, int, bytes]] = []
        self._depth = 0

    def visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        if self._depth:
            self.edits.append((node.lineno, node.col_offset, DECORATOR))
        for outside in (*node.decorator_list, node.args, *filter(None, [node.returns])):
            self.visit(outside)
        self._inside(node.body)

    visit_FunctionDef = visit_AsyncFunctionDef = visit_function

    def visit_Lambda(self, node: ast.Lambda) -> None:
        if self._depth:
            self.edits.append((node.lineno, node.col_offset, b"__inner__("))
            self.edits.append((node.end_lineno, node.end_col_offset, b")"))
        self.visit(node.args)
        self._inside([node.body])

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Leaves f-strings alone: before 3.12 the positions in them are not those of the file."""

    visit_TemplateStr = visit_JoinedStr

    def _inside(self, body: list) -> None:
        self._depth += 1
        for node in body:
            self.visit(node)
        self._depth -= 1


def decorated(source: bytes) -> bytes:
    """The source with `__inner__` at every inner function.

    Args:
        source: UTF-8 text of a Python file.

    Raises:
        SyntaxError, ValueError: the text is not Python.
    """
    walk = _Edits()
    walk.visit(ast.parse(source))
    lines = source.splitlines(keepends=True)
    for line, column, text in sorted(walk.edits, reverse=True):
        old = lines[line - 1]
        indent = old[:column]
        if text is DECORATOR:
            text += indent
        lines[line - 1] = indent + text + old[column:]
    text = b"".join(lines)
    text = DOCTEST_FIRST.sub(rb"\1>>> @__inner__\n\1... \2", text)
    return DOCTEST_NEXT.sub(rb"\1... \2@__inner__\n\1... \2\3", text)


def make_copy(module: str, folder: Path) -> None:
    """Writes the decorated copy of `test.<module>` into `<folder>/test`, made for `test.__path__`."""
    folder = folder / "test"
    folder.mkdir(parents=True)
    origin = Path(importlib.util.find_spec(f"test.{module}").origin)
    if origin.name == "__init__.py":
        copy = folder / module
        shutil.copytree(origin.parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
        files = list(copy.rglob("*.py"))
    else:
        files = [Path(shutil.copy(origin, folder))]
        for data in origin.parent.iterdir():  # what the test may look for beside itself
            if data.suffix != ".py" and not (data / "__init__.py").exists():
                (folder / data.name).symlink_to(data)
    for file in files:
        try:
            text = decorated(file.read_bytes())
            ast.parse(text)
        except (SyntaxError, ValueError):  # test data that is wrong on purpose
            continue
        file.write_bytes(text)
