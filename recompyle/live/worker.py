"""One thread that does what terminals and sockets ask for, in order."""

import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

__all__ = ["Worker"]

T = TypeVar("T")


class Worker:
    """Runs calls one after another in a daemon thread, which is started by the first one."""

    def __init__(self) -> None:
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        # A child has no such thread. What its parent still had to do is none of its business.
        self._queue: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._start = threading.Lock()

    def submit(self, work: Callable[[], T]) -> "Future[T]":
        """Have something done.

        Parameters:
            work: called without arguments in the worker's thread.

        Returns:
            Its result to be. Callbacks of the future run in the worker's thread.
        """
        future: Future[T] = Future()
        with self._start:
            if self._thread is None:
                pending = (self._queue,)
                self._thread = threading.Thread(target=self._run, args=pending, name="recompyle live", daemon=True)
                self._thread.start()
        self._queue.put((future, work))
        return future

    @staticmethod
    def _run(pending: "queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]]") -> None:
        while True:
            future, work = pending.get()
            if future.set_running_or_notify_cancel():
                try:
                    result = work()
                except BaseException as error:
                    future.set_exception(error)
                else:
                    future.set_result(result)
            del future, work  # nothing is kept while it waits
