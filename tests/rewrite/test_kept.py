"""Finished code from the disk: in every respect the code of a rewrite that was made just now."""

import asyncio
import contextlib
import dataclasses
import functools
import importlib
import inspect
import json
import linecache
import marshal
import subprocess
import sys
import textwrap
import traceback
import types
from pathlib import Path

import pytest

import recompyle
from recompyle import ProfileCalls, WrapCalls
from recompyle._c.probe import Probe
from recompyle.patch import install, pristine
from recompyle.profile import control
from recompyle.rewrite import cache, engine, kept
from recompyle.rewrite.skeleton import difference
from recompyle.rewrite.transform import constant_of
from recompyle.wrap.extras import CallExtras

pytestmark = pytest.mark.skipif(recompyle._env.REPLACE_LOSES_FLAGS, reason="3.12.0 keeps no finished code")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RECOMPYLE_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def prepared(monkeypatch):
    """The functions that passes were shown."""
    names = []
    prepare = engine.prepare

    def counted(function, code, passes):
        names.append(function.__name__)
        return prepare(function, code, passes)

    monkeypatch.setattr(engine, "prepare", counted)
    return names


@pytest.fixture
def told(monkeypatch):
    """What the profiler was told of each function."""
    infos = []
    monkeypatch.setattr(control, "register", lambda record, options: infos.append(record.info))
    return infos


def wrapper(call, extras, /, *args, **kwargs):
    return call(*args, **kwargs)


async def late_wrapper(call, extras, /, *args, **kwargs):
    return await call(*args, **kwargs)


class Wrapper:
    def __call__(self, call, extras, /, *args, **kwargs):
        return call(*args, **kwargs)


PASSES = {
    "pairs": lambda: ProfileCalls("100s"),
    "total": lambda: ProfileCalls("100s", mode="total"),
    "exclude": lambda: ProfileCalls("100s", exclude=["self.*"], builtins=False),
    "code": lambda: ProfileCalls.from_options(ProfileCalls("100s").options, from_code=True),
    "direct": lambda: WrapCalls(wrapper),
    "hide": lambda: WrapCalls(wrapper, hide_wrapper=True, ignore_builtins=True),
    "object": lambda: WrapCalls(Wrapper(), blacklist=["self.*"]),
    "late": lambda: WrapCalls(late_wrapper, hide_wrapper=True),
}
MODULES = ["textwrap", "difflib", "statistics", "json.decoder", "argparse", "asyncio.tasks", "contextlib", "os"]


def rewritten(functions, *passes, keep=True):
    with cache.keeping() if keep else contextlib.nullcontext():
        return [engine.build(each, pristine(each), passes) for each in functions]


def functions_of(name):
    module = importlib.import_module(name)
    found = [f for f in vars(module).values() if inspect.isfunction(f) and f.__globals__ is vars(module)]
    for each in list(vars(module).values()):
        if isinstance(each, type) and each.__module__ == name:
            found += [f for f in vars(each).values() if inspect.isfunction(f) and f.__globals__ is vars(module)]
    found = [f for f in found if f.__name__ != "__annotate__" and f.__code__.co_filename != "<string>"]
    return [f for f in found if not hasattr(f, "__wrapped__")]


def in_code(code):
    """What stands in a code object and the code inside and is no constant of a program, in order."""
    for const in code.co_consts:
        if type(const) is types.CodeType:
            yield from in_code(const)
        elif isinstance(const, (Probe, CallExtras)) or callable(const):
            yield const


def shown(thing, numbers):
    """All that can be told of an object in code; objects that are the same one have one number."""
    number = numbers.setdefault(id(thing), len(numbers))
    attributes = ("label", "site", "nested", "functions")
    parts = [number, type(thing).__name__, *(getattr(thing, name, None) for name in attributes)]
    parts += [shown(getattr(thing, name), numbers) for name in ("end", "extras", "tidy") if getattr(thing, name, None)]
    if type(thing) is CallExtras:
        parts += [thing, dict(thing), thing._text, type(thing._wrapper).__name__]
    return parts


def as_placed(code):
    """A code object with the number of each probe in its place, and all that can be told of the probes."""
    things = list(in_code(code))
    order = {address: number for number, address in enumerate(dict.fromkeys(map(id, things)))}

    def plain(inner):
        consts = tuple(
            plain(each) if type(each) is types.CodeType else constant_of(order[id(each)]) if id(each) in order else each
            for each in inner.co_consts
        )
        return inner.replace(co_consts=consts)

    seen: dict[int, int] = {}
    return plain(code), [shown(each, seen) for each in things]


