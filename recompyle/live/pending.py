"""Paths into modules that are not imported yet: what waits for them is done right after the import."""

import sys
from collections.abc import Callable
from types import ModuleType

from recompyle.patch.hook import Finder, part_of_import
from recompyle.patch.resolve import module_dict

__all__ = ["Waiting"]


class Waiting:
    """The modules that are waited for. While there are any, a finder is in ``sys.meta_path``.

    Parameters:
        arrived: called with the name of each such module when it has been imported, in the thread that did it.
    """

    def __init__(self, arrived: Callable[[str], None]):
        self._arrived = arrived
        self._modules: set[str] = set()
        self._finder = Finder(self._covers, self._follow)

    def add(self, module: str) -> None:
        """Wait for a module."""
        self._modules.add(module)
        if self._finder not in sys.meta_path:
            sys.meta_path.insert(0, self._finder)

    def remove(self, module: str) -> None:
        """Wait for it no more."""
        self._modules.discard(module)
        if not self._modules and self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)

    @part_of_import
    def _covers(self, name: str) -> bool:
        return name in self._modules

    def _follow(self, module: ModuleType) -> None:
        self._arrived(str(module_dict(module).get("__name__")))
