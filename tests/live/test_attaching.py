"""Attaching to programs that do not listen."""

import os
import shutil
import subprocess
import sys
import tempfile
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest
from programs import LIMIT, until

import recompyle
from recompyle import Unreachable, live
from recompyle.live import attaching, boot, place
from recompyle.patch import turns

can = hasattr(sys, "remote_exec")
attaches = pytest.mark.skipif(not can, reason="CPython 3.14 is the first that can start something in another process")
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

APP = """
import threading, time, sys, os
def total(x=1):
    return x + 1
"""
TOTAL = "__main__:total"


@pytest.fixture
def scripts(monkeypatch, tmp_path):
    """Where the scripts are put; nothing is left there."""
    folder = tmp_path / "scripts"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def busy(program):
    """Lets the main thread run Python code until it is told otherwise."""
    program.tell("while not os.path.exists('stop'): time.sleep(0.001)")


@pytest.fixture
def idle(start):
    """Starts a program that does not listen; its main thread waits for a line."""

    def start_idle(**options):
        program = start(APP, listen=None, **options)
        assert program.told("total()") == 2, "it is there"
        if sys.platform == "linux":  # its one thread sleeps only when it waits for the next line
            until(lambda: Path(f"/proc/{program.pid}/stat").read_text().rpartition(")")[2].split()[0] == "S")
        return program

    return start_idle


# -- everywhere


def test_a_program_that_listens_is_connected_to(start, scripts):
    program = start(APP, listen="__import__('recompyle.live').live.listen()")
    with live.attach(program.pid) as client:
        assert client.resolve(TOTAL)["state"] == "off"
    assert list(scripts.iterdir()) == []


def test_no_such_process(runtime, scripts):
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    with pytest.raises(Unreachable) as refusal:
        live.attach(ended.pid)
    assert refusal.value.slug == "no_process"
    assert list(scripts.iterdir()) == []


@linux
def test_nothing_is_left_if_the_system_forbids_it(idle, scripts, monkeypatch):
    def forbid(pid, path):
        raise PermissionError

    monkeypatch.setattr(sys, "remote_exec", forbid, raising=False)
    with pytest.raises(Unreachable) as refusal:
        live.attach(idle().pid)
    assert refusal.value.slug == "not_permitted"
    assert list(scripts.iterdir()) == []


def test_forbidden_by_the_environment(idle, monkeypatch):
    program = idle()
    monkeypatch.setenv("RECOMPYLE_LIVE", "0")
    with pytest.raises(Unreachable) as refusal:
        live.attach(program.pid)
    assert refusal.value.slug == "disabled"


@pytest.mark.skipif(can, reason="this version can")
def test_older_versions_are_told_what_to_do(idle, scripts):
    with pytest.raises(Unreachable) as refusal:
        live.attach(idle().pid)
    assert refusal.value.slug == "no_agent"
    assert "live.listen()" in str(refusal.value) and "live run" in str(refusal.value)
    assert list(scripts.iterdir()) == []


@linux
def test_other_users(idle, monkeypatch):
    program = idle()
    monkeypatch.setattr(sys, "remote_exec", None, raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(Unreachable) as refusal:
        attaching._check(program.pid)
    assert refusal.value.slug == "not_permitted" and "run this as that user" in str(refusal.value)


@linux
def test_other_containers(idle, monkeypatch):
    program = idle()
    monkeypatch.setattr(sys, "remote_exec", None, raising=False)
    monkeypatch.setattr(os, "readlink", lambda path: path)
    with pytest.raises(Unreachable) as refusal:
        attaching._check(program.pid)
    assert refusal.value.slug == "no_channel" and "container" in str(refusal.value)


def run_script(program, folder, package=None):
    """As if the program had been given the script."""
    path = package or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(boot.__file__))))
    program.told(f"exec({boot.script(path, str(folder), {})!r}, {{}})")
    return until(lambda: os.path.exists(folder / boot.ANSWER) and (folder / boot.ANSWER).read_text())


def test_the_script_starts_the_agent_and_leaves_nothing(idle, tmp_path):
    program = idle(PYTHONPATH="")
    state = "list(sys.path), sorted(globals()), sys.getswitchinterval()"
    before = program.told(state)
    answer = run_script(program, tmp_path)
    assert eval(answer)["path"].startswith(os.environ["XDG_RUNTIME_DIR"])
    until(lambda: program.told(state) == before)
    with program.connect() as client:
        assert client.instrument(TOTAL)["state"] == "on"
    os.unlink(tmp_path / boot.ANSWER)
    assert run_script(program, tmp_path) == answer, "the agent that is there"


def test_the_script_says_why_it_cannot(idle, tmp_path):
    program = idle(PYTHONPATH="")
    (tmp_path / "recompyle").mkdir()
    (tmp_path / "recompyle" / "__init__.py").write_text("raise SystemExit('no such thing here')")
    assert eval(run_script(program, tmp_path, str(tmp_path))) == {
        "unusable": "SystemExit: no such thing here",
        "suffix": EXTENSION_SUFFIXES[0],
    }
    refusing = idle(RECOMPYLE_LIVE="0")
    (tmp_path / boot.ANSWER).unlink()
    assert eval(run_script(refusing, tmp_path))["slug"] == "disabled"
    assert refusing.told("total()") == 2


