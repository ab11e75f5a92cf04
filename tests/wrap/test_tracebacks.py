"""Tracebacks: every line and caret is the source's; the wrapper's frames are there, or hidden."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import platform
import subprocess
import sys
import textwrap
import threading
import traceback
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType
from typing import Any
from unittest import mock

import pytest

import recompyle
from recompyle import WrapCalls, clean_traceback


def names(error: BaseException | None) -> list[str]:
    """The functions in an exception's traceback, from the first after the test's own frame on."""
    assert error is not None
    return [frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__)]


def caught(function: Callable[..., Any], *args: Any) -> BaseException:
    """What a function raises, without this function's frame."""
    try:
        function(*args)
    except BaseException as error:
        assert error.__traceback__ is not None
        return error.with_traceback(error.__traceback__.tb_next)
    raise AssertionError("nothing was raised")


def hand_on(call: Any, extras: Any, /, *args: Any, **kwargs: Any) -> Any:
    return call(*args, **kwargs)


def fail(*args: Any) -> None:
    raise ValueError(args)


class Chain:
    def again(self, x: Any = None) -> Chain:
        return self

    def fail(self) -> None:
        raise ValueError("chain")


def shallow() -> None:
    fail(1)


def several_lines(x: Any) -> Any:
    return (
        x.again()
        .again(
            [0][int("0")],
        )
        .fail()
    )


def by_builtin() -> None:
    sorted([1, 2], key=lambda x: fail(x))


def missing_attribute() -> None:
    Chain().agian()  # type: ignore[attr-defined]


def missing_argument() -> None:
    fail.__get__()


def nested() -> None:
    def inner() -> None:
        fail("inner")

    inner()


def handled() -> None:
    try:
        fail(1)
    except ValueError:
        fail(2)


def caused() -> None:
    try:
        fail(1)
    except ValueError as error:
        raise KeyError("caused") from error


FAILING = [shallow, functools.partial(several_lines, Chain()), by_builtin, missing_attribute, nested, handled, caused]


