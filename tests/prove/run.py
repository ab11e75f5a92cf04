"""Proof on other people's code: CPython's own tests must come out the same when everything is rewritten.

Each test module runs in two processes, plain and with every function of the module and of the package it
tests rewritten, and the outcomes are compared test by test, texts of failures included. What differs is run
once more in both ways: a test that does not come out the same plain and plain, or rewritten and rewritten, is
reported as unsteady, a crash excepted. Ends with 0 if all differences are known ones (known.toml), and all
known ones still occur, at the latest when their modules are run once more.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import importlib.util
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import known
import nested
import outcomes
from catalogue import COUNT_CALLS, LEFT_OUT, LONG, MODULES

CHILD = Path(__file__).with_name("child.py")
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"

# way of running -> what child.py does with the functions, and whether with those made while the tests run as well
MODES = {
    "fast": ("fast", False),
    "slow": ("slow", False),
    "inner": ("fast", True),
    "wrap": ("wrap", False),
    "wrap-direct": ("wrap-direct", False),
    "passes": ("passes", False),
    "inject": ("inject", False),
    "trace": ("trace", False),
    "nothing": (None, False),  # plain against plain: shows which tests are unsteady by themselves
}

DEFAULT = ("fast", "slow", "inner", "wrap", "passes", "inject")
ADD_CALLS = {"inner", "wrap", "wrap-direct"}  # what stands in between is a function in Python


@dataclass
class Result:
    """One module in one way of running."""

    module: str
    mode: str
    verdict: str = ""
    tests: int = 0
    plain_seconds: float = 0.0
    rewritten_seconds: float = 0.0
    rewrite: dict | None = None
    differences: list[outcomes.Difference] = field(default_factory=list)
    known: list[outcomes.Difference] = field(default_factory=list)
    unsteady: list[outcomes.Difference] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return self.verdict in ("same", "known", "absent", "doctests only")


class Runner:
    """Runs modules, and ends its processes when told to stop."""

    def __init__(self, timeout: float, entries: list[known.Known]) -> None:
        self._timeout = timeout
        self._entries = entries
        self._processes: set[subprocess.Popen] = set()
        self._stopping = threading.Event()

    def stop(self) -> None:
        self._stopping.set()
        for process in list(self._processes):
            end_group(process)

    def prove(self, module: str, mode: str) -> Result:
        """Runs one module plain and rewritten, and compares."""
        result = Result(module, mode)
        if importlib.util.find_spec(f"test.{module}") is None:
            result.verdict = "absent"
            return result
        kind, inner = MODES[mode]
        with tempfile.TemporaryDirectory(prefix="prove-") as name:
            folder = Path(name)
            copy = None
            if inner:
                copy = folder / "copy"
                nested.make_copy(module, copy)
            plain = self._run(module, None, folder, copy)
            rewritten = self._run(module, kind, folder, copy)
            found = outcomes.differences(plain, rewritten)
            if found and not self._stopping.is_set():
                plain_again = self._run(module, None, folder, copy)
                rewritten_again = self._run(module, kind, folder, copy)
                found, result.unsteady = outcomes.judged((plain, rewritten), (plain_again, rewritten_again))
                if plain.ended or rewritten.ended:
                    plain, rewritten = plain_again, rewritten_again
        result.tests = plain.count
        result.plain_seconds, result.rewritten_seconds = plain.seconds, rewritten.seconds
        result.rewrite = rewritten.rewrite
        for each in found:
            is_known = any(entry.matches(each.test, each.detail, VERSION, mode) for entry in self._entries)
            (result.known if is_known else result.differences).append(each)
        result.verdict = self._verdict(result, plain, rewritten, kind)
        return result

    @staticmethod
    def _verdict(result: Result, plain: outcomes.Outcomes, rewritten: outcomes.Outcomes, kind: str | None) -> str:
        if result.differences:
            return "differs"
        if not plain.tests:
            return "no tests ran"  # nothing may pass by not running
        if any(test.startswith("unittest.loader._FailedTest") for test in plain.tests):
            return "does not load"
        facts = rewritten.rewrite
        skipped_whole = facts is None and plain.tests == rewritten.tests
        if kind and not skipped_whole and not (facts["runs"] or facts["inner"]):
            # What doctests define is inner functions: these modules count in that way only.
            return "doctests only" if facts["doctests_only"] else "nothing rewritten"
        return "known" if result.known else "same"

    def _run(self, module: str, kind: str | None, folder: Path, copy: Path | None) -> outcomes.Outcomes:
        """One process."""
        with tempfile.TemporaryDirectory(dir=folder) as name:
            scratch = Path(name, "cwd")
            scratch.mkdir()
            out, log = Path(name, "outcomes"), Path(name, "log")
            command = [sys.executable, str(CHILD), module, str(out)]
            command += ["--rewrite", kind] if kind else []
            command += ["--nested", str(copy)] if copy else []
            command += ["--packages", *MODULES.get(module, ()), "--left-out", *LEFT_OUT]
            settings = {key: value for key, value in os.environ.items() if not key.startswith(("RECOMPYLE", "PYTHON"))}
            settings |= {"PYTHONHASHSEED": "0", "PYTHON_COLORS": "0", "COLUMNS": "80", "TMPDIR": name}
            began = time.monotonic()
            with log.open("wb") as output:
                process = subprocess.Popen(
                    command,
                    cwd=scratch,
                    env=settings,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
                self._processes.add(process)
                try:
                    code = process.wait(self._timeout)
                    ended = "" if code == 0 else f"exit code {code}" if code > 0 else signal.Signals(-code).name
                except subprocess.TimeoutExpired:
                    ended = f"not done after {self._timeout:.0f} s"
                    process.send_signal(signal.SIGABRT)  # faulthandler shows where it hangs
                    process.wait()
                finally:
                    self._processes.discard(process)
                    end_group(process)
            return outcomes.read(out, ended, time.monotonic() - began, tail(log))


def end_group(process: subprocess.Popen) -> None:
    """Ends a process and whatever its tests have started and left behind."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def tail(log: Path) -> str:
    """The end of what a process printed."""
    return "\n".join(log.read_text(errors="backslashreplace").splitlines()[-40:])


