"""The long proof: random programs, run plain and rewritten, must do the same.

Program number i of a seed is the same everywhere, so a run is taken up again with ``--first``. The first failing
program of each pass is made smaller, printed, and written to tests/corpus/, whose programs the tests run from then on.
"""

from __future__ import annotations

import argparse
import gc
import platform
import re
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

from fuzz.compare import PASSES, Fuzzed  # noqa: E402
from fuzz.programs import Random, generate, shrink  # noqa: E402

CORPUS = TESTS / "corpus"
WATCHES = ("none", "trace")  # by turns: every program is run in one of these ways
TOO_LONG = 20.0  # seconds for one program under one pass


class TooLong(BaseException):
    """A program takes its time."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise `TooLong` in a block that takes longer."""

    def stop(*_: object) -> None:
        raise TooLong

    old = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


def compare(text: str, number: int, name: str, folder: Path) -> list[str]:
    """What differs; an exception of our own is a difference, too."""
    return _compare(Fuzzed(text, number, folder), name)


def _compare(fuzzed: Fuzzed, name: str) -> list[str]:
    try:
        with within(TOO_LONG):
            return fuzzed.differences(name, (WATCHES[fuzzed.program.number % len(WATCHES)],))
    except Exception as error:
        return ["crash: " + "".join(traceback.format_exception(error))]


def keep(program: Random, number: int, name: str, folder: Path, seed: int) -> Path:
    """Make a failing program smaller, print it, and write it to the corpus."""
    kind = _kind(compare(program.text, number, name, folder))
    small = shrink(program, lambda text: _kind(compare(text, number, name, folder)) == kind, tries=400)
    found = compare(small.text, number, name, folder)
    path = CORPUS / f"{name}-{seed}-{number}.py"
    CORPUS.mkdir(exist_ok=True)
    remark = f"\n\n# Differed under {name!r}, CPython {platform.python_version()}; seed {seed}, number {number}.\n"
    path.write_text(small.text + remark, encoding="utf-8")
    print(f"\n{small.text}\n{'-' * 80}", *(each[:2000] for each in found), f"{'-' * 80}\nkept as {path}", sep="\n")
    return path


def _kind(found: list[str]) -> str:
    """What is much the same in two failures of one cause."""
    return "" if not found else re.sub(r"[\d'<>]+|\w*\d\w*", "", found[0].partition("plain:")[0])[:60]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=int, default=10_000, metavar="N", help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, metavar="I", help="number of the first program")
    parser.add_argument("--pass", dest="names", action="append", choices=list(PASSES), help="one or several")
    parser.add_argument("--keep-going", action="store_true", help="only count after the first failure of each pass")
    options = parser.parse_args(arguments)
    names = options.names or list(PASSES)
    failed: Counter[str] = Counter()
    done: Counter[str] = Counter()
    too_long = 0
    began = shown = time.monotonic()
    gc.freeze()  # programs collect often
    with tempfile.TemporaryDirectory() as folder:
        last = options.first + options.programs
        for number in range(options.first, last):
            program = generate(options.seed, number)
            fuzzed = Fuzzed(program.text, number, Path(folder))
            for name in names:
                if failed[name] and not options.keep_going:
                    continue
                try:
                    found = _compare(fuzzed, name)
                except TooLong:
                    too_long += 1
                    continue
                done[name] += 1
                if found:
                    failed[name] += 1
                    print(f"\nprogram {number} under {name!r}: {found[0][:300]}", flush=True)
                    if failed[name] == 1:
                        keep(program, number, name, Path(folder), options.seed)
            now = time.monotonic()
            if now - shown > 10 or number == last - 1:
                shown, count = now, number + 1 - options.first
                print(
                    f"{count} of {options.programs} programs, {count / (now - began):.1f} a second, "
                    f"{failed.total()} failures, {too_long} too long; go on with --first {number + 1}",
                    flush=True,
                )
    print(f"CPython {platform.python_version()}, seed {options.seed}:", end=" ")
    print(*(f"{name} {done[name]} ({failed[name]} differ)" for name in names), sep=", ")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