def all_codes(code):
    yield code
    for const in code.co_consts:
        if type(const) is types.CodeType:
            yield from all_codes(const)


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("make", PASSES.values(), ids=PASSES)
def test_finished_code_is_what_a_rewrite_makes(name, make, folder, prepared, told):
    functions = functions_of(name)
    each_pass = make()
    plain = rewritten(functions, each_pass, keep=False)
    first = rewritten(functions, each_pass)
    shared = len(set(map(pristine, functions)))
    assert len(functions) + shared <= len(prepared) <= 2 * len(functions)
    del prepared[:]
    second = rewritten(functions, each_pass)
    assert prepared == []
    for one, other in [*zip(plain, second, strict=True), *zip(first, second, strict=True)]:
        old, new = as_placed(one.code), as_placed(other.code)
        assert difference(old[0], new[0]) is None
        assert old[1] == new[1]
        for a, b in zip(all_codes(one.code), all_codes(other.code), strict=True):
            for each in ("co_code", "co_linetable", "co_exceptiontable", "co_filename", "co_flags", "co_qualname"):
                assert getattr(a, each) == getattr(b, each)
            assert list(map(type, a.co_consts)) == list(map(type, b.co_consts))
        assert (one.sites, one.skipped) == (other.sites, other.skipped)
    count = len(told) // 3
    for part in (slice(0, count), slice(count, 2 * count)):
        for one, other in zip(told[part], told[2 * count :], strict=True):
            for field in dataclasses.fields(one):
                assert getattr(one, field.name) == getattr(other, field.name)


def test_what_nobody_asked_for_is_the_very_code(folder, prepared):
    def bare(x):
        return x

    for _ in range(2):
        (built,) = rewritten([bare], WrapCalls(wrapper))
        assert built.code is bare.__code__
    assert prepared == ["bare"]


def test_two_passes_get_their_own_probes(folder, prepared):
    seen = []

    def one(call, extras, /, *args, **kwargs):
        seen.append(("one", extras.source))
        return call(*args, **kwargs)

    def two(call, extras, /, *args, **kwargs):
        seen.append(("two", extras.source))
        return call(*args, **kwargs)

    results = []
    for _ in range(2):
        del seen[:]
        with install("textwrap", WrapCalls(one), ProfileCalls("100s"), WrapCalls(two)):
            assert textwrap.indent("a\nb", "-") == "-a\n-b"
        results.append(list(seen))
    assert results[0] == results[1] and {who for who, _ in seen} == {"one", "two"}
    assert prepared.count("indent") == 1


def test_passes_that_cannot_be_told_apart_are_asked_each_time(folder, prepared):
    for _ in range(2):
        rewritten([textwrap.indent], WrapCalls(wrapper), WrapCalls(wrapper))
    rewritten([textwrap.indent], WrapCalls(wrapper), WrapCalls(lambda call, extras, /, *a, **k: call(*a, **k)))
    assert prepared == ["indent"] * 3


def test_a_pass_of_somebody_else_is_asked_each_time(folder, prepared):
    class Choosy(WrapCalls):
        chosen = "splitlines"

        def visit_Call(self, node, at):
            if at.source(node.func).endswith(self.chosen):
                super().visit_Call(node, at)

    assert {site.name for site in rewritten([textwrap.indent], Choosy(wrapper))[0].sites[0]} == {"text.splitlines"}
    Choosy.chosen = "predicate"
    assert [site.name for site in rewritten([textwrap.indent], Choosy(wrapper))[0].sites[0]] == ["predicate"]
    assert prepared == ["indent"] * 2


@pytest.mark.parametrize("make", [lambda: WrapCalls(wrapper, ignore_builtins=True), PASSES["exclude"]])
def test_names_of_the_module_that_hide_builtins_decide(make, folder, prepared):
    function = textwrap.TextWrapper._wrap_chunks
    hiding = types.FunctionType(function.__code__, {**function.__globals__, "len": len, "sum": sum})
    sites = [[len(each.sites[0]) for each in rewritten([function, hiding], make())] for _ in range(2)]
    assert sites[0] == sites[1] and sites[0][0] < sites[0][1]
    assert len(prepared) == 2


def test_whether_inner_functions_are_visited_decides(folder, prepared):
    counts = []
    for nested in (True, False, True):
        each = WrapCalls(wrapper)
        each.nested_functions = nested
        counts.append(len(rewritten([functools.singledispatch], each)[0].sites[0]))
    assert counts[0] == counts[2] > counts[1] and len(prepared) == 2


def test_a_writer_that_is_switched_off_refuses_what_was_kept(folder, monkeypatch):
    rewritten([textwrap.indent], PASSES["pairs"]())
    monkeypatch.setenv("RECOMPYLE_INJECT", "0")
    with pytest.raises(recompyle.NotRewritable, match="switched off"):
        rewritten([textwrap.indent], PASSES["pairs"]())


def test_code_is_not_kept_if_what_decides_has_changed_meanwhile(folder, prepared):
    names = dict(textwrap.TextWrapper._wrap_chunks.__globals__)
    function = types.FunctionType(textwrap.TextWrapper._wrap_chunks.__code__, names)
    make = lambda: WrapCalls(wrapper, ignore_builtins=True)  # noqa: E731
    first = make()
    visit = first.visit_Call

    def hiding(node, at):
        names["len"] = len
        visit(node, at)

    first.visit_Call = hiding
    rewritten([function], first)
    del names["len"]
    rewritten([function], make())
    assert len(prepared) == 2


