"""The demo as a real process: every criterion of live instrumentation, driven over its standard input."""

import ast
import itertools
import json
import os
import queue
import random
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from recompyle import Unreachable
from recompyle.live import demo
from recompyle.live.demo import instrumenting_app
from recompyle.live.demo.instrumenting_app.registry import REGISTRY

WAIT = 60  # seconds; ends a hang only
MODULES = "instrumenting_app.dummy_modules"
FUNC_7 = f"{MODULES}.mod_a:func_7"
DUMMIES = Path(instrumenting_app.__file__).parent / "dummy_modules"
ROW = re.compile(r"^(\S) (\S+)\s+([\d,]+|-)\s+([\d,]+)(\s|$)")


class Demo:
    """A running demo; what it writes is read by a thread."""

    def __init__(self, *options):
        command = [sys.executable, "-m", "recompyle", "live", "demo", *options]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONIOENCODING": "utf-8", "COLUMNS": "200"},
        )
        self.pids = set()
        self._lines = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def type(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def until(self, wanted):
        """The lines up to the first for which `wanted(line)` is true, that one last."""
        seen = []
        while not seen or not wanted(seen[-1]):
            line = self._lines.get(timeout=WAIT)
            assert line is not None, (seen[-10:], self.process.stderr.read())
            seen.append(line)
        return seen

    def table(self, wanted=lambda rows: True):
        """Rows of a whole table, asked for until it is as wanted: path to state, calls and hits."""
        while True:
            self.type("list")
            self.pids.add(self.until(lambda line: line.startswith("pid "))[-1].split()[1])
            rows = {}
            # The table is sorted by name, so the registry's own lambdas come last.
            for line in self.until(lambda line: f"{MODULES}.mod_d:upload" in line):
                if found := ROW.match(line):
                    state, path, calls, hits, _ = found.groups()
                    rows[path] = (
                        state,
                        None if calls == "-" else int(calls.replace(",", "")),
                        int(hits.replace(",", "")),
                    )
            # Tables of changed rows come in between; nothing ever changes in the row of a decorator.
            if f"{MODULES}.mod_d:logged" in rows and wanted(rows):
                return rows

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(WAIT)
        self._reader.join(WAIT)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()


@pytest.fixture
def start():
    running = []

    def start_demo(*options):
        running.append(Demo("--plain", *options))
        return running[-1]

    yield start_demo
    for each in running:
        each.end()


def test_the_example_of_the_seed(start):
    """Type the path of func_7: it is confirmed, its count rises, and no other function is touched."""
    demo = start("--sleep", "0.0001")
    before = demo.table(lambda rows: rows[FUNC_7][1] > 0)
    assert all(hits == 0 for _, _, hits in before.values())
    demo.type(FUNC_7)
    demo.until(lambda line: line.startswith(f"patched {FUNC_7} (counter); "))
    first = demo.table(lambda rows: rows[FUNC_7][2] > 0)
    second = demo.table(lambda rows: rows[FUNC_7][2] > first[FUNC_7][2] + 2)
    assert second[FUNC_7][0] == "●"
    assert [path for path, row in second.items() if row[2]] == [FUNC_7]
    assert second[f"{MODULES}.mod_b:func_7"][0] == "·"
    # Calls since the patch are hits: one thread calls, so none was in flight between two tables.
    assert second[FUNC_7][1] - first[FUNC_7][1] == second[FUNC_7][2] - first[FUNC_7][2]
    demo.type("quit")
    assert demo.process.wait(WAIT) == 0


def test_call_counts_are_live_and_correct(start):
    """With the same seed the program makes the same calls, so every count can be foretold."""
    demo = start("--seed", "7", "--sleep", "0.0001")
    one = demo.table(lambda rows: sum(row[1] or 0 for row in rows.values()) > 500)
    two = demo.table(lambda rows: rows[FUNC_7][1] > one[FUNC_7][1])
    for rows in (one, two):
        shown = {path: calls for path, (_, calls, _) in rows.items() if calls is not None}
        assert shown in foretold(7, shown)


def foretold(seed, shown):
    """The counts of some paths after each call, for as long as there may have been so many calls."""
    choice, counts = random.Random(seed).choice, dict.fromkeys(shown, 0)
    paths = [path for path, _ in REGISTRY]
    while sum(counts.values()) <= sum(shown.values()):
        yield counts
        path = choice(paths).removeprefix("recompyle.live.demo.")
        if path in counts:
            counts[path] += 1


def test_every_kind_of_callable_is_counted(start):
    paths = [
        f"{MODULES}.mod_c:Cart.add",
        f"{MODULES}.mod_c:Cart.from_session",
        f"{MODULES}.mod_c:Cart.tax",
        f"{MODULES}.mod_d:numbers",
        f"{MODULES}.mod_d:fetch",
        f"{MODULES}.mod_d:ticks",
        f"{MODULES}.mod_d:Account.balance",
        f"{MODULES}.mod_d:Account.balance.setter",
        f"{MODULES}.mod_d:exchange_rate",
        f"{MODULES}.mod_d:transfer",
        f"{MODULES}.mod_d:describe[int]",
        f"{MODULES}.mod_d:greeter.<locals>.greet",
        f"{MODULES}.mod_d:Account.__call__",
    ]
    demo = start("--sleep", "0")
    for number, path in enumerate(paths):
        demo.type(f"hook {path}" if number % 2 else path)
    for path in paths:
        demo.until(lambda line, path=path: line.startswith(f"patched {path} ("))
    first = demo.table(lambda rows: all(rows[path][2] > 0 for path in paths))
    second = demo.table(lambda rows: all(rows[path][2] > first[path][2] for path in paths))
    for path in paths:
        assert second[path][1] - first[path][1] == second[path][2] - first[path][2], path
    demo.type("restore all")
    demo.until(lambda line: line == f"restored {len(paths)} functions")
    third = demo.table()
    fourth = demo.table(lambda rows: all(rows[path][1] > third[path][1] for path in paths))
    assert [fourth[path][2] for path in paths] == [third[path][2] for path in paths]
    assert all(fourth[path][0] == "·" for path in paths)


def test_the_program_is_neither_restarted_nor_stopped(start):
    """While every function is instrumented and restored, it is one process, and each count only rises."""
    demo = start("--sleep", "0.0001")
    tables = [demo.table()]
    paths = [path for path, (_, calls, _) in tables[0].items() if calls is not None]
    for order, answer in (("", "patched"), ("hook ", "patched"), ("restore ", "restored")):
        for path in paths:
            demo.type(f"{order}{path}")
        for path in paths:
            demo.until(lambda line, wanted=f"{answer} {path}": f"{line} ".startswith(f"{wanted} "))
        tables.append(demo.table(lambda rows: all(rows[path][1] > tables[-1][path][1] for path in paths)))
    assert demo.pids == {str(demo.process.pid)}
    for earlier, later in itertools.pairwise(tables):
        assert all(later[path][1] >= earlier[path][1] and later[path][2] >= earlier[path][2] for path in paths)
    assert all(tables[-1][path][0] == "·" for path in paths)


def test_the_cost_is_shown(start):
    demo = start("--sleep", "0")
    demo.type(FUNC_7)
    demo.until(lambda line: re.match(rf"● {FUNC_7} .* \d+\.\d\d%", line))


THREADS = f"""
import io, sys, threading, time
from recompyle import live
from recompyle.live import demo

seen = {{}}

def see(what):
    seen[what] = threading.current_thread().name

def lines():
    see("reads lines")
    yield "hook {FUNC_7}"
    while len(seen) < 4:
        time.sleep(0.001)
    yield "quit"

class Out(io.StringIO):
    def write(self, text):
        see("writes the table")
        return super().write(text)

sys.addaudithook(lambda event, given: event == "recompyle.live.instrument" and see("instruments"))
live.set_hook(lambda path: see("runs the program"))
demo.run(demo.Options(sleep=0), lines(), Out())
print(seen)
"""


def test_each_thread_has_its_part():
    """The main one runs program and table, one reads, and the worker instruments."""
    command = [sys.executable, "-c", THREADS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT, check=True)
    assert ast.literal_eval(done.stdout) == {
        "reads lines": "recompyle live input",
        "writes the table": "MainThread",
        "instruments": "recompyle live",
        "runs the program": "MainThread",
    }


def test_mistakes_do_no_harm(start):
    demo = start()
    for typed, said in {
        f"{MODULES}.mod_a:func_77": r"error: refused \(not_found\): .*did you mean .*func_7",
        "nonsense": r"error: failed: expected module:name",
        "Cart.add": rf"error: failed: expected module:name, .*; did you mean {MODULES}\.mod_c:Cart\.add\?",
        "math:sin": r"error: refused \(not_python\)",
        "not_there.yet:f": r"pending not_there.yet:f",
        "restore json:loads": r"error: refused \(not_found\): json:loads is not instrumented",
        "a b c d": r"error: type a path",
        "": None,
        "recompyle.live.demo.instrumenting_app.dummy_modules.mod_a:func_3": rf"patched {MODULES}.mod_a:func_3 ",
    }.items():
        demo.type(typed)
        if said:
            demo.until(lambda line, said=said: re.match(said, line))
    demo.type("quit")
    assert demo.process.wait(WAIT) == 0
    assert demo.process.stderr.read() == ""


def test_the_end_of_the_input_does_not_end_the_program(start):
    demo = start("--sleep", "0")
    demo.type(FUNC_7)
    demo.process.stdin.close()
    demo.until(lambda line: line.startswith(f"patched {FUNC_7}"))
    # Two more tables, of changed rows, come by themselves.
    for _ in range(2):
        demo.until(lambda line: line.startswith(f"● {FUNC_7} "))
    assert demo.process.poll() is None


def run(*options, **more):
    command = [sys.executable, "-m", "recompyle", "live", "demo", *options]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=WAIT, stdin=subprocess.DEVNULL, check=False, **more
    )


