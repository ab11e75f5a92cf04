"""What a target stands for: one function, or all that a class, a module or a package defines.

============================  ==========================================================================
``"app.orders:total"``        one function, or whatever wraps functions (a property has up to three)
``"app.orders:Order"``        a class: the functions that it defines, those of classes inside it too
``"app.orders:Order.*"``      what matches, of all that the module defines
``"app.orders"``              a module, as ``"app.orders:*"``
``"app.**"``                  a package and its submodules, as far as they are imported already
``"app.**:*.save"``           what matches in any of them
============================  ==========================================================================

Objects mean the same as the paths that lead to them.
"""

import sys
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, NamedTuple, cast

from recompyle.errors import NotRewritable, TargetNotFound
from recompyle.patch.resolve import (
    DOTTED,
    class_dict,
    class_mro,
    class_name,
    defined,
    describe,
    functions_of,
    innermost,
    is_pattern,
    module_dict,
    namespace_of,
    resolve,
    slug,
    split,
    unique,
    walk,
)

__all__ = ["Found", "find", "functions_in"]

TREE = ".**"  # at the end of a package's name: its submodules too

_HEAP_TYPE = 1 << 9  # made by a class statement; see PyType_FromSpec for the few C types that have it
_flags = type.__dict__["__flags__"].__get__


class Found(NamedTuple):
    """The functions of a target.

    Attributes:
        functions: each once.
        several: whether the target stands for any number of functions, so that some may be left out.
        refused: what belongs to the target and is no Python function: pairs of name and reason.
    """

    functions: list[FunctionType]
    several: bool = False
    refused: tuple[tuple[str, str], ...] = ()


def find(target: object, inherited: bool = False) -> Found:
    """Finds what a target stands for.

    Parameters:
        target: a function, a wrapper of functions, a class, a module, or a path.
        inherited: of a class also what it inherits from classes written in Python and does not override.

    Returns:
        What was found; empty only for a pattern that matches nothing.

    Raises:
        ValueError: not a path.
        TargetNotFound: the path leads nowhere, or to nothing that holds a Python function.
        NotRewritable: the object holds no Python function.
    """
    if isinstance(target, str):
        return _of_path(target, inherited)
    if issubclass(type(target), type):
        return _of_class(target, inherited)
    if issubclass(type(target), ModuleType):  # not isinstance, which would ask the object
        return _not_empty(functions_in(cast(ModuleType, target)), target)
    return Found(functions_of(target))


def _of_path(path: str, inherited: bool) -> Found:
    left, colon, name = path.partition(":")
    package = left.removesuffix(TREE)
    if package == left and colon:
        if is_pattern(name):
            found = resolve(path)
            return Found(found, True, _compiled(split(path)[0], namespace_of(left, path), name))
        return _of_name(path, inherited)
    if not DOTTED.fullmatch(package):
        raise ValueError(f"{path!r} is not a path, a module or a package such as 'app.orders' or 'app.**'")
    split(f"{package}:{name or '*'}")  # the rest of the path is in order
    namespace_of(package, path)
    modules = [package]
    if package != left:
        modules += sorted(each for each in list(sys.modules) if each.startswith(f"{package}."))
    return _of_modules([each for each in modules if issubclass(type(sys.modules.get(each)), ModuleType)], name or "*")


def _of_name(path: str, inherited: bool) -> Found:
    module, name = split(path)
    found = walk(path, module, namespace_of(module, path), name.split("."))
    try:
        return _of_class(found, inherited) if issubclass(type(found), type) else Found(functions_of(found))
    except NotRewritable as refusal:
        raise TargetNotFound(f"{path}: {refusal}") from None


def functions_in(module: ModuleType) -> Found:
    """All functions that a module defines; there may be none."""
    namespace = module_dict(module)
    return _in_namespace(str(namespace.get("__name__")), namespace, "*")


def _not_empty(found: Found, holder: object) -> Found:
    if not found.functions:
        raise NotRewritable(f"{describe(holder)} that defines no Python function", "no_function")
    return found


def _of_modules(names: list[str], pattern: str) -> Found:
    each = [_in_namespace(name, module_dict(sys.modules[name]), pattern) for name in names]
    functions = unique([function for found in each for function in found.functions])
    if not functions:
        raise TargetNotFound(f"{names[0]}: no function matches {pattern!r}")
    return Found(functions, True, tuple(pair for found in each for pair in found.refused))


def _in_namespace(module: str, namespace: dict[str, Any], pattern: str) -> Found:
    functions = [function for dotted, function in defined(namespace) if fnmatchcase(dotted, pattern)]
    return Found(unique(functions), True, _compiled(module, namespace, pattern))


def _compiled(module: str, namespace: Mapping[str, Any], pattern: str) -> tuple[tuple[str, str], ...]:
    """The module's own functions that are compiled."""
    return tuple(
        (f"{module}:{name}", f"{describe(value)} is not a Python function")
        for name, value in list(namespace.items())
        if _is_compiled(value) and value.__module__ == module and fnmatchcase(name, pattern)
    )


def _is_compiled(value: Any) -> bool:
    kind = type(value)
    return kind is BuiltinFunctionType or class_name(kind) == "cython_function_or_method"


def _of_class(cls: Any, inherited: bool) -> Found:
    bases = [base for base in class_mro(cls) if _flags(base) & _HEAP_TYPE] if inherited else [cls]
    functions: list[FunctionType] = []
    refused: list[tuple[str, str]] = []
    seen: set[str] = set()
    for base in bases:
        for name, value in _attributes(base):
            if name.partition(".")[0] in seen:
                continue
            behind = innermost(value, ())
            functions += [each for each in behind if _is_written_in(base, each)]
            if not behind and slug(value) == "not_python":
                refused.append((f"{class_dict(base).get('__module__')}:{class_name(base)}.{name}", describe(value)))
        seen.update(class_dict(base))
    found = Found(unique(functions), True, tuple((name, f"{what} is not a Python function") for name, what in refused))
    return _not_empty(found, cls)


def _attributes(cls: type) -> Iterator[tuple[str, object]]:
    """What a class and the classes written inside it hold, with the names it is found under."""
    for name, value in list(class_dict(cls).items()):
        if not issubclass(type(value), type):
            if not _is_slot(value):
                yield name, value
        elif class_name(value) == f"{class_name(cls)}.{name}":
            yield from ((f"{name}.{deeper}", inside) for deeper, inside in _attributes(value))


def _is_slot(value: object) -> bool:
    """Whether it is what every class has: ``__dict__``, ``__weakref__`` and the members of ``__slots__``."""
    return class_name(type(value)) in ("getset_descriptor", "member_descriptor")


def _is_written_in(cls: type, function: FunctionType) -> bool:
    """Whether a function comes from the module of the class and was not just put there by it."""
    written = function.__code__.co_name != "__annotate__"  # by the compiler, from 3.14
    return written and function.__globals__.get("__name__") == class_dict(cls).get("__module__")
