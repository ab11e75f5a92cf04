"""What probes take: a few bytes while they are in, nothing when they are out again."""

import asyncio
import contextlib
import gc
import sys
import textwrap

import pytest
from memory import heap_bytes
from written import KINDS, LIBRARY, codes

import recompyle
from recompyle import inject

from .test_stdlib import SAMPLE

UNIT = 2  # bytes


def size(code):
    """Bytes of a code object and of what belongs to it alone."""
    parts = code, code.co_consts, code.co_linetable, code.co_exceptiontable
    return sum(map(sys.getsizeof, parts))


@pytest.mark.parametrize("name", SAMPLE)
def test_an_entry_takes_three_units_and_a_few_bytes(name):
    for code in codes(LIBRARY / f"{name}.py"):
        written = inject.write(code, [inject.Edit("entry", recompyle.Counter())])
        wide = len(code.co_consts) > 255
        assert len(written.co_code) - len(code.co_code) == (3 + wide) * UNIT
        assert size(written) - size(code) <= (3 + wide) * UNIT + 32


def test_other_marks_take_three_units_each():
    code = textwrap.TextWrapper._wrap_chunks.__code__
    for kind in ("return", "call", "called"):
        edit = inject.Edit(kind, recompyle.Counter())
        count = len([site for site in inject.sites(code) if site.kind == kind])
        wider = len(inject.write(code, [edit]).co_code) - len(code.co_code) - 3 * UNIT * count
        assert count and 0 <= wider <= UNIT * count  # jumps across them may need a prefix


def numbers(n):
    try:
        yield n
    finally:
        yield from range(n)


@pytest.mark.parametrize("rounds", [2_000, pytest.param(10_000, marks=pytest.mark.prove)])
@pytest.mark.parametrize(
    "function, use",
    [
        (textwrap.dedent, lambda: textwrap.dedent("  a\n  b")),
        (numbers, lambda: list(numbers(2))),
        (asyncio.wait_for, lambda: asyncio.run(asyncio.wait_for(asyncio.sleep(0), None))),
        (contextlib.ExitStack.__exit__, lambda: contextlib.ExitStack().__exit__(None, None, None)),
    ],
    ids=["function", "generator", "coroutine", "method"],
)
def test_patching_and_restoring_leaves_nothing(function, use, rounds):
    original = function.__code__
    present = {site.kind for site in inject.sites(original)}

    def cycle():
        edits = [inject.Edit(kind, recompyle.Counter()) for kind in KINDS if kind in present]
        with recompyle.apply(function, *edits):
            pass
        assert function.__code__ is original

    def growth(rounds):
        gc.collect()
        before = sys.getallocatedblocks(), heap_bytes()
        for _ in range(rounds):
            cycle()
        gc.collect()
        return sys.getallocatedblocks() - before[0], heap_bytes() - before[1]

    use()
    growth(200)  # caches fill
    blocks, heap = growth(rounds)
    assert blocks < rounds / 10 and heap < rounds * 10  # a leak is at least a block, or 16 bytes, a round
    use()
