"""Code objects of the standard library: each kind of site alone, all together, and random edits.

The everyday run takes a sample. `tests/prove/code_objects.py` takes everything, installed packages too.
"""

import random

import pytest
from written import LIBRARY, codes, prove, random_edits, sources

from recompyle import inject
from recompyle.inject import verify

SAMPLE = [
    "_pydecimal", "argparse", "ast", "asyncio/base_events", "asyncio/locks", "asyncio/streams",
    "asyncio/taskgroups", "bdb", "calendar", "concurrent/futures/process", "contextlib", "dataclasses",
    "difflib", "email/header", "enum", "functools", "http/server", "inspect", "json/encoder",
    "logging/__init__", "os", "pickle", "subprocess", "threading", "typing",
]  # fmt: skip


@pytest.mark.parametrize("name", SAMPLE)
def test_sample(name):
    found = [prove(code) for code in codes(LIBRARY / f"{name}.py")]
    assert [faults for faults in found if faults] == []
    assert len(found) >= 10


@pytest.mark.parametrize("name", SAMPLE[:5])
def test_sites_have_the_positions_of_their_instructions(name):
    for code in codes(LIBRARY / f"{name}.py"):
        positions = list(code.co_positions())
        for site in inject.sites(code):
            shown = (site.line, site.end_line, site.column, site.end_column)
            if site.kind in ("entry", "created", "unwind"):
                assert shown == (None, None, None, None)
            elif site.kind not in ("resume", "awaited", "waited", "async_end"):  # those show the yield or the await
                assert shown == positions[site.unit]


def fuzz(paths, rounds, seed):
    """What is wrong after random edits at random sites of random code objects."""
    choice = random.Random(seed)
    pool = [code for path in paths for code in codes(path)]
    found = []
    for _ in range(rounds):
        code, chosen = random_edits(choice, pool)
        found += verify.faults(code, inject.write(code, chosen), chosen)
    return found


def test_random_edits():
    assert fuzz([LIBRARY / f"{name}.py" for name in SAMPLE[:8]], 300, 1) == []


@pytest.mark.prove
def test_many_random_edits():
    assert fuzz(list(sources(LIBRARY))[::10], 10_000, 2) == []
