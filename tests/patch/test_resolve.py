"""Paths and objects to functions."""

import abc
import asyncio
import collections
import contextlib
import enum
import functools
import importlib
import math
import random
import sys
import types
import warnings

import pytest

from recompyle.errors import NotRewritable, RecompyleWarning, TargetNotFound
from recompyle.patch import swap as swap_module
from recompyle.patch.resolve import functions_of, is_pattern, resolve


def deco(f):
    @functools.wraps(f)
    def wrapper(*args, **kwargs):
        return f(*args, **kwargs)

    return wrapper


def plain(x):
    return x


class Holder:
    def method(self):
        return "method"

    @staticmethod
    def static():
        return "static"

    @classmethod
    def klass(cls):
        return "class"

    @property
    def prop(self):
        return "get"

    @prop.setter
    def prop(self, value):
        raise AttributeError("set")

    @functools.cached_property
    def cached(self):
        return "cached"

    @functools.lru_cache(maxsize=2)  # noqa: B019
    def memo(self):
        return "memo"

    def takes(self, n):
        return n

    part = functools.partialmethod(takes, 3)

    @functools.singledispatchmethod
    def dispatch(self, value):
        return "any"

    @dispatch.register
    def _(self, value: int):
        return "int"

    @deco
    @deco
    def wrapped(self):
        return "wrapped"

    @staticmethod
    @deco
    def wrapped_static():
        return "wrapped static"

    @deco
    @staticmethod
    def static_wrapped():
        return "static wrapped"

    @contextlib.contextmanager
    def context(self):
        yield "context"

    @property
    @abc.abstractmethod
    def abstract(self):
        return None

    def __private(self):
        return "private"

    class Inner:
        def deep(self):
            return "deep"


class Child(Holder):
    pass


def lines(functions):
    return [(f.__name__, f.__code__.co_firstlineno) for f in functions]


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("method", ["method"]),
        ("static", ["static"]),
        ("klass", ["klass"]),
        ("prop", ["prop", "prop"]),
        ("cached", ["cached"]),
        ("memo", ["memo"]),
        ("part", ["takes"]),
        ("dispatch", ["dispatch", "_"]),
        ("wrapped", ["wrapped"]),
        ("wrapped_static", ["wrapped_static"]),
        ("static_wrapped", ["static_wrapped"]),
        ("context", ["context"]),
        ("abstract", ["abstract"]),
        ("_Holder__private", ["__private"]),
    ],
)
def test_every_kind_of_descriptor(name, names):
    found = functions_of(Holder.__dict__[name])
    assert [f.__name__ for f in found] == names
    assert len({f.__code__ for f in found}) == len(names)
    assert all(f.__code__.co_name == f.__name__ for f in found), "a wrapper was taken for the function"
    assert lines(resolve(f"{__name__}:Holder.{name}")) == lines(found)


def test_objects_that_are_reached_through_instances():
    [method] = functions_of(Holder().method)
    assert method is Holder.__dict__["method"]
    assert functions_of(Child.klass) == [Holder.__dict__["klass"].__func__]
    assert functions_of(functools.partial(functools.partial(plain, 1))) == [plain]
    assert functions_of(Holder.method) == [method]
    square = lambda x: x * x  # noqa: E731
    assert functions_of(square) == [square]
    assert functions_of(Holder().memo) == [Holder.__dict__["memo"].__wrapped__]


def test_functions_of_singledispatch_are_all_that_are_registered():
    @functools.singledispatch
    def show(value):
        return "any"

    @show.register(int)
    @show.register(bool)
    def show_int(value):
        return "int"

    show.register(list, len)  # a built-in has no Python code, so it is passed over
    assert functions_of(show) == [show.__wrapped__, show_int]


def test_enum_property():
    assert [f.__name__ for f in functions_of(enum.Enum.__dict__["value"])] == ["value"]


def test_wrapper_of_something_that_is_no_function_is_the_function():
    @functools.wraps(len)
    def length(x):
        return 0

    @functools.wraps(Holder)
    def make():
        return Holder()

    assert functions_of(length) == [length]
    assert functions_of(make) == [make]


def test_chain_that_bites_its_tail():
    def a():
        pass

    def b():
        pass

    a.__wrapped__, b.__wrapped__ = b, a
    assert functions_of(a) == [b]


