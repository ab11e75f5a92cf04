from collections.abc import Sequence
from types import CodeType

from recompyle.inject.edit import Edit

def write(code: CodeType, edits: Sequence[Edit]) -> CodeType | None: ...
def is_protected(code: CodeType) -> bool: ...
