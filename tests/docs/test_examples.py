"""The examples of README, tutorial and how-to pages run, and print what the pages say they print.

A page's Python blocks are joined in order and run as one file; a block after `<!-- file: NAME -->` is a file
of its own. A page with test functions is given to pytest. The first line of each `text` block must be among
what is printed, figures apart.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("tutorial/*.md")),
    *sorted((ROOT / "docs").glob("howto/*.md")),
]
BLOCK = re.compile(r"(?:<!-- file: (\S+) -->\n)?```(python|text)\n(.*?)```", re.S)


def read(page: Path) -> tuple[dict[str, str], list[str]]:
    """The programs of a page by file name, in order, and the first lines of the output shown."""
    programs: dict[str, str] = {}
    shown = []
    for name, kind, content in BLOCK.findall(page.read_text(encoding="utf-8")):
        if kind == "text":
            shown.append(content.splitlines()[0])
        else:
            name = name or "page.py"
            programs[name] = programs.get(name, "") + content
    return programs, shown


def without_figures(text: str) -> str:
    """A line of output without times, counts and widths; of several rows in one line only the first."""
    text, _, _ = text.partition("; ")
    text = re.sub(r"\d[\d.:TZ-]*( (ns|us|ms|s)\b|(?<=\d)(ns|us|ms|s)\b)?", "N", text)
    return re.sub(r'"[^"]*/([^"/]+)"', r'"\1"', " ".join(text.split()))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page(page: Path, tmp_path: Path) -> None:
    programs, shown = read(page)
    assert programs, f"{page.name} has no Python block"
    printed = ""
    for name, text in programs.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        tests = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-s"] if "def test_" in text else []
        done = subprocess.run(
            [sys.executable, *tests, name],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{page.name}, {name}:\n{done.stdout}{done.stderr}"
        printed += done.stdout + done.stderr
    lines = {without_figures(line) for line in printed.splitlines()}
    for line in shown:
        assert without_figures(line) in lines, f"{page.name} shows {line!r}; what was printed:\n{printed}"
