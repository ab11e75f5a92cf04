"""Hard cases about code objects: finding the original, pickling, fast paths, functions that share code."""

from __future__ import annotations

import builtins
import copy
import dis
import gc
import marshal
import pickle
import sys
import types
import warnings
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from helpers import code_differences

import recompyle

NEVER = -1  # a limit that no run reaches


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    recompyle.restore()


def profile(function: Any) -> Any:
    return recompyle.apply(function, recompyle.ProfileCalls(NEVER))


def work(items: list[Any]) -> Any:
    """Something to rewrite."""
    total = 0
    for item in items:
        total += len(str(item))
    return max(total, abs(-1))


# -- 137, 138, 139, 108: what no rewrite can keep, and the way to the original


@pytest.mark.parametrize("way", ["apply", "rewrite", "decorator"])
def test_137_constants_of_the_original(way: str) -> None:
    original = work.__code__
    function: Any = work
    if way == "apply":
        profile(work)
    elif way == "rewrite":
        function = recompyle.rewrite(work, recompyle.ProfileCalls(NEVER))
    else:
        recompyle.shallow_call_profiler(time_limit=NEVER)(work)
    assert function.__code__ is not original
    assert recompyle.pristine(function) is original
    assert recompyle.pristine(function.__code__) is original
    assert recompyle.pristine(original) is original
    assert recompyle.pristine(function).co_consts == original.co_consts


def test_138_disassembly_of_the_original() -> None:
    expected = dis.Bytecode(work).dis()
    profile(work)
    assert dis.Bytecode(work).dis() != expected
    assert dis.Bytecode(recompyle.pristine(work)).dis() == expected


def test_139_code_objects_as_keys() -> None:
    seen = {work.__code__: "work"}
    profile(work)
    assert hash(work.__code__) is not None
    assert work.__code__ not in seen
    assert seen[recompyle.pristine(work.__code__)] == "work"


def test_108_jumping_in_the_original() -> None:
    """A debugger may set the line of a frame that runs the original code, as ever."""
    out: list[Any] = []

    def jumped(x: Any) -> list[Any]:
        out.append(str(x))
        out.append(len("skipped"))
        return out

    profile(jumped)
    first = jumped.__code__.co_firstlineno

    def trace(frame: types.FrameType, event: str, arg: Any) -> Any:
        if frame.f_code is not pristine.__code__:
            return None
        if event == "line" and frame.f_lineno == first + 2:
            frame.f_lineno = first + 3
        return trace

    pristine = types.FunctionType(recompyle.pristine(jumped), globals(), "jumped", None, jumped.__closure__)
    sys.settrace(trace)
    try:
        assert pristine(1) == ["1"]
    finally:
        sys.settrace(None)
    assert jumped(2) == ["1", "2", 7]


# -- 65, 66, 67: out of the process and back


def test_66_functions_pickled_by_value() -> None:
    """Tools that pickle the parts of a code object get inert probes that hand values on."""
    profile(work)
    code = work.__code__
    consts = pickle.loads(pickle.dumps(tuple(c for c in code.co_consts if not isinstance(c, types.CodeType))))
    again = types.FunctionType(code.replace(co_consts=consts), {"__builtins__": builtins})
    assert again([1, 22]) == 3
    assert work([1, 22]) == 3


def test_66_copies_of_probes() -> None:
    profile(work)
    assert copy.deepcopy(work) is work
    probes = [c for c in work.__code__.co_consts if type(c).__module__.startswith("recompyle")]
    assert probes
    for probe in probes:
        assert copy.copy(probe) is copy.deepcopy(probe) is probe
        assert hash(probe) == hash(probe)
        assert pickle.loads(pickle.dumps(probe))[probes] is probes


def test_67_marshal() -> None:
    profile(work)
    with pytest.raises(ValueError, match="unmarshallable"):
        marshal.dumps(work.__code__)
    assert marshal.loads(marshal.dumps(recompyle.pristine(work))) == recompyle.pristine(work)


# -- 51, 52, 53: several functions with one code object


def test_51_merged_lambdas_stay_apart() -> None:
    """CPython 3.12 may give both lambdas one code object; rewriting one must leave the other."""
    first, second = (lambda: str(0)), (lambda: str(0))
    untouched = second.__code__
    profile(first)
    assert second.__code__ is untouched
    assert first() == second() == "0"


def adder(n: int) -> Any:
    def add(x: int) -> int:
        return sum([x, n])

    return add


def test_52_closures_of_one_def() -> None:
    one, two, three = adder(1), adder(2), adder(3)
    code = one.__code__
    patch = profile(two)
    assert [f(10) for f in (one, two, three)] == [11, 12, 13]
    assert one.__code__ is three.__code__ is code
    assert two.__code__ is not code
    profile(three)
    assert three.__code__ is not code
    assert [f(10) for f in (one, two, three, adder(4))] == [11, 12, 13, 14]
    patch.restore()
    assert two.__code__ is code
    assert three.__code__ is not code


def test_52_all_living_closures() -> None:
    one, two = adder(1), adder(2)
    code = one.__code__
    recompyle.apply(one, recompyle.ProfileCalls(NEVER), scope="existing").restore()
    with recompyle.apply(one, recompyle.ProfileCalls(NEVER), scope="existing"):
        assert one.__code__ is not code
        assert two.__code__ is not code
        assert (one(1), two(1)) == (2, 3)
    assert one.__code__ is two.__code__ is code


