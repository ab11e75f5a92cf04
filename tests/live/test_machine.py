"""Instrument, restore, change modes, import and free in any order: the registry says what is, and all of it goes."""

import importlib
import sys
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

import recompyle
from recompyle import live

NAME, LATE = "machine_watched", "machine_late"
TEXT = """
def plain():
    return 1

again = plain

class C:
    def method(self):
        return 2

    @classmethod
    def made(cls):
        return 3

class D(C):
    pass

def numbers():
    yield 1
"""
CALLS = {
    "plain": lambda module: module.plain(),
    "C.method": lambda module: module.D().method(),
    "C.made": lambda module: module.C.made(),
    "numbers": lambda module: list(module.numbers()),
}
NAMES = {
    "plain": "plain",
    "again": "plain",
    "C.method": "C.method",
    "D.method": "C.method",
    "C.made": "C.made",
    "numbers": "numbers",
}


class Machine(RuleBasedStateMachine):
    """Beside the real thing it keeps who is on, in which mode, and how many hits each must have."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        Path(self.folder.name, f"{NAME}.py").write_text(TEXT)
        Path(self.folder.name, f"{LATE}.py").write_text(TEXT)
        sys.path.insert(0, self.folder.name)
        importlib.invalidate_caches()
        self.module = importlib.import_module(NAME)
        self.codes = {name: self.function(name).__code__ for name in CALLS}
        self.on, self.hits, self.hooked, self.expected = {}, dict.fromkeys(CALLS, 0), [], []
        self.handles, self.late, self.others = {}, None, []

    def function(self, name):
        found = vars(self.module)
        for part in name.split("."):
            found = (found if isinstance(found, dict) else vars(found))[part]
        return getattr(found, "__func__", found)

    @rule(name=st.sampled_from(sorted(NAMES)), mode=st.sampled_from(["counter", "hook"]))
    def instrument(self, name, mode):
        handle = live.instrument(f"{NAME}:{name}", self.hooked.append if mode == "hook" else None)
        own = NAMES[name]
        assert handle.path == f"{NAME}:{own}"
        self.handles[own] = handle
        self.on[own] = mode

    @rule(name=st.sampled_from(sorted(NAMES)))
    def restore(self, name):
        live.restore(f"{NAME}:{name}")
        self.on.pop(NAMES[name], None)

    @rule()
    def restore_all(self):
        live.restore_all()
        self.on.clear()
        if self.late is not None and LATE not in sys.modules:
            self.late = None

    @rule(name=st.sampled_from(sorted(CALLS)))
    def call(self, name):
        CALLS[name](self.module)
        if name in self.on:
            self.hits[name] += 1
            if self.on[name] == "hook":
                self.expected.append(f"{NAME}:{name}")

    @rule(name=st.sampled_from(sorted(CALLS)))
    def other_patch(self, name):
        self.others.append(recompyle.apply(self.function(name), recompyle.ProfileCalls(-1)))

    @rule(at=st.integers(0, 10))
    def other_restored(self, at):
        if self.others:
            self.others.pop(at % len(self.others)).restore()

    @rule()
    def wait_for_import(self):
        if LATE not in sys.modules:
            self.late = live.instrument(f"{LATE}:D.method")
            assert self.late.state == "pending"

    @rule()
    def cancel(self):
        if LATE not in sys.modules:
            live.restore(f"{LATE}:D.method")
            self.late = None

    @rule()
    def import_late(self):
        if LATE in sys.modules:
            return
        module = importlib.import_module(LATE)
        module.D().method()
        if self.late is not None:
            assert (self.late.state, self.late.path, self.late.hits) == ("on", f"{LATE}:C.method", 1)
            self.late.restore()
            self.late = None
        module.D().method()
        del sys.modules[LATE]

    @invariant()
    def says_what_is(self):
        rows = {row["path"]: row for row in live.list(f"{NAME}:*")}
        for name in CALLS:
            row, handle = rows[f"{NAME}:{name}"], self.handles.get(name)
            assert row["state"] == ("on" if name in self.on else "off")
            assert row["hits"] == self.hits[name]
            if handle is not None:
                assert (handle.is_instrumented, handle.hits) == (name in self.on, self.hits[name])
                assert name not in self.on or handle.mode == self.on[name]
            if not self.others and name not in self.on:
                assert self.function(name).__code__ is self.codes[name]
        assert self.hooked == self.expected
        assert len([each for each in sys.meta_path if type(each).__name__ == "Finder"]) == (self.late is not None)

    def teardown(self):
        live.restore_all()
        for patch in self.others:
            patch.restore()
        for name in CALLS:
            assert self.function(name).__code__ is self.codes[name]
        sys.path.remove(self.folder.name)
        sys.modules.pop(NAME, None)
        sys.modules.pop(LATE, None)
        self.folder.cleanup()


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=10, stateful_step_count=20, deadline=None)
