from collections.abc import Mapping
from types import CodeType

from recompyle.rewrite.transform import Placeholder

def match(
    old: CodeType, new: CodeType, placeholders: Mapping[complex, Placeholder]
) -> list[tuple[CodeType, bytes]]: ...
def relocate(new: CodeType, placeholders: Mapping[complex, Placeholder]) -> list[tuple[CodeType, bytes]]: ...
