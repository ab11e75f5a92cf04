"""Hook mode: what stands in the code, what the hook gets, and that it can do no harm."""

import dis
import inspect
import sys
import threading

import pytest

from recompyle import live
from recompyle.live import state
from recompyle.live._guard import Guard, Hits

WAIT = 30  # seconds; ends a hang only


@pytest.fixture
def app(make):
    return make("""
        def f(x=1):
            y = x
            return y

        def g():
            return f() + 1

        class C:
            @classmethod
            def m(cls):
                return cls
    """)


@pytest.fixture
def unraisable(monkeypatch):
    """What reached sys.unraisablehook."""
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", lambda found: seen.append((found.exc_type, found.object)))
    return seen


def path(module, name):
    return f"{module.__name__}:{name}"


# -- L15


def test_hook_gets_the_canonical_path_at_each_entry(app):
    seen = []
    handle = live.instrument(path(app, "C.m"), seen.append)
    assert app.C.m() is app.C
    app.C().m()
    assert (seen, handle.hits, handle.mode) == ([path(app, "C.m")] * 2, 2, "hook")


def test_the_call_stands_in_the_bytecode(app):
    live.instrument(path(app, "f"), print)
    found = list(dis.get_instructions(app.f))
    at = next(i for i, each in enumerate(found) if type(each.argval) is Guard)
    guard = found[at].argval
    names = [each.opname for each in found[at - 1 : at + 6]]
    assert (guard.__name__, guard.hook) == ("instrumentation_hook", print)
    assert [each.argval for each in found[at + 1 : at + 3] if each.opname == "LOAD_CONST"] == [path(app, "f")]
    assert "CALL" in names and "POP_TOP" in names
    assert "<instrumentation_hook>" in dis.Bytecode(app.f).dis()


def test_caller_of_the_hook_is_the_function_at_its_first_line(app):
    seen = []

    def hook(name):
        frame = inspect.currentframe().f_back
        seen.append((frame.f_code.co_name, frame.f_lineno))

    live.instrument(path(app, "f"), hook)
    app.f()
    assert seen == [("f", app.f.__code__.co_firstlineno + 1)]


def test_default_hook_counts(app):
    handle = live.instrument(path(app, "f"), mode="hook")
    app.f()
    assert handle.hits == 1
    live.instrumentation_hook(path(app, "f"))
    live.instrumentation_hook("no.such:path")
    assert handle.hits == 2


def test_default_hook_given_by_name_counts_once(app):
    handle = live.instrument(path(app, "f"), live.instrumentation_hook)
    live.set_hook(live.instrumentation_hook)
    app.f()
    assert (handle.hits, handle.mode) == (1, "hook")


def test_set_hook_reaches_all_without_one_of_their_own(app):
    common, own = [], []
    live.instrument(path(app, "f"), mode="hook")
    live.instrument(path(app, "g"), own.append)
    live.set_hook(common.append)
    app.g()
    live.set_hook(None)
    app.g()
    assert (common, own) == ([path(app, "f")], [path(app, "g")] * 2)
    with pytest.raises(TypeError):
        live.set_hook(7)


def test_a_hook_must_be_callable_and_a_mode_known(app):
    original = app.f.__code__
    with pytest.raises(TypeError, match="callable"):
        live.instrument(path(app, "f"), 7)
    with pytest.raises(ValueError, match="counter"):
        live.instrument(path(app, "f"), mode="other")
    assert app.f.__code__ is original


def test_another_hook_takes_the_place_of_the_first(app):
    one, two = [], []
    live.instrument(path(app, "f"), one.append)
    code = app.f.__code__
    app.f()
    live.instrument(path(app, "f"), two.append)
    app.f()
    assert (len(one), len(two), app.f.__code__ is code) == (1, 1, True)


# -- L16


def test_exceptions_of_a_hook_do_not_reach_the_program(app, unraisable):
    def hook(name):
        raise ValueError(name)

    handle = live.instrument(path(app, "f"), hook)
    for _ in range(9):
        assert app.f(3) == 3
    assert unraisable == [(ValueError, hook)], "the first one only"
    assert handle.error is None
    assert [app.f(4), app.f(4)] == [4, 4]
    assert handle.hits == 11, "counting goes on"
    assert handle.error["slug"] == handle.row()["error"]["slug"] == "hook_disabled"


