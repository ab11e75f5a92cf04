from collections.abc import Callable
from types import FunctionType
from typing import Any

from recompyle._c.probe import Probe

SUSPENDED: int

class Tidy:
    functions: tuple[FunctionType, ...]
    def __init__(self, functions: tuple[FunctionType, ...]) -> None: ...
    def __call__(self, exception: BaseException) -> None: ...

class CleanProbe(Probe):
    functions: tuple[FunctionType, ...]
    def __init__(self, functions: tuple[FunctionType, ...], label: str) -> None: ...

def functions_behind(wrapper: Callable[..., Any]) -> tuple[FunctionType, ...]: ...
def clean(exception: BaseException, only: tuple[FunctionType, ...] | None = None) -> None: ...