def stale(entries: list[known.Known], results: list[Result]) -> list[known.Known]:
    """Known differences that did not occur although their module ran."""
    missing = []
    for entry in entries:
        ran = [each for each in results if each.module == entry.module and entry.concerns(VERSION, each.mode)]
        ran = [each for each in ran if each.verdict != "absent" and each.mode != "nothing"]
        seen = any(
            entry.matches(difference.test, difference.detail, VERSION, each.mode)
            for each in ran
            for difference in (*each.known, *each.unsteady)
        )
        if ran and not seen:
            missing.append(entry)
    return missing


ROW = "{:25} {:11} {:>6} {:>9} {:>7} {:>9} {:>7} {:>7}  {}"
HEAD = ROW.format("module", "way", "tests", "functions", "refused", "runs", "plain s", "rewr. s", "verdict")


def line(result: Result) -> str:
    """One row of the table."""
    facts = result.rewrite or {}
    functions = facts.get("rewritten", 0) + facts.get("inner", 0)
    refused = sum(facts.get("refused", {}).values()) + facts.get("inner_refused", 0)
    seconds = (f"{each:.1f}" for each in (result.plain_seconds, result.rewritten_seconds))
    runs = facts.get("runs", 0)
    row = ROW.format(result.module, result.mode, result.tests, functions, refused, runs, *seconds, result.verdict)
    notes = [
        f"{len(group)} {word}"
        for group, word in (
            (result.differences, "differ"),
            (result.known, "known"),
            (result.unsteady, "unsteady"),
        )
        if group
    ]
    return row + (f" ({', '.join(notes)})" if notes else "")


def show(result: Result) -> None:
    """The differences in full."""
    for group, word in ((result.differences, "DIFFERS"), (result.unsteady, "unsteady")):
        for each in group:
            print(f"\n{word}: {each.test} [{result.mode}]: plain {each.plain}, rewritten {each.rewritten}")
            if each.detail and word == "DIFFERS":
                print("    " + each.detail[-3000:].replace("\n", "\n    "))


