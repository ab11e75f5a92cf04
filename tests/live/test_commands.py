"""The commands that control another process, run as such."""

import argparse
import contextlib
import json
import os
import pty
import queue
import signal
import socket
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest
from programs import LIMIT, ROOT, until

from recompyle import live
from recompyle.cli import main
from recompyle.cli.live import common
from recompyle.live import place
from recompyle.live.client import place_of

APP = """
def total(x=1):
    return x + 1

def other(x=1):
    return total(x)
"""
TOTAL, OTHER = "__main__:total", "__main__:other"
ENVIRONMENT = {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "COLUMNS": "100"}


def command(*words):
    return [sys.executable, "-P", "-m", "recompyle", "live", *map(str, words)]


def done(*words, **environment):
    """What a command that ends by itself says."""
    return subprocess.run(
        command(*words), capture_output=True, text=True, encoding="utf-8", timeout=LIMIT, check=False,
        stdin=subprocess.DEVNULL, env={**os.environ, **ENVIRONMENT, **environment},
    )  # fmt: skip


class Running:
    """A command that goes on; what it writes is read by a thread."""

    def __init__(self, *words):
        self.process = subprocess.Popen(
            command(*words), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            encoding="utf-8", env={**os.environ, **ENVIRONMENT},
        )  # fmt: skip
        self._lines = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def until(self, wanted):
        """The first line with a text in it, or of which something is true."""
        seen = []
        while True:
            line = self._lines.get(timeout=LIMIT)
            assert line is not None, (wanted, seen, self.process.wait())
            seen.append(line)
            if wanted in line if isinstance(wanted, str) else wanted(line):
                return line

    def type(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(LIMIT)

    def end(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def running(runtime):
    started = []

    def run(*words):
        started.append(Running(*words))
        return started[-1]

    yield run
    for each in started:
        each.end()


def state(program, path=TOTAL):
    return program.told(f"live.list({path!r})[0]['state']")


def test_run_lets_others_in_and_is_the_script_otherwise(running, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\ndef total(): pass\nprint(sys.argv[1:], __name__, flush=True)\ninput()\ntotal()\nsys.exit(7)"
    )
    program = running("run", script, "--its-own", "word", "--", "--json")
    program.until("live attach")
    program.until("['--its-own', 'word', '--json'] __main__")
    pid = program.process.pid
    assert TOTAL in done("list", pid).stdout
    assert str(script) in next(line for line in done("ps").stdout.splitlines() if line.split()[0] == str(pid))
    place_before = place_of(pid)
    program.type("")
    assert program.process.wait(LIMIT) == 7
    assert not os.path.exists(place_before.socket)


def test_options_of_run(monkeypatch, tmp_path):
    given = []
    listen = lambda **options: given.append(options) or contextlib.nullcontext()  # noqa: E731
    monkeypatch.setattr(live, "listen", listen, raising=False)
    script = tmp_path / "script.py"
    script.write_text("")
    assert main(["live", "run", str(script)]) == 0
    assert main(["live", "run", "--allow-import", "--in-children", "--no-cap", str(script)]) == 0
    assert given == [
        {"allow_import": False, "in_children": False, "cap": 0.05},
        {"allow_import": True, "in_children": True, "cap": None},
    ]


def test_run_can_be_forbidden(runtime, tmp_path):
    (tmp_path / "script.py").write_text("print('ran')")
    refused = done("run", tmp_path / "script.py", RECOMPYLE_LIVE="0")
    assert (refused.returncode, refused.stdout) == (4, "")
    assert "RECOMPYLE_LIVE=0" in refused.stderr


def test_ps(start):
    first, second = start(APP), start(APP)
    lines = [json.loads(line) for line in done("ps", "--json").stdout.splitlines()]
    found = {line["pid"]: line for line in lines}
    for program in (first, second):
        assert found[program.pid]["socket"] == program.path
        assert str(program.file) in found[program.pid]["command"]
        assert found[program.pid]["python"] == ".".join(map(str, sys.version_info[:3]))
    second.end()
    assert str(second.pid) not in done("ps").stdout.split()


def test_list(start):
    program = start(APP)
    whole = done("list", program.pid)
    assert whole.returncode == 0 and TOTAL in whole.stdout and OTHER in whole.stdout
    chosen = done("list", program.pid, "*:tot*")
    assert TOTAL in chosen.stdout and OTHER not in chosen.stdout
    snapshot = json.loads(done("list", "--socket", program.path, "*:tot*", "--json").stdout)
    assert [row["path"] for row in snapshot["rows"]] == [TOTAL]
    assert (snapshot["v"], snapshot["pid"]) == (1, program.pid)
    assert "json.decoder:JSONDecoder.decode" not in whole.stdout
    program.told("__import__('json') and None")
    assert "json.decoder:JSONDecoder.decode" in done("list", program.pid, "--all-modules", "json*").stdout


def test_instrument_shows_hits_until_ctrl_c(start, running):
    program = start(APP)
    view = running("instrument", program.pid, TOTAL, "--plain")
    view.until(f"on {TOTAL} (counter); 0 frames still on old code")
    program.told("[total() for _ in range(1234)]")
    view.until(lambda line: TOTAL in line and "1,234" in line)
    assert state(program) == "on"
    assert view.interrupt() == 130
    until(lambda: state(program) == "off")


def test_instrument_is_undone_when_its_process_is_killed(start, running):
    program = start("from recompyle.live import proto\nproto.LEASE_SECONDS = 0.05\n" + APP)
    view = running("instrument", program.pid, TOTAL)
    view.until(f"on {TOTAL}")
    view.process.kill()
    until(lambda: state(program) == "off")


def test_instrument_for_some_time(start):
    program = start(APP)
    view = done("instrument", program.pid, TOTAL, "--for", "0.1s", "--json")
    assert view.returncode == 0
    snapshots = [json.loads(line) for line in view.stdout.splitlines()]
    assert [row["path"] for row in snapshots[-1]["rows"]] == [TOTAL]
    assert state(program) == "off"


def test_keep_and_restore(start):
    program = start(APP)
    assert done("instrument", program.pid, TOTAL, OTHER, "--keep").returncode == 0
    assert state(program) == state(program, OTHER) == "on"
    assert done("restore", program.pid, TOTAL).stdout == f"restored {TOTAL}\n"
    assert (state(program), state(program, OTHER)) == ("off", "on")
    assert done("restore", program.pid, "--all").stdout == f"restored {OTHER}\n"
    assert state(program, OTHER) == "off"
    with program.connect() as holder:
        holder.instrument(TOTAL)
        held = done("restore", program.pid, TOTAL)
        assert held.returncode == 1 and "another session holds it" in held.stderr


def test_hook_mode(start):
    program = start(APP)
    program.told("names = []")
    program.told("live.set_hook(names.append)")
    done("instrument", program.pid, TOTAL, "--hook", "--keep")
    program.told("total()")
    assert program.told("names") == [TOTAL]


def test_what_counts_can_be_chosen(start):
    program = start(APP + "def numbers():\n    yield 1\n")
    assert done("instrument", program.pid, "__main__:numbers", "--created", "--keep").returncode == 0
    program.told("numbers() and None")
    assert program.told("live.list('__main__:numbers')[0]['hits']") == 1, "made, and not started"
    if sys.version_info >= (3, 12):
        assert done("instrument", program.pid, TOTAL, "--engine", "monitoring", "--keep").returncode == 0
        assert program.told(f"live.list({TOTAL!r})[0]['engine']") == "monitoring"


def test_watch(start, running):
    program = start(APP)
    view = running("watch", program.pid)
    view.until(TOTAL)
    program.told("live.instrument('__main__:total') and None")
    program.told("[total() for _ in range(77)]")
    view.until(lambda line: line.startswith("●") and TOTAL in line and " 77 " in line)
    program.process.kill()
    view.until("is gone")
    assert view.process.wait(LIMIT) == 3


def test_watch_once_and_json(start):
    program = start(APP)
    once = done("watch", program.pid, "--once", "--json")
    assert once.returncode == 0
    snapshot = json.loads(once.stdout)
    assert {TOTAL, OTHER} <= {row["path"] for row in snapshot["rows"]}
    assert snapshot["pid"] == program.pid and len(snapshot["session"]) == 8
    hour = 3600  # the clock may be set meanwhile
    assert abs(snapshot["start"] - place.started_at(place.start_of(program.pid))) < hour
    assert "\x1b" not in done("watch", program.pid, "--once").stdout


def test_attach_plain_reads_lines(start, running):
    program = start(APP)
    view = running("attach", program.pid)
    view.until(TOTAL)
    view.type(TOTAL)
    view.until(f"patched {TOTAL}")
    assert state(program) == "on"
    view.type("quit")
    assert view.process.wait(LIMIT) == 0
    assert state(program) == "off"


def test_attach_says_how_to_get_a_screen(start):
    """With a terminal, but without what the screen takes."""
    program = start(APP)
    try:
        main, other = pty.openpty()
    except OSError as error:
        pytest.skip(f"no terminal to be had: {error}")
    missing = "sys.modules['textual'] = sys.modules['recompyle.live.tui'] = None"
    text = f"import sys; {missing}; from recompyle.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-P", "-c", text, "live", "attach", str(program.pid)],
        stdin=other, stdout=subprocess.PIPE, stderr=other, env={**os.environ, **ENVIRONMENT},
    ) as view:  # fmt: skip
        os.close(other)
        said = b""
        while b"recompyle[tui]" not in said:
            said += os.read(main, 1000)
        os.write(main, b"quit\n")
        assert TOTAL in view.stdout.read().decode()
        view.wait(LIMIT)
    os.close(main)


