"""The decorator: its forms, options and refusals, and what it leaves on the object it is put on."""

from __future__ import annotations

import functools
import inspect
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import counts_of

import recompyle
from recompyle import flat_profile, profile, shallow_call_profiler
from recompyle.errors import NotRewritable, RecompyleError, SourceMismatch, SourceNotFound, TargetNotFound
from recompyle.patch import builds
from recompyle.profile import delivery
from recompyle.profile.limits import DEFAULT_LIMIT_NS


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    builds._kept.clear()  # what is kept for closures to come
    yield
    recompyle.restore()


def g(x: Any = None) -> Any:
    return x


def limit_of(function: Any) -> int:
    name = f"{function.__module__}:{function.__qualname__}"
    (entry,) = [each for each in profile.stats() if each.function == name]
    return entry.limit_ns


def without_source(text: str = "def f(x=1):\n    return str(x)") -> Any:
    names: dict[str, Any] = {"__name__": "generated"}
    exec(text, names)
    return names["f"]


# -- forms -------------------------------------------------------------------------------------------------

FORMS = {
    "bare": (shallow_call_profiler, DEFAULT_LIMIT_NS),
    "empty": (shallow_call_profiler(), DEFAULT_LIMIT_NS),
    "text": (shallow_call_profiler("300ms"), 300_000_000),
    "number": (shallow_call_profiler(0.3), 300_000_000),
    "whole number": (shallow_call_profiler(2), 2_000_000_000),
    "none": (shallow_call_profiler(None), DEFAULT_LIMIT_NS),
    "keyword": (shallow_call_profiler(time_limit="1.5s"), 1_500_000_000),
    "never": (shallow_call_profiler(-1), -1),
    "other option": (shallow_call_profiler(top=5), DEFAULT_LIMIT_NS),
    "other name": (flat_profile("2min"), 120_000_000_000),
}


@pytest.mark.parametrize(("form", "limit"), FORMS.values(), ids=FORMS)
def test_forms(form: Any, limit: int) -> None:
    def f(x: int) -> str:
        return str(x)

    before = f.__code__
    assert form(f) is f
    assert f.__code__ is not before
    assert f(1) == "1"
    assert limit_of(f) == limit


def test_one_decorator_for_several_functions() -> None:
    decorate = shallow_call_profiler("1s")

    @decorate
    def a() -> Any:
        return g(1)

    @decorate
    def b() -> Any:
        return g(2)

    assert (a(), b()) == (1, 2)
    assert (limit_of(a), limit_of(b)) == (1_000_000_000, 1_000_000_000)


def test_as_a_call_with_options() -> None:
    def f() -> Any:
        return g(1)

    assert shallow_call_profiler(f, time_limit="4s") is f
    assert f() == 1
    assert limit_of(f) == 4_000_000_000


def test_old_names() -> None:
    got: list[Any] = []

    @shallow_call_profiler(0, above_callback=got.append, blacklist=["str"], ignore_builtins=False)
    def f() -> Any:
        return str(len(g("ab")))

    @shallow_call_profiler(0, above_callback=got.append, whitelist=["g"])
    def h() -> Any:
        return str(len(g("ab")))

    @shallow_call_profiler(0, above_callback=got.append, ignore_builtins=True)
    def i() -> Any:
        return str(len(g("ab")))

    assert (f(), h(), i()) == ("2", "2", "2")
    assert [counts_of(report) for report in got] == [
        {'len(g("ab"))': 1, 'g("ab")': 1},
        {'g("ab")': 1},
        {'g("ab")': 1},
    ]


def test_signature_and_names_stay() -> None:
    def f(a: int, /, b: str = "x", *c: float, d: bytes, **e: Any) -> None:
        """Says nothing."""
        g()

    before = (
        inspect.signature(f),
        f.__name__,
        f.__qualname__,
        f.__doc__,
        f.__module__,
        dict(vars(f)),
        f.__defaults__,
    )
    shallow_call_profiler(f)
    after = (
        inspect.signature(f),
        f.__name__,
        f.__qualname__,
        f.__doc__,
        f.__module__,
        dict(vars(f)),
        f.__defaults__,
    )
    assert after == before


# -- decorated again ---------------------------------------------------------------------------------------


def probes_in(function: Any) -> int:
    return sum(type(each).__module__.startswith("recompyle") for each in function.__code__.co_consts)


