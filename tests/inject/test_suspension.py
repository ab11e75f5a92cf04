"""What comes in and goes out of generators and coroutines: `created`, `throw`, and that the sums are right."""

import asyncio
import contextlib
import gc
import itertools
import sys
import types

import pytest

from recompyle import inject

from .conftest import Probe
from .test_invisible import WORK, load, write_all
from .test_run import DRIVES, GENERATORS, Inner, Ticks, outcome

ENTERED, LEFT = ("entry", "resume", "throw"), ("return", "yield", "unwind")
TERMS = {
    "PY_START": "entry", "PY_RESUME": "resume", "PY_THROW": "throw", "PY_RETURN": "return", "PY_YIELD": "yield",
    "PY_UNWIND": "unwind",
}  # fmt: skip
from_312 = pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring, and marks in awaits, are new in 3.12")


@contextlib.contextmanager
def monitored(*codes):
    """The kinds of sites that `sys.monitoring` says were reached in these code objects."""
    monitoring = sys.monitoring
    own = set(map(id, codes))
    seen = []
    tool = monitoring.PROFILER_ID
    monitoring.use_tool_id(tool, "test")
    try:
        for name, kind in TERMS.items():
            callback = lambda code, *_, kind=kind: seen.append(kind) if id(code) in own else None  # noqa: E731
            monitoring.register_callback(tool, getattr(monitoring.events, name), callback)
        monitoring.set_events(tool, sum(getattr(monitoring.events, name) for name in TERMS))
        yield seen
    finally:
        monitoring.set_events(tool, 0)
        for name in TERMS:
            monitoring.register_callback(tool, getattr(monitoring.events, name), None)
        monitoring.free_tool_id(tool)


