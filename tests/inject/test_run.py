"""Written functions do what the plain ones do, and the probes run exactly as often as they should."""

import asyncio
import gc
import itertools
import sys

import pytest

THROW_SKIPS_LOOP = sys.version_info < (3, 12)  # see `test_throw_into_a_delegating_generator`


def outcome(function, *args):
    try:
        return "returned", function(*args)
    except BaseException as error:
        return "raised", type(error), str(error)


# Plain functions


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def test_every_run_is_entered_and_left_once(write):
    global fib
    plain = fib
    fib, log = write(plain, "entry", "return", "unwind")
    try:
        assert fib(12) == 144
    finally:
        fib = plain
    assert log.count("entry") == log.count("return") == 465
    assert "unwind" not in log


def test_a_loop_at_the_first_line_enters_once(write):
    def spin(n):
        while n:
            n -= 1

    spin, log = write(spin, "entry", "return", "unwind")
    spin(10)
    assert log == ["entry", "return"]


def test_an_exception_leaves_by_unwind(write):
    def fail(a):
        if a:
            raise KeyError(a)
        return a

    written, log = write(fail, "entry", "return", "unwind", value=("return", "unwind"))
    assert outcome(written, 1) == outcome(fail, 1)
    assert log == ["entry", ("unwind", "KeyError")]
    log.clear()
    assert written(0) == 0
    assert log == ["entry", ("return", "int")]


def test_unwind_leaves_the_handled_exception_alone(write):
    def fail():
        try:
            raise KeyError
        except KeyError:
            raise ValueError  # noqa: B904 - the implicit context is the point

    def caller(function):
        try:
            raise OSError
        except OSError:
            try:
                function()
            except ValueError as error:
                return type(error.__context__), type(error.__context__.__context__), sys.exc_info()[0]

    written, log = write(fail, "unwind", "handler")
    assert caller(written) == caller(fail)
    assert log == ["handler", "unwind"]


def test_try_finally_and_nested_handlers(write):
    def work(how):
        seen = []
        try:
            try:
                if how == "return":
                    return seen
                1 / (how != "divide")
                [][how == "index"]
            except ZeroDivisionError:
                seen.append("caught")
                if how == "divide":
                    raise TypeError("again")  # noqa: B904 - the implicit context is the point
            finally:
                seen.append("finally")
        except IndexError as error:
            seen.append(str(error))
        else:
            seen.append("else")
        return seen

    written, log = write(work)
    for how, handlers, end in [("return", 0, "return"), ("index", 2, "return"), ("divide", 3, "unwind")]:
        log.clear()
        assert outcome(written, how) == outcome(work, how)
        assert log[0] == "entry" and log[-1] == end
        assert log.count("return") + log.count("unwind") == 1
        assert log.count("handler") >= min(handlers, 1)


def test_the_handler_mark_runs_while_the_exception_is_handled(write):
    from recompyle import inject

    seen = []

    class Look:
        def __invert__(self):
            seen.append(sys.exc_info()[0])

    def work():
        try:
            {}["x"]
        except KeyError:
            return 1

    code = inject.write(work.__code__, [inject.Edit("handler", Look())])
    assert type(work)(code, {})() == 1
    assert seen == [KeyError]


def test_with_statement(write):
    class Manager:
        def __init__(self, swallow):
            self.swallow = swallow

        def __enter__(self):
            return self

        def __exit__(self, *what):
            return self.swallow

    def work(manager, fail):
        with manager:
            if fail:
                raise OSError("inside")
        return "after"

    written, log = write(work)
    for swallow in (False, True):
        for fail in (False, True):
            log.clear()
            assert outcome(written, Manager(swallow), fail) == outcome(work, Manager(swallow), fail)
            assert log.count("return") + log.count("unwind") == 1
            assert log.count("handler") == fail


def test_closure_class_cell_and_super(write):
    class Base:
        def name(self):
            return "base"

    class Child(Base):
        def name(self, extra="!"):
            return super().name() + (lambda: extra)()

    Child.name, log = write(Child.name)
    assert Child().name() == "base!"
    assert log == ["entry", "return"]


def test_match_and_comprehensions(write):
    def work(items):
        out = []
        for item in items:
            match item:
                case {"a": a, **rest}:
                    out.append((a, rest))
                case [x, *y] if x:
                    out.append([z for z in y if z is not None])
                case _:
                    continue
        return out, {k: [v for v in items if v != k] for k in "ab"}

    written, log = write(work)
    items = [{"a": 1, "b": 2}, [1, 2, None, 3], [0], 5]
    assert written(items) == work(items)
    assert log == ["entry", "return"]


