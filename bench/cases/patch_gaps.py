"""What a busy thread notices when another one instruments 200 functions of 30 lines.

The busy thread notes its own gaps; both share the interpreter, and each has a processor if there are two. As many
milliseconds in which the other one sleeps stand beside it.
"""

import gc
import sys
import time
from collections.abc import Callable
from statistics import median

import timing
from cases.probe_write import many_functions
from gaps import LONG_NS, Loop
from tools import Tool

TITLE = "A busy thread while another one instruments 200 functions of 30 lines"
TOOLS = ("recompyle",)
APPLY, LIVE = "apply()", "live.instrument()"
LONGEST, ASIDE, COUNT = "longest gap", "longest gap, collector aside", "gaps over 1 ms"
WALL, CPU = "time", "processor time"
IDLE = "idle"
UNITS = {LONGEST: "ms", ASIDE: "ms", COUNT: "in 10 times", WALL: "ms", CPU: "ms"}
ASKED = {f"{way}: {what}": (way, what) for way in (APPLY, LIVE) for what in UNITS}
ASKED |= {f"{IDLE}: {what}": (IDLE, what) for what in (LONGEST, COUNT)}
UNIT = {question: UNITS[what] for question, (_, what) in ASKED.items()}
QUESTIONS = tuple(UNIT)
LAUNCHES, ROUNDS = 3, 1
TIMES = 10


def prepare(tool: Tool, question: str) -> Callable[[], dict[str, float]]:
    import recompyle
    from recompyle import live
    from recompyle.inject import Edit, SlotCounter

    way, what = ASKED[question]
    module = many_functions()
    sys.modules[module.__name__] = module
    paths = [f"{module.__name__}:{name}" for name in vars(module) if name.startswith("f")]
    entry = Edit("entry", SlotCounter(bytearray(8)))

    def apply() -> Callable[[], object]:
        return recompyle.apply(module, entry).restore

    def instrument() -> Callable[[], object]:
        for path in paths:
            live.instrument(path)
        return live.restore_all

    put_in = instrument if way == LIVE else apply
    put_in()()  # what comes once: imports, the writer's test of itself
    timing.use_all_processors()
    gc.enable()  # as in any program

    def once(loop: Loop) -> dict[str, float]:
        time.sleep(0.002)  # what was taken out the time before is not part of it
        start, start_cpu = time.perf_counter_ns(), time.thread_time_ns()
        take_out = put_in()
        end, end_cpu = time.perf_counter_ns(), time.thread_time_ns()
        found = {WALL: (end - start) / 1e6, CPU: (end_cpu - start_cpu) / 1e6}
        if way == IDLE:
            spent = (end - start) / 1e9
            start = time.perf_counter_ns()
            time.sleep(spent)
            end = time.perf_counter_ns()
        gaps = loop.within(start, end, collector=what != ASIDE)
        take_out()
        found[LONGEST] = found[ASIDE] = max(gaps, default=0) / 1e6
        found[COUNT] = sum(gap > LONG_NS for gap in gaps)
        return found

    def play_round() -> dict[str, float]:
        loop = Loop()
        try:
            found = [once(loop)[what] for _ in range(TIMES)]
        finally:
            loop.end()
        return {"value": {LONGEST: max, ASIDE: max, COUNT: sum}.get(what, median)(found)}

    return play_round
