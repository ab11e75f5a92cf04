from collections.abc import Callable, Mapping
from types import CodeType

from recompyle.rewrite.transform import Placeholder

def link(
    code: CodeType,
    placeholders: Mapping[complex, Placeholder],
    tables: Mapping[int, bytes],
    finish: Callable[[CodeType, bool], CodeType],
) -> CodeType: ...