def test_decorated_twice_is_one_set_of_probes_with_the_new_options() -> None:
    first: list[Any] = []
    second: list[Any] = []

    @shallow_call_profiler(0, above_callback=first.append, top=1)
    def f() -> Any:
        return g(g(1))

    probes = probes_in(f)
    assert shallow_call_profiler(above_callback=second.append)(f) is f
    assert probes_in(f) == probes
    f()
    assert (len(first), len(second)) == (0, 1)
    # What was not given again stays.
    assert len(second[0].calls) == 1
    assert second[0].limit_ns == 0


@pytest.mark.parametrize("times", [2, 5])
def test_decorated_again_with_another_limit(times: int) -> None:
    def f() -> Any:
        return g(1)

    for n in range(1, times + 1):
        shallow_call_profiler(n)(f)
    assert limit_of(f) == times * 1_000_000_000
    recompyle.restore(f)
    assert f.__code__ is recompyle.pristine(f)
    assert probes_in(f) == 0


def test_decorated_again_with_a_bad_option_changes_nothing() -> None:
    @shallow_call_profiler("3s")
    def f() -> Any:
        return g(1)

    code = f.__code__
    for bad in ({"top": -1}, {"time_limit": "soon"}, {"above_callback": None, "below_callback": None}):
        with pytest.raises(ValueError):
            shallow_call_profiler(**bad)(f)
    assert f.__code__ is code
    assert limit_of(f) == 3_000_000_000


def test_callbacks_that_are_both_none_only_together_change_nothing() -> None:
    """The second call is right by itself; with what the first one gave it is not."""

    @shallow_call_profiler("3s", above_callback=None, below_callback=g)
    def f() -> Any:
        return g(1)

    code = f.__code__
    with pytest.raises(ValueError, match="cannot both be None"):
        shallow_call_profiler(below_callback=None)(f)
    assert f.__code__ is code
    assert limit_of(f) == 3_000_000_000


def test_decorated_after_a_restore() -> None:
    got: list[Any] = []

    @shallow_call_profiler(0, above_callback=got.append)
    def f() -> Any:
        return g(1)

    recompyle.restore(f)
    f()
    assert got == []
    shallow_call_profiler()(f)
    f()
    assert len(got) == 1


# -- classes and other decorators --------------------------------------------------------------------------


def test_class_needs_the_word_methods() -> None:
    class C:
        def m(self) -> Any:
            return g(1)

    with pytest.raises(TypeError, match="methods=True"):
        shallow_call_profiler(C)
    with pytest.raises(TypeError, match="methods=True"):
        shallow_call_profiler("1s")(C)


def test_methods_of_a_class() -> None:
    got: list[Any] = []

    class Base:
        def inherited(self) -> Any:
            return g(0)

    @shallow_call_profiler(0, methods=True, above_callback=got.append)
    class C(Base):
        x = 1
        foreign = staticmethod(inspect.cleandoc)

        class Inner:
            def m(self) -> Any:
                return g("inner")

        def m(self) -> Any:
            return g(1)

        @staticmethod
        def s() -> Any:
            return g(2)

        @classmethod
        def c(cls) -> Any:
            return g(3)

        @property
        def p(self) -> Any:
            return g(4)

        @p.setter
        def p(self, value: Any) -> None:
            g(value)

        @functools.cached_property
        def cached(self) -> Any:
            return g(5)

        bound = functools.partialmethod(m)

    assert isinstance(C, type)
    made = C()
    assert [made.m(), C.s(), C.c(), made.p, made.cached, made.bound()] == [1, 2, 3, 4, 5, 1]
    made.p = 6
    assert (made.inherited(), C.Inner().m(), C.foreign(" a")) == (0, "inner", "a")
    names = [report.qualname.rpartition(".")[2] for report in got]
    assert names == ["m", "s", "c", "p", "cached", "m", "p"]
    assert inspect.cleandoc.__code__ is recompyle.pristine(inspect.cleandoc)


