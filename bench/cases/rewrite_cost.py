"""How long it takes to profile one function of a large module: the first, with parsing, and later ones."""

import inspect
import statistics
import time
from collections.abc import Callable
from types import FunctionType, ModuleType

from tools import NEVER_S, Tool

TITLE = "Profiling one function of a module of over 5,000 lines"
UNIT = "ms"
TOOLS = ("recompyle",)
FIRST, FOLLOWING, WORST = "the first, with parsing", "a following one", "the longest of the following"
QUESTIONS = (FIRST, FOLLOWING, WORST)
LAUNCHES, ROUNDS = 5, 1
FOLLOWING_COUNT = 60


def functions_in(module: ModuleType) -> list[FunctionType]:
    """Return the functions that a module and its classes define, in the order of their lines."""
    classes = [c for c in vars(module).values() if inspect.isclass(c) and c.__module__ == module.__name__]
    found = {
        value.__code__: value
        for scope in (module, *classes)
        for value in vars(scope).values()
        if inspect.isfunction(value) and value.__module__ == module.__name__
    }
    return sorted(found.values(), key=lambda function: function.__code__.co_firstlineno)


def prepare(tool: Tool, question: str) -> Callable[[], dict[str, float]]:
    import _pydecimal

    from recompyle import shallow_call_profiler

    lines = len(inspect.getsource(_pydecimal).splitlines())
    if lines < 5000:
        raise AssertionError(f"{_pydecimal.__file__} has only {lines} lines")
    functions = functions_in(_pydecimal)
    chosen = functions[:: len(functions) // (FOLLOWING_COUNT + 1)][: FOLLOWING_COUNT + 1]

    def profile_next() -> float:
        function = chosen.pop()
        start = time.perf_counter_ns()
        shallow_call_profiler(NEVER_S)(function)
        return (time.perf_counter_ns() - start) / 1e6

    def play_round():
        first = profile_next()
        following = [profile_next() for _ in range(len(chosen))]
        value = {FIRST: first, FOLLOWING: statistics.median(following), WORST: max(following)}[question]
        return {"value": value, "lines": lines}

    return play_round
