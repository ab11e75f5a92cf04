"""Imports that others ask for: each in a thread of its own, for a module may take its time, or never come to an end."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from importlib import import_module
from typing import TypeVar

from recompyle.errors import NotRewritable
from recompyle.live.state import worker

__all__ = ["aside"]

AT_ONCE = 8

T = TypeVar("T")

_threads: list[threading.Thread] = []


def aside(module: str, ended: Callable[[BaseException | None], T]) -> "Future[T]":
    """Import a module. To be called by the worker only.

    Parameters:
        module: its name.
        ended: called by the worker when the import has ended, with what it has raised, or None.

    Returns:
        What that comes to.

    Raises:
        NotRewritable: too many are being imported already (slug ``limit``).
    """
    _threads[:] = [thread for thread in _threads if thread.is_alive()]
    if len(_threads) >= AT_ONCE:
        raise NotRewritable(f"{module} is not imported: {AT_ONCE} other imports have not ended yet", "limit")
    future: Future[T] = Future()

    def run() -> None:
        raised = None
        try:
            import_module(module)
        except BaseException as error:
            raised = error
        try:
            future.set_result(worker.submit(lambda: ended(raised)).result())
        except BaseException as error:
            future.set_exception(error)

    _threads.append(threading.Thread(target=run, name=f"recompyle live import {module}", daemon=True))
    _threads[-1].start()
    return future
