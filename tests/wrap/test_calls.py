"""Which calls go through the wrapper, with what, and what stays as it was."""

from __future__ import annotations

import asyncio
import copy
import functools
import gc
import inspect
import linecache
import os
import pickle
import sys
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Any
from unittest import mock

import pytest
from helpers import CallLog

import recompyle
from recompyle import WrapCalls, rewrite_wrap_calls, wrap_calls


def plus(x: Any, /, y: Any = 1, *rest: Any, key: Any = 0, **more: Any) -> Any:
    return x, y, rest, key, more


class Base:
    def __init__(self, value: Any = 0):
        self.value = value

    def get(self, *args: Any) -> Any:
        return self.value, *args

    @classmethod
    def make(cls, value: Any) -> Any:
        return cls(value)

    @staticmethod
    def twice(x: Any) -> Any:
        return x * 2


def run(log: Any, function: Any, *args: Any, **options: Any) -> Any:
    """Applies the wrapper to a function and calls it."""
    recompyle.apply(function, WrapCalls(log, **options))
    return function(*args)


# -- callees of every form


def test_plain_calls_and_every_kind_of_argument(log: CallLog) -> None:
    def f(a: Any, k: Any) -> Any:
        return [plus(1), plus(1, 2, 3, key=4, other=5), plus(*a), plus(0, *a, key=9, **k), plus(*a, key=2, **k)]

    assert run(log, f, [7, 8], {"z": 1}) == [
        (1, 1, (), 0, {}),
        (1, 2, (3,), 4, {"other": 5}),
        (7, 8, (), 0, {}),
        (0, 7, (8,), 9, {"z": 1}),
        (7, 8, (), 2, {"z": 1}),
    ]
    assert all(call is plus for _, call, _, _ in log.calls)
    assert [(args, kwargs) for _, _, args, kwargs in log.calls] == [
        ((1,), {}),
        ((1, 2, 3), {"key": 4, "other": 5}),
        ((7, 8), {}),
        ((0, 7, 8), {"key": 9, "z": 1}),
        ((7, 8), {"key": 2, "z": 1}),
    ]


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 40, 300])
def test_any_number_of_arguments(log: CallLog, count: int) -> None:
    names: dict[str, Any] = {"__name__": __name__}
    half = count // 2
    parts = [str(i) for i in range(half)] + [f"k{i}={i}" for i in range(half, count)]
    text = f"def f(g):\n    return g({', '.join(parts)})\n"
    linecache.cache[f"<many {count}>"] = (len(text), None, text.splitlines(True), f"<many {count}>")
    exec(compile(text, f"<many {count}>", "exec"), names)
    expected = tuple(range(half)), {f"k{i}": i for i in range(half, count)}
    assert run(log, names["f"], lambda *a, **k: (a, k)) == expected
    assert log.calls[0][2:] == expected


def test_methods_come_bound(log: CallLog) -> None:
    def f(x: Any) -> Any:
        return x.get(1), x.make(2).get(), x.twice(3), Base(4).get(*[5]), "{}-b".format("a"), os.fspath("p")

    base = Base(7)
    assert run(log, f, base) == ((7, 1), (2,), 6, (4, 5), "a-b", "p")
    callees = {source: call for source, call, _, _ in log.calls}
    assert callees["x.get(1)"] == base.get
    assert callees["x.make(2)"] == Base.make
    assert callees["x.twice(3)"] is Base.twice
    assert callees["Base(4)"] is Base
    assert callees['"{}-b".format("a")'].__self__ == "{}-b"
    assert callees['os.fspath("p")'] is os.fspath


def test_methods_of_super(log: CallLog) -> None:
    class Derived(Base):
        def get(self, *args: Any) -> Any:
            return super().get(*args), super().get(1), super(Base, self).__hash__(), [super().twice(3)]

    derived = Derived(7)
    assert run(log, Derived.get, derived, 9) == ((7, 9), (7, 1), hash(derived), [6])
    assert log.sources == ["super().get(*args)", "super().get(1)", "super(Base, self).__hash__()", "super().twice(3)"]
    assert log.calls[0][1].__func__ is Base.get


