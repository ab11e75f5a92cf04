"""The runner's own parts: what counts as a difference, what is known, and how inner functions are reached."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def _part(name: str):
    """A module of this folder, which is no package."""
    spec = importlib.util.spec_from_file_location(f"prove_{name}", HERE / f"{name}.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


known, nested, outcomes = _part("known"), _part("nested"), _part("outcomes")


def _run(*tests: tuple[str, str, str], ended: str = "", started: str | None = None) -> object:
    run = outcomes.Outcomes(ended=ended, last_started=started)
    for test, outcome, detail in tests:
        run.tests.setdefault(test, []).append((outcome, outcomes.steady(detail)))
    return run


def test_equal_runs_do_not_differ():
    first = _run(("a", "passed", ""), ("b", "failed", "at 0x7f01 in /tmp/x1/file.py after 0.1234 s, port 45123"))
    second = _run(("a", "passed", ""), ("b", "failed", "at 0x7f22 in /tmp/y2/file.py after 0.5678 s, port 50001"))
    assert outcomes.differences(first, second) == []


def test_a_line_number_counts():
    first = _run(("a", "failed", 'File "x.py", line 1012'))
    second = _run(("a", "failed", 'File "x.py", line 1013'))
    assert [each.test for each in outcomes.differences(first, second)] == ["a"]


def test_a_test_that_ran_in_one_run_only_is_a_difference():
    first, second = _run(("a", "passed", ""), ("b", "passed", "")), _run(("a", "passed", ""))
    (found,) = outcomes.differences(first, second)
    assert (found.test, found.plain, found.rewritten) == ("b", "passed", "not run")
    (found,) = outcomes.differences(second, first)
    assert (found.plain, found.rewritten) == ("not run", "passed")


def test_a_test_that_ran_less_often_is_a_difference():
    first, second = _run(("a", "passed", ""), ("a", "passed", "")), _run(("a", "passed", ""))
    (found,) = outcomes.differences(first, second)
    assert (found.plain, found.rewritten) == ("passed 2 times", "passed")


def test_a_crash_is_one_difference_and_names_its_test():
    first = _run(("a", "passed", ""), ("b", "passed", ""), ("c", "passed", ""))
    second = _run(("a", "passed", ""), ended="SIGSEGV", started="b")
    (found,) = outcomes.differences(first, second)
    assert (found.test, found.rewritten) == ("(process)", "SIGSEGV")
    assert "in b; 2 tests were not run" in found.detail


STEADY = _run(("a", "passed", ""), ("b", "passed", ""))
A_FAILS = _run(("a", "failed", ""), ("b", "passed", ""))


@pytest.mark.parametrize(
    ("first", "again", "steady", "unsteady"),
    [
        ((STEADY, A_FAILS), (STEADY, A_FAILS), ["a"], []),
        ((STEADY, A_FAILS), (STEADY, STEADY), [], ["a"]),
        ((STEADY, A_FAILS), (A_FAILS, A_FAILS), [], ["a"]),
        ((A_FAILS, STEADY), (STEADY, STEADY), [], ["a"]),
    ],
)
def test_what_differs_is_judged_by_a_second_run(first, again, steady, unsteady):
    assert [[each.test for each in group] for group in outcomes.judged(first, again)] == [steady, unsteady]


def test_a_crash_of_the_rewritten_run_is_no_bad_luck():
    crashed = _run(("a", "passed", ""), ended="SIGSEGV", started="b")
    late = _run(("a", "passed", ""), ended="not done after 900 s", started="b")
    for pairs in (((STEADY, crashed), (STEADY, STEADY)), ((STEADY, A_FAILS), (STEADY, crashed))):
        steady, unsteady = outcomes.judged(*pairs)
        assert [(each.test, each.rewritten) for each in steady] == [("(process)", "SIGSEGV")]
        assert "(process)" not in {each.test for each in unsteady}
    steady, (unsteady,) = outcomes.judged((STEADY, late), (STEADY, STEADY))
    assert (steady, unsteady.test) == ([], "(process)")


def test_tests_that_a_plain_run_did_not_reach_are_compared_in_the_second():
    late = _run(ended="not done after 900 s", started="a")
    steady, unsteady = outcomes.judged((late, STEADY), (STEADY, A_FAILS))
    assert [each.test for each in unsteady] == ["(process)", "a"]
    steady, unsteady = outcomes.judged((late, A_FAILS), (STEADY, A_FAILS))
    assert ([each.test for each in steady], [each.test for each in unsteady]) == (["a"], ["(process)"])


def test_a_file_cut_off_in_a_line_is_read_up_to_there(tmp_path):
    file = tmp_path / "outcomes"
    file.write_text('{"started": "a"}\n{"test": "a", "outcome": "passed", "detail": ""}\n{"started": "b"}\n{"tes')
    run = outcomes.read(file, "", 1.0, "")
    assert run.tests == {"a": [("passed", "")]}
    assert (run.last_started, run.ended) == ("b", "stopped early, exit code 0")


INNER = """
import functools

