"""Edits in, new code object out: by the fast writer where it can, else by the plain one."""

from collections.abc import Sequence
from types import CodeType

from .. import _env
from . import _fast, facts, plain
from .edit import Edit


def write(code: CodeType, edits: Sequence[Edit]) -> CodeType:
    """Make a code object that does the same and runs probes on the way.

    Parameters:
        code: the code object. It is not changed.
        edits: what to insert. At one site, probes run in the order of the edits.

    Returns:
        A new code object. It differs in code, constants, location table, exception table and stack size,
        and in nothing else; without edits not in a byte.

    Raises:
        TypeError: not a code object, not an Edit.
        NotRewritable: the code cannot take these probes; the slug says why.
    """
    if facts.KNOWN and not _env.REPLACE_LOSES_FLAGS:
        written = _fast.write(code, edits)
        if written is not None:
            return written
    return plain.write(code, edits)
