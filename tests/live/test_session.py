"""What is shown and done, without a screen: scripted samples, and orders in this process."""

import json
import threading

import pytest
from scripted import Clock, Scripted

from recompyle import live
from recompyle.live.session import COLUMNS, Session, did_you_mean
from recompyle.live.source import Local

WAIT = 30


def session_of(source):
    clock = Clock()
    source.ns = 100.0
    return Session(source, clock=clock), clock


def names(session):
    return [line.path.partition(":")[2] for line in session.lines]


# -- samples


def test_rate_last_hit_cost_and_history():
    source = Scripted(f=10, g=0)
    session, clock = session_of(source)
    session.refresh()
    assert [(line.rate, line.last, line.cost, line.row["rate"], line.row["last_hit_ms"]) for line in session.lines] == [
        (None,) * 5
    ] * 2
    clock.now += 0.25
    source.set("f", 35)
    session.refresh()
    f, g = session.lines
    assert (f.rate, f.last, f.row["rate"], f.row["last_hit_ms"]) == (100.0, 0.0, 100.0, 0)
    assert f.cost == pytest.approx(100 * 100e-9)
    assert (g.rate, g.last) == (0.0, None)
    clock.now += 0.75
    session.refresh()
    assert (session.lines[0].last, list(session.lines[0].history)) == (0.75, [25.0])


def test_rate_of_what_is_off_is_not_shown():
    source = Scripted(f=1)
    session, clock = session_of(source)
    session.refresh()
    clock.now += 1
    source.set("f", 1, state="off")
    session.refresh()
    assert session.lines[0].rate is None


def test_counts_that_begin_again_give_no_negative_rate():
    source = Scripted(f=99)
    session, clock = session_of(source)
    session.refresh()
    clock.now += 1
    source.set("f", 100)
    session.refresh()
    clock.now += 1
    source.set("f", 5)
    session.refresh()
    assert session.lines[0].rate is None and min(session.lines[0].history) >= 0


def test_zero_shows_what_comes_from_now_on_and_keeps_totals():
    source = Scripted()
    source.set("f", 10, calls=20)
    session, clock = session_of(source)
    session.refresh()
    session.zero()
    session.refresh()
    source.set("f", 13, calls=25)
    clock.now += 1
    session.refresh()
    line = session.lines[0]
    assert (line.hits, line.calls, line.row["hits"], line.row["calls"], session.totals["hits"]) == (3, 5, 13, 25, 13)


def test_the_same_sample_once_more_changes_nothing():
    source = Scripted()
    source.set("f", 1, calls=1, state="off")
    source.set("g", 0)
    session, clock = session_of(source)
    assert session.refresh()
    clock.now += 1
    assert session.refresh()  # of what is on there is a rate now
    for _ in range(100):
        clock.now += 1
        assert not session.refresh()
    source.set("g", 2)
    clock.now += 0.5
    assert session.refresh()
    # The rate is that since the last sample, and so is the history.
    assert (session.lines[1].rate, session.lines[1].last) == (4.0, 0.0)
    clock.now += 0.5
    assert session.refresh()  # the last hit is longer ago
    assert list(session.lines[1].history) == [2.0]


def test_a_row_that_comes_again_has_had_no_hits_since():
    source = Scripted(f=0, g=0)
    source.poll = lambda: list(source.held.values())
    session, clock = session_of(source)
    session.refresh()
    clock.now += 1
    source.set("f", 5)
    session.refresh()
    assert [line.rate for line in session.lines] == [5.0, 0.0]
    clock.now += 1
    session.refresh()
    assert [(line.rate, line.last) for line in session.lines] == [(0.0, 1.0), (0.0, None)]


def test_lines_last_as_long_as_their_functions():
    source = Scripted(f=0, g=0)
    session, clock = session_of(source)
    session.refresh()
    f, g = session.lines
    del source.held["app.orders:f"]
    source.set("a", 0)
    source.set("g", 3)
    clock.now += 1
    session.refresh()
    a, other = session.lines
    assert other is g and g.rate == 3.0
    assert a.rate is None
    source.set("f", 0)
    session.refresh()
    assert names(session) == ["a", "f", "g"]
    assert f not in session.lines


