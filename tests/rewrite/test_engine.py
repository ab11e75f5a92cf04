"""`rewrite` as a whole: what the copy keeps, what is refused, and that nothing half done is left."""

from __future__ import annotations

import ast
import functools
import gc
import sys
import types
import weakref
from typing import Any

import pytest
from helpers import code_differences

import recompyle
from recompyle import ProfileCalls
from recompyle._c.probe import Probe
from recompyle.errors import NotRewritable, PassError, SourceMismatch, SourceNotFound
from recompyle.rewrite import engine, origin
from recompyle.rewrite.passes import Wrap

NEVER = -1


class Hand:
    def __getitem__(self, value: Any) -> Any:
        return value

    def __invert__(self) -> None:
        return None


class Free(recompyle.Pass):
    """Asks for probes round all nodes of one kind, past all checks: what a faulty pass could bring about."""

    def __init__(self, kind: str) -> None:
        wrap = Wrap("through", Hand(), "probe")
        setattr(self, f"visit_{kind}", lambda node, at: at._plan.request(at._plan.inner, node, wrap))


def outer(free: Any) -> Any:
    def f(a: Any, b: Any = [], /, *c: Any, d: Any = {}, **e: Any) -> Any:  # noqa: B006
        """Text of f."""
        return str(a), free, len(b)

    return f


def test_copy_keeps_everything_of_the_function() -> None:
    f = outer("free")
    f.attribute = [1]
    f.__wrapped__ = len
    f.__kwdefaults__ = {"d": 7}
    new = recompyle.rewrite(f, ProfileCalls(NEVER))
    assert new is not f
    assert new(1) == f(1) == ("1", "free", 0)
    for name in (
        "__name__",
        "__qualname__",
        "__module__",
        "__doc__",
        "__dict__",
        "__kwdefaults__",
        "__annotations__",
    ):
        assert getattr(new, name) == getattr(f, name), name
    assert new.__defaults__ is f.__defaults__
    assert new.__globals__ is f.__globals__
    assert new.__closure__ is f.__closure__
    assert new.attribute is f.attribute
    assert new.__kwdefaults__ is not f.__kwdefaults__
    assert new.__dict__ is not f.__dict__
    new.other = 1
    new.__kwdefaults__["d"] = 8
    assert not hasattr(f, "other")
    assert f.__kwdefaults__ == {"d": 7}


def test_names_of_the_function_may_differ_from_those_of_its_code() -> None:
    f = outer(1)
    f.__name__, f.__qualname__, f.__module__, f.__doc__ = "n", "q", "m", "d"
    new = recompyle.rewrite(f, ProfileCalls(NEVER))
    assert (new.__name__, new.__qualname__, new.__module__, new.__doc__) == ("n", "q", "m", "d")
    assert new.__code__.co_name == "f"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="type parameters are new in 3.12")
def test_type_parameters() -> None:
    f = outer(1)
    f.__type_params__ = ("T",)  # type: ignore[attr-defined]
    assert recompyle.rewrite(f, ProfileCalls(NEVER)).__type_params__ == ("T",)  # type: ignore[attr-defined]


def annotated(x: Unknown) -> AlsoUnknown:  # type: ignore[name-defined] # noqa: F821
    return str(x)


def test_annotations_are_not_evaluated() -> None:
    assert recompyle.rewrite(annotated, ProfileCalls(NEVER)).__annotations__ == annotated.__annotations__


def test_rewritten_again_begins_with_the_original() -> None:
    def f(x: Any) -> Any:
        return str(x)

    once = recompyle.rewrite(f, ProfileCalls(NEVER))
    twice = recompyle.rewrite(once, ProfileCalls(NEVER))
    assert recompyle.pristine(once) is recompyle.pristine(twice) is f.__code__
    assert origin.of(once.__code__) is origin.of(twice.__code__) is f.__code__
    assert len(twice.__code__.co_consts) == len(once.__code__.co_consts)
    assert twice(1) == "1"


def test_a_pass_that_asks_for_nothing_gives_the_same_code() -> None:
    def f(x: Any) -> Any:
        return str(x)

    assert recompyle.rewrite(f, recompyle.Pass()).__code__ is f.__code__
    assert recompyle.rewrite(f).__code__ is f.__code__


def test_original_of_foreign_code_is_that_code() -> None:
    assert origin.of(test_type_parameters.__code__) is test_type_parameters.__code__


def test_origin_is_forgotten_with_the_code() -> None:
    def f(x: Any) -> Any:
        return str(x)

    new = recompyle.rewrite(f, ProfileCalls(NEVER))
    key, ref = id(new.__code__), weakref.ref(new.__code__)
    assert key in origin._origins
    del new
    gc.collect()
    assert ref() is None
    assert key not in origin._origins


