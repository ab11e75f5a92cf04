"""Proofs kept on disk: they change nothing but the time, and nothing on disk can do harm."""

import concurrent.futures
import importlib
import inspect
import linecache
import marshal
import os
import subprocess
import sys
import textwrap
import types
from pathlib import Path

import pytest

import recompyle
from recompyle import ProfileCalls
from recompyle.errors import SourceMismatch
from recompyle.patch import install, pristine
from recompyle.rewrite import Pass, cache, engine
from recompyle.rewrite.skeleton import difference


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RECOMPYLE_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def proved(monkeypatch):
    """Counts the rewrites that were proved anew."""
    names = []
    prove = engine._prove

    def counted(wanted, code):
        names.append(code.co_qualname)
        return prove(wanted, code)

    monkeypatch.setattr(engine, "_prove", counted)
    return names


class Through(Pass):
    """Every name that may be observed, through a probe that counts."""

    def __init__(self):
        self.count = 0

    def __getitem__(self, value):
        self.count += 1
        return value

    def visit_Name(self, node, at):
        if at.can_observe(node):
            at.site(node, "name")
            at.through(node, self)

    def visit_Call(self, node, at):
        if at.can_observe(node):
            at.through(node, self)


def rewritten(functions, make_pass=lambda: ProfileCalls("100s")):
    with cache.keeping():
        return [engine.build(each, pristine(each), (make_pass(),)) for each in functions]


def functions_of(name):
    """The functions that a module's source defines (from 3.14 the compiler adds an `__annotate__`)."""
    module = importlib.import_module(name)
    found = [f for f in vars(module).values() if inspect.isfunction(f) and f.__globals__ is vars(module)]
    return [f for f in found if f.__name__ != "__annotate__"]


def unlinked(code):
    """A code object without its probes, which are other objects each time."""
    plain = (int, float, complex, str, bytes, tuple, frozenset, type(None), type(...), types.CodeType, slice)
    consts = tuple(
        unlinked(each) if type(each) is types.CodeType else each if type(each) in plain else type(each).__name__
        for each in code.co_consts
    )
    return code.replace(co_consts=consts)


@pytest.mark.parametrize("name", ["textwrap", "difflib", "statistics", "json.decoder", "argparse", "asyncio.tasks"])
@pytest.mark.parametrize("make_pass", [lambda: ProfileCalls("100s"), Through], ids=["profiler", "names"])
def test_code_from_the_cache_is_the_code_that_was_proved(name, make_pass, folder, proved):
    functions = functions_of(name)
    first = rewritten(functions, make_pass)
    count = len(proved)
    assert count
    second = rewritten(functions, make_pass)
    assert proved[count:] == []
    for one, other in zip(first, second, strict=True):
        assert difference(unlinked(one.code), unlinked(other.code)) is None
        assert one.code.co_filename == other.code.co_filename
        assert one.code.co_linetable == other.code.co_linetable
        assert (one.sites, one.skipped) == (other.sites, other.skipped)


def test_what_comes_from_the_cache_works(folder, proved):
    for turn in range(2):
        del proved[:]
        probe = Through()
        with install("textwrap", probe):
            assert textwrap.fill("a b c d", 3) == "a b\nc d"
        assert probe.count > 20
        assert bool(proved) == (turn == 0)


def test_another_pass_asks_for_other_code(folder, proved):
    function = textwrap.dedent
    rewritten([function])
    rewritten([function], Through)
    assert len(proved) == 2


def test_only_installations_keep_anything(folder):
    with recompyle.apply(textwrap.dedent, ProfileCalls("100s")):
        pass
    with install("textwrap", ProfileCalls("100s"), cached=False):
        pass
    assert not folder.exists()
    with install("textwrap", ProfileCalls("100s")):
        assert [each.suffix for each in folder.iterdir()] == [".proofs"]
    assert folder.stat().st_mode & 0o777 == 0o700


