"""What the screen of live costs: its process's share of a processor, bytes to the terminal, and time until it is there.

The shares are those of a table of 500 functions with numbers made up, so that nobody else's work is in them. At the
start the programs are real ones.
"""

import subprocess
import sys
import time
from collections.abc import Callable

import timing
from environment import BENCH
from tools import Tool

TITLE = "The screen, 500 functions"
TOOLS = ("recompyle",)
IDLE, SLOW, FAST, LARGE = "80x24, nothing changes", "80x24, 4 Hz", "80x24, 10 Hz", "200x60, 10 Hz"
SCREENS = {
    IDLE: ((80, 24), "4", "still"),
    SLOW: ((80, 24), "4", "changes"),
    FAST: ((80, 24), "10", "changes"),
    LARGE: ((200, 60), "10", "changes"),
}
LOAD, WRITTEN = "load", "written"
UNITS = {LOAD: "% of a core", WRITTEN: "bytes/s"}
ASKED = {f"{screen}: {what}": (screen, what) for what in UNITS for screen in SCREENS}
DEMO, ATTACH = "start of the demo", "attach to a busy main thread (3.14 and later)"
UNIT = {question: UNITS[what] for question, (_, what) in ASKED.items()} | {DEMO: "ms", ATTACH: "ms"}
QUESTIONS = tuple(UNIT)
LAUNCHES, ROUNDS = 3, 1
SECONDS = 5.0
HEADER = b"Qualified name"


def prepare(tool: Tool, question: str) -> Callable[[], dict[str, float]]:
    if sys.platform == "win32":
        raise NotImplementedError("there are no pseudo-terminals")

    from screens import Screen

    timing.use_all_processors()
    if question == DEMO:
        return lambda: {"value": started("demo", "--seed", "1")}
    if question == ATTACH:
        if sys.version_info < (3, 14):
            raise NotImplementedError("another process can be made to listen from 3.14 on")
        return attached

    name, what = ASKED[question]
    size, hz, changes = SCREENS[name]
    screen = Screen(str(BENCH / "shown.py"), hz, changes, size=size)
    screen.wait_for(HEADER)
    watched(screen, 2.0)  # the first frames take more

    def play_round() -> dict[str, float]:
        share, rate = watched(screen, SECONDS)
        return {"value": share if what == LOAD else rate}

    return play_round


def watched(screen, seconds: float) -> tuple[float, float]:
    """Return the share of a processor in percent, and bytes a second, over about so many seconds."""
    told, written = b"", 0
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        shown, said = screen.read(left)
        told += said
        if told:  # from the first look on
            written += len(shown)
    first, *_, last = [tuple(map(float, line.split())) for line in told.splitlines()]
    spent = last[0] - first[0]
    return 100 * (last[1] - first[1]) / spent, written / spent


def started(*command: str) -> float:
    """Milliseconds from the start of a command of live to its table."""
    from screens import Screen

    start = time.perf_counter_ns()
    screen = Screen("-m", "recompyle", "live", *command)
    try:
        screen.wait_for(HEADER)
        return (time.perf_counter_ns() - start) / 1e6
    finally:
        screen.end()


def attached() -> dict[str, float]:
    """The same of attach, to a new program."""
    busy = "print(flush=True)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", busy], stdout=subprocess.PIPE) as program:
        assert program.stdout
        program.stdout.readline()
        try:
            return {"value": started("attach", str(program.pid))}
        finally:
            program.kill()
