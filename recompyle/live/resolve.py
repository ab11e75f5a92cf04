"""From a path to the one function that it names, and from modules to all functions they define.

Nothing of the user's runs: no property, no ``__getattr__``, no descriptor, no import. Everything is read as
`recompyle.patch.resolve` reads it.

A function has one path, the canonical one: the module whose namespace it uses, and where it is found there. Other
names that lead to it are aliases. What functions say of themselves (``__qualname__``, ``__module__``) decides nothing.
"""

import functools
import re
import sys
import types
from collections.abc import Collection, Iterator, Sequence
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR, CO_ITERABLE_COROUTINE
from types import (
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any, NamedTuple, TypeAlias

from recompyle.errors import NotRewritable, TargetNotFound
from recompyle.live._members import members
from recompyle.patch import inner, slices
from recompyle.patch.resolve import (
    DOTTED,
    IDENTIFIER,
    class_dict,
    class_mro,
    class_name,
    describe,
    module_dict,
    slug,
)
from recompyle.rewrite import origin

__all__ = [
    "ABSENT",
    "Absent",
    "Target",
    "accept",
    "accepted",
    "first_of",
    "flavor_of",
    "is_imported",
    "resolve",
    "split",
    "survey",
]

PART = re.compile(rf"(?P<name>{IDENTIFIER}|<locals>|<lambda>)(?P<implementation>\[[\w.]+\])?")
Function: TypeAlias = Any  # a FunctionType; as an attribute it would be taken for a method by type checkers
EXAMPLES = "such as 'app.orders:total' or 'app.orders:Service.checkout'"
ABSENT = object()
ACCESSORS = {"getter": "fget", "setter": "fset", "deleter": "fdel"}

_LRU_CACHE = type(functools.lru_cache(lambda: None))
_METHODS: tuple[tuple[type, str], ...] = (
    (staticmethod, "staticmethod"),
    (classmethod, "classmethod"),
    (MethodType, "method"),
)
_INSTANCES: tuple[tuple[type, str, str], ...] = (
    (_LRU_CACHE, "__wrapped__", "cached hits do not run the body"),
    (functools.cached_property, "func", "cached hits do not run the body"),
    (functools.partialmethod, "func", "behind a partialmethod"),
    (functools.singledispatchmethod, "dispatcher", ""),
)
_LAZY = getattr(types, "LazyImportType", ())  # 3.15
_prefixes: dict[str, str] = {}


class Absent(LookupError):
    """The module of a path is not imported.

    Parameters:
        module: its name.
        name: the rest of the path.
    """

    def __init__(self, module: str, name: str):
        super().__init__(f"{module} is not imported")
        self.module, self.name = module, name


class Target(NamedTuple):
    """What a path leads to.

    Attributes:
        path: the canonical path.
        aliases: other paths of the same function.
        kind: function, method, classmethod, staticmethod, getter, setter, deleter, implementation or closure.
        flavor: plain, generator, coroutine or async_generator.
        owner: the module or class that holds it.
        file, line: where it was written.
        notes: what should be known before it is instrumented.
        function: the function; of a closure one that stands for those that will be made.
    """

    path: str
    aliases: tuple[str, ...]
    kind: str
    flavor: str
    owner: str
    file: str
    line: int
    notes: tuple[str, ...]
    function: Function


class Leaf(NamedTuple):
    """A function behind an attribute.

    Attributes:
        suffix: what follows the attribute's name in the path.
        kind, notes, function: as of `Target`.
    """

    suffix: str
    kind: str
    notes: tuple[str, ...]
    function: Function


class Place(NamedTuple):
    """A function where a module or one of its classes defines it.

    Attributes:
        path: the path of this place.
        owner: the module or class that holds it.
        kind, notes, function: as of `Target`.
    """

    path: str
    owner: str
    kind: str
    notes: tuple[str, ...]
    function: Function


def accept(prefix: str, module: str) -> None:
    """Let paths that begin with another name mean the same package, and list its functions wherever its files lie.

    Parameters:
        prefix: the other name of the package.
        module: its name in ``sys.modules``.
    """
    _prefixes[prefix] = module


def accepted() -> Collection[str]:
    """The packages that `accept` was told of."""
    return _prefixes.values()


def is_imported(module: str) -> bool:
    """Whether a module is there and has run to its end."""
    held = sys.modules.get(module)
    if held is None or not issubclass(type(held), ModuleType):
        return held is not None
    return not getattr(module_dict(held).get("__spec__"), "_initializing", False)


def flavor_of(code: CodeType) -> str:
    """What calling a function of some code makes: see `Target`."""
    if code.co_flags & CO_ASYNC_GENERATOR:
        return "async_generator"
    if code.co_flags & (CO_COROUTINE | CO_ITERABLE_COROUTINE):
        return "coroutine"
    return "generator" if code.co_flags & CO_GENERATOR else "plain"


def split(path: str) -> tuple[str, str]:
    """The two halves of a path; one without colon is split behind the longest module that is imported.

    Raises:
        TypeError, ValueError: not a path.
    """
    if not isinstance(path, str):
        raise TypeError(f"a path is a string, {EXAMPLES}, not {describe(path)}")
    module, colon, name = path.partition(":")
    if not colon:
        at = len(path)
        while (at := path.rfind(".", 0, at)) > 0:
            if path[:at] in sys.modules:
                module, name = path[:at], path[at + 1 :]
                break
    if not DOTTED.fullmatch(module) or not all(map(PART.fullmatch, _parts(name))):
        raise ValueError(f"expected module:name, {EXAMPLES}, got {path!r}")
    for prefix, real in _prefixes.items():
        if f"{module}.".startswith(f"{prefix}."):
            module = real + module[len(prefix) :]
    return module, name


def _parts(name: str) -> list[str]:
    """The parts of a dotted name; dots in brackets belong to the name of a type."""
    return re.split(r"\.(?![\w.]*\])", name)


def resolve(
    path: str, layer: int | None = None, unfinished: bool = False, allow_import: bool = False
) -> Target:
    """Find the function that a path names.

    Parameters:
        path: ``package.module:name``, ``package.module:Class.method``, ``package.module:Class.prop.setter``,
            ``package.module:function[type]`` for one implementation of a single-dispatch function, or
            ``package.module:outer.<locals>.inner`` for closures.
        layer: of a chain of decorators that use `functools.wraps`: which function, 0 the outermost, -1 the innermost.
            None: the innermost one of that name that stands in the same file.
        unfinished: also look into a module whose import has not ended.
        allow_import: have a lazy import (3.15) happen if the path leads through it.

    Returns:
        A `Target`.

    Raises:
        TypeError, ValueError: not a path.
        Absent: its module is not imported, or not to its end yet.
        TargetNotFound: nothing of that name is there (slug ``not_found``), or a lazy import that has not happened
            yet (slug ``lazy``).
        Exception: what a lazy import has raised.
        NotRewritable: there is no Python function behind it.
    """
    module, name = split(path)
    if not is_imported(module) and not (unfinished and module in sys.modules):
        raise Absent(module, name)
    namespace = _namespace(path, module)
    leaf, owner, spelled = _Walk(path, module, namespace, layer, allow_import).to(_parts(name))
    if leaf.kind == "closure":
        return _target(spelled, (), owner, leaf)
    places = list(_home(leaf.function))
    if not places:
        return _target(spelled, (), owner, leaf)
    canonical = first_of(places)
    names = dict.fromkeys([*(place.path for place in places), f"{module}:{name}"])
    aliases = tuple(each for each in names if each != canonical.path)
    notes = tuple(dict.fromkeys((*leaf.notes, *canonical.notes)))
    return _target(canonical.path, aliases, canonical.owner, leaf._replace(kind=canonical.kind, notes=notes))


def first_of(places: Sequence[Place]) -> Place:
    """The place after which a function is called: as an implementation, as it was written, or where it stands first."""
    if len(places) == 1:
        return places[0]
    qualified = places[0].function.__code__.co_qualname
    return next(
        (each for each in places if each.kind == "implementation"),
        next((each for each in places if each.path.partition(":")[2] == qualified), places[0]),
    )


def _target(path: str, aliases: tuple[str, ...], owner: str, leaf: Leaf) -> Target:
    code = origin.of(leaf.function.__code__)
    return Target(
        path,
        aliases,
        leaf.kind,
        flavor_of(code),
        owner,
        code.co_filename,
        code.co_firstlineno,
        leaf.notes,
        leaf.function,
    )


def _namespace(path: str, module: str) -> dict[str, Any]:
    held = sys.modules[module]
    if not issubclass(type(held), ModuleType):
        raise TargetNotFound(f"{path}: {module} is {describe(held)}, not a module", "not_found")
    return module_dict(held)


def _home(function: FunctionType) -> Iterator[Place]:
    """All places in the module whose namespace a function uses."""
    name = function.__globals__.get("__name__")
    held = sys.modules.get(name) if isinstance(name, str) else None
    if held is not None and issubclass(type(held), ModuleType) and module_dict(held) is function.__globals__:
        yield from survey(held, function)


class _Walk:
    """Follows one path from its module on."""

    def __init__(self, path: str, module: str, namespace: dict[str, Any], layer: int | None, allow_import: bool):
        self.path, self.module, self.namespace, self.layer = path, module, namespace, layer
        self.allow_import = allow_import

    def to(self, parts: list[str]) -> tuple[Leaf, str, str]:
        """The function at the end, what holds it, and the path by which it is known there."""
        if "<locals>" in parts:
            return self._closure(parts)
        match = PART.fullmatch(parts[0])
        assert match is not None
        found = self.namespace.get(match["name"], ABSENT)
        if found is ABSENT:
            raise TargetNotFound(f"{self.path}: the module {self.module} has no {match['name']!r}", "not_found")
        owner, done, inherited = self.module, parts[0], ""
        if _LAZY and type(found) is _LAZY and self.allow_import:
            found = getattr(sys.modules[self.module], match["name"])
        cls: type | None = None
        for index, part in enumerate(parts[1:], 1):
            self._check_not_lazy(found, done)
            if part in ACCESSORS and issubclass(type(found), property) and index == len(parts) - 1:
                return self._leaf(found, owner, done, cls, f".{part}", inherited)
            if not issubclass(type(found), type):
                raise TargetNotFound(
                    f"{self.path}: {done} is {describe(found)}, so it has no {part!r} to look up", "not_found"
                )
            cls = found
            match = PART.fullmatch(part)
            assert match is not None
            base, name, found = in_class(cls, match["name"])
            if base is None:
                raise TargetNotFound(f"{self.path}: the class {done} has no {part!r}", "not_found")
            suffix = match["implementation"] or ""
            if base is cls:
                owner, inherited = f"{self.module}:{done}", ""
                done += f".{name}{suffix}"
            else:
                where = str(class_dict(base).get("__module__"))
                owner = f"{where}:{class_name(base)}"
                inherited = f"defined on {class_name(base)}: affects all subclasses"
                done = f"{class_name(base)}.{name}{suffix}"
                self.module = where
        self._check_not_lazy(found, done)
        match = PART.fullmatch(parts[-1])
        assert match is not None
        suffix = match["implementation"] or ""
        return self._leaf(found, owner, done.removesuffix(suffix), cls, suffix, inherited)

    def _check_not_lazy(self, found: object, done: str) -> None:
        if _LAZY and type(found) is _LAZY:
            raise TargetNotFound(
                f"{self.path}: {done} is a lazy import: importing it would run code; to have it happen use "
                "allow_import=True, or start the program or attach to it with --allow-import",
                "lazy",
            )

    def _leaf(
        self, found: object, owner: str, done: str, cls: type | None, suffix: str, inherited: str
    ) -> tuple[Leaf, str, str]:
        name = done.rpartition(".")[2]
        leaves = behind(found, name, cls is not None, str(self.namespace.get("__file__")), self.layer)
        if not leaves:
            raise NotRewritable(f"{self.path}: {describe(found)} is not a Python function", slug(found))
        wanted = [leaf for leaf in leaves if leaf.suffix == suffix]
        if not wanted and not suffix:  # a property that can only be set; a single-dispatch function by its bare name
            wanted = [leaf for leaf in leaves if leaf.suffix == "[object]"] or leaves
        if not wanted:
            known = ", ".join(leaf.suffix for leaf in leaves)
            raise TargetNotFound(f"{self.path}: {done} has no {suffix}; there are {known}", "not_found")
        leaf = wanted[0]
        if inherited:
            leaf = leaf._replace(notes=(inherited, *leaf.notes))
        return leaf, owner, f"{self.module}:{done}{leaf.suffix}"

    def _closure(self, parts: list[str]) -> tuple[Leaf, str, str]:
        at = parts.index("<locals>")
        outer, _, spelled = self.to(parts[:at])
        function, rest = outer.function, parts[at + 1 :]
        code = origin.of(function.__code__)
        while rest:
            name, *rest = rest
            inside = [const for const in code.co_consts if type(const) is CodeType and const.co_name == name]
            if not inside:
                raise TargetNotFound(f"{self.path}: {code.co_qualname} makes no {name!r}", "not_found")
            if len(inside) > 1:
                raise TargetNotFound(f"{self.path}: {code.co_qualname} makes several {name!r}", "not_found")
            code = inside[0]
            if rest and rest[0] == "<locals>":
                rest = rest[1:]
        if not code.co_flags & 0x1:  # CO_OPTIMIZED: not the body of a class
            raise NotRewritable(f"{self.path}: {code.co_qualname} is a class", "no_function")
        spelled = ".".join((spelled, *parts[at:]))
        note = "functions made from now on; those made before with live=True"
        return Leaf("", "closure", (note,), inner.stand_in(function, code)), spelled.rpartition(".<locals>")[0], spelled


def in_class(cls: type, name: str) -> tuple[type | None, str, object]:
    """An attribute as a class and its bases hold it: the base, the attribute's true name, and what is there.

    Private names are found as they are written in the class, too.
    """
    private = name.startswith("__") and not name.endswith("__")
    for base in class_mro(cls):
        held = class_dict(base)
        mangled = f"_{class_name(base).rpartition('.')[2].lstrip('_')}{name}"
        for spelled in (name, mangled) if private else (name,):
            if spelled in held:
                return base, spelled, held[spelled]
    return None, name, ABSENT


def behind(obj: object, name: str, in_a_class: bool, file: str | None, layer: int | None = None) -> list[Leaf]:
    """The functions behind an attribute.

    Parameters:
        obj: what the attribute is.
        name: the attribute's name.
        in_a_class: whether a class holds it, not a module.
        file: the file of the module that holds it.
        layer: as of `resolve`.
    """
    return _Unwrap(name, in_a_class, file, layer).leaves(obj, "method" if in_a_class else "function", ())


class _Unwrap:
    """Opens what wraps functions, as far as its kind is known."""

    def __init__(self, name: str, in_a_class: bool, file: str | None, layer: int | None):
        self.name, self.in_a_class, self.file, self.layer = name, in_a_class, file, layer

    def leaves(self, obj: Any, kind: str, notes: tuple[str, ...]) -> list[Leaf]:
        holder = type(obj)
        if holder is FunctionType:
            registry = obj.__dict__.get("registry")
            if type(registry) is MappingProxyType and "__wrapped__" in obj.__dict__:  # made by singledispatch
                return self._implementations(registry, notes)
            return [self._layer_of(obj, kind, notes)]
        for wrapper, of in _METHODS:
            if issubclass(holder, wrapper):
                if wrapper is MethodType:
                    notes += (_affects(MethodType.__dict__["__self__"].__get__(obj)),)
                return self.leaves(wrapper.__dict__["__func__"].__get__(obj), of, notes)
        for kind_of_property in (property, types.DynamicClassAttribute):
            if issubclass(holder, kind_of_property):
                return self._accessors(kind_of_property, obj, notes)
        if issubclass(holder, functools.partial):
            return self.leaves(functools.partial.__dict__["func"].__get__(obj), kind, (*notes, "behind a partial"))
        attributes = _attributes(obj, holder)
        for base, attribute, note in _INSTANCES:
            if issubclass(holder, base):
                kind = "getter" if base is functools.cached_property else kind
                held = attributes.get(attribute)
                return self.leaves(held, kind, (*notes, note) if note else notes)
        return [] if self.in_a_class else self._called(obj, notes)

    def _accessors(self, base: type, obj: object, notes: tuple[str, ...]) -> list[Leaf]:
        found = []
        for accessor, slot in ACCESSORS.items():
            held = base.__dict__[slot].__get__(obj) if base is property else _attributes(obj, type(obj)).get(slot)
            suffix = "" if accessor == "getter" else f".{accessor}"
            found += [
                leaf._replace(suffix=suffix) for leaf in self.leaves(held, accessor, notes)[:1] if held is not None
            ]
        return found

    def _implementations(self, registry: "MappingProxyType[type, Any]", notes: tuple[str, ...]) -> list[Leaf]:
        names = [class_name(each) for each in registry]
        found = []
        for kind, implementation in registry.items():
            name = class_name(kind)
            if names.count(name) > 1:
                name = f"{class_dict(kind).get('__module__')}.{name}"
            inside = _Unwrap(name, True, None, -1).leaves(implementation, "implementation", notes)
            found += [leaf._replace(suffix=f"[{name}]") for leaf in inside[:1]]
        return found

    def _layer_of(self, function: FunctionType, kind: str, notes: tuple[str, ...]) -> Leaf:
        """The function of a chain made by `functools.wraps` that is meant, not that of the decorators."""
        chain = [function]
        held: Any = function
        while type(held) is FunctionType and "__wrapped__" in held.__dict__:
            held = held.__dict__["__wrapped__"]
            inside = [held] if type(held) is FunctionType else [leaf.function for leaf in self.leaves(held, kind, ())]
            if not inside or any(each is inside[0] for each in chain):
                break
            chain.append(inside[0])
        if len(chain) == 1:
            return Leaf("", kind, notes, function)
        if self.layer is not None:
            if not -len(chain) <= self.layer < len(chain):
                raise TargetNotFound(
                    f"{self.name} has {len(chain)} layers, so there is no layer {self.layer}", "not_found"
                )
            chosen = chain[self.layer]
        else:
            names = (self.name, function.__name__, self.name.lstrip("_"))
            codes = [(each, each.__code__) for each in chain]
            own = [each for each, code in codes if code.co_name in names and self.file in (None, code.co_filename)]
            chosen = own[-1] if own else function
        shown = " -> ".join(each.__code__.co_qualname for each in chain)
        return Leaf("", kind, (*notes, f"decorated: {shown}"), chosen)

    def _called(self, obj: object, notes: tuple[str, ...]) -> list[Leaf]:
        """What runs when an instance is called."""
        kind = type(obj)
        base, _, call = in_class(kind, "__call__")
        if base is None or issubclass(kind, type) or type(call) is not FunctionType:
            return []
        return [Leaf("", "method", (*notes, f"a callable {class_name(kind)}: affects all instances"), call)]


def _affects(owner: object) -> str:
    if issubclass(type(owner), type):
        return f"bound to {class_name(owner)}"
    return f"affects every {class_name(type(owner))} instance"


def _attributes(obj: object, holder: type) -> dict[str, Any]:
    """The dictionary of an instance; empty if there is none, or only a property's, which is not run."""
    for base in class_mro(holder):
        descriptor = class_dict(base).get("__dict__")
        if type(descriptor) in (GetSetDescriptorType, MemberDescriptorType):
            found = descriptor.__get__(obj)
            return found if type(found) is dict else {}
    return {}


def survey(module: ModuleType, only: FunctionType | None = None) -> Iterator[Place]:
    """All functions that a module defines, with the places where they are found; one may have several.

    The search gives way to other threads now and then.

    Parameters:
        module: the module.
        only: the one function that is wanted; None: all.

    A function belongs to the module whose namespace it uses.
    """
    namespace = module_dict(module)
    name = str(namespace.get("__name__"))
    file = namespace.get("__file__")
    file = file if isinstance(file, str) else None
    pending: list[tuple[str, str, Any]] = [(name, "", namespace)]
    visited: set[int] = set()
    while pending:
        owner, prefix, held = pending.pop(0)
        for attribute, value, is_plain in members(held, only):
            slices.between()
            if is_plain:
                kind = "method" if prefix else "function"
                leaves = [Leaf("", kind, (), value)]
            elif issubclass(type(value), type):
                if id(value) not in visited:
                    visited.add(id(value))
                    pending.append((f"{name}:{prefix}{attribute}", f"{prefix}{attribute}.", class_dict(value)))
                continue
            elif prefix or _is_wrapper(value):
                leaves = behind(value, attribute, bool(prefix), file)
            else:
                continue  # a callable instance is known by its class
            for leaf in leaves:
                written = leaf.function.__code__.co_name != "__annotate__"  # by the compiler, from 3.14
                if written and leaf.function.__globals__ is namespace and only in (None, leaf.function):
                    yield Place(f"{name}:{prefix}{attribute}{leaf.suffix}", owner, leaf.kind, leaf.notes, leaf.function)


def _is_wrapper(value: object) -> bool:
    return issubclass(type(value), (FunctionType, MethodType, staticmethod, functools.partial, _LRU_CACHE))