def test_switched_off(monkeypatch, tmp_path):
    monkeypatch.setenv("RECOMPYLE_CACHE_DIR", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    rewritten([textwrap.dedent])
    assert list(tmp_path.iterdir()) == []


def test_folder_of_the_user(monkeypatch, tmp_path):
    monkeypatch.delenv("RECOMPYLE_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    rewritten([textwrap.dedent])
    assert [each.name for each in tmp_path.iterdir()] == ["recompyle"]
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    rewritten([textwrap.dedent])
    assert (tmp_path / "home" / ".cache" / "recompyle").is_dir()


def write_module(path, text):
    path.write_text(text)
    linecache.checkcache(str(path))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_changed_source_is_proved_anew(folder, proved, tmp_path):
    path = tmp_path / "changing.py"
    text = "def f(x):\n    return len(x)\n"
    old = write_module(path, text).f
    rewritten([old])
    new = write_module(path, text + "\n\ndef g(x):\n    return len(x)\n")
    rewritten([new.f, new.g])
    assert len(proved) == 3
    path.write_text("def f(x):\n    return repr(x)\n")
    linecache.checkcache(str(path))
    with pytest.raises(SourceMismatch):
        rewritten([new.f])


@pytest.mark.parametrize(
    "harm",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data[:60] + bytes((data[60] ^ 1,)) + data[61:],
        lambda data: b"x" + data[1:],
        lambda data: os.urandom(len(data)),
        lambda data: data + b"\0",
    ],
    ids=["empty", "half", "flipped", "mark", "random", "longer"],
)
def test_file_that_is_not_in_order_is_written_anew(harm, folder, proved):
    rewritten([textwrap.dedent])
    (file,) = folder.iterdir()
    good = file.read_bytes()
    file.write_bytes(harm(good))
    rewritten([textwrap.dedent])
    assert len(proved) == 2
    rewritten([textwrap.dedent])
    assert len(proved) == 2 and len(file.read_bytes()) == len(good)


@pytest.mark.parametrize("payload", [b"", b"junk", marshal.dumps([1]), marshal.dumps(None)])
def test_file_with_the_right_sum_and_the_wrong_content_is_written_anew(payload, folder, proved):
    rewritten([textwrap.dedent])
    (file,) = folder.iterdir()
    file.write_bytes(cache.MARK + cache._digest(payload) + payload)
    rewritten([textwrap.dedent])
    rewritten([textwrap.dedent])
    assert len(proved) == 2


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_folder_that_others_can_write_is_not_used(mode, folder, proved):
    rewritten([textwrap.dedent])
    folder.chmod(mode)
    rewritten([textwrap.dedent])
    assert len(proved) == 2
    folder.chmod(0o755)
    rewritten([textwrap.dedent])
    assert len(proved) == 2


def test_folder_of_somebody_else_is_not_used(folder, proved, monkeypatch):
    rewritten([textwrap.dedent])
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    rewritten([textwrap.dedent])
    assert len(proved) == 2


def test_file_that_is_no_plain_file_of_the_user_is_not_read(folder, proved, tmp_path):
    rewritten([textwrap.dedent])
    (file,) = folder.iterdir()
    elsewhere = tmp_path / "elsewhere"
    file.rename(elsewhere)
    for i, put in enumerate((lambda: file.symlink_to(elsewhere), lambda: os.mkfifo(file), file.mkdir)):
        put()
        rewritten([textwrap.dedent])
        assert len(proved) == i + 2
        if file.is_dir():
            file.rmdir()
        else:
            file.unlink()
    elsewhere.rename(file)
    file.chmod(0o666)
    rewritten([textwrap.dedent])
    assert len(proved) == 5


def test_folder_that_cannot_be_written(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RECOMPYLE_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with install("textwrap", ProfileCalls("100s")) as hook:
        assert hook.failed == {} and len(hook.functions) > 5


def test_old_files_go_when_there_is_too_much(folder, monkeypatch):
    folder.mkdir()
    for i in range(10):
        (folder / f"{i}.proofs").write_bytes(bytes(1000))
        os.utime(folder / f"{i}.proofs", (i, i))
    (folder / "letter.txt").write_bytes(bytes(9000))  # of the user, who has named a folder that is in use
    os.utime(folder / "letter.txt", (0, 0))
    monkeypatch.setattr(cache, "LARGEST", 8000)
    monkeypatch.setattr(cache, "_pruned", set())
    rewritten([textwrap.dedent])
    left = {each.name for each in folder.iterdir()}
    assert "0.proofs" not in left and "6.proofs" not in left and len(left) >= 2
    assert sum(each.stat().st_size for each in folder.glob("*.proofs")) <= 4000 + 20_000
    assert "letter.txt" in left


def test_other_threads_are_not_concerned(folder):
    with cache.keeping(), concurrent.futures.ThreadPoolExecutor() as pool:
        assert pool.submit(cache.record_of, "file", ["pass"]).result() is None


CHILD = """
import textwrap, json, recompyle
for _ in range(2):
    with recompyle.install(["textwrap", "json"], recompyle.ProfileCalls("100s")) as hook:
        assert hook.failed == {}, hook.failed
        assert textwrap.dedent("  a") == "a" and json.loads("[1]") == [1]
print(len(hook.functions))
"""


def test_a_file_is_whole_before_it_takes_the_place_of_another(folder, monkeypatch):
    """Whoever reads meanwhile reads the old one or the new one; where it cannot be put there, nothing is left over."""
    rewritten([textwrap.dedent])
    (file,) = folder.iterdir()
    old = file.read_bytes()
    replace, seen = os.replace, []

    def watched(source, target):
        assert Path(target) == file and file.read_bytes() == old
        seen.append(len(cache._read(Path(source))))
        replace(source, target)

    def refused(source, target):
        raise PermissionError

    monkeypatch.setattr(os, "replace", refused)
    rewritten([textwrap.indent])
    assert list(folder.iterdir()) == [file] and file.read_bytes() == old
    monkeypatch.setattr(os, "replace", watched)
    rewritten([textwrap.indent])
    assert list(folder.iterdir()) == [file]
    assert seen == [len(cache._read(file))] and seen[0] > 0
    assert file.read_bytes() != old


def test_many_processes_share_a_folder(folder):
    environment = {**os.environ, "PYTHONPATH": str(Path(recompyle.__file__).parents[1])}
    children = [
        subprocess.Popen([sys.executable, "-c", CHILD], stdout=-1, stderr=-1, text=True, env=environment)
        for _ in range(4)
    ]
    results = {child.communicate() for child in children}
    assert len(results) == 1 and next(iter(results))[1] == "", results
    files = list(folder.iterdir())
    assert {each.suffix for each in files} == {".proofs"}
    assert all(cache._read(each) for each in files)


def test_another_build_of_the_rewriter_proves_anew(folder, proved, monkeypatch):
    rewritten([textwrap.dedent])
    rewritten([textwrap.dedent])
    assert proved == ["dedent"]
    provers = cache._provers()
    assert {"locate", "skeleton", "transform", "exctable", "_env"} <= {name.partition(".")[0] for name, *_ in provers}
    monkeypatch.setattr(cache, "_provers", lambda: provers[:-1])
    rewritten([textwrap.dedent])
    assert proved == ["dedent", "dedent"]


@pytest.mark.parametrize("name", ["__version__", "MAGIC_NUMBER", "HAS_COLUMNS"])
def test_another_version_or_interpreter_proves_anew(name, folder, proved, monkeypatch):
    rewritten([textwrap.dedent])
    with monkeypatch.context() as other:
        other.setattr(cache, name, b"other")
        rewritten([textwrap.dedent])
    rewritten([textwrap.dedent])
    assert proved == ["dedent", "dedent"]
    assert len(list(folder.iterdir())) == 2
