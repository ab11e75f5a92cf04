"""How much memory profiling takes: against the number of calls in a run, for an open run, and for a function.

Resident memory is read from the system, since a C core's memory is not seen by `tracemalloc`; it comes in
pages of (mostly) 4 KiB.
"""

import importlib
import os
import resource
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path

from subjects import CALLS, TWENTY_OPEN
from tools import NEVER_S, Tool

TITLE = "Memory"
UNIT = "bytes"
TOOLS = ("recompyle", "flat_profile")
CALL_COUNTS = {f"{10**n:,} calls": 10**n for n in range(3, 8)}
OPEN_RUN, FUNCTION = "an open run", "a function, 20 sites"
PROBE = "an entry probe, beyond a copy of the code"
QUESTIONS = (*CALL_COUNTS, OPEN_RUN, FUNCTION, PROBE)
LAUNCHES, ROUNDS = 3, 1
OPEN_RUNS = 5_000
FUNCTIONS = 300
PROBED = 5_000


def resident() -> int:
    """Return the process's resident memory in bytes; where the system does not tell, the highest so far."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def growth_in_run(loop: Callable, calls: int) -> int:
    """Return the bytes by which memory has grown when a run of `loop` has made its last call."""
    grown = 0

    def items() -> Iterator[None]:
        nonlocal grown
        before = resident()
        yield from repeat(None, calls)
        grown = resident() - before

    loop(items())
    return grown


def growth_by_open_runs(generator: Callable) -> float:
    """Return bytes for each of many started and suspended runs of a generator function."""
    before = resident()
    runs = [generator((None,)) for _ in range(OPEN_RUNS)]
    for run in runs:
        next(run)
    return (resident() - before) / OPEN_RUNS


def growth_by_functions() -> float:
    """Return bytes for each of many functions profiled, all in one new module, with 20 call sites each."""
    from recompyle import shallow_call_profiler

    body = "    f(x)\n" * 20
    text = "f = abs\n" + "".join(f"def g{i}(x):\n{body}" for i in range(FUNCTIONS + 1))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "many_functions.py").write_text(text)
        sys.path.insert(0, folder)
        module = importlib.import_module("many_functions")
        functions = [getattr(module, f"g{i}") for i in range(FUNCTIONS + 1)]
        shallow_call_profiler(NEVER_S)(functions.pop())  # what comes once: parsed file, tables, imports
        before = resident()
        for function in functions:
            shallow_call_profiler(NEVER_S)(function)(1)
        return (resident() - before) / FUNCTIONS


def growth_by_probes() -> dict[str, float]:
    """Return bytes for each of many copies of one code object: bare ones, and with an entry probe of its own each."""
    from recompyle import inject

    code, counts = growth_by_open_runs.__code__, bytearray(8 * PROBED)

    def probed(number: int) -> object:
        return inject.write(code, [inject.Edit("entry", inject.SlotCounter(counts, number))])

    kept = []  # what is freed in between would be taken again

    def growth(make: Callable[[int], object]) -> float:
        before = resident()
        kept.append([make(number) for number in range(PROBED)])
        return (resident() - before) / PROBED

    probed(0)  # what comes once
    bare, other = growth(lambda number: code.replace()), growth(probed)
    return {"bare": bare, "with": other, "value": other - bare}


def prepare(tool: Tool, question: str) -> Callable[[], dict[str, float]]:
    if question == FUNCTION:
        only_ours(tool)
        return lambda: {"value": growth_by_functions()}
    if question == PROBE:
        only_ours(tool)
        return growth_by_probes
    if question == OPEN_RUN:
        only_ours(tool)
        growth_by_open_runs(TWENTY_OPEN.bare)  # memory that the interpreter keeps for the next ones
        profiled = tool.instrument(TWENTY_OPEN)

        def play_round():
            bare, other = growth_by_open_runs(TWENTY_OPEN.bare), growth_by_open_runs(profiled)
            return {"bare": bare, "with": other, "value": other - bare}

        return play_round
    subject, calls = CALLS["function"], CALL_COUNTS[question]
    loop = tool.instrument(subject)
    loop((None,))
    growth_in_run(subject.bare, 10)
    return lambda: {"value": growth_in_run(loop, calls)}


def only_ours(tool: Tool) -> None:
    """Raise NotImplementedError for tools that the question cannot be put to."""
    if tool.HOME != "ours":
        raise NotImplementedError("knows no open runs")