def test_callees_without_a_name(log: CallLog) -> None:
    def f(table: Any) -> Any:
        maker = lambda: plus  # noqa: E731
        return table["a"](1), table[0](2), maker()(3), (lambda z: z)(4), (plus if table else None)(5), (maker or 0)()

    assert run(log, f, {"a": int, 0: str}) == (1, "2", plus(3), 4, plus(5), plus)
    assert len(log.calls) == 7


def test_nested_functions_lambdas_and_comprehensions(log: CallLog) -> None:
    def f(n: int) -> Any:
        def inner(x: int) -> Any:
            return str(x)

        class Local:
            size = len("abc")

            def method(self) -> int:
                return abs(-2)

        return [inner(i) for i in range(n)], sum(abs(i) for i in range(n)), {i: int(i) for i in "1"}, Local().method()

    assert run(log, f, 2) == (["0", "1"], 1, {"1": 1}, 2)
    assert {"inner(i)", "str(x)", "abs(i)", "int(i)", 'len("abc")', "abs(-2)"} <= set(log.sources)


def test_calls_that_the_compiler_unrolls(log: CallLog) -> None:
    def f(n: int) -> Any:
        return any(int(i) > 1 for i in range(n)), all(i < 9 for i in range(n)), tuple(str(i) for i in range(n))

    assert run(log, f, 3) == (True, True, ("0", "1", "2"))
    assert {call for _, call, _, _ in log.calls} == {any, all, tuple, int, str, range}


def test_calls_inside_of_formatted_strings_patterns_and_targets(log: CallLog) -> None:
    def f(x: Any) -> Any:
        text = f"{str(x)!r:>{int('4')}}"
        box = Base()
        plus(box)[0].value = abs(-3)
        match x:
            case int(real=y) if plus(y)[0] == 1:
                return text, box.value, y
        del box.get

    assert run(log, f, 1) == (" '1'", 3, 1)
    assert "plus(y)" in log.sources
    assert "int('4')" in log.sources


# -- what is left alone


def test_what_looks_at_its_caller_is_not_wrapped(log: CallLog) -> None:
    def f(a: Any) -> Any:
        b = 2
        names = sorted(locals()), sorted(vars()), sorted(dir())
        here = globals() is f.__globals__, sys._getframe().f_code.co_name, inspect.currentframe().f_code.co_name
        exec("c = 1")
        return names, here, eval("a + b"), super

    names, here, value, _ = run(log, f, 1)
    assert names[0] == names[1] == ["a", "b", "f"]
    assert here == (True, "f", "f")
    assert value == 3
    assert {call for _, call, _, _ in log.calls} == {sorted}


def test_what_is_left_has_a_reason() -> None:
    def f(g: Any) -> Any:
        @g(1)
        def inner(x: Any = g(2)) -> g(3):  # type: ignore[valid-type]  # noqa: B008
            y: g(4) = locals()  # type: ignore[valid-type]
            return y

        return inner, None(), len("")  # type: ignore[misc]

    shown = recompyle.preview(f, WrapCalls(plus, ignore_builtins=True))
    assert [(each.source, each.reason) for each in shown.skipped] == [
        ("locals()", "it looks at the frame that calls it"),
        ("None()", "it is a constant"),
        ('len("")', "a builtin"),
    ]
    assert shown.sites == ()


# -- filters