def test_the_script_takes_short_turns_while_it_imports(idle, tmp_path):
    program = idle(PYTHONPATH="")
    (tmp_path / "recompyle").mkdir()
    (tmp_path / "recompyle" / "__init__.py").write_text("import sys\nraise SystemExit(sys.getswitchinterval())")
    for interval in (0.005, 0.0001, 4e-7):
        program.told(f"sys.setswitchinterval({interval})")
        before = program.told("sys.getswitchinterval()")
        answer = eval(run_script(program, tmp_path, str(tmp_path)))
        assert float(answer["unusable"].removeprefix("SystemExit: ")) == pytest.approx(min(before, turns.TURN))
        until(lambda before=before: program.told("sys.getswitchinterval()") == before)
        (tmp_path / boot.ANSWER).unlink()


def test_a_python_that_it_is_not_compiled_for(idle, tmp_path, monkeypatch):
    """As a debug build: it finds the package of whoever attaches, and no compiled module that it could load."""
    program = idle(PYTHONPATH="")
    shutil.copytree(os.path.dirname(recompyle.__file__), tmp_path / "recompyle", ignore=shutil.ignore_patterns("*.so"))
    monkeypatch.setattr(recompyle, "__file__", str(tmp_path / "recompyle" / "__init__.py"))
    monkeypatch.setattr(attaching, "_check", lambda pid: None)
    monkeypatch.setattr(attaching, "_send", lambda pid, path: program.told(f"exec(open({path!r}).read(), {{}})"))
    before = program.told("list(sys.path)")
    with pytest.raises(Unreachable) as refusal:
        live.attach(program.pid, timeout=LIMIT)
    assert refusal.value.slug == "no_core"
    assert "NotCompiled: " in str(refusal.value) and EXTENSION_SUFFIXES[0] in str(refusal.value)
    until(lambda: program.told("list(sys.path)") == before)
    assert program.told("total()") == 2


def test_a_script_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "start.py"
    for text in ("first", ""):
        attaching._write(str(path), text)
        assert path.read_text() == text
        assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


# -- from 3.14 on


@attaches
@pytest.mark.parametrize("state", ["busy", "sleeps"])
def test_attach(idle, scripts, tmp_path, state):
    program = idle()
    program.told(f"os.chdir({str(tmp_path)!r})")
    if state == "busy":
        program.tell("while not os.path.exists('stop'): pass")
    else:
        busy(program)
    with live.attach(program.pid, timeout=LIMIT) as client:
        assert client.pid == program.pid
        assert client.instrument(TOTAL)["state"] == "on"
    (tmp_path / "stop").touch()
    program.hear()
    assert program.told("total()") == 2
    assert list(scripts.iterdir()) == []
    assert place.read_token(next(each for each in place.found() if each.pid == program.pid))


@attaches
def test_a_blocked_main_thread_is_told_and_waited_for(idle, scripts, tmp_path):
    program = idle()  # it waits for a line
    told = []

    def say(text):
        told.append(text)
        program.tell("total()")  # wakes it

    with live.attach(program.pid, timeout=LIMIT, say=say) as client:
        assert client.resolve(TOTAL)["state"] == "off"
    assert len(told) == 1 and "blocked" in told[0]
    assert program.hear() == 2


@attaches
def test_giving_up_leaves_an_empty_script_and_the_program_in_peace(idle, scripts):
    program = idle()
    with pytest.raises(Unreachable) as refusal:
        live.attach(program.pid, timeout=0.3)
    assert refusal.value.slug == "timeout"
    (folder,) = scripts.iterdir()
    assert [(each.name, each.read_text()) for each in folder.iterdir()] == [("start.py", "")]
    assert program.told("total()") == 2, "it runs the empty script here"
    assert [each for each in place.found() if each.pid == program.pid] == []


@attaches
def test_another_tool_that_replaces_the_script(idle, scripts, tmp_path, monkeypatch):
    program = idle()
    (tmp_path / "other.py").write_text("OTHER = 1")
    send, sent = attaching._send, []

    def rival(pid, path):
        send(pid, path)
        sent.append(path)
        if len(sent) == 1:
            sys.remote_exec(pid, str(tmp_path / "other.py"))
        else:
            program.tell("total()")

    monkeypatch.setattr(attaching, "_send", rival)
    monkeypatch.setattr(attaching, "AGAIN", 0.1)
    with live.attach(program.pid, timeout=LIMIT) as client:
        assert client.resolve(TOTAL)["state"] == "off"
    assert len(sent) == 2


@attaches
@pytest.mark.parametrize("options", [{"before": ("-X", "disable-remote-debug")}, {"PYTHON_DISABLE_REMOTE_DEBUG": "1"}])
def test_remote_debugging_off(idle, scripts, options):
    program = idle(**options)
    with pytest.raises(Unreachable) as refusal:
        live.attach(program.pid, timeout=0.3)
    assert refusal.value.slug in ("no_channel", "timeout")
    assert "live.listen()" in str(refusal.value)


@attaches
def test_the_program_ends_meanwhile(idle, scripts):
    program = idle()
    with pytest.raises(Unreachable) as refusal:
        live.attach(program.pid, timeout=LIMIT, say=lambda text: program.end())
    assert refusal.value.slug == "gone"
    assert list(scripts.iterdir()) == []


@attaches
def test_a_program_that_forbids_it(idle, scripts, tmp_path):
    program = idle(RECOMPYLE_LIVE="0")
    program.told(f"os.chdir({str(tmp_path)!r})")
    busy(program)
    with pytest.raises(Unreachable) as refusal:
        live.attach(program.pid, timeout=LIMIT)
    assert refusal.value.slug == "disabled"


@attaches
def test_no_python(runtime, scripts):
    with subprocess.Popen(["sleep", "1000"]) as other:
        try:
            with pytest.raises(Unreachable) as refusal:
                live.attach(other.pid, timeout=LIMIT)
            assert refusal.value.slug == "no_channel"
        finally:
            other.kill()
