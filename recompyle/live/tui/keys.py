"""Which key does what: bindings and help are made of one table."""

from typing import NamedTuple

from textual.binding import Binding

from recompyle.live.tui.view import Row

__all__ = ["EVERYWHERE", "READER", "TABLE", "bindings", "help_rows"]


class Key(NamedTuple):
    """Some keys with one effect.

    Attributes:
        keys: as Textual names them.
        action: what they do.
        shown: as people name them; empty if an earlier line speaks for them.
        text: the effect in words.
    """

    keys: str
    action: str
    shown: str = ""
    text: str = ""


TABLE = (
    Key("a,colon", "type_path", "a  :", "type a path; Tab completes, Enter instruments, Up and Down: history, Esc leaves"),
    Key("enter,i", "instrument('counter')", "Enter  i", "instrument the selected function: count its calls"),
    Key("I", "instrument('hook')", "I", "instrument it in hook mode"),
    Key("u", "restore", "u", "restore it"),
    Key("U", "restore_all", "U", "restore all that this session has instrumented, after a question"),
    Key("d", "details", "d", "details: where it is, frames on old code, its code before and after"),
    Key("P", "profile", "P", "profile it: runs from so many milliseconds on are shown as they come"),
    Key("slash", "type_filter", "/", "show only names that contain what is typed"),
    Key("c,escape", "clear_filter", "c  Esc", "show all again"),
    Key("s", "sort_next(1)", "s  S", "sort by the next column, the previous one"),
    Key("S", "sort_next(-1)"),
    Key("1", "sort_by(1)", "1 to 8", "sort by a column: state, name, calls, hits, rate, last hit, cost, history"),
    *(Key(str(number), f"sort_by({number})") for number in range(2, 9)),
    Key("r", "reverse", "r", "turn the order round"),
    Key("up,k", "move(-1)", "Up Down  k j", "move; also PgUp, PgDn, Home, End, g, G, wheel, click"),
    Key("down,j", "move(1)"),
    Key("pageup", "page(-1)"),
    Key("pagedown", "page(1)"),
    Key("home,g", "first"),
    Key("end,G", "last"),
    Key("p,space", "pause", "p  Space", "freeze the display; the program runs on"),
    Key("f", "freeze_order", "f", "freeze the order of rows"),
    Key("0", "zero", "0", "show numbers from now on; totals are kept"),
    Key("plus,equals_sign", "faster", "+  -", "1, 2, 4, 5, 10 or 20 samples a second"),
    Key("minus", "slower"),
    Key("question_mark,h", "help", "?  h", "this help; any key closes it"),
    Key("q", "app.leave", "q  Ctrl-C", "quit; what this session has instrumented is restored"),
    Key("D", "app.detach", "D", "detach: quit and leave it instrumented"),
)
EVERYWHERE = (
    Key("ctrl+c", "leave"),
    Key("ctrl+l", "redraw", "Ctrl-L", "draw everything again"),
    Key("ctrl+z", "suspend_process", "Ctrl-Z", "suspend to the shell"),
)
READER = (
    Key("up,k", "scroll(-1)"),
    Key("down,j,enter", "scroll(1)"),
    Key("pageup", "page(-1)"),
    Key("pagedown,space", "page(1)"),
    Key("home,g", "first"),
    Key("end,G", "last"),
    Key("escape,q", "close"),
)


def bindings(keys: tuple[Key, ...], everywhere: bool = False) -> list[Binding]:
    """Textual's form of them.

    Parameters:
        everywhere: also while something is typed.
    """
    return [Binding(each.keys, each.action, each.text, show=False, priority=everywhere) for each in keys]


def help_rows() -> list[Row]:
    """One row for each that has a text."""
    return [((f" {each.shown:<14}", "title"), (each.text, "")) for each in (*TABLE, *EVERYWHERE) if each.shown]
