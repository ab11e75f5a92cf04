"""Tracers, profilers, monitoring and tracebacks see the original program."""

import asyncio
import difflib
import importlib.util
import sys
import tokenize
import traceback
import types

import pytest

from recompyle import inject

KINDS = (
    "entry", "created", "return", "unwind", "handler", "call", "called", "yield", "resume", "throw", "await",
    "awaited", "waiting", "waited", "async_end", "leaving",
)  # fmt: skip


class Probe:
    def __invert__(self):
        return None

    def __getitem__(self, value):
        return value


def write_all(code, kinds, form, probe=lambda kind: Probe()):
    """A code object with marks in it and in every code object nested in it."""
    consts = tuple(write_all(c, kinds, form, probe) if isinstance(c, types.CodeType) else c for c in code.co_consts)
    present = {site.kind for site in inject.sites(code, include_implicit=True)}
    edits = [
        inject.Edit(
            kind,
            probe(kind),
            "statement" if kind in ("entry", "created", "call") else form,
            include_implicit=True,
        )
        for kind in kinds
        if kind in present
    ]
    return inject.write(code.replace(co_consts=consts), edits)


def load(name, kinds, form="statement", write=write_all):
    """A standard library module, run from its source with marks everywhere."""
    spec = importlib.util.find_spec(name)
    code = compile(spec.loader.get_source(name), spec.origin, "exec", dont_inherit=True)
    module = types.ModuleType(name)
    module.__package__ = spec.parent
    module.__file__ = spec.origin
    exec(write(code, kinds, form) if kinds else code, module.__dict__)
    return module


# Work for the modules: real calls into code that has loops, handlers, generators and context managers.

TEXT = """\
def f(a, b=[1, 2]):
    "Doc."
    return {a: b for _ in range(3)}  # comment


class C: x = f"{1:>{2}}"
"""


def wrap(module):
    return module.fill(TEXT * 2, width=23, initial_indent="> "), module.dedent(TEXT), module.shorten(TEXT, 30)


def diff(module):
    return list(module.ndiff(TEXT.splitlines(), TEXT.replace("b", "c").splitlines()))


def tokens(module):
    lines = iter(TEXT.splitlines(keepends=True))
    return [tuple(token)[:2] for token in module.generate_tokens(lambda: next(lines, ""))]


def contexts(module):
    log = []

    @module.contextmanager
    def step(name):
        log.append(name)
        try:
            yield name
        except KeyError:
            log.append("caught")
        finally:
            log.append("end")

    with module.ExitStack() as stack:
        stack.enter_context(step("a"))
        stack.enter_context(module.suppress(OSError))
        with step("b"):
            raise KeyError
        stack.callback(log.append, "called")
        raise OSError
    return log


def arguments(module):
    parser = module.ArgumentParser(prog="p")
    parser.add_argument("-n", type=int, default=1)
    parser.add_argument("rest", nargs="*")
    return parser.parse_args(["-n", "3", "x", "y"]).rest, parser.format_help()


def queues(module):
    async def main():
        queue = module.Queue(2)

        async def fill():
            for item in range(5):
                await queue.put(item)

        task = asyncio.ensure_future(fill())
        seen = [await queue.get() for _ in range(5)]
        await task
        with pytest.raises(module.QueueEmpty):
            queue.get_nowait()
        return seen

    return asyncio.run(main())


def groups(module):
    async def main():
        async with module.TaskGroup() as group:
            tasks = [group.create_task(asyncio.sleep(0, n)) for n in range(3)]
        try:
            async with module.TaskGroup() as group:
                group.create_task(asyncio.sleep(9))
                raise KeyError
        except* KeyError:
            seen = [task.result() for task in tasks]
        return seen

    return asyncio.run(main())


WORK = {
    "argparse": arguments,
    "asyncio.queues": queues,
    "asyncio.taskgroups": groups,
    "contextlib": contexts,
    "difflib": diff,
    "textwrap": wrap,
    "tokenize": tokens,
}


