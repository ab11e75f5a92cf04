"""Instrumenting and restoring: states, counts, the original object, and many threads at once."""

import gc
import importlib
import json
import random
import subprocess
import sys
import textwrap
import threading
import weakref

import pytest

import recompyle
from recompyle import NotRewritable, TargetNotFound, live
from recompyle.live import registry, state
from recompyle.live.record import Row
from recompyle.live.source import details_of

WAIT = 30  # seconds; ends a hang only


@pytest.fixture
def app(make):
    return make("""
        def f(x=1):
            return x

        def g():
            return f()

        class C:
            def m(self):
                return self

        def loop(ready, go):
            ready.set()
            go.wait()
            return f()

        def numbers():
            yield 1
            yield 2

        async def waits():
            return 1
    """)


def path(module, name):
    return f"{module.__name__}:{name}"


# -- L7, L8, L12


def test_instrument_counts_and_restore_gives_the_very_code_back(app):
    original = app.f.__code__
    taken_before = app.f
    with live.instrument(path(app, "f")) as handle:
        assert (handle.state, handle.mode, handle.is_instrumented) == ("on", "counter", True)
        assert handle.original_code is original
        assert app.f.__code__ is not original
        assert app.f is taken_before
        assert [taken_before(2), app.g(), app.f()] == [2, 1, 1]
        assert handle.hits == handle.instrumentation_count == 3
    assert app.f.__code__ is original
    assert (handle.state, handle.is_instrumented, handle.original_code) == ("off", False, None)
    app.f()
    assert handle.hits == 3


def test_attributes_of_a_handle(app):
    handle = live.instrument(path(app, "C.m"))
    assert handle.path == path(app, "C.m")
    assert handle.owner == path(app, "C")
    assert (handle.notes, handle.error, handle.aliases) == ([], None, [])
    assert repr(handle) == f"<Handle {handle.path} on: 0 hits>"


def test_row_is_plain_data_with_all_keys(app):
    live.instrument(path(app, "f"))
    row = live.instrument(path(app, "f")).row()
    assert set(row) == set(Row.__annotations__)
    assert json.loads(json.dumps(row)) == row
    assert (row["state"], row["mode"], row["hits"], row["kind"], row["in_flight"], row["engine"]) == (
        "on",
        "counter",
        0,
        "function",
        0,
        "code",
    )
    listed = {each["path"]: each for each in live.list(path(app, "*"))}
    assert listed[path(app, "f")] == row
    assert set(listed[path(app, "g")]) == set(row)


def test_twice_is_once(app):
    first = live.instrument(path(app, "f"))
    code = app.f.__code__
    second = live.instrument(path(app, "f"))
    assert app.f.__code__ is code
    app.f()
    assert first.hits == second.hits == 1
    first.restore()
    first.restore()
    second.restore()
    assert live.restore(path(app, "f")).state == "off"
    assert live.restore(path(app, "g")) is None


def test_states_in_between(app, monkeypatch):
    """While code is exchanged, whoever asks is told so."""
    states = []

    def watched(change):
        def changed(*given, **options):
            states.append(handle.state)
            return change(*given, **options)

        return changed

    handle = live.instrument(path(app, "f"))
    handle.restore()
    monkeypatch.setattr(registry, "_put_on", watched(registry._put_on))
    monkeypatch.setattr(registry.Patch, "restore", watched(registry.Patch.restore))
    live.instrument(path(app, "f"))
    handle.restore()
    assert states == ["applying", "restoring"]


def test_again_after_restore_the_counts_go_on(app):
    handle = live.instrument(path(app, "f"))
    app.f()
    handle.restore()
    app.f()
    live.instrument(path(app, "f"))
    app.f()
    assert handle.hits == 2


def test_restore_by_any_name(make):
    module = make("def f(): pass\ng = f\nclass C:\n    h = f\n")
    original = module.f.__code__
    live.instrument(path(module, "g"))
    assert live.restore(path(module, "C.h")).state == "off"
    assert module.f.__code__ is original


def test_one_function_is_one_row(make):
    module = make("def f(): pass\ng = f\n")
    live.instrument(path(module, "f"))
    live.instrument(path(module, "g"))
    module.g()
    rows = live.list(path(module, "*"))
    assert [(row["path"], row["aliases"], row["hits"]) for row in rows] == [(path(module, "f"), [path(module, "g")], 1)]


