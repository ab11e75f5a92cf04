"""Run the benchmarks, print a table, and add the raw readings to the results of this machine.

    python bench/run.py                                   # this interpreter, every case
    python bench/run.py timed_call --python python3.13
    python bench/run.py --quick                           # a look, nothing is stored

Everything needed is built and installed into `build/bench/` first.
"""

import argparse
import datetime
import importlib
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # under `python -P` as well

import machine
import records
import show
from environment import BENCH, TREE, Environment
from turns import measure

CASES = (
    "timed_call",
    "wrapped_call",
    "trace",
    "fast_run",
    "memory",
    "rewrite_cost",
    "install",
    "restore",
    "slow_runs",
    "report",
    "probe_hit",
    "probe_write",
    "patch_gaps",
    "live_patch",
    "live_agent",
    "live_screen",
    "census",
    "core",
)


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("case", nargs="*", help=f"which to run (default: all): {', '.join(CASES)}")
    parser.add_argument("--python", action="append", metavar="EXE", help="interpreter; may be repeated")
    parser.add_argument("--quick", action="store_true", help="one launch of three rounds, not stored")
    parser.add_argument("--launches", type=int, help="starts of each worker (default: the case's own)")
    parser.add_argument("--cpu", type=int, help="processor to run on (default: the last one allowed)")
    parser.add_argument("--nice", type=int, default=0, help="change of priority; below zero needs privileges")
    parser.add_argument("--commit", help="what to record where git cannot tell")
    parser.add_argument("--results", type=Path, help="file to add to (default: one for this machine)")
    options = parser.parse_args()
    if unknown := set(options.case) - set(CASES):
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    return options


def version_of(python: str) -> str:
    """Return an interpreter's version and build, as it words them."""
    program = "import sys; print(' '.join(sys.version.split()))"
    return subprocess.check_output([python, "-c", program], text=True).strip()


def main() -> None:
    options = arguments()
    cpu = options.cpu if options.cpu is not None else max(os.sched_getaffinity(0))
    if options.nice:
        os.nice(options.nice)
    facts = machine.describe()
    for python in options.python or [sys.executable]:
        environments = {name: Environment(python, name) for name in ("ours", "rivals")}
        for environment in environments.values():
            environment.make()
        version = version_of(environments["ours"].python)
        print(f"\nPython {version}\n{facts['cpu']}, processor {cpu}")
        everything = []
        for name in options.case or CASES:
            case = importlib.import_module(f"cases.{name}")
            launches = options.launches or case.LAUNCHES
            launches, rounds = (1, min(3, case.ROUNDS)) if options.quick else (launches, case.ROUNDS)
            found = list(measure(case, environments, cpu, launches, rounds))
            show.print_table(case.TITLE, found)
            everything += found
        if options.quick:
            continue
        head = {
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "commit": options.commit or machine.commit(TREE),
            "python": version,
            "machine": facts,
        }
        path = options.results or BENCH / "results" / f"{machine.slug(facts)}.jsonl"
        records.append(path, head, everything)
        print(f"\nadded to {path}")


if __name__ == "__main__":
    main()