def outer(items):
    @functools.cache
    def deco(x=(lambda: 1)): return x
    class Local:
        async def method(self): return [lambda y: y for _ in items]
    return f"{(lambda z: z)(1)}", lambda a: (lambda b: a + b)

top = lambda: outer
"""


def test_every_inner_function_is_handed_over():
    namespace: dict = {}
    handed = []

    def hand_over(function):
        handed.append(function.__qualname__.rpartition("<locals>.")[2])
        return function

    namespace["__inner__"] = hand_over
    exec(nested.decorated(INNER.encode()), namespace)
    text, add = namespace["outer"]([1])
    assert text == "1"
    assert add(1)(2) == 3
    assert sorted(handed) == ["<lambda>", "<lambda>", "<lambda>", "Local.method", "deco"]


def test_functions_of_doctests_are_handed_over():
    source = b'"""\n    >>> def f():\n    ...     pass\n    >>> class C:\n    ...     def m(self): pass\n"""\n'
    assert nested.decorated(source).count(b"@__inner__") == 2


def test_known_differences_are_well_formed():
    entries = known.load()
    assert len({(entry.test, entry.versions, entry.modes) for entry in entries}) == len(entries)


@pytest.mark.parametrize("text", ['test = "test.test_x.A.b"\ncause = " "', 'test = "A.b"\ncause = "why"'])
def test_a_known_difference_without_cause_or_module_is_refused(tmp_path, text):
    file = tmp_path / "known.toml"
    file.write_text(f'[[difference]]\nsays = "x"\n{text}\n')
    with pytest.raises(ValueError, match="needs a cause"):
        known.load(file)


def test_known_differences_apply_to_their_versions_and_ways(tmp_path):
    entry = known.Known("test.test_x.A.*", "why", "<End", versions=("3.12",), modes=("slow",))
    assert entry.matches("test.test_x.A.b", "an <End end_0>", "3.12", "slow")
    assert not entry.matches("test.test_x.A.b", "something else", "3.12", "slow")
    assert not entry.matches("test.test_x.A.b", "<End", "3.13", "slow")
    assert not entry.matches("test.test_x.A.b", "<End", "3.12", "fast")
    assert not entry.matches("test.test_y.A.b", "<End", "3.12", "slow")


def test_the_documentation_has_the_table_of_known_differences():
    page = HERE.parents[1] / "docs" / "explanation" / "limits.md"
    assert known.table(known.load()) in page.read_text(encoding="utf-8"), (
        "put the output of `python tests/prove/known.py` into docs/explanation/limits.md"
    )


@pytest.mark.skipif(
    importlib.util.find_spec("test.test_textwrap") is None, reason="CPython's own tests are not installed"
)
@pytest.mark.parametrize("mode", ["fast", "slow", "inner", "wrap", "wrap-direct", "passes", "trace"])
def test_a_module_comes_out_the_same(tmp_path, mode):
    report = tmp_path / "report.json"
    command = [
        sys.executable,
        "-P",
        str(HERE / "run.py"),
        "test_textwrap",
        "--mode",
        mode,
        "--report",
        str(report),
    ]
    subprocess.run(command, check=True, timeout=300, stdout=subprocess.DEVNULL)
    (result,) = json.loads(report.read_text())["results"]
    assert result["verdict"] == "same"
    assert result["tests"] > 60
    assert result["rewrite"]["rewritten"] > 70
    assert result["rewrite"]["runs"] > 1000
    assert (result["rewrite"]["reports"] > 0) == (mode == "slow")


def _prove_code(*folders: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", str(HERE / "code_objects.py"), "--jobs", "1", *map(str, folders)]
    return subprocess.run(command, timeout=300, capture_output=True, text=True, check=False)


def test_code_objects_take_every_probe_or_are_named(tmp_path):
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.mkdir()
    bad.mkdir()
    (good / "textwrap.py").write_bytes(Path(textwrap.__file__).read_bytes())
    (bad / "protected.py").write_text("__pyarmor__ = 1\ndef f(): return 2\n")
    done = _prove_code(good)
    assert (done.returncode, done.stderr) == (0, "")
    name, files, codes, _, refused, wrong, _ = done.stdout.splitlines()[-1].split()
    assert (name, files, refused, wrong) == ("good", "1", "0", "0") and int(codes) > 10
    done = _prove_code(good, bad)
    assert done.returncode == 1
    assert "refused      1  protected: <code object <module>" in done.stdout


def test_a_fault_of_the_writer_is_shown(monkeypatch):
    code_objects = _part("code_objects")
    write = code_objects.written.inject.write
    monkeypatch.setattr(code_objects.written.inject, "write", lambda code, edits: write(code, edits[:-1]))
    assert code_objects.prove(Path(textwrap.__file__)).wrong