def retry(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


ORDERS = {
    "above wraps": lambda f, profiler: profiler(retry(f)),
    "below wraps": lambda f, profiler: retry(profiler(f)),
    "above cache": lambda f, profiler: profiler(functools.lru_cache(f)),
    "below cache": lambda f, profiler: functools.lru_cache(profiler(f)),
    "above two": lambda f, profiler: profiler(retry(retry(f))),
    "partial": lambda f, profiler: profiler(functools.partial(f, 1)),
    "staticmethod": lambda f, profiler: profiler(staticmethod(f)),
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_any_order_of_decorators(order: Any) -> None:
    got: list[Any] = []

    def f(x: Any = 1) -> Any:
        return g(x)

    def profiler(target: Any) -> Any:
        done = shallow_call_profiler(0, above_callback=got.append)(target)
        assert done is target
        return done

    decorated = order(f, profiler)
    assert decorated() == 1
    assert [report.qualname.rpartition(".")[2] for report in got] == ["f"]
    assert [counts_of(report) for report in got] == [{"g(x)": 1}]


# -- switched off ------------------------------------------------------------------------------------------


def test_environment_switches_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def f() -> Any:
        return g(1)

    before = f.__code__
    monkeypatch.setenv("RECOMPYLE", "0")
    assert shallow_call_profiler("1s")(f) is f
    assert f.__code__ is before
    assert f() == 1
    with pytest.raises(ValueError):
        shallow_call_profiler("soon")
    with pytest.raises(TypeError):
        shallow_call_profiler()(len)
    monkeypatch.setenv("RECOMPYLE", "1")
    shallow_call_profiler("1s")(f)
    assert f.__code__ is not before


# -- where nothing can be rewritten ------------------------------------------------------------------------


def test_without_source_calls_are_timed_all_the_same_and_the_log_says_why(caplog: pytest.LogCaptureFixture) -> None:
    got: list[Any] = []
    f = without_source()
    with caplog.at_level(logging.WARNING, "recompyle"):
        assert shallow_call_profiler(0, above_callback=got.append)(f) is f
    assert f() == "1"
    (report,) = got
    assert report.writer == "code"
    assert [(call.kind, call.source, call.count) for call in report.calls] == [("call", "str(...)", 1)]
    assert 0 < report.calls_ns <= report.total_ns
    (record,) = caplog.records
    assert record.name == "recompyle"
    said = "generated:f: calls are timed in the compiled code, rows have no text: no source for f"
    assert said in record.getMessage()


def test_without_source_raised_on_demand() -> None:
    f = without_source()
    before = f.__code__
    with pytest.raises(SourceNotFound, match="no source for f"):
        shallow_call_profiler(on_error="raise")(f)
    assert f.__code__ is before


def test_edited_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "edited.py"
    path.write_text("def f():\n    return str(1)\n")
    names: dict[str, Any] = {"__name__": "edited"}
    exec(compile(path.read_text(), str(path), "exec"), names)
    path.write_text("def f():\n    return str(2)\n")
    f, before = names["f"], names["f"].__code__
    with pytest.raises(SourceMismatch, match="not that of the running code"):
        shallow_call_profiler(on_error="raise")(f)
    assert f.__code__ is before
    got: list[Any] = []
    shallow_call_profiler(0, above_callback=got.append)(f)
    assert f() == "1"
    assert [report.writer for report in got] == ["code"]
    assert "not that of the running code" in caplog.text


def test_mode_total_needs_no_source(caplog: pytest.LogCaptureFixture) -> None:
    got: list[Any] = []
    f = without_source()
    shallow_call_profiler(0, mode="total", on_error="raise", above_callback=got.append)(f)
    assert f() == "1"
    assert [(report.calls, report.own_ns) for report in got] == [((), got[0].total_ns)]
    assert caplog.records == []


# -- details -----------------------------------------------------------------------------------------------


def test_rewrite_details() -> None:
    details: dict[str, Any] = {}

    @shallow_call_profiler("1s", rewrite_details=details)
    def f() -> Any:
        return g(1)

    assert set(details) == {"original_func", "original_source", "new_source"}
    assert details["original_func"] is f
    assert details["original_source"] == inspect.getsource(f)
    assert "@end_0[g(@start_0[1])]" in details["new_source"].replace(" ", "")


def test_rewrite_details_without_source() -> None:
    details: dict[str, Any] = {}
    f = without_source()
    shallow_call_profiler("1s", rewrite_details=details)(f)
    assert f() == "1"
    assert details["original_func"] is f
    assert details["original_source"] == details["new_source"] == ""


# -- bad input ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [float("nan"), float("inf"), "fast", "p101", "0x", "", "5 parsecs", "--1"])
def test_limit_of_no_accepted_form(limit: Any) -> None:
    with pytest.raises(ValueError, match=r"a number of seconds such as 0\.3"):
        shallow_call_profiler(limit)
    with pytest.raises(ValueError):
        shallow_call_profiler(time_limit=limit)
    with pytest.raises(ValueError):
        recompyle.ProfileCalls(limit)


@pytest.mark.parametrize("limit", [True, False])
def test_limit_that_is_a_bool(limit: bool) -> None:
    with pytest.raises(TypeError, match=r"a number of seconds such as 0\.3.*not the bool"):
        shallow_call_profiler(limit)
    with pytest.raises(TypeError):
        recompyle.ProfileCalls(limit)


def test_limit_given_twice() -> None:
    with pytest.raises(TypeError, match="given twice"):
        shallow_call_profiler("1s", time_limit="2s")


@pytest.mark.parametrize(
    "options",
    [
        {"include": ["a"], "exclude": ["b"]},
        {"rate": "sometimes"},
        {"rate": "0/s"},
        {"above_callback": None, "below_callback": None},
        {"always": "0x"},
        {"clock": "sundial"},
        {"mode": "half"},
        {"on_error": "ignore"},
        {"include": [""]},
        {"whitelist": ["a"], "include": ["b"]},
    ],
    ids=str,
)
def test_bad_options(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        shallow_call_profiler(**options)

    def f() -> Any:
        return g(1)

    before = f.__code__
    with pytest.raises(ValueError):
        shallow_call_profiler(f, **options)
    assert f.__code__ is before


def test_unknown_option() -> None:
    with pytest.raises(TypeError, match="unknown option tiem_limit"):
        shallow_call_profiler(tiem_limit=1)


class Callable_:
    def __call__(self) -> Any:
        return g(1)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (len, "built-in function"),
        (str.upper, "method of a C type"),
        (Callable_(), "callable instance of Callable_"),
        (functools.partial(len), "callable instance of partial"),
        (staticmethod(len), "callable instance of staticmethod"),
    ],
    ids=lambda each: str(each)[:30],
)
def test_what_is_no_python_function(target: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words) as caught:
        shallow_call_profiler("1s")(target)
    assert isinstance(caught.value, NotRewritable)


@pytest.mark.parametrize("target", [7, "text", None, [len], {}])
def test_what_is_nothing_to_decorate(target: Any) -> None:
    with pytest.raises(TypeError):
        shallow_call_profiler("1s")(target)


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("no_such_module_anywhere:f", "no_such_module_anywhere"),
        ("json:no_such_name", "no_such_name"),
        ("json.decoder:JSONDecoder.no_such_method", "no_such_method"),
        ("json:__doc__", "__doc__"),
    ],
)
def test_path_that_leads_nowhere(path: str, part: str) -> None:
    with pytest.raises(TargetNotFound, match=part) as caught:
        recompyle.apply(path, recompyle.ProfileCalls("1s"))
    assert isinstance(caught.value, LookupError)
    assert isinstance(caught.value, RecompyleError)


