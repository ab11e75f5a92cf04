"""`tracefunc`: what a line is, when it is looked at, what is recorded of it."""

import asyncio
import doctest
import functools
import gc
import json.decoder
import linecache
import os
import re
import signal
import sys
import textwrap
import threading
import weakref
import zipfile

import pytest

from recompyle import SourceNotFound, shallow_call_profiler, tracefunc
from recompyle.rewrite import engine
from recompyle.trace.passes import TraceStatements
from recompyle.trace.probes import Tracer
from recompyle.trace.run import Tracing


def lines_of(results, call=0):
    return {snippet: hits for snippet, (hits, _) in results[call][1].items()}


def shown(trace):
    """As the examples print it, without addresses."""
    return {
        snippet: (hits, {k: [(kind, re.sub(r" at 0x\w+", "", text)) for kind, text in v] for k, v in names.items()})
        for snippet, (hits, names) in trace.items()
    }


def demo(n):
    total = 0
    for i in range(n): total += i
    return total


def one_liner(): x = 1; y = 2; return x + y


def target(x):
    return x + 1


def another(x): return target(x)


def wrapper(n):
    out = []
    for i in range(n): out.append(target(i))
    out.append(another(10))
    return out


def outer(x):
    def inner(y):
        return x + y
    return inner(5)


def first_line(function):
    return function.__code__.co_firstlineno


def test_simple_example():
    results = tracefunc(demo, 3, target_func=demo)
    stack, trace = results[0]
    assert stack == f"demo (test_rules.py:{first_line(demo)})"
    assert list(trace.items()) == [
        ("total = 0", (1, {"total": [("int", "0")]})),
        ("for i in range(n):", (4, {
            "i": [("int", "0"), ("int", "1"), ("int", "2"), ("int", "2")],
            "n": [("int", "3")] * 4,
            "range": [("type", "<class 'range'>")] * 4,
        })),
        ("total += i", (3, {
            "i": [("int", "0"), ("int", "1"), ("int", "2")],
            "total": [("int", "0"), ("int", "1"), ("int", "3")],
        })),
        ("return total", (1, {"total": [("int", "3")]})),
    ]
    assert (results.result, results.exc, results.calls) == (3, None, 1)


def test_statements_joined_by_semicolons():
    assert tracefunc(one_liner)[0] == ("", {
        "x = 1": (1, {"x": [("int", "1")]}),
        "y = 2": (1, {"y": [("int", "2")]}),
        "return x + y": (1, {"x": [("int", "1")], "y": [("int", "2")]}),
    })


def test_target_and_stacks():
    results = tracefunc(wrapper, 2, target_func=target)
    start, place = first_line(wrapper), f"target (test_rules.py:{first_line(target)})"
    assert [stack for stack, _ in results] == [
        f"wrapper (test_rules.py:{start + 2})\n{place}",
        f"wrapper (test_rules.py:{start + 2})\n{place}",
        f"wrapper (test_rules.py:{start + 3})\nanother (test_rules.py:{first_line(another)})\n{place}",
    ]
    assert [trace["return x + 1"][1]["x"][0][1] for _, trace in results] == ["0", "1", "10"]


def test_functions_inside_the_target():
    _, trace = tracefunc(outer, 10)[0]
    assert shown(trace) == {
        "def inner(y):": (1, {"inner": [("function", "<function outer.<locals>.inner>")]}),
        "return x + y": (1, {"x": [("int", "10")], "y": [("int", "5")]}),
        "return inner(5)": (1, {"inner": [("function", "<function outer.<locals>.inner>")]}),
    }


def defining(a):
    class Made:
        size = a

        def grown(self, by):
            return self.size + by
    made = Made()
    return made.grown(2), made.grown


def test_classes_inside_the_target():
    results = tracefunc(defining, 1)
    assert results.result[1](5) == 6  # after the traced call: nobody's
    assert lines_of(results) == {
        "class Made:": 1, "size = a": 1, "def grown(self, by):": 1, "return self.size + by": 1, "made = Made()": 1,
        "return made.grown(2), made.grown": 1,
    }
    assert results[0][1]["size = a"][1] == {"a": [("int", "1")], "size": [("int", "1")]}