def test_once_and_json():
    done = run("--json", "--once", "--seed", "1", "--sleep", "0", "--duration", "0.2")
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = done.stdout.splitlines()
    found = json.loads(line)
    assert len(found["rows"]) >= 100
    assert all(row["calls"] > 0 for row in found["rows"] if ":func_" in row["path"])
    assert found["totals"] == {"on": 0, "pending": 0, "refused": 0, "hits": 0}
    done = run("--once", "--duration", "0.2")
    assert done.stdout.count(f" {FUNC_7} ") == done.stdout.count("pid ") == 1
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("split", [[], ["--split"]], ids=["one process", "two processes"])
def test_all_modules(split):
    done = run("--all-modules", "--json", "--once", *split)
    paths = {row["path"] for row in json.loads(done.stdout)["rows"]}
    assert {FUNC_7, "random:Random.choice"} <= paths
    done = run("--json", "--once", *split)
    paths = {row["path"] for row in json.loads(done.stdout)["rows"]}
    assert {path.partition(":")[0].partition(".")[0] for path in paths} == {"instrumenting_app"}


@pytest.mark.parametrize("split", [[], ["--split", "--no-cap"]], ids=["one process", "two processes"])
@pytest.mark.parametrize(("options", "state"), [([], "pending"), (["--allow-import"], "patched")])
def test_imports_have_to_be_allowed(start, split, options, state):
    demo = start(*options, *split)
    demo.type("wave:open")
    demo.until(lambda line: line.startswith(f"{state} "))