def traced(work, module):
    """The stream of sys.settrace in the files of the module."""
    events = []

    def trace(frame, event, arg):
        if frame.f_code.co_filename != module.__file__:
            return None
        kind = arg[0] if event == "exception" else type(arg)
        events.append((event, frame.f_code.co_qualname, frame.f_lineno, kind.__qualname__))
        return trace

    sys.settrace(trace)
    try:
        return work(module), events
    finally:
        sys.settrace(None)


def profiled(work, module):
    """The stream of sys.setprofile in the files of the module."""
    events = []

    def profile(frame, event, arg):
        if frame.f_code.co_filename == module.__file__:
            events.append((event, frame.f_code.co_qualname, frame.f_lineno, getattr(arg, "__name__", None)))

    sys.setprofile(profile)
    try:
        return work(module), events
    finally:
        sys.setprofile(None)


def monitored(work, module):
    """The stream of every sys.monitoring event but INSTRUCTION, places as source positions."""
    monitoring = sys.monitoring
    events = []
    names = [
        name
        for name in vars(monitoring.events)
        if name.isupper() and name not in ("INSTRUCTION", "NO_EVENTS")
    ]
    positions = {}

    def place(code, arg):
        table = positions.get(id(code))
        if table is None:
            positions[id(code)] = table = code, list(code.co_positions())
        return table[1][arg // 2]

    def listen(name):
        def callback(code, *args):
            if code.co_filename != module.__file__:
                return
            if name in ("LINE", "PY_START"):
                where = args[:1] if name == "LINE" else ()
            elif name in ("JUMP", "BRANCH", "BRANCH_LEFT", "BRANCH_RIGHT"):
                where = place(code, args[0]), place(code, args[1])
            else:
                where = (place(code, args[0]),)
            events.append((name, code.co_qualname, *where))

        return callback

    tool = monitoring.PROFILER_ID
    monitoring.use_tool_id(tool, "test")
    try:
        mask = 0
        for name in names:
            mask |= getattr(monitoring.events, name)
            monitoring.register_callback(tool, getattr(monitoring.events, name), listen(name))
        monitoring.set_events(tool, mask)
        return work(module), events
    finally:
        monitoring.set_events(tool, 0)
        for name in names:
            monitoring.register_callback(tool, getattr(monitoring.events, name), None)
        monitoring.free_tool_id(tool)


WATCHERS = [traced, profiled] + ([monitored] if sys.version_info >= (3, 12) else [])


@pytest.mark.parametrize("form", ["statement", "value"])
@pytest.mark.parametrize("watch", WATCHERS, ids=lambda function: function.__name__)
@pytest.mark.parametrize("name", WORK)
def test_streams_are_those_of_the_plain_run(name, watch, form):
    # Each exception that passes an `unwind` or a `throw` is one more event of monitoring; else the streams are equal.
    kinds = [kind for kind in KINDS if watch is not monitored or kind not in ("unwind", "throw")]
    expected, plain = watch(WORK[name], load(name, ()))
    result, events = watch(WORK[name], load(name, kinds, form))
    assert result == expected
    assert len(plain) > 50
    assert events == plain


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring is new in 3.12")
@pytest.mark.parametrize(
    "kind, work", [("unwind", "difflib"), ("throw", "contextlib"), ("throw", "asyncio.taskgroups")]
)
def test_handlers_add_the_two_documented_events(kind, work):
    _, plain = monitored(WORK[work], load(work, ()))
    _, events = monitored(WORK[work], load(work, (kind,)))
    rest = [event for event in events if event[0] not in ("EXCEPTION_HANDLED", "RERAISE")]
    assert rest == [event for event in plain if event[0] not in ("EXCEPTION_HANDLED", "RERAISE")]


def failing(how):
    try:
        if how == "generator":
            list(failing_generator())
        return [how][1 if how == "index" else 0].missing
    except IndexError as error:
        raise RuntimeError("chained") from error


def failing_generator():
    yield 1
    yield (lambda n: n / 0)(2)


@pytest.mark.parametrize("form", ["statement", "value"])
@pytest.mark.parametrize("how", ["attribute", "index", "generator"])
def test_tracebacks_are_the_same(how, form, monkeypatch):
    def text():
        try:
            failing(how)
        except Exception as error:
            return "".join(traceback.format_exception(error))

    plain = text()
    assert "^" in plain
    monkeypatch.setattr(failing, "__code__", write_all(failing.__code__, KINDS, form))
    monkeypatch.setattr(failing_generator, "__code__", write_all(failing_generator.__code__, KINDS, form))
    assert text() == plain


def test_frames_show_the_line_they_are_on():
    def work():
        return (
            sys._getframe().f_lineno,
            sys._getframe().f_lineno,
        )

    plain = work()
    work.__code__ = write_all(work.__code__, KINDS, "value")
    assert work() == plain
    assert work.__code__.co_firstlineno + 2 == plain[0]


def test_attributes_that_describe_the_function_stay():
    for function in (difflib.ndiff, tokenize.untokenize, asyncio.sleep, failing):
        old, new = function.__code__, write_all(function.__code__, KINDS, "value")
        for name in (
            "name",
            "qualname",
            "filename",
            "firstlineno",
            "flags",
            "varnames",
            "freevars",
            "cellvars",
            "names",
        ):
            assert getattr(old, "co_" + name) == getattr(new, "co_" + name)
        assert list(dict.fromkeys(line for *_, line in new.co_lines() if line)) == list(
            dict.fromkeys(line for *_, line in old.co_lines() if line)
        )


# Every shape of `async for` and `async with`


class Steps:
    def __init__(self, n):
        self.n = n

    def __aiter__(self):
        return self

    async def __anext__(self):
        await asyncio.sleep(0)
        if not self.n:
            raise StopAsyncIteration
        self.n -= 1
        return self.n, self.n

    async def __aenter__(self):
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *what):
        await asyncio.sleep(0)
        return what[0] is KeyError


