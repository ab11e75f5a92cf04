"""Whether an object can take probes."""

from collections.abc import Iterable
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType
from typing import Any

from ..errors import NotRewritable
from . import _fast, plain
from .decode import decode
from .edit import Edit
from .points import CALLS, find
from .usable import Refusal, unusable

_IMPORT_SYSTEM = (
    "importlib._bootstrap", "importlib._bootstrap_external", "_frozen_importlib", "_frozen_importlib_external",
    "zipimport",
)  # fmt: skip


def check(target: object, *edits: Edit, force: bool = False) -> Refusal | None:
    """Tell whether something can take probes. Nothing is changed.

    Parameters:
        target: a Python function, a method, or a code object.
        edits: what it is to take; without any, whether it can take probes at all.
        force: whether to overlook that a function is marked abstract.

    Returns:
        None if it can, else why not.

    Raises:
        TypeError: something that is not an Edit.
    """
    if isinstance(target, CodeType):
        return refuse_code(target) or _tried(target, edits)
    function = target.__func__ if isinstance(target, MethodType) else target
    if not isinstance(function, FunctionType):
        return _no_function(function)
    return refuse_function(function, force) or refuse_code(function.__code__) or _tried(function.__code__, edits)


def refuse_code(code: CodeType) -> Refusal | None:
    """Why a code object is not written, whatever is to go into it; None if it may be."""
    refusal = unusable()
    if refusal is None and isinstance(code, CodeType) and _fast.is_protected(code):
        refusal = Refusal("protected", f"{code!r}: is protected by PyArmor, and would crash if it were changed")
    return refusal


def refuse_function(function: FunctionType, force: bool) -> Refusal | None:
    """Why a function is left alone, though its code could be written."""
    module = function.__globals__.get("__name__")
    name = f"{module}:{function.__qualname__}"
    if isinstance(module, str) and (module in _IMPORT_SYSTEM or f"{module}.".startswith("recompyle.")):
        return Refusal("own_module", f"{name}: neither the import system nor Recompyle itself takes probes")
    if not force and getattr(function, "__isabstractmethod__", False):
        return Refusal("abstract", f"{name}: is marked abstract; `force=True` overlooks that")
    return None


def _no_function(target: object) -> Refusal:
    kind = type(target).__name__
    if callable(target) and (isinstance(target, BuiltinFunctionType | type) or not _has_code(type(target).__call__)):
        return Refusal("not_python", f"{target!r} is not a Python function but a {kind}")
    return Refusal("no_function", f"{target!r} is no function but a {kind}")


def _has_code(function: Any) -> bool:
    return isinstance(function, FunctionType)


def _tried(code: CodeType, edits: Iterable[Edit]) -> Refusal | None:
    try:
        find(decode(code), with_calls=any(edit.site in CALLS for edit in edits))
        plain.write(code, tuple(edits))
    except NotRewritable as refusal:
        return Refusal(refusal.slug, str(refusal))
    return None