def factorial(n):
    if n < 2:
        return 1
    return n * factorial(n - 1)


def test_each_call_of_a_recursion_is_an_entry_outermost_first():
    code = factorial.__code__
    results = tracefunc(factorial, 15)
    assert results.calls == 15 and len(results) == 10
    assert [trace["if n < 2:"][1]["n"] for _, trace in results] == [[("int", str(15 - i))] for i in range(10)]
    assert results.result == factorial(15)
    assert factorial.__code__ is code


class Counted:
    """Counts how often it is asked for its text."""

    def __init__(self):
        self.asked = 0

    def __repr__(self):
        self.asked += 1
        return "counted"


def look_at(thing, n):
    for _ in range(n):
        thing = thing
    return thing


def test_calls_past_the_cap_are_only_counted():
    recorded, past = Counted(), Counted()

    def run():
        look_at(recorded, 3)
        for _ in range(5):
            look_at(past, 3)

    results = tracefunc(run, target_func=look_at, max_calls=1)
    assert (len(results), results.calls) == (1, 6)
    assert lines_of(results)["thing = thing"] == 3
    assert recorded.asked == 4 and past.asked == 0
    nothing = tracefunc(look_at, past, 3, max_calls=0)
    assert (nothing, nothing.calls, past.asked) == ([], 1, 0) and nothing.result is past


def test_hits_past_the_samples_are_only_counted():
    thing = Counted()
    results = tracefunc(look_at, thing, 1000, max_samples=2)
    assert lines_of(results) == {"for _ in range(n):": 1001, "thing = thing": 1000, "return thing": 1}
    assert thing.asked == 3
    results = tracefunc(look_at, thing, 3, max_samples=0)
    assert results[0][1]["thing = thing"] == (3, {}) and thing.asked == 3


def test_what_is_kept_does_not_grow_with_the_loop():
    def size(results):
        samples = [held for _, trace in results for _, names in trace.values() for held in names.values()]
        return len(results), len(samples), sum(map(len, samples))

    assert size(tracefunc(demo, 100)) == size(tracefunc(demo, 100_000))


class Shop:
    def method(self, a):
        return a + 1

    @classmethod
    def by_class(cls, a):
        return a + 2

    @staticmethod
    def static(a):
        return a + 3

    @functools.lru_cache
    def cached(self, a):
        return a + 4


@pytest.mark.parametrize("name, said", [("method", 1), ("by_class", 2), ("static", 3), ("cached", 4)])
def test_targets_are_opened(name, said):
    shop = Shop()
    results = tracefunc(lambda: getattr(shop, name)(1), target_func=getattr(Shop, name))
    assert lines_of(results) == {f"return a + {said}": 1}
    assert results.result == 1 + said
    assert f"Shop.{name} (" in results[0][0]


def test_every_function_of_the_code_is_traced():
    def make(n):
        def made(x):
            return x + n
        return made

    one, other = make(1), make(2)
    results = tracefunc(lambda: [one(1), other(1), make(3)(1)], target_func=one)
    assert [trace["return x + n"][1]["n"] for _, trace in results] == [[("int", "1")], [("int", "2")], [("int", "3")]]


def test_equal_code_of_another_file_is_not_traced():
    text = "def f(x):\n    return x\n"
    functions = []
    for name in ("<cell-a>", "<cell-b>"):
        linecache.cache[name] = (len(text), None, text.splitlines(True), name)
        namespace = {}
        exec(compile(text, name, "exec"), namespace)
        functions.append(namespace["f"])
    one, other = functions
    assert one.__code__ == other.__code__
    results = tracefunc(lambda: (one(1), other(2), one(3)), target_func=one)
    assert [trace["return x"][1]["x"] for _, trace in results] == [[("int", "1")], [("int", "3")]]


