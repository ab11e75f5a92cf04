"""The hook form: an ordinary call at the entry."""

import asyncio
import sys
import textwrap
import traceback

import pytest

from recompyle import inject
from recompyle.inject import verify


class Mark:
    def __init__(self, log):
        self.log = log

    def __invert__(self):
        self.log.append("mark")


def remade(function, *edits):
    written = inject.write(function.__code__, edits)
    assert verify.faults(function.__code__, written, edits) == []
    return type(function)(
        written, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )


def plain(a, b=2):
    total = a + b
    return total


def test_the_hook_is_called_with_its_argument_before_the_body():
    seen = []
    hooked = remade(plain, inject.Edit("entry", seen.append, "hook", argument="module:plain"))
    assert hooked(1) == 3 and hooked(1, b=5) == 6
    assert seen == ["module:plain"] * 2


def test_the_hook_sees_the_frame_at_its_first_statement():
    seen = []

    def hook(name):
        frame = sys._getframe(1)
        seen.append((name, frame.f_lineno, frame.f_code.co_name, dict(frame.f_locals)))

    remade(plain, inject.Edit("entry", hook, "hook", argument="x"))(1)
    assert seen == [("x", plain.__code__.co_firstlineno + 1, "plain", {"a": 1, "b": 2})]


def test_what_the_hook_raises_leaves_the_function():
    def hook(name):
        raise KeyError(name)

    hooked = remade(plain, inject.Edit("entry", hook, "hook", argument="x"))
    with pytest.raises(KeyError) as raised:
        hooked(1)
    frames = traceback.extract_tb(raised.value.__traceback__)
    assert [frame.name for frame in frames][1:] == ["plain", "hook"]
    assert frames[1].lineno == plain.__code__.co_firstlineno + 1


def test_hooks_run_after_marks_in_their_order():
    log = []
    edits = [
        inject.Edit("entry", lambda name: log.append(name), "hook", argument="first"),
        inject.Edit("entry", Mark(log)),
        inject.Edit("entry", lambda name: log.append(name), "hook", argument="second"),
    ]
    assert remade(plain, *edits)(1) == 3
    assert log == ["mark", "first", "second"]


def loop(n):
    while n:
        n -= 1
    return n


def gen(n):
    yield n


async def coroutine(n):
    await asyncio.sleep(0)
    return n


def test_other_kinds_of_functions():
    for function, call in (
        (loop, lambda f: f(3)),
        (gen, lambda f: list(f(3))),
        (coroutine, lambda f: asyncio.run(f(3))),
        (textwrap.dedent, lambda f: f("  a\n  b")),
    ):
        seen = []
        assert call(remade(function, inject.Edit("entry", seen.append, "hook", argument="n"))) == call(function)
        assert seen == ["n"]


def events_of(function, *arguments):
    """What a tracer sees in the frames of a function."""
    seen = []

    def trace(frame, event, argument):
        if frame.f_code.co_name != function.__name__:
            return None
        seen.append((event, frame.f_lineno))
        return trace

    old = sys.gettrace()
    sys.settrace(trace)
    try:
        function(*arguments)
    finally:
        sys.settrace(old)
    return seen


@pytest.mark.parametrize("function, arguments", [(plain, (1,)), (loop, (2,)), (textwrap.dedent, ("  a\n b",))])
def test_tracers_see_no_more_lines(function, arguments):
    hooked = remade(function, inject.Edit("entry", [].append, "hook", argument="n"))
    assert events_of(hooked, *arguments) == events_of(function, *arguments)


def test_the_argument_is_told_apart_by_identity():
    class Odd:
        __hash__ = None

        def __eq__(self, other):
            raise AssertionError("compared")

    seen = []
    one, two = Odd(), Odd()
    edits = [inject.Edit("entry", lambda each: seen.append(each), "hook", argument=each) for each in (one, two)]
    remade(plain, *edits)(1)
    assert seen[0] is one and seen[1] is two


@pytest.mark.parametrize(
    "make, error",
    [
        (lambda: inject.Edit("return", print, "hook"), ValueError),
        (lambda: inject.Edit("entry", object(), "hook"), TypeError),
        (lambda: inject.Edit("entry", Mark([]), argument="x"), ValueError),
    ],
)
def test_wrong_edits(make, error):
    with pytest.raises(error):
        make()
