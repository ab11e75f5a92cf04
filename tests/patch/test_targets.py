"""What a target stands for: classes, modules, packages, and everything that wraps functions."""

import collections
import dataclasses
import functools
import importlib
import json
import math
import sys
import types

import pytest
from marks import Mark, Refuse

import recompyle
from recompyle import ProfileCalls
from recompyle.errors import NotRewritable, RecompyleWarning, TargetNotFound
from recompyle.patch import apply, registry, restore
from recompyle.patch.targets import find


class Base:
    def inherited(self):
        return "inherited"

    def overridden(self):
        return "base"


class Shape(Base):
    """One of each kind of attribute."""

    __slots__ = ("side",)
    borrowed = json.dumps
    length = len

    def __init__(self, side=2):
        self.side = side

    @property
    def area(self):
        return self.side**2

    @area.setter
    def area(self, value):
        self.side = math.isqrt(value)

    @area.deleter
    def area(self):
        self.side = 0

    @functools.cached_property
    def cached(self):
        return self.side + 1

    @staticmethod
    def static(x):
        return x

    @classmethod
    def made(cls, x):
        return cls(x)

    def power(self, n):
        return self.side**n

    cube = functools.partialmethod(power, 3)

    def overridden(self):
        return super().overridden() + " and own"

    @functools.lru_cache  # noqa: B019
    def remembered(self):
        return "remembered"

    @functools.singledispatchmethod
    def chosen(self, x):
        return "any"

    @chosen.register
    def _(self, x: int):
        return "int"

    class Inner:
        def deep(self):
            return "deep"

    Elsewhere = collections.Counter


OWN = {
    "Shape.__init__", "Shape.area", "Shape.cached", "Shape.static", "Shape.made", "Shape.power", "Shape.overridden",
    "Shape.remembered", "Shape.chosen", "Shape._", "Shape.Inner.deep",
}  # fmt: skip