def test_refused_is_said_and_stops_nobody(app):
    with pytest.raises(TargetNotFound):
        live.instrument(path(app, "nothing"))
    with pytest.raises(NotRewritable):
        live.instrument("math:sin")
    rows = {row["path"]: row for row in live.list()}
    assert rows[path(app, "nothing")]["state"] == "refused"
    assert rows[path(app, "nothing")]["error"]["slug"] == "not_found"
    assert rows["math:sin"]["error"]["slug"] == "not_python"
    assert live.instrument(path(app, "f")).state == "on"
    live.restore(path(app, "nothing"))
    assert path(app, "nothing") not in {row["path"] for row in live.list()}


def test_recompyle_itself_is_refused():
    with pytest.raises(NotRewritable) as found:
        live.instrument("recompyle.live.registry:Registry.instrument")
    assert found.value.slug == "own_module"


def test_switched_off_by_the_environment(app, monkeypatch):
    monkeypatch.setenv("RECOMPYLE", "0")
    with pytest.raises(NotRewritable) as found:
        live.instrument(path(app, "f"))
    assert found.value.slug == "disabled"


def test_an_audit_hook_may_forbid_it(make):
    program = """
        import sys
        from recompyle import live

        def f(): pass

        def forbid(event, args):
            if event == "recompyle.live.instrument" and args == ("__main__:f",):
                raise PermissionError("no")

        sys.addaudithook(forbid)
        try:
            live.instrument("__main__:f")
        except PermissionError:
            print(f.__code__.co_consts)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    assert done.stdout == "(None,)\n"


def test_foreign_code_is_left_alone(app):
    handle = live.instrument(path(app, "f"))
    other = (lambda x=1: -x).__code__
    app.f.__code__ = other
    assert handle.state == "foreign"
    assert handle.row()["state"] == "foreign"
    handle.restore()
    assert app.f.__code__ is other
    with pytest.warns(recompyle.RecompyleWarning, match="changed by somebody else"):
        again = live.instrument(path(app, "f"))
    assert (again.state, app.f(3), again.original_code) == ("on", -3, other)
    again.restore()
    assert app.f.__code__ is other


def test_failure_inside_is_told(app, monkeypatch):
    monkeypatch.setattr("recompyle.live.registry.edit_for", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        live.instrument(path(app, "f"))
    row = next(row for row in live.list(path(app, "f")))
    assert (row["state"], row["error"]["text"]) == ("failed", "ZeroDivisionError: division by zero")
    monkeypatch.undo()
    assert live.instrument(path(app, "f")).state == "on"


def test_a_change_of_mode_that_fails_changes_nothing(app, monkeypatch):
    original = app.f.__code__
    handle = live.instrument(path(app, "f"))
    monkeypatch.setattr("recompyle.live.registry.edit_for", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        live.instrument(path(app, "f"), mode="hook")
    app.f()
    assert (handle.state, handle.mode, handle.hits) == ("on", "counter", 1)
    handle.restore()
    assert app.f.__code__ is original


def test_foreign_code_that_is_refused_stays_foreign(app, monkeypatch):
    handle = live.instrument(path(app, "f"))
    app.f.__code__ = (lambda x=1: -x).__code__

    def refuse(*args):
        raise recompyle.NotRewritable("not this one", "no")

    monkeypatch.setattr("recompyle.live.registry.edit_for", refuse)
    with pytest.raises(recompyle.NotRewritable):
        live.instrument(path(app, "f"))
    assert handle.state == "foreign"
    handle.restore()
    assert handle.state == "off"


# -- L3: pending


def test_a_path_into_a_module_not_imported_waits(make):
    name = make("EARLY = 1\ndef f(): return 1\nRESULT = f()\n", load=False)
    before = list(sys.meta_path)
    handle = live.instrument(f"{name}:f")
    assert (handle.state, handle.path, name in sys.modules) == ("pending", f"{name}:f", False)
    assert live.list(f"{name}:f")[0]["state"] == "pending"
    module = importlib.import_module(name)
    assert handle.state == "on"
    assert sys.meta_path == before
    module.f()
    assert handle.hits == 1  # what ran during the import ran as written
    assert type(module.__spec__.loader).__module__ == "_frozen_importlib_external"


def test_restore_while_pending_cancels(make):
    name = make("def f(): pass", load=False)
    before = list(sys.meta_path)
    handle = live.instrument(f"{name}:f")
    live.restore(f"{name}:f")
    assert (handle.state, sys.meta_path) == ("off", before)
    module = importlib.import_module(name)
    module.f()
    assert (handle.state, handle.hits) == ("off", 0)


def test_one_bad_path_does_not_keep_the_others_waiting(make):
    name = make("def f(): pass\nclass C:\n    def m(self): pass\ng = f\n", load=False)
    handles = [live.instrument(f"{name}:{each}") for each in ("f", "nothing", "C.m", "g")]
    importlib.import_module(name)
    assert [handle.state for handle in handles] == ["on", "refused", "on", "on"]
    assert handles[3].path == f"{name}:f"
    assert handles[1].error["slug"] == "not_found"


def test_pending_in_hook_mode(make):
    name, seen = make("def f(): pass", load=False), []
    live.instrument(f"{name}:f", seen.append)
    importlib.import_module(name).f()
    assert seen == [f"{name}:f"]


def test_pending_in_a_package(make):
    name = make("def f(): pass", "parcel.inner", load=False)
    handle = live.instrument("parcel.inner:f")
    importlib.import_module("parcel")
    assert handle.state == "pending"
    importlib.import_module(name)
    assert handle.state == "on"


def test_a_module_that_fails_to_import_leaves_it_pending(make):
    name = make("def f(): pass\nraise OSError\n", load=False)
    handle = live.instrument(f"{name}:f")
    with pytest.raises(OSError):
        importlib.import_module(name)
    assert handle.state == "pending"


def test_import_is_done_where_allowed(make):
    name = make("def f(): pass", load=False)
    assert live.instrument(f"{name}:f", allow_import=True).state == "on"
    with pytest.raises(ModuleNotFoundError):
        live.instrument("there_is.no_such_module:f", allow_import=True)


def test_pending_in_a_program_started_as_a_module(make, tmp_path):
    make("def f(): pass", "started.part", load=False)
    make(
        """
        from recompyle import live
        handle = live.instrument("started.part:f")
        assert handle.state == "pending"
        from started import part
        part.f()
        print(handle.state, handle.hits)
        """,
        "started.__main__",
        load=False,
    )
    done = subprocess.run([sys.executable, "-m", "started"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "on 1\n"


# -- L9, L10


def test_a_freed_function_is_forgotten(make):
    module = make("def f(): pass")
    handle = live.instrument(path(module, "f"))
    gone, name = weakref.ref(module.f), handle.path
    del module.f
    assert gone() is None, "an instrumented function that nobody else holds is freed at once"
    assert name not in {row["path"] for row in live.list()}
    assert state.registry.find(name) is None
    handle.restore()


def test_a_function_defined_anew_is_another_one(make):
    module = make("def f(): return 1")
    first = live.instrument(path(module, "f"))
    old = module.f
    exec("def f(): return 2", vars(module))
    second = live.instrument(path(module, "f"))
    assert (module.f(), old(), first.hits, second.hits) == (2, 1, 1, 1)
    live.restore(path(module, "f"))
    assert (first.state, second.state) == ("on", "off"), "the one that the path leads to"


def test_counter_of_the_program_is_shown_and_never_invented(app):
    calls = {"n": 7}
    handle = live.instrument(path(app, "f"))
    assert handle.call_count is None and handle.row()["calls"] is None
    live.counter(path(app, "f"), lambda: calls["n"])
    assert handle.call_count == handle.row()["calls"] == 7
    live.counter(path(app, "f"), lambda: 1 / 0)
    assert handle.call_count is None
    live.counter(path(app, "f"), None)
    assert handle.call_count is None
    with pytest.raises(TypeError):
        live.counter(path(app, "f"), 7)


def test_the_lock_is_free_while_user_code_runs(app):
    """From a hook and from a counter the registry can be used, in another thread too."""
    done = []

    def use(*_):
        other = threading.Thread(target=lambda: done.append([row["path"] for row in live.list(path(app, "g"))]))
        other.start()
        other.join(WAIT)
        live.instrument(path(app, "g"))
        return 1

    live.instrument(path(app, "f"), use)
    app.f()
    assert done == [[path(app, "g")]]
    live.counter(path(app, "f"), use)
    live.list(path(app, "f"))
    assert done == [[path(app, "g")]] * 2


def test_the_lock_is_free_while_a_module_is_imported(make):
    """The module's own code may use live instrumentation, in another thread too."""
    name = make(
        f"""
        import textwrap, threading
        from recompyle import live

        def f():
            return 1

        def use():
            with live.instrument("textwrap:dedent"):
                done.append(live.list("textwrap:dedent")[0]["state"])

        done = []
        other = threading.Thread(target=use)
        other.start()
        other.join({WAIT})
        """,
        load=False,
    )
    assert live.instrument(f"{name}:f", allow_import=True).state == "on"
    assert sys.modules[name].done == ["on"]


