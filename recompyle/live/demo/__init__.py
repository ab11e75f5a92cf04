"""A program to try live instrumentation on: it and the table of its functions in one process.

Three threads: the main one runs the program's loop and writes the table, one reads lines, and the worker instruments.
"""

import importlib
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

from recompyle.live import counter
from recompyle.live.plain import PERIOD, Writer
from recompyle.live.resolve import accept
from recompyle.live.session import Session
from recompyle.live.source import Local

__all__ = ["Options", "load", "run"]

APP = "instrumenting_app"
SLICE = 0.02  # seconds that the program runs between two looks at what was typed


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
    """

    seed: int | None = None
    sleep: float = 0.001
    duration: float | None = None
    hz: int = 4
    once: bool = False
    as_json: bool = False


def load(options: Options) -> tuple[Session, Callable[[float], None]]:
    """Import the program and begin to watch it.

    Returns:
        A session, and what runs the program for so many seconds.
    """
    folder = os.path.dirname(os.path.abspath(__file__))
    if folder not in sys.path:
        sys.path.insert(0, folder)
    accept(f"{__name__}.{APP}", APP)
    registry = importlib.import_module(f"{APP}.registry")
    for path, _ in registry.REGISTRY:
        counter(path, registry.reader(path))
    loop = importlib.import_module(f"{APP}.loop").Loop(options.seed, options.sleep)
    return Session(Local(), hz=options.hz), loop.run


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
    writer = Writer(session, out or sys.stdout, options.as_json)
    typed: queue.SimpleQueue[str] = queue.SimpleQueue()
    reader = threading.Thread(target=_read, args=(lines or sys.stdin, typed), name="recompyle live input", daemon=True)
    reader.start()
    duration = options.duration if options.duration is not None else 1.0 if options.once else float("inf")
    end = time.monotonic() + duration
    sample = table = float("-inf")
    try:
        while (now := time.monotonic()) < end:
            if now - sample >= 1 / session.hz:
                session.refresh()
                sample = now
            if not options.once and now - table >= PERIOD:
                writer.table()
                table = now
            work(min(SLICE, end - now))
            while not typed.empty():
                asked = session.command(typed.get())
                if asked == "quit":
                    return 0
                if asked == "list":
                    session.refresh()
                    writer.table(whole=True)
            session.answers()
            writer.messages()
        session.refresh()
        writer.messages()
        writer.table(whole=options.once)
        return 0
    finally:
        session.close()


def _read(lines: TextIO | None, typed: "queue.SimpleQueue[str]") -> None:
    if lines is not None:
        for line in lines:
            typed.put(line.strip())