class Callable:
    def __call__(self):
        return None


@pytest.mark.parametrize(
    ("obj", "text", "slug"),
    [
        (len, "built-in function", "not_python"),
        (str.upper, "method of a C type", "not_python"),
        (dict.fromkeys, "built-in function", "not_python"),
        (int.__add__, "slot of a C type", "not_python"),
        ((1).__add__, "slot of a C type", "not_python"),
        (functools.partial(len), "callable instance of partial", "no_function"),
        (swap_module.swap, "compiled by Cython|built-in", "not_python"),
        (Callable(), "callable instance of Callable", "no_function"),
        (Holder, "the class Holder", "no_function"),
        (int, "the class int", "no_function"),
        (3, "instance of int", "no_function"),
        (math, "a module", "not_python"),
        (plain.__code__, "code object", "not_python"),
        (property(), "instance of property", "no_function"),
    ],
)
def test_what_is_no_function_is_named(obj, text, slug):
    with pytest.raises(NotRewritable, match=text) as caught:
        functions_of(obj)
    assert caught.value.slug == slug
    assert isinstance(caught.value, TypeError)


def test_paths_into_the_standard_library():
    json_decoder = importlib.import_module("json.decoder")
    assert resolve("json.decoder:JSONDecoder.decode") == [json_decoder.JSONDecoder.decode]
    assert resolve("json:loads") == [importlib.import_module("json").loads]
    assert resolve("random:randint") == [random.Random.randint]
    assert resolve("collections:Counter.fromkeys") == [collections.Counter.__dict__["fromkeys"].__func__]
    assert resolve("asyncio.tasks:sleep") == [asyncio.sleep]


def test_inherited_method_is_the_one_of_the_defining_class():
    assert resolve(f"{__name__}:Child.method") == [Holder.__dict__["method"]]
    assert resolve(f"{__name__}:Holder.Inner.deep") == [Holder.Inner.deep]


def test_private_names_in_both_spellings():
    private = Holder.__dict__["_Holder__private"]
    for path in ("Holder.__private", "Holder._Holder__private", "Child.__private"):
        assert resolve(f"{__name__}:{path}") == [private]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("no_such_package_here:f", "no module no_such_package_here"),
        ("json.no_such_module:f", "no module json.no_such_module"),
        ("json.decoder.deeper:f", "no module json.decoder.deeper"),
        ("json:no_such_function", "module json has no 'no_such_function'"),
        ("json.decoder:JSONDecoder.nothing", "class JSONDecoder has no 'nothing'"),
        ("json.decoder:JSONDecoder.decode.deeper", "JSONDecoder.decode is .*no 'deeper'"),
        ("json.decoder:JSONDecoder", "the class JSONDecoder is not a Python function"),
        ("math:sin", "built-in function is not a Python function"),
        ("json:decoder", "a module is not a Python function"),
    ],
)
def test_what_is_not_found_names_the_part(path, text):
    with pytest.raises(TargetNotFound, match=text) as caught:
        resolve(path)
    assert str(caught.value).startswith(path)
    assert isinstance(caught.value, LookupError)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "json",
        "json.loads",
        "json:",
        ":loads",
        "json:a:b",
        "json:1x",
        "js on:x",
        "json:a..b",
        ".json:a",
        "json:*;",
    ],
)
def test_malformed_paths_show_the_right_form(path):
    with pytest.raises(ValueError, match=r"app\.orders:Order\.total"):
        resolve(path)


def test_path_of_another_type():
    with pytest.raises(TypeError, match="a path is a string"):
        resolve(plain)