async def steps(n):
    async for a, b in Steps(n):
        if a == 7:
            break
        if a == 6:
            continue
        yield a + b
    else:
        yield "else"


async def all_shapes():
    seen = [item async for item in steps(3)]
    async for (
        a,
        b,
    ) in Steps(2):
        async with (
            Steps(a) as first,
            Steps(b) as second,
        ):
            seen.append(first is second)
            raise KeyError
    try:
        async with Steps(0):
            async for item in steps(9):
                if item == 10:
                    {}["swallowed"]
                seen.append(item)
        async with Steps(0):
            raise OSError
    except OSError:
        seen += {n: [m async for m, _ in Steps(n)] async for n, _ in Steps(3) if n}
    for n in range(3):
        async with Steps(n):
            if n == 1:
                continue
            if n == 2:
                return seen


def run_all_shapes(functions):
    return asyncio.run(functions.all_shapes())


@pytest.mark.parametrize("form", ["statement", "value"])
@pytest.mark.parametrize("watch", WATCHERS, ids=lambda function: function.__name__)
def test_streams_of_asynchronous_code(watch, form):
    kinds = [kind for kind in KINDS if watch is not monitored or kind != "unwind"]
    plain = {"Steps": Steps, "steps": steps, "asyncio": asyncio}
    probed = dict(plain)
    for names, change in ((plain, lambda code: code), (probed, lambda code: write_all(code, kinds, form))):
        for function in (steps, all_shapes):
            names[function.__name__] = types.FunctionType(change(function.__code__), names)
    expected, events = watch(run_all_shapes, types.SimpleNamespace(__file__=__file__, **plain))
    assert expected[:4] == [4, 2, 0, "else"]

    def own(events):
        """Those of the two functions; of the handled exceptions only that there was one, and where."""
        chosen = [event for event in events if event[1] in ("steps", "all_shapes")]
        return [event[:2] if event[0] == "EXCEPTION_HANDLED" else event for event in chosen]

    result, probed_events = watch(run_all_shapes, types.SimpleNamespace(__file__=__file__, **probed))
    assert result == expected
    assert len(own(events)) > 50
    assert own(probed_events) == own(events)
