"""The screen on a pseudo-terminal: what is written to it, and in which state it is left."""

import contextlib
import errno
import os
import re
import signal
import sys
import textwrap
from pathlib import Path

import pytest
from screens import DEMO, Terminal, wait_for
from scripted import row

from recompyle.live import tui

if sys.platform == "win32":
    pytest.skip("there are no pseudo-terminals", allow_module_level=True)

TESTS = str(Path(__file__).parents[2])
LEFT = b"\x1b[?1049l"  # the alternate screen
CURSOR = b"\x1b[?25h"  # is shown
COLOURS = re.compile(rb"\x1b\[(?:\d+;)*(?:3[0-9]|4[0-9]|9[0-7]|10[0-7])(?:;\d+)*m")

# A scripted program that tells through a pipe whenever it was looked at.
WATCHED = """
    import os, sys
    sys.path.insert(0, {tests!r})
    from scripted import Scripted, row
    from recompyle.live import tui
    from recompyle.live.session import Session

    class Program(Scripted):
        def poll(self):
            self.polls += 1
            os.write({pipe}, b"x")
            change(self)
            return super().poll()

    def change(program):
        {change}

    program = Program([row(f"app.orders:Service.f{{number:03}}", calls=0) for number in range(500)] + {more})
    def work(seconds):
        {work}
    code = tui.run(Session(program, hz=20), work=work if {has_work} else None)
    print("kept", program.kept)
    sys.exit(code)
"""


class Watched(Terminal):
    """The screen of a scripted program."""

    def __init__(self, change="pass", more="[]", work=None, size=(80, 24), environment=()):
        self.polled, pipe = os.pipe()
        os.set_blocking(self.polled, False)
        os.set_inheritable(pipe, True)
        program = textwrap.dedent(WATCHED).format(
            tests=TESTS, pipe=pipe, change=change, more=more, work=work or "pass", has_work=work is not None
        )
        super().__init__("-c", program, size=size, environment=environment, inherited=(pipe,))
        os.close(pipe)
        self.looks = 0  # how often the program was looked at, as far as is known

    def __exit__(self, *error):
        super().__exit__(*error)
        os.close(self.polled)

    def count_looks(self):
        """How often the program was looked at since the last time."""
        with contextlib.suppress(BlockingIOError):
            found = len(os.read(self.polled, 65536))
            self.looks += found
            return found
        return 0

    def looked_at(self, times):
        """Wait until the program was looked at so often more."""
        self.count_looks()
        before = self.looks

        def enough():
            self.read()
            assert self.process.poll() is None, self.got[-3000:]
            self.count_looks()
            return self.looks >= before + times

        wait_for(enough)
        return self.looks - before


@pytest.fixture
def demo():
    with Terminal(*DEMO) as terminal:
        terminal.wait_for(b"Qualified name", b"mod_a:func_1")
        yield terminal


def as_before(terminal):
    """The terminal's settings are the old ones, the alternate screen was left and the cursor is back."""
    assert terminal.settings == terminal.before
    assert terminal.got.rindex(LEFT) > terminal.got.rindex(b"\x1b[?1049h")
    assert terminal.got.rindex(CURSOR) > terminal.got.rindex(b"\x1b[?25l")
    for mode in (b"1000", b"1003", b"1006", b"2004", b"1004"):
        assert terminal.got.rindex(b"\x1b[?" + mode + b"l") > terminal.got.rindex(b"\x1b[?" + mode + b"h")
    return True


@pytest.mark.parametrize("keys", [b"q", b"\x03", b"D", b"aquit\r", b"?\x03"], ids=repr)
def test_left_as_it_was(demo, keys):
    assert demo.settings != demo.before
    demo.type(keys)
    assert demo.ended() == 0
    assert as_before(demo)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_left_as_it_was_by_a_signal(demo, name):
    number = getattr(signal, name)
    demo.process.send_signal(number)
    assert demo.ended() == 128 + number
    assert as_before(demo)


