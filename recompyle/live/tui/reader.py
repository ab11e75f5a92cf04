"""A screen of text to read: help, details, slow runs."""

from collections.abc import Callable, Sequence

from textual.app import ComposeResult
from textual.events import Key

from recompyle.live.tui.canvas import Canvas
from recompyle.live.tui.keys import READER, act
from recompyle.live.tui.page import Page
from recompyle.live.tui.view import Row

__all__ = ["Reader"]


class Reader(Page):
    """Shows rows, which may become others meanwhile.

    Parameters:
        title: its first line.
        rows: gives them; called whenever the screen is drawn.
        any_key: whether every key closes it.
        follow: begin at the end, and stay there while rows are added.
        closed: called when it is closed.
    """

    def __init__(
        self,
        title: str,
        rows: Callable[[], Sequence[Row]],
        *,
        any_key: bool = False,
        follow: bool = False,
        closed: Callable[[], None] = lambda: None,
    ):
        super().__init__()
        self._heading, self._give, self._any_key, self._follow, self._on_closed = title, rows, any_key, follow, closed
        self._top = 0
        self._top_line, self._text, self._foot = Canvas(), Canvas(), Canvas()
        self._text.styles.height = "1fr"

    def compose(self) -> ComposeResult:
        yield self._top_line
        yield self._text
        yield self._foot

    def on_mount(self) -> None:
        self.draw()

    def on_resize(self) -> None:
        self.draw()

    @property
    def _height(self) -> int:
        return max(1, self.size.height - 2)

    def draw(self) -> None:
        rows = self._give()
        last = max(0, len(rows) - self._height)
        self._top = last if self._follow else min(self._top, last)
        shown = rows[self._top : self._top + self._height]
        self._top_line.show([((f" {self._heading}", "head"),)])
        self._text.show(shown)
        place = "" if len(shown) == len(rows) else f"   {self._top + 1} to {self._top + len(shown)} of {len(rows)}"
        self._foot.show([((" any key closes" if self._any_key else f" Esc closes{place}", "hint"),)])

    def do_scroll(self, by: int) -> None:
        last = max(0, len(self._give()) - self._height)
        self._top = max(0, min(self._top + by, last))
        self._follow = self._follow and self._top == last
        self.draw()

    def do_page(self, pages: int) -> None:
        self.do_scroll(pages * self._height)

    def do_first(self) -> None:
        self.do_scroll(-self._top)

    def do_last(self) -> None:
        self.do_scroll(len(self._give()))

    def on_mouse_scroll_down(self) -> None:
        self.do_scroll(3)

    def on_mouse_scroll_up(self) -> None:
        self.do_scroll(-3)

    def press(self, event: Key) -> None:
        if self._any_key:
            self.do_close()
        else:
            act(self, READER, event.key)

    def do_close(self) -> None:
        self.dismiss()
        self._on_closed()