def test_exception_groups(write):
    def work(group):
        seen = []
        try:
            raise group
        except* KeyError as caught:
            seen.append(len(caught.exceptions))
        except* OSError:
            seen.append("os")
        return seen

    written, log = write(work)
    for group in (
        ExceptionGroup("g", [KeyError(1), OSError(2)]),
        ExceptionGroup("g", [KeyError(1), ValueError(2)]),
    ):
        log.clear()
        assert repr(outcome(written, group)) == repr(outcome(work, group))
        assert log.count("return") + log.count("unwind") == 1


# Generators: each started one ends in exactly one of `return` and `unwind`


def plain_yield(n):
    for i in range(n):
        got = yield i
        if got:
            yield got


def guarded(n):
    try:
        yield from range(n)
    except KeyError:
        yield "caught"
    finally:
        n += 1


def stubborn(n):
    try:
        yield n
    except GeneratorExit:
        return "closed"
    except KeyError:
        yield "caught"


def delegating(n):
    return (yield from plain_yield(n))


def drive_exhaust(generator):
    return list(generator)


def drive_close(generator):
    return next(generator), generator.close(), list(generator)


def drive_close_unstarted(generator):
    return generator.close()


# The young generations hold it; all of the tests' objects would be a lot to look through.
def drive_drop(generator):
    next(generator)
    del generator
    gc.collect(1)


def drive_throw(generator):
    return next(generator), generator.throw(KeyError("thrown")), list(generator)


def drive_throw_unstarted(generator):
    return generator.throw(KeyError("thrown"))


def drive_throw_stop(generator):
    return next(generator), generator.throw(StopIteration("thrown"))


def drive_send(generator):
    return next(generator), generator.send("sent"), list(generator)


GENERATORS = [plain_yield, guarded, stubborn, delegating]
DRIVES = [value for name, value in list(globals().items()) if name.startswith("drive_")]


@pytest.mark.parametrize("drive", DRIVES, ids=lambda function: function.__name__)
@pytest.mark.parametrize("function", GENERATORS, ids=lambda function: function.__name__)
@pytest.mark.parametrize("form", ["statement", "value"])
def test_generators_end_once(write, function, drive, form):
    kinds = ("entry", "return", "unwind", "handler", "yield", "resume")
    written, log = write(function, value=kinds[1:] if form == "value" else ())
    for n in (2, 1, 0):
        log.clear()
        expected = outcome(lambda count: drive(function(count)), n)
        assert outcome(lambda count: drive(written(count)), n) == expected
        gc.collect(1)
        kinds = [entry if isinstance(entry, str) else entry[0] for entry in log]
        started = 0 if drive in (drive_close_unstarted, drive_throw_unstarted) else 1
        assert kinds.count("entry") == started
        assert kinds.count("return") + kinds.count("unwind") == started, log
        if started:
            assert kinds[0] == "entry" and kinds[-1] in ("return", "unwind")


def test_yields_and_resumes_alternate(write):
    written, log = write(delegating, "entry", "yield", "resume", "return")
    assert list(written(3)) == [0, 1, 2]
    assert log == ["entry", *["yield", "resume"] * 3, "return"]


def test_value_form_sees_what_goes_in_and_out(write):
    written, log = write(plain_yield, "yield", "resume", value=("yield", "resume"))
    generator = written(1)
    assert next(generator) == 0
    assert generator.send("x") == "x"
    assert log == [("yield", "int"), ("resume", "str"), ("yield", "str")]
    generator.close()


class Inner:
    """An iterator whose throw() ends it, gives another item, or raises."""

    def __init__(self, on_throw):
        self.on_throw = on_throw

    def __iter__(self):
        return self

    def __next__(self):
        return "item"

    def throw(self, error):
        if isinstance(self.on_throw, BaseException):
            raise self.on_throw
        return self.on_throw


def outer(inner):
    try:
        result = yield from inner
    except OSError as error:
        result = str(error)
    yield result