def test_a_hook_is_off_after_ten_in_a_row_only(app, unraisable):
    called = []

    def hook(name):
        called.append(name)
        if len(called) % 10:
            raise ValueError

    live.instrument(path(app, "f"), hook)
    for _ in range(40):
        app.f()
    assert len(called) == 40
    live.instrument(path(app, "f"), lambda name: (called.append(name), 1 / 0))
    for _ in range(40):
        app.f()
    assert len(called) == 50
    live.instrument(path(app, "f"), called.append)
    app.f()
    assert len(called) == 51, "a new hook is in force"


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit, BaseException])
def test_what_is_no_exception_passes(app, kind):
    def hook(name):
        raise kind

    handle = live.instrument(path(app, "f"), hook)
    with pytest.raises(kind) as found:
        app.f()
    assert [each.name for each in found.traceback][-2:] == ["f", "hook"]
    seen = []
    live.instrument(path(app, "g"), seen.append)
    handle.restore()
    app.g()
    assert len(seen) == 1, "the thread knows that the hook has ended"


def test_the_exception_being_handled_is_left_alone(app, unraisable):
    def hook(name):
        try:
            raise KeyError
        except KeyError:
            raise ValueError from None

    live.instrument(path(app, "f"), hook)
    try:
        raise OSError("mine")
    except OSError as mine:
        app.f()
        assert sys.exception() is mine if hasattr(sys, "exception") else sys.exc_info()[1] is mine


# -- L17


def test_while_a_hook_runs_its_thread_calls_no_other(app):
    seen = []

    def hook(name):
        seen.append(name)
        app.f()
        app.g()

    first = live.instrument(path(app, "f"), hook)
    second = live.instrument(path(app, "g"), hook)
    app.g()
    # g: hook runs f, g (which runs f); then g itself runs f: hook runs f, g (which runs f).
    assert seen == [path(app, "g"), path(app, "f")]
    assert (first.hits, second.hits) == (5, 3)


def test_other_threads_hooks_run_meanwhile(app):
    seen = []

    def hook(name):
        if threading.current_thread() is threading.main_thread():
            other = threading.Thread(target=app.f)
            other.start()
            other.join(WAIT)
        seen.append(threading.current_thread() is threading.main_thread())

    live.instrument(path(app, "f"), hook)
    app.f()
    assert seen == [False, True]


# -- L18


def test_changing_the_mode_is_one_swap_and_counts_go_on(app, monkeypatch):
    swaps = []
    from recompyle.patch import registry

    real = registry.swap
    monkeypatch.setattr(registry, "swap", lambda *args: (swaps.append(args), real(*args))[1])
    original = app.f.__code__
    handle = live.instrument(path(app, "f"))
    app.f()
    slot = handle.row()["slot"]
    live.instrument(path(app, "f"), lambda name: None)
    app.f()
    live.instrument(path(app, "f"), mode="counter")
    app.f()
    assert (handle.mode, handle.hits, handle.row()["slot"], len(swaps)) == ("counter", 3, slot, 3)
    assert handle.original_code is original
    handle.restore()
    assert app.f.__code__ is original


def test_changing_the_mode_of_closures(make):
    module = make("def outer():\n    def inner(): return 1\n    return inner\n")
    seen = []
    handle = live.instrument(path(module, "outer.<locals>.inner"))
    one = module.outer()
    live.instrument(path(module, "outer.<locals>.inner"), seen.append)
    two = module.outer()
    assert (one(), two(), handle.hits, seen) == (1, 1, 2, [handle.path] * 2)
    handle.restore()
    assert (one(), two(), module.outer()(), handle.hits) == (1, 1, 1, 2)


# -- the guard itself


def test_guard_counts_and_calls():
    hits, seen = Hits("a:b"), []
    guard = Guard(hits, seen.append)
    guard("a:b")
    assert (hits.count, seen, repr(guard), hash(guard) == hash(guard), guard == Guard(hits)) == (
        1,
        ["a:b"],
        "<instrumentation_hook>",
        True,
        False,
    )
    guard.hook = None
    guard("a:b")
    assert (hits.count, len(seen)) == (2, 1)
    with pytest.raises(TypeError):
        Guard(None)


def test_a_hook_that_restores_its_own_function(app):
    original = app.f.__code__
    live.instrument(path(app, "f"), lambda name: live.restore(name))
    assert app.f(5) == 5
    assert app.f.__code__ is original


def test_a_hook_may_ask_the_worker(app):
    handle = live.instrument(path(app, "f"), lambda name: state.worker.submit(live.restore_all).result(WAIT))
    assert app.f(5) == 5
    assert handle.state == "off"
