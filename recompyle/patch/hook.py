"""The import hook: rewrites the functions of chosen packages, those imported already and those to come.

A module is found, loaded and run as ever, by whoever does that; afterwards its functions are rewritten in
place. So what runs during the import is what the file says, bytecode caches serve as before, other hooks keep
their say, and nothing of this one can be seen in the module: its spec and its loader are the real ones again
before its first line runs.

While the module runs no frame of this hook is on the stack. The few functions that run before and after carry the
file name of the import system's own, so debuggers treat them like it. Rewriting itself is not traced.
"""

import contextlib
import importlib
import logging
import sys
import tokenize  # noqa: F401  reading source must import nothing: another thread may be importing it just now
from collections.abc import Callable, Iterable
from importlib.machinery import BuiltinImporter, ExtensionFileLoader, ModuleSpec
from importlib.util import LazyLoader
from types import FunctionType, ModuleType
from typing import Any, TypeVar

from recompyle import _env
from recompyle.errors import RecompyleError
from recompyle.patch import registry
from recompyle.patch.quiet import in_turn, untraced
from recompyle.patch.registry import Patch
from recompyle.patch.resolve import DOTTED, module_dict
from recompyle.patch.targets import functions_in
from recompyle.rewrite import cache
from recompyle.rewrite.order import in_order

__all__ = ["Finder", "Installation", "install", "part_of_import"]

F = TypeVar("F", bound=Callable[..., Any])

IMPORT_SYSTEM = "<frozen importlib._bootstrap>"
GENERATED = "<string>"  # where `exec` has no name of a file: dataclasses, named tuples

_log = logging.getLogger("recompyle")


def part_of_import(function: F) -> F:
    """Let a function look like one of the import system."""
    function.__code__ = function.__code__.replace(co_filename=IMPORT_SYSTEM)  # type: ignore[attr-defined]
    return function


class Installation:
    """A handle on what one `install` does; a context manager that undoes it.

    Attributes:
        packages: the names it was made with.
        passes: the passes it was made with.
        failed: modules of which nothing could be rewritten, or whose import had not ended: name to reason.
    """

    def __init__(self, packages: tuple[str, ...], passes: tuple[Any, ...], cached: bool):
        self.packages = packages
        self.passes = passes
        self.failed: dict[str, str] = {}
        self._cached = cached
        self._patches: list[Patch] = []
        self._finder = Finder(self._covers, self._rewrite)
        self._prefixes = tuple(f"{name}." for name in packages)

    @property
    def active(self) -> bool:
        """Whether it is in place."""
        return self._finder in sys.meta_path

    @property
    def functions(self) -> list[FunctionType]:
        """The functions rewritten so far, as far as they still live."""
        return [function for patch in list(self._patches) for function in patch.functions]

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """Functions that could not be rewritten: pairs of name and reason."""
        return [pair for patch in list(self._patches) for pair in patch.skipped]

    def uninstall(self) -> None:
        """Let imports be as they were, and take the probes off all functions. Doing it again does nothing.

        Raises:
            RecompyleError: a function could not be given its code back; the others have it.
        """
        with contextlib.suppress(ValueError):
            sys.meta_path.remove(self._finder)
        with registry.locked():
            errors = []
            for patch in self._patches:
                try:
                    patch.restore()
                except RecompyleError as error:
                    errors.append(error)
        if errors:
            raise errors[0]

    def __enter__(self) -> "Installation":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.uninstall()

    def __repr__(self) -> str:
        state = "active" if self.active else "uninstalled"
        count = len(self.functions)
        return f"<Installation {state}: {', '.join(self.packages)}; {count} function{'s' * (count != 1)}>"

    def update(self) -> None:
        """Rewrite what the packages' modules have come to define since they were rewritten.

        Needed only if a module makes functions after its import, or if `install` was called while the module was
        being imported by the very thread.
        """
        for name, module in list(sys.modules.items()):
            if self._covers(name) and issubclass(type(module), ModuleType):
                if _is_importing(module):
                    with contextlib.suppress(ImportError):
                        importlib.import_module(name)  # waits for the thread that imports it
                self._rewrite(module)
                if _is_importing(module):
                    self.failed[name] = "its import has not ended: call update() when it has"

    @part_of_import
    def _covers(self, name: str) -> bool:
        return f"{name}.".startswith(self._prefixes)

    def _rewrite(self, module: ModuleType) -> None:
        """Rewrite what a module defines now; what fails is noted and logged, and stops nobody."""
        name = str(module_dict(module).get("__name__"))
        new: list[FunctionType] = []
        try:
            with registry.locked():
                if not self.active:
                    return
                found = functions_in(module)
                mine = set(self._patches)
                new += [each for each in found.functions if mine.isdisjoint(registry.patches_on(each))]
                if new:
                    patch = Patch(self.passes)
                    self._patches.append(patch)
                    with cache.keeping() if self._cached else contextlib.nullcontext():
                        registry.put_on(patch, found._replace(functions=new))
                self.failed.pop(name, None)
        except Exception as error:
            self.failed[name] = f"{type(error).__name__}: {error}"
            generated = isinstance(error, RecompyleError) and all(f.__code__.co_filename == GENERATED for f in new)
            _log.log(logging.DEBUG if generated else logging.WARNING, "%s is not rewritten: %s", name, error)


