"""What an application changes about process and terminal, put back whatever happens."""

import contextlib
import os
import signal
import sys
import termios
from collections.abc import Iterator
from typing import Any, TextIO, cast

from textual.drivers.linux_driver import LinuxDriver

__all__ = ["OnStandardError", "kept"]

# Those that Textual, asyncio and this package handle.
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGTSTP", "SIGCONT", "SIGWINCH", "SIGTTIN", "SIGTTOU")


class OnStandardError(LinuxDriver):
    """Draws on a terminal of which only the standard error is sure to be known: the standard output may be a pipe."""

    def _get_terminal_size(self) -> tuple[int, int]:
        try:
            width, height = os.get_terminal_size(self._file.fileno())
        except (OSError, ValueError):  # it has been closed meanwhile
            width = height = 0
        return (width, height) if width and height else super()._get_terminal_size()  # some know no size


class Lasting:
    """A stream to a terminal that may go away; what is written then is lost.

    Textual writes in a thread of its own. If an error ended that, nobody would empty its queue, and the application
    would wait for ever.
    """

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Puts signal handlers and the terminal's settings back at the end. Meanwhile the terminal may go away."""
    handlers = {number: signal.getsignal(number) for name in SIGNALS if (number := getattr(signal, name, None))}
    descriptor, settings = 0, None
    if sys.__stdin__ is not None:
        with contextlib.suppress(termios.error, OSError, ValueError):  # no terminal
            descriptor = sys.__stdin__.fileno()
            settings = termios.tcgetattr(descriptor)
    stream: Any = sys.__stderr__
    if stream is not None:
        sys.__stderr__ = cast(Any, Lasting(stream))  # type: ignore[misc]
    try:
        yield
    finally:
        sys.__stderr__ = stream  # type: ignore[misc]
        for number, handler in handlers.items():
            if handler is not None:  # None: set by C code, cannot be put back
                signal.signal(number, handler)
        if settings is not None:
            with contextlib.suppress(termios.error):  # it has been closed meanwhile
                termios.tcsetattr(descriptor, termios.TCSADRAIN, settings)
