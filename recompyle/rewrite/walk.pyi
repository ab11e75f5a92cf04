import ast

_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

class Walk:
    order: list[tuple[ast.AST, int]]
    parents: dict[int, ast.AST]
    nested: set[int]
    def __init__(self, root: _Function | None = None) -> None: ...
