"""Paths lead to the right function, to one only, and nothing runs meanwhile."""

import contextlib
import functools
import gc
import random
import sys
import types

import pytest

from recompyle import NotRewritable, TargetNotFound, live
from recompyle.live.resolve import Absent, accept, resolve, split

CORPUS = """
    import functools

    def plain(x):
        return x

    other = plain
    double = lambda x: 2 * x

    def decorator(function):
        @functools.wraps(function)
        def wrapper(*args):
            return function(*args)
        return wrapper

    @decorator
    @decorator
    def decorated(x):
        return x

    @functools.lru_cache
    def cached(x):
        return x

    bound_later = functools.partial(plain, 1)

    @functools.singledispatch
    def shown(value):
        return "object"

    @shown.register
    def _(value: int):
        return "int"

    @shown.register(list)
    def shown_list(value):
        return "list"

    def outer():
        captured = 1
        def inner():
            return captured
        return inner

    class Base:
        def __secret(self):
            return "secret"

        def method(self):
            return "method"

        @classmethod
        def made(cls):
            return "made"

        @staticmethod
        def static():
            return "static"

        @property
        def prop(self):
            return "got"

        @prop.setter
        def prop(self, value):
            pass

        @prop.deleter
        def prop(self):
            pass

        @functools.cached_property
        def once(self):
            return "once"

        @functools.singledispatchmethod
        def take(self, value):
            return "object"

        @take.register
        def _(self, value: int):
            return "int"

        partly = functools.partialmethod(method)

        class Nested:
            def deep(self):
                return "deep"

        async def waits(self):
            return 1

        def yields(self):
            yield 1

        async def both(self):
            yield 1

    class Child(Base):
        pass

    class Callable:
        def __call__(self):
            return "called"

    instance = Callable()
    hidden = Base()
    bound = hidden.method
"""


@pytest.fixture
def corpus(make):
    return make(CORPUS)


KINDS = {
    # path: canonical path (None: the same), kind, what the function's code is called
    "plain": (None, "function", "plain"),
    "other": ("plain", "function", "plain"),
    "double": (None, "function", "<lambda>"),
    "decorated": (None, "function", "decorated"),
    "cached": (None, "function", "cached"),
    "bound_later": ("plain", "function", "plain"),
    "shown": ("shown[object]", "implementation", "shown"),
    "shown[int]": (None, "implementation", "_"),
    "shown[list]": (None, "implementation", "shown_list"),
    "shown_list": ("shown[list]", "implementation", "shown_list"),
    "outer.<locals>.inner": (None, "closure", "inner"),
    "Base.method": (None, "method", "method"),
    "Base.__secret": ("Base._Base__secret", "method", "__secret"),
    "Base._Base__secret": (None, "method", "__secret"),
    "Base.made": (None, "classmethod", "made"),
    "Base.static": (None, "staticmethod", "static"),
    "Base.prop": (None, "getter", "prop"),
    "Base.prop.setter": (None, "setter", "prop"),
    "Base.prop.deleter": (None, "deleter", "prop"),
    "Base.once": (None, "getter", "once"),
    "Base.take[int]": (None, "implementation", "_"),
    "Base.partly": ("Base.method", "method", "method"),
    "Base.Nested.deep": (None, "method", "deep"),
    "Child.method": ("Base.method", "method", "method"),
    "Child.__secret": ("Base._Base__secret", "method", "__secret"),
    "Callable.__call__": (None, "method", "__call__"),
    "instance": ("Callable.__call__", "method", "__call__"),
    "bound": ("Base.method", "method", "method"),
}


@pytest.mark.parametrize("name", KINDS)
def test_path_leads_to_the_function(corpus, name):
    canonical, kind, code_name = KINDS[name]
    target = live.resolve(f"{corpus.__name__}:{name}")
    assert target.path == f"{corpus.__name__}:{canonical or name}"
    assert target.kind == kind
    assert target.function.__code__.co_name == code_name
    assert target.file == corpus.__file__
    assert target.line == target.function.__code__.co_firstlineno
    if canonical:
        assert f"{corpus.__name__}:{name}" in target.aliases


def test_the_same_function_whichever_way_leads_there(corpus):
    name = corpus.__name__
    assert resolve(f"{name}:plain").function is corpus.plain
    assert resolve(f"{name}:Base.made").function is vars(corpus.Base)["made"].__func__
    assert resolve(f"{name}:Base.static").function is vars(corpus.Base)["static"].__func__
    assert resolve(f"{name}:Base.prop.setter").function is corpus.Base.prop.fset
    assert resolve(f"{name}:Base.once").function is vars(corpus.Base)["once"].func
    assert resolve(f"{name}:cached").function is corpus.cached.__wrapped__
    assert resolve(f"{name}:shown[int]").function is corpus.shown.dispatch(int)
    assert resolve(f"{name}:decorated").function is corpus.decorated.__wrapped__.__wrapped__
    assert resolve(f"{name}:instance").function is corpus.Callable.__call__


