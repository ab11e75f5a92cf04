"""Runs one test module, plain or with its functions rewritten, and writes what happened to each test.

Started by run.py, one process for each module and way of running. The outcome file is JSON, one object a
line, written as it goes, so that a crash shows which test it came from.
"""

from __future__ import annotations

import argparse
import collections
import doctest
import faulthandler
import gc
import importlib.util
import json
import os
import random
import sys
import time
import types
import unittest
from collections.abc import Container

ABOVE = 0  # limits in seconds: every run is slow ...
NEVER = -1  # ... or none is
TRACED = 1000  # calls that are recorded, in the way "trace"


class Rewrite:
    """What the functions get, and how often it was reached.

    Args:
        kind: one of `KINDS`.
    """

    KINDS = ("fast", "slow", "wrap", "wrap-direct", "passes", "inject", "trace")

    def __init__(self, kind: str) -> None:
        import recompyle
        from recompyle.trace.passes import TraceStatements
        from recompyle.trace.probes import Tracer

        self._recompyle = recompyle
        self._tracer = None
        self._counter = counter = recompyle.Counter()
        self.reports = 0
        recompyle.profile.configure(sinks=[self])

        def wrapper(call, extras, /, *args, **kwargs):
            counter.count += 1
            return call(*args, **kwargs)

        if kind.startswith("wrap"):
            self._passes = [recompyle.WrapCalls(wrapper, hide_wrapper=kind == "wrap")]
        elif kind == "inject":
            sites = ("entry", "return", "yield", "resume", "unwind", "throw")
            self._passes = [recompyle.inject.Edit(site, counter, force=True, include_implicit=True) for site in sites]
        elif kind == "passes":
            marks = recompyle.Statements, recompyle.Expressions, recompyle.Assignments, recompyle.Loops
            self._passes = [recompyle.Calls(recompyle.Clock), recompyle.EntryExit(counter, counter, counter)]
            self._passes += [each(counter) for each in (recompyle.Calls, *marks, recompyle.Handlers)]
        elif kind == "trace":  # without samples, as the tests see when `repr` is called
            self._tracer = Tracer(TRACED, 0, 0, None)
            self._passes = [TraceStatements(self._tracer)]
        else:
            self._passes = [recompyle.ProfileCalls(ABOVE if kind == "slow" else NEVER, on_error="raise")]

    def apply(self, found: list[types.FunctionType]) -> dict:
        """Rewrites the functions; how many, and why others were refused."""
        refused = collections.Counter()
        examples: dict[str, str] = {}
        done = 0
        for function in found:
            try:
                self._recompyle.apply(function, *self._passes)
                done += 1
            except (self._recompyle.RecompyleError, ValueError, TypeError) as error:
                reason = getattr(error, "slug", None) or f"{type(error).__name__}: {error}"
                refused[reason] += 1
                examples.setdefault(reason, f"{function.__module__}:{function.__qualname__}: {error}")
        return {"found": len(found), "rewritten": done, "refused": dict(refused), "examples": examples}

    def undo(self) -> int:
        """Takes it off again; how many functions have their own code back."""
        return self._recompyle.restore()

    def emit(self, report) -> None:
        """Takes a report of the profiler, and only counts it."""
        self.reports += 1

    @property
    def runs(self) -> int:
        """How often a profiled function ran, or a call was wrapped, or another probe reached."""
        if self._tracer is not None:
            return self._tracer.calls
        return self._counter.count + sum(row.runs for row in self._recompyle.profile.stats())


class Outcomes(unittest.TestResult):
    """Writes each outcome as a line: the test's id, what became of it, and the text that goes with it."""

    def __init__(self, out) -> None:
        super().__init__()
        self._out = out
        self._silent = False  # the running test has no outcome of its own yet
        self.doctests_only = True

    def say(self, **fact) -> None:
        self._out.write(json.dumps(fact) + "\n")
        self._out.flush()

    def _outcome(self, test, outcome: str, detail: str = "") -> None:
        self._silent = False
        self.say(test=test.id(), outcome=outcome, detail=detail)

    def startTest(self, test) -> None:
        super().startTest(test)
        self.say(started=test.id())
        self.doctests_only = self.doctests_only and isinstance(test, doctest.DocTestCase)
        self._silent = True

    def stopTest(self, test) -> None:
        super().stopTest(test)
        if self._silent:
            self._outcome(test, "failed in subtests")

    def addSuccess(self, test) -> None:
        self._outcome(test, "passed")

    def addFailure(self, test, err) -> None:
        super().addFailure(test, err)
        self._outcome(test, "failed", self.failures[-1][1])

    def addError(self, test, err) -> None:
        super().addError(test, err)
        self._outcome(test, "error", self.errors[-1][1])

    def addSkip(self, test, reason) -> None:
        self._outcome(test, "skipped", reason)

    def addExpectedFailure(self, test, err) -> None:
        self._outcome(test, "expected failure", self._exc_info_to_string(err, test))

    def addUnexpectedSuccess(self, test) -> None:
        self._outcome(test, "unexpected success")

    def addSubTest(self, test, subtest, err) -> None:
        if err is not None:
            kind = "failed" if issubclass(err[0], test.failureException) else "error"
            self.say(test=subtest.id(), outcome=kind, detail=self._exc_info_to_string(err, test))


