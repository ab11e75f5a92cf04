"""What is listed as instrumentable."""

import gc
import json
import os
import sys
import sysconfig
import threading
import types

import pytest

from recompyle import live
from recompyle.live.listing import listed
from recompyle.live.source import Local
from recompyle.patch import slices


def names(pattern, **options):
    return [each.path for each in listed(pattern, **options)]


def test_functions_and_methods_that_modules_define(make):
    module = make("""
        import json
        from textwrap import dedent

        def f(): pass
        g = f
        h = lambda: None

        class C:
            def m(self): pass
            @property
            def p(self): pass
            @p.setter
            def p(self, value): pass
            @staticmethod
            def s(): pass
            class D:
                async def n(self): pass

        class E(C, json.JSONDecoder):
            def m(self): pass

        E.borrowed = C.m
    """)
    name = module.__name__
    assert names(f"{name}:*") == [
        f"{name}:{each}" for each in ("f", "h", "C.m", "C.p", "C.p.setter", "C.s", "E.m", "C.D.n")
    ]
    aliases = {each.path: each.aliases for each in listed(f"{name}:*")}
    assert aliases[f"{name}:f"] == (f"{name}:g",)
    assert aliases[f"{name}:C.m"] == (f"{name}:E.borrowed",)
    assert names(f"{name}:g") == [f"{name}:f"], "an alias finds its function"


def test_looking_at_functions_makes_them_no_larger(make):
    module = make("def f(): pass\ndef g(): pass\ng.mark = 1\nclass C:\n    def m(self): pass")
    functions = [module.f, module.g, module.C.m]
    sizes = [len(gc.get_referents(function)) for function in functions]
    assert len(names(f"{module.__name__}:*")) == 3
    live.resolve(f"{module.__name__}:g")
    assert [len(gc.get_referents(function)) for function in functions] == sizes, "no __dict__ was made"
    assert functions[0].__dict__ == {} and len(gc.get_referents(functions[0])) > sizes[0]


def test_a_row_is_that_of_the_moment(make):
    module = make("def f(): pass")
    local = Local()
    (found,) = local.found(f"{module.__name__}:*")
    with live.instrument(f"{module.__name__}:f"):
        module.f()
        row = local.row(found)
    assert (row["state"], row["hits"]) == ("on", 1)


def test_rows_are_whole_while_another_thread_looks_anew(make, monkeypatch):
    module = make("def f(): pass\ndef g(): pass")
    local = Local()
    local.rows()
    looks = []

    def other_thread():
        if not looks:
            looks.append(1)
            local.rows()

    monkeypatch.setattr(slices, "SLICE", -1.0)
    monkeypatch.setattr(slices, "_over", 0.0)
    monkeypatch.setattr(slices, "give_way", other_thread)
    paths = [row["path"] for row in local.poll()]
    assert looks and {f"{module.__name__}:f", f"{module.__name__}:g"} <= set(paths)


def test_own_code_only_unless_all_is_wanted(make):
    make("def f(): pass")
    assert "json:dumps" not in names("*")
    assert "json:dumps" in names("json:*", everything=True)
    assert not [path for path in names("*", everything=True) if path.partition(".")[0] == "recompyle"]
    assert json.dumps


def test_module_without_a_file_is_the_programs(monkeypatch):
    module = types.ModuleType("made_by_hand")
    exec("def f(): pass", vars(module))
    monkeypatch.setitem(sys.modules, "made_by_hand", module)
    assert names("made_by_hand:*") == ["made_by_hand:f"]


@pytest.mark.parametrize("where", ["stdlib", "purelib", "platlib"])
def test_what_was_installed_is_not_the_programs(monkeypatch, where):
    module = types.ModuleType("installed_thing")
    module.__file__ = os.path.join(sysconfig.get_path(where), "installed_thing.py")
    exec("def f(): pass", vars(module))
    monkeypatch.setitem(sys.modules, "installed_thing", module)
    assert names("installed_thing:*") == []
    assert names("installed_thing:*", everything=True) == ["installed_thing:f"]


def test_strange_entries_of_sys_modules(monkeypatch, make):
    module = make("def f(): pass")
    monkeypatch.setitem(sys.modules, "nothing", None)
    monkeypatch.setitem(sys.modules, "no_module", object())
    monkeypatch.setitem(sys.modules, "again", module)
    vars(module)[7] = "a key that is no name"
    assert names(f"{module.__name__}:*") == [f"{module.__name__}:f"]


def test_listing_holds_no_function(make):
    module = make("def f(): pass")
    (row,) = listed(f"{module.__name__}:*")
    del module.f
    assert row.ref() is None


def test_instrumented_functions_keep_their_place_and_line(make):
    module = make("\n\ndef f(): pass\n")
    before = live.list(f"{module.__name__}:*")
    live.instrument(f"{module.__name__}:f")
    after = live.list(f"{module.__name__}:*")
    assert [(row["path"], row["line"], row["file"]) for row in after] == [
        (row["path"], row["line"], row["file"]) for row in before
    ]
    assert after[0]["line"] == 3


def test_the_interpreter_is_given_up_meanwhile(make, monkeypatch):
    make("\n".join(f"def f{n}(): pass" for n in range(50)))
    pauses = []
    monkeypatch.setattr(slices, "SLICE", -1.0)
    monkeypatch.setattr(slices, "_over", 0.0)
    monkeypatch.setattr(slices, "give_way", lambda: pauses.append(1))
    listed("*")
    assert len(pauses) >= 100, "at each attribute, and at each function found"


def test_lists_while_another_thread_imports_and_defines(make):
    stop = threading.Event()
    module = make("")

    def define():
        n = 0
        while not stop.is_set():
            n += 1
            setattr(module, f"f{n % 100}", types.FunctionType((lambda: None).__code__, vars(module)))
            sys.modules[f"made_up_{n % 50}"] = types.ModuleType(f"made_up_{n}")

    thread = threading.Thread(target=define)
    thread.start()
    try:
        for _ in range(20):
            listed("*")
    finally:
        stop.set()
        thread.join(30)
        for n in range(50):
            sys.modules.pop(f"made_up_{n}", None)