def test_zero_is_seen_although_nothing_else_changes():
    source = Scripted()
    source.set("f", 0, calls=7, state="off")
    session, _ = session_of(source)
    session.refresh()
    session.zero()
    assert session.refresh()
    assert session.lines[0].calls == 0


def test_the_cost_is_that_of_the_mode():
    source = Scripted(f=0, g=0)
    source.held["app.orders:g"]["mode"] = "hook"
    source.ns_per_hit = {"counter": 10.0, "hook": 100.0}.get
    clock = Clock()
    session = Session(source, clock=clock)
    session.refresh()
    clock.now += 1
    for each in source.held.values():
        each["hits"] = 1000
    session.refresh()
    assert [line.cost for line in session.lines] == pytest.approx([1000 * 10e-9, 1000 * 100e-9])


def test_details_of_what_waits_and_of_what_was_refused():
    live.instrument("wave:open")
    with pytest.raises(LookupError):
        live.instrument("json:nothing")
    session = Session(Local())
    shown = []
    for path in ("wave:open", "json:nothing"):
        session.details(path, shown.append).result(WAIT)
    session.answers()
    assert [(each["row"]["state"], each["before"], each["after"]) for each in shown] == [
        ("pending", "", None),
        ("refused", "", None),
    ]
    assert "nothing" in shown[1]["row"]["error"]["text"]
    for ask in (session.details, session.profile):
        with pytest.raises(LookupError):
            ask("sunau:open", *([0.0] * (ask == session.profile)), shown.append).result(WAIT)
        session.answers()
        assert session.messages.pop() == ("error", "failed: sunau is not imported")


def test_what_is_told_wakes_the_screen():
    session = Session(Scripted())
    woken = []
    session.wake = lambda: woken.append(session.answers())
    thread = threading.Thread(target=session.tell, args=["it has changed"])
    thread.start()
    thread.join(WAIT)
    assert woken == [True]
    assert list(session.messages) == [("info", "it has changed")]


def test_history_is_of_thirty_seconds():
    source = Scripted(f=0)
    session, clock = session_of(source)
    for n in range(50):
        source.set("f", n)
        session.refresh()
        clock.now += 1
    assert len(session.lines[0].history) == 30


def test_pause_and_frames_on_old_code():
    source = Scripted(f=0)
    session, _ = session_of(source)
    session.refresh()
    source.set("f", 5)
    session.pause()
    assert session.refresh() is False
    assert session.lines[0].hits == 0
    session.pause()
    source.set("f", 5, in_flight=2)
    session.instrument("app.orders:f")
    session.refresh()
    assert session.messages[-1] == ("info", "patched app.orders:f (counter); 2 frames still on old code")
    source.set("f", 5, in_flight=0)
    session.refresh()
    assert session.messages[-1] == ("info", "app.orders:f: 0 frames still on old code")
    count = len(session.messages)
    session.refresh()
    assert len(session.messages) == count


def test_a_program_that_is_gone_is_said_once_and_the_last_table_stays():
    source = Scripted(f=7)
    session, _ = session_of(source)
    session.refresh()

    def gone():
        raise ConnectionResetError("pid 4711 has ended")

    source.poll = gone
    assert session.refresh() is True
    assert (session.gone, session.lines[0].hits) == ("pid 4711 has ended", 7)
    assert session.refresh() is False
    assert list(session.messages) == [("error", "pid 4711 has ended")]


# -- order, filter, cursor


def test_sorting_is_stable_and_the_cursor_stays_on_its_function():
    source = Scripted(b=1, a=1, c=5)
    session, _ = session_of(source)
    session.refresh()
    assert names(session) == ["a", "b", "c"]
    session.select(2)
    session.sort("hits")
    assert (names(session), session.index) == (["c", "b", "a"], 0)
    source.set("a", 9)
    session.refresh()
    assert (names(session), session.line.path, session.index) == (["a", "c", "b"], "app.orders:c", 1)
    session.reverse()
    assert names(session) == ["b", "c", "a"]
    with pytest.raises(ValueError):
        session.sort("nothing")


