from collections.abc import Callable, Mapping
from types import CodeType
from typing import Any

def link(
    code: CodeType,
    placeholders: Mapping[complex, object],
    tables: Mapping[int, bytes],
    finish: Callable[[CodeType, bool], CodeType],
) -> CodeType: ...
def exchange(code: CodeType, change: Callable[[Any], object]) -> CodeType: ...
def relink(code: CodeType, renew: Callable[[Any], object]) -> CodeType: ...
