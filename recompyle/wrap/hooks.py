"""Clean tracebacks, by hand and where uncaught exceptions are printed."""

import sys
import threading
from types import MethodType
from typing import Any, TypeVar

from recompyle.wrap import tracebacks

__all__ = ["ExceptHook", "clean_traceback", "install_excepthook"]

Raised = TypeVar("Raised", bound=BaseException)


def clean_traceback(exception: Raised) -> Raised:
    """Take the frames of wrappers out of an exception's traceback.

    A wrapper's frame is one that a call wrapped by `rewrite_wrap_calls` has begun. The frames below it, of what the
    wrapper called, stay. Causes, contexts and the exceptions of groups are cleaned too.

    Parameters:
        exception: the exception; changed in place.

    Returns:
        The same exception, for ``raise clean_traceback(error)``.
    """
    tracebacks.clean(exception)
    return exception


class ExceptHook:
    """A handle on installed hooks; a context manager that takes them out.

    Attributes:
        active: whether exceptions are still cleaned.
    """

    def __init__(self) -> None:
        self.active = True
        self._sys_before, self._threading_before = sys.excepthook, threading.excepthook
        sys.excepthook, threading.excepthook = self._uncaught, self._uncaught_in_thread

    def _uncaught(self, kind: Any, value: Any, traceback: Any) -> None:
        if self.active and value is not None:
            is_own = traceback is value.__traceback__
            tracebacks.clean(value)
            traceback = value.__traceback__ if is_own else traceback
        self._sys_before(kind, value, traceback)

    def _uncaught_in_thread(self, args: Any, /) -> None:
        if self.active and args.exc_value is not None:
            tracebacks.clean(args.exc_value)
            fields = args.exc_type, args.exc_value, args.exc_value.__traceback__, args.thread
            args = threading.ExceptHookArgs(fields)
        self._threading_before(args)

    def restore(self) -> None:
        """Put the hooks back that were there before; doing it again does nothing.

        Where somebody else has put in a hook since, ours stays under it and hands on what it gets.
        """
        self.active = False
        while (hook := _undone(sys.excepthook)) is not None:
            sys.excepthook = hook._sys_before
        while (hook := _undone(threading.excepthook)) is not None:
            threading.excepthook = hook._threading_before

    def __enter__(self) -> "ExceptHook":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.restore()


def _undone(hook: object) -> ExceptHook | None:
    """The handle of a hook that is in place and of no use any more, since others came above it and are gone."""
    handle = hook.__self__ if type(hook) is MethodType else None
    return handle if type(handle) is ExceptHook and not handle.active else None


def install_excepthook() -> ExceptHook:
    """Take the frames of wrappers out of the tracebacks of exceptions that nobody catches, before they are printed.

    It stands in front of `sys.excepthook` and `threading.excepthook`, which are called afterwards as ever. What it
    takes out, `clean_traceback` says.

    Returns:
        An `ExceptHook`; its ``restore()`` undoes it.
    """
    return ExceptHook()