def test_53_copies_keep_the_old_code() -> None:
    copy_of_it = types.FunctionType(work.__code__, globals())
    profile(work)
    assert copy_of_it.__code__ is recompyle.pristine(work)
    assert copy_of_it([1]) == work([1])


# -- 128, 163: short forms of the compiler


class EveryExpression(recompyle.Pass):
    """A probe on everything that can be observed: the worst that a pass can ask for."""

    name = "every expression"

    def __init__(self) -> None:
        probe = type("Passing", (), {"__getitem__": lambda self, value: value})()
        for kind in dir(__import__("ast")):
            setattr(self, f"visit_{kind}", lambda node, at: at.can_observe(node) and at.through(node, probe))


PASSES = {"calls": lambda: recompyle.ProfileCalls(NEVER), "every": EveryExpression}


def grow(s: str, pieces: list[str]) -> str:
    for piece in pieces:
        s = s + piece
    for piece in pieces:
        s = s + str(piece)
    return s


def short_forms(x: Any) -> Any:
    for n in [1, 2]:
        if n in {1, 2, "a"} and x not in [3, 4]:
            str(n)
    if x is None:
        return None
    if x is not None and len("a"):
        return x.strip()
    return "%s-%s" % (x, x)  # noqa: UP031


class Base:
    def m(self, *args: Any) -> Any:
        return args


class Derived(Base):
    def m(self, *args: Any) -> Any:
        return super().m(args), super().m()


def operations(code: types.CodeType) -> list[tuple[str, Any]]:
    ignored = ("CACHE", "EXTENDED_ARG", "NOP")
    return [(i.opname, i.argval) for i in dis.get_instructions(code) if i.opname not in ignored]


@pytest.mark.parametrize("make_pass", PASSES.values(), ids=PASSES)
def test_128_a_string_grows_in_place(make_pass: Any) -> None:
    """The sum must be stored by the very next instruction, or each step copies the whole string."""
    copy_of_it = recompyle.rewrite(grow, make_pass())
    seen = operations(copy_of_it.__code__)
    sums = [i for i, (name, value) in enumerate(seen) if name == "BINARY_OP" and value != 26]
    assert len(sums) == 2
    for i in sums:
        assert seen[i + 1][0].startswith("STORE_FAST"), seen[i : i + 2]
        assert seen[i + 1][1] == "s" or seen[i + 1][1][0] == "s"
    assert copy_of_it("", ["a", "b"]) == "abab"


@pytest.mark.parametrize("make_pass", PASSES.values(), ids=PASSES)
def test_163_short_forms_are_kept(make_pass: Any) -> None:
    rewritten = recompyle.rewrite(short_forms, make_pass())
    before, after = operations(short_forms.__code__), operations(rewritten.__code__)

    def short(seen: list[tuple[str, Any]]) -> dict[str, int]:
        return {
            "constant displays": sum(n == "LOAD_CONST" and type(v) in (tuple, frozenset) for n, v in seen),
            "method calls": sum(n == "LOAD_METHOD" or (n == "LOAD_ATTR" and v == "strip") for n, v in seen),
            "jumps on None": sum("NONE" in n and "JUMP" in n for n, v in seen),
            "pieces of a format": sum(n in ("FORMAT_VALUE", "FORMAT_SIMPLE") for n, v in seen),
            "lists built": sum(n in ("BUILD_LIST", "BUILD_SET", "BUILD_TUPLE") for n, v in seen),
        }

    wanted, got = short(before), short(after)
    if make_pass is EveryExpression:  # a probe on the name or the comparison itself stands in between
        del wanted["jumps on None"], got["jumps on None"]
    assert got == wanted
    assert wanted["constant displays"] == 3


@pytest.mark.parametrize("make_pass", PASSES.values(), ids=PASSES)
def test_163_super_attributes_are_kept(make_pass: Any) -> None:
    with recompyle.apply(Derived.m, make_pass()):
        names = [name for name, _ in operations(Derived.m.__code__)]
        if sys.version_info >= (3, 12):
            assert names.count("LOAD_SUPER_ATTR") == 2
        assert Derived().m(1) == (((1,),), ())


# -- 165: size


def test_165_stack_and_size() -> None:
    with recompyle.apply(work, recompyle.ProfileCalls(NEVER)):
        old, new = recompyle.pristine(work), work.__code__
        assert old.co_stacksize <= new.co_stacksize <= old.co_stacksize + 6
        assert new.co_nlocals == old.co_nlocals
        assert new.co_names == old.co_names
        assert code_differences(old, new) == []


# -- nothing stays behind


def test_nothing_is_noted_on_the_function() -> None:
    before = dict(vars(work)), dir(work)
    patch = profile(work)
    assert (dict(vars(work)), dir(work)) == before
    patch.restore()
    assert (dict(vars(work)), dir(work)) == before


def test_no_warning_is_given_by_a_swap() -> None:
    """CPython 3.13 warns when the code of a generator is put onto a plain function."""

    def steps() -> Iterator[str]:
        yield str(1)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        profile(steps).restore()
        profile(steps)
        assert list(steps()) == ["1"]


def test_rewritten_code_and_function_are_freed() -> None:
    def throw_away(x: Any) -> str:
        return str(x)

    patch = profile(throw_away)
    throw_away(1)
    refs = [weakref.ref(throw_away), weakref.ref(throw_away.__code__)]
    patch.restore()
    del throw_away, patch
    gc.collect()
    assert [ref() for ref in refs] == [None, None]