# -- L13


def test_calls_in_flight_end_in_the_old_code_and_are_counted(app):
    ready, go = threading.Event(), threading.Event()
    thread = threading.Thread(target=app.loop, args=(ready, go))
    thread.start()
    assert ready.wait(WAIT)
    handle = live.instrument(path(app, "loop"))
    assert (handle.in_flight(), handle.row()["in_flight"], handle.hits) == (1, 1, 0)
    go.set()
    thread.join(WAIT)
    assert (handle.in_flight(), handle.row()["in_flight"], handle.hits) == (0, 0, 0)


def test_suspended_generators_are_found(app):
    running = app.numbers()
    next(running)
    handle = live.instrument(path(app, "numbers"))
    assert handle.row()["in_flight"] is None, "nobody has looked yet"
    assert handle.in_flight() == handle.row()["in_flight"] == 1
    later = app.numbers()
    next(later)
    assert (handle.in_flight(), handle.hits) == (1, 1)
    running.close()
    assert handle.in_flight() == 0


def test_after_restore_frames_in_the_instrumented_code_are_counted(app):
    handle = live.instrument(path(app, "numbers"))
    running = app.numbers()
    next(running)
    handle.restore()
    assert handle.in_flight() == 1
    del running
    assert handle.in_flight() == 0


