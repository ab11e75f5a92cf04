"""Code objects with and without probes, for people to read."""

import dis
from collections.abc import Sequence
from types import CodeType, FunctionType

from .edit import Edit
from .write import write

__all__ = ["listing", "show"]


def show(target: FunctionType | CodeType, edits: Sequence[Edit] = ()) -> str:
    """The disassembly of a function before and after probes were put in.

    Parameters:
        target: a function that carries probes, or with edits, a function or a code object that could.
        edits: what to put in, for this text only.

    Returns:
        Two listings. Probes stand in them as they show themselves: by kind and label.

    Raises:
        TypeError: neither a function nor a code object.
        NotRewritable: it cannot take these probes.
    """
    code = target if isinstance(target, CodeType) else getattr(target, "__code__", None)
    if not isinstance(code, CodeType):
        raise TypeError(f"a function or a code object is needed, not {type(target).__name__}")
    if edits:
        before, after = code, write(code, edits)
    else:
        from recompyle.rewrite import origin  # above this package; needed for people only

        before, after = origin.of(code), code
    return f"before\n{listing(before)}\nafter\n{listing(after)}"


def listing(code: CodeType) -> str:
    """The disassembly of one code object, without those that it holds."""
    return dis.Bytecode(code).dis()