def test_each_path_changes_one_function_and_no_other(make):
    """Of two modules of equal text, whatever is named."""
    modules = [make(CORPUS), make(CORPUS)]
    spaces = [vars(module) for module in modules]
    functions = [
        each
        for each in gc.get_objects()
        if type(each) is types.FunctionType and any(each.__globals__ is space for space in spaces)
    ]
    codes = [each.__code__ for each in functions]
    assert len(functions) > 50
    for module in modules:
        for name, (_, kind, _) in KINDS.items():
            target = resolve(f"{module.__name__}:{name}")
            with live.instrument(f"{module.__name__}:{name}"):
                changed = [each for each, code in zip(functions, codes, strict=True) if each.__code__ is not code]
                assert changed == [module.outer if kind == "closure" else target.function], name
    assert all(each.__code__ is code for each, code in zip(functions, codes, strict=True))


def test_owner(corpus):
    assert resolve(f"{corpus.__name__}:plain").owner == corpus.__name__
    assert resolve(f"{corpus.__name__}:Child.method").owner == f"{corpus.__name__}:Base"
    assert resolve(f"{corpus.__name__}:Base.Nested.deep").owner == f"{corpus.__name__}:Base.Nested"


@pytest.mark.parametrize(
    "name, flavor",
    [("plain", "plain"), ("Base.waits", "coroutine"), ("Base.yields", "generator"), ("Base.both", "async_generator")],
)
def test_flavor(corpus, name, flavor):
    assert resolve(f"{corpus.__name__}:{name}").flavor == flavor


@pytest.mark.parametrize(
    "name, note",
    [
        ("Child.method", "defined on Base: affects all subclasses"),
        ("cached", "cached hits do not run the body"),
        ("Base.once", "cached hits do not run the body"),
        ("bound", "affects every Base instance"),
        ("instance", "a callable Callable: affects all instances"),
        ("decorated", "decorated: decorator.<locals>.wrapper -> decorator.<locals>.wrapper -> decorated"),
        ("bound_later", "behind a partial"),
        ("Base.partly", "behind a partialmethod"),
        ("outer.<locals>.inner", "functions made from now on; those made before with live=True"),
    ],
)
def test_notes(corpus, name, note):
    assert note in resolve(f"{corpus.__name__}:{name}").notes


def test_bound_method_of_the_standard_library():
    target = resolve("random:randint")
    assert target.path == "random:Random.randint"
    assert target.function is random.Random.randint
    assert "affects every Random instance" in target.notes


def test_layers_of_decorators(corpus):
    path = f"{corpus.__name__}:decorated"
    assert resolve(path, 0).function is corpus.decorated
    assert resolve(path, 1).function is corpus.decorated.__wrapped__
    assert resolve(path, -1).function is corpus.decorated.__wrapped__.__wrapped__
    with pytest.raises(TargetNotFound, match="3 layers"):
        resolve(path, 3)


def test_wraps_of_a_function_from_elsewhere_is_not_followed(make):
    module = make("""
        import functools, json

        @functools.wraps(json.dumps)
        def dumps(*args):
            return json.dumps(*args)
    """)
    assert resolve(f"{module.__name__}:dumps").function is module.dumps


def test_names_that_functions_give_themselves_are_not_trusted(make):
    module = make("""
        def one(): pass
        def two(): pass
        one.__qualname__ = one.__name__ = "two"
        one.__module__ = "json"
    """)
    target = resolve(f"{module.__name__}:one")
    assert target.function is module.one
    assert target.path == f"{module.__name__}:one"
    assert resolve(f"{module.__name__}:two").function is module.two


def test_equal_modules_are_told_apart(make):
    text = "def f(): return __name__\ndef g(): return __name__\n"
    one, two = make(text), make(text)
    assert one.f.__code__.co_code == two.f.__code__.co_code
    with live.instrument(f"{one.__name__}:f") as first:
        assert (one.f(), two.f(), one.g()) == (one.__name__, two.__name__, one.__name__)
        assert first.hits == 1
        assert live.instrument(f"{two.__name__}:f").hits == 0


def test_a_function_taken_over_by_another_module_is_known_by_its_own(make):
    home = make("def f(): pass")
    user = make(f"from {home.__name__} import f as g")
    target = resolve(f"{user.__name__}:g")
    assert target.path == f"{home.__name__}:f"
    assert f"{user.__name__}:g" in target.aliases


def test_dotted_path_is_split_behind_the_longest_module(corpus):
    assert split("os.path.join") == ("os.path", "join")
    assert resolve(f"{corpus.__name__}.Base.method").path == f"{corpus.__name__}:Base.method"


@pytest.mark.parametrize(
    "path", ["", "x", ":f", "a:", "a:b c", "a:b..c", "a:1", "a b:c", "a:f[", "a:<module>", "nowhere.at.all"]
)
def test_malformed_path(path):
    with pytest.raises(ValueError, match="expected module:name"):
        resolve(path)
    with pytest.raises(TypeError):
        resolve(len)