def filtered(options: Any) -> list[str]:
    log = CallLog()

    def f(a: Any, k: str) -> None:
        a["x"].get()
        a[k].get()
        a[0].get()
        a[[k][0]].get()
        plus(1)
        len("")
        (a and plus)(2)

    run(log, f, {"x": Base(), 0: Base()}, "x", **options)
    return log.sources


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"whitelist": {"plus"}}, ["plus(1)"]),
        ({"whitelist": "plus"}, ["plus(1)"]),
        ({"whitelist": {"a[x].get"}}, ['a["x"].get()']),
        ({"whitelist": {"a['x'].get", "a[k].get"}}, ['a["x"].get()', "a[k].get()"]),
        ({"whitelist": ["a[*].get"]}, ['a["x"].get()', "a[k].get()", "a[0].get()", "a[[k][0]].get()"]),
        ({"blacklist": ["a[*].get"]}, ["plus(1)", 'len("")', "(a and plus)(2)"]),
        (
            {"blacklist": {"plus"}, "ignore_builtins": True},
            ['a["x"].get()', "a[k].get()", "a[0].get()", "a[[k][0]].get()", "(a and plus)(2)"],
        ),
        ({"blacklist": (), "whitelist": ["len"]}, ['len("")']),
    ],
)  # fmt: skip
def test_filters(options: Any, expected: list[str]) -> None:
    assert filtered(options) == expected


@pytest.mark.parametrize(
    "subscript",
    ["0", "-1", "k", "k.x", "k[0]", "k['x']", "'x'", "'x.y'", "1:2", "1, 2", "k, 1:2", "*k, 0", "()", "k + 1"],
)
def test_a_subscript_is_matched_as_it_is_written(subscript: str, log: CallLog) -> None:
    text = f"def f(a, k):\n    a[{subscript}].get()\n    a[other].get()\n"
    file = f"<subscript {subscript}>"
    linecache.cache[file] = len(text), None, text.splitlines(True), file
    names: dict[str, Any] = {"__name__": __name__, "other": 1}
    exec(compile(text, file, "exec"), names)
    anything = mock.MagicMock()
    anything.__iter__.return_value = []
    anything.__index__.return_value = 0
    run(log, names["f"], anything, anything, whitelist=[f"a[{subscript}].get"])
    assert log.sources == [f"a[{subscript}].get()"]


def test_a_name_of_the_program_is_no_builtin(log: CallLog) -> None:
    def f(len: Any) -> Any:
        return len(1), abs(-1)

    run(log, f, str, ignore_builtins=True)
    assert log.sources == ["len(1)"]


def test_a_name_of_an_inner_function_is_no_builtin(log: CallLog) -> None:
    def f() -> Any:
        def inner(len: Any) -> Any:
            return len(1), abs(-1)

        return inner(str)

    assert run(log, f, ignore_builtins=True) == ("1", 1)
    assert log.sources == ["inner(str)", "len(1)"]


def test_a_name_that_is_yet_to_be_defined_is_no_builtin(log: CallLog) -> None:
    """Decorators run before what follows them in the module."""

    def f() -> Any:
        return defined_later(), abs(-1)  # type: ignore[name-defined]  # noqa: F821

    wrap_calls(wrapper=log, ignore_builtins=True)(f)
    globals()["defined_later"] = dict
    try:
        assert f() == ({}, 1)
    finally:
        del globals()["defined_later"]
    assert log.sources == ["defined_later()"]


def test_bad_options() -> None:
    for make in (lambda **options: rewrite_wrap_calls(**options), lambda wrapper, **rest: WrapCalls(wrapper, **rest)):
        with pytest.raises(TypeError, match="must be callable"):
            make(wrapper=3)
        with pytest.raises(ValueError, match="blacklist and whitelist"):
            make(wrapper=plus, blacklist={"a"}, whitelist={"b"})
        with pytest.raises(TypeError, match="dotted names"):
            make(wrapper=plus, blacklist=[1])
    with pytest.raises(TypeError):
        rewrite_wrap_calls(wrapper=plus)(len)
    with pytest.raises(TypeError):
        rewrite_wrap_calls(wrapper=plus)(3)


# -- what the wrapper is told


