from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, TypeVar

from recompyle._c.probe import Probe

_Value = TypeVar("_Value")
_Samples: TypeAlias = dict[str, list[tuple[str, str]]]

class Statements:
    listing: Any
    def __init__(self) -> None: ...
    def fill(self, listing: object, names: Iterable[tuple[str, ...]], cases: dict[int, tuple[int, ...]]) -> None: ...

class Tracer:
    calls: int
    def __init__(
        self, max_calls: int, max_samples: int, max_repr: int, stack: Callable[[], str] | None
    ) -> None: ...
    def finish(self) -> list[tuple[str, Any, list[int], list[_Samples | None]]]: ...

class Mark(Probe):
    def __init__(self, tracer: Tracer, statement: int, label: str) -> None: ...

class Begin(Mark): ...
class First(Mark): ...

class Case(Mark):
    def __init__(self, tracer: Tracer, statement: int, earlier: tuple[int, ...], label: str) -> None: ...

class Element(Mark):
    def __init__(self, tracer: Tracer, statements: Statements, statement: int, label: str) -> None: ...

class Enter(Probe):
    def __init__(
        self, tracer: Tracer, statements: Statements, nested: bool, first: int, label: str
    ) -> None: ...

class Leave(Probe):
    def __init__(self, tracer: Tracer, label: str) -> None: ...
