"""What it costs a program to be looked into: the agent at rest, and each kind of question that a client asks."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import timing
from environment import BENCH
from tools import Tool

TITLE = "A program that listens, and its client"
TOOLS = ("recompyle",)
MEMORY, WAKES = "the agent's memory", "it wakes without a client, in 2 s"
PAGE, STATS = "a look at 500 counters, for the program", "the same asked for by stats"
LIST, BUSY, IDLE = "list of 10,000 functions", "meanwhile, longest gap of a busy thread", "and without it"
ASIDE = "longest gap, collector aside"
SESSIONS, LEFT = "1,000 sessions, memory", "1,000 sessions, descriptors and threads"
UNIT = {
    MEMORY: "bytes", WAKES: "times", PAGE: "us", STATS: "us", LIST: "ms", BUSY: "ms", ASIDE: "ms", IDLE: "ms",
    SESSIONS: "bytes", LEFT: "more",
}  # fmt: skip
QUESTIONS = tuple(UNIT)
LAUNCHES, ROUNDS = 3, 3
FUNCTIONS, COUNTERS = 10_000, 500
REQUESTS, LOOKS, LOOKS_HZ = 100, 20, 10
WAKES_SECONDS = 2.0
WARMING, SESSION_COUNT = 200, 1000


class Watched:
    """The program of `watched.py`; it ends with this process.

    Attributes:
        facts: what it has told of itself.
    """

    def __init__(self, functions: int, instrumented: int):
        command = [sys.executable, BENCH / "watched.py", str(functions), str(instrumented)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self._process.pid
        self.facts = json.loads(self._line())

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline()

    def told(self, what: str) -> int:
        """Its answer to a word."""
        assert self._process.stdin
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
        return int(self._line())

    def settled(self, what: str) -> int:
        """The least of its answers within half a second: it may still be busy with the end of the last session."""
        answers = []
        for _ in range(10):
            time.sleep(0.05)
            answers.append(self.told(what))
        return min(answers)

    def wakes(self) -> int:
        """How often its agent's thread has waited so far."""
        status = Path(f"/proc/{self.pid}/task/{self.facts['agent']}/status").read_text()
        return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


def prepare(tool: Tool, question: str) -> Callable[[], dict[str, float]]:
    if sys.platform != "linux":
        raise NotImplementedError("reads /proc")

    from recompyle import live
    from recompyle.live.remote import watch

    timing.use_all_processors()
    counts = question in (PAGE, STATS)
    program = Watched(COUNTERS if counts else FUNCTIONS, COUNTERS if counts else 0)

    def connect() -> live.Client:
        return live.connect(path=program.facts["socket"])

    if question == MEMORY:
        return lambda: {"value": program.facts["memory"]}
    if question == WAKES:
        connect().close()

        def wakes() -> dict[str, float]:
            before = program.wakes()
            time.sleep(WAKES_SECONDS)
            return {"value": program.wakes() - before}

        return wakes
    if question in (SESSIONS, LEFT):
        what = "memory" if question == SESSIONS else "left"
        open_and_close(connect, WARMING)

        def grown() -> dict[str, float]:
            before = program.settled(what)
            open_and_close(connect, SESSION_COUNT)
            return {"value": program.settled(what) - before}

        return grown

    client = connect()
    if question == STATS:

        def asked() -> dict[str, float]:
            before = program.told("cpu")
            for _ in range(REQUESTS):
                if len(client.stats()) != COUNTERS:
                    raise AssertionError("not all counters")
            return {"value": (program.told("cpu") - before) / 1e3 / REQUESTS}

        asked()
        return asked
    if question == PAGE:
        session = watch(client, hz=LOOKS_HZ)

        def looked() -> dict[str, float]:
            before = program.told("cpu")
            for _ in range(LOOKS):
                session.refresh()
                time.sleep(1 / LOOKS_HZ)
            if session.totals["on"] != COUNTERS:
                raise AssertionError("not all counters")
            return {"value": (program.told("cpu") - before) / 1e3 / LOOKS}

        looked()
        return looked

    def listed() -> float:
        start = time.perf_counter_ns()
        if len(client.list("app_*")) != FUNCTIONS:
            raise AssertionError("not all functions")
        return (time.perf_counter_ns() - start) / 1e6

    spent = listed()

    def longest_gap() -> dict[str, float]:
        program.told("loop")
        if question == IDLE:
            time.sleep(spent / 1e3)
        else:
            listed()
        return {"value": program.told("aside" if question == ASIDE else "gaps") / 1e6}

    return longest_gap if question in (BUSY, ASIDE, IDLE) else lambda: {"value": listed()}


def open_and_close(connect: Callable, count: int) -> None:
    """Begin and end so many sessions, one after another."""
    for _ in range(count):
        connect().close()
