"""Counts are exact, whatever threads do and however often code is exchanged meanwhile.

The everyday run makes 10^5 calls; `make prove-counts` makes 10^7 and takes some minutes.
"""

import itertools
import threading

import pytest

import recompyle
from recompyle import live

WAIT = 1800  # seconds; ends a hang only
SIZES = [
    pytest.param(100_000, 4, 500, id="short"),
    pytest.param(10_000_000, 8, 100_000, id="long", marks=pytest.mark.prove),
]
TEXT = """
    def f(x):
        return x + 1

    def call(times):
        for n in range(times):
            if f(n) != n + 1:
                raise AssertionError(n)

    class C:
        def __init__(self, x):
            self.x = x

        @property
        def next(self):
            return self.x + 1

    def call_methods(times):
        for n in range(times // 2):
            if C(n).next != n + 1:
                raise AssertionError(n)

    def walk(x):
        yield x
        yield x + 1

    def call_generators(times):
        for n in range(times):
            if sum(walk(n)) != 2 * n + 1:
                raise AssertionError(n)
"""


class Callers:
    """Threads that make calls, each so many, until they have made them or one has failed."""

    def __init__(self, work, calls, threads):
        self.failed = []
        self.each = calls // threads
        self.threads = [threading.Thread(target=self._run, args=(work,)) for _ in range(threads)]
        self.calls = self.each * threads

    def _run(self, work):
        try:
            work(self.each)
        except BaseException as error:
            self.failed.append(error)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *exc_info):
        for thread in self.threads:
            thread.join(WAIT)
        assert self.failed == []

    @property
    def run(self):
        return any(thread.is_alive() for thread in self.threads)


@pytest.mark.parametrize("calls, threads, swaps", SIZES)
def test_no_call_is_lost_while_the_code_is_exchanged(make, calls, threads, swaps):
    """The probe changes its form and other patches come and go, but a call never finds code without it."""
    module = make(TEXT)
    path, original = f"{module.__name__}:f", module.f.__code__
    handle, hooked = live.instrument(path), itertools.count()
    with Callers(module.call, calls, threads) as callers:
        for n in range(swaps):
            match n % 4:
                case 0:
                    live.instrument(path, lambda name: next(hooked))
                case 1:
                    other = recompyle.apply(module.f, recompyle.inject.Edit("entry", recompyle.Counter()))
                case 2:
                    live.instrument(path, mode="counter")
                case _:
                    other.restore()
    assert handle.hits == callers.calls
    handle.restore()
    assert module.f.__code__ is original
    module.call(10)
    assert handle.hits == callers.calls


@pytest.mark.parametrize("calls, threads, swaps", SIZES)
def test_patch_and_restore_while_threads_call(make, calls, threads, swaps):
    module = make(TEXT)
    path, original = f"{module.__name__}:f", module.f.__code__
    handle = live.instrument(path)
    with Callers(module.call, calls, threads) as callers:
        for _ in range(swaps // 2):
            handle.restore()
            live.instrument(path)
    assert 0 <= handle.hits <= callers.calls
    before = handle.hits
    module.call(1000)
    assert handle.hits == before + 1000
    handle.restore()
    assert module.f.__code__ is original


@pytest.mark.parametrize("work, names", [("call_methods", ["C.__init__", "C.next"]), ("call_generators", ["walk"])])
def test_specialised_calls_are_counted(make, work, names):
    """Calls that the interpreter makes without a call instruction, after it has warmed up on the original code."""
    module = make(TEXT)
    run = getattr(module, work)
    run(5000)
    handles = [live.instrument(f"{module.__name__}:{name}") for name in names]
    run(10_000)
    assert [handle.hits for handle in handles] == [10_000 if work == "call_generators" else 5000] * len(handles)
    for handle in handles:
        handle.restore()
    run(10_000)
    assert sum(handle.hits for handle in handles) == 10_000


def test_the_oracle_with_a_counter_of_the_program(make):
    """`0 <= calls since the patch - hits <= calls in flight at the patch`."""
    module = make("""
        CALLS = [0, 0]

        def f(n, ready, go):
            CALLS[n] += 1
            ready.release()
            go.wait()
    """)
    path = f"{module.__name__}:f"
    live.counter(path, lambda: sum(module.CALLS))
    ready, go = threading.Semaphore(0), threading.Event()
    old = [threading.Thread(target=module.f, args=(n, ready, go)) for n in range(2)]
    for thread in old:
        thread.start()
    for _ in old:
        ready.acquire()
    handle = live.instrument(path)
    at_patch, flying = handle.call_count, handle.in_flight()
    assert (at_patch, flying) == (2, 2)
    new = [threading.Thread(target=module.f, args=(0, ready, go)) for _ in range(3)]
    for thread in new:
        thread.start()
    for _ in new:
        ready.acquire()
    assert 0 <= handle.call_count - at_patch - handle.hits <= flying
    assert handle.hits == 3
    go.set()
    for thread in old + new:
        thread.join(WAIT)
    assert handle.in_flight() == 0
