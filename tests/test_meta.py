"""What must hold of the project as a whole: modules import alone, stubs exist, documentation is complete."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import recompyle
from recompyle import inject, live, profile
from recompyle.profile import limits
from recompyle.profile.model import CallSite, SlowCall

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "recompyle"
DOCS = ROOT / "docs"
SOURCES = sorted([*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.pyx")])
VARIABLE = re.compile(r"""environ(?:\.get\(|\[)\s*["'](\w+)["']""")


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def page(name: str) -> str:
    return text_of(DOCS / name)


@pytest.mark.parametrize("name", [module_name(path) for path in SOURCES])
def test_module_imports_alone(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"import importlib; importlib.import_module({name!r})"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


def test_without_compiled_parts_the_package_says_so(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "recompyle", ignore=shutil.ignore_patterns("*.so", "*.pyd", "__pycache__"))
    program = """
try:
    import recompyle.inject
except ImportError as error:
    print(type(error).__name__, error.slug, error)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("NotCompiled needs_c_core no compiled parts for CPython ")
    assert str(tmp_path) in done.stdout


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.pyx")), ids=module_name)
def test_stub_stands_beside_the_module(path: Path) -> None:
    stub = path.with_suffix(".pyi")
    assert stub.exists()
    ast.parse(text_of(stub))


def stub_names(path: Path) -> set[str]:
    """What a stub says a module has."""
    return {
        node.name
        for node in ast.parse(text_of(path)).body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef))
    }


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.pyi")), ids=module_name)
def test_stub_names_what_the_module_has(path: Path) -> None:
    module = importlib.import_module(module_name(path))
    assert {name for name in stub_names(path) if not hasattr(module, name)} == set()


# -- slugs


def slugs() -> set[str]:
    """Every slug that the package can give an error: of the classes, and of the calls that make them."""
    classes = [each for each in vars(recompyle.errors).values() if isinstance(each, type)]
    found = {each.slug for each in classes if issubclass(each, recompyle.RecompyleError)}
    for path in SOURCES:
        # Two string arguments make an error with a slug of its own; Cython does not parse as Python.
        for call in re.finditer(r"\b(?:NotRewritable|PassError|Source\w+|TargetNotFound|Unreachable)\(", text_of(path)):
            found.update(re.findall(r',\s*"([a-z_]+)",?\s*$', arguments(text_of(path), call.end())))
        found.update(re.findall(r'\bRefusal\("([a-z_]+)",', text_of(path)))
    return found


def arguments(text: str, start: int) -> str:
    """The text between a call's parentheses, the opening one ending at `start`."""
    depth = 1
    for at in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if not depth:
            return text[start:at]
    raise ValueError("the parenthesis is not closed")


def test_every_slug_is_found() -> None:
    assert {"no_source", "unproved", "free_threaded", "location_table", "hidden_locals", "audit"} <= slugs()


def test_messages_page_has_every_slug_and_no_other() -> None:
    errors = page("reference/messages.md").partition("## Errors")[2].partition("\n## ")[0]
    # `_slug` of resolve.py chooses between two.
    chosen = set(re.findall(r'"(not_python|no_function)"', text_of(PACKAGE / "patch" / "resolve.py")))
    assert set(re.findall(r"^### (\w+)$", errors, re.M)) == slugs() | chosen


def test_warnings_are_on_the_messages_page() -> None:
    shown = page("reference/messages.md")
    for words in (
        "no function of the module matches",
        "its code was changed by somebody else after it was patched",
        "only whole runs are timed, not calls",
        "is not profiled",
        "is not rewritten",
        "slow calls could not be handed over",
        "could not be made",
    ):
        assert words in shown
        assert any(words in text_of(path) for path in SOURCES), f"{words!r} is said nowhere any more"


# -- reference


@pytest.mark.parametrize("module", [recompyle, profile, inject, live], ids=lambda module: module.__name__)
def test_public_names_are_in_the_reference(module: object) -> None:
    shown = set(re.findall(r"^### (\w+)$", page("reference/python.md"), re.M))
    assert set(module.__all__) - shown == set()  # type: ignore[attr-defined]


def test_public_names_exist() -> None:
    for module in (recompyle, profile, inject, live):
        assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_options_page_has_every_option() -> None:
    shown = set(re.findall(r"^\| `(\w+)` \|", page("reference/options.md"), re.M))
    assert set(limits._PARSERS) - shown == set()


def test_environment_variables_are_documented() -> None:
    shown = page("reference/options.md")
    read = {name for path in [*SOURCES, ROOT / "setup.py"] for name in VARIABLE.findall(text_of(path))}
    assert "RECOMPYLE" in read
    assert {name for name in read if f"`{name}" not in shown} == set()


def test_variables_said_to_be_read_are_read() -> None:
    read = {name for path in [*SOURCES, ROOT / "setup.py"] for name in VARIABLE.findall(text_of(path))}
    said = {
        name
        for path in [*SOURCES, *DOCS.rglob("*.md")]
        for name in re.findall(r"\bRECOMPYLE_[A-Z]+\b", text_of(path))
    }
    assert said - read == set()


def test_formats_page_has_every_field() -> None:
    shown = set(re.findall(r"`(\w+)`", page("reference/formats.md")))
    fields = {field.name for record in (SlowCall, CallSite) for field in dataclasses.fields(record)}
    assert fields - shown == set()


@pytest.mark.parametrize("script", sorted(DOCS.glob("gen_*.py")), ids=lambda path: path.stem)
def test_generated_pages_are_up_to_date(script: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"run `make docs`; out of date: {done.stdout}{done.stderr}"


# -- links


def anchors(path: Path) -> set[str]:
    """The fragments of a page's headings."""
    titles = re.findall(r"^#+ (.+)$", text_of(path), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize(
    "path", sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")]), ids=lambda path: path.name
)
def test_links_lead_somewhere(path: Path) -> None:
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", text_of(path), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, fragment = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        assert found.exists(), f"{target} is not there"
        if fragment:
            assert fragment in anchors(found), f"{file} has no heading for #{fragment}"


def test_every_page_is_on_the_map() -> None:
    linked = set(re.findall(r"\]\((\S+?)\)", page("index.md")))
    pages = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md") if path.parent.name != "c"} - {
        "index.md"
    }
    assert pages - linked == set()