@pytest.mark.parametrize(
    "column, order",
    [
        ("state", "cab"), ("name", "abc"), ("calls", "acb"), ("hits", "bac"), ("rate", "bac"), ("last", "abc"),
        ("cost", "bac"), ("history", "bac"),
    ],
)  # fmt: skip
def test_the_order_of_each_column(column, order):
    """Names and states begin with the first, numbers with the largest, and what is not known comes last."""
    source = Scripted()
    session, clock = session_of(source)
    for a, b in ((10, 200), (60, 201), (60, 211)):
        source.set("a", a, calls=300)
        source.set("b", b, calls=100)
        source.set("c", 30, calls=200, state="off")
        session.refresh()
        clock.now += 1
    session.sort(column)
    assert "".join(names(session)) == order
    session.reverse()
    assert names(session)[0] == (order[-1] if column != "state" else "a")


def test_going_through_the_columns():
    source = Scripted(a=1, b=2)
    session, _ = session_of(source)
    session.refresh()
    seen = []
    for _ in COLUMNS:
        session.sort_next()
        seen.append(session.column)
    assert sorted(seen) == sorted(COLUMNS)
    column = session.column
    session.sort_next()
    session.sort_next(-1)
    assert session.column == column


def test_frozen_order():
    source = Scripted(a=1, b=2)
    session, _ = session_of(source)
    session.refresh()
    session.sort("hits")
    session.freeze_order()
    source.set("a", 10)
    source.set("new", 99)
    session.refresh()
    assert names(session) == ["b", "a", "new"]
    session.freeze_order()
    assert names(session) == ["new", "a", "b"]


def test_filter_and_cursor_of_what_is_hidden():
    source = Scripted(alpha=1, beta=2, alphabet=3)
    session, _ = session_of(source)
    session.refresh()
    session.select(2)
    session.set_filter("ALPHA")
    assert (names(session), session.line.path) == (["alpha", "alphabet"], "app.orders:alphabet")
    session.set_filter("nothing")
    assert (session.lines, session.selected, session.line, session.index) == ([], None, None, None)
    session.move(1)
    session.set_filter("")
    assert session.count == 3 and session.line is not None


def test_cursor_stays_within():
    session, _ = session_of(Scripted(a=1, b=1, c=1))
    session.refresh()
    session.move(-5)
    assert session.index == 0
    session.move(100)
    assert session.index == 2


def test_speed():
    session, _ = session_of(Scripted())
    seen = []
    for change in [session.faster] * 4 + [session.slower] * 6:
        change()
        seen.append(session.hz)
    assert seen == [5, 10, 20, 20, 10, 5, 4, 2, 1, 1]


# -- typed lines


def test_commands():
    source = Scripted(f=1)
    session, _ = session_of(source)
    session.refresh()
    assert session.command("  app.orders:f ") is None
    assert session.command("hook app.orders:f") is None
    assert session.command("") is None
    assert (session.command("list"), session.command("quit")) == ("list", "quit")
    assert session.command("list *f*") == "list" and session.filter == "f"
    assert source.orders == [("instrument", "app.orders:f", mode) for mode in ("counter", "hook")]
    assert session.commands == ["app.orders:f", "hook app.orders:f", "list", "quit", "list *f*"]
    session.command("what is this")
    assert session.messages[-1][0] == "error"


def test_unknown_path_brings_the_nearest_ones():
    session, _ = session_of(Scripted(checkout=1, total=1))
    session.refresh()
    session.command("app.orders:chekout")
    session.answers()
    level, text = session.messages[-1]
    assert level == "error" and "refused (not_found)" in text
    assert "did you mean app.orders:checkout" in text


def test_nearest_paths():
    known = ["app.orders:Cart.add", "app.orders:checkout", "app.orders:total", "app.users:total", "b:f"]
    assert did_you_mean("total", known) == "; did you mean app.orders:total, app.users:total?"
    assert did_you_mean("Cart.add", known) == "; did you mean app.orders:Cart.add?"
    assert did_you_mean("app.orders:chekout", known).startswith("; did you mean app.orders:checkout")
    assert did_you_mean("app.orders:x", known).count(":") == 3
    assert did_you_mean("nothing of it", known) == ""