def flow(xs):
    """A docstring is no statement."""
    y = 3
    while True:
        y -= 1
        if y < 0:
            break
        elif y == 1:
            continue
    for x in xs:  # a comment: it is not part of the key
        try:
            continue
        finally:
            k = x
    else:
        k = 9
    try:
        1 / 0
    except ValueError as e:
        pass
    except (ZeroDivisionError, KeyError) as e:
        y = e
    match xs:
        case []:
            pass
        case [1, b, *_] if b > 0:
            y = b
        case _:
            pass
    match xs:
        case {"a": 1}:
            pass
    with open("/dev/null") as file:
        y = file
    y = 1; y = 1
    return k


def test_hits_of_headers():
    results = tracefunc(flow, [1, 2, 3])
    assert results.exc is None
    assert lines_of(results) == {
        "y = 3": 1, "while True:": 4, "y -= 1": 4, "if y < 0:": 4, "break": 1, "elif y == 1:": 3, "continue": 1,
        "for x in xs:": 4, "try:": 3, "continue ": 3, "k = x": 3, "k = 9": 1,
        "try: ": 1, "1 / 0": 1, "except ValueError as e:": 1, "except (ZeroDivisionError, KeyError) as e:": 1,
        "y = e": 1,
        "match xs:": 1, "case []:": 1, "case [1, b, *_] if b > 0:": 1, "y = b": 1, "match xs: ": 1, 'case {"a": 1}:': 1,
        'with open("/dev/null") as file:': 1, "y = file": 1, "y = 1": 1, "y = 1 ": 1, "return k": 1,
    }
    trace = results[0][1]
    assert trace["for x in xs:"][1]["x"] == [("int", "1"), ("int", "2"), ("int", "3"), ("int", "3")]
    assert trace["except ValueError as e:"][1]["e"] == [("NameError", "<unavailable>")]
    assert trace["except (ZeroDivisionError, KeyError) as e:"][1]["e"][0][0] == "ZeroDivisionError"


def test_lines_never_reached():
    assert "case _:" not in tracefunc(flow, [1, 2])[0][1]
    results = tracefunc(flow, [1, 2], incl_unhit=True)
    assert results[0][1]["case _:"] == (0, {})


def comprehensions(xs):
    a = [x * 2 for x in xs if x > 1]
    b = sum(x for x in xs)
    c = {x: 0 for x in xs}
    d = [[y for y in range(x)] for x in xs]
    e = [x and y or 1 for x in xs for y in xs]
    return a, b, c, d, e, (lambda: [z for z in xs])()


def test_comprehensions_count_their_elements():
    results = tracefunc(comprehensions, [1, 2, 3])
    hits = lines_of(results)
    assert {k: hits[k] for k in hits if " for " in k and " = " not in k and not k.startswith("return")} == {
        "[x * 2 for x in xs if x > 1]": 2, "(x for x in xs)": 3, "{x: 0 for x in xs}": 3,
        "[[y for y in range(x)] for x in xs]": 3, "[y for y in range(x)]": 6,
        "[x and y or 1 for x in xs for y in xs]": 9,
        "[z for z in xs]": 3,
    }
    trace = results[0][1]
    assert trace["[x * 2 for x in xs if x > 1]"][1] == {
        "x": [("int", "2"), ("int", "3")], "xs": [("list", "[1, 2, 3]")] * 2,
    }
    assert trace["(x for x in xs)"][1]["xs"] == [("list", "[1, 2, 3]")] * 3
    assert list(trace["a = [x * 2 for x in xs if x > 1]"][1]) == ["a"]


LIMIT = 7


def naming(thing, key):
    import os.path as path, sys  # noqa: E401, F401, I001
    value = thing.attribute[key].other(LIMIT)
    thing.attribute[key] = lambda inner: inner + key
    found = [each for each in value]
    with thing as opened:
        del value
    for first, *rest in [(1, 2)]:
        first: int = (walrus := rest)
    match rest:
        case {"k": captured, **others} | [captured, *others]:
            pass
    try:
        raise ValueError(f"{first}{thing.name!r}")
    except (ValueError, thing.error) as error:
        return error