def test_code_is_kept_under_the_source_that_was_compared(folder, prepared, tmp_path):
    file = tmp_path / "changing.py"
    file.write_text("def f(x):\n    return len(x)\n")
    assert linecache.getlines(str(file))
    file.write_text("def f(x):\n    return len(x) + len(x)\n")  # and the line cache knows nothing of it
    namespace = {"__file__": str(file)}
    exec(compile(file.read_text(), str(file), "exec"), namespace)
    for _ in range(3):
        (built,) = rewritten([namespace["f"]], WrapCalls(wrapper))
        assert [site.source for site in built.sites[0]] == ["len(x)", "len(x)"]
    assert prepared == ["f", "f"]


def test_another_list_asks_for_other_code(folder, prepared):
    for patterns in (["self.*"], ["*.x"], ["self.*"]):
        rewritten([textwrap.TextWrapper.wrap], WrapCalls(wrapper, whitelist=patterns))
    assert prepared == ["wrap", "wrap"]


@pytest.mark.parametrize("make", [PASSES["pairs"], PASSES["direct"], PASSES["hide"], PASSES["object"]])
def test_tracebacks_are_the_same(make, folder, prepared):
    def trace():
        with pytest.raises(ValueError, match="delimiter") as caught:
            json.loads('{"a" 1}')
        return "".join(traceback.format_exception(caught.value))

    each_pass = make()
    with recompyle.apply("json.**", each_pass):
        wanted = trace()
    shown = []
    for _ in range(2):
        del prepared[:]
        with install("json", each_pass):
            shown.append(trace())
    assert shown == [wanted, wanted]
    assert prepared == []


async def waiting():
    await asyncio.sleep(0)
    raise KeyError("gone")


async def asking():
    return await waiting()


def test_late_wrappers_are_hidden_as_ever(folder, prepared):
    for _ in range(2):
        (built,) = rewritten([asking], WrapCalls(late_wrapper, hide_wrapper=True))
        new = types.FunctionType(built.code, globals())
        with pytest.raises(KeyError) as caught:
            asyncio.run(new())
        names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
        assert names[-2:] == ["asking", "waiting"] and "late_wrapper" not in names
    assert prepared == ["asking"]


def test_constants_that_are_slices_have_keys_of_their_own():
    code = textwrap.indent.__code__
    constants = [slice(1, 2), slice(1, None), (slice(1, 2), ...), (1, 2, None), ((1, 2, None), ...)]
    keys = [cache.key_of(code.replace(co_consts=(*code.co_consts, each))) for each in constants]
    assert None not in keys and len(set(keys)) == len(keys)
    again = [cache.key_of(code.replace(co_consts=(*code.co_consts, each))) for each in constants]
    assert keys == again


def test_what_cannot_be_written_down_is_not_kept(folder, prepared, monkeypatch):
    monkeypatch.setattr(kept.marshal, "dumps", lambda *_: (_ for _ in ()).throw(ValueError("unmarshallable object")))
    for _ in range(2):
        rewritten([textwrap.dedent], ProfileCalls("100s"))
    assert len(prepared) == 2


@pytest.mark.parametrize("junk", [b"", b"junk", marshal.dumps(None), marshal.dumps((1, 2))])
def test_what_is_not_in_order_is_made_anew(junk, folder, prepared):
    rewritten([textwrap.dedent], ProfileCalls("100s"))
    (file,) = folder.iterdir()
    known = {key: junk if type(value) is bytes else value for key, value in cache._read(file).items()}
    payload = marshal.dumps(known)
    file.write_bytes(cache.MARK + cache._digest(payload) + payload)
    for _ in range(2):
        rewritten([textwrap.dedent], ProfileCalls("100s"))
    assert prepared == ["dedent", "dedent"]


CHILD = """
import sys, json, recompyle
from recompyle.rewrite import engine
shown = []
prepare = engine.prepare
engine.prepare = lambda *args: shown.append("prepared") or prepare(*args)
calls = []
def wrapper(call, extras, /, *args, **kwargs):
    calls.append((extras["source"], extras["ln_range"], extras.id))
    return call(*args, **kwargs)
hook = recompyle.install(["json", "textwrap"], recompyle.WrapCalls(wrapper), recompyle.ProfileCalls("100s"))
import textwrap
assert hook.failed == {} and hook.skipped == [], (hook.failed, hook.skipped)
done = textwrap.fill("a b c d", 3), json.loads('[1, {"a": 2.5}]'), json.dumps({"a": [1, None]}, indent=1)
print(json.dumps([done, calls, len(hook.functions), len(shown)]))
"""


def test_the_next_process_is_shown_nothing(folder):
    runs = []
    for _ in range(2):
        command = [sys.executable, "-P", "-c", CHILD]
        done = subprocess.run(command, capture_output=True, text=True, cwd=Path(recompyle.__file__).parents[1])
        assert done.returncode == 0, done.stderr
        runs.append(json.loads(done.stdout))
    assert runs[0][:3] == runs[1][:3]
    assert runs[0][3] >= runs[0][2] > 20
    assert runs[1][3] == 0