def test_throw_into_a_delegating_generator(write):
    """If throw() ends the inner iterator, the outer generator runs again, and `resume` says so."""
    written, log = write(outer, "yield", "resume")

    def drive(inner):
        log.clear()
        generator = written(inner)
        return next(generator), generator.throw(KeyError("k")), generator

    *seen, generator = drive(Inner(StopIteration("done")))
    assert seen == ["item", "done"] and list(generator) == []
    assert log == ["yield", "resume", "yield", "resume"]
    *seen, generator = drive(Inner(OSError("failed")))
    assert seen == ["item", "failed"] and list(generator) == []
    # Up to 3.11 the exception goes straight to the handler: no instruction of the loop runs.
    assert log == (
        ["yield", "yield", "resume"] if THROW_SKIPS_LOOP else ["yield", "resume", "yield", "resume"]
    )
    *seen, generator = drive(Inner("another"))
    assert seen == ["item", "another"]
    assert log == ["yield"]  # the outer generator has not run: the inner one yielded by itself


def test_a_generator_shows_what_it_delegates_to(write):
    written, _ = write(delegating)
    generator = written(2)
    next(generator)
    assert generator.gi_yieldfrom.__name__ == "plain_yield"
    generator.close()


def test_stop_iteration_in_a_generator_unwinds_as_runtime_error(write):
    def bad():
        yield 1
        raise StopIteration

    written, log = write(bad, "unwind", value=("unwind",))
    assert outcome(lambda: list(written())) == outcome(lambda: list(bad()))
    # Up to 3.11 the interpreter replaces the exception when it has left the code.
    assert log == [("unwind", "StopIteration" if sys.version_info < (3, 12) else "RuntimeError")]


def test_generator_expressions(write):
    def make():
        return (x * x for x in range(3) if x)

    code, log = write(next(c for c in make.__code__.co_consts if hasattr(c, "co_code")))
    assert list(type(make)(code, {})(iter(range(3)))) == [1, 4]
    assert log == ["entry", *["yield", "resume"] * 2, "return"]


# Coroutines and async generators


class Ticks:
    """Asynchronous iterator and context manager that suspends a few times."""

    def __init__(self, n, enter=None, leave=None, swallow=False):
        self.n, self.enter, self.leave, self.swallow = n, enter, leave, swallow

    def __aiter__(self):
        return self

    async def __anext__(self):
        await asyncio.sleep(0)
        if not self.n:
            raise StopAsyncIteration
        self.n -= 1
        if self.enter:
            raise self.enter
        return self.n

    async def __aenter__(self):
        await asyncio.sleep(0)
        if self.enter:
            raise self.enter
        return self

    async def __aexit__(self, *what):
        await asyncio.sleep(0)
        if self.leave:
            raise self.leave
        return self.swallow


def run(function, *args):
    return outcome(asyncio.run, function(*args))


def test_async_for(write):
    async def work(ticks):
        seen = []
        async for tick in ticks:
            seen.append(tick)
            if tick == 7:
                break
        else:
            seen.append("else")
        return seen

    written, log = write(work, value=("async_end", "return"))
    assert run(written, Ticks(3)) == run(work, Ticks(3))
    assert log == [
        "entry",
        *["waiting", "waited"] * 3,
        "waiting",
        ("async_end", "StopAsyncIteration"),
        ("return", "list"),
    ]
    log.clear()
    assert run(written, Ticks(9)) == run(work, Ticks(9))
    assert log == ["entry", *["waiting", "waited"] * 2, ("return", "list")]
    log.clear()
    assert run(written, Ticks(1, enter=OSError("next"))) == run(work, Ticks(1, enter=OSError("next")))
    assert log == ["entry", "waiting", ("async_end", "OSError"), "unwind"]


def test_async_comprehension(write):
    async def work(ticks):
        return [tick async for tick in ticks], {t: t async for t in Ticks(1)}

    if sys.version_info < (3, 12):
        inner = next(c for c in work.__code__.co_consts if getattr(c, "co_name", "") == "<listcomp>")
        code, log = write(inner)
        plain = type(work)(inner, globals())
        written = type(work)(code, globals())
        expected = ["entry", *["waiting", "waited"] * 3, "waiting", "async_end", "return"]
    else:
        plain = work
        written, log = write(work)
        loops = [
            *["waiting", "waited"] * 3,
            "waiting",
            "async_end",
            "waiting",
            "waited",
            "waiting",
            "async_end",
        ]
        expected = ["entry", *loops, "return"]
    assert run(written, Ticks(3)) == run(plain, Ticks(3))
    assert log == expected