def test_hostile_names_cannot_order_the_terminal_about(start):
    program = start("exec('def total(): pass')\nlive.counter\n")
    program.told("total.__code__ = total.__code__.replace(co_filename='\\x1b[31m')")
    program.told("globals().__setitem__('\\x1b]0;title\\x07', total)")
    assert "\x1b" not in done("list", program.pid).stdout
    assert "\x1b" not in (refused := done("restore", program.pid, "a:\x1b[31mred")).stderr
    assert refused.returncode == 1


@pytest.mark.parametrize(
    ("words", "no_terminal", "term", "drawn"),
    [
        ("", "", "xterm", True), ("--plain", "", "xterm", False), ("--json", "", "xterm", False),
        ("--once", "", "xterm", False), ("", "stdin", "xterm", False), ("", "stderr", "xterm", False),
        ("", "stdout", "xterm", True), ("", "", "dumb", False), ("", "", "", False),
    ],
)  # fmt: skip
def test_where_a_screen_is_drawn(monkeypatch, words, no_terminal, term, drawn):
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, SimpleNamespace(isatty=lambda name=name: name != no_terminal))
    monkeypatch.setenv("TERM", term)
    parser = argparse.ArgumentParser()
    common.add_view(parser)
    assert common._may_draw(parser.parse_args(words.split())) is drawn


