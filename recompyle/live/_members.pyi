from collections.abc import Mapping
from types import FunctionType
from typing import Any

def members(namespace: Mapping[str, Any], only: FunctionType | None = None) -> list[tuple[str, Any, bool]]: ...
