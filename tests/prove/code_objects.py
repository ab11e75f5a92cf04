"""Proof of the code-object writer: every code object of the standard library and of large packages takes every probe.

Each source file is compiled. Each code object is written without edits, with each kind of site alone and with all at
once, in both forms, and checked instruction by instruction (`recompyle.inject.verify`); of one in 16, picked by its
name, the two writers are compared as well. Ends with 0 if nothing was refused and nothing is wrong.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import os
import platform
import sys
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import written

import recompyle

ROW = "{:14} {:>6} {:>8} {:>9} {:>8} {:>6} {:>8}"


@dataclass
class Tally:
    """What was found in some source files."""

    files: int = 0
    codes: int = 0
    compared: int = 0
    refused: collections.Counter[str] = field(default_factory=collections.Counter)
    examples: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.files += other.files
        self.codes += other.codes
        self.compared += other.compared
        self.refused += other.refused
        self.examples = other.examples | self.examples
        self.wrong += other.wrong


def prove(path: Path) -> Tally:
    """All of one file."""
    tally = Tally(files=1)
    for code in written.codes(path):
        tally.codes += 1
        try:
            tally.wrong += written.prove(code)
            if zlib.crc32(f"{path.name}:{code.co_qualname}".encode()) % 16 == 0:
                tally.compared += 1
                tally.wrong += written.compare(code)
        except recompyle.NotRewritable as refusal:
            tally.refused[refusal.slug] += 1
            tally.examples.setdefault(refusal.slug, str(refusal))
    return tally


def folder(name: str) -> Path:
    """Where the source lies that an argument names."""
    path = written.LIBRARY if name == "library" else Path(name)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {name}")
    return path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=folder, help="or 'library': the standard library")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="files at a time")
    options = parser.parse_args()

    print(f"CPython {platform.python_version()}")
    print(ROW.format("folder", "files", "codes", "compared", "refused", "wrong", "seconds"), flush=True)
    total = Tally()
    with concurrent.futures.ProcessPoolExecutor(options.jobs) as pool:
        for each in options.folders:
            began, tally = time.monotonic(), Tally()
            for found in pool.map(prove, written.sources(each), chunksize=4):
                tally.add(found)
            numbers = tally.files, tally.codes, tally.compared, tally.refused.total(), len(tally.wrong)
            print(ROW.format(each.name, *numbers, f"{time.monotonic() - began:.0f}"), flush=True)
            total.add(tally)
    for reason, count in total.refused.most_common():
        print(f"refused {count:6}  {reason}: {total.examples[reason]}")
    for fault in total.wrong[:100]:
        print(f"WRONG: {fault}")
    if not total.codes:
        print("there is nothing to prove it on")
    return 1 if total.refused or total.wrong or not total.codes else 0


if __name__ == "__main__":
    sys.exit(main())
