"""What became of the tests of one module, and how two runs of it are compared."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

# What differs from run to run by nature: addresses, names of temporary files, ports, process numbers, times.
_VARYING = [
    (re.compile(r"0x[0-9a-fA-F]+"), "0x..."),
    (re.compile(r"@test_\d+_tmp\S*"), "@test_tmp"),
    # The name of a test module is kept: the copies that are made of them lie there too.
    (re.compile(r"/tmp/\S*?(/test_\w+\.py)?(?=[\"'\s:,)]|$)", re.MULTILINE), r"/tmp/...\1"),
    (re.compile(r"\d+\.\d{3,}(e-?\d+)?"), "N.N"),
    (re.compile(r"(?<!line )(?<![\w.])\d{4,}(?!\w)"), "N"),
]


def steady(text: str) -> str:
    """The text without what differs from run to run."""
    for pattern, instead in _VARYING:
        text = pattern.sub(instead, text)
    return text


@dataclass
class Outcomes:
    """One run: what each test came to, in order, and how the process ended."""

    tests: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    ended: str = ""  # empty: by itself
    last_started: str | None = None
    rewrite: dict | None = None
    seconds: float = 0.0
    printed: str = ""

    @property
    def count(self) -> int:
        return sum(len(each) for each in self.tests.values())


def read(file: Path, ended: str, seconds: float, printed: str) -> Outcomes:
    """Reads what child.py wrote.

    Args:
        file: the outcome file; it may be missing or cut off.
        ended: how the process ended, empty if it ended with code 0.
        seconds: how long it took.
        printed: the end of what it printed.
    """
    found = Outcomes(seconds=seconds, printed=printed)
    finished = False
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        try:
            fact = json.loads(line)
        except ValueError:  # the line in which the process died
            break
        if "outcome" in fact:
            found.tests.setdefault(steady(fact["test"]), []).append((fact["outcome"], steady(fact["detail"])))
        found.last_started = fact.get("started", found.last_started)
        found.rewrite = fact.get("rewrite") or found.rewrite
        finished = finished or fact.get("finished", False)
    found.ended = ended or ("" if finished else "stopped early, exit code 0")
    return found


@dataclass(frozen=True)
class Difference:
    """A test that came out otherwise when rewritten."""

    test: str
    plain: str
    rewritten: str
    detail: str = ""


def _told(outcomes: list[tuple[str, str]] | None) -> str:
    """The outcomes of one test in few words."""
    if outcomes is None:
        return "not run"
    kinds = [outcome for outcome, _ in outcomes]
    return ", ".join(
        f"{kind} {kinds.count(kind)} times" if kinds.count(kind) > 1 else kind for kind in dict.fromkeys(kinds)
    )


def differences(plain: Outcomes, rewritten: Outcomes) -> list[Difference]:
    """Every test that came out otherwise, the way the process ended being one.

    A test that ran in one of the two only is a difference; those that a crash left unrun are one together.
    """
    found = []
    unrun = 0
    for test in plain.tests | rewritten.tests:
        before, after = plain.tests.get(test), rewritten.tests.get(test)
        if before == after:
            continue
        if after is None and rewritten.ended:
            unrun += 1
            continue
        detail = "\n".join(text for _, text in after or before or ())
        if _told(before) == _told(after):
            detail = "plain:\n" + "\n".join(text for _, text in before or ()) + "\nrewritten:\n" + detail
        found.append(Difference(test, _told(before), _told(after), detail))
    if plain.ended != rewritten.ended:
        where = f"in {rewritten.last_started}" if rewritten.last_started else "before the first test"
        ends = [run.ended or "ended by itself" for run in (plain, rewritten)]
        detail = f"{where}; {unrun} tests were not run\n{rewritten.printed}"
        found.insert(0, Difference("(process)", *ends, detail))
    return found