def test_pattern_that_matches_nothing_warns() -> None:
    with pytest.warns(recompyle.RecompyleWarning):
        assert recompyle.apply("json:no_such*", recompyle.ProfileCalls("1s")).functions == []


def test_sink_that_cannot_be_written_is_counted(tmp_path: Path) -> None:
    sinks = delivery.get_sinks()
    before = profile.sink_errors()
    try:
        profile.configure(sinks=[profile.JSONLinesSink(tmp_path / "no such folder" / "slow.jsonl")])

        @shallow_call_profiler(0, rate=None)
        def f() -> Any:
            return g(1)

        assert (f(), f()) == (1, 1)
    finally:
        delivery.set_sinks(sinks)
    assert profile.sink_errors() == before + 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device here is always full")
def test_full_disk_is_counted() -> None:
    sinks = delivery.get_sinks()
    before = profile.sink_errors()
    try:
        profile.configure(sinks=[profile.JSONLinesSink("/dev/full")])

        @shallow_call_profiler(0)
        def f() -> Any:
            return g(1)

        assert f() == 1
    finally:
        delivery.set_sinks(sinks)
    assert profile.sink_errors() == before + 1


def test_exception_that_cannot_be_shown() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise ValueError("no text")

    got: list[Any] = []

    @shallow_call_profiler(0, above_callback=got.append)
    def f() -> None:
        raise Broken

    with pytest.raises(Broken):
        f()
    assert got[0].exception.text == "<str failed: ValueError>"


# -- at the interpreter's end ------------------------------------------------------------------------------

AT_EXIT = """
import atexit, sys, threading
import recompyle

@recompyle.shallow_call_profiler(time_limit=0, rate=None)
def f(x):
    return str(x)

@recompyle.shallow_call_profiler(time_limit=0, below_callback=print)
def steps():
    for n in range(3):
        yield str(n)

class Late:
    @recompyle.shallow_call_profiler(time_limit=0, rate=None)
    def __del__(self):
        str(self)

import logging
logging.basicConfig(level=100)
f(1)
open_generator = steps()
next(open_generator)
late = Late()
late.me = late
sys.late = Late()
atexit.register(f, 2)
thread = threading.Thread(target=f, args=(3,), daemon=True)
thread.start()
thread.join()
print("done")
"""


def test_nothing_is_printed_at_the_interpreters_end(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(AT_EXIT)
    done = subprocess.run(
        [sys.executable, "-X", "dev", str(script)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