def test_error_of_the_imported_module_passes(tmp_path, monkeypatch):
    (tmp_path / "needs_more.py").write_text("import not_installed_anywhere")
    (tmp_path / "fails.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="not_installed_anywhere"):
        resolve("needs_more:f")
    with pytest.raises(ZeroDivisionError):
        resolve("fails:f")


STANDARD = [
    "json.decoder",
    "difflib",
    "argparse",
    "asyncio.tasks",
    "dataclasses",
    "enum",
    "functools",
    "typing",
    "logging",
]


@pytest.mark.parametrize("name", STANDARD)
def test_all_functions_of_a_real_module(name):
    module = importlib.import_module(name)
    found = resolve(f"{name}:*")
    assert len(found) == len({id(f) for f in found}) > 3
    assert all(type(f) is types.FunctionType and f.__globals__ is vars(module) for f in found)
    defined = {f for f in vars(module).values() if type(f) is types.FunctionType and f.__module__ == name}
    innermost = {g for f in defined for g in functions_of(f)}
    assert {f for f in innermost if f.__globals__ is vars(module)} <= set(found)


def test_patterns_leave_out_what_the_compiler_made(tmp_path, monkeypatch):
    (tmp_path / "annotated_module.py").write_text(
        "x: int = 1\nclass C:\n    y: int = 2\n    def m(self): pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert [f.__qualname__ for f in resolve("annotated_module:*")] == ["C.m"]


def test_patterns_match_dotted_names():
    names = {f.__qualname__ for f in resolve("json.decoder:JSONDecoder.*")}
    assert names == {"JSONDecoder.__init__", "JSONDecoder.decode", "JSONDecoder.raw_decode"}
    assert [f.__qualname__ for f in resolve("json.decoder:*.raw_?ecode")] == ["JSONDecoder.raw_decode"]
    assert {f.__qualname__ for f in resolve("json:load[s]")} == {"loads"}
    # json itself only hands on what json.decoder defines
    assert not any(f.__module__ == "json.decoder" for f in resolve("json:*"))
    assert is_pattern("json:*") and not is_pattern("json:loads")


def test_pattern_without_a_match_warns():
    with pytest.warns(RecompyleWarning, match="no function of the module matches"):
        assert resolve("json:nothing_like_it_*") == []


SPY = """
ran = []

def touch(what):
    ran.append(what)
    raise RuntimeError(what)

class Meta(type):
    def __getattribute__(cls, name): touch("metaclass __getattribute__")
    def __getattr__(cls, name): touch("metaclass __getattr__")
    __name__ = property(lambda cls: touch("metaclass property"))

class Descriptor:
    def __get__(self, instance, owner): touch("descriptor")
    def __getattribute__(self, name): touch("descriptor attribute " + name)

class Hostile:
    @property
    def __class__(self): touch("__class__")
    @property
    def __dict__(self): touch("__dict__")
    def __getattribute__(self, name): touch("__getattribute__ " + name)
    def __eq__(self, other): touch("__eq__")
    __hash__ = None
    def __bool__(self): touch("__bool__")
    def __repr__(self): touch("__repr__")

class Property(property):
    @property
    def fget(self): touch("fget")

class C(metaclass=Meta):
    attribute = Descriptor()
    instance = Hostile()
    def method(self): return 1
    @Property
    def prop(self): return touch("property")

hostile = Hostile()

def __getattr__(name): touch("module __getattr__ " + name)
"""


def test_resolving_runs_no_code_of_the_user(tmp_path, monkeypatch):
    (tmp_path / "spied_module.py").write_text(SPY)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("spied_module")
    names = {f.__qualname__ for f in resolve("spied_module:*")}
    assert {"C.method", "C.prop", "touch", "__getattr__"} <= names
    assert len(resolve("spied_module:C.method")) == len(resolve("spied_module:C.prop")) == 1
    for path in ("C.attribute", "C.instance", "C", "C.missing", "hostile", "hostile.x", "missing"):
        with pytest.raises(TargetNotFound):
            resolve(f"spied_module:{path}")
    assert module.ran == []


@pytest.mark.skipif(not hasattr(types, "LazyImportType"), reason="lazy imports begin with 3.15")
def test_lazy_import_stays_lazy(tmp_path, monkeypatch):
    (tmp_path / "lazy_user.py").write_text("lazy from lazy_source import f\ndef own(): pass\n")
    (tmp_path / "lazy_source.py").write_text("def f(): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert [f.__name__ for f in resolve("lazy_user:*")] == ["own"]
    with pytest.raises(TargetNotFound, match="lazy import"):
        resolve("lazy_user:f")
    assert "lazy_source" not in sys.modules


def test_module_replaced_by_an_instance(monkeypatch):
    monkeypatch.setitem(sys.modules, "not_really_a_module", Callable())
    with pytest.raises(TargetNotFound, match="callable instance of Callable, not a module"):
        resolve("not_really_a_module:f")


def test_a_pattern_with_matches_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert resolve("difflib:SequenceMatcher.*")