def test_async_with(write):
    async def work(first, second, how):
        async with first as a, second:
            if how == "return":
                return "inside"
            if how == "raise":
                raise KeyError(how)
        return a is first

    written, log = write(work)
    for how, enter, leave, swallow, waits in [
        ("pass", None, None, False, 4),
        ("return", None, None, False, 4),
        ("raise", None, None, False, 4),
        ("raise", None, None, True, 4),
        ("pass", OSError("enter"), None, False, 3),
        ("pass", None, OSError("leave"), False, 4),
    ]:
        log.clear()
        args = Ticks(0, swallow=swallow), Ticks(0, enter, leave, swallow), how
        assert run(written, *args) == run(work, *args)
        failed = sum(error is not None for error in (enter, leave))
        assert log.count("waiting") == waits
        assert log.count("waited") == waits - failed
        assert log.count("return") + log.count("unwind") == 1
        marks = [entry for entry in log if entry in ("waiting", "waited")]
        assert all(a == "waiting" or b == "waiting" for a, b in itertools.pairwise(marks))


def test_async_with_left_by_break_and_continue(write):
    async def work(n):
        out = 0
        for i in range(n):
            async with Ticks(0):
                if i == 1:
                    continue
                if i == 3:
                    break
                out += i
        return out

    written, log = write(work, "waiting", "waited")
    assert run(written, 9) == run(work, 9) == ("returned", 2)
    assert log == ["waiting", "waited"] * 8


def test_explicit_awaits_get_no_marks(write):
    async def work():
        await asyncio.sleep(0)
        return await asyncio.sleep(0, "done")

    written, log = write(work)
    assert run(written) == ("returned", "done")
    assert log == ["entry", "return"]


@pytest.mark.parametrize("end", ["cancel", "close", "throw", "drop"])
def test_coroutines_end_once(write, end):
    async def work():
        await asyncio.sleep(0)
        await asyncio.Event().wait()

    written, log = write(work)
    if end == "cancel":

        async def main():
            task = asyncio.ensure_future(written())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(main())
    else:
        coroutine = written()
        coroutine.send(None)
        if end == "close":
            coroutine.close()
        elif end == "throw":
            with pytest.raises(KeyError):
                coroutine.throw(KeyError)
        del coroutine
        gc.collect(1)
    assert log == ["entry", "unwind"]


async def ticker(n):
    try:
        for i in range(n):
            got = yield i
            await asyncio.sleep(0)
            if got:
                yield got
    except KeyError:
        yield "caught"


@pytest.mark.parametrize("end", ["exhaust", "aclose", "athrow", "break", "asend"])
def test_async_generators_end_once(write, end):
    written, log = write(ticker)

    async def drive(function):
        generator = function(3)
        seen = [await generator.__anext__()]
        if end == "aclose":
            await generator.aclose()
        elif end == "athrow":
            seen.append(await generator.athrow(KeyError("thrown")))
        elif end == "asend":
            seen.append(await generator.asend("sent"))
        if end != "break":
            seen += [item async for item in generator]
        else:
            del generator
            gc.collect(1)
            await asyncio.sleep(0)
        return seen

    assert run(drive, written) == run(drive, ticker)
    assert log.count("entry") == 1
    assert log.count("return") + log.count("unwind") == 1
    assert log[-1] in ("return", "unwind")
    if end == "exhaust":
        assert log == ["entry", *["yield", "resume"] * 3, "return"]


def test_module_and_class_bodies_run(write):
    source = (
        "import sys\n"
        "class C:\n"
        "    x: int = 1\n"
        "    def m(self): return self.x\n"
        "result = C().m() + len(sys.argv[:0])\n"
    )
    code, log = write(compile(source, "<module>", "exec"))
    namespace = {"__name__": "m"}
    exec(code, namespace)
    assert namespace["result"] == 1
    assert log == ["entry", "return"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="3.11 has no handler for a StopIteration that leaves")
def test_exception_leaves_a_generator(write):
    def work(values):
        yield from (10 // value for value in values)

    inner = next(c for c in work.__code__.co_consts if getattr(c, "co_name", "") == "<genexpr>")
    written, log = write(inner, "leaving", value=("leaving",))
    work.__code__ = work.__code__.replace(
        co_consts=tuple(written if const is inner else const for const in work.__code__.co_consts)
    )
    assert list(work([5, 2])) == [2, 5]
    assert log == []
    with pytest.raises(ZeroDivisionError):
        list(work([5, 0]))
    assert log == [("leaving", "ZeroDivisionError")]
    closed = work([5, 2])
    next(closed)
    closed.close()
    assert [each for each in log[1:] if each != ("leaving", "GeneratorExit")] == []
