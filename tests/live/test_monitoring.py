"""The engine that rewrites nothing: the same handles, on events of sys.monitoring."""

import sys

import pytest

import recompyle
from recompyle import NotRewritable, live
from recompyle.live._guard import Events

has_monitoring = pytest.mark.skipif(not hasattr(sys, "monitoring"), reason="sys.monitoring came with 3.12")


@pytest.fixture
def app(make):
    return make("""
        def f(x=1):
            return x

        def numbers():
            yield 1

        async def waits():
            return 1

        def outer():
            def inner():
                return 1
            return inner
    """)


def on(module, name, *args, **options):
    return live.instrument(f"{module.__name__}:{name}", *args, engine="monitoring", **options)


def tools():
    return [sys.monitoring.get_tool(each) for each in (3, 4)]


@has_monitoring
def test_counts_and_leaves_the_code(app):
    original = app.f.__code__
    app.f()
    with on(app, "f") as handle:
        assert [app.f(2), app.f()] == [2, 1]
        assert (handle.hits, handle.state, handle.row()["engine"], handle.original_code) == (
            2,
            "on",
            "monitoring",
            original,
        )
        assert app.f.__code__ is original
        assert "recompyle.live" in tools()
        assert handle.in_flight() == 0
    app.f()
    assert (handle.hits, handle.state, tools()) == (2, "off", [None, None])


@has_monitoring
def test_started_bodies(app):
    numbers, waits = on(app, "numbers"), on(app, "waits")
    unstarted = app.numbers()
    assert (numbers.hits, list(unstarted), numbers.hits) == (0, [1], 1)
    with pytest.raises(StopIteration):
        app.waits().send(None)
    assert waits.hits == 1


@has_monitoring
def test_hook_mode_and_change_of_mode(app):
    seen = []
    handle = on(app, "f", seen.append)
    app.f()
    on(app, "f")
    app.f()
    assert (seen, handle.hits, handle.mode) == ([handle.path], 2, "counter")
    on(app, "f", lambda name: 1 / 0 if name else None).restore()
    assert handle.state == "off"


@has_monitoring
def test_exceptions_of_a_hook(app, monkeypatch):
    unraisable = []
    monkeypatch.setattr(sys, "unraisablehook", lambda found: unraisable.append(found.exc_type))
    handle = on(app, "f", lambda name: 1 / 0)
    for _ in range(12):
        assert app.f(3) == 3
    assert (unraisable, handle.hits, handle.error["slug"]) == ([ZeroDivisionError], 12, "hook_disabled")

    def interrupt(name):
        raise KeyboardInterrupt

    on(app, "f", interrupt)
    with pytest.raises(KeyboardInterrupt):
        app.f()


@has_monitoring
def test_closures_share_their_code(app):
    before = app.outer()
    handle = on(app, "outer.<locals>.inner")
    assert (before(), app.outer()(), handle.hits) == (1, 1, 2)
    handle.restore()
    assert (before(), handle.hits) == (1, 2)


@has_monitoring
def test_together_with_rewritten_code(app):
    original = app.f.__code__
    handle = on(app, "f")
    patch = recompyle.apply(app.f, recompyle.ProfileCalls(-1))
    app.f()
    assert handle.hits == 1
    patch.restore()
    app.f()
    assert (handle.hits, app.f.__code__ is original) == (2, True)
    patch = recompyle.apply(app.f, recompyle.ProfileCalls(-1))
    handle.restore()
    app.f()
    patch.restore()
    app.f()
    assert (handle.hits, tools()) == (2, [None, None])


@has_monitoring
def test_changing_the_engine(app):
    original = app.f.__code__
    handle = live.instrument(f"{app.__name__}:f")
    app.f()
    on(app, "f")
    assert app.f.__code__ is original
    app.f()
    live.instrument(handle.path)
    app.f()
    assert (handle.hits, handle.row()["engine"], tools()) == (3, "code", [None, None])


@has_monitoring
def test_no_free_tool_is_refused_with_the_holders_names(app):
    for tool, name in ((3, "one"), (4, "two")):
        sys.monitoring.use_tool_id(tool, name)
    try:
        with pytest.raises(NotRewritable, match="'one' and 'two'") as found:
            on(app, "f")
        assert found.value.slug == "no_monitoring"
    finally:
        for tool in (3, 4):
            sys.monitoring.free_tool_id(tool)


def test_a_signal_while_code_is_looked_up_is_not_lost():
    def interrupt(code):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Events(interrupt)(interrupt.__code__, 0)


@has_monitoring
def test_a_change_of_engine_that_is_refused_changes_nothing(app):
    original = app.f.__code__
    handle = live.instrument(f"{app.__name__}:f")
    for tool in (3, 4):
        sys.monitoring.use_tool_id(tool, "another")
    try:
        with pytest.raises(NotRewritable):
            on(app, "f")
    finally:
        for tool in (3, 4):
            sys.monitoring.free_tool_id(tool)
    app.f()
    assert (handle.state, handle.hits, handle.row()["engine"]) == ("on", 1, "code")
    handle.restore()
    assert (handle.state, app.f.__code__ is original) == ("off", True)


@pytest.mark.skipif(hasattr(sys, "monitoring"), reason="this Python has it")
def test_without_monitoring(app):
    with pytest.raises(NotRewritable) as found:
        on(app, "f")
    assert found.value.slug == "no_monitoring"


def test_options_that_do_not_go_together(app):
    with pytest.raises(ValueError, match="objects made"):
        on(app, "numbers", created=True)
    with pytest.raises(ValueError, match="engine is one of"):
        live.instrument(f"{app.__name__}:f", engine="other")
