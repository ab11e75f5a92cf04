import ast

from recompyle.rewrite.passes import Plan

_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

class Placeholder:
    number: int
    probe: object
    role: str
    before: bool
    def __init__(self, number: int, probe: object, role: str, before: bool) -> None: ...
    @property
    def constant(self) -> complex: ...

def constant_of(number: int) -> complex: ...
def number_of(column: int | None) -> int: ...
def transform(node: _Function, plan: Plan, names: bool = False) -> tuple[_Function, list[Placeholder]]: ...
