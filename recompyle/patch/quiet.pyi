from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

def in_turn(*functions: Callable[[Any], object]) -> Callable[[Any], None]: ...
def untraced(function: Callable[..., T], *arguments: Any) -> T: ...
