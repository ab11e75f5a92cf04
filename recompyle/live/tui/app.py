"""The application: time, signals, and the watched program's own loop, if it runs in this process."""

import asyncio
import os
import select
import signal
import sys
from collections.abc import Callable, Sequence
from typing import ClassVar, TextIO

from textual.app import App
from textual.binding import BindingType
from textual.filter import LineFilter
from textual.message import Message
from textual.screen import Screen
from textual.timer import Timer

from recompyle.live.session import Session
from recompyle.live.table import is_unicode
from recompyle.live.tui.canvas import Colourless
from recompyle.live.tui.keys import EVERYWHERE
from recompyle.live.tui.main import Main
from recompyle.live.tui.page import Page
from recompyle.live.tui.terminal import OnStandardError

__all__ = ["Live"]

SLICE = 0.004  # seconds that the program runs at a time
TURNS = 8  # of the event loop between two slices: one key takes several to reach the screen
ENDING = (signal.SIGINT, signal.SIGTERM, *((signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()))


class Answered(Message):
    """The session's source has answered."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, Answered)


class Live(App[str]):
    """Shows a session until it is quit.

    Parameters:
        session: the session.
        work: runs the watched program for so many seconds, in slices; None: it runs elsewhere.
        duration: seconds until it ends by itself.

    Attributes:
        failed: what the watched program raised.
    """

    BINDINGS: ClassVar[list[BindingType]] = list(EVERYWHERE)
    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False
    CSS = "Screen { background: ansi_default; color: ansi_default; }"

    def __init__(
        self, session: Session, *, work: Callable[[float], None] | None = None, duration: float | None = None
    ):
        self.session = session
        self.failed: BaseException | None = None
        self._program_runs = work
        self._duration = duration
        self._program: asyncio.Task[None] | None = None
        self._sampling: Timer | None = None
        self._hz = 0
        # An empty value means unset; Textual sees it otherwise.
        self._filters_used: list[LineFilter] = [Colourless()] if os.environ.get("NO_COLOR") else []
        super().__init__(driver_class=OnStandardError, ansi_color=True)
        self.animation_level = "none"
        self._main = Main(session, is_unicode(getattr(sys.__stderr__, "encoding", None)))

    def get_line_filters(self) -> Sequence[LineFilter]:
        return self._filters_used

    def get_default_screen(self) -> Screen[None]:
        return self._main

    async def on_mount(self) -> None:
        self.session.wake = lambda: self.post_message(Answered())
        self.app_resume_signal.subscribe(self, lambda _: self.action_redraw())  # the terminal was the shell's meanwhile
        loop = asyncio.get_running_loop()
        for each in ENDING:
            loop.add_signal_handler(each, self._end_by, each)
        if self._duration is not None:
            self.set_timer(self._duration, self.exit)
        if self._program_runs is not None:
            self._program = loop.create_task(self._run_program(self._program_runs))
        self.sample()

    def on_unmount(self) -> None:
        self.session.wake = lambda: None
        if self._program is not None:
            self._program.cancel()

    # -- time

    def sample(self) -> None:
        """Take a sample and show it, unless the terminal still has the last one to show."""
        if self._hz != self.session.hz:
            self._hz = self.session.hz
            if self._sampling is not None:
                self._sampling.stop()
            self._sampling = self.set_interval(1 / self._hz, self.sample)
        if (self.is_headless or _takes_more(sys.__stderr__)) and self.session.refresh():
            self._draw()

    def on_answered(self) -> None:
        self.session.answers()
        self._draw()

    def _draw(self) -> None:
        if isinstance(self.screen, Page):
            self.screen.draw()

    async def _run_program(self, run: Callable[[float], None]) -> None:
        try:
            while True:
                for _ in range(TURNS):
                    await asyncio.sleep(0)
                run(SLICE)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self.failed = error
            self.exit(return_code=1)

    # -- ways out

    def _end_by(self, number: int) -> None:
        self.exit(return_code=128 + number)

    def action_leave(self) -> None:
        self.exit()

    def action_redraw(self) -> None:
        self.screen.refresh()


def _takes_more(terminal: TextIO | None) -> bool:
    """Whether a terminal accepts output at once."""
    return terminal is not None and bool(select.select([], [terminal], [], 0)[1])