def test_completion():
    source = Scripted(checkout=1, check=1, total=1)
    source.held["app.orders:total"]["path"] = "app.users:Total.of"
    session, _ = session_of(source)
    session.refresh()
    assert session.complete("a") == ["app.orders:", "app.users:"]
    assert session.complete("app.u") == ["app.users:Total.of"]
    assert session.complete("hook app.orders:c") == ["hook app.orders:check", "hook app.orders:checkout"]
    assert session.complete("nothing") == []


def test_snapshot_is_json():
    session, _ = session_of(Scripted(f=3))
    session.refresh()
    found = json.loads(json.dumps(session.snapshot()))
    assert set(found) == {"v", "pid", "start", "python", "time", "session", "hz", "rows", "totals"}
    assert (found["start"], found["session"]) == (1.0, "of the agent")
    assert (found["v"], found["pid"], found["totals"]) == (1, 4711, {"on": 1, "pending": 0, "refused": 0, "hits": 3})


# -- in this process


@pytest.fixture
def app(make):
    return make("def f():\n    return sum(range(3))\n\ndef numbers():\n    yield 1\n    yield 2\n")


@pytest.fixture
def session():
    session = Session(Local())
    yield session
    session.close()


def after(session, *futures):
    for future in futures:
        future.exception(WAIT)
    session.refresh()
    return [text for _, text in session.messages]


def test_local_orders(app, session):
    path, original = f"{app.__name__}:f", app.f.__code__
    assert after(session, session.instrument(path)) == [f"patched {path} (counter); 0 frames still on old code"]
    app.f()
    session.refresh()
    assert [(line.hits, line.state) for line in session.lines if line.path == path] == [(1, "on")]
    assert after(session, session.restore(path))[-1] == f"restored {path}"
    assert app.f.__code__ is original
    after(session, session.instrument(path, "hook"))
    assert after(session, session.restore_all())[-1] == "restored 1 function"
    assert "is not instrumented" in after(session, session.restore("json:loads"))[-1]
    assert "refused (not_python)" in after(session, session.instrument("math:sin"))[-1]
    assert "pending" in after(session, session.instrument("no_such_module_yet:f"))[-1]


def test_a_session_restores_what_it_has_instrumented_and_no_more(app):
    mine, path = live.instrument(f"{app.__name__}:numbers"), f"{app.__name__}:f"
    session = Session(Local())
    after(session, session.instrument(path), session.instrument(mine.path))
    session.close()
    assert (mine.state, live.instrument(mine.path).state) == ("on", "on")
    assert [row["state"] for row in live.list(path)] == ["off"]
    after(session, session.instrument(path))
    session.close(keep=True)
    assert [row["state"] for row in live.list(path)] == ["on"]


def test_generators_on_old_code_are_counted_down(app, session):
    running = app.numbers()
    next(running)
    path = f"{app.__name__}:numbers"
    assert after(session, session.instrument(path)) == [f"patched {path} (counter); 1 frame still on old code"]
    running.close()
    session.refresh()
    assert session.messages[-1] == ("info", f"{path}: 0 frames still on old code")


def test_details(app, session):
    path, shown = f"{app.__name__}:f", []
    after(session, session.details(path, shown.append))
    assert (shown[0]["row"]["state"], shown[0]["after"]) == ("off", None)
    assert "sum" in shown[0]["before"]
    after(session, session.instrument(path))
    after(session, session.details(path, shown.append))
    assert shown[1]["before"] == shown[0]["before"]
    assert path in shown[1]["after"] and "UNARY_INVERT" in shown[1]["after"]


def test_profiling_of_one_function(app, session):
    path, original, shown = f"{app.__name__}:f", app.f.__code__, []
    future = session.profile(path, 0, shown.append)
    assert after(session, future) == [f"profiling {path}: runs of 0 ms and more"]
    app.f()
    session.answers()
    assert len(shown) == 1 and "sum(range(3))" in shown[0]
    future.result()()
    assert app.f.__code__ is original