def _is_importing(module: ModuleType) -> bool:
    return bool(getattr(module_dict(module).get("__spec__"), "_initializing", False))


class Finder:
    """Finds what the finders behind it find, and has the loader followed by work of somebody's own.

    Parameters:
        covers: from the name of a module to whether it is to be followed; see `part_of_import`.
        follow: called with each such module when it has run, in the thread that imports it and untraced. What it raises
            is raised by the import.
    """

    def __init__(self, covers: Callable[[str], bool], follow: Callable[[ModuleType], None]):
        self._covers = covers
        self._follow = follow

    @part_of_import
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if not self._covers(name):
            return None
        finders = list(sys.meta_path)  # a copy, as other threads may change it
        try:  # noqa: SIM105  contextlib's frames would be seen by tracers
            del finders[: finders.index(self) + 1]
        except ValueError:
            # Taken out in the midst of a search: whoever searches would pass over the next finder. So all are asked.
            pass
        for finder in finders:
            find_spec = getattr(finder, "find_spec", None)
            spec = None if find_spec is None else find_spec(name, path, target)
            if spec is not None:
                if _is_followed(spec.loader):
                    spec.loader = _Loader(spec.loader, self._follow)
                return spec
        return None

    def invalidate_caches(self) -> None:
        """Nothing is cached here."""


@part_of_import
def _is_followed(loader: object) -> bool:
    """Whether a loader runs Python code of the module (a namespace package has none, and no loader yet)."""
    if loader is None or loader is BuiltinImporter or isinstance(loader, ExtensionFileLoader):
        return False
    return hasattr(loader, "exec_module")


class _Loader:
    """Stands before a module's loader until the module runs, and looks like it."""

    @part_of_import
    def __init__(self, loader: Any, follow: Callable[[ModuleType], None]):
        self._loader = loader
        self._work = follow
        self.exec_module = in_turn(self._step_back, loader.exec_module, self._follow)

    @property  # type: ignore[misc]
    @part_of_import
    def __class__(self) -> type:  # type: ignore[override]
        return type(self._loader)

    @part_of_import
    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    @part_of_import
    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        create = getattr(self._loader, "create_module", None)
        return None if create is None else create(spec)

    @part_of_import
    def _step_back(self, module: ModuleType) -> None:
        """Let the module see its real loader only."""
        namespace = module_dict(module)
        spec = namespace.get("__spec__")
        if spec is not None and spec.loader is self:
            spec.loader = self._loader
        if namespace.get("__loader__") is self:
            namespace["__loader__"] = self._loader

    @part_of_import
    def _follow(self, module: ModuleType) -> None:
        if isinstance(self._loader, LazyLoader):
            spec = module_dict(module)["__spec__"]
            spec.loader = _Loader(spec.loader, self._work)  # runs when the module is first used
        else:
            untraced(self._work, module)


def install(packages: str | Iterable[str], *passes: Any, cached: bool = True) -> Installation:
    """Rewrite all functions of some packages, now and whenever one of their modules is imported.

    Parameters:
        packages: names of packages or modules; each stands for its submodules too.
        passes: what to put in; see `recompyle.Pass` and `recompyle.inject.Edit`.
        cached: keep what was made of each file on disk, so that the next process starts faster; see
            ``RECOMPYLE_CACHE_DIR``.

    Returns:
        An `Installation`. It stays in place whether it is kept or not. With ``RECOMPYLE=0`` in the environment
        nothing is done.

    Raises:
        ValueError: no package, no pass, or not a name of a package.
        TypeError: something that is no pass.
        PassError: passes that contradict each other, or of a level that there is not.
    """
    names = (packages,) if isinstance(packages, str) else tuple(packages)
    if not names or not passes:
        raise ValueError("install() needs at least one package and one pass")
    for name in names:
        if not isinstance(name, str) or not DOTTED.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a package such as 'app' or 'app.orders'")
        if name.partition(".")[0] == "recompyle":
            raise ValueError("recompyle does not rewrite itself")
    in_order(passes)
    installation = Installation(names, passes, cached)
    if not _env.disabled():
        sys.meta_path.insert(0, installation._finder)
        installation.update()
    return installation
