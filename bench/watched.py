"""A program with many functions that listens, run for the cases that look into it: `watched.py FUNCTIONS INSTRUMENTED`.

It writes one line of JSON when it listens, and one as answer to each line that it reads:

    memory      its resident memory in bytes
    left        its open descriptors and its threads, together
    cpu         the processor time that it has used, in ns
    loop        a thread loops from now on
    gaps        the longest gap of that thread in ns, which ends
    aside       the same without gaps in which the garbage collector ran
"""

import json
import os
import sys
import threading
import time
import types

from cases.memory import resident
from gaps import Loop

A_MODULE = 100


def define(count: int) -> list[str]:
    """Make functions, 100 in a module, and return their paths."""
    paths = []
    for number in range(count // A_MODULE):
        module = types.ModuleType(f"app_{number:03}.orders")
        exec("".join(f"def function_{each:02}(): pass\n" for each in range(A_MODULE)), vars(module))
        sys.modules[module.__name__] = module
        paths += [f"{module.__name__}:function_{each:02}" for each in range(A_MODULE)]
    return paths


def longest_gap(loop: Loop, start: int, collector: bool) -> int:
    """The longest gap since a time, in ns; with those of the garbage collector or without. Ends the loop."""
    gaps = loop.within(start, time.perf_counter_ns(), collector)
    loop.end()
    return max(gaps, default=0)


def main() -> None:
    from recompyle import live

    functions, instrumented = map(int, sys.argv[1:])
    for path in define(functions)[:instrumented]:
        live.instrument(path)
    before = resident()
    socket = live.listen(cap=None).path
    listening = resident()
    agent = next(each.native_id for each in threading.enumerate() if each.name == "recompyle live agent")
    print(json.dumps({"socket": socket, "memory": listening - before, "agent": agent}), flush=True)
    loop, start = None, 0
    for line in sys.stdin:
        answer = 0
        match line.strip():
            case "memory":
                answer = resident()
            case "left":
                answer = len(os.listdir("/proc/self/fd")) + threading.active_count()
            case "cpu":
                answer = time.process_time_ns()
            case "loop":
                loop, start = Loop(), time.perf_counter_ns()
            case "gaps" | "aside" as word:
                assert loop is not None
                answer = longest_gap(loop, start, word == "gaps")
        print(answer, flush=True)


if __name__ == "__main__":
    main()
