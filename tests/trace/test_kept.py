"""What is kept from one trace to the next, and whether others run a function's code: told without a search."""

import gc
import importlib
import re
import sys
import textwrap
import types
import weakref

import pytest

from recompyle import Counter, Statements, apply, pristine, tracefunc
from recompyle.patch import builds, registry
from recompyle.rewrite import engine
from recompyle.trace.passes import TraceStatements
from recompyle.trace.shared import is_shared


@pytest.fixture
def work(monkeypatch):
    """What was built, and what was searched for."""
    done = []
    build, siblings = engine.build, registry._siblings
    monkeypatch.setattr(engine, "build", lambda *args: done.append("built") or build(*args))
    monkeypatch.setattr(registry, "_siblings", lambda function: done.append("searched") or siblings(function))
    return done


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module of its own for each test."""
    (tmp_path / "kept_module.py").write_text(textwrap.dedent("""\
        from recompyle import tracefunc
        def total(items):
            found = 0
            for each in items:
                found += sum(x for x in [each])
            return found
        def boxed(n):
            class Box:
                def grow(self): return n
            return [Box().grow() for _ in range(n)]
        class Shop:
            class Inner:
                def method(self):
                    return 1
        early = tracefunc(total, [1])
        inner = tracefunc(Shop.Inner().method)
    """))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield lambda: importlib.import_module("kept_module")
    sys.modules.pop("kept_module", None)


def test_a_function_is_built_once(module, work):
    total = module().total
    work.clear()
    first, second = tracefunc(total, [1, 2]), tracefunc(total, [1, 2], max_samples=1)
    assert work == []  # the module itself has traced it
    assert first[0][1].keys() == second[0][1].keys()
    assert first[0][1]["found += sum(x for x in [each])"][1]["found"] == [("int", "1"), ("int", "3")]
    assert second[0][1]["found += sum(x for x in [each])"] == (
        2, {"found": [("int", "1")], "sum": [("builtin_function_or_method", "<built-in function sum>")]}
    )
    assert second[0][1]["(x for x in [each])"] == (2, {"each": [("int", "1")], "x": [("int", "1")]})


def test_a_kept_build_is_like_a_new_one(module):
    boxed = module().boxed
    results = [tracefunc(boxed, 2) for _ in range(2)]
    first, second = (re.sub("0x[0-9a-f]+", "0x...", repr(list(each))) for each in results)  # where they lay is luck
    assert first == second and results[0][0][1]["return n"][0] == 2


def test_traces_in_one_another_do_not_see_each_other(module, work):
    total = module().total
    work.clear()
    results = tracefunc(lambda: tracefunc(total, [1], target_func=total), target_func=total)
    assert [trace["return found"][0] for _, trace in (*results, *results.result)] == [1, 1]
    assert work.count("built") <= 1 and total.__code__ is pristine(total)


def test_nothing_of_a_trace_stays_in_the_kept_build(module):
    class Thing:
        pass

    total, gone = module().total, []
    for _ in range(2):
        results = tracefunc(total, [1])
        results.result = Thing()
        gone.append(weakref.ref(results.result))
        gone.append(weakref.ref(results))
        del results
    gc.collect()
    assert [ref() for ref in gone] == [None] * 4
    assert is_shared(total) is False


def test_a_kept_build_goes_with_its_function(module):
    loaded = module()
    total = loaded.total
    code, key = weakref.ref(total.__code__), (id(total.__code__), TraceStatements)
    assert key in builds._blanks
    del total, loaded.total
    gc.collect()
    assert code() is None and key not in builds._blanks


def test_beside_another_patch_it_is_built_with_that(module, work):
    total = module().total
    counters = []
    with apply(total, Statements(lambda site: counters.append(Counter(site)) or counters[-1])):
        work.clear()
        results = tracefunc(total, [1, 2, 3])
        assert "built" in work
    assert results[0][1]["for each in items:"][0] == 4
    assert sum(counter.count for counter in counters) == 1 + 1 + 3 + 1


def test_functions_of_modules_and_classes_are_not_searched_for(module, work):
    loaded = module()  # it traces, while it is being run itself
    assert [len(loaded.early), len(loaded.inner)] == [1, 1]
    tracefunc(loaded.Shop.Inner().method)
    assert "searched" not in work


def test_shared_code_is_found(module, work):
    loaded = module()
    other = types.FunctionType(loaded.total.__code__, {**vars(loaded)}, "other")
    assert is_shared(loaded.total) and is_shared(other)
    results = tracefunc(lambda run: (run([1]), loaded.total([2])), other, target_func=loaded.total)
    assert [trace["return found"][1]["found"] for _, trace in results] == [[("int", "1")], [("int", "2")]]
    assert "searched" in work
    del other
    assert not is_shared(loaded.total)


def test_closures_of_one_code_share_a_build(work):
    def make(n):
        def made(x):
            return x + n
        return made

    made = [make(n) for n in range(5)]
    results = tracefunc(lambda: [each(1) for each in made], target_func=made[0])
    assert results.result == [1, 2, 3, 4, 5] and results.calls == 5
    assert work.count("built") == 1