# -- exit codes


@pytest.mark.parametrize("words", ["ps --json", "list 1", "watch 1", "attach 1", "instrument 1 a:b", "restore 1 --all"])
def test_an_interrupt_at_any_time(monkeypatch, capsys, words):
    """Such as while a command still looks for its process."""

    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(place, "found", interrupted)
    assert main(["live", *words.split()]) == 130
    assert capsys.readouterr() == ("", "")


def test_usage():
    commands = (
        "list", "list x", "instrument 1", "restore 1", "restore 1 a:b --all", "watch 1 a b", "attach 1 a:b",
        "instrument 1 a:b --for never", "ps --nothing", "list 1 --nothing",
    )  # fmt: skip
    for line in commands:
        assert done(*line.split()).returncode == 2, line


def test_no_such_process(runtime):
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    for words in (["list", ended.pid], ["watch", ended.pid], ["instrument", ended.pid, "a:b"], ["attach", ended.pid]):
        missing = done(*words)
        assert missing.returncode == 3, words
        assert missing.stderr == f"recompyle: there is no process {ended.pid}\n"


def test_no_agent(start):
    program = start(listen=None)
    missing = done("list", program.pid)
    assert missing.returncode == 3
    assert "live run" in missing.stderr and "live.listen()" in missing.stderr


def test_refused(start):
    program = start(APP)
    refused = done("instrument", program.pid, "__main__:nothing", "math:sin", "no path", "--once")
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 3
    for wrong in ("__main__:totl", "total"):
        assert f"did you mean {TOTAL}" in done("instrument", program.pid, wrong).stderr
    waiting = done("instrument", program.pid, "not_there.yet:f", "--once")
    assert waiting.stderr == "pending not_there.yet:f: its module is not imported yet\n"
    some = done("instrument", program.pid, "__main__:nothing", TOTAL, "--once")
    assert some.returncode == 1 and TOTAL in some.stdout


def test_not_permitted(start):
    program = start(APP)
    os.chmod(place_of(program.pid).token, 0o644)
    assert done("list", program.pid).returncode == 4


def test_a_folder_that_is_not_private(runtime, tmp_path):
    (tmp_path / "script.py").write_text("print('ran')")
    folder = runtime / "recompyle"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    refused = done("run", tmp_path / "script.py")
    assert (refused.returncode, refused.stdout) == (4, "")
    assert f"{folder} must be a folder of user {os.geteuid()} with mode 0700" in refused.stderr
    assert f"of user {os.geteuid()} with mode 0755" in refused.stderr


def test_timeout(runtime):
    where = place.new()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(where.socket)
        listener.listen()
        assert done("list", os.getpid()).returncode == 5
    where.remove()


# -- the demo in two processes


def test_split_demo(running, runtime):
    name = "instrumenting_app.dummy_modules.mod_a:func_7"
    view = running("demo", "--split", "--plain", "--sleep", "0")
    view.until(name)
    view.type(name)
    view.until(f"patched {name}")
    view.until(lambda line: line.startswith("●") and "mod_a:func_7" in line and line.split()[3] != "0")
    (program,) = [each for each in place.found() if each.folder.startswith(str(runtime))]
    view.process.kill()
    until(lambda: place.start_of(program.pid) is None, "the end of the program")


def test_split_demo_once(runtime):
    shown = done("demo", "--split", "--once", "--json")
    snapshot = json.loads(shown.stdout)
    assert len(snapshot["rows"]) >= 100 and sum(row["calls"] or 0 for row in snapshot["rows"]) > 0
    assert shown.returncode == 0


def test_whoever_reads_may_stop(start):
    read, write = os.pipe()
    os.close(read)
    listing = subprocess.Popen(
        command("list", start(APP).pid), stdout=write, stderr=subprocess.PIPE, env={**os.environ, **ENVIRONMENT}
    )
    os.close(write)
    _, said = listing.communicate(timeout=LIMIT)
    assert (said, listing.returncode) == (b"", 1)
