import ast
from types import CodeType
from typing import Any, TypeAlias

from recompyle.rewrite.cache import Record
from recompyle.rewrite.source import Definition, Source

_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

class Context:
    code: CodeType
    source: Source
    definition: Definition
    bound: tuple[str, ...]
    record: Record | None
    def __init__(
        self, code: CodeType, source: Source, definition: Definition, bound: tuple[str, ...]
    ) -> None: ...
    @property
    def plain(self) -> CodeType: ...
    @property
    def reference(self) -> CodeType: ...
    def compile(self, node: _Function) -> CodeType: ...

def locate(code: CodeType, module_globals: dict[str, Any]) -> Context: ...
def difference(a: CodeType, b: CodeType) -> str | None: ...
