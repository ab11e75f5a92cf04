"""The proof: every code object of the standard library, each kind of site alone and all together.

The everyday run takes a sample. `pytest -m prove tests/inject` takes everything and some minutes.
"""

import itertools
import os
import random
import types
import warnings
from pathlib import Path

import pytest

from recompyle import inject
from recompyle.inject import verify

LIBRARY = Path(os.__file__).parent
SAMPLE = [
    "_pydecimal", "argparse", "ast", "asyncio/base_events", "asyncio/locks", "asyncio/streams",
    "asyncio/taskgroups", "bdb", "calendar", "concurrent/futures/process", "contextlib", "dataclasses",
    "difflib", "email/header", "enum", "functools", "http/server", "inspect", "json/encoder",
    "logging/__init__", "os", "pickle", "subprocess", "threading", "typing",
]  # fmt: skip
KINDS = (
    "entry", "created", "return", "unwind", "handler", "call", "called", "yield", "resume", "throw", "await",
    "awaited", "waiting", "waited", "async_end", "leaving",
)  # fmt: skip
NO_VALUE = ("entry", "created", "call")
WRITTEN = ("co_code", "co_consts", "co_linetable", "co_exceptiontable", "co_stacksize")
SHARDS = 20


class Probe:
    def __invert__(self):
        return None

    def __getitem__(self, value):
        return value


def nested(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from nested(constant)


def codes(path):
    """The code objects of a source file; none if it does not compile (some test data is wrong on purpose)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            module = compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError):
            return
    yield from nested(module)


def edits(kinds, form):
    forms = ["statement" if kind in NO_VALUE else form for kind in kinds]
    implicit = [kind in ("call", "called") for kind in kinds]
    return [
        inject.Edit(kind, Probe(), form, include_implicit=also)
        for kind, form, also in zip(kinds, forms, implicit, strict=True)
    ]


def prove(path):
    """Write every code object of a file in every way; returns how many there were and the faults."""
    count, found = 0, []
    for code in codes(path):
        count += 1
        same = inject.write(code, [])
        changed = [name for name in WRITTEN if getattr(code, name) != getattr(same, name)]
        found += [f"{code!r}: {name} changed without an edit" for name in changed]
        present = {site.kind for site in inject.sites(code, include_implicit=True)}
        together = [kind for kind in KINDS if kind in present]
        for kinds in [(kind,) for kind in together] + [together]:
            for form in ("statement", "value"):
                chosen = edits(kinds, form)
                found += verify.faults(code, inject.write(code, chosen), chosen)
    return count, found


@pytest.mark.parametrize("name", SAMPLE)
def test_sample(name):
    count, found = prove(LIBRARY / f"{name}.py")
    assert found == []
    assert count >= 10


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
    """Random edits at random sites of random code objects."""
    choice = random.Random(seed)
    pool = [code for path in paths for code in codes(path)]
    found = []
    for _ in range(rounds):
        code = choice.choice(pool)
        chosen = []
        for site in choice.choices(inject.sites(code), k=choice.choice((1, 2, 3, 8, 40, 200))):
            form = choice.choice(("statement", "value")) if site.kind not in NO_VALUE else "statement"
            chosen.append(inject.Edit(site.kind, Probe(), form, choice.choice((None, site.index))))
        found += verify.faults(code, inject.write(code, chosen), chosen)
    return found


def test_random_edits():
    assert fuzz([LIBRARY / f"{name}.py" for name in SAMPLE[:8]], 150, 1) == []


def library():
    for folder, folders, files in os.walk(LIBRARY):
        folders[:] = sorted(set(folders) - {"site-packages", "dist-packages", "__pycache__"})
        yield from (Path(folder, name) for name in sorted(files) if name.endswith(".py"))


@pytest.mark.prove
@pytest.mark.parametrize("shard", range(SHARDS))
def test_whole_library(shard, record_property):
    count, found = 0, []
    for path in itertools.islice(library(), shard, None, SHARDS):
        objects, faults = prove(path)
        count += objects
        found += faults
    record_property("code objects", count)
    print(f"{count} code objects")
    assert found == []
    assert count > 0


@pytest.mark.prove
def test_many_random_edits():
    assert fuzz(itertools.islice(library(), 0, None, 10), 10_000, 2) == []
