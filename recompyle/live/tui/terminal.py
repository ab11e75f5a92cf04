"""What an application changes about process and terminal, put back whatever happens."""

import contextlib
import signal
import sys
import termios
from collections.abc import Iterator

__all__ = ["kept"]

# Those that Textual, asyncio and this package handle.
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGTSTP", "SIGCONT", "SIGWINCH", "SIGTTIN", "SIGTTOU")


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Puts signal handlers and the terminal's settings back at the end."""
    handlers = {number: signal.getsignal(number) for name in SIGNALS if (number := getattr(signal, name, None))}
    try:
        settings = termios.tcgetattr(sys.__stdin__.fileno()) if sys.__stdin__ else None
    except (termios.error, OSError, ValueError):  # no terminal
        settings = None
    try:
        yield
    finally:
        for number, handler in handlers.items():
            if handler is not None:  # None: set by C code, cannot be put back
                signal.signal(number, handler)
        if settings is not None:
            with contextlib.suppress(termios.error):  # it has been closed meanwhile
                termios.tcsetattr(sys.__stdin__.fileno(), termios.TCSADRAIN, settings)
