"""Programs with more functions than go into one message, or into the queue of what a client has not read."""

import json

import pytest
from programs import LIMIT, until

from recompyle import RecompyleError
from recompyle.live import proto
from recompyle.live.remote import watch
from recompyle.live.verbs import View

# Few with long names are as many bytes as many with short ones.
APP = """
import sys, types
from recompyle.live import state

NAMES = []
for number in range(20):
    module = types.ModuleType(f"many_{number}")
    exec("\\n".join(f"def f_{'x' * 700}_{each}(): pass" for each in range(100)), vars(module))
    sys.modules[module.__name__] = module
    NAMES += [f"{module.__name__}:{name}" for name in vars(module) if name.startswith("f_")]

def instrument_all():
    for name in NAMES:
        live.instrument(name)
    return len(NAMES)

def call_all():
    for name in NAMES:
        module, _, name = name.partition(":")
        vars(sys.modules[module])[name]()

def states():
    return sorted({record.state for record in state.registry.records()})

REFUSED = []
def hook(event, args):
    if event == "object.__setattr__" and getattr(args[0], "__name__", "") in REFUSED:
        raise PermissionError("not here")
"""
COUNT = 2000


@pytest.fixture
def program(start):
    program = start(APP)
    assert program.told("instrument_all()") == COUNT
    return program


def test_it_is_more_than_may_be_left_unread(program):
    with program.connect() as client:
        assert len(json.dumps(client.list("many_*"))) > proto.QUEUE_BYTES
        assert len(json.dumps(client.stats())) > proto.QUEUE_BYTES


def test_stats_of_all(program):
    program.told("call_all()")
    with program.connect() as client:
        hits = client.stats()
        assert sorted(hits) == sorted(program.told("NAMES")) and set(hits.values()) == {1}
        assert client.stats(list(hits)) == hits
        assert client.stats([]) == {}


def test_restore_all(program):
    with program.connect() as client:
        rows = client.restore_all()
        assert sorted(row["path"] for row in rows) == sorted(program.told("NAMES"))
        assert {row["state"] for row in rows} == {"off"}
        assert program.told("states()") == ["off"]
        assert client.restore_all() == []


def test_what_is_refused_keeps_none_of_the_others(program):
    program.told("sys.addaudithook(hook) or REFUSED.append(NAMES[7].partition(':')[2])")
    with program.connect() as client:
        with pytest.raises(RecompyleError, match="not here"):
            client.restore_all()
        assert program.told("states()") == ["off", "on"]
        assert {row["path"] for row in client.list(instrumented=True) if row["state"] == "on"} == {
            name for name in program.told("NAMES") if name.endswith("_7")
        }
        program.told("REFUSED.clear()")
        assert {row["state"] for row in client.restore_all()} == {"off"}


def test_a_screen_of_them_all(program, monkeypatch):
    monkeypatch.setattr("recompyle.live.client.Client.page", _no_page)  # told by events
    session = watch(program.connect(), hz=20)
    try:
        program.told("call_all()")

        def hits():
            session.refresh()
            return sum(line.hits for line in session.lines)

        until(lambda: hits() == COUNT, "the hits of all")
        program.told("call_all()")
        until(lambda: hits() == 2 * COUNT, "the hits of all, again")
        assert program.told("live.restore_all()") is None
        until(lambda: session.refresh() or {line.state for line in session.lines} == {"off"}, "the states of all")
        assert session.gone is None
    finally:
        session.close()


def _no_page(client):
    raise proto.BadMessage("not wanted")


def test_a_session_restores_what_it_has_instrumented(program):
    program.told("live.restore_all()")
    session = watch(program.connect(), hz=20)
    try:
        wanted = program.told("NAMES[:150]")
        for name in wanted:
            session.source.instrument(name).result(LIMIT)
        assert [row["path"] for row in session.source.restore_all().result(LIMIT)] == wanted
    finally:
        session.close()


def test_disassemblies_of_any_letters(start):
    """Each letter takes 12 bytes of a message."""
    program = start("def f():\n    x = '" + "\U0001f40d" * 120_000 + "'\n    return x")
    with program.connect() as client:
        client.instrument("__main__:f")
        details = client.details("__main__:f")
        assert details["before"].count("\U0001f40d") > 1000 and details["before"] != details["after"]
        assert client.restore("__main__:f")["state"] == "off"


def test_parts_are_bounded_and_lose_nothing():
    view, items = View(), ["x" * 1000, *("y" * 100_000 for _ in range(20)), *map(str, range(2000))]
    found, sizes, total = [], [], None
    while total is None or len(found) < total:
        part, total = view.part("name", len(found), lambda: items)
        found += part
        sizes.append(len(json.dumps(part)))
    assert found == items and max(sizes) <= proto.PART_BYTES
    assert view._found == {}


def test_an_item_that_is_too_much_goes_alone():
    view = View()
    assert view.part("name", 0, lambda: ["x" * proto.PART_BYTES, "y"]) == (["x" * proto.PART_BYTES], 2)


def test_who_never_comes_to_an_end_is_not_listened_to(monkeypatch):
    monkeypatch.setattr(proto, "ROWS", 10)
    found = []
    with pytest.raises(proto.BadMessage, match="more than 10"):
        while not proto.take_part(found, [1, 2, 3], {"total": 1 << 40}):
            pass
    assert len(found) == 12
