"""Threads that decorate, configure and ask for statistics at the same time."""

import contextvars
import threading
import types

import pytest

import recompyle
from recompyle import profile
from recompyle.profile import control


@pytest.fixture
def functions(tmp_path):
    """Two hundred functions with source."""
    path = tmp_path / "many.py"
    path.write_text("\n".join(f"def f{number}(x):\n    return abs(x)\n" for number in range(200)))
    module = types.ModuleType("many")
    module.__file__ = str(path)
    exec(compile(path.read_text(), str(path), "exec"), vars(module))
    yield [value for name, value in vars(module).items() if name.startswith("f") and callable(value)]
    profile.configure(enabled=True)
    recompyle.restore()


def test_decorating_while_others_configure_and_ask(functions):
    stop = threading.Event()
    failures = []

    def repeat(action):
        try:
            while not stop.is_set():
                action()
        except Exception as error:
            failures.append(error)

    def switch():
        profile.configure(enabled=False)
        profile.configure(enabled=True)

    threads = [threading.Thread(target=repeat, args=(each,), daemon=True) for each in (switch, profile.stats)]
    for thread in threads:
        thread.start()
    for function in functions:
        recompyle.shallow_call_profiler(-1)(function)
    stop.set()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert failures == []
    assert [function(-1) for function in functions] == [1] * len(functions)
    assert sum(each.runs for each in profile.stats("many:f*")) == len(functions)


def test_override_that_ends_in_another_context_is_over():
    def generator():
        with profile.override(time_limit=0):
            yield

    open_block = generator()
    contextvars.copy_context().run(next, open_block)
    with pytest.raises(ValueError):
        next(open_block)
    assert control._overrides == []


def test_settings_that_a_later_call_makes_void_are_dropped():
    before = list(control._settings)
    try:
        for limit in range(1, 50):
            profile.configure("none:*", time_limit=limit)
        assert len(control._settings) == len(before) + 1
    finally:
        control._settings[:] = before


def test_override_elsewhere_makes_no_run_slow(functions):
    function = functions[0]
    recompyle.shallow_call_profiler("1h")(function)
    begun, over = threading.Event(), threading.Event()

    def elsewhere():
        with profile.override(time_limit=0):
            function(1)
            begun.set()
            over.wait(60)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    begun.wait(60)
    function(1)
    over.set()
    thread.join(60)
    (entry,) = profile.stats("many:f0")
    assert (entry.runs, entry.slow_runs) == (2, 1)
