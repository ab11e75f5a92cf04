"""From Enter to "patched": how long a typed path takes in a session, the demo's program running in another thread."""

import statistics
import threading
import time
from collections.abc import Callable
from itertools import cycle

import timing
from tools import Tool

TITLE = "From Enter to patched, of 50 functions"
UNIT = "ms"
TOOLS = ("recompyle",)
PROGRAMS = {"the demo": 0.001, "the demo, never asleep": 0.0}
SUMS = {"least": min, "median": statistics.median, "worst": max}
ASKED = {f"{program}: {name}": (program, name) for program in PROGRAMS for name in SUMS}
QUESTIONS = tuple(ASKED)
LAUNCHES, ROUNDS = 3, 4
TIMES = 50
LIMIT = 60.0  # seconds: ends a hang


def prepare(tool: Tool, question: str) -> Callable[[], dict[str, float]]:
    from recompyle.live.demo import Options, load

    program, name = ASKED[question]
    session, work = load(Options(seed=1, sleep=PROGRAMS[program]))
    session.refresh()
    paths = cycle([line.path for line in session.lines if line.row["kind"] == "function"])
    answered = threading.Event()
    session.wake = answered.set
    timing.use_all_processors()

    def carried_out(command: str) -> None:
        session.command(command)
        if not answered.wait(LIMIT):
            raise TimeoutError(command)
        answered.clear()
        session.refresh()

    def patched(path: str) -> float:
        start = time.perf_counter_ns()
        carried_out(path)
        spent = time.perf_counter_ns() - start
        state = next(line.state for line in session.lines if line.path == path)
        if state != "on":
            raise AssertionError(f"{path} is {state}: {list(session.messages)}")
        carried_out(f"restore {path}")
        return spent / 1e6

    def play_round() -> dict[str, float]:
        end = threading.Event()

        def run() -> None:
            while not end.is_set():
                work(0.05)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            found = [patched(next(paths)) for _ in range(TIMES)]
        finally:
            end.set()
            thread.join()
        return {"value": SUMS[name](found)}

    play_round()
    return play_round