def plan(modules: list[str], modes: list[str], short: bool) -> list[tuple[str, str]]:
    """What is run: modules and ways, those that take longest first.

    Args:
        modules: names of test modules; empty for all.
        modes: the ways of running.
        short: without those that take minutes.
    """
    tasks = []
    for mode in modes:
        left_out = COUNT_CALLS if mode in ADD_CALLS else set()
        if not modules and (short or mode != modes[0]):
            left_out = left_out | LONG
        tasks += [(module, mode) for module in modules or MODULES if module not in left_out]
    return sorted(tasks, key=lambda task: task[0] not in LONG)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", help="test modules, such as test_json; default: all of catalogue.py")
    parser.add_argument(
        "--mode",
        action="append",
        choices=MODES,
        help="fast: profiled, no run is slow; slow: every run is, and makes a report; inner: as fast, with inner "
        "functions; wrap: each call goes through a wrapper, which tracebacks hide; wrap-direct: which they show, "
        "so that tests of tracebacks differ; passes: the other ready passes, all at once; inject: edits of the "
        "compiled code at entries, returns, yields, resumes, throws and for what unwinds; trace: each statement is "
        "counted; nothing: plain twice. "
        f"Default: {', '.join(DEFAULT)}",
    )
    parser.add_argument("--short", action="store_true", help="without the modules that take minutes")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="modules at a time")
    parser.add_argument("--timeout", type=float, default=900, help="seconds for one run of one module")
    parser.add_argument("--report", type=Path, help="JSON file for the results")
    options = parser.parse_args()

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # to be ended is as Ctrl-C: nothing is left running
    entries = known.load()
    runner = Runner(options.timeout, entries)
    tasks = plan(options.modules, options.mode or DEFAULT, options.short)
    results: list[Result] = []
    interrupted = False
    print(f"CPython {platform.python_version()}, {len(tasks)} tasks\n{HEAD}", flush=True)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        try:
            pending = [pool.submit(runner.prove, *task) for task in tasks]
            for done in concurrent.futures.as_completed(pending):
                results.append(done.result())
                print(line(results[-1]), flush=True)
        except KeyboardInterrupt:
            interrupted = True
            for each in pending:
                each.cancel()
            runner.stop()

    results.sort(key=lambda each: tasks.index((each.module, each.mode)))
    for result in results:
        show(result)
    print(f"\nCPython {platform.python_version()}\n{HEAD}")
    for result in results:
        print(line(result))
    reasons: dict[str, int] = {}
    for result in results:
        for reason, count in (result.rewrite or {}).get("refused", {}).items():
            reasons[reason] = reasons.get(reason, 0) + count
    for reason, count in sorted(reasons.items(), key=lambda item: -item[1]):
        print(f"refused {count:6}  {reason}")
    gone = stale(entries, results)
    if gone and not interrupted:
        modules = {entry.module for entry in gone}
        gone, before = stale(gone, [runner.prove(*task) for task in tasks if task[0] in modules]), gone
        for entry in before:
            if entry not in gone:
                print(f"unsteady: {entry.test}: the known difference was seen the second time only")
    for entry in gone:
        print(f"no longer differs, take it out of known.toml: {entry.test}")
    if options.report:
        options.report.parent.mkdir(parents=True, exist_ok=True)
        facts = {
            "python": platform.python_version(),
            "platform": platform.platform(),
            "results": [asdict(result) for result in results],
            "no longer differ": [entry.test for entry in gone],
        }
        options.report.write_text(json.dumps(facts, indent=1))
    tests = sum(result.tests for result in results)
    bad = sum(not result.good for result in results)
    print(f"\n{tests} tests compared in {len(results)} runs: {bad} not as they should be"
          f"{', interrupted' if interrupted else ''}")  # fmt: skip
    if interrupted:
        return 130
    return 1 if bad or gone else 0


if __name__ == "__main__":
    sys.exit(main())
