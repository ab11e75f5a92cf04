from collections.abc import Callable, Mapping
from types import CodeType

def link(
    code: CodeType,
    placeholders: Mapping[complex, object],
    tables: Mapping[int, bytes],
    finish: Callable[[CodeType, bool], CodeType],
) -> CodeType: ...
