"""Finding the source of a file: parsed once, indexed by name and line, given up with a reason."""

from __future__ import annotations

import ast
import linecache
import os
import subprocess
import sys
import threading
import types
import warnings
from pathlib import Path
from typing import Any

import pytest

from recompyle.errors import SourceNotFound
from recompyle.rewrite.source import find, quietly

TEXT = """\
import os.path as path, sys
from json import loads as read, dumps
if sys:
    import shutil


@property
@staticmethod
def decorated(x=lambda: 1):
    def inner():
        import local
        return lambda: 2
    return inner


class C:
    def method(self):
        return [lambda: n for n in (1,)]

    async def waits(self): pass


one, two = lambda: 1, lambda: 2
"""


def load(path: Path, text: str = TEXT) -> tuple[types.CodeType, dict[str, Any]]:
    path.write_text(text)
    return compile(text, str(path), "exec"), {"__name__": path.stem}


def test_definitions_by_name_and_first_line(tmp_path: Path) -> None:
    source = find(*load(tmp_path / "indexed.py"))
    found = {
        key: [[getattr(scope, "name", type(scope).__name__) for scope in each.scopes] for each in definitions]
        for key, definitions in source.definitions.items()
    }
    assert found == {
        ("decorated", 7): [[]],  # the line of its first decorator
        ("<lambda>", 9): [[]],  # a default is evaluated outside
        ("inner", 10): [["decorated"]],
        ("<lambda>", 12): [["decorated", "inner"]],
        ("method", 17): [["C"]],
        ("<lambda>", 18): [["C", "method", "ListComp"]],
        ("waits", 20): [["C"]],
        ("<lambda>", 23): [[], []],
    }
    assert source.text == TEXT
    assert source.lines == TEXT.splitlines(keepends=True)


def test_imports_are_those_of_the_modules_own_level(tmp_path: Path) -> None:
    source = find(*load(tmp_path / "imports.py"))
    assert source.imports == {"path", "sys", "read", "dumps", "shutil"}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("super = 1", True),
        ("def super(): pass", True),
        ("class super: pass", True),
        ("import x as super", True),
        ("from x import super", True),
        ("if super: pass", True),
        ("def f(): return super()", False),
        ("class C:\n    super = 1", False),
        ("x = 'super'", False),
    ],
)
def test_mention_of_super_at_the_modules_level(text: str, named: bool, tmp_path: Path) -> None:
    assert find(*load(tmp_path / "mention.py", text)).names_super is named


def test_a_file_is_parsed_once(tmp_path: Path) -> None:
    code, names = load(tmp_path / "once.py")
    assert find(code, names) is find(code, names)


def test_the_cache_is_bounded(tmp_path: Path) -> None:
    files = [load(tmp_path / f"many{n}.py") for n in range(8)]
    found = [find(*each) for each in files]
    assert find(*files[-1]) is found[-1]
    again = find(*files[0])
    assert again is not found[0]
    assert again.text == found[0].text


def test_changed_file_is_read_again_on_demand(tmp_path: Path) -> None:
    path = tmp_path / "changed.py"
    code, names = load(path)
    before = find(code, names)
    path.write_text("x = 1  # other\n")
    os.utime(path, (1, 1))
    assert find(code, names) is before
    after = find(code, names, refresh=True)
    assert after is not before
    assert after.text == "x = 1  # other\n"


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("<string>", r"nothing can be read for '<string>' \(generated code\)"),
        ("<stdin>", r"\(generated code\)"),
        ("/no/such/file.py", "nothing can be read for '/no/such/file.py'$"),
    ],
)
def test_no_text(file: str, words: str) -> None:
    with pytest.raises(SourceNotFound, match=words):
        find(compile("x = 1", file, "exec"), {})


@pytest.mark.parametrize("text", ["def f(:\n", "x = (\n", "\tx\n  y\n"])
def test_text_that_does_not_parse(text: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(SourceNotFound, match="does not parse"):
        find(compile("x = 1", str(path), "exec"), {})


def test_text_of_a_loader() -> None:
    """Modules that are not files, such as those in a zip, are read by their loader."""

    class Loader:
        def get_source(self, name: str) -> str:
            assert name == "loaded"
            return "def f():\n    return 1\n"

    code = compile("x = 1", "/no/such/loaded.py", "exec")
    loader = Loader()
    spec = types.SimpleNamespace(name="loaded", loader=loader)
    source = find(code, {"__name__": "loaded", "__loader__": loader, "__spec__": spec})
    assert ("f", 1) in source.definitions


def test_text_known_to_linecache_only() -> None:
    linecache.cache["<cell 1>"] = (9, None, ["def f():\n", "    return 1\n"], "<cell 1>")
    assert ("f", 1) in find(compile("x", "<cell 1>", "exec"), {}).definitions


def test_form_feeds_do_not_shift_lines(tmp_path: Path) -> None:
    """Python ends a line at a line feed only; `str.splitlines` at a dozen characters."""
    source = find(*load(tmp_path / "feeds.py", "x = 'a\\x0cb'\n\x0c\ndef f():\n    return '\u2028'\n"))
    assert ("f", 3) in source.definitions
    assert source.lines[2] == "def f():\n"


def test_many_threads_at_once(tmp_path: Path) -> None:
    files = [load(tmp_path / f"shared{n}.py") for n in range(6)]
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(5):
                for each in files:
                    assert len(find(*each).definitions) == 8
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_quietly_repeats_no_warning_and_leaves_the_filters() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        before = warnings.filters[:]
        tree = quietly("x = 1 is 1\n'\\d'\n", "<quiet>", ast.PyCF_ONLY_AST)
        quietly(tree, "<quiet>", 0)
        assert warnings.filters == before
    assert caught == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quietly("x = 1 is 1", "<quiet>", 0)
        with pytest.raises(SyntaxError):
            quietly("x = ", "<quiet>", 0)
        assert warnings.filters[0][0] == "error"


@pytest.mark.skipif(sys.version_info < (3, 14), reason="filters of a context are new in 3.14")
def test_quietly_where_filters_belong_to_a_context() -> None:
    program = (
        "import warnings; from recompyle.rewrite.source import quietly\n"
        "with warnings.catch_warnings():\n"
        "    warnings.simplefilter('error')\n"
        "    quietly('x = 1 is 1', '<quiet>', 0)\n"
        "    assert warnings._get_filters()[0][0] == 'error'\n"
    )
    command = [sys.executable, "-X", "context_aware_warnings=1", "-c", program]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