def nested(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from nested(constant)


def assert_balanced(log):
    assert sum(kind in ENTERED for kind in log) == sum(kind in LEFT for kind in log), log


def test_made_but_never_started(write):
    def numbers(n):
        yield n

    written, log = write(numbers, "created", "entry")
    made = written(1)
    assert log == ["created"]
    assert next(made) == 1
    assert log == ["created", "entry"]


def test_coroutines_and_async_generators_are_made(write):
    async def coroutine(n):
        return n

    async def generator(n):
        yield n

    for function in (coroutine, generator):
        written, log = write(function, "created", "entry")
        made = written(1)
        assert log == ["created"]
        if function is coroutine:
            assert asyncio.run(made) == 1
            assert log == ["created", "entry"]


def test_a_closure_is_made(write):
    n = 3

    def numbers():
        yield n

    written, log = write(numbers, "created")
    assert list(written()) == [3]
    assert log == ["created"]


@pytest.mark.parametrize("form", ["statement", "value"])
def test_what_is_thrown_in_is_seen(write, form):
    def guarded():
        while True:
            try:
                yield 1
            except KeyError:
                yield "caught"

    written, log = write(guarded, "throw", value=("throw",) if form == "value" else ())
    made = written()
    assert next(made) == 1
    assert made.throw(KeyError("x")) == "caught"
    assert next(made) == 1
    with pytest.raises(ZeroDivisionError):
        made.throw(ZeroDivisionError())
    seen = [("throw", "KeyError"), ("throw", "ZeroDivisionError")] if form == "value" else ["throw", "throw"]
    assert log == seen


def test_one_suspension_alone(write):
    def two():
        seen = []
        try:
            yield 1
        except KeyError:
            seen.append(1)
        try:
            yield 2
        except KeyError:
            seen.append(2)

    log = []

    class Log:
        def __invert__(self):
            log.append("thrown")

    two.__code__ = inject.write(two.__code__, [inject.Edit("throw", Log(), index=1)])
    made = two()
    assert next(made) == 1 and made.throw(KeyError) == 2
    assert log == []
    with pytest.raises(StopIteration):
        made.throw(KeyError)
    assert log == ["thrown"]


def test_the_handled_exception_and_the_traceback_stay(write):
    def pausing():
        try:
            raise KeyError
        except KeyError:
            yield 1

    def caught(function):
        made = function()
        next(made)
        try:
            made.throw(ValueError("in"))
        except ValueError as error:
            lines = []
            step = error.__traceback__
            while step is not None:
                lines.append((step.tb_frame.f_code.co_name, step.tb_lineno))
                step = step.tb_next
            return type(error.__context__), lines[1:], sys.exc_info()[0]

    written, _ = write(pausing, "throw", "unwind", value=("throw",))
    assert caught(written) == caught(pausing)


async def awaiting(n):
    try:
        await asyncio.sleep(n)
    except asyncio.CancelledError:
        await asyncio.sleep(0)
        return "cancelled"


def test_a_cancelled_task(write):
    written, log = write(awaiting, "entry", "throw", "return", value=("throw",))

    async def main():
        task = asyncio.ensure_future(written(60))
        await asyncio.sleep(0)
        task.cancel()
        return await task

    assert asyncio.run(main()) == "cancelled"
    assert log == ["entry", ("throw", "CancelledError"), "return"]


@types.coroutine
def pausing():
    yield


async def with_awaits(n):
    for _ in range(n):
        await pausing()
    return n


@pytest.mark.parametrize("drive", DRIVES, ids=lambda function: function.__name__)
def test_coroutines_end_once(write, drive):
    written, log = write(with_awaits, "entry", "throw", "return", "unwind")
    never = drive.__name__ in ("drive_close_unstarted", "drive_throw_unstarted")  # then no code of the function runs
    for n in (2, 1, 0):
        log.clear()
        expected = outcome(lambda count: drive(with_awaits(count).__await__()), n)
        assert outcome(lambda count: drive(written(count).__await__()), n) == expected
        gc.collect(1)
        assert log.count("entry") == log.count("return") + log.count("unwind") == (not never), log
        if drive.__name__ in ("drive_throw", "drive_throw_stop"):
            assert log.count("throw") == (n > 0), log


async def stepping(n):
    try:
        for step in range(n):
            await pausing()
            yield step
    except KeyError:
        yield "caught"


@pytest.mark.parametrize("end", ["exhaust", "close", "throw", "drop", "close_unstarted"])
def test_asynchronous_generators_end_once(write, end):
    async def drive(made):
        if end == "exhaust":
            return [each async for each in made]
        if end == "close_unstarted":
            return await made.aclose()
        first = await anext(made)
        if end == "throw":
            return first, await made.athrow(KeyError("in")), [each async for each in made]
        if end == "close":
            await made.aclose()
        return first

    def run(function):
        running = drive(function(2)).__await__()
        return outcome(lambda: list(running))

    written, log = write(stepping, "entry", "throw", "yield", "resume", "return", "unwind")
    assert run(written) == run(stepping)
    gc.collect(1)
    assert log.count("entry") == log.count("return") + log.count("unwind") == (end != "close_unstarted"), log
    assert log.count("yield") == log.count("resume") + log.count("throw"), log


@pytest.mark.parametrize("drive", DRIVES, ids=lambda function: function.__name__)
@pytest.mark.parametrize("function", GENERATORS, ids=lambda function: function.__name__)
def test_what_enters_leaves(write, function, drive):
    if sys.version_info < (3, 12) and function.__name__ in ("delegating", "guarded") and "throw" in drive.__name__:
        pytest.skip("on 3.11 what an inner iterator raises is both a resume and a throw")
    written, log = write(function, *ENTERED, *LEFT)
    for n in (2, 1, 0):
        log.clear()
        assert outcome(lambda count: drive(written(count)), n) == outcome(lambda count: drive(function(count)), n)
        gc.collect(1)
        # A throw into an iterator that the generator delegates to comes back as a resume too.
        entered = [kind for kind in log if kind in ENTERED]
        left = [kind for kind in log if kind in LEFT]
        again = sum(1 for a, b in itertools.pairwise(log) if (a, b) == ("throw", "resume"))
        assert len(entered) - again == len(left), log


@from_312
@pytest.mark.parametrize("drive", DRIVES, ids=lambda function: function.__name__)
@pytest.mark.parametrize("function", [GENERATORS[0], GENERATORS[2]], ids=lambda function: function.__name__)
def test_each_term_is_that_of_monitoring(write, function, drive):
    written, log = write(function, *ENTERED, *LEFT)
    with monitored(written.__code__) as seen:
        outcome(lambda: drive(written(2)))
        gc.collect(1)
    if drive.__name__ in ("drive_throw_unstarted", "drive_close_unstarted"):  # no code of the function runs
        assert log == []
        return
    assert sorted(seen) == sorted(log)


# Awaits suspend too


class Once(Inner):
    """An awaitable that suspends once, with a throw() of its own."""

    suspended = False

    def __await__(self):
        return self

    def __next__(self):
        if self.suspended:
            raise StopIteration
        self.suspended = True
        return "item"


async def guarded(n):
    try:
        await pausing()
        await pausing()
    except KeyError:
        await pausing()
        return "caught"
    finally:
        await pausing()
    return n


async def ended_inside(n):
    return n, await Once(StopIteration("done"))


async def failing_inside(n):
    try:
        await Once(OSError(n))
    except OSError:
        return "failed"


async def looping(n):
    seen = []
    async with Ticks(n) as ticks, Ticks(n, swallow=True):
        async for tick in ticks:
            await pausing()
            seen.append(tick)
        seen += [tick + other async for tick in Ticks(n) for other in [1]]
        raise KeyError
    async with Ticks(n, leave=OSError("leaving")):
        pass
    return seen


async def iterating(n):
    return [item async for item in stepping(n)] + [item async for item in (tick async for tick in Ticks(n))]


COROUTINES = [with_awaits, guarded, ended_inside, failing_inside, looping, iterating]


@from_312
@pytest.mark.parametrize("form", ["statement", "value"])
def test_awaits_yield_and_resume(write, form):
    written, log = write(
        with_awaits, "entry", "yield", "resume", "return", value=("yield",) if form == "value" else (), implicit=True
    )
    assert list(written(3).__await__()) == [None] * 3
    assert log == ["entry", *[("yield", "NoneType") if form == "value" else "yield", "resume"] * 3, "return"]


@from_312
def test_what_the_event_loop_sends_is_seen(write):
    @types.coroutine
    def asking():
        return (yield "question")

    async def ask():
        return await asking()

    written, log = write(ask, "yield", "resume", value=("yield", "resume"), implicit=True)
    running = written().__await__()
    assert next(running) == "question"
    with pytest.raises(StopIteration) as stop:
        running.send(42)
    assert stop.value.value == 42
    assert log == [("yield", "str"), ("resume", "int")]


@from_312
def test_a_coroutine_shows_what_it_awaits(write):
    written, _ = write(with_awaits, "yield", "resume", implicit=True)
    running = written(2)
    running.send(None)
    assert running.cr_await.__name__ == "pausing"
    running.close()


def test_awaits_are_left_out_unless_asked_for(write):
    written, log = write(stepping, "yield", "resume")
    assert log == []
    assert asyncio.run(anext(written(1))) == 0
    assert log == ["yield"]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="marks stand in awaits from 3.12")
