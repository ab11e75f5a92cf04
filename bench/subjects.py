"""The functions that are measured: the same loop bare, with probes written in, and timed by hand.

`START` and `END` are names here so that the source reads as what runs; they become constants before it does.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any

START: Any = None
END: Any = None
WRAPPER: Any = None
EXTRAS: Any = None


@dataclass(frozen=True)
class Subject:
    """One kind of call, made for each item: bare and, where a case needs them, in two other forms."""

    bare: Callable
    probed: Callable | None = None
    by_hand: Callable | None = None
    coroutine: bool = False
    wrapped: Callable | None = None

    def loop(self, function: Callable) -> Callable[[Iterable[object]], object]:
        """Return `function`, one of this subject's forms, as something to call with the items."""
        if not self.coroutine:
            return function

        def run(items):
            try:
                function(items).send(None)
            except StopIteration as done:
                return done.value

        return run


def leaf(x):
    return x


async def leaf_coroutine(x):
    return x


class Thing:
    def method(self, x):
        return x


THING = Thing()
FEW = (1, 2, 3)


def function(items):
    for x in items:
        leaf(x)


def function_probed(items):
    for x in items:
        END[leaf(START[x])]


def function_wrapped(items):
    for x in items:
        WRAPPER(leaf, EXTRAS, x)


def function_by_hand(items):
    total_ns = 0
    for x in items:
        start = perf_counter_ns()
        leaf(x)
        total_ns += perf_counter_ns() - start
    return total_ns


def method(items):
    for x in items:
        THING.method(x)


def method_probed(items):
    for x in items:
        END[THING.method(START[x])]


def method_wrapped(items):
    for x in items:
        WRAPPER(THING.method, EXTRAS, x)


def method_by_hand(items):
    total_ns = 0
    for x in items:
        start = perf_counter_ns()
        THING.method(x)
        total_ns += perf_counter_ns() - start
    return total_ns


def builtin(items):
    for _ in items:
        len(FEW)


def builtin_probed(items):
    for _ in items:
        END[len(START[FEW])]


def builtin_wrapped(items):
    for _ in items:
        WRAPPER(len, EXTRAS, FEW)


def builtin_by_hand(items):
    total_ns = 0
    for _ in items:
        start = perf_counter_ns()
        len(FEW)
        total_ns += perf_counter_ns() - start
    return total_ns


def keyword(items):
    for x in items:
        leaf(x=x)


def keyword_probed(items):
    for x in items:
        END[leaf(x=START[x])]


def keyword_wrapped(items):
    for x in items:
        WRAPPER(leaf, EXTRAS, x=x)


def keyword_by_hand(items):
    total_ns = 0
    for x in items:
        start = perf_counter_ns()
        leaf(x=x)
        total_ns += perf_counter_ns() - start
    return total_ns


async def awaiting(items):
    for x in items:
        await leaf_coroutine(x)


async def awaiting_probed(items):
    for x in items:
        END[await leaf_coroutine(START[x])]


async def awaiting_by_hand(items):
    total_ns = 0
    for x in items:
        start = perf_counter_ns()
        await leaf_coroutine(x)
        total_ns += perf_counter_ns() - start
    return total_ns


def twenty(items):
    for x in items:
        leaf(x)
        leaf(x)
        leaf(x)
        leaf(x)
        leaf(x)
        leaf(x)
        leaf(x)
        leaf(x)
        leaf(x)
        leaf(x)
        leaf(x)
        leaf(x)
        leaf(x)
        leaf(x)
        leaf(x)
        leaf(x)
        leaf(x)
        leaf(x)
        leaf(x)
        leaf(x)


CALLS = {
    "function": Subject(function, function_probed, function_by_hand, wrapped=function_wrapped),
    "method": Subject(method, method_probed, method_by_hand, wrapped=method_wrapped),
    "builtin": Subject(builtin, builtin_probed, builtin_by_hand, wrapped=builtin_wrapped),
    "keyword": Subject(keyword, keyword_probed, keyword_by_hand, wrapped=keyword_wrapped),
    "await": Subject(awaiting, awaiting_probed, awaiting_by_hand, coroutine=True),
}


def twenty_open(items):
    for x in items:
        leaf(x)
        leaf(x)
        leaf(x)
        leaf(x)
        leaf(x)
        leaf(x)
        leaf(x)
        leaf(x)
        leaf(x)
        leaf(x)
        leaf(x)
        leaf(x)
        leaf(x)
        leaf(x)
        leaf(x)
        leaf(x)
        leaf(x)
        leaf(x)
        leaf(x)
        leaf(x)
        yield


def constructor(items):
    for _ in items:
        Thing()


def chained(items):
    for x in items:
        str(x).split().append(x)


def nothing(items):
    for _ in items:
        pass


NOTHING = Subject(nothing)
TWENTY = Subject(twenty)
TWENTY_OPEN = Subject(twenty_open)
SPECIALISED = {
    "constructor": Subject(constructor),
    "chain": Subject(chained),
}