def test_extras(log: CallLog) -> None:
    def f() -> Any:
        return [
            plus(
                len("é"),
            )
            for _ in "ab"
        ]

    run(log, f)
    first = f.__code__.co_firstlineno
    extras = {each.source: each for each in log.extras}
    inner, outer = extras['len("é")'], extras['plus( len("é"), )']
    assert (outer.line, outer.end_line, outer.column, outer.end_column) == (first + 2, first + 4, 12, 13)
    assert (outer.name, outer.kind, outer.file, outer.function) == ("plus", "call", __file__, f.__qualname__)
    assert outer["ln_range"] == (first + 2, first + 4)
    # As a mapping it is what the first recompyle gave.
    assert dict(outer) == {"ln_range": (first + 2, first + 4), "source": "plus(len('é'))"}
    assert dict(inner) == {"ln_range": (first + 3,), "source": "len('é')"}
    assert inner["source"] is inner["source"]
    for sent in (pickle.loads(pickle.dumps(inner)), copy.copy(inner), copy.deepcopy(inner)):
        assert sent == inner and dict(sent) == dict(inner)
    assert isinstance(inner, recompyle.Site)
    assert len({id(each) for each in log.extras}) == 2  # one for each place, not for each call
    with pytest.raises(KeyError):
        inner["line"]
    with pytest.raises(AttributeError):
        inner.line = 3


def test_extras_of_calls_in_odd_places(log: CallLog) -> None:
    async def f(x: Any) -> Any:
        plus("a  b",  # a comment
             # another
             key=(y := 1), other=y)
        plus(await g(x), f"{plus( 1 )}")
        return [plus(lambda: (yield))]

    async def g(x: Any) -> int:
        return 2

    with recompyle.apply(f, WrapCalls(log)):
        asyncio.run(f(1))
    assert {each["source"] for each in log.extras} == {
        "plus('a  b', key=(y := 1), other=y)",
        "plus(await g(x), f'{plus(1)}')",
        "g(x)",
        "plus(1)",
        "plus(lambda: (yield))",
    }


def test_the_wrapper_decides() -> None:
    def double(call: Any, extras: Any, /, *args: Any, **kwargs: Any) -> Any:
        return 2 * call(*args, **kwargs)

    @wrap_calls(wrapper=double)
    def f() -> int:
        return len("abc") + abs(-1)

    assert f() == 8


def test_wrappers_of_many_kinds(log: CallLog) -> None:
    class Held:
        def __init__(self) -> None:
            self.seen: list[str] = []

        def method(self, call: Any, extras: Any, *args: Any, **kwargs: Any) -> Any:
            self.seen.append(extras.source)
            return call(*args, **kwargs)

        @staticmethod
        def static(call: Any, extras: Any, *args: Any) -> Any:
            return call(*args)

    held = Held()
    for wrapper in (held.method, Held.static, functools.partial(held.method), log, lambda call, _, *args: call(*args)):

        def f() -> int:
            return len("abc")

        assert run(wrapper, f) == 3
    assert held.seen == ['len("abc")', 'len("abc")']

    def g() -> Any:
        return len("abc")

    assert run(lambda *args: args, g)[0] is len


def test_a_wrapper_with_an_equality_of_its_own_does_not_disturb_the_code() -> None:
    class Odd:
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            raise AssertionError("the wrapper was compared")

        def __call__(self, call: Any, extras: Any, /, *args: Any) -> Any:
            return call(*args)

    def f() -> int:
        return len("abc")

    one, two = (recompyle.rewrite(f, WrapCalls(Odd())) for _ in range(2))
    assert len({one.__code__, two.__code__, f.__code__}) == 3
    assert one() == two() == 3


# -- order, references, generators, coroutines


def test_order_of_evaluation(log: CallLog) -> None:
    events: list[Any] = []

    class Noted:
        def __getattribute__(self, name: str) -> Any:
            events.append(name)
            return lambda *args, **kwargs: events.append((args, kwargs))

    def t(x: Any) -> Any:
        events.append(x)
        return x

    def f(noted: Any) -> None:
        noted.method(t(1), t(2), key=t(3), *t([4]))  # noqa: B026

    recompyle.apply(f, WrapCalls(log, whitelist=["noted.method"]))
    f(Noted())
    assert events == ["method", 1, 2, [4], 3, ((1, 2, 4), {"key": 3})]


