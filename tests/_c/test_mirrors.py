"""Each .pxd mirror names exactly the functions of its C header."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEADERS = sorted((ROOT / "librecompyle" / "include").glob("rcp_*.h"))
MIRRORS = sorted((ROOT / "recompyle" / "_c").glob("rcp_*.pxd"))

DECLARATION = re.compile(r"^(?:[A-Za-z_]\w* +\*?)+(rcp_[a-z]\w*)\(", re.M)


def without_comments(text: str) -> str:
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def header_functions(path: Path) -> set[str]:
    """The public functions a header declares or defines: declarations begin at the margin, calls are indented."""
    return set(DECLARATION.findall(without_comments(path.read_text())))


def mirror_functions(text: str) -> set[str]:
    """The functions a mirror declares: one level inside its extern block."""
    return set(DECLARATION.findall(re.sub(r"^ {4}(?! )", "", text, flags=re.M)))


def constants(text: str) -> set[str]:
    """Names of public macros and enumerators."""
    return set(re.findall(r"\b(RCP_[A-Z0-9_]+)\b", without_comments(text)))


@pytest.mark.parametrize("header", HEADERS, ids=lambda p: p.stem)
def test_same_functions(header: Path) -> None:
    mirror = ROOT / "recompyle" / "_c" / f"{header.stem}.pxd"
    assert mirror.exists(), f"{header.name} has no mirror"
    expected = header_functions(header)
    assert expected, f"no function found in {header.name}"
    assert mirror_functions(mirror.read_text()) == expected


def test_every_mirror_has_a_header() -> None:
    assert [p.stem for p in MIRRORS] == [p.stem for p in HEADERS]


@pytest.mark.parametrize("mirror", MIRRORS, ids=lambda p: p.stem)
def test_mirror_extends_its_own_header(mirror: Path) -> None:
    text = mirror.read_text()
    assert re.findall(r'cdef extern from "(.*?)"', text) == [f"{mirror.stem}.h"]
    assert "nogil:" in text


@pytest.mark.parametrize("mirror", MIRRORS, ids=lambda p: p.stem)
def test_constants_exist_in_the_header(mirror: Path) -> None:
    header = (ROOT / "librecompyle" / "include" / f"{mirror.stem}.h").read_text()
    known = constants(header) | {f"RCP_{name}" for name in re.findall(r"XX\((\w+),", header)}
    assert constants(mirror.read_text()) <= known


@pytest.mark.parametrize("header", HEADERS, ids=lambda p: p.stem)
def test_one_stem_in_every_place(header: Path) -> None:
    core = ROOT / "librecompyle"
    assert (core / "tests" / f"test_{header.stem}.c").exists()
    assert (core / "src" / f"{header.stem}.c").exists()
    assert (ROOT / "docs" / "reference" / "c" / f"{header.stem}.md").exists()


def test_reference_pages_are_current() -> None:
    script = ROOT / "docs" / "gen_c.py"
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, f"run {script.name}: {done.stdout}{done.stderr}"


def test_umbrella_includes_every_header() -> None:
    umbrella = (ROOT / "librecompyle" / "include" / "recompyle.h").read_text()
    assert set(re.findall(r'#include "(rcp_\w+\.h)"', umbrella)) == {p.name for p in HEADERS}


def test_a_missing_name_would_be_seen() -> None:
    text = MIRRORS[0].read_text()
    name = sorted(mirror_functions(text))[0]
    assert name not in mirror_functions(text.replace(f"{name}(", f"{name}_gone("))