def test_names_of_a_line():
    class Looking(TraceStatements):
        def end(self, at):
            super().end(at)
            names.update({line.source: line.names for line in at.data.lines})

    names = {}
    engine.build(naming, naming.__code__, (Looking(Tracer(0, 0, 0, None)),))
    assert names == {
        "import os.path as path, sys": ("path", "sys"),
        "value = thing.attribute[key].other(LIMIT)": ("LIMIT", "key", "thing", "value"),
        "thing.attribute[key] = lambda inner: inner + key": ("key", "thing"),
        "found = [each for each in value]": ("found",),
        "[each for each in value]": ("each", "value"),
        "with thing as opened:": ("opened", "thing"),
        "del value": ("value",),
        "for first, *rest in [(1, 2)]:": ("first", "rest"),
        "first: int = (walrus := rest)": ("first", "int", "rest", "walrus"),
        "match rest:": ("rest",),
        'case {"k": captured, **others} | [captured, *others]:': ("captured", "others"),
        "pass": (),
        "try:": (),
        'raise ValueError(f"{first}{thing.name!r}")': ("ValueError", "first", "thing"),
        "except (ValueError, thing.error) as error:": ("ValueError", "error", "thing"),
        "return error": ("error",),
    }


def test_names_are_looked_up_as_the_program_does():
    def around(n):
        cell = n
        def reads():
            str = n
            return cell, str, LIMIT, len, nowhere
        return reads()

    values = tracefunc(around, 1)[0][1]["return cell, str, LIMIT, len, nowhere"][1]
    assert {name: held[0][1] for name, held in values.items()} == {
        "LIMIT": "7", "cell": "1", "len": "<built-in function len>", "nowhere": "<unavailable>", "str": "1",
    }


class Calling:
    """Its text comes from the target."""

    def __repr__(self):
        return f"Calling({target(1)})"


def test_a_repr_that_calls_the_target():
    def run(thing):
        held = thing
        return target(held and 2)

    def with_calls(x):
        return repr(x)

    results = tracefunc(run, Calling(), target_func=run)
    assert results[0][1]["held = thing"][1]["held"] == [("Calling", "Calling(2)")]
    results = tracefunc(lambda: (target.__call__(3), with_calls(Calling())), target_func=target)
    assert [trace["return x + 1"][1]["x"] for _, trace in results] == [[("int", "3")], [("int", "1")]]

    def itself(thing, deep):
        return thing if deep else None

    class Reenters:
        def __repr__(self):
            itself(self, 0)
            return "text"

    results = tracefunc(itself, Reenters(), 1)
    assert (results.calls, len(results)) == (1, 1)
    assert results[0][1] == {
        "return thing if deep else None": (1, {"deep": [("int", "1")], "thing": [("Reenters", "text")]})
    }


class Bad:
    def __repr__(self):
        raise LookupError("no text")


def samples(n):
    bad, text = Bad(), "x" * 99
    for _ in range(n):
        n -= 1
    del text
    return bad


def test_samples():
    results = tracefunc(samples, 40, max_samples=3, max_repr=10)
    trace = results[0][1]
    assert trace["n -= 1"] == (40, {"n": [("int", "39"), ("int", "38"), ("int", "37")]})
    values = trace['bad, text = Bad(), "x" * 99'][1]
    assert values["bad"] == [("Bad", "<repr-e...")]
    assert values["text"] == [("str", "'xxxxxx...")]
    assert trace["del text"][1] == {"text": [("NameError", "<unavailable>")]}
    assert tracefunc(samples, 1)[0][1]["return bad"][1] == {"bad": [("Bad", "<repr-error LookupError: no text>")]}


def failing(n):
    value = n
    return value + missing


def test_an_exception_is_kept_with_its_traceback():
    results = tracefunc(failing, 1)
    assert isinstance(results.exc, NameError) and results.result is None
    traceback = results.exc.__traceback__
    assert traceback.tb_frame.f_code.co_name == "failing" and traceback.tb_next is None
    assert traceback.tb_lineno == first_line(failing) + 2
    assert lines_of(results) == {"value = n": 1, "return value + missing": 1}


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_ends_a_program_propagates(kind):
    def ends():
        raise kind

    code = ends.__code__
    with pytest.raises(kind):
        tracefunc(ends)
    assert ends.__code__ is code


