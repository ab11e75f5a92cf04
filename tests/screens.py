"""Terminals to watch programs on."""

import asyncio
import contextlib
import fcntl
import os
import pty
import re
import select
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

from scripted import Scripted

from recompyle.live.session import Session

LIMIT = 60.0  # seconds after which a wait is given up: ends a hang, proves nothing


class Screen:
    """A session on Textual's own terminal for tests; the sampling is up to the test.

    Attributes:
        app, pilot, session, source: what they are.
    """

    def __init__(self, app, pilot, session):
        self.app, self.pilot, self.session, self.source = app, pilot, session, session.source
        self.now = 0.0

    async def press(self, *keys):
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def type(self, text):
        names = {"/": "slash", ".": "full_stop", ":": "colon", " ": "space", "_": "underscore", "-": "minus"}
        await self.press(*(names.get(each, each) for each in text))

    async def wheel(self, event):
        """Turn it over the table."""
        await self.pilot._post_mouse_events([event], offset=(5, 5))
        await self.pilot.pause()

    async def sample(self, seconds=1.0):
        """Let time pass, and the program be looked at."""
        self.now += seconds
        self.app.sample()
        self.app._sampling.pause()
        await self.pilot.pause()

    @property
    def lines(self):
        """What is shown, line by line, without trailing spaces."""
        strips = self.app.screen._compositor.render_strips()
        return ["".join(each.text for each in strip).rstrip() for strip in strips]

    @property
    def text(self):
        return "\n".join(self.lines)

    def line_of(self, text):
        """The line that holds a text."""
        return next(each for each in self.lines if text in each)


def on_screen(rows, test, size=(80, 24), work=None, ns=None):
    """Show rows and run a coroutine function with the `Screen`; for `ns` see `Scripted`."""
    from recompyle.live.tui.app import Live

    async def run():
        shown = None
        source = Scripted(rows)
        source.ns = ns
        session = Session(source, clock=lambda: shown.now if shown else 0.0)
        app = Live(session, work=work)
        async with app.run_test(size=size) as pilot:
            shown = Screen(app, pilot, session)
            app._sampling.pause()
            await pilot.pause()
            await test(shown)
        return shown

    return asyncio.run(run())


# -- terminals


def wait_for(condition, step=0.02):
    """The first true value of a condition."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(step)
    raise TimeoutError(f"never came: {condition}")


class Terminal:
    """A process on a pseudo-terminal of its own, which is its controlling one.

    Parameters:
        arguments: of Python.
        size: columns and rows.
        environment: changes to the environment; None takes a variable out.
        inherited: descriptors that it gets, too.

    Attributes:
        got: all bytes that it has written.
        before: the terminal's settings before it was started.
    """

    def __init__(self, *arguments, size=(80, 24), environment=(), inherited=()):
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.before = termios.tcgetattr(self.slave)
        self.got = b""
        changes = {"TERM": "xterm-256color", "PYTHONUTF8": "1", "NO_COLOR": None, "COLUMNS": None, "LINES": None}
        changes |= dict(environment)
        held = {**os.environ, **{name: value for name, value in changes.items() if value is not None}}
        for name in [name for name, value in changes.items() if value is None]:
            held.pop(name, None)
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", STARTER, *arguments],
            stdin=self.slave, stdout=self.slave, stderr=self.slave, env=held, start_new_session=True,
            pass_fds=inherited,
        )  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()
        for descriptor in (self.master, self.slave):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def read(self):
        """Take in what there is now."""
        while select.select([self.master], [], [], 0)[0]:
            try:
                self.got += os.read(self.master, 65536)
            except OSError:  # the other side was closed
                return

    def read_all(self):
        """Take in all that has been written: what is written here and now comes behind it.

        A pseudo-terminal hands on a little later what it was given.
        """
        self.read()
        end = b"<all read>"
        os.write(self.slave, end)

        def came():
            self.read()
            return self.got.endswith(end)

        wait_for(came)
        self.got = self.got.removesuffix(end)

    def wait_for(self, *texts, since=0):
        """Read until all of some texts have come."""

        def all_there():
            self.read()
            has_ended = self.process.poll() is not None
            if has_ended:
                self.read_all()
            found = all(each in self.got[since:] for each in texts)
            assert found or not has_ended, f"ended with {self.process.returncode}: {self.got[-3000:]!r}"
            return found

        wait_for(all_there)

    def type(self, keys):
        os.write(self.master, keys)

    def ended(self):
        """The exit code, once it has ended."""

        def over():
            self.read()
            return self.process.poll() is not None

        wait_for(over)
        self.read_all()
        return self.process.returncode

    @property
    def settings(self):
        return termios.tcgetattr(self.slave)


# The terminal becomes the controlling one, then the arguments run as those of Python would.
STARTER = """\
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-P", *sys.argv[1:]])
"""

DEMO = ("-m", "recompyle", "live", "demo", "--seed", "1")


class Tmux:
    """A tmux server of its own with one window, in which a command of Python runs.

    The server is nobody's child, and so it looks by itself whether this process is still there: one that was killed
    ends nothing. A shell tells on the screen how the command has ended: tmux itself now and then never learns it.

    Parameters:
        folder: for its socket.
        arguments: of Python.
        environment: changes to the environment.
    """

    found = shutil.which("tmux")

    def __init__(self, folder, *arguments, size=(80, 24), environment=()):
        self._socket = str(Path(folder) / "tmux")
        self._size = size
        self._command = [
            "env", "-u", "NO_COLOR", "-u", "COLUMNS", "-u", "LINES", "PYTHONUTF8=1",
            *(f"{name}={value}" for name, value in dict(environment).items()),
            "sh", "-c", '"$@"; echo "ended with $?"; read line', "sh", sys.executable, "-P", *arguments,
        ]  # fmt: skip

    def run(self, *arguments):
        # -f: nobody's settings; -u: UTF-8 whatever the locale is
        command = ["tmux", "-u", "-f", "/dev/null", "-S", self._socket, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def __enter__(self):
        width, height = map(str, self._size)
        both = f"kill -0 {os.getpid()} && kill -0 #{{pid}}"  # this process and the server
        kill = f"tmux -S {shlex.quote(self._socket)} kill-server"
        try:
            self.run("new-session", "-d", "-x", width, "-y", height, *self._command)
            self.run("run-shell", "-b", f"exec >/dev/null 2>&1; while {both}; do sleep 1; done; {kill}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        subprocess.run(["tmux", "-S", self._socket, "kill-server"], check=False, capture_output=True)

    def type(self, *keys):
        self.run("send-keys", *keys)

    def shown(self, escapes=False):
        """The screen's text; with escape sequences for its attributes if wanted."""
        return self.run("capture-pane", "-p", *(["-e"] if escapes else []))

    def wait_for(self, pattern):
        """The first match on the screen."""
        last = ""

        def found():
            nonlocal last
            last = self.shown()
            return re.search(pattern, last)

        try:
            return wait_for(found, step=0.1)
        except TimeoutError:
            raise AssertionError(f"{pattern!r} never came; last shown:\n{last}") from None
