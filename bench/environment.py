"""The environments that measurements run in: ours, and one for the other tools.

They are apart because the first recompyle and this project have the same import name.
"""

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

BENCH = Path(__file__).resolve().parent
TREE = BENCH.parent
RIVALS = BENCH / "requirements-rivals.txt"
PINNED = re.compile(r"[A-Za-z][\w.-]*==[\w.]+")
SOURCES = ("recompyle", "librecompyle", "setup.py", "pyproject.toml", "README.md", "LICENSE")


def tag(python: str) -> str:
    """Return the cache tag of an interpreter, such as `cpython-313`."""
    return subprocess.check_output(
        [python, "-c", "import sys; print(sys.implementation.cache_tag)"], text=True
    ).strip()


def source_files() -> Iterator[Path]:
    """Yield the files that a build of this project reads, in a fixed order."""
    for name in SOURCES:
        path = TREE / name
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in inside:
            if file.is_file() and file.suffix not in {".so", ".pyc", ".o", ".a", ".pyd"}:
                yield file


def fingerprint() -> str:
    """Return a hash over everything that the environment of ours is made of."""
    digest = hashlib.sha256()
    for file in [*source_files(), BENCH / "floor.pyx", BENCH / "requirements.txt"]:
        digest.update(f"{file.relative_to(TREE)}\0".encode() + file.read_bytes())
    return digest.hexdigest()


class Environment:
    """A virtual environment in `build/bench/`, made when it is first needed and kept.

    The other tools come as built wheels only, each at a fixed version, so that installing runs nothing of
    theirs.

    Args:
        python: the interpreter to make it from.
        name: `"ours"` or `"rivals"`.
    """

    def __init__(self, python: str, name: str):
        self.root = TREE / "build" / "bench" / tag(python) / name
        self.python = str(self.root / "bin" / "python")
        self._base = python
        self._stamp = self.root / "made-of.txt"

    def make(self) -> None:
        """Build it if it is missing or out of date. Raises CalledProcessError if building fails."""
        wanted = fingerprint() if self.root.name == "ours" else RIVALS.read_text()
        if self._stamp.is_file() and self._stamp.read_text() == wanted:
            return
        print(f"making {self.root.relative_to(TREE)} ...", file=sys.stderr, flush=True)
        subprocess.run([self._base, "-m", "venv", self.root], check=True)
        if self.root.name == "ours":
            self._install_ours()
        else:
            self._install_rivals()
        self._stamp.write_text(wanted)

    def _pip(self, *arguments: object, check: bool = True) -> None:
        pip = [self.python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, *map(str, arguments)], check=check, stdout=sys.stderr)

    def _install_ours(self) -> None:
        self._pip("-r", BENCH / "requirements.txt")
        # A copy is built, so that nothing left in the working tree by another build is picked up.
        copy = self.root / "source"
        shutil.rmtree(copy, ignore_errors=True)
        for file in source_files():
            target = copy / file.relative_to(TREE)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target)
        self._pip("--no-build-isolation", "--no-deps", copy)
        shutil.copy2(BENCH / "floor.pyx", self.root)
        cythonize = [str(self.root / "bin" / "cythonize"), "-q", "-i", "floor.pyx"]
        subprocess.run(cythonize, cwd=self.root, check=True, stdout=subprocess.DEVNULL)

    def _install_rivals(self) -> None:
        # One by one: a tool without a build for this interpreter must not hide the others.
        for line in RIVALS.read_text().splitlines():
            if not PINNED.fullmatch(line):
                raise ValueError(f"{RIVALS.name}: {line!r} is not of the form name==version")
            self._pip("--only-binary", ":all:", line, check=False)
