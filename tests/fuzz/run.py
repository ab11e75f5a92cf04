"""The long proof: random programs, run plain and rewritten, must do the same.

Program number i of a seed is the same everywhere, so a run is taken up again with ``--first``. The first failing
program of each pass is made smaller, printed, and written to tests/corpus/, whose programs the tests run from then on.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

from fuzz.compare import PASSES, Fuzzed  # noqa: E402
from fuzz.programs import Random, generate, shrink  # noqa: E402

CORPUS = TESTS / "corpus"
WATCHES = ("none", "trace")  # by turns: every program is run in one of these ways
TOO_LONG = 20.0  # seconds for one program under one pass
TOO_LARGE = 1 << 30  # bytes of the process: texts that hold each other may double with each note


class TooLong(BaseException):
    """A program takes its time."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise `TooLong` in a block that takes longer, again and again: a program may catch it."""
    is_late = False

    def stop(*_: object) -> None:
        nonlocal is_late
        is_late = True
        raise TooLong

    old = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
        if is_late:
            raise TooLong


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


def compare_all(numbers: Iterable[int], names: list[str], seed: int, folder: Path, out: IO[str]) -> None:
    """Compare programs under passes; for each one write a line.

    It holds the number, whether the program is unsteady by itself, the passes under which it differs as documented, and
    by pass what else was found. That is None where the program takes too long, or too much memory, which ends it all.
    """
    resource.setrlimit(resource.RLIMIT_AS, (TOO_LARGE, TOO_LARGE))
    for number in numbers:
        fuzzed = Fuzzed(generate(seed, number).text, number, folder)
        found: dict[str, str | None] = {}
        known: list[str] = []
        for name in names:
            try:
                found[name] = "".join(_compare(fuzzed, name)[:1])
                known += [name] * fuzzed.known
            except TooLong:
                found[name] = None
                if name == names[0]:  # it does so by itself
                    found = dict.fromkeys(names)
                    break
        is_too_large = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 > TOO_LARGE // 2
        if is_too_large:
            found = dict.fromkeys(names)
        print(json.dumps((number, fuzzed.unsteady, known, found)), file=out, flush=True)
        if is_too_large:
            return


def _fork(action: Callable[[], object]) -> int:
    """Begin to do something in a process of its own, which may crash: some versions of CPython do."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        action()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


def _ended(child: int) -> int:
    """How a process ended: 0 if well."""
    return os.waitpid(child, 0)[1]


def results(
    numbers: range, names: list[str], seed: int, folder: Path
) -> Iterator[tuple[int, bool, list[str], dict[str, str | None]]]:
    """What `compare_all` writes. Programs that kill the process count as unsteady if they do so by themselves."""
    while numbers:
        reader, writer = os.pipe()
        with open(reader) as lines, open(writer, "w") as out:
            child = _fork(lambda: compare_all(numbers, names, seed, folder, out))  # noqa: B023  it is over before
            out.close()
            for line in lines:
                yield tuple(json.loads(line))
                numbers = numbers[1:]
        status = _ended(child)
        if numbers and status:
            fuzzed = Fuzzed(generate(seed, numbers[0]).text, numbers[0], folder)
            dies = _ended(_fork(lambda: [fuzzed.run(fuzzed.text, watch) for watch in WATCHES])) != 0  # noqa: B023
            crash = None if dies else f"crash: the process ended with {status}"
            yield numbers[0], dies, [], dict.fromkeys(names, crash)
            numbers = numbers[1:]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=int, default=10_000, metavar="N", help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, metavar="I", help="number of the first program")
    parser.add_argument("--pass", dest="names", action="append", choices=list(PASSES), help="one or several")
    parser.add_argument("--keep-going", action="store_true", help="do not end with the first difference")
    options = parser.parse_args(arguments)
    names = options.names or list(PASSES)
    failed: Counter[str] = Counter()
    known: Counter[str] = Counter()
    done: Counter[str] = Counter()
    left_out = unsteady = 0
    began = shown = time.monotonic()
    gc.freeze()  # programs collect often
    with tempfile.TemporaryDirectory() as folder:
        numbers = range(options.first, options.first + options.programs)
        every = enumerate(results(numbers, names, options.seed, Path(folder)), 1)
        for count, (number, is_unsteady, documented, found) in every:
            unsteady += is_unsteady
            known.update(documented)
            left_out += None in found.values()
            done.update(name for name, difference in found.items() if difference is not None)
            different = {name: difference for name, difference in found.items() if difference}
            for name, difference in different.items():
                print(f"\nprogram {number} under {name!r}: {difference[:300]}", flush=True)
            new = next((name for name in different if not failed[name]), None)
            failed.update(different.keys())
            if new is not None:
                program = generate(options.seed, number)
                _ended(_fork(lambda: keep(program, number, new, Path(folder), options.seed)))  # noqa: B023
            now = time.monotonic()
            if now - shown > 10 or number == numbers[-1]:
                shown = now
                print(
                    f"{count} of {options.programs} programs, {count / (now - began):.1f} a second, "
                    f"{failed.total()} failures, {known.total()} known, {left_out} left out, "
                    f"{unsteady} unsteady by themselves; go on with --first {number + 1}",
                    flush=True,
                )
            if failed and not options.keep_going:
                break
    print(f"CPython {platform.python_version()}, seed {options.seed}:", end=" ")
    print(*(f"{name} {done[name]} ({failed[name]} differ, {known[name]} as documented)" for name in names), sep=", ")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
