"""The differences that are known, each with its cause: known.toml, and its twin in the documentation."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

FILE = Path(__file__).with_name("known.toml")


@dataclass(frozen=True)
class Known:
    """One known difference.

    Args:
        test: pattern of test ids, `test.test_x.Class.test_y`; `*` stands for anything.
        cause: why it differs, in a sentence that the documentation repeats.
        says: regular expression that is found in the text of the failure, so that the entry covers no other.
        versions: CPython versions it concerns, such as `3.12`; empty for all.
        modes: ways of running it concerns; empty for all.
    """

    test: str
    cause: str
    says: str
    versions: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        return self.test.split(".")[1]

    def concerns(self, version: str, mode: str) -> bool:
        return (not self.versions or version in self.versions) and (not self.modes or mode in self.modes)

    def matches(self, test: str, detail: str, version: str, mode: str) -> bool:
        covered = self.concerns(version, mode) and fnmatchcase(test, self.test)
        return covered and re.search(self.says, detail) is not None


def load(file: Path = FILE) -> list[Known]:
    """Reads the list.

    Raises:
        ValueError: an entry without a cause, or that names no test module.
        TypeError: an entry with an unknown field, or with one missing.
    """
    entries = []
    for item in tomllib.loads(file.read_text(encoding="utf-8")).get("difference", []):
        for many in ("versions", "modes"):
            item[many] = tuple(item.get(many, ()))
        entry = Known(**item)
        if not entry.cause.strip() or not entry.test.startswith("test.test_"):
            raise ValueError(f"{file.name}: a difference needs a cause and the id of a test: {item}")
        entries.append(entry)
    return entries


def table(entries: list[Known]) -> str:
    """The list as the documentation shows it, a Markdown table: a row for each cause."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for entry in sorted(entries, key=lambda entry: entry.test):
        key = ", ".join(entry.versions) or "all", ", ".join(entry.modes) or "all", entry.cause
        rows.setdefault(key, []).append(f"`{entry.test.removeprefix('test.')}`")
    lines = ["| test | CPython | way | cause |", "| --- | --- | --- | --- |"]
    lines += [f"| {', '.join(tests)} | {' | '.join(key)} |" for key, tests in rows.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(load()))