def test_left_as_it_was_by_an_exception():
    # The program that is watched fails in its own loop.
    with Watched(work="raise RuntimeError('of the program')") as terminal:
        assert terminal.ended() == 1
        assert as_before(terminal)
        after = terminal.got[terminal.got.rindex(LEFT) :]
        assert b"Traceback" in after and b"of the program" in after


def test_left_as_it_was_by_an_exception_of_the_screen():
    with Watched(change="if program.polls > 3: raise RuntimeError('of the source')") as terminal:
        assert terminal.ended() == 1
        assert as_before(terminal)
        assert b"of the source" in terminal.got[terminal.got.rindex(LEFT) :]


def test_the_terminal_goes_away(demo):
    os.close(demo.slave)
    os.close(demo.master)
    wait_for(lambda: demo.process.poll() is not None)
    assert demo.process.returncode == 128 + signal.SIGHUP
    demo.master = demo.slave = os.open(os.devnull, os.O_RDONLY)


def test_suspend_and_continue(demo):
    def only_changes_are_drawn():
        drawn = len(demo.got)
        demo.type(b"f")
        demo.wait_for(b" 4 Hz ", since=drawn)
        return b"Qualified name" not in demo.got[drawn:]

    wait_for(only_changes_are_drawn)
    demo.type(b"\x1a")
    wait_for(lambda: os.waitid(os.P_PID, demo.process.pid, os.WSTOPPED | os.WNOWAIT | os.WNOHANG))
    demo.read_all()
    assert as_before(demo)
    seen = len(demo.got)
    demo.process.send_signal(signal.SIGCONT)
    demo.wait_for(b"\x1b[?1049h", b"Qualified name", since=seen)
    demo.type(b"q")
    assert demo.ended() == 0
    assert as_before(demo)


def test_detaching_and_quitting_differ():
    for key, kept in ((b"q", b"kept False"), (b"D", b"kept True")):
        with Watched() as terminal:
            terminal.wait_for(b"Service.f001")
            terminal.type(key)
            assert terminal.ended() == 0
            assert kept in terminal.got


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
def test_an_unchanged_screen_writes_nothing(size):
    with Watched(size=size) as terminal:
        terminal.wait_for(b"Service.f001", b"q quit")
        terminal.looked_at(20)
        seen = len(terminal.got)
        terminal.looked_at(40)
        terminal.read()
        assert terminal.got[seen:] == b""


def test_the_size_is_that_of_the_terminal_wherever_the_output_goes():
    elsewhere = "[os.dup2(os.open(os.devnull, os.O_WRONLY), 1)][1:]"
    with Watched(more=elsewhere, size=(200, 60)) as terminal:
        terminal.wait_for(b"Service.f050", b"Last hit")


def test_a_terminal_that_knows_no_size():
    with Watched(size=(0, 0)) as terminal:
        terminal.wait_for(b"Service.f001")


def test_bytes_of_a_frame():
    # 4 frames a second and 6 kB a second at 80x24, all visible rows changing
    with Watched(change="for each in program.held.values(): each['calls'] = program.polls") as terminal:
        terminal.wait_for(b"Service.f001")
        terminal.looked_at(10)
        seen = len(terminal.got)
        frames = terminal.looked_at(50)
        terminal.read()
        assert 0 < (len(terminal.got) - seen) / frames <= 6000 / 4


def test_a_changed_number_does_not_draw_its_row_anew():
    with Watched(change="program.held['app.orders:Service.f003']['calls'] = program.polls") as terminal:
        terminal.wait_for(b"Service.f003")
        terminal.looked_at(10)
        seen = len(terminal.got)
        frames = terminal.looked_at(20)
        terminal.read()
        assert b"Service" not in terminal.got[seen:]
        assert 0 < (len(terminal.got) - seen) / frames <= 100