def text_of(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


@pytest.mark.parametrize("failing", FAILING)
def test_hidden_the_traceback_is_the_plain_one(failing: Any) -> None:
    plain = text_of(caught(failing))
    with recompyle.apply(failing, WrapCalls(hand_on, hide_wrapper=True)):
        assert text_of(caught(failing)) == plain
    assert text_of(caught(failing)) == plain


@pytest.mark.parametrize("failing", FAILING)
def test_not_hidden_only_the_wrappers_frames_are_added(failing: Any) -> None:
    plain = caught(failing)
    with recompyle.apply(failing, WrapCalls(hand_on)):
        wrapped = caught(failing)
    while plain is not None:
        entries = [entry for entry in traceback.extract_tb(wrapped.__traceback__) if entry.name != "hand_on"]
        shown = [(each.name, each.lineno, each.end_lineno, each.colno, each.end_colno) for each in entries]
        expected = traceback.extract_tb(plain.__traceback__)
        assert shown == [(each.name, each.lineno, each.end_lineno, each.colno, each.end_colno) for each in expected]
        plain, wrapped = plain.__context__, wrapped.__context__  # type: ignore[assignment]


def test_cleaned_by_hand_the_traceback_is_the_plain_one() -> None:
    plain = text_of(caught(handled))
    with recompyle.apply(handled, WrapCalls(hand_on)):
        error = caught(handled)
    assert names(error) == ["handled", "hand_on", "fail"]
    assert clean_traceback(error) is error
    assert text_of(error) == plain
    assert text_of(clean_traceback(error)) == plain


def test_the_frames_below_the_wrapper_stay() -> None:
    def helper(call: Any, args: Any) -> Any:
        return call(*args)

    def wrapper(call: Any, extras: Any, /, *args: Any) -> Any:
        return helper(call, args)

    with recompyle.apply(shallow, WrapCalls(wrapper, hide_wrapper=True)):
        assert names(caught(shallow)) == ["shallow", "helper", "fail"]


class Callable_:
    def __call__(self, call: Any, extras: Any, /, *args: Any, **kwargs: Any) -> Any:
        return call(*args, **kwargs)

    def method(self, call: Any, extras: Any, /, *args: Any, **kwargs: Any) -> Any:
        return call(*args, **kwargs)

    @staticmethod
    def static(call: Any, extras: Any, /, *args: Any, **kwargs: Any) -> Any:
        return call(*args, **kwargs)


class AsClass:
    def __init__(self, call: Any, extras: Any, /, *args: Any, **kwargs: Any) -> None:
        call(*args, **kwargs)


def decorated(function: Any) -> Any:
    @functools.wraps(function)
    def around(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return around


WRAPPERS = [
    hand_on,
    Callable_(),
    Callable_().method,
    Callable_.static,
    AsClass,
    functools.partial(hand_on),
    functools.partial(Callable_().method),
    decorated(hand_on),
    decorated(decorated(hand_on)),
    functools.lru_cache(maxsize=None)(hand_on),
]


@pytest.mark.parametrize("by_hand", [False, True])
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_wrappers_of_many_kinds(wrapper: Any, by_hand: bool) -> None:
    with recompyle.apply(shallow, WrapCalls(wrapper, hide_wrapper=not by_hand)):
        error = caught(shallow)
    assert names(clean_traceback(error) if by_hand else error) == ["shallow", "fail"]


def test_a_wrapper_is_not_asked_what_it_wraps() -> None:
    class Anything:
        def __getattr__(self, name: str) -> Any:
            return Anything()

        def __call__(self, call: Any, extras: Any, /, *args: Any) -> Any:
            return call(*args)

    with recompyle.apply(shallow, WrapCalls(Anything(), hide_wrapper=True)):
        assert names(caught(shallow)) == ["shallow", "fail"]


def test_a_wrapper_that_says_it_is_a_function() -> None:
    pretender = mock.Mock(spec=hand_on, side_effect=hand_on)
    assert isinstance(pretender, FunctionType)
    with recompyle.apply(shallow, WrapCalls(pretender, hide_wrapper=True)):
        assert names(caught(shallow))[-1] == "fail"
    assert pretender.call_count == 1


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    reason: str

    @property
    def __cause__(self) -> BaseException | None:  # type: ignore[override]
        raise AssertionError("the exception was asked")


def raise_frozen() -> None:
    raise Frozen("no attribute of it can be set")


def frozen() -> None:
    raise_frozen()


def test_an_exception_that_forbids_its_attributes() -> None:
    with recompyle.apply(frozen, WrapCalls(hand_on, hide_wrapper=True)):
        assert names(caught(frozen)) == ["frozen", "raise_frozen"]

    kept: list[BaseException] = []

    def keeping(call: Any, extras: Any, /, *args: Any) -> Any:
        try:
            return call(*args)
        except Frozen as error:
            kept.append(error)
            raise LookupError from error

    with recompyle.apply(frozen, WrapCalls(keeping)):
        assert names(clean_traceback(caught(frozen))) == ["frozen"]
    assert names(kept[0]) == ["raise_frozen"]


def test_a_wrapper_written_in_c_has_no_frame() -> None:
    def f() -> Any:
        return fail(1)

    with recompyle.apply(f, WrapCalls(print, hide_wrapper=True)):
        assert f() is None  # the wrapper decides: nothing was called


def test_what_the_wrapper_raises_is_shown_where_the_call_stands() -> None:
    def refuse(call: Any, extras: Any, /, *args: Any) -> Any:
        raise PermissionError(extras.name)

    with recompyle.apply(shallow, WrapCalls(refuse)):
        assert names(caught(shallow)) == ["shallow", "refuse"]
    with recompyle.apply(shallow, WrapCalls(refuse, hide_wrapper=True)):
        error = caught(shallow)
    assert names(error) == ["shallow"]
    assert error.args == ("fail",)


def test_what_the_wrapper_caught_is_cleaned_too() -> None:
    def translate(call: Any, extras: Any, /, *args: Any) -> Any:
        try:
            return call(*args)
        except ValueError as error:
            raise KeyError("translated") from error

    with recompyle.apply(shallow, WrapCalls(translate, hide_wrapper=True)):
        error = caught(shallow)
    assert names(error) == ["shallow"]
    assert names(error.__cause__) == ["fail"]

    with recompyle.apply(shallow, WrapCalls(translate)):
        error = clean_traceback(caught(shallow))
    assert names(error) == ["shallow"]
    assert names(error.__cause__) == ["fail"]


def test_groups() -> None:
    def collect(call: Any, extras: Any, /, *args: Any) -> Any:
        found = []
        for _ in range(2):
            try:
                call(*args)
            except ValueError as error:
                found.append(error)
        raise ExceptionGroup("both", [*found, ExceptionGroup("inner", [found[0]])])

    for hide in (True, False):
        with recompyle.apply(shallow, WrapCalls(collect, hide_wrapper=hide)):
            error: Any = caught(shallow)
        if not hide:
            assert names(error.exceptions[0]) == ["collect", "fail"]
            clean_traceback(error)
        assert names(error) == ["shallow"]
        assert [names(each) for each in error.exceptions[:2]] == [["fail"]] * 2


def test_chains_that_bite_their_tail() -> None:
    error = caught(shallow)
    error.__cause__, error.__context__ = error, KeyError()
    error.__context__.__context__ = error
    assert clean_traceback(error) is error


def test_recursion_through_wrappers() -> None:
    def down(n: int) -> None:
        if n:
            down(n - 1)
        fail(n)

    plain = text_of(caught(down, 5))
    with recompyle.apply(down, WrapCalls(hand_on, hide_wrapper=True)):
        assert text_of(caught(down, 5)) == plain


@pytest.mark.parametrize("limit", [300, 30_000])
def test_hidden_where_recursion_comes_to_its_limit(limit: int) -> None:
    """What takes the frames off needs calls of its own, and there are none left for others."""
    if limit > 1000 and sys.version_info < (3, 12) and platform.libc_ver()[0] != "glibc":
        pytest.skip("before 3.12 nobody looks after the C stack but we, where the C library says how large it is")

    def down() -> None:
        down()

    old = sys.getrecursionlimit()
    with recompyle.apply(down, WrapCalls(hand_on, hide_wrapper=True)):
        sys.setrecursionlimit(limit)
        try:
            error = caught(down)
        finally:
            sys.setrecursionlimit(old)
    assert isinstance(error, RecursionError)
    assert set(names(error)) == {"down"}


def test_tracers_see_nothing_of_the_hiding() -> None:
    def trace(frame: types.FrameType, event: str, arg: Any) -> None:
        seen.append(frame.f_code.co_name)

    seen: list[str] = []
    with recompyle.apply(shallow, WrapCalls(hand_on, hide_wrapper=True)):
        sys.settrace(trace)
        try:
            shallow()
        except ValueError as error:
            sys.settrace(None)
            assert names(error)[1:] == ["shallow", "fail"]
        finally:
            sys.settrace(None)
    assert seen == ["shallow", "hand_on", "fail"]


def test_an_exception_with_attributes_of_its_own_is_not_asked() -> None:
    class Proxy(Exception):
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError(name)

    def f() -> None:
        throw()

    def throw() -> None:
        raise Proxy

    with recompyle.apply(f, WrapCalls(hand_on, hide_wrapper=True)):
        try:
            f()
        except Proxy:
            traceback_ = sys.exc_info()[2]
    assert [frame.f_code.co_name for frame, _ in traceback.walk_tb(traceback_)][1:] == ["f", "throw"]


def test_a_wrapper_called_by_the_program_itself_stays() -> None:
    def f() -> None:
        hand_on(fail, None, 1)

    with recompyle.apply(f, WrapCalls(hand_on, hide_wrapper=True)):
        assert names(caught(f)) == ["f", "hand_on", "fail"]


def test_layers_hide_each_for_itself() -> None:
    def other(call: Any, extras: Any, /, *args: Any) -> Any:
        return call(*args)

    for hide_inner, hide_outer in ((True, True), (True, False), (False, True)):
        with (
            recompyle.apply(shallow, WrapCalls(hand_on, hide_wrapper=hide_inner)),
            recompyle.apply(shallow, WrapCalls(other, hide_wrapper=hide_outer)),
        ):
            error = caught(shallow)
        assert names(error) == ["shallow", *["other"] * (not hide_outer), *["hand_on"] * (not hide_inner), "fail"]
        assert names(clean_traceback(error)) == ["shallow", "fail"]


# -- wrappers that run on after the call


async def wait_and_fail() -> None:
    await asyncio.sleep(0)
    fail("waited")


def step_and_fail() -> Iterator[int]:
    yield 1
    fail("stepped")


async def awaiting(*seen: Any) -> None:
    await wait_and_fail()


def iterating() -> None:
    for _ in step_and_fail():
        pass


async def awaiting_handled() -> list[str]:
    try:
        await wait_and_fail()
    except ValueError as error:
        return names(error)
    return []


async def waiting_wrapper(call: Any, extras: Any, /, *args: Any) -> Any:
    return await call(*args)


def stepping_wrapper(call: Any, extras: Any, /, *args: Any) -> Iterator[Any]:
    yield from call(*args)


def test_a_coroutine_as_wrapper_is_hidden() -> None:
    with recompyle.apply(awaiting, WrapCalls(hand_on, hide_wrapper=True)):
        assert names(caught(asyncio.run, awaiting()))[-3:] == ["awaiting", "wait_and_fail", "fail"]
    with recompyle.apply(awaiting, WrapCalls(waiting_wrapper)):
        error = caught(asyncio.run, awaiting())
    assert names(error)[-4:] == ["awaiting", "waiting_wrapper", "wait_and_fail", "fail"]
    assert names(clean_traceback(error))[-3:] == ["awaiting", "wait_and_fail", "fail"]
    with recompyle.apply(awaiting, WrapCalls(waiting_wrapper, hide_wrapper=True)):
        assert names(caught(asyncio.run, awaiting()))[-3:] == ["awaiting", "wait_and_fail", "fail"]


def test_a_coroutine_as_wrapper_is_hidden_where_the_exception_is_caught() -> None:
    options = {"hide_wrapper": True, "whitelist": ["wait_and_fail"]}
    with recompyle.apply(awaiting_handled, WrapCalls(waiting_wrapper, **options)):
        assert asyncio.run(awaiting_handled()) == ["awaiting_handled", "wait_and_fail", "fail"]


async def gathering() -> None:
    await asyncio.gather(wait_and_fail(), asyncio.sleep(0))


async def grouping() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(wait_and_fail())


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_coroutine_as_wrapper_is_hidden_in_tasks_too(by_hand: bool) -> None:
    wrap = WrapCalls(waiting_wrapper, whitelist={"wait_and_fail", "asyncio.gather"}, hide_wrapper=not by_hand)
    with recompyle.apply(gathering, wrap), recompyle.apply(grouping, wrap):
        gathered, grouped = (caught(asyncio.run, each()) for each in (gathering, grouping))
    if by_hand:
        clean_traceback(gathered)
    assert names(gathered)[-3:] == ["gathering", "wait_and_fail", "fail"]
    assert isinstance(grouped, ExceptionGroup)
    hidden = ["waiting_wrapper"] * by_hand  # by hand it cannot be told: the task's frames begin there
    assert names(clean_traceback(grouped).exceptions[0]) == [*hidden, "wait_and_fail", "fail"]


def test_a_generator_as_wrapper_is_hidden() -> None:
    with recompyle.apply(iterating, WrapCalls(stepping_wrapper, hide_wrapper=True)):
        assert names(caught(iterating)) == ["iterating", "step_and_fail", "fail"]


def made_inside() -> Any:
    async def inner() -> None:
        await wait_and_fail()

    return inner()


def method_made_inside() -> Any:
    class Local:
        async def method(self) -> None:
            await wait_and_fail()

    return Local().method()


def expression_made_inside() -> Any:
    async def drive(each: Any) -> None:
        async for _ in each:
            pass

    return drive((await wait_and_fail()) for _ in "a")  # type: ignore[func-returns-value]


@pytest.mark.parametrize("make", [made_inside, method_made_inside, expression_made_inside])
def test_a_coroutine_as_wrapper_is_hidden_in_what_the_function_makes(make: Any) -> None:
    """It runs when the function is done, so nothing of the function's own sees the exception."""
    plain = names(caught(asyncio.run, make()))
    wrap = WrapCalls(waiting_wrapper, hide_wrapper=True, whitelist="wait_and_fail")
    with recompyle.apply(make, wrap):
        assert names(caught(asyncio.run, make())) == plain
    assert plain[-2:] == ["wait_and_fail", "fail"]


def test_a_generator_as_wrapper_is_hidden_in_a_function_made_inside() -> None:
    def make() -> Any:
        def inner() -> None:
            for _ in step_and_fail():
                pass

        return inner

    with recompyle.apply(make, WrapCalls(stepping_wrapper, hide_wrapper=True)):
        assert names(caught(make())) == ["inner", "step_and_fail", "fail"]


# -- hooks


def test_the_hooks_clean_and_come_out(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(sys, "excepthook", lambda *args: seen.append(args))
    monkeypatch.setattr(threading, "excepthook", seen.append)
    before = sys.excepthook, threading.excepthook
    with recompyle.apply(shallow, WrapCalls(hand_on)), recompyle.install_excepthook() as hook:
        assert hook.active
        error = caught(shallow)
        sys.excepthook(type(error), error, error.__traceback__)
        thread = threading.Thread(target=shallow)
        thread.start()
        thread.join()
    assert names(seen[0][1]) == ["shallow", "fail"]
    assert seen[0][2] is error.__traceback__
    assert names(seen[1].exc_value)[-2:] == ["shallow", "fail"]
    assert seen[1].thread is thread
    assert seen[1].exc_traceback is seen[1].exc_value.__traceback__
    assert (sys.excepthook, threading.excepthook) == before
    assert not hook.active
    hook.restore()


def test_a_hook_under_another_one_hands_on(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(sys, "excepthook", lambda *args: seen.append(args))
    hook = recompyle.install_excepthook()
    ours = sys.excepthook
    monkeypatch.setattr(sys, "excepthook", lambda *args: ours(*args))
    theirs = sys.excepthook
    with recompyle.apply(shallow, WrapCalls(hand_on)):
        error = caught(shallow)
    hook.restore()
    assert sys.excepthook is theirs
    sys.excepthook(type(error), error, error.__traceback__)
    assert names(error) == ["shallow", "hand_on", "fail"]
    assert seen == [(ValueError, error, error.__traceback__)]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0)])
def test_hooks_go_in_any_order(order: tuple[int, ...]) -> None:
    before = sys.excepthook, threading.excepthook
    handles = [recompyle.install_excepthook() for _ in order]
    for i in order:
        handles[i].restore()
    assert (sys.excepthook, threading.excepthook) == before


def test_a_hook_stays_when_another_one_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(sys, "excepthook", lambda *args: seen.append(args))
    monkeypatch.setattr(threading, "excepthook", seen.append)
    for last in (0, 1):
        handles = [recompyle.install_excepthook() for _ in range(2)]
        handles[1 - last].restore()
        with recompyle.apply(shallow, WrapCalls(hand_on)):
            errors = [caught(shallow) for _ in range(3)]
        sys.excepthook(ValueError, errors[0], errors[0].__traceback__)
        hook = threading.excepthook
        hook(threading.ExceptHookArgs((ValueError, errors[1], errors[1].__traceback__, None)))
        hook(threading.ExceptHookArgs((ValueError, None, None, None)))
        sys.excepthook(ValueError, None, None)  # type: ignore[arg-type]
        handles[last].restore()
        hook(threading.ExceptHookArgs((ValueError, errors[2], errors[2].__traceback__, None)))
        assert [names(each) for each in errors] == [["shallow", "fail"]] * 2 + [["shallow", "hand_on", "fail"]]
    assert len(seen) == 10


def test_a_traceback_that_is_not_the_exceptions_own_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(sys, "excepthook", lambda *args: seen.append(args))
    error = caught(shallow)
    assert error.__traceback__ is not None
    with recompyle.install_excepthook():
        sys.excepthook(type(error), error, error.__traceback__.tb_next)
    assert seen[0][2] is error.__traceback__.tb_next


def test_an_uncaught_exception_of_a_program(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent("""\
            import sys
            import recompyle

            def wrapper(call, extras, /, *args, **kwargs):
                return call(*args, **kwargs)

            def f(text):
                return (text
                        .strip()
                        .decode(1))

            if sys.argv[1] == "wrapped":
                recompyle.wrap_calls(wrapper=wrapper)(f)
                recompyle.install_excepthook()
            f(b"1")
        """)
    )
    done = [
        subprocess.run([sys.executable, program, how], capture_output=True, text=True, check=False).stderr
        for how in ("plain", "wrapped")
    ]
    assert done[0] == done[1]
    assert "line 10, in f" in done[0]


class Nameless:
    """A callee that messages about its arguments show by its text."""

    def __call__(self, *args: Any) -> None: ...

    def __str__(self) -> str:
        return "nameless"


class Unspeakable(Nameless):
    def __str__(self) -> str:
        raise OverflowError("no text")


@pytest.mark.parametrize("callee", [Nameless(), Unspeakable()], ids=["text", "no text"])
def test_messages_about_arguments_show_the_callee(callee: Any) -> None:
    def f() -> None:
        callee(*1)  # type: ignore[misc]

    plain = caught(f)
    wrapped = caught(recompyle.rewrite(f, WrapCalls(hand_on)))
    assert (type(wrapped), wrapped.args) == (type(plain), plain.args)
    assert names(wrapped) == names(plain)
