"""Ctrl-C at any moment: what is in place is known, what is not is as it was, and either can be restored."""

import contextlib
import dis
import sys
import threading

import pytest

from recompyle import live
from recompyle.live import monitoring, state
from recompyle.patch import registry as patches

REGISTRIES = {state.registry.instrument.__code__.co_filename, patches.put_on.__code__.co_filename}
CALLBACKS = ("_drop", "_forget_made")  # of weak references: what they raise goes nowhere
from_312 = pytest.mark.skipif(sys.version_info < (3, 12), reason="from 3.12")


class Interrupt:
    """Raises KeyboardInterrupt at one of the moments at which the registries can be interrupted, counted from 1.

    Those are the beginnings of functions, and what follows a call or a jump back: there signals are looked for.
    """

    def __init__(self, number):
        self.number = number
        self.seen = 0
        self.last = {}  # by frame: the name of the instruction before

    def __enter__(self):
        self.before = sys.gettrace()
        sys._getframe().f_trace_opcodes = True  # 3.12 must be told before tracing begins
        sys.settrace(self.call)
        return self

    def __exit__(self, *exc_info):
        sys.settrace(self.before)

    def call(self, frame, event, arg):
        if frame.f_code.co_filename not in REGISTRIES or frame.f_code.co_name in CALLBACKS:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self.instruction

    def instruction(self, frame, event, arg):
        if event == "opcode":
            last, name = self.last.get(frame, "RESUME"), dis.opname[frame.f_code.co_code[frame.f_lasti]]
            self.last[frame] = name
            if last.startswith(("RESUME", "CALL", "JUMP_BACKWARD")):
                self.seen += 1
                if self.seen == self.number:
                    raise KeyboardInterrupt
        return self.instruction


def every_moment(act):
    """Interrupt an act at one moment after the other; yields after each interrupt."""
    number = 0
    while True:
        number += 1
        interrupt = Interrupt(number)
        with contextlib.suppress(KeyboardInterrupt), interrupt:
            act()
        if interrupt.seen < number:
            assert number > 10, "nothing was interrupted"
            return
        yield


@pytest.fixture
def app(make):
    return make("""
        def f(x=1):
            return x

        def outer():
            def inner():
                return 1
            return inner
    """)


def assert_well(function, original, path):
    """The record says what is so, and all that can be done with the function goes on as ever."""
    record = state.registry.known(path)
    if record is not None:
        assert record.state in ("on", "off")
        assert (function.__code__ is original) == (record.state == "off")
        before = 0 if record.hits is None else record.hits.count
        function()
        assert (0 if record.hits is None else record.hits.count) == before + (record.state == "on")
    else:
        assert function.__code__ is original
    live.restore(path)
    assert_free()
    assert function.__code__ is original and patches.patches_on(function) == []
    with live.instrument(path) as handle:
        assert state.registry.known(path).holders == {"program"}
        hits = handle.hits
        function()
        assert (handle.state, handle.hits) == ("on", hits + 1)
    assert function.__code__ is original
    assert handle.state == "off" and state.registry.known(path).holders == set()


def assert_free():
    """No lock is held."""
    taken = []

    def take():
        for lock in (state.registry._turn, state.registry._lock, patches._lock):
            if lock.acquire(blocking=False):
                lock.release()
                taken.append(lock)

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    assert len(taken) == 3


@pytest.mark.parametrize("mode", ["counter", "hook"])
def test_while_it_is_instrumented(app, mode):
    path, original = f"{app.__name__}:f", app.f.__code__
    for _ in every_moment(lambda: live.instrument(path, mode=mode)):
        assert_well(app.f, original, path)


def test_while_it_is_restored(app):
    path, original = f"{app.__name__}:f", app.f.__code__
    live.instrument(path)
    for _ in every_moment(lambda: live.restore(path)):
        assert_well(app.f, original, path)
        live.instrument(path)


def test_while_its_mode_changes(app):
    path, original = f"{app.__name__}:f", app.f.__code__
    live.instrument(path)
    for _ in every_moment(lambda: live.instrument(path, len)):
        record = state.registry.known(path)
        assert record.state == "on" and record.mode == ("counter" if record.guard is None else "hook")
        assert_well(app.f, original, path)
        live.instrument(path)


def test_while_closures_yet_to_be_made_are_instrumented(app):
    path, original = f"{app.__name__}:outer.<locals>.inner", app.outer.__code__
    for _ in every_moment(lambda: live.instrument(path)):
        record = state.registry.known(path)
        assert record is None or record.state in ("on", "off")
        assert (app.outer.__code__ is original) == (record is None or record.state == "off")
        live.restore(path)
        assert_free()
        assert app.outer.__code__ is original


@from_312
@pytest.mark.parametrize("begun", [False, True])
def test_while_the_other_engine_begins(app, monkeypatch, begun):
    """There tracing and monitoring would meet, so it is interrupted by hand."""
    path, watch = f"{app.__name__}:f", monitoring._tool.watch

    def interrupted(function, probe):
        if begun:
            watch(function, probe)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(monitoring._tool, "watch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            live.instrument(path, engine="monitoring")
    assert state.registry.known(path).state == "off"
    app.f()
    assert state.registry.known(path).hits.count == 0
    assert [sys.monitoring.get_tool(each) for each in monitoring.TOOLS] == [None, None]
    with live.instrument(path, engine="monitoring") as handle:
        app.f()
        assert handle.hits == 1
    assert_free()
