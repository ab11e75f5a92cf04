"""Hard cases about where the source is: edited, zipped, generated, frozen, compiled without it, optimised."""

from __future__ import annotations
import __future__

import builtins
import collections
import doctest
import importlib
import importlib.util
import linecache
import os
import posixpath
import py_compile
import subprocess
import sys
import textwrap
import types
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import recompyle
from recompyle.errors import NotRewritable, RecompyleError, SourceMismatch, SourceNotFound

NEVER = -1  # a limit that no run reaches


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    recompyle.restore()


def load(path: Path, name: str) -> types.ModuleType:
    """Imports a file as a module of that name."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def profiled(function: Any) -> Any:
    """A rewritten copy, with probes round all calls."""
    return recompyle.rewrite(function, recompyle.ProfileCalls(NEVER))


# -- 141: the file was edited after the import

ORIGINAL = """def other():
    return len('ab')


def work(x):
    return str(x)


double = lambda x: int(x) * 2
"""

EDITS = {
    "another function moved there": ORIGINAL.replace("def other", "def more():\n    pass\n\n\ndef other"),
    "text": ORIGINAL.replace("str(x)", "str(y)"),
    "constant": ORIGINAL.replace("* 2", "* 3").replace("str(x)", "str(x, 'a')"),
    "name": ORIGINAL.replace("def work", "def walk").replace("double =", "twice = 1 +"),
    "line": "\n" + ORIGINAL,
    "column": ORIGINAL.replace("return str(x)", "return  str(x)").replace("int(x) * 2", "int( x) * 2"),
    "argument": ORIGINAL.replace("work(x)", "work(x, y=1)").replace("lambda x", "lambda x, y=1"),
    "emptied": "",
    "not python any more": "def work(x:\n",
}


@pytest.mark.parametrize("edited", EDITS.values(), ids=EDITS)
@pytest.mark.parametrize("name", ["work", "double"])
def test_141_edited_file(name: str, edited: str, tmp_path: Path) -> None:
    if edited == EDITS["text"] and name == "double":
        pytest.skip("this edit does not touch that function")
    path = tmp_path / "edited.py"
    path.write_text(ORIGINAL, encoding="utf-8")
    module = load(path, "edited")
    function = getattr(module, name)
    code, expected = function.__code__, function("3")
    path.write_text(edited, encoding="utf-8")
    os.utime(path, (1, 1))
    linecache.checkcache()
    with pytest.raises((SourceMismatch, SourceNotFound)):
        recompyle.apply(function, recompyle.ProfileCalls(NEVER))
    assert function.__code__ is code
    assert function("3") == expected


def test_141_the_message_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "edited_line.py"
    path.write_text(ORIGINAL, encoding="utf-8")
    module = load(path, "edited_line")
    path.write_text(EDITS["text"], encoding="utf-8")
    linecache.checkcache()
    with pytest.raises(SourceMismatch, match=r"\b5\b"):
        profiled(module.work)


def test_141_the_message_names_both_lines(tmp_path: Path) -> None:
    path = tmp_path / "moved.py"
    path.write_text(ORIGINAL, encoding="utf-8")
    module = load(path, "moved")
    path.write_text("# more\n# and more\n" + ORIGINAL, encoding="utf-8")
    linecache.checkcache()
    with pytest.raises(SourceMismatch, match=r"work is not defined at .*moved\.py, line 5; .* line 7\b"):
        profiled(module.work)


def test_141_edited_and_put_back(tmp_path: Path) -> None:
    path = tmp_path / "put_back.py"
    path.write_text(ORIGINAL, encoding="utf-8")
    module = load(path, "put_back")
    path.write_text(EDITS["line"], encoding="utf-8")
    linecache.checkcache()
    with pytest.raises(SourceMismatch):
        profiled(module.work)
    path.write_text(ORIGINAL, encoding="utf-8")
    os.utime(path, (2, 2))
    linecache.checkcache()
    assert profiled(module.work)(3) == "3"


# -- 142: frozen modules


def test_142_frozen_module() -> None:
    assert posixpath.join.__code__.co_filename == "<frozen posixpath>"
    copy = profiled(posixpath.join)
    assert copy("a", "b", "/c", "d") == "/c/d"
    assert copy.__code__.co_filename == "<frozen posixpath>"
    assert len(copy.__code__.co_code) > len(posixpath.join.__code__.co_code)
    with recompyle.apply(os.makedirs, recompyle.ProfileCalls(NEVER)), pytest.raises(FileExistsError):
        os.makedirs(os.getcwd())


# -- 143: modules inside a zip file


def test_143_zip_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "library.zip"
    with zipfile.ZipFile(archive, "w") as file:
        text = "def shout(text):\n    return text.upper().strip() + str(len(text))\n"
        file.writestr("zipped_for_test.py", text)
    monkeypatch.syspath_prepend(str(archive))
    importlib.invalidate_caches()
    module = importlib.import_module("zipped_for_test")
    monkeypatch.delitem(sys.modules, "zipped_for_test")
    assert profiled(module.shout)(" a") == "A2"
    assert len(recompyle.preview(module.shout, recompyle.ProfileCalls(NEVER)).sites) >= 3


# -- 144: code that only linecache knows


def known_to_linecache(name: str, text: str) -> dict[str, Any]:
    """Runs a text the way notebooks do: under a name that is no file, its lines handed to linecache."""
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(text, name, "exec", dont_inherit=True), space)
    return space


def test_144_notebook_cell() -> None:
    text = "def cell(x):\n    return [str(x), abs(x)]\n"
    space = known_to_linecache("<ipython-input-1-0123456789ab>", text)
    assert profiled(space["cell"])(-1) == ["-1", 1]


def test_144_flags_of_the_shell() -> None:
    flag = __future__.annotations.compiler_flag
    text = "def cell(x: Later) -> Never:\n    def inner(y: NotThere): return str(y)\n    return inner(x)\n"
    name = "<ipython-input-2-0123456789ab>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    space: dict[str, Any] = {}
    exec(compile(text, name, "exec", flags=flag, dont_inherit=True), space)
    copy = profiled(space["cell"])
    assert copy(1) == "1"
    assert copy.__code__.co_flags & flag


def test_144_doctest_example() -> None:
    example = textwrap.dedent(
        """
        >>> import recompyle
        >>> def inside(x):
        ...     return str(x) + str(len(x))
        >>> recompyle.rewrite(inside, recompyle.ProfileCalls(-1))("ab")
        'ab2'
        """
    )
    test = doctest.DocTestParser().get_doctest(example, {}, "a doctest", "nowhere.txt", 0)
    out: list[str] = []
    assert doctest.DocTestRunner(verbose=False).run(test, out=out.append).failed == 0, "".join(out)


def test_144_prompt_or_exec_without_lines() -> None:
    space: dict[str, Any] = {}
    exec("def made(x):\n    return str(x)\n", space)
    with pytest.raises(SourceNotFound):
        profiled(space["made"])
    decorated = recompyle.shallow_call_profiler(time_limit=NEVER)(space["made"])
    assert decorated is space["made"]
    assert decorated(3) == "3"


# -- 145 and 49: no source at all


def test_145_compiled_file_without_source(tmp_path: Path) -> None:
    source = tmp_path / "sourceless.py"
    source.write_text("def work(x):\n    return str(x)\n", encoding="utf-8")
    compiled = tmp_path / "sourceless.pyc"
    py_compile.compile(str(source), str(compiled))
    source.unlink()
    linecache.checkcache()
    module = load(compiled, "sourceless")
    with pytest.raises(SourceNotFound):
        profiled(module.work)
    assert module.work(1) == "1"


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        (len, "builtin"),
        (str.upper, "method"),
        (builtins.print, "builtin"),
        (collections.OrderedDict.__init__, "wrapper"),
        (recompyle.shallow_call_profiler, ""),
        (int, "type"),
        (types.SimpleNamespace(), "SimpleNamespace"),
        (None, "None"),
    ],
    ids=lambda value: getattr(value, "__name__", None) or repr(value),
)
def test_145_not_a_python_function(target: Any, kind: str) -> None:
    if isinstance(target, types.FunctionType):
        pytest.skip(f"{target.__name__} is a Python function in this build")
    with pytest.raises(NotRewritable, match=kind):
        profiled(target)


def test_145_compiled_extension_function() -> None:
    from recompyle.rewrite import link

    with pytest.raises(NotRewritable):
        profiled(link.link)


@dataclass
class Point:
    x: int


def test_49_generated_functions() -> None:
    pair = collections.namedtuple("pair", "left right")
    for function in (Point.__init__, Point.__eq__, pair.__new__, pair._replace):
        if function.__code__.co_filename == "<string>":
            with pytest.raises(SourceNotFound):
                profiled(function)
    assert Point.__init__.__code__.co_filename == "<string>"


# -- 125: optimised

OPTIMISED = '''
import recompyle

def note(text):
    print(text)
    return text

def work(x):
    """A docstring."""
    assert note("asserted"), note("message")
    if __debug__:
        note("debug")
    return [str(x), work.__doc__, inner.__doc__]

def inner():
    """Another."""
    assert len([])

plain = work(1)
patch = recompyle.apply(work, recompyle.ProfileCalls(-1))
assert_is = work.__code__ is not recompyle.pristine(work)
print(work(1) == plain, assert_is, plain)
patch.restore()
inner_copy = recompyle.rewrite(inner, recompyle.ProfileCalls(-1))
try:
    print(inner_copy())
except AssertionError:
    print("AssertionError")
'''


@pytest.mark.parametrize("flags", [[], ["-O"], ["-OO"], ["-W", "error"], ["-X", "dev"]], ids=" ".join)
def test_125_command_line_flags(flags: list[str], tmp_path: Path) -> None:
    script = tmp_path / "optimised.py"
    script.write_text(OPTIMISED, encoding="utf-8")
    done = subprocess.run([sys.executable, *flags, str(script)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    asserted = not flags or not flags[0].startswith("-O")
    docs = ["None", "None"] if flags == ["-OO"] else ["'A docstring.'", "'Another.'"]
    assert f"True True ['1', {', '.join(docs)}]" in lines
    assert lines.count("asserted") == lines.count("debug") == (2 if asserted else 0)
    assert "message" not in lines
    assert lines[-1] == ("AssertionError" if asserted else "None")


# -- warnings of the compiler

WARNED = """
import sys, warnings
import recompyle

def work(x):
    if x is 1:
        pass
    assert (x, "always true")
    text = "\\d"
    return str(x) + text, [1, 2](0) if x == "never" else None

warnings.simplefilter("error")
print(recompyle.rewrite(work, recompyle.ProfileCalls(-1))(2))
"""


def test_compiler_warnings_are_not_repeated(tmp_path: Path) -> None:
    script = tmp_path / "warned.py"
    script.write_text(WARNED, encoding="utf-8")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "('2\\\\d', None)\n"
    assert done.stderr.count("is 1") <= 2  # once, by CPython itself, with its source line


def test_every_refusal_is_of_the_family() -> None:
    for target in (len, Point.__init__):
        with pytest.raises(RecompyleError) as caught:
            profiled(target)
        assert caught.value.slug
