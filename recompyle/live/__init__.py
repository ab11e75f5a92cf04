"""Watch and instrument a program while it runs.

A function is named by its path. From its next call on its calls are counted, or a hook is called. The function object
stays: its code object is exchanged, so every reference taken earlier is covered, and undoing it puts the very code
object back. What runs already ends in the code it began with.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from recompyle._later import later
from recompyle.live import source as _source
from recompyle.live.handle import Handle
from recompyle.live.hooks import instrumentation_hook
from recompyle.live.record import Row
from recompyle.live.resolve import Target
from recompyle.live.resolve import resolve as _resolve
from recompyle.live.state import registry as _registry

if TYPE_CHECKING:
    from recompyle.live.agent import Agent, listen
    from recompyle.live.attaching import attach
    from recompyle.live.client import Client, connect
else:  # what reaches other processes is imported when it is wanted
    __getattr__, __dir__ = later(
        __name__, {"agent": ("Agent", "listen"), "client": ("Client", "connect"), "attaching": ("attach",)}
    )

__all__ = [
    "Agent",
    "Client",
    "Handle",
    "Row",
    "Target",
    "attach",
    "connect",
    "counter",
    "instrument",
    "instrumentation_hook",
    "list",
    "listen",
    "resolve",
    "restore",
    "restore_all",
    "set_hook",
]


def instrument(
    path: str,
    hook: Callable[[str], Any] | None = None,
    *,
    mode: str | None = None,
    layer: int | None = None,
    created: bool = False,
    live: bool = False,
    allow_import: bool = False,
    engine: str = "code",
) -> Handle:
    """Count the calls of a function from now on, or have a hook called.

    Doing it again changes nothing but the mode or the hook, in one step; counts go on. May be called from any thread.

    Parameters:
        path: ``"package.module:name"``, ``"package.module:Class.method"``, ``"package.module:Class.prop.setter"``,
            ``"package.module:outer.<locals>.inner"``. If the module is not imported, it is done right after its import.
        hook: called as ``hook(path)`` at each entry. What it raises does not reach the program, unless it is no
            Exception; after 10 Exceptions in a row it is called no more.
        mode: ``"counter"`` or ``"hook"``; None: the latter if there is a hook. In hook mode without a hook, that of
            `set_hook` is called.
        layer: which function of a chain of decorators; see `resolve`.
        created: of generator and coroutine functions count the objects made, whether they are started or not.
        live: of a closure also those made before now: searches all objects, some 10 ms per million.
        allow_import: import the module if need be; have a lazy import (3.15) happen.
        engine: ``"code"``, or from 3.12 ``"monitoring"``: events of `sys.monitoring` instead of rewritten code. They
            cover all functions that share the code, and need one of the tool ids 3 and 4.

    Returns:
        A `Handle`; as a context manager it restores the function.

    Raises:
        TypeError, ValueError: not a path, not a hook, not a mode.
        TargetNotFound: the path leads nowhere.
        RecompyleError: there is no Python function behind it, or it cannot be instrumented.
    """
    if hook is instrumentation_hook:  # what the guard does by itself
        hook, mode = None, mode or "hook"
    record = _registry.instrument(
        path, hook, mode=mode, layer=layer, created=created, live=live, allow_import=allow_import, engine=engine
    )
    return Handle(_registry, record)


def restore(path: str) -> Handle | None:
    """Give a function its own code object back, or cancel what waits for its module; doing it again does nothing.

    Parameters:
        path: any of its paths.

    Returns:
        Its `Handle`; None if nobody ever asked for it.

    Raises:
        RecompyleError: an audit hook forbade it.
    """
    record = _registry.find(path)
    if record is None:
        return None
    _registry.restore(record)
    return Handle(_registry, record)


def restore_all() -> None:
    """Restore every function that was instrumented here.

    Raises:
        RecompyleError: an audit hook forbade one; the others are restored.
    """
    _registry.restore_all()


def resolve(path: str, layer: int | None = None) -> Target:
    """Find what a path leads to; nothing is instrumented, imported or run.

    Parameters:
        path: as for `instrument`.
        layer: of a chain of decorators that use `functools.wraps`: which function, 0 the outermost, -1 the innermost.
            None: the innermost one of that name in the same file.

    Raises:
        TypeError, ValueError: not a path.
        TargetNotFound: it leads nowhere.
        NotRewritable: there is no Python function behind it.
        LookupError: the module is not imported.
    """
    return _resolve(path, layer)


def list(pattern: str = "*", *, everything: bool = False) -> "Iterable[Row]":
    """The functions that can be instrumented, and those that are.

    Parameters:
        pattern: what a path must match, such as ``"app.*"`` or ``"*:Service.*"``.
        everything: also functions of the standard library and of installed packages.

    Returns:
        A list of rows: plain data.
    """
    return _source.Local(everything).rows(pattern)


def set_hook(hook: Callable[[str], Any] | None) -> None:
    """Set what hook mode calls for functions without a hook of their own; None: only count.

    Raises:
        TypeError: not callable.
    """
    _registry.set_hook(None if hook is instrumentation_hook else hook)


def counter(path: str, read: Callable[[], int] | None) -> None:
    """Tell where the program counts the calls of a function by itself.

    Parameters:
        path: the function's canonical path.
        read: gives the number of calls; called whenever it is shown. None: there is no such counter any more.

    Raises:
        TypeError: not callable.
    """
    _registry.counter(path, read)