def test_other_tools_run_at_the_same_time():
    seen = []

    def tracer(frame, event, arg):
        if frame.f_code.co_name == "demo":
            seen.append((event, frame.f_lineno - first_line(demo)))
        return tracer

    def traced(run):
        seen.clear()
        before = sys.gettrace()
        sys.settrace(tracer)
        try:
            result = run()
            assert sys.gettrace() is tracer
        finally:
            sys.settrace(before)
        return result, list(seen)

    _, plain = traced(lambda: demo(3))
    results, observed = traced(lambda: tracefunc(demo, 3))
    assert observed == plain
    assert lines_of(results)["total += i"] == 3


def test_nothing_of_the_interpreters_tools_is_used():
    def tools():
        monitoring = getattr(sys, "monitoring", None)
        return monitoring and [monitoring.get_tool(each) for each in range(6)]

    profiler = lambda frame, event, arg: None  # noqa: E731
    outside, inside = (sys.gettrace(), tools()), []
    before = sys.getprofile()
    sys.setprofile(profiler)
    try:
        tracefunc(lambda: inside.append((sys.gettrace(), tools(), sys.getprofile())))
        assert sys.getprofile() is profiler
    finally:
        sys.setprofile(before)
    assert inside == [(*outside, profiler)]
    assert (sys.gettrace(), tools()) == outside


def loops(xs):
    for x in xs:
        if x:
            y = x
        else:
            if x is None:
                y = 1
    while xs:
        if xs.pop():
            y = 2
    return y


def test_lines_seen_by_a_tracer_are_those_of_the_program():
    def lines(run):
        seen = []

        def tracer(frame, event, arg):
            if frame.f_code.co_name == "loops":
                seen.append((event, frame.f_lineno))
            return tracer

        sys.settrace(tracer)
        try:
            run()
        finally:
            sys.settrace(None)
        return seen

    before = sys.gettrace()
    try:
        plain = lines(lambda: loops([1, None, 0, 2]))
        assert lines(lambda: tracefunc(loops, [1, None, 0, 2])) == plain
    finally:
        sys.settrace(before)


@pytest.mark.parametrize("core", ["ctrace", "sysmon"])
def test_coverage_reports_the_original_program(core, monkeypatch):
    coverage = pytest.importorskip("coverage")
    if core == "sysmon" and sys.version_info < (3, 14):
        pytest.skip("coverage needs CPython 3.14 to see branches through sys.monitoring")
    monkeypatch.setenv("COVERAGE_CORE", core)

    def reported(run):
        cover = coverage.Coverage(data_file=None, branch=True, config_file=False, include=[__file__])
        cover.start()
        try:
            run()
        finally:
            cover.stop()
        lines = range(first_line(loops) + 1, first_line(loops) + 11)
        missing = [line for line in cover.analysis2(__file__)[3] if line in lines]
        return missing, {line: taken for line, taken in cover.branch_stats(__file__).items() if line in lines}

    for xs in ([1, None, 0, 2], [1]):
        missing, branches = reported(lambda xs=xs: loops(xs[:]))
        assert branches and bool(missing) == (len(xs) == 1)
        assert reported(lambda xs=xs: tracefunc(loops, xs[:])) == (missing, branches)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring begins with 3.12")
def test_branches_seen_by_a_tool_are_those_of_the_program():
    monitoring = sys.monitoring
    names = [name for name in ("BRANCH", "BRANCH_LEFT", "BRANCH_RIGHT") if hasattr(monitoring.events, name)]
    wanted = sum({getattr(monitoring.events, name) for name in names})

    def branches(run):
        seen = []

        def branch(code, source, destination):
            if code.co_name == "loops":
                line = {start: line for start, _, line in code.co_lines()}
                seen.append(max((at, line[at]) for at in line if at <= source)[1])

        monitoring.use_tool_id(3, "test")
        try:
            for name in names:
                monitoring.register_callback(3, getattr(monitoring.events, name), branch)
            monitoring.set_events(3, wanted)
            run()
        finally:
            monitoring.set_events(3, 0)
            monitoring.free_tool_id(3)
        return seen

    plain = branches(lambda: loops([1, None, 0, 2]))
    assert len(plain) > 10
    assert branches(lambda: tracefunc(loops, [1, None, 0, 2])) == plain