def use(shape):
    shape.area = 16
    del shape.area
    shape.side = 2
    return (
        shape.area, shape.cached, shape.static(1), shape.made(3).side, shape.cube(), shape.overridden(),
        shape.remembered(), shape.chosen(1), shape.chosen("a"), shape.Inner().deep(), shape.inherited(),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_is_left_patched():
    yield
    assert registry._entries == {}, "a test left functions patched"


def names(functions):
    return {each.__qualname__ for each in functions}


@pytest.mark.parametrize("target", [Shape, f"{__name__}:Shape"], ids=["object", "path"])
def test_class(target):
    expected, mark = use(Shape()), Mark()
    with apply(target, mark) as patch:
        assert names(patch.functions) == OWN
        assert len(patch.functions) == len(OWN) + 2  # a property has three
        assert use(Shape()) == expected
        assert len(mark.log) == 14
        assert patch.skipped == [
            (f"{__name__}:Shape.length", "a built-in function is not a Python function"),
        ]
    assert use(Shape()) == expected and len(mark.log) == 14


def test_class_with_what_it_inherits():
    with apply(Shape, Mark(), inherited=True) as patch:
        assert names(patch.functions) == OWN | {"Base.inherited"}
    with apply(f"{__name__}:Shape", Mark(), inherited=True) as patch:
        assert "Base.inherited" in names(patch.functions)
    decimal = importlib.import_module("_pydecimal")
    with apply(decimal.DivisionByZero, Mark(), inherited=True) as patch:
        assert names(patch.functions) == {"DivisionByZero.handle"}
    assert names(find(decimal.Overflow, inherited=True).functions) == {"Overflow.handle"}


@pytest.mark.parametrize(
    "make",
    [
        lambda: Shape.power,
        lambda: Shape().power,
        lambda: vars(Shape)["area"],
        lambda: vars(Shape)["cached"],
        lambda: vars(Shape)["static"],
        lambda: vars(Shape)["made"],
        lambda: vars(Shape)["cube"],
        lambda: functools.partial(functools.partial(Shape.power, n=2)),
        lambda: vars(Shape)["remembered"],
        lambda: vars(Shape)["chosen"],
    ],
)
def test_wrappers(make):
    expected, mark, target = use(Shape()), Mark(), make()
    with apply(target, mark) as patch:
        assert names(patch.functions) <= OWN
        assert use(Shape()) == expected
        assert mark.log
    assert restore(target) == 0


def test_dataclass_lists_what_was_generated():
    @dataclasses.dataclass(order=True)
    class Point:
        x: int

        def norm(self):
            return abs(self.x)

    with apply(Point, ProfileCalls("100s")) as patch:
        assert names(patch.functions) >= {f"{Point.__qualname__}.norm"}
        assert (Point(-2).norm(), Point(1) < Point(2)) == (2, True)
        assert all("no source" in reason for _, reason in patch.skipped)
        assert any(name.endswith("Point.__init__") for name, _ in patch.skipped)


def test_module_and_its_path():
    textwrap = importlib.import_module("textwrap")
    by_pattern = find("textwrap:*").functions
    assert find(textwrap).functions == find("textwrap").functions == by_pattern
    with apply(textwrap, ProfileCalls("100s")) as patch:
        assert patch.functions == by_pattern
        assert textwrap.fill("a b", 1) == "a\nb"
    assert restore("textwrap") == 0


def test_package_and_its_submodules():
    importlib.import_module("json.tool")
    found = find("json.**").functions
    modules = {each.__module__ for each in found}
    assert {"json", "json.decoder", "json.encoder", "json.scanner", "json.tool"} <= modules
    assert names(find("json.**:JSON*.*_decode").functions) == {"JSONDecoder.raw_decode"}
    with apply("json.**", ProfileCalls("100s")) as patch:
        assert len(patch.functions) > 20
        assert json.loads(json.dumps([1.5, {"a": None}])) == [1.5, {"a": None}]


def test_package_imports_no_submodule(tmp_path, monkeypatch):
    folder = tmp_path / "unimported"
    folder.mkdir()
    (folder / "__init__.py").write_text("def f(): pass")
    (folder / "other.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    assert [f.__qualname__ for f in find("unimported.**").functions] == ["f"]
    del sys.modules["unimported"]


def test_some_of_a_class_cannot_be_rewritten():
    with apply(Shape, Refuse("power", "static")) as patch:
        assert names(patch.functions) == OWN - {"Shape.power", "Shape.static"}
        assert {name for name, _ in patch.skipped} >= {f"{__name__}:Shape.power", f"{__name__}:Shape.static"}


def test_nothing_of_a_class_can_be_rewritten():
    with pytest.raises(NotRewritable, match="no probes in inherited"):
        apply(Base, Refuse("inherited", "overridden"))


def test_module_compiled_by_cython_says_so():
    with pytest.raises(NotRewritable, match="defines no Python function"):
        apply(importlib.import_module("recompyle.patch.swap"), Mark())


@pytest.mark.parametrize(
    ("target", "error", "text"),
    [
        (int, NotRewritable, "the class int that defines no Python function"),
        (math, NotRewritable, "a module that defines no Python function"),
        (collections.namedtuple("Empty", ""), NotRewritable, "defines no Python function"),
        ("math", TargetNotFound, "no function matches"),
        ("no_such_module_here", TargetNotFound, "no module no_such_module_here"),
        ("json.loads", TargetNotFound, "no module json.loads"),
        ("json.**:nothing_here", TargetNotFound, "no function matches"),
        (f"{__name__}:Shape.Elsewhere.nothing", TargetNotFound, "has no 'nothing'"),
        ("json..decoder", ValueError, "is not a path"),
        ("**", ValueError, "is not a path"),
        ("json.**:1x", ValueError, "is not a path"),
        ("", ValueError, "is not a path"),
    ],
)
def test_what_is_refused(target, error, text):
    if target.__class__ is type and issubclass(target, tuple):
        for name in [name for name, value in vars(target).items() if isinstance(value, types.FunctionType)]:
            delattr(target, name)
        for name in ("_make", "_replace", "__new__", "_asdict", "__getnewargs__", "__repr__", "__replace__"):
            if name in vars(target):
                delattr(target, name)
    with pytest.raises(error, match=text):
        apply(target, Mark())


def test_warning_of_a_pattern_names_the_caller():
    with pytest.warns(RecompyleWarning, match="no function of the module matches") as caught:
        recompyle.apply("json:nothing_like_it_*", Mark())
    assert caught[0].filename == __file__


def test_the_profiler_on_classes_wants_methods():
    with pytest.raises(TypeError, match="methods=True"):
        recompyle.shallow_call_profiler(Shape)
