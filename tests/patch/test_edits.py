"""Edits of compiled code where passes may stand: `apply`, `install`, `rewrite`."""

import collections
import functools
import itertools
import sys
import textwrap
import types

import pytest

import recompyle
from recompyle import inject
from recompyle.errors import NotRewritable


class Hits:
    def __init__(self):
        self.count = 0

    def __invert__(self):
        self.count += 1

    def __getitem__(self, value):
        self.count += 1
        return value


def without_source(text="def f(x=1):\n    return len(str(x))\n"):
    namespace = {"__name__": "generated"}
    exec(compile(text, "<no such file>", "exec"), namespace)
    return namespace["f"]


def test_no_source_is_needed():
    f = without_source()
    original = f.__code__
    probe = Hits()
    with recompyle.apply(f, inject.Edit("entry", probe)) as patch:
        assert f(123) == 3
        assert probe.count == 1
        assert patch.state == "active" and patch.original is original
    assert f.__code__ is original
    assert f(1) == 1 and probe.count == 1


@pytest.mark.parametrize("order", [*itertools.permutations(range(4))])
def test_edits_and_passes_go_in_any_order(order):
    def f(x):
        return len(str(x))

    original = f.__code__
    entry, leave, hooked = Hits(), Hits(), []
    calls = recompyle.Calls(recompyle.Counter)
    patches = [
        recompyle.apply(f, inject.Edit("entry", entry)),
        recompyle.apply(f, calls),
        recompyle.apply(f, inject.Edit("return", leave, "value")),
        recompyle.apply(f, inject.Edit("entry", hooked.append, "hook", argument="f")),
    ]
    expected = [0, 0, 0, 0]
    active = {0, 1, 2, 3}
    for done in (None, *order):
        if done is not None:
            patches[done].restore()
            active.discard(done)
        assert f(12) == 2
        expected = [count + (number in active) for number, count in enumerate(expected)]
        counted = max(counter.count for counter in calls.probes.values())
        assert [entry.count, counted, leave.count, len(hooked)] == expected
    assert f.__code__ is original


def test_an_edit_and_a_pass_in_one_patch():
    def f(x):
        return len(str(x))

    probe, statements = Hits(), recompyle.Statements(recompyle.Counter)
    with recompyle.apply(f, inject.Edit("return", probe), statements):
        assert f(7) == 1
    assert probe.count == 1
    assert [counter.count for counter in statements.probes.values()] == [1]


def test_nothing_is_stored_on_the_function():
    """`functools.wraps` would copy it to others."""

    def f(x=1):
        return x

    with recompyle.apply(f, inject.Edit("entry", Hits())):
        assert vars(f) == {}
        assert vars(functools.wraps(f)(lambda: 2)) == {"__wrapped__": f}
    assert vars(f) == {}


def test_a_copy_by_rewrite():
    probe = Hits()
    copy = recompyle.rewrite(without_source(), inject.Edit("return", probe, "value"))
    assert copy(55) == 2 and probe.count == 1


def test_a_whole_module():
    probe = Hits()
    with recompyle.apply("textwrap", inject.Edit("entry", probe)) as patch:
        assert textwrap.wrap("a b c", 3) == ["a b", "c"]
        assert patch.skipped == []
    counted = probe.count
    assert counted > 5
    textwrap.wrap("a b c", 3)
    assert probe.count == counted


