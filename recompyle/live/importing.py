"""Imports that others ask for: each in a thread of its own, for a module may take its time, or never come to an end."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from recompyle.errors import NotRewritable
from recompyle.live.state import worker

__all__ = ["aside"]

AT_ONCE = 8

T = TypeVar("T")

_threads: list[threading.Thread] = []


def aside(name: str, work: Callable[[], Any], ended: Callable[[BaseException | None], T]) -> "Future[T]":
    """Import something. To be called by the worker only.

    Parameters:
        name: of what is imported.
        work: does it.
        ended: called by the worker when the import has ended, with what it has raised, or None.

    Returns:
        What that comes to.

    Raises:
        NotRewritable: too many are being imported already (slug ``limit``).
    """
    _threads[:] = [thread for thread in _threads if thread.is_alive()]
    if len(_threads) >= AT_ONCE:
        raise NotRewritable(f"{name} is not imported: {AT_ONCE} other imports have not ended yet", "limit")
    future: Future[T] = Future()

    def run() -> None:
        raised = None
        try:
            work()
        except BaseException as error:
            raised = error
        try:
            future.set_result(worker.submit(lambda: ended(raised)).result())
        except BaseException as error:
            future.set_exception(error)

    _threads.append(threading.Thread(target=run, name=f"recompyle live import {name}", daemon=True))
    _threads[-1].start()
    return future
