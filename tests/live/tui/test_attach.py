"""The screen of a program that is another process: neither takes the other along."""

import signal
import sys

import pytest
from programs import until
from screens import Terminal

if sys.platform == "win32":
    pytest.skip("there are no pseudo-terminals", allow_module_level=True)

APP = """
from recompyle.live import proto
proto.LEASE_SECONDS = 0.05

def total(x=1):
    return x + 1
"""
TOTAL = "__main__:total"


@pytest.fixture
def program(start):
    return start(APP)


@pytest.fixture
def screen(program):
    """The screen, on which the only function has just been instrumented."""
    with Terminal("-m", "recompyle", "live", "attach", str(program.pid)) as terminal:
        terminal.wait_for(TOTAL.encode())
        terminal.type(b"i")
        terminal.wait_for(f"patched {TOTAL} (counter); 0 frames still on old code".encode())
        assert state(program) == "on"
        yield terminal


def state(program):
    return program.told(f"live.list({TOTAL!r})[0]['state']")


def test_hits_are_shown(program, screen):
    seen = len(screen.got)
    program.told("[total() for _ in range(4711)] and None")
    screen.wait_for(b"4,711", since=seen)
    screen.type(b"d")
    screen.wait_for(b"code after", b"<Hits " + TOTAL.encode())


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGHUP", "SIGINT"])
def test_the_screen_is_killed(program, screen, name):
    number = getattr(signal, name)
    screen.process.send_signal(number)
    assert screen.ended() == (-number if name == "SIGKILL" else 128 + number)
    until(lambda: state(program) == "off")
    assert program.told("total()") == 2  # it runs on


@pytest.mark.parametrize(("key", "then"), [(b"q", "off"), (b"D", "on")])
def test_quitting_restores_and_detaching_does_not(program, screen, key, then):
    screen.type(key)
    assert screen.ended() == 0
    assert state(program) == then


def test_the_program_is_killed(program, screen):
    seen = len(screen.got)
    program.process.kill()
    screen.wait_for(f"process {program.pid} is gone".encode(), since=seen)
    seen = len(screen.got)
    screen.type(b"\x0c")  # everything is drawn again
    screen.wait_for(b"gone", TOTAL.encode(), since=seen)  # the last table stays
    screen.type(b"q")
    assert screen.ended() == 3
    assert screen.settings == screen.before
