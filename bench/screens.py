"""Programs that draw on a terminal of their own."""

import atexit
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time

LIMIT = 60.0  # seconds: ends a hang
# The terminal becomes the controlling one, then the arguments run as those of Python would.
STARTER = """\
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


class Screen:
    """A process on a pseudo-terminal; what it writes to its standard output comes through a pipe.

    Args:
        arguments: of Python.
        size: columns and rows.
    """

    def __init__(self, *arguments: str, size: tuple[int, int] = (80, 24)):
        self._terminal, inside = pty.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        kept_out = {"NO_COLOR", "COLUMNS", "LINES"}
        environment = {name: value for name, value in os.environ.items() if name not in kept_out}
        self._process = subprocess.Popen(
            [sys.executable, "-c", STARTER, *arguments],
            stdin=inside,
            stdout=subprocess.PIPE,
            stderr=inside,
            env=environment | {"TERM": "xterm-256color", "PYTHONUTF8": "1"},
            start_new_session=True,
        )
        os.close(inside)
        atexit.register(self.end)
        assert self._process.stdout
        self._output = self._process.stdout.fileno()

    def read(self, seconds: float) -> tuple[bytes, bytes]:
        """Wait for output at most so long. Return what came on the terminal, and on the standard output.

        Raises:
            RuntimeError: it has ended.
        """
        got = {self._terminal: b"", self._output: b""}
        for ready in select.select(list(got), [], [], max(0, seconds))[0]:
            try:
                got[ready] = os.read(ready, 65536)
            except OSError:  # the other side was closed
                got[ready] = b""
            if not got[ready]:
                raise RuntimeError(f"the screen has ended: {self._process.wait()}")
        return got[self._terminal], got[self._output]

    def wait_for(self, text: bytes) -> None:
        """Read until a text has come on the terminal.

        Raises:
            TimeoutError: it never came.
        """
        end = time.monotonic() + LIMIT
        got = b""
        while text not in got:
            if time.monotonic() > end:
                raise TimeoutError(f"{text!r} never came: {got[-3000:]!r}")
            got += self.read(0.1)[0]

    def end(self) -> None:
        """End the process. Again: nothing."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
            os.close(self._terminal)