def test_duration_ends_it():
    done = run("--duration", "0.1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("options", [["--sleep", "-1"], ["--hz", "3"], ["--nothing"], ["--seed", "x"]])
def test_mistakes_in_the_command_line(options):
    done = run(*options)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr


def test_interrupt(start):
    demo = start()
    demo.until(lambda line: line.startswith("pid "))
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(WAIT) == 130
    assert demo.process.stderr.read() == ""


def test_ctrl_c_at_a_terminal_is_for_the_screen_only():
    """It goes to all processes of the terminal's group; the program of a split demo is not one of them."""
    with subprocess.Popen(
        [sys.executable, "-m", "recompyle", "live", "demo", "--split", "--plain"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout.readline().startswith("pid ")
            os.killpg(process.pid, signal.SIGINT)
            assert process.communicate(timeout=WAIT)[1] == ""
            assert process.returncode == 130
        finally:
            process.kill()


def test_the_two_modules_of_equal_text():
    assert Path(DUMMIES, "mod_a.py").read_bytes() == Path(DUMMIES, "mod_b.py").read_bytes()


def test_functions_and_classes():
    """Twenty functions in each of two modules; ten classes with all kinds of methods, of which one inherits."""
    modules = {name: ast.parse(Path(DUMMIES, f"{name}.py").read_text(encoding="utf-8")) for name in ("mod_a", "mod_c")}
    functions = [each.name for each in modules["mod_a"].body if isinstance(each, ast.FunctionDef)]
    assert functions == [f"func_{number}" for number in range(20)]
    classes = [each for each in modules["mod_c"].body if isinstance(each, ast.ClassDef)]
    assert len(classes) == 10
    for each in classes:
        decorators = [",".join(map(ast.unparse, method.decorator_list)) for method in each.body]
        assert decorators == ["", "", "classmethod", "staticmethod"]
    assert [",".join(map(ast.unparse, each.bases)) for each in classes if each.bases] == ["Order"]


@pytest.mark.parametrize("file", sorted(DUMMIES.glob("mod_*.py")), ids=lambda file: file.stem)
def test_each_body_only_counts(file):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    bodies = [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
    for each in bodies:
        if each.name in ("logged", "wrapper", "greeter"):  # a decorator, and what makes closures
            continue
        counted, *rest = map(ast.unparse, each.body)
        assert re.fullmatch(r"CALLS\[__name__, '\S+'\] \+= 1", counted)
        assert rest in ([], ["yield"])


def test_the_registry_holds_a_hundred():
    assert len(REGISTRY) >= 100
    assert len(dict(REGISTRY)) >= 96, "inherited methods share the path of their class"


def test_the_program_knows_nothing_of_instrumentation():
    for file in Path(instrumenting_app.__file__).parent.rglob("*.py"):
        assert "recompyle" not in file.read_text(encoding="utf-8")


def test_a_split_demo_that_cannot_start_says_so():
    done = subprocess.run(
        [sys.executable, "-m", "recompyle", "live", "demo", "--split", "--plain", "--once"],
        capture_output=True,
        text=True,
        env={**os.environ, "RECOMPYLE_LIVE": "0"},
    )
    assert done.returncode == 3 and done.stdout == ""
    assert "RECOMPYLE_LIVE=0 is set" in done.stderr, "what the program says"
    assert done.stderr.splitlines()[-1].endswith("the program of the demo has ended at once, with code 1: see above")


def test_a_split_demo_without_an_interpreter_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(Unreachable, match=r"cannot be started: .*No such file"):
        demo.split(demo.Options())