def test_awaits_have_no_marks():
    for function in COROUTINES:
        found = inject.sites(function.__code__, include_implicit=True)
        assert not [site for site in found if site.kind in ("yield", "resume")]


@from_312
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("drive", DRIVES, ids=lambda function: function.__name__)
@pytest.mark.parametrize("function", COROUTINES, ids=lambda function: function.__name__)
def test_each_term_of_a_coroutine(write, function, drive):
    written, log = write(function, *ENTERED, *LEFT, implicit=True)
    for n in (2, 1, 0):
        log.clear()
        expected = outcome(lambda count: drive(function(count).__await__()), n)
        with monitored(written.__code__) as seen:
            assert outcome(lambda count: drive(written(count).__await__()), n) == expected
            gc.collect(1)
        if drive.__name__ in ("drive_throw_unstarted", "drive_close_unstarted"):  # no code of the function runs
            assert log == []
            continue
        assert seen == log
        assert_balanced(log)


async def consuming(made):
    return [item async for item in made]


@from_312
@pytest.mark.parametrize("drive", DRIVES, ids=lambda function: function.__name__)
def test_each_term_of_an_asynchronous_generator(write, drive):
    written, log = write(stepping, *ENTERED, *LEFT, implicit=True)
    for n in (2, 1, 0):
        log.clear()
        expected = outcome(lambda count: drive(consuming(stepping(count)).__await__()), n)
        with monitored(written.__code__) as seen:
            assert outcome(lambda count: drive(consuming(written(count)).__await__()), n) == expected
            gc.collect(1)
        assert seen == log
        assert_balanced(log)


@from_312
@pytest.mark.parametrize("form", ["statement", "value"])
@pytest.mark.parametrize("name", ["asyncio.queues", "asyncio.taskgroups", "contextlib"])
def test_each_term_of_a_module(name, form):
    log, codes = [], []

    def write(code, kinds, form):
        codes.append(write_all(code, kinds, form, lambda kind: Probe(kind, log)))
        return codes[0]

    module = load(name, (*ENTERED, *LEFT), form, write)
    log.clear()
    with monitored(*nested(codes[0])) as seen:
        WORK[name](module)
        gc.collect(1)
    assert seen == [each if isinstance(each, str) else each[0] for each in log]
    assert_balanced(seen)
