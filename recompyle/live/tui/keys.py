"""Which key does what: what is done and what the help says come of one table.

Pages look keys up themselves, in the order in which they were typed. Textual's bindings would wait for a key to go to
the focused widget and back, and a fast typist's next key would overtake it.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from textual.binding import Binding

from recompyle.live.tui.view import Row

__all__ = ["EVERYWHERE", "READER", "TABLE", "Key", "act", "help_rows"]


class Key(NamedTuple):
    """Some keys with one effect.

    Attributes:
        keys: as Textual names them, with spaces between.
        action: names a method, ``do_`` put before it.
        argument: given to it, unless None.
        shown: the keys as people name them; empty if an earlier line speaks for them.
        text: the effect in words.
    """

    keys: str
    action: str
    argument: Any = None
    shown: str = ""
    text: str = ""


TABLE = (
    Key("a colon", "type_path", None, "a  :", "type a path; Tab completes, Enter instruments, Up and Down recall"),
    Key("enter i", "instrument", "counter", "Enter  i", "instrument the selected function: count its calls"),
    Key("I", "instrument", "hook", "I", "instrument it in hook mode"),
    Key("u", "restore", None, "u", "restore it"),
    Key("U", "restore_all", None, "U", "restore all that this session has instrumented, after a question"),
    Key("d", "details", None, "d", "details: where it is, frames on old code, its code before and after"),
    Key("P", "profile", None, "P", "profile it: runs from so many milliseconds on are shown as they come"),
    Key("slash", "type_filter", None, "/", "show only names that contain what is typed"),
    Key("c escape", "clear_filter", None, "c  Esc", "show all again"),
    Key("s", "sort_next", 1, "s  S", "sort by the next column, the previous one; or click on a heading"),
    Key("S", "sort_next", -1),
    Key("1", "sort_by", 1, "1 to 8", "sort by a column: state, name, calls, hits, rate, last hit, cost, history"),
    *(Key(str(number), "sort_by", number) for number in range(2, 9)),
    Key("r", "reverse", None, "r", "turn the order round"),
    Key("up k", "move", -1, "Up Down  k j", "move; also PgUp, PgDn, Home, End, g, G, wheel, click"),
    Key("down j", "move", 1),
    Key("pageup", "page", -1),
    Key("pagedown", "page", 1),
    Key("home g", "first"),
    Key("end G", "last"),
    Key("p space", "pause", None, "p  Space", "freeze the display; the program runs on"),
    Key("f", "freeze_order", None, "f", "freeze the order of rows"),
    Key("0", "zero", None, "0", "show numbers from now on; totals are kept"),
    Key("plus equals_sign", "faster", None, "+  -", "1, 2, 4, 5, 10 or 20 samples a second"),
    Key("minus", "slower"),
    Key("question_mark h", "help", None, "?  h", "this help; any key closes it"),
    Key("q", "quit", None, "q  Ctrl-C", "quit; what this session has instrumented is restored"),
    Key("D", "detach", None, "D", "detach: quit and leave it instrumented"),
)
READER = (
    Key("up k", "scroll", -1),
    Key("down j enter", "scroll", 1),
    Key("pageup", "page", -1),
    Key("pagedown space", "page", 1),
    Key("home g", "first"),
    Key("end G", "last"),
    Key("escape q", "close"),
)
# On every screen, even while something is typed.
EVERYWHERE = (
    Binding("ctrl+c", "leave", show=False, priority=True),
    Binding("ctrl+l", "redraw", show=False, priority=True),
    Binding("ctrl+z", "suspend_process", show=False, priority=True),
)
EVERYWHERE_HELP = (("Ctrl-L", "draw everything again"), ("Ctrl-Z", "suspend to the shell"))


def act(screen: object, keys: Iterable[Key], pressed: str) -> None:
    """Do what a key stands for; nothing if it is not in the table."""
    for key in keys:
        if pressed in key.keys.split():
            action = getattr(screen, f"do_{key.action}")
            action() if key.argument is None else action(key.argument)
            return


def help_rows() -> list[Row]:
    """One row for each that has a text."""
    lines = [*((key.shown, key.text) for key in TABLE if key.shown), *EVERYWHERE_HELP]
    return [((f" {shown:<14}", "title"), (text, "")) for shown, text in lines]