def test_awaits(log: CallLog) -> None:
    async def leaf(x: int) -> int:
        await asyncio.sleep(0)
        return x

    async def numbers() -> AsyncIterator[int]:
        yield 1

    async def f() -> Any:
        async with asyncio.Lock():
            return await leaf(1), [x async for x in numbers()], await asyncio.gather(leaf(2), leaf(3))

    recompyle.apply(f, WrapCalls(log))
    assert asyncio.run(f()) == (1, [1], [2, 3])
    gathered = ["leaf(2)", "leaf(3)", "asyncio.gather(leaf(2), leaf(3))"]
    assert log.sources == ["asyncio.Lock()", "leaf(1)", "numbers()", *gathered]
    assert inspect.iscoroutinefunction(f)


def test_generators(log: CallLog) -> None:
    def inner() -> Iterator[Any]:
        try:
            yield 1
        except KeyError:
            yield 2
        return 3

    def f() -> Iterator[Any]:
        result = yield from inner()
        yield str(result)

    recompyle.apply(f, WrapCalls(log))
    generator = f()
    assert [next(generator), generator.throw(KeyError), next(generator)] == [1, 2, "3"]
    assert log.sources == ["inner()", "str(result)"]


def test_a_cycle_through_a_waiting_call_is_collected() -> None:
    class Task:
        async def f(self) -> None:
            self.get(await self.future)

        def get(self, x: Any) -> None:
            pass

    recompyle.apply(Task.f, WrapCalls(lambda call, _, *args: call(*args)))
    task: Any = Task()
    task.future = asyncio.Future(loop=asyncio.new_event_loop())
    task.coroutine = task.f()
    task.coroutine.send(None)
    gone = weakref.ref(task)
    task.future.get_loop().close()
    del task
    gc.collect()
    assert gone() is None


def test_nothing_is_kept() -> None:
    def f(x: Any) -> Any:
        return x.get(x), plus(x)

    def hand_on(call: Any, extras: Any, /, *args: Any, **kwargs: Any) -> Any:
        return call(*args, **kwargs)

    base = Base()
    patch = recompyle.apply(f, WrapCalls(hand_on))
    before = sys.getrefcount(base), sys.getrefcount(hand_on), sys.getrefcount(plus)
    for _ in range(1000):
        f(base)
    assert (sys.getrefcount(base), sys.getrefcount(hand_on), sys.getrefcount(plus)) == before
    gone = weakref.ref(hand_on)
    patch.restore()
    del patch, hand_on
    gc.collect()
    assert gone() is None


# -- in place, in layers


def test_the_object_stays_and_comes_back(log: CallLog) -> None:
    def f() -> int:
        return len("abc")

    code, signature = f.__code__, inspect.signature(f)
    decorated = wrap_calls(wrapper=log)(f)
    assert decorated is f
    assert f.__code__ is not code
    assert inspect.signature(f) == signature
    assert (f.__code__.co_varnames, f.__code__.co_freevars) == (code.co_varnames, code.co_freevars)
    recompyle.restore(f)
    assert f.__code__ is code
    f()
    assert log.calls == []


def test_decorators_in_any_order(log: CallLog) -> None:
    class Decorated:
        @staticmethod
        @wrap_calls(wrapper=log)
        def a() -> int:
            return len("a")

        @wrap_calls(wrapper=log)
        @staticmethod
        def b() -> int:
            return len("b")

        @classmethod
        @wrap_calls(wrapper=log)
        def c(cls) -> int:
            return len("c")

        @wrap_calls(wrapper=log)
        @classmethod
        def d(cls) -> int:
            return len("d")

        @wrap_calls(wrapper=log)
        @property
        def e(self) -> int:
            return len("e")

        @functools.cached_property
        @wrap_calls(wrapper=log)
        def f(self) -> int:
            return len("f")

        @wrap_calls(wrapper=log)
        @functools.lru_cache  # noqa: B019
        def g(self) -> int:
            return len("g")

    each = Decorated()
    assert [each.a(), each.b(), each.c(), each.d(), each.e, each.f, each.g()] == [1] * 7
    assert log.sources == [f'len("{name}")' for name in "abcdefg"]


