"""The demo as a user sees it, in tmux."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from screens import DEMO, Tmux, wait_for

from recompyle.live.place import start_of

if Tmux.found is None:
    pytest.skip("there is no tmux", allow_module_level=True)

FUNC_7 = "instrumenting_app.dummy_modules.mod_a:func_7"


@pytest.fixture
def demo(tmp_path):
    with Tmux(tmp_path, *DEMO) as screen:
        screen.wait_for(r"Qualified name.*Calls +Hits +Hits/s")
        screen.wait_for(r"mod_a:func_1 +\d+")
        yield screen


def numbers(screen, name):
    """Calls and hits of a function."""
    found = screen.wait_for(rf"\S*{re.escape(name)} +([\d,]+) +([\d,]+)")
    return [int(each.replace(",", "")) for each in found.groups()]


def test_the_example(demo):
    demo.type("a", FUNC_7)
    demo.wait_for(rf"> {FUNC_7}")
    demo.type("Enter")
    demo.wait_for(rf"patched {FUNC_7} \(counter\); 0 frames still\s+on old code")
    demo.wait_for(rf"● {FUNC_7} ")
    demo.wait_for(r"1 on / \d+")
    calls, hits = numbers(demo, "mod_a:func_7")
    wait_for(lambda: numbers(demo, "mod_a:func_7")[1] >= hits + 3, step=0.1)
    after_calls, after_hits = numbers(demo, "mod_a:func_7")
    assert after_calls - calls == after_hits - hits  # each call from then on is a hit
    demo.type("/")
    demo.wait_for(r"(?m)^ / *$")
    demo.type("func_7")
    demo.wait_for(r"mod_b:func_7")
    assert numbers(demo, "mod_b:func_7")[0] > 0
    assert numbers(demo, "mod_b:func_7")[1] == 0
    demo.type("Enter")
    demo.wait_for(r"filter: func_7")
    demo.type("u")
    demo.wait_for(rf"restored {FUNC_7}")
    demo.wait_for(rf"· {FUNC_7}")
    _, hits = numbers(demo, "mod_a:func_7")
    calls, _ = numbers(demo, "mod_b:func_7")
    wait_for(lambda: numbers(demo, "mod_b:func_7")[0] > calls + 3, step=0.1)  # the program runs on
    assert numbers(demo, "mod_a:func_7")[1] == hits
    demo.type("q")
    demo.wait_for(r"ended with 0")


def test_completion_and_refusal(demo):
    demo.type("a", "instr", "Tab")
    demo.wait_for(r"> instrumenting_app\.")
    demo.type("dummy_modules.mod_c:", "Tab")
    demo.wait_for(r"Cart\.")
    demo.type("nothing", "Enter")
    demo.wait_for(r"refused \(not_found\)")
    demo.type(":", "no_such_module_at_all:f", "Enter")
    demo.wait_for(r"pending no_such_module_at_all:f: its module is not imported yet")
    demo.wait_for(r"1 pending")


def test_slow_runs_are_shown_as_they_come(demo):
    demo.type("P", "0", "Enter")
    demo.wait_for(r"runs of 0 ms and more: instrumenting_app")
    demo.wait_for(r"slow call: func_0 took")
    demo.type("Escape")
    demo.wait_for(r"Qualified name")
    demo.type("d")
    demo.wait_for(r"state +· off")
    demo.wait_for(r"code\n")


def test_hook_mode_stands_in_the_code(demo):
    demo.type("a", f"hook {FUNC_7}", "Enter")
    demo.wait_for(rf"patched {FUNC_7} \(hook\)")
    demo.type("d")
    demo.wait_for(r"on \(hook\)")
    demo.type("G")
    demo.wait_for(rf"<instrumentation_hook>(.*\n)+.*\('{FUNC_7}'\)\n(.*PRECALL.*\n)?.*CALL +1")
    demo.type("q")
    wait_for(lambda: numbers(demo, "mod_a:func_7")[1] > 0, step=0.1)


SHELL = "import os; os.environ.update(PS1='ready> '); os.execlp('sh', 'sh', '-i')"


def test_suspend_to_a_shell_and_come_back(tmp_path):
    command = shlex.join([sys.executable, "-P", *DEMO])
    with Tmux(tmp_path, "-c", SHELL) as screen:
        screen.wait_for(r"ready>")
        screen.type(command, "Enter")
        calls, _ = numbers(screen, "mod_a:func_1")
        wait_for(lambda: numbers(screen, "mod_a:func_1")[0] > calls, step=0.1)
        screen.type("C-z")
        screen.wait_for(r"(?i)stopped|suspended")
        screen.type("fg", "Enter")
        screen.wait_for(r"recompyle live (.*\n)+.*Qualified name(.*\n)+.*mod_a:func_1 +\d")
        screen.type("q")
        screen.wait_for(r"ready> fg\n(.*\n)+ready>\s*$")


def test_other_sizes(demo):
    demo.run("resize-window", "-x", "150", "-y", "40")
    demo.wait_for(r"Hits/s +Last hit +Cost +30 s")
    demo.run("resize-window", "-x", "59", "-y", "24")
    demo.wait_for(r"59x24 is too small: 60x12 at least")
    demo.run("resize-window", "-x", "60", "-y", "12")
    demo.wait_for(r"Calls +Hits\n")
    demo.run("resize-window", "-x", "80", "-y", "24")
    demo.wait_for(r"Hits/s\n")


def test_mouse(demo):
    # a press and a release of the first button on the heading of the calls
    demo.type("-l", "\x1b[<0;56;2M\x1b[<0;56;2m")
    demo.wait_for(r"Calls▼")
    demo.type("-l", "\x1b[<0;56;2M\x1b[<0;56;2m")
    demo.wait_for(r"Calls▲")


def test_no_colour(tmp_path):
    with Tmux(tmp_path, *DEMO, environment={"NO_COLOR": "1"}) as screen:
        screen.wait_for(r"mod_a:func_1 +\d+")
        screen.type("i")
        screen.wait_for(r"● ")
        shown = screen.shown(escapes=True)
        assert not re.search(r"\x1b\[[\d;]*\b(3[0-8]|4[0-8]|9[0-7]|10[0-7])\b[\d;]*m", shown)
        assert "\x1b[7m" in shown or ";7m" in shown


KILLED = """
import sys
sys.path.insert(0, {tests!r})
from screens import DEMO, Tmux
with Tmux({folder!r}, *DEMO) as screen:
    print(screen.run("display-message", "-p", "#{{pane_pid}}"), flush=True)
    input()
"""


def test_nothing_outlives_a_test_that_is_killed(tmp_path):
    program = KILLED.format(tests=str(Path(__file__).parents[2]), folder=str(tmp_path))
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as test:
        shown = int(test.stdout.readline())
        assert start_of(shown) is not None
        test.kill()
    wait_for(lambda: start_of(shown) is None, step=0.1)