def test_names_that_are_orders_to_the_terminal():
    evil = ["\x1b]0;title\x07", "\x1b[2J", "\x9b2J", "\u202eabc", "\ud800", "[red]plain[/red]", "\x00\r\n"]
    with Watched(more=ascii([row(f"aaa:{each}") for each in evil])) as terminal:
        terminal.wait_for(rb"aaa:\x1b]0;title\x07", rb"aaa:\x1b[2J", rb"aaa:\x9b2J", rb"aaa:\u202eabc", rb"aaa:\ud800")
        terminal.wait_for(b"aaa:[red]plain[/red]", rb"aaa:\x00\x0d\x0a")
        terminal.type(b"d")
        terminal.wait_for(b"Esc closes")
        terminal.type(b"q")
        terminal.wait_for(b"Qualified")
        terminal.type(b"q")
        terminal.ended()
        for each in (b"\x1b]0;title", b"\xc2\x9b", "\u202e".encode(), b"\x00"):
            assert each not in terminal.got
        assert terminal.got.count(b"\x1b[2J") == 0


def test_no_colour():
    with Watched(environment={"NO_COLOR": "1"}, more=str([row("aaa:f", state="on")])) as terminal:
        terminal.wait_for(b"aaa:f")
        terminal.type(b"jaxx\r")
        terminal.wait_for(b"refused")
        terminal.type(b"?")
        terminal.wait_for(b"any key closes")
        terminal.type(b" q")
        assert terminal.ended() == 0, terminal.got[-3000:].decode()
        screen = terminal.got[: terminal.got.rindex(LEFT)]
        assert COLOURS.findall(screen) == []
        assert b"\x1b[7m" in screen  # the cursor's row stays visible


@pytest.mark.parametrize("value", [None, ""])
def test_colours_unless_told_otherwise(value):
    with Watched(environment={"NO_COLOR": value}, more=str([row("aaa:f", state="on")])) as terminal:
        terminal.wait_for(b"aaa:f")
        terminal.type(b"q")
        terminal.ended()
        assert re.search(rb"\x1b\[[0-9;]*32[0-9;]*m", terminal.got)  # green
        assert not re.search(rb"\x1b\[[0-9;]*[34]8;", terminal.got)  # none but the terminal's own sixteen


def test_ascii_only_where_the_locale_has_no_more():
    environment = {"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}
    with Watched(environment=environment, more=str([row("aaa:f", state="on")])) as terminal:
        terminal.wait_for(b"*", b"aaa:f", b"Calls")
        terminal.type(b"q")
        terminal.ended()
        assert terminal.got.isascii()


@pytest.mark.parametrize("kind", ["dumb", ""])
def test_a_dumb_terminal_gets_plain_text(kind):
    with Terminal(*DEMO, "--duration", "0.2", environment={"TERM": kind}) as terminal:
        assert terminal.ended() == 0
        assert b"Qualified name" in terminal.got
        assert b"\x1b" not in terminal.got


def test_without_the_extra_it_goes_on_plain(tmp_path):
    (tmp_path / "textual.py").write_text("raise ImportError('no such thing')")
    with Terminal(*DEMO, "--duration", "0.2", environment={"PYTHONPATH": str(tmp_path)}) as terminal:
        assert terminal.ended() == 0
        assert b"going on without a screen: pip install 'recompyle[tui]'" in terminal.got
        assert b"Qualified name" in terminal.got
        assert b"\x1b" not in terminal.got


def test_a_slow_terminal_gets_fewer_frames():
    # Nobody reads for a while: the program is watched no more than what the terminal takes, and all goes on afterwards.
    with Watched(change="for each in program.held.values(): each['calls'] = program.polls", size=(200, 60)) as terminal:
        terminal.wait_for(b"Service.f001")
        terminal.count_looks()
        wait_for(lambda: not terminal.count_looks(), step=0.5)  # ten samples' time without one
        terminal.looked_at(5)
        terminal.type(b"q")
        assert terminal.ended() == 0
        assert as_before(terminal)


def test_without_a_terminal_nothing_is_drawn(capfd):
    with pytest.raises(OSError, match="needs a terminal") as refused:
        tui.run(None)
    assert refused.value.errno == errno.ENOTTY
    assert capfd.readouterr() == ("", "")