def test_started_bodies_are_counted(app):
    with live.instrument(path(app, "numbers")) as numbers, live.instrument(path(app, "waits")) as waits:
        unstarted, coroutine = app.numbers(), app.waits()
        assert (numbers.hits, waits.hits) == (0, 0)
        assert list(unstarted) == [1, 2]
        with pytest.raises(StopIteration):
            coroutine.send(None)
        assert (numbers.hits, waits.hits) == (1, 1)


def test_objects_made_are_counted(app):
    with live.instrument(path(app, "numbers"), created=True) as numbers:
        unstarted = app.numbers()
        assert (numbers.hits, list(unstarted), list(app.numbers()), numbers.hits) == (1, [1, 2], [1, 2], 2)
        live.instrument(path(app, "numbers"))
        app.numbers()
        assert numbers.hits == 2
    with pytest.raises(NotRewritable) as found:
        live.instrument(path(app, "f"), created=True)
    assert found.value.slug == "no_such_site"
    with pytest.raises(ValueError, match="only counted"):
        live.instrument(path(app, "numbers"), print, created=True)


# -- closures


def test_closures_made_from_now_on(make):
    module = make("""
        def outer(n):
            def inner():
                return n
            return inner
    """)
    before = module.outer(1)
    original = module.outer.__code__
    handle = live.instrument(path(module, "outer.<locals>.inner"))
    after = module.outer(2)
    assert (before(), after(), handle.hits, handle.row()["kind"]) == (1, 2, 1, "closure")
    handle.restore()
    assert module.outer.__code__ is original
    assert (after(), module.outer(3)(), handle.hits) == (2, 3, 1)


def test_details_of_a_closure(make):
    module = make("""
        def outer():
            def inner():
                pass
            return inner
        """)
    found = path(module, "outer.<locals>.inner")
    with live.instrument(found):
        module.outer()()
        shown = details_of(found)
        assert (shown["row"]["state"], shown["row"]["hits"]) == ("on", 1)
        assert shown["after"] not in (None, shown["before"])
    assert details_of(found)["after"] is None


