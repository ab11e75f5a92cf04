"""The terminal screen of a session, on Textual: the extra ``recompyle[tui]``.

`view` says what is shown, `canvas` draws it, `main` and `reader` are pages, `keys` names the keys, `app` runs it all.
"""

import errno
import sys
from collections.abc import Callable

from recompyle.live.session import Session
from recompyle.live.tui.app import Live
from recompyle.live.tui.terminal import kept

__all__ = ["run"]


def run(session: Session, *, work: Callable[[float], None] | None = None, duration: float | None = None) -> int:
    """Show a session on the terminal until the user quits. To be called in the main thread; ends the session.

    Parameters:
        session: the session.
        work: runs the watched program for so many seconds in this thread; it is called again and again, for a few
            milliseconds each. None: the program runs elsewhere.
        duration: seconds until it ends by itself; None: never.

    Returns:
        The exit code: 0, or 128 and the number of the signal that ended it.

    Raises:
        OSError: the standard input or the standard error, on which it is drawn, is no terminal. Nothing has happened.
        BaseException: what ``work`` raised.
    """
    if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr)):
        raise OSError(errno.ENOTTY, "the screen needs a terminal as standard input and standard error")
    app = Live(session, work=work, duration=duration)
    answer = None
    try:
        with kept():
            answer = app.run()
    finally:
        session.close(keep=answer == "detach")
    if app.failed is not None:
        raise app.failed
    return app.return_code or 0
