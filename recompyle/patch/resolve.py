"""From a path or an object to the Python functions behind it, running none of the user's code.

Everything is read through the descriptors of the built-in types themselves, never with `getattr`: a property,
a ``__getattr__`` or a metaclass that answers attribute reads stays silent. The one thing that runs is the
import of the module a path names.
"""

import fnmatch
import functools
import importlib
import re
import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from types import FunctionType, MappingProxyType, ModuleType
from typing import Any

from recompyle.errors import NotRewritable, RecompyleWarning, TargetNotFound

__all__ = ["functions_of", "is_pattern", "resolve"]

EXAMPLES = "such as 'app.orders:Order.total', 'app.orders:Order.*' or 'app.orders:*'"
IDENTIFIER = r"[^\W\d]\w*"
DOTTED = re.compile(rf"{IDENTIFIER}(\.{IDENTIFIER})*")
PATTERN = re.compile(r"[\w.*?\[\]!-]+")
MISSING = object()

_LRU_CACHE = type(functools.lru_cache(lambda: None))

# What holds a function, and where: in the slots of a C type,
_SLOTS: tuple[tuple[type, tuple[str, ...]], ...] = (
    (types.MethodType, ("__func__",)),
    (staticmethod, ("__func__",)),
    (classmethod, ("__func__",)),
    (property, ("fget", "fset", "fdel")),
    (functools.partial, ("func",)),
)
# or in the dictionary of an instance.
_ATTRIBUTES: tuple[tuple[type, tuple[str, ...]], ...] = (
    (_LRU_CACHE, ("__wrapped__",)),
    (functools.cached_property, ("func",)),
    (functools.partialmethod, ("func",)),
    (functools.singledispatchmethod, ("dispatcher",)),
    (types.DynamicClassAttribute, ("fget", "fset", "fdel")),
)

# Read from the types, so that a subclass, a metaclass or a proxy has no say.
class_dict = type.__dict__["__dict__"].__get__
class_mro = type.__dict__["__mro__"].__get__
class_name = type.__dict__["__qualname__"].__get__
module_dict: Callable[[ModuleType], dict[str, Any]] = vars(ModuleType)["__dict__"].__get__


def functions_of(obj: object) -> list[FunctionType]:
    """Finds the Python functions behind an object.

    Methods, ``staticmethod``, ``classmethod``, ``property``, ``cached_property``, ``partial``,
    ``partialmethod`` and cached functions are opened; along a chain of `functools.wraps` the innermost
    function counts. A property gives each of its accessors, a single-dispatch function each implementation
    registered so far.

    Parameters:
        obj: the object.

    Returns:
        The functions, each once, at least one.

    Raises:
        NotRewritable: there is no Python function behind it; the text says what it is.
    """
    found = innermost(obj, ())
    if not found:
        raise NotRewritable(f"{describe(obj)} is not a Python function", slug(obj))
    return unique(found)


def is_pattern(path: str) -> bool:
    """Whether a path stands for any number of functions: it holds ``*``, ``?`` or ``[``."""
    return any(mark in path for mark in "*?[")


def resolve(path: str) -> list[FunctionType]:
    """Finds the functions that a path names, importing its module if need be.

    Parameters:
        path: ``package.module:function``, ``package.module:Class.method``, or with ``*``, ``?`` and ``[...]``
            after the colon: all functions and methods that the module itself defines whose dotted name
            matches. A name without them is looked up as Python would: an inherited method is the one of the
            class that defines it.

    Returns:
        The functions, each once. Empty only for a pattern that matches nothing, and then with a warning.

    Raises:
        ValueError: not a path.
        TargetNotFound: the path leads nowhere or not to a Python function; the text names the failing part.
    """
    module_name, name = split(path)
    namespace = namespace_of(module_name, path)
    if is_pattern(name):
        found = [f for dotted, f in defined(namespace) if fnmatch.fnmatchcase(dotted, name)]
        if not found:
            # the level is that of whoever called apply()
            warnings.warn(f"{path}: no function of the module matches", RecompyleWarning, stacklevel=5)
        return unique(found)
    try:
        return functions_of(walk(path, module_name, namespace, name.split(".")))
    except NotRewritable as refusal:
        raise TargetNotFound(f"{path}: {refusal}") from None


def split(path: str) -> tuple[str, str]:
    if not isinstance(path, str):
        raise TypeError(f"a path is a string, {EXAMPLES}, not {describe(path)}")
    module, colon, name = path.partition(":")
    right = PATTERN if is_pattern(name) else DOTTED
    if not colon or not DOTTED.fullmatch(module) or not right.fullmatch(name):
        raise ValueError(f"{path!r} is not a path {EXAMPLES}")
    return module, name


