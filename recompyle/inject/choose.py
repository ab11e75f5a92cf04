"""The writer: the fast one where it can, else the plain one."""

from collections.abc import Sequence
from types import CodeType

from .. import _env
from . import _fast, facts, plain
from .edit import Edit


def write(code: CodeType, edits: Sequence[Edit]) -> CodeType:
    """As `recompyle.inject.write`, with no question asked whether the writer works here."""
    if facts.KNOWN and not _env.REPLACE_LOSES_FLAGS:
        written = _fast.write(code, edits)
        if written is not None:
            return written
    return plain.write(code, edits)
