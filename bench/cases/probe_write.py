"""How long it takes to put probes into compiled code: one code object, and many functions at once."""

import subprocess
import sys
import time
import types
from collections.abc import Callable

from tools import Tool

TITLE = "Putting probes into compiled code"
UNIT = "us"
TOOLS = ("recompyle",)
SHORT, LONG = "entry and swap, 2 lines", "entry and swap, 1,000 lines"
FIRST_SHORT = "the same of 2 lines, after other work"
TYPICAL, ALL = "entry, return, unwind of 30 lines, code only", "all sites of 1,000 lines, code only"
MANY, BACK = "entry of 200 functions of 30 lines by apply()", "and restore()"
SELF, FIRST = "the writer's test of itself", "the first import, with it"
QUESTIONS = (SHORT, LONG, FIRST_SHORT, TYPICAL, ALL, MANY, BACK, SELF, FIRST)
LAUNCHES, ROUNDS = 3, 40
IN_A_ROW = 50  # of one round, of which the fastest counts: the first ones read it all from memory
IMPORT = """
import time
start = time.perf_counter_ns()
from recompyle import inject
ok = inject.status().ok
print(time.perf_counter_ns() - start if ok else "the test has failed")
"""


def function_of(lines: int, name: str = "f") -> str:
    """The source of a function of so many lines, half of them calls."""
    pairs = (f"    if x == {n}:\n        return g(x, b={n})\n" for n in range((lines - 2) // 2))
    return f"def {name}(x):\n{''.join(pairs)}    return x\n"


def made(source: str, name: str = "f") -> types.FunctionType:
    namespace: dict[str, types.FunctionType] = {}
    exec(compile(source, "<bench>", "exec"), namespace)
    return namespace[name]


def many_functions() -> types.ModuleType:
    """A module of 200 functions of 30 lines."""
    module = types.ModuleType("bench_subjects")
    exec(compile("\n".join(function_of(30, f"f{n}") for n in range(200)), "<bench>", "exec"), vars(module))
    return module


def import_time() -> float:
    """Microseconds that a new process takes to import the writer and to have it test itself."""
    return float(subprocess.check_output([sys.executable, "-P", "-c", IMPORT])) / 1e3


def prepare(tool: Tool, question: str) -> Callable[[], dict[str, float]]:
    if question == FIRST:
        return lambda: {"value": import_time()}

    import recompyle
    from recompyle import inject
    from recompyle.inject import Edit, SlotCounter, choose, points, selftest
    from recompyle.patch.swap import swap, unswap

    counter = SlotCounter(bytearray(8))
    entry = [Edit("entry", counter)]
    inject.write(made(function_of(2)).__code__, entry)  # the writer has tested itself

    def fastest(work: Callable[[], object], count: int = IN_A_ROW) -> dict[str, float]:
        times = []
        for _ in range(count):
            start = time.perf_counter_ns()
            work()
            times.append(time.perf_counter_ns() - start)
        return {"value": min(times) / 1e3}

    if question in (SHORT, LONG, FIRST_SHORT):
        function = made(function_of(1000 if question == LONG else 2))
        original = function.__code__

        def swapped() -> float:
            start = time.perf_counter_ns()
            code = inject.write(original, entry)
            saved = swap(function, code)
            spent = time.perf_counter_ns() - start
            unswap(function, code, original, saved)
            return spent / 1e3

        times = 1 if question == FIRST_SHORT else IN_A_ROW
        return lambda: {"value": min(swapped() for _ in range(times))}
    if question in (TYPICAL, ALL):
        code = made(function_of(30 if question == TYPICAL else 1000)).__code__
        kinds = {site.kind for site in inject.sites(code)} if question == ALL else ("entry", "return", "unwind")
        edits = [Edit(kind, counter) for kind in kinds]
        return lambda: fastest(lambda: inject.write(code, edits), 1 if question == ALL else IN_A_ROW)
    if question == SELF:
        return lambda: fastest(lambda: selftest.failure(points.sites, choose.write), 1)

    module = many_functions()

    def applied() -> dict[str, float]:
        start = time.perf_counter_ns()
        patch = recompyle.apply(module, *entry)
        middle = time.perf_counter_ns()
        patch.restore()
        end = time.perf_counter_ns()
        if len(patch.functions) != 200:
            raise AssertionError(f"{len(patch.functions)} functions of 200")
        return {"value": (middle - start if question == MANY else end - middle) / 1e3}

    return applied