def test_layers_stack_and_go_in_any_order() -> None:
    one, two = CallLog(), CallLog()
    names: list[str] = []

    def f(x: Any) -> Any:
        return x.get(len("abc"))

    def outer(call: Any, extras: Any, /, *args: Any, **kwargs: Any) -> Any:
        names.append(call.__qualname__)
        return two(call, extras, *args, **kwargs)

    inner = recompyle.apply(f, WrapCalls(one))
    wrap_calls(wrapper=outer)(f)
    base = Base(5)
    assert f(base) == (5, 3)
    assert one.sources == two.sources == ['len("abc")', 'x.get(len("abc"))']
    assert names == ["len", "Base.get"]
    _, through, _, _ = two.calls[1]
    assert inspect.signature(through) == inspect.signature(base.get)
    assert through.__self__ is base
    assert repr(through) == f"<wrapped call of {base.get!r}>"
    inner.restore()
    f(base)
    assert (len(one.calls), len(two.calls)) == (2, 4)
    assert two.calls[3][1] == base.get


def test_what_stands_for_a_callee_is_called_in_any_way() -> None:
    def through(call: Any, extras: Any, /, *args: Any, **kwargs: Any) -> Any:
        return call.__call__(*args, **kwargs)

    def f() -> Any:
        return plus(1, key=2), plus(*[1] * 20)

    plain, log = f(), CallLog()
    with recompyle.apply(f, WrapCalls(log), WrapCalls(through)):
        assert f() == plain
    assert log.sources == ["plus(1, key=2)", "plus(*[1] * 20)"]


def test_beside_the_profiler(log: CallLog) -> None:
    reports: list[Any] = []

    @wrap_calls(wrapper=log)
    @recompyle.shallow_call_profiler(0, above_callback=reports.append)
    def f(x: Any) -> Any:
        return x.get(len("abc")), plus(*[1])[0], Base.make(3).get()

    assert f(Base(5)) == ((5, 3), 1, (3,))
    sources = ['len("abc")', 'x.get(len("abc"))', "plus(*[1])", "Base.make(3)", "Base.make(3).get()"]
    assert log.sources == sources
    assert {row.source for row in reports[0].calls} == set(sources)


def test_details() -> None:
    details: dict[str, Any] = {}

    @wrap_calls(wrapper=plus, rewrite_details=details)
    def f() -> int:
        return len("abc")

    assert details["original_func"] is f
    assert details["original_source"] == inspect.getsource(f)
    assert "@call_0(len, @extras, 'abc')" in details["new_source"]


def test_details_that_cannot_be_filled() -> None:
    def f() -> int:
        return len("abc")

    code = f.__code__
    with pytest.raises(ValueError, match="rewrite_details must be a dict"):
        wrap_calls(wrapper=plus, rewrite_details=[])(f)  # type: ignore[arg-type]
    assert f.__code__ is code


def test_switched_off(log: CallLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECOMPYLE", "0")
    details: dict[str, Any] = {}

    @wrap_calls(wrapper=log, rewrite_details=details)
    def f() -> int:
        return len("abc")

    assert f() == 3
    assert (log.calls, details) == ([], {})


# -- levels


def test_only_a_value_pass_may_call_something_else() -> None:
    class Sneaky(recompyle.Pass):
        def visit_Call(self, node: Any, at: Any) -> None:
            at.callee(node, plus)

    class Odd(recompyle.Pass):
        level = "odd"

    def f() -> int:
        return len("abc")

    with pytest.raises(recompyle.PassError, match="of level 'probe' leaves values as they are"):
        recompyle.apply(f, Sneaky())
    with pytest.raises(recompyle.PassError, match="has level 'odd'; there are 'probe', 'value', 'free'"):
        recompyle.apply(f, Odd())
    assert f() == 3