def load(name: str, nested: str | None, left_out: Container[str]) -> unittest.TestSuite:
    """Imports the test module and gathers its tests.

    The tests are made here, before anything is rewritten, since making them imports further test modules.
    """
    support = importlib.import_module("test.support")
    support.use_resources = []  # as `python -m test` has it: no network, no long or loud tests
    if nested:
        importlib.import_module("test").__path__.insert(0, os.path.join(nested, "test"))

        def load_package_tests(folder, loader, standard_tests, pattern):
            standard_tests.addTests(loader.discover(folder, pattern or "test*", top_level_dir=nested))
            return standard_tests

        support.load_package_tests = load_package_tests  # the original takes the library's folder for the top
    module = importlib.import_module(f"test.{name}")
    return without(unittest.defaultTestLoader.loadTestsFromModule(module), left_out)


def without(suite: unittest.TestSuite, left_out: Container[str]) -> unittest.TestSuite:
    """The suite without the tests of these ids."""
    kept = [
        without(each, left_out) if isinstance(each, unittest.TestSuite) else each
        for each in suite
        if not (isinstance(each, unittest.TestCase) and each.id() in left_out)
    ]
    return type(suite)(kept)


def functions(test_module: str, packages: list[str]) -> list[types.FunctionType]:
    """Every living function whose code comes from a file of the test module or of the packages.

    The collector knows all functions, whatever holds them: classes, descriptors, decorators, closures, and
    copies of a module that `import_fresh_module` has made.
    """
    files = set()
    wanted = [f"test.{test_module}", *packages]
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and any(name == package or name.startswith(package + ".") for package in wanted):
            files.add(file)
    for name in packages:  # the pure-Python twin may have been imported and taken out of sys.modules again
        spec = importlib.util.find_spec(name)
        if spec and spec.origin:
            files.add(spec.origin)
    return [
        found for found in gc.get_objects() if type(found) is types.FunctionType and found.__code__.co_filename in files
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("module")
    parser.add_argument("out", help="file for the outcomes")
    parser.add_argument("--rewrite", choices=Rewrite.KINDS, help="default: nothing is rewritten")
    parser.add_argument("--packages", nargs="*", default=[])
    parser.add_argument("--left-out", nargs="*", default=[], help="ids of tests that are not run")
    parser.add_argument("--nested", help="folder with the copy in which inner functions call __inner__")
    options = parser.parse_args()

    faulthandler.enable()
    sys.path[0] = os.getcwd()
    sys.argv[1:] = []
    random.seed(1)

    with open(options.out, "w", encoding="utf-8", errors="backslashreplace") as out:
        outcomes = Outcomes(out)
        inner = Inner()
        if options.nested:
            import builtins

            builtins.__inner__ = inner
        try:
            suite = load(options.module, options.nested, options.left_out)
        except unittest.SkipTest as skip:
            outcomes.say(test=options.module, outcome="skipped", detail=str(skip))
            outcomes.say(finished=True, rewrite=None)
            return
        facts = None
        if options.rewrite:
            rewrite = Rewrite(options.rewrite)
            began = time.perf_counter()
            facts = rewrite.apply(functions(options.module, options.packages))
            facts["seconds"] = time.perf_counter() - began
            outcomes.say(rewrite=facts)
            inner.rewrite = rewrite
        gc.collect()
        gc.freeze()  # some tests ask for hundreds of collections, slow ones with thousands of probes
        suite.run(outcomes)
        inner.rewrite = None
        if facts is not None:
            facts["reports"] = rewrite.reports
            facts["inner"] = inner.done
            facts["inner_refused"] = inner.refused
            facts["runs"] = rewrite.runs
            facts["doctests_only"] = outcomes.doctests_only
            facts["restored"] = rewrite.undo()
        outcomes.say(finished=True, rewrite=facts)


class Inner:
    """Rewrites the functions that are made while the tests run; hands them back untouched while there is no rewrite."""

    def __init__(self) -> None:
        self.rewrite: Rewrite | None = None
        self.done = self.refused = 0

    def __call__(self, function):
        if self.rewrite:
            made = self.rewrite.apply([function])
            self.done += made["rewritten"]
            self.refused += 1 - made["rewritten"]
        return function


if __name__ == "__main__":
    main()
