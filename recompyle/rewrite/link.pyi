from collections.abc import Callable, Mapping
from types import CodeType
from typing import Any

def link(
    code: CodeType,
    placeholders: Mapping[complex, object],
    tables: Mapping[int, bytes],
    finish: Callable[[CodeType, bool], CodeType],
) -> CodeType: ...
def relink(code: CodeType, renew: Callable[[Any], object]) -> CodeType: ...
