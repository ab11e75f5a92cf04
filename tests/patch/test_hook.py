"""The import hook, on packages of the standard library and on packages made on disk."""

import asyncio
import importlib
import importlib.resources
import importlib.util
import inspect
import json
import logging
import pkgutil
import runpy
import subprocess
import sys
import textwrap
import threading
import traceback
import types
import zipfile
from importlib.machinery import SourceFileLoader
from pathlib import Path

import pytest
from marks import Mark, Refuse

import recompyle
from recompyle import ProfileCalls
from recompyle.patch import apply, install, pristine, registry, restore


@pytest.fixture(autouse=True)
def nothing_stays():
    finders = list(sys.meta_path)
    yield
    assert sys.meta_path == finders, "a test left its hook in place"
    assert registry._entries == {}, "a test left functions patched"


@pytest.fixture
def forget():
    """Takes modules out of ``sys.modules`` for the time of a test."""
    taken: dict[str, types.ModuleType] = {}

    def take(*packages):
        for name in list(sys.modules):
            if any(f"{name}.".startswith(f"{each}.") for each in packages):
                taken.setdefault(name, sys.modules[name])
                del sys.modules[name]

    yield take
    for name in [each for each in sys.modules if any(f"{each}.".startswith(f"{n}.") for n in taken)]:
        del sys.modules[name]
    sys.modules.update(taken)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Makes a package on disk from ``name=text`` and hands its name back."""
    made = []

    def make(**files):
        name = f"hooked_{len(made)}_{tmp_path.name.replace('-', '_')}"
        made.append(name)
        for file, text in files.items():
            path = tmp_path / name / f"{file}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(textwrap.dedent(text))
        importlib.invalidate_caches()
        return name

    monkeypatch.syspath_prepend(tmp_path)
    yield make
    for each in list(sys.modules):
        if each.partition(".")[0] in made:
            del sys.modules[each]


SIMPLE = "def f(x=1):\n    return x + 1\n"


# -- what is rewritten


def test_modules_imported_before_and_after(package):
    name, mark = package(__init__="def g(): return 'g'", early=SIMPLE, late=SIMPLE), Mark()
    early = importlib.import_module(f"{name}.early")
    before = early.f.__code__
    with install([name], mark) as hook:
        late = importlib.import_module(f"{name}.late")
        assert (sys.modules[name].g(), early.f(), late.f(), mark.log) == ("g", 2, 2, ["hit"] * 3)
        assert {f.__qualname__ for f in hook.functions} == {"g", "f"} and len(hook.functions) == 3
        assert (hook.active, hook.failed, hook.skipped) == (True, {}, [])
        assert repr(hook) == f"<Installation active: {name}; 3 functions>"
    assert early.f.__code__ is before
    early.f(), late.f()
    assert len(mark.log) == 3 and not hook.active
    hook.uninstall()
    assert "uninstalled" in repr(hook)


def test_others_are_left_alone(package):
    name, other = package(__init__=SIMPLE), package(__init__=SIMPLE)
    with install(name, Mark()) as hook:
        importlib.import_module(other)
        importlib.import_module(name)
        assert [f.__module__ for f in hook.functions] == [name]


@pytest.mark.parametrize("name", ["json", "email", "xml", "unittest", "concurrent", "html", "wsgiref"])
def test_packages_of_the_standard_library(name, forget):
    forget(name)
    with install(name, ProfileCalls("100s")) as hook:
        for found in pkgutil.walk_packages(importlib.import_module(name).__path__, f"{name}."):
            if not found.name.endswith("__main__"):
                importlib.import_module(found.name)
        assert hook.failed == {}
        assert len(hook.functions) > 5
        for _, reason in hook.skipped:
            assert "nothing can be read" in reason or "generated" in reason, hook.skipped
        if name == "json":
            fresh = sys.modules["json"]
            assert fresh.loads(fresh.dumps({"a": [1, 2.5, None]})) == {"a": [1, 2.5, None]}
        if name == "email":
            message = sys.modules["email"].message_from_string("Subject: a\nTo: b@c\n\nbody\n")
            assert (message["subject"], message.get_payload()) == ("a", "body\n")
        functions = hook.functions
    assert all(f.__code__ is pristine(f) for f in functions)


def test_asyncio_while_a_loop_runs():
    async def main():
        with install("asyncio", ProfileCalls("100s")) as hook:
            assert hook.failed == {}
            await asyncio.gather(*(asyncio.sleep(0.001) for _ in range(5)))
            async with asyncio.timeout(5), asyncio.TaskGroup() as group:
                task = group.create_task(asyncio.to_thread(sum, [1, 2]))
            return task.result(), len(hook.functions)

    result, count = asyncio.run(main())
    assert result == 3 and count > 300


def test_zip_made_from_a_package_of_the_standard_library(tmp_path, monkeypatch, forget):
    folder = Path(json.__file__).parent
    with zipfile.ZipFile(tmp_path / "zipped.zip", "w") as archive:
        for path in folder.glob("*.py"):
            archive.write(path, f"zipped_json/{path.name}")
        archive.writestr("zipped_json/data.txt", "data")
    for path in ("decoder", "encoder", "scanner"):
        assert (folder / f"{path}.py").exists()
    monkeypatch.syspath_prepend(tmp_path / "zipped.zip")
    mark = Mark()
    with install("zipped_json", mark, ProfileCalls("100s")) as hook:
        zipped = importlib.import_module("zipped_json")
        assert zipped.loads("[1]") == [1] and mark.log
        assert (hook.failed, hook.skipped) == ({}, [])
        assert type(zipped.__loader__).__name__ == "zipimporter"
        assert pkgutil.get_data("zipped_json", "data.txt") == b"data"
        assert importlib.resources.files("zipped_json").joinpath("data.txt").read_text() == "data"
        assert inspect.getsource(zipped.loads) == inspect.getsource(json.loads)
    for each in [each for each in sys.modules if each.startswith("zipped_json")]:
        del sys.modules[each]


def test_namespace_package(tmp_path, monkeypatch):
    for part in ("one", "two"):
        folder = tmp_path / part / "spaced_out"
        folder.mkdir(parents=True)
        (folder / f"{part}.py").write_text(SIMPLE)
        monkeypatch.syspath_prepend(tmp_path / part)
    mark = Mark()
    with install("spaced_out", mark):
        one = importlib.import_module("spaced_out.one")
        two = importlib.import_module("spaced_out.two")
        space = sys.modules["spaced_out"]
        assert len(list(space.__path__)) == 2 and type(space.__loader__).__name__ == "NamespaceLoader"
        assert (one.f(), two.f(), mark.log) == (2, 2, ["hit", "hit"])
    for each in ("spaced_out", "spaced_out.one", "spaced_out.two"):
        del sys.modules[each]


def test_frozen_and_compiled_modules(forget):
    forget("__hello__")
    with install(["__hello__", "_json", "recompyle_is_not_this", "math"], Mark()) as hook:
        hello = importlib.import_module("__hello__")
        importlib.reload(importlib.import_module("math"))
        assert type(hello.__loader__) is type  # importlib's frozen importer is a class
        assert [f.__module__ for f in hook.functions] == ["__hello__"] or "no source" in str(hook.skipped)


# -- the module sees nothing of it


def test_spec_and_loader_are_the_real_ones_before_the_first_line(package):
    name = package(__init__="seen = __spec__.loader, __loader__\n")
    with install(name, Mark()):
        found = importlib.util.find_spec(name)
        assert isinstance(found.loader, SourceFileLoader)
        assert found.loader.get_filename(name) == found.origin
        module = importlib.import_module(name)
        assert type(module.seen[0]) is type(module.seen[1]) is SourceFileLoader
        assert module.__spec__.loader is module.__loader__ is module.seen[0]


def test_resources_and_source(package, tmp_path):
    name = package(__init__=SIMPLE)
    (tmp_path / name / "data.bin").write_bytes(b"\0\1")
    with install(name, Mark()):
        module = importlib.import_module(name)
        assert pkgutil.get_data(name, "data.bin") == b"\0\1"
        assert importlib.resources.files(name).joinpath("data.bin").read_bytes() == b"\0\1"
        assert inspect.getsource(module.f) == SIMPLE
        assert inspect.getsource(module).strip() == SIMPLE.strip()


def test_traceback_of_a_failing_import_is_the_plain_one(package):
    name = package(__init__="import json\n1 / 0\n")

    def fail():
        try:
            importlib.import_module(name)
        except ZeroDivisionError:
            return traceback.format_exc()

    plain = fail()
    with install(name, Mark()) as hook:
        assert fail() == plain
        assert hook.failed == {} and hook.functions == []


def test_import_statement_that_fails_has_the_plain_traceback(package):
    name = package(__init__="from . import inner", inner="def f(:\n")

    def fail():
        try:
            exec(f"import {name}", {})
        except SyntaxError as error:
            return [(frame.filename, frame.lineno, frame.name) for frame in traceback.extract_tb(error.__traceback__)]

    plain = fail()
    with install(name, Mark()):
        assert fail() == plain


@pytest.mark.parametrize("watch", ["settrace", "setprofile"])
def test_tracers_see_no_file_of_the_hook(package, watch):
    name = package(__init__="from .a import f\nf()\n", a=SIMPLE)
    mark, seen = Mark(), []

    def tool(frame, event, arg):
        seen.append((frame.f_code.co_filename, frame.f_code.co_name, event))
        return tool

    with install(name, mark):
        old = sys.gettrace()
        getattr(sys, watch)(tool)
        try:
            importlib.import_module(name)
        finally:
            sys.settrace(old) if watch == "settrace" else sys.setprofile(None)
        assert mark.log == ["hit"]
    folder = str(Path(recompyle.__file__).parent)
    assert {each for each in seen if each[0].startswith(folder)} == set()
    assert any(function == "f" for _, function, _ in seen)


def test_source_is_compiled_once_by_the_import_system(package, recwarn):
    name = package(__init__="def f(x):\n    return x is 1\n")
    with install(name, ProfileCalls("100s")):
        importlib.import_module(name)
    assert [str(each.message)[:13] for each in recwarn] == ['"is" with \'in'] or len(recwarn) == 1


# -- reload, lazy loaders, runpy


def test_reload_rewrites_the_new_functions_and_restores_the_old(package, tmp_path):
    name, mark = package(__init__=SIMPLE), Mark()
    with install(name, mark) as hook:
        module = importlib.import_module(name)
        old = module.f
        (tmp_path / name / "__init__.py").write_text("def f(x=1):\n    return x + 100\n")
        assert importlib.reload(module) is module
        assert (old(), module.f(), mark.log) == (2, 101, ["hit", "hit"])
        assert len(hook.functions) == 2
    old(), module.f()
    assert len(mark.log) == 2


def test_lazy_loader_around_ours(package):
    name, mark = package(__init__=SIMPLE), Mark()
    with install(name, mark) as hook:
        spec = importlib.util.find_spec(name)
        spec.loader = importlib.util.LazyLoader(spec.loader)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        assert hook.functions == []
        assert (module.f(), mark.log) == (2, ["hit"])
        assert type(module) is types.ModuleType


def test_lazy_loader_inside_ours(package):
    name, mark = package(__init__=SIMPLE), Mark()

    class Lazy:
        @staticmethod
        def find_spec(wanted, path, target=None):
            if wanted == name:
                spec = importlib.machinery.PathFinder.find_spec(wanted, path, target)
                spec.loader = importlib.util.LazyLoader(spec.loader)
                return spec

    sys.meta_path.insert(0, Lazy)
    try:
        with install(name, mark) as hook:
            module = importlib.import_module(name)
            assert hook.functions == [] and type(module) is not types.ModuleType
            assert (module.f(), mark.log) == (2, ["hit"])
            assert type(module.__spec__.loader) is SourceFileLoader
    finally:
        sys.meta_path.remove(Lazy)


def test_run_module(package, tmp_path):
    name = package(__init__="", __main__="from .part import f\nresult = f(1), __spec__.name\n", part=SIMPLE)
    mark = Mark()
    with install(name, mark):
        namespace = runpy.run_module(name, run_name="__main__", alter_sys=True)
        assert namespace["result"] == (2, f"{name}.__main__")
        assert mark.log == ["hit"]


def test_install_from_within_the_package(package):
    name = package(
        __init__="""
        import marks, recompyle
        mark = marks.Mark()
        hook = recompyle.install(__name__, mark)
        def f(): pass
        from . import part
        """,
        part="def g(): pass",
    )
    module = importlib.import_module(name)
    with module.hook as hook:
        module.f(), module.part.g()
        assert module.mark.log == ["hit"]
        assert "update()" in hook.failed[name]
        hook.update()
        hook.update()
        module.f()
        assert module.mark.log == ["hit", "hit"] and hook.failed == {}


# -- failures


def test_what_cannot_be_rewritten_is_listed(package, caplog):
    name = package(
        __init__="""
        import dataclasses
        @dataclasses.dataclass
        class Point:
            x: int
            def norm(self): return abs(self.x)
        exec("def generated(): pass")
        """
    )
    with install(name, ProfileCalls("100s")) as hook:
        module = importlib.import_module(name)
        assert module.Point(-3).norm() == 3
        assert [f.__qualname__ for f in hook.functions] == ["Point.norm"]
        assert {each.partition(":")[2] for each, _ in hook.skipped} >= {"generated"}
        assert hook.failed == {} and caplog.records == []


def test_a_module_that_fails_is_imported_all_the_same(package, caplog):
    name = package(__init__="", good=SIMPLE, bad="def refused(): return 7")
    with caplog.at_level(logging.WARNING, "recompyle"), install(name, Refuse("refused")) as hook:
        bad = importlib.import_module(f"{name}.bad")
        importlib.import_module(f"{name}.good")
        assert bad.refused() == 7
        assert list(hook.failed) == [f"{name}.bad"] and "no probes in refused" in hook.failed[f"{name}.bad"]
        assert len(hook.functions) == 1
    assert [record.getMessage() for record in caplog.records] == [
        f"{name}.bad is not rewritten: no probes in refused"
    ]


def test_modules_that_pytest_rewrote_are_refused_function_by_function(package, tmp_path, pytestconfig):
    file = tmp_path / "test_asserting.py"
    file.write_text("def plain(x):\n    return x + 1\n\n\ndef test_it():\n    assert plain(1) == 2\n")
    from _pytest.assertion.rewrite import AssertionRewritingHook

    rewriter = AssertionRewritingHook(pytestconfig)
    rewriter.mark_rewrite("test_asserting")
    sys.path.insert(0, str(tmp_path))
    sys.meta_path.insert(0, rewriter)
    try:
        with install("test_asserting", ProfileCalls("100s")) as hook:
            module = importlib.import_module("test_asserting")
            module.test_it()
            assert "@pytest_ar" in vars(module)
            assert [f.__name__ for f in hook.functions] == ["plain"]
            assert [name for name, _ in hook.skipped] == ["test_asserting:test_it"]
            assert "another tool rewrote the function" in hook.skipped[0][1]
    finally:
        sys.meta_path.remove(rewriter)
        sys.path.remove(str(tmp_path))
        sys.modules.pop("test_asserting", None)


class Annotator:
    """A hook as others are: a finder with a loader of its own that changes the source on the way."""

    class Loader(SourceFileLoader):
        def source_to_code(self, data, path, *, _optimize=-1):
            return compile(data.replace(b"+ 1", b"+ 1000"), path, "exec", dont_inherit=True)

        def get_code(self, name):
            return self.source_to_code(self.get_data(self.path), self.path)

    def __init__(self, name):
        self.name = name

    def find_spec(self, wanted, path=None, target=None):
        if wanted != self.name:
            return None
        spec = importlib.machinery.PathFinder.find_spec(wanted, path, target)
        spec.loader = self.Loader(spec.loader.name, spec.loader.path)
        return spec


@pytest.mark.parametrize("first", [True, False])
def test_stacked_with_a_hook_that_changes_source(package, first):
    name, mark = package(__init__=SIMPLE + "def g(): return 'g'\n"), Mark()
    other = Annotator(name)
    if first:
        sys.meta_path.insert(0, other)
    try:
        with install(name, mark, ProfileCalls("100s")) as hook:
            if not first:
                sys.meta_path.insert(0, other)
            module = importlib.import_module(name)
            assert (module.f(), module.g()) == (1001, "g")  # the other tool's work stands
            if first:
                assert [f.__name__ for f in hook.functions] == ["g"] and mark.log == ["hit"]
                assert hook.skipped[0][0] == f"{name}:f"
            else:  # in front of ours: it is asked first and ours is not asked at all
                assert hook.functions == []
                hook.update()
                assert [f.__name__ for f in hook.functions] == ["g"]
    finally:
        sys.meta_path.remove(other)


def test_two_installations(package):
    name, log = package(__init__=SIMPLE), []
    one, two = install(name, Mark("one", log)), install(name, Mark("two", log))
    module = importlib.import_module(name)
    module.f()
    assert sorted(log) == ["one", "two"]
    one.uninstall()
    module.f()
    assert sorted(log) == ["one", "two", "two"]
    two.uninstall()
    module.f()
    assert len(log) == 3


def test_a_hook_taken_out_in_the_midst_of_a_search(package):
    name = package(__init__="", late="def f(): return 1\n")

    class TakesOut:
        def __init__(self):
            self.asked = []

        def find_spec(self, name, path=None, target=None):
            hook.uninstall()
            self.asked.append(name)

    taking = TakesOut()
    importlib.import_module(name)
    hook = install(name, Mark())
    sys.meta_path.insert(sys.meta_path.index(hook._finder) + 1, taking)
    try:
        late = importlib.import_module(f"{name}.late")
        # What a search by another thread meets that had begun before: it asks one finder too few, so ours asks all.
        spec = hook._finder.find_spec(f"{name}.late", sys.modules[name].__path__)
    finally:
        sys.meta_path.remove(taking)
    assert taking.asked == [f"{name}.late"] * 2
    assert spec.origin == late.__file__
    assert late.f.__code__ is pristine(late.f)
    assert hook.functions == []


def test_restore_of_everything_leaves_the_hook(package):
    name, mark = package(__init__=SIMPLE, later=SIMPLE), Mark()
    with install(name, mark) as hook:
        module = importlib.import_module(name)
        assert restore() == 1
        module.f()
        assert mark.log == []
        importlib.import_module(f"{name}.later").f()
        assert mark.log == ["hit"] and hook.active


@pytest.mark.parametrize(
    ("packages", "passes", "text"),
    [
        ([], (Mark(),), "at least one package"),
        (["json"], (), "one pass"),
        (["json:loads"], (Mark(),), "not the name of a package"),
        (["json.*"], (Mark(),), "not the name of a package"),
        ([json], (Mark(),), "not the name of a package"),
        (["recompyle.patch"], (Mark(),), "does not rewrite itself"),
    ],
)
def test_bad_arguments(packages, passes, text):
    with pytest.raises(ValueError, match=text):
        install(packages, *passes)


class Odd(recompyle.Pass):
    level = "odd"


@pytest.mark.parametrize("no_pass", [None, object(), Mark])
def test_what_is_no_pass_is_refused_before_any_module(no_pass):
    with pytest.raises(TypeError, match="is neither a"):
        install("json", Mark(), no_pass)
    with pytest.raises(recompyle.PassError, match="level 'odd'"):
        install("json", Odd())


def test_switched_off(package, monkeypatch):
    monkeypatch.setenv("RECOMPYLE", "0")
    name = package(__init__=SIMPLE)
    with install(name, Mark()) as hook:
        importlib.import_module(name)
        assert not hook.active and hook.functions == []


# -- threads and processes


def test_many_threads_import_while_hooks_come_and_go(package):
    parts = {f"part{i}": SIMPLE for i in range(40)}
    name = package(__init__="", **parts)
    importlib.import_module(name)
    errors = []

    def work(offset):
        try:
            for i in range(40):
                module = importlib.import_module(f"{name}.part{(i + offset) % 40}")
                assert module.f() == 2
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(10 * i,)) for i in range(4)]
    hook = install(name, Mark())
    for thread in threads:
        thread.start()
    for _ in range(5):
        apply(importlib.import_module(f"{name}.part3").f, Mark()).restore()
    for thread in threads:
        thread.join()
    assert errors == [] and hook.failed == {}
    assert len(hook.functions) == 40
    hook.uninstall()


PROCESSES = """
import multiprocessing, sys
import marks, recompyle

def child(queue, method):
    import textwrap
    queue.put(textwrap.dedent.__code__ is not recompyle.pristine(textwrap.dedent))

if __name__ == "__main__":
    import textwrap
    recompyle.install("textwrap", recompyle.ProfileCalls("100s"))
    for method in ("fork", "spawn"):
        context = multiprocessing.get_context(method)
        queue = context.SimpleQueue()
        process = context.Process(target=child, args=(queue, method))
        process.start()
        print(method, queue.get())
        process.join()
"""


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="no fork here")
def test_forked_children_keep_the_probes_and_spawned_ones_start_without(tmp_path):
    script = tmp_path / "processes.py"
    script.write_text(PROCESSES)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(script)],
        capture_output=True,
        text=True,
        env={**__import__("os").environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        check=False,
    )
    assert (done.stdout, done.returncode) == ("fork True\nspawn False\n", 0), done.stderr


def test_end_of_the_interpreter_with_a_hook_in_place():
    program = "import recompyle, json\nrecompyle.install('json', recompyle.ProfileCalls('1s'))\njson.loads('1')"
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_public_names():
    assert recompyle.install is install and recompyle.Installation.__name__ == "Installation"