def test_modules_to_come(tmp_path, monkeypatch):
    (tmp_path / "edits_to_come.py").write_text("def f(): return 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    probe = Hits()
    with recompyle.install("edits_to_come", inject.Edit("entry", probe)):
        import edits_to_come

        assert edits_to_come.f() == 1
    del sys.modules["edits_to_come"]
    assert probe.count == 1


def test_closures_of_one_code_share_what_was_written():
    def factory(n):
        return lambda: n

    first, second = factory(1), factory(2)
    edit = inject.Edit("entry", Hits())
    with recompyle.apply(first, edit), recompyle.apply(second, edit):
        assert first.__code__ is second.__code__
        assert (first(), second()) == (1, 2)
        assert edit.probe.count == 2
        with recompyle.apply(second, inject.Edit("entry", Hits())):
            assert first.__code__ is not second.__code__
    assert first.__code__ is second.__code__


def test_hooks_are_told_apart_by_the_text_of_their_argument():
    """Not by its address: a code object may hold an equal string, and the address soon be that of another."""

    def factory(n):
        return lambda: n

    first, second, third = factory(1), factory(2), factory(3)
    seen = []
    hook = seen.append
    edits = [inject.Edit("entry", hook, "hook", argument="".join(("na", each))) for each in ("me", "me", "ve")]
    with recompyle.apply(first, edits[0]), recompyle.apply(second, edits[1]), recompyle.apply(third, edits[2]):
        assert first.__code__ is second.__code__ is not third.__code__
        assert (first(), second(), third(), seen) == (1, 2, 3, ["name", "name", "nave"])


def test_edits_with_one_probe_are_told_apart_by_where_it_goes():
    """Closures share what was written for one of them only if it was to go to the same places."""

    def factory(n):
        def total(items):
            count = len(items)
            return count + sum(item for item in items) + n

        return total

    first = factory(0).__code__.co_firstlineno
    probe = Hits()
    wanted = [
        ({}, 2), ({"lines": {first + 1}}, 1), ({"lines": {first + 1, first + 2}}, 2), ({"index": 0}, 1),
        ({"include_implicit": True}, 3), ({"where": lambda site: site.line == first + 2}, 1),
        ({"where": lambda site: site.line is not None}, 2),
    ]  # fmt: skip
    functions = [factory(10) for _ in wanted]
    patches = [
        recompyle.apply(function, inject.Edit("called", probe, **how))
        for function, (how, _) in zip(functions, wanted, strict=True)
    ]
    for function, (how, count) in zip(functions, wanted, strict=True):
        probe.count = 0
        assert (function([1, 2]), probe.count) == (15, count), how
    for patch in patches:
        patch.restore()


def test_closures_to_come():
    global _factory

    def _factory(n):
        return lambda: n

    probe = Hits()
    with recompyle.apply(_factory(1), inject.Edit("entry", probe), scope="future"):
        later = _factory(2)
        assert later() == 2
    assert probe.count == 1
    assert later() == 2 and probe.count == 1
    del _factory


def test_what_refuses_an_edit_leaves_everything_as_it_was():
    f = without_source()
    original = f.__code__
    with pytest.raises(NotRewritable) as raised:
        recompyle.apply(f, inject.Edit("return", Hits(), index=3))
    assert raised.value.slug == "no_such_site"
    assert f.__code__ is original


def test_what_cannot_be_edited():
    for target in (len, functools.partial(len), collections.OrderedDict.keys):
        with pytest.raises(NotRewritable):
            recompyle.apply(target, inject.Edit("entry", Hits()))
    with pytest.raises(TypeError):
        recompyle.apply(without_source(), inject.Edit)


def test_the_probe_is_freed_with_the_patch():
    class Freed(inject.SlotCounter):
        pass

    memory = bytearray(8)
    f = without_source()
    with recompyle.apply(f, inject.Edit("entry", Freed(memory))):
        assert f(1) == 1
        with pytest.raises(BufferError):
            memory.append(1)
    memory.append(1)


def test_frozen_functions_of_types():
    """A function that only a type holds, with a docstring: the docstring stays."""

    class Thing:
        def method(self):
            """About it."""
            return types

    with recompyle.apply(Thing.method, inject.Edit("entry", Hits())):
        assert Thing().method() is types
        assert Thing.method.__doc__ == "About it."


class Special:
    """Methods that the interpreter calls without a call instruction once it has warmed up."""

    def __init__(self, n):
        self.n = n

    @property
    def half(self):
        return self.n // 2

    def __getitem__(self, at):
        return at


class Lookup:
    def __getattribute__(self, name):
        return name


def walk(n):
    yield n


SPECIAL, LOOKUP = Special(3), Lookup()
USES = {
    Special.__init__: lambda times: [Special(n) for n in range(times)],
    Special.half.fget: lambda times: [SPECIAL.half for _ in range(times)],
    Special.__getitem__: lambda times: [SPECIAL[n] for n in range(times)],
    Lookup.__getattribute__: lambda times: [LOOKUP.name for _ in range(times)],
    walk: lambda times: [each for n in range(times) for each in walk(n)],
}


@pytest.mark.parametrize("function", USES, ids=lambda function: function.__qualname__)
def test_specialised_calls_are_counted_and_no_more_after_restoring(function):
    use = USES[function]
    use(5_000)
    entry, leave = Hits(), Hits()
    with recompyle.apply(function, inject.Edit("entry", entry), inject.Edit("return", leave, "value")):
        use(5_000)
        assert (entry.count, leave.count) == (5_000, 5_000)
    use(5_000)
    assert (entry.count, leave.count) == (5_000, 5_000)