def namespace_of(name: str, path: str) -> dict[str, Any]:
    """The namespace of a module. What the module itself raises while it is imported passes through."""
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}."):
            raise TargetNotFound(f"{path}: there is no module {error.name}") from None
        raise
    if not issubclass(type(module), ModuleType):
        raise TargetNotFound(f"{path}: {name} is {describe(module)}, not a module")
    return module_dict(module)


def walk(path: str, module: str, namespace: dict[str, Any], parts: list[str]) -> object:
    """What the dotted name after the colon leads to."""
    found = namespace.get(parts[0], MISSING)
    if found is MISSING:
        raise TargetNotFound(f"{path}: the module {module} has no {parts[0]!r}")
    done = parts[0]
    for part in parts[1:]:
        if not issubclass(type(found), type):
            raise TargetNotFound(f"{path}: {done} is {describe(found)}, so it has no {part!r} to look up")
        found = _in_class(found, part)
        if found is MISSING:
            raise TargetNotFound(f"{path}: the class {done} has no {part!r}")
        done += f".{part}"
    return found


def _in_class(cls: type, name: str) -> object:
    """An attribute as the class and its bases hold it; private names as they are written in the class too."""
    private = name.startswith("__") and not name.endswith("__")
    for base in class_mro(cls):
        held = class_dict(base)
        if name in held:
            return held[name]
        mangled = f"_{class_name(base).rpartition('.')[2].lstrip('_')}{name}"
        if private and mangled in held:
            return held[mangled]
    return MISSING


def defined(namespace: dict[str, Any]) -> Iterator[tuple[str, FunctionType]]:
    """All functions of a module with the dotted names they are found under.

    A function belongs to the module whose namespace it uses for its globals; names, ``__module__`` and files
    can be changed by anybody.
    """
    pending: list[tuple[str, Mapping[str, Any]]] = [("", namespace)]
    visited = set()
    while pending:
        prefix, held = pending.pop(0)
        for name, value in list(held.items()):
            if not isinstance(name, str):
                continue
            if not issubclass(type(value), type):
                for function in innermost(value, ()):
                    written = function.__code__.co_name != "__annotate__"  # by the compiler, from 3.14
                    if written and function.__globals__ is namespace:
                        yield prefix + name, function
            elif id(value) not in visited:
                visited.add(id(value))
                pending.append((f"{prefix}{name}.", class_dict(value)))


def innermost(obj: object, path: tuple[int, ...]) -> list[FunctionType]:
    """The functions at the ends of all chains that begin at an object; none if it holds no function.

    Parameters:
        obj: where to begin.
        path: addresses of the objects passed on the way, since a chain may bite its own tail.
    """
    if id(obj) in path:
        return []
    path += (id(obj),)
    found = [function for held in _held(obj) for function in innermost(held, path)]
    if not found and type(obj) is FunctionType:
        return [obj]
    return found


def _held(obj: object) -> list[object]:
    """What a wrapper of a known kind wraps."""
    kind = type(obj)
    if kind is FunctionType:
        attributes = obj.__dict__
        registry = attributes.get("registry")
        if type(registry) is MappingProxyType and "__wrapped__" in attributes:  # made by singledispatch
            return [attributes["__wrapped__"], *registry.values()]
        return [attributes["__wrapped__"]] if "__wrapped__" in attributes else []
    for base, names in _SLOTS:
        if issubclass(kind, base):
            return [base.__dict__[name].__get__(obj) for name in names]
    for base, names in _ATTRIBUTES:
        if issubclass(kind, base):
            attributes = base.__dict__["__dict__"].__get__(obj)
            return [attributes[name] for name in names if name in attributes]
    return []


def unique(functions: list[FunctionType]) -> list[FunctionType]:
    return list({id(function): function for function in functions}.values())


_KINDS: dict[type, str] = {
    types.BuiltinFunctionType: "a built-in function",
    types.MethodDescriptorType: "a method of a C type",
    types.ClassMethodDescriptorType: "a method of a C type",
    types.WrapperDescriptorType: "a slot of a C type",
    types.MethodWrapperType: "a slot of a C type",
    types.GetSetDescriptorType: "an attribute of a C type",
    types.MemberDescriptorType: "an attribute of a C type",
    types.CodeType: "a code object",
    ModuleType: "a module",
}
if hasattr(types, "LazyImportType"):  # 3.15
    _KINDS[types.LazyImportType] = "a lazy import that has not happened yet (name the module that defines it)"


def describe(obj: object) -> str:
    """What an object is, without asking it."""
    kind = type(obj)
    if kind in _KINDS:
        return _KINDS[kind]
    name = class_name(kind)
    if issubclass(kind, type):
        return f"the class {class_name(obj)}"
    if name == "cython_function_or_method":
        return "a function compiled by Cython"
    if _in_class(kind, "__call__") is not MISSING:
        return f"a callable instance of {name}"
    return f"an instance of {name}"


def slug(obj: object) -> str:
    compiled = class_name(type(obj)) == "cython_function_or_method"
    return "not_python" if compiled or type(obj) in _KINDS else "no_function"
