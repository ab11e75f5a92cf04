"""A program to try live instrumentation on: it and the table of its functions in one process.

Three threads: the main one runs the program's loop and writes the table, one reads lines, and the worker instruments.
"""

import importlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TextIO

from recompyle.errors import Unreachable
from recompyle.live import counter, plain
from recompyle.live.cost import CAP
from recompyle.live.resolve import accept
from recompyle.live.session import Session
from recompyle.live.source import Local

__all__ = ["Options", "load", "run", "show", "split"]

APP = "instrumenting_app"


@dataclass(frozen=True, slots=True)
class Options:
    """How the demo runs.

    Attributes:
        seed: of the program's choices; None: another one each time.
        sleep: seconds that the program sleeps after each call.
        duration: seconds until it ends; None: never.
        hz: samples a second.
        once: write one table at the end, no other; after a second if there is no duration.
        as_json: JSON, not tables.
        everything: show functions of the standard library and of installed packages, too.
        allow_import: import the modules of paths if need be.
        cap: the part of one core that probes may take where the program is a process of its own; None: any.
    """

    seed: int | None = None
    sleep: float = 0.001
    duration: float | None = None
    hz: int = 4
    once: bool = False
    as_json: bool = False
    everything: bool = False
    allow_import: bool = False
    cap: float | None = CAP


def program(options: Options) -> Callable[[float], None]:
    """Import the program.

    Returns:
        What runs it for so many seconds.
    """
    folder = os.path.dirname(os.path.abspath(__file__))
    if folder not in sys.path:
        sys.path.insert(0, folder)
    accept(f"{__name__}.{APP}", APP)
    registry = importlib.import_module(f"{APP}.registry")
    for path, _ in registry.REGISTRY:
        counter(path, registry.reader(path))
    run_for: Callable[[float], None] = importlib.import_module(f"{APP}.loop").Loop(options.seed, options.sleep).run
    return run_for


def load(options: Options) -> tuple[Session, Callable[[float], None]]:
    """Import the program and begin to watch it.

    Returns:
        A session, and what runs the program for so many seconds.
    """
    work = program(options)
    return Session(Local(options.everything, options.allow_import), hz=options.hz), work


def run(options: Options, lines: TextIO | None = None, out: TextIO | None = None) -> int:
    """Run the program, write tables, and carry out the lines that are read meanwhile.

    Parameters:
        options: how.
        lines: see `Session.command`; None: the standard input. Its end does not end the program.
        out: None: the standard output.

    Returns:
        The exit code.
    """
    session, work = load(options)
    return show(session, options, lines, out, work)


def show(
    session: Session,
    options: Options,
    lines: TextIO | None = None,
    out: TextIO | None = None,
    work: Callable[[float], object] = time.sleep,
) -> int:
    """As `run`, of a session that has begun; it is closed at the end."""
    read: Iterable[str] = lines or sys.stdin or ()
    try:
        plain.run(
            session, out, as_json=options.as_json, once=options.once, duration=options.duration, lines=read, work=work
        )
        return 0 if session.gone is None else 3
    finally:
        session.close()


def split(options: Options) -> tuple[Session, Callable[[], None]]:
    """Run the program in a process of its own, which ends when this one does.

    Returns:
        A session, and what ends the process.

    Raises:
        Unreachable: it does not start; what it has to say of that is on the standard error.
    """
    from recompyle.live.client import connect
    from recompyle.live.remote import watch

    given = (options.seed, options.sleep, options.allow_import, options.cap)
    command = [sys.executable, "-m", __name__, *map(repr, given)]
    try:
        # In a group of its own: Ctrl-C at the terminal is for this process, with which it ends.
        pipe = subprocess.PIPE
        app = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, process_group=0)
    except OSError as error:
        raise Unreachable(f"the program of the demo cannot be started: {sys.executable}: {error.strerror}") from None
    assert app.stdin is not None and app.stdout is not None

    def end() -> None:
        with app:
            app.kill()

    try:
        path = app.stdout.readline().strip()
        if not path:
            raise Unreachable(f"the program of the demo has ended at once, with code {app.wait()}: see above")
        return watch(connect(path=path), everything=options.everything, hz=options.hz), end
    except BaseException:
        end()
        raise
