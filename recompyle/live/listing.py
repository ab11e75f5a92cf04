"""All functions of a program that can be instrumented.

Those are the functions and methods that imported modules define, if the module's file lies outside of the standard
library and of what is installed. Modules are searched in small slices, and between them the interpreter is given up.
"""

import site
import sys
import sysconfig
import weakref
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import cache
from importlib.machinery import BuiltinImporter, FrozenImporter, ModuleSpec
from os.path import abspath, join
from types import FunctionType, ModuleType
from typing import NamedTuple

from recompyle.live.resolve import Place, accepted, first_of, flavor_of, is_imported, survey
from recompyle.patch import slices
from recompyle.patch.resolve import module_dict
from recompyle.rewrite import origin

__all__ = ["Listed", "listed", "matches"]


class Listed(NamedTuple):
    """One function of a program.

    Attributes:
        path, aliases, kind, flavor, owner, file, line, notes: as of `recompyle.live.resolve.Target`.
        ref: the function, weakly.
    """

    path: str
    aliases: tuple[str, ...]
    kind: str
    flavor: str
    owner: str
    file: str
    line: int
    notes: tuple[str, ...]
    ref: "weakref.ref[FunctionType]"


@cache
def _others_folders() -> tuple[str, ...]:
    """Where the standard library and installed packages lie."""
    found = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    found.update(site.getsitepackages())
    if site.ENABLE_USER_SITE:
        found.add(site.getusersitepackages())
    return tuple(join(abspath(each), "") for each in found if each)


def _is_programs_own(name: str, module: ModuleType) -> bool:
    if name.partition(".")[0] in accepted():
        return True
    namespace = module_dict(module)
    file = namespace.get("__file__")
    if not isinstance(file, str):
        spec = namespace.get("__spec__")
        return getattr(spec, "loader", None) not in (BuiltinImporter, FrozenImporter)
    return not abspath(file).startswith(_others_folders())


def _real_name(name: str, module: ModuleType) -> str:
    """What a module is called where others import it: ``__main__`` may be one of a package, run with ``-m``."""
    spec = module_dict(module).get("__spec__")
    return spec.name if name == "__main__" and type(spec) is ModuleSpec and type(spec.name) is str else name


def _modules(everything: bool) -> Iterator[ModuleType]:
    seen: set[int] = set()
    for name, module in list(sys.modules.items()):
        slices.between()
        if not isinstance(name, str) or not issubclass(type(module), ModuleType) or not is_imported(name):
            continue
        if _real_name(name, module).partition(".")[0] == "recompyle" or id(module) in seen:
            continue
        seen.add(id(module))
        if everything or _is_programs_own(name, module):
            yield module


def matches(pattern: str, path: str, aliases: Iterable[str]) -> bool:
    """Whether a function has a path that is as a pattern says; see `fnmatch`."""
    return pattern == "*" or any(fnmatchcase(each, pattern) for each in (path, *aliases))


def listed(pattern: str = "*", everything: bool = False) -> list[Listed]:
    """The functions of the program, in the order in which their modules were imported.

    Parameters:
        pattern: what a path or one of its aliases must match; see `fnmatch`.
        everything: also those of the standard library and of installed packages.
    """
    found: list[Listed] = []
    for module in _modules(everything):
        places: dict[int, list[Place]] = {}
        for place in survey(module):
            places.setdefault(id(place.function), []).append(place)
        for group in places.values():
            slices.between()
            each = _listed(group)
            if matches(pattern, each.path, each.aliases):
                found.append(each)
    return found


def _listed(places: list[Place]) -> Listed:
    function = places[0].function
    code = origin.of(function.__code__)
    own = first_of(places)
    aliases = tuple([each.path for each in places if each is not own])
    return Listed(
        own.path,
        aliases,
        own.kind,
        flavor_of(code),
        own.owner,
        code.co_filename,
        code.co_firstlineno,
        own.notes,
        weakref.ref(function),
    )