def test_module_that_is_not_imported_is_not_imported(make):
    name = make("raise AssertionError('it was imported')", load=False)
    with pytest.raises(Absent):
        resolve(f"{name}:f")
    assert name not in sys.modules


@pytest.mark.parametrize(
    "name", ["nothing", "Base.nothing", "plain.nothing", "Base.prop.nothing", "shown[dict]", "outer.<locals>.nothing"]
)
def test_unknown_name(corpus, name):
    with pytest.raises(TargetNotFound) as found:
        resolve(f"{corpus.__name__}:{name}")
    assert found.value.slug == "not_found"


@pytest.mark.parametrize(
    "path, slug",
    [
        ("math:sin", "not_python"),
        ("builtins:len", "not_python"),
        ("builtins:str.join", "not_python"),
        ("sys:path", "no_function"),
        ("collections:OrderedDict", "no_function"),
        ("string:ascii_letters", "no_function"),
    ],
)
def test_what_is_no_python_function(path, slug):
    with pytest.raises(NotRewritable) as found:
        resolve(path)
    assert found.value.slug == slug


def test_a_property_of_c_is_refused(make):
    module = make("import operator\nclass C:\n    x = property(operator.attrgetter('y'))\n")
    with pytest.raises(NotRewritable):
        resolve(f"{module.__name__}:C.x")


def test_accepted_prefix_means_the_same(make):
    module = make("def f(): pass", "short_name")
    accept("a.long.name", "short_name")
    assert resolve("a.long.name:f").function is module.f
    with pytest.raises(Absent):
        resolve("a.long.names:f")


SIDE_EFFECTS = """
    HAPPENED = []

    class Meta(type):
        def __getattribute__(cls, name):
            HAPPENED.append(("metaclass", name))
            return super().__getattribute__(name)

        def __getattr__(cls, name):
            HAPPENED.append(("metaclass", name))
            raise AttributeError(name)

    class Descriptor:
        def __get__(self, instance, owner):
            HAPPENED.append("descriptor")
            return lambda: None

        def __getattr__(self, name):
            HAPPENED.append(("descriptor", name))
            raise AttributeError(name)

        @property
        def __class__(self):
            HAPPENED.append("class")
            return int

    class C(metaclass=Meta):
        held = Descriptor()

        @property
        def prop(self):
            HAPPENED.append("property")

        @property
        def __dict__(self):
            HAPPENED.append("dict")
            return {}

        def __getattr__(self, name):
            HAPPENED.append(("instance", name))
            raise AttributeError(name)

        def method(self):
            pass

    c = object.__new__(C)
    descriptor = Descriptor()

    def __getattr__(name):
        HAPPENED.append(("module", name))
        raise AttributeError(name)

    def __dir__():
        HAPPENED.append("dir")
        return []
"""


def test_nothing_of_the_users_runs(make):
    module = make(SIDE_EFFECTS)
    happened = vars(module)["HAPPENED"]
    happened.clear()
    for name in (
        "C.held",
        "C.prop",
        "C.method",
        "C.nothing",
        "c",
        "c.nothing",
        "descriptor",
        "descriptor.f",
        "nothing",
        "Descriptor.__get__",
    ):
        with contextlib.suppress(NotRewritable, TargetNotFound):
            resolve(f"{module.__name__}:{name}")
    live.list(f"{module.__name__}*")
    assert happened == []


@pytest.mark.skipif(not hasattr(types, "LazyImportType"), reason="lazy imports came with 3.15")
def test_lazy_name_stays_lazy(make):
    lazy = make("raise AssertionError('it was imported')", load=False)
    user = make(f"lazy import {lazy}\n")
    with pytest.raises(TargetNotFound) as found:
        resolve(f"{user.__name__}:{lazy}.f")
    assert found.value.slug == "lazy" and "--allow-import" in str(found.value)
    assert lazy not in sys.modules


@pytest.mark.skipif(not hasattr(types, "LazyImportType"), reason="lazy imports came with 3.15")
def test_lazy_name_is_imported_where_that_is_allowed(make):
    lazy = make("def f(): pass", load=False)
    user = make(f"lazy from {lazy} import f\n")
    path = f"{user.__name__}:f"
    with pytest.raises(TargetNotFound):
        live.instrument(path)
    handle = live.instrument(path, allow_import=True)
    assert (handle.state, handle.path) == ("on", f"{lazy}:f")
    user.f()
    assert handle.hits == 1


def test_standard_library_paths_lead_home():
    """What is listed of real modules is found again under its own path."""
    import argparse
    import email.message
    import json.decoder
    import textwrap

    for module in (argparse, email.message, json.decoder, textwrap, functools):
        rows = live.list(f"{module.__name__}:*", everything=True)
        assert rows
        for row in rows:
            assert resolve(row["path"]).path == row["path"]
            for alias in row["aliases"]:
                assert resolve(alias).path == row["path"]
