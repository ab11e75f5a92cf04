"""Edits in, new code object out."""

from collections.abc import Sequence
from types import CodeType

from ..errors import NotRewritable
from . import choose
from .edit import Edit
from .refusals import refuse_code


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
    if (refusal := refuse_code(code)) is not None:
        raise NotRewritable(refusal.text, refusal.slug)
    return choose.write(code, edits)