def test_another_tracefunc_and_a_profiler_on_the_same_function():
    reports = []
    profiled = shallow_call_profiler(0, above_callback=reports.append)(lambda: target(1))
    results = tracefunc(lambda: tracefunc(profiled, target_func=target), target_func=target)
    assert lines_of(results) == lines_of(results.result) == {"return x + 1": 1}
    assert len(reports) == 1


def test_calls_on_other_threads_are_whole():
    def run():
        threads = [threading.Thread(target=demo, args=(50,)) for _ in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()

    results = tracefunc(run, target_func=demo)
    assert [lines_of(results, i)["total += i"] for i in range(8)] == [50] * 8


def test_interleaved_coroutines_and_generators():
    async def work(n):
        for i in range(n):
            await asyncio.sleep(0)
        return n

    async def all_of_them():
        return await asyncio.gather(*(work(n) for n in range(5)))

    results = tracefunc(lambda: asyncio.run(all_of_them()), target_func=work)
    assert results.result == [0, 1, 2, 3, 4]
    assert [lines_of(results, n)["for i in range(n):"] for n in range(5)] == [1, 2, 3, 4, 5]

    def pairs(n):
        for i in range(n):
            yield i

    def in_turns():
        one, other = pairs(2), pairs(3)
        return [next(one), next(other), *one, *other]

    results = tracefunc(in_turns, target_func=pairs)
    assert results.result == [0, 0, 1, 1, 2]
    assert [lines_of(results, i)["yield i"] for i in range(2)] == [2, 3]


def test_a_repr_whose_text_is_of_a_class_of_its_own():
    class Text(str):
        def __len__(self):
            raise AssertionError("called")

    class Thing:
        def __repr__(self):
            return Text("a thing")

    def use(first, last):
        return first, last

    samples = tracefunc(use, Thing(), 2)[0][1]["return first, last"][1]
    assert samples["first"] == [("Thing", "a thing")] and samples["last"] == [("int", "2")]
    assert type(samples["first"][0][1]) is str


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_a_handler_of_signals_raises_meanwhile_ends_the_program(kind):
    class Slow:
        def __repr__(self):
            if threading.current_thread() is threading.main_thread():
                signal.raise_signal(signal.SIGTERM)
            return "slow"

    def work(slow):
        value = slow
        return value

    def stop(number, frame):
        raise kind(3)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        with pytest.raises(kind) as caught:
            tracefunc(work, Slow())
    finally:
        signal.signal(signal.SIGTERM, before)
    assert caught.value.args == (3,)
    assert caught.value.__context__ is None


def test_what_a_repr_raises_in_other_threads_ends_nothing():
    class Rude:
        def __repr__(self):
            raise SystemExit(3)

    def work(value):
        value = Rude()
        return value

    def in_a_thread():
        thread = threading.Thread(target=work, args=(1,))
        thread.start()
        thread.join()
        return "joined"

    results = tracefunc(in_a_thread, target_func=work)
    assert results.result == "joined"
    assert results[0][1]["return value"] == (1, {"value": [("Rude", "<repr-error SystemExit: 3>")]})


@pytest.mark.parametrize("raised", [KeyboardInterrupt, MemoryError])
def test_what_disturbs_the_reading_of_a_stack(monkeypatch, raised):
    """The call is recorded all the same, and Ctrl-C ends the program."""
    ended = []

    def work(n):
        try:
            for _ in range(n):
                pass
        except KeyboardInterrupt:
            ended.append(n)
        return n

    def disturbed(self):
        raise raised

    unraisable = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    monkeypatch.setattr(Tracing, "_stack", disturbed)
    results = tracefunc(lambda: work(3), target_func=work)
    assert (results.result, results[0][0], unraisable) == (3, "", [])
    assert lines_of(results)["return n"] == 1
    assert ended == [3] * (raised is KeyboardInterrupt)


def test_paths_on_another_drive_are_shown_as_they_are(monkeypatch):
    def relpath(path, start):
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    with monkeypatch.context() as patched:
        patched.setattr(os.path, "relpath", relpath)
        results = tracefunc(demo, 3, target_func=demo)
    assert results[0][0] == f"demo ({__file__}:{first_line(demo)})"


def test_form_feeds_end_no_line(tmp_path, monkeypatch):
    text = "def cell(n):\n    m = n + 1\n\f\n    if (m\f\n        > 0): m += 1\n    return m\n"
    (tmp_path / "with_form_feeds.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    import with_form_feeds

    results = tracefunc(with_form_feeds.cell, 1)
    assert list(lines_of(results)) == ["m = n + 1", "if (m\f\n        > 0):", "m += 1", "return m"]
    rows = str(results).split("\n")
    assert re.fullmatch(r" +1 +return m +m = 3", rows[-1])


def test_nothing_is_kept_alive():
    class Thing:
        pass

    def use(things):
        thing = Thing()
        things.append(weakref.ref(thing))
        return len(things)

    things = []
    results = tracefunc(use, things)
    gc.collect()
    assert things[0]() is None and results.result == 1


def test_without_source():
    namespace = {}
    exec("def made(): return 1", namespace)
    for function in (namespace["made"], len, "".join, object(), eval("lambda: 1")):
        with pytest.raises(SourceNotFound) as caught:
            tracefunc(function)
        assert isinstance(caught.value, ValueError)
    with pytest.raises(SourceNotFound, match="made"):
        tracefunc(namespace["made"])
    with pytest.raises(ValueError, match="max_calls"):
        tracefunc(demo, 1, max_calls=-1)


def test_source_from_linecache_doctest_and_zip(tmp_path, monkeypatch):
    text = "def cell(n):\n    m = n + 1\n    return m\n"
    linecache.cache["<cell-1>"] = (len(text), None, text.splitlines(True), "<cell-1>")
    namespace = {}
    exec(compile(text, "<cell-1>", "exec"), namespace)
    assert lines_of(tracefunc(namespace["cell"], 1)) == {"m = n + 1": 1, "return m": 1}
    del linecache.cache["<cell-1>"]

    example = ">>> def f(n):\n...     m = n\n...     return m\n>>> len(tracefunc(f, 1)[0][1])\n2\n"
    test = doctest.DocTestParser().get_doctest(example, {"tracefunc": tracefunc}, "example", None, 0)
    assert doctest.DocTestRunner(verbose=False).run(test).failed == 0

    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as packed:
        packed.writestr("traced_in_zip.py", text)
    monkeypatch.syspath_prepend(str(tmp_path / "packed.zip"))
    import traced_in_zip

    assert lines_of(tracefunc(traced_in_zip.cell, 1)) == {"m = n + 1": 1, "return m": 1}


def test_standard_library():
    results = tracefunc(json.decoder.JSONDecoder().decode, '{"a": [1, 2]}')
    assert results.result == {"a": [1, 2]}
    assert lines_of(results)["return obj"] == 1
    results = tracefunc(textwrap.dedent, "  a\n  b")
    assert results.result == "a\nb" and results.exc is None


def test_representations():
    results = tracefunc(demo, 3)
    assert "       3      for i in range(n): total += i" not in str(results)
    assert "total = 0, 1, 3" in str(results)
    assert "\033[" not in str(results) and "\033[" in results.text(color=True)
    assert "<table>" in results._repr_html_() and "&lt;" not in results._repr_html_()
    found = json.loads(results.json())
    assert found["calls"] == 1 and found["traces"][0]["lines"][1]["hits"] == 4
    assert "raised NameError" in str(tracefunc(failing, 1))