@pytest.mark.parametrize(
    "target",
    [len, str.upper, int, functools.partial(len), staticmethod(outer), 7, None, outer.__code__],
    ids=repr,
)
def test_what_is_no_function(target: Any) -> None:
    with pytest.raises(NotRewritable, match=f"not a Python function but a {type(target).__name__}") as caught:
        recompyle.rewrite(target, ProfileCalls(NEVER))
    assert caught.value.slug == "not_python"
    assert isinstance(caught.value, TypeError)
    with pytest.raises(NotRewritable):
        recompyle.preview(target, ProfileCalls(NEVER))


@pytest.mark.parametrize("fact", ["SUPPORTED", "CONSTANTS_CRASH"])
def test_interpreters_that_cannot_carry_probes(monkeypatch: pytest.MonkeyPatch, fact: str) -> None:
    monkeypatch.setattr(engine._env, fact, fact != "SUPPORTED")
    before = outer.__code__
    with pytest.raises(NotRewritable) as caught:
        recompyle.apply(outer, ProfileCalls(NEVER))
    assert caught.value.slug == "unknown_python"
    assert outer.__code__ is before


def test_errors_are_of_the_builtin_kinds() -> None:
    names: dict[str, Any] = {}
    exec("def f(): return str(1)", names)
    with pytest.raises(ValueError) as caught:
        recompyle.rewrite(names["f"], ProfileCalls(NEVER))
    assert isinstance(caught.value, SourceNotFound)
    assert caught.value.slug == "no_source"
    assert issubclass(SourceMismatch, ValueError)


# -- the proof is the second line of defence ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("BoolOp", "if a and b: return 1"),
        ("List", "return a in [1, 2]"),
        ("Attribute", "return a.upper()"),
        ("Starred", "return g(*a)"),
        ("FormattedValue", "return f'{a}'"),
        ("Name", "a = 1"),
        ("Constant", "return 1 + 2"),
        ("ListComp", "x = [y for y in a]; return x"),
    ],
)
def test_probes_that_change_the_code_are_refused(kind: str, text: str, tmp_path: Any) -> None:
    """Even if a pass asks past `why_not`: no such code is ever made."""
    path = tmp_path / "program.py"
    path.write_text(f"def f(a, b):\n    {text}\n")
    names: dict[str, Any] = {"__name__": "program"}
    exec(compile(path.read_text(), str(path), "exec"), names)
    f = names["f"]
    before = f.__code__
    try:
        new = recompyle.rewrite(f, Free(kind))
    except (NotRewritable, PassError) as refusal:
        assert "f" in str(refusal)
    else:  # this version of CPython makes the same code all the same
        assert code_differences(before, new.__code__) == []
    assert f.__code__ is before


def test_pass_that_builds_an_invalid_tree_is_named(tmp_path: Any) -> None:
    path = tmp_path / "program.py"
    path.write_text("def f(a):\n    a.b = 1\n")
    names: dict[str, Any] = {"__name__": "program"}
    exec(compile(path.read_text(), str(path), "exec"), names)
    with pytest.raises(PassError, match="the rewritten tree does not compile"):
        recompyle.rewrite(names["f"], Free("Attribute"))


def test_shape_that_an_edit_would_change_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def longer(code: types.CodeType, edits: Any) -> types.CodeType:
        return code.replace(co_varnames=(*code.co_varnames[:-1], "other"))

    monkeypatch.setattr(engine.inject, "write", longer)

    def f(x: Any) -> Any:
        return str(x)

    with pytest.raises(NotRewritable, match="co_varnames would differ") as caught:
        recompyle.rewrite(f, ProfileCalls(NEVER))
    assert caught.value.slug == "unproved"


def test_probes_are_in_the_constants_and_placeholders_are_not() -> None:
    def f(xs: Any) -> Any:
        return [str(x) for x in xs], (lambda: len(xs))()

    work = [recompyle.rewrite(f, ProfileCalls(NEVER)).__code__]
    probes = []
    while work:
        code = work.pop()
        for const in code.co_consts:
            assert type(const) is not complex
            if isinstance(const, Probe):
                probes.append(const)
            elif isinstance(const, types.CodeType):
                work.append(const)
    assert len(probes) > 8


def test_complex_constants_of_the_program_stay() -> None:
    def f(x: Any) -> Any:
        return str(x), 1j, -2.5j, 0j, (1j, 3), x == 7.25e-301j

    new = recompyle.rewrite(f, ProfileCalls(NEVER))
    assert new(1) == f(1) == ("1", 1j, -2.5j, 0j, (1j, 3), False)


def test_tree_is_shared_and_not_changed() -> None:
    def f(x: Any) -> Any:
        return str(len(x))

    context = engine.context_of(f, f.__code__, [ProfileCalls(NEVER)])
    assert context is not None
    before = ast.dump(context.definition.node, include_attributes=True)
    recompyle.rewrite(f, ProfileCalls(NEVER))
    recompyle.preview(f, ProfileCalls(NEVER))
    assert ast.dump(context.definition.node, include_attributes=True) == before
