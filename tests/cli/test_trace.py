"""``python -m recompyle trace``."""

import contextlib
import json
import signal
import subprocess
import sys

import pytest

SCRIPT = """\
import sys

def total(texts):
    found = 0
    for text in texts:
        found += int(text)
    return found

print(total(sys.argv[1:]), __name__)
if len(sys.argv) > 3:
    sys.exit(7)
"""


def run(tmp_path, *arguments):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-P", "-m", "recompyle", "trace", str(script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_annotated_source(tmp_path):
    done = run(tmp_path, "1", "2", "--func", "total")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("3 __main__\n")
    assert "found = 1, 3" in done.stdout and "\033" not in done.stdout
    assert "<module> (script.py:9)\n  total (script.py:3)" in done.stdout


def test_json_and_exit_code(tmp_path):
    file = tmp_path / "trace.json"
    done = run(tmp_path, "--func", "total", "--json", "--output", str(file), "--", "1", "2", "3")
    assert (done.returncode, done.stdout) == (7, "6 __main__\n")
    assert [each["hits"] for each in json.loads(file.read_text())["traces"][0]["lines"]] == [1, 4, 3, 1]


def test_an_exception_is_shown_as_python_does_and_the_trace_too(tmp_path):
    done = run(tmp_path, "x", "--func", "total")
    assert done.returncode == 1
    assert done.stderr.startswith('Traceback (most recent call last):\n  File "') and "invalid literal" in done.stderr
    assert "recompyle" not in done.stderr
    assert "for text in texts:" in done.stdout


def test_mistakes(tmp_path):
    done = run(tmp_path, "--func", "nope")
    assert done.returncode == 2 and "it has total" in done.stderr and done.stdout == ""
    assert run(tmp_path).returncode == 2
    assert run(tmp_path, "--func", "json:nope").returncode == 2


WAITING = """\
import time

def wait():
    print("waiting", flush=True)
    while True:
        time.sleep(5)

wait()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of another process")
def test_ctrl_c_ends_the_script_and_the_trace_is_printed(tmp_path):
    script = tmp_path / "waiting.py"
    script.write_text(WAITING)
    command = [sys.executable, "-P", "-m", "recompyle", "trace", str(script), "--func", "wait"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout.readline() == "waiting\n"
            printed = None
            while printed is None:
                running.send_signal(signal.SIGINT)  # one that comes right before the sleep waits until that has ended
                with contextlib.suppress(subprocess.TimeoutExpired):
                    printed, errors = running.communicate(timeout=20)
        finally:
            running.kill()
    assert running.returncode == 130
    assert errors.endswith("KeyboardInterrupt\n") and "recompyle" not in errors
    assert "wait (" in printed and "call 1 of 1" in printed
    assert '1      print("waiting", flush=True)' in printed  # where it was interrupted behind that is chance


INTERRUPTED = """\
import collections, ctypes, time

def interrupted():
    found = collections.defaultdict(ctypes.PyDLL(None).PyErr_SetInterrupt)
    found[0]  # no handler runs at once: first the names of this statement are read, and shown
    print(found)
    for _ in range(3):
        time.sleep(0.01)

interrupted()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="ctypes finds the interpreter's functions elsewhere")
def test_an_interrupt_while_values_are_read_is_not_lost(tmp_path):
    script = tmp_path / "interrupted.py"
    script.write_text(INTERRUPTED)
    command = [sys.executable, "-P", "-m", "recompyle", "trace", str(script), "--func", "interrupted"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 130
    assert done.stderr.endswith("KeyboardInterrupt\n") and "recompyle" not in done.stderr


def test_a_function_of_a_module(tmp_path):
    done = run(tmp_path, "1", "--func", "posixpath:splitext", "--json")
    assert done.returncode == 0
    found = json.loads(done.stdout.partition("\n")[2])
    assert found["version"] == 1 and found["calls"] == len(found["traces"]) == 0
