import ast
from types import CodeType
from typing import Any

class Definition:
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    scopes: tuple[ast.AST, ...]
    def __init__(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, scopes: tuple[ast.AST, ...]
    ) -> None: ...

class Source:
    file: str
    text: str
    lines: list[str]
    definitions: dict[tuple[str, int], list[Definition]]
    imports: set[str]
    names_super: bool
    globals: dict[ast.AST, list[list[str]]]
    def __init__(self, file: str, text: str, lines: list[str], tree: ast.Module) -> None: ...
    def text_of(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> str: ...

def find(code: CodeType, module_globals: dict[str, Any], refresh: bool = False) -> Source: ...
def lines_of(code: CodeType, module_globals: dict[str, Any], refresh: bool = False) -> list[str]: ...
def quietly(what: str | ast.Module, file: str, flags: int, optimize: int = -1) -> Any: ...