def test_closures_made_before(make):
    module = make("""
        def outer(n):
            def inner():
                return n
            return inner
    """)
    before = module.outer(1)
    original = before.__code__
    handle = live.instrument(path(module, "outer.<locals>.inner"), live=True)
    assert (before(), module.outer(2)(), handle.hits) == (1, 2, 2)
    handle.restore()
    assert before.__code__ is original
    live.instrument(path(module, "outer.<locals>.inner"))
    assert (before(), module.outer(2)(), handle.hits) == (1, 2, 3)


# -- together with other patches


def test_stacks_with_other_patches_in_any_order(app):
    original = app.f.__code__
    for seed in range(24):
        choice = random.Random(seed)
        handle = live.instrument(path(app, "f"))
        before = handle.hits
        seen = []
        undo = [handle.restore, recompyle.apply(app.f, recompyle.ProfileCalls(0, above_callback=seen.append)).restore]
        undo.append(recompyle.apply(app.f, recompyle.Statements(recompyle.Counter())).restore)
        app.f()
        assert (handle.hits - before, len(seen)) == (1, 1)
        choice.shuffle(undo)
        for each in undo:
            assert app.f.__code__ is not original
            each()
        assert app.f.__code__ is original


def test_instrumented_under_a_profiler(app):
    with recompyle.apply(app.f, recompyle.ProfileCalls(-1)):
        with live.instrument(path(app, "f")) as handle:
            app.f()
        assert handle.hits == 1
        assert handle.state == "off"


# -- L20


def test_many_threads_instrument_and_restore_while_others_call(app):
    """Whatever the order, nothing fails, no call is wrong, and in the end all is as it was."""
    original = app.f.__code__, app.g.__code__
    stop, wrong = threading.Event(), []

    def call():
        while not stop.is_set():
            if app.f(3) != 3 or app.g() != 1:
                wrong.append("result")

    def change(seed):
        choice = random.Random(seed)
        try:
            for _ in range(50):
                choice.choice(
                    [
                        lambda name: live.instrument(name),
                        lambda name: live.instrument(name, lambda _: None),
                        live.restore,
                        live.list,
                        lambda _: live.restore_all(),
                    ]
                )(path(app, choice.choice("fg")))
        except BaseException as error:
            wrong.append(error)

    callers = [threading.Thread(target=call) for _ in range(3)]
    changers = [threading.Thread(target=change, args=(seed,)) for seed in range(4)]
    for thread in callers + changers:
        thread.start()
    for thread in changers:
        thread.join(WAIT)
    stop.set()
    for thread in callers:
        thread.join(WAIT)
    assert wrong == []
    live.restore_all()
    assert (app.f.__code__, app.g.__code__) == original


def test_holders(app):
    registry = state.registry
    one = registry.instrument(path(app, "f"), holder="one")
    assert registry.instrument(path(app, "f"), holder="two") is one
    registry.restore(one, "one")
    assert one.state == "on"
    registry.restore(one, "nobody")
    assert one.state == "on"
    assert registry.restore_all("two") == [one]
    assert one.state == "off"
    registry.instrument(path(app, "f"), holder="one")
    registry.restore(one)
    assert (one.state, one.holders) == ("off", set())


def test_orders_of_the_worker_are_done_in_order():
    seen = []
    futures = [state.worker.submit(lambda n=n: seen.append((n, threading.current_thread().name))) for n in range(50)]
    for future in futures:
        future.result(WAIT)
    assert seen == [(n, "recompyle live") for n in range(50)]
    failing = state.worker.submit(lambda: 1 / 0)
    assert isinstance(failing.exception(WAIT), ZeroDivisionError)


def test_no_growth(app):
    """Records, slots and code objects of many cycles do not pile up."""
    live.instrument(path(app, "f")).restore()
    index = live.instrument(path(app, "g")).row()["slot"]
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(2000):
        live.instrument(path(app, "f")).restore()
    assert len(gc.get_objects()) - before < 200
    assert live.instrument(path(app, "C.m")).row()["slot"] <= index + 64
