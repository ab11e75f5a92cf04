"""The main screen: the table, what was said last, and the line where things are typed."""

import math
from collections import deque

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.events import Click, Key, Paste

from recompyle.live.session import COLUMNS, Session
from recompyle.live.source import Details
from recompyle.live.table import printable, shorten
from recompyle.live.tui import view
from recompyle.live.tui.canvas import Canvas
from recompyle.live.tui.keys import TABLE, act, help_rows
from recompyle.live.tui.page import Page
from recompyle.live.tui.prompt import Prompt, Question
from recompyle.live.tui.reader import Reader

__all__ = ["Main"]

KEPT = 5000  # lines of slow runs
OFFERED = 12  # completions that are listed


class Main(Page):
    """Draws a session, and does with it what keys and mouse say.

    Parameters:
        session: the session.
        unicode: whether the terminal shows more than ASCII.
    """

    DEFAULT_CSS = """
    Main { layout: vertical; overflow: hidden; }
    Main > #table { height: 1fr; }
    Main #names { width: 1fr; height: 100%; }
    Main #numbers { height: 100%; }
    Main.small > #table, Main.small > #messages, Main.small > Prompt { display: none; }
    """

    def __init__(self, session: Session, unicode: bool):
        super().__init__()
        self._session, self._unicode = session, unicode
        self._top, self._height = 0, 1  # what is visible of the lines
        self._cursor: str | None = None  # where it was when the screen was drawn
        self._said: list[tuple[str, str]] = []
        self._table: view.Table | None = None
        self._header, self._names, self._numbers, self._messages = Canvas(), Canvas(), Canvas(), Canvas()
        self._names.id, self._numbers.id, self._messages.id = "names", "numbers", "messages"
        self._prompt = Prompt()

    def compose(self) -> ComposeResult:
        yield self._header
        with Horizontal(id="table"):
            yield self._names
            yield self._numbers
        yield self._messages
        yield self._prompt

    # -- drawing

    def on_mount(self) -> None:
        self.draw()

    def on_resize(self) -> None:
        self._cursor = None
        self.draw()

    def on_screen_resume(self) -> None:
        self.draw()

    def draw(self) -> None:
        self._take_messages()
        width, height = self.size
        small = view.too_small(width, height)
        self.set_class(small is not None, "small")
        self._header.show([small or view.header(self._session, width, self._unicode)])
        if small is not None:
            return
        said = view.messages(self._said, width)
        self._height = height - 3 - len(said)
        if self._session.selected != self._cursor:
            self._cursor = self._session.selected
            self._top = view.scrolled(self._top, self._session.index or 0, self._height)
        table = self._table = view.Table(self._session, width, self._height, self._top, self._unicode)
        self._top = table.top
        self._numbers.styles.width = table.numbers_width
        self._names.show(table.left())
        self._numbers.show(table.right())
        self._messages.styles.height = len(said)
        self._messages.show(said)
        self._prompt.hint(view.hint(width))

    def _take_messages(self) -> None:
        """What was said since the last look replaces what was said before it."""
        said = []
        while self._session.messages:
            said.append(self._session.messages.popleft())
        if said:
            self._said = said

    def say(self, text: str, level: str = "info") -> None:
        """Show a message instead of those before."""
        self._said = [(level, text)]

    # -- keys

    def press(self, event: Key) -> None:
        if self._prompt.question is not None:
            self._prompt.press(event.key, event.character)
        else:
            act(self, TABLE, event.key)
        self.draw()

    def on_paste(self, event: Paste) -> None:
        event.stop()
        if self._prompt.question is not None and event.text:
            self._prompt.insert(event.text.splitlines()[0])

    def do_quit(self) -> None:
        self.app.exit()

    def do_detach(self) -> None:
        self.app.exit("detach")

    # -- moving

    @property
    def _out_of_view(self) -> bool:
        """Whether the cursor is, because the order has changed."""
        at = self._session.index
        return at is not None and not self._top <= at < self._top + self._height

    def do_move(self, by: int) -> None:
        if self._out_of_view:
            self._session.select(self._top if by > 0 else self._top + self._height - 1)
        else:
            self._session.move(by)

    def do_page(self, pages: int) -> None:
        self.do_move(pages * self._height)

    def do_first(self) -> None:
        self._top = 0
        self._session.select(0)

    def do_last(self) -> None:
        self._top = len(self._session.lines)
        self._session.select(len(self._session.lines))

    def on_mouse_scroll_down(self) -> None:
        self.do_move(3)
        self.draw()

    def on_mouse_scroll_up(self) -> None:
        self.do_move(-3)
        self.draw()

    def on_click(self, event: Click) -> None:
        x, y = event.screen_x, event.screen_y - 2
        if self._table is None or not -1 <= y < self._height:
            return
        if y == -1:
            names = self.size.width - self._table.numbers_width
            self._sort(self._table.column_at(x - names if x >= names else x, right=x >= names))
        elif self._top + y < len(self._session.lines):
            self._session.select(self._top + y)
        self.draw()

    # -- order and filter

    def _sort(self, column: str) -> None:
        if column == self._session.column:
            self.do_reverse()
        else:
            self._sorted_by(column)

    def _sorted_by(self, column: str) -> None:
        self._session.sort(column)
        self._top = 0  # the cursor stays on its function; what is wanted now is what comes first

    def do_sort_next(self, step: int) -> None:
        """Goes through those columns that are visible."""
        if self._table is None:
            return
        visible = [each.name for each in (*self._table.names, *self._table.numbers)]
        now = self._session.column
        self._sorted_by(visible[(visible.index(now) + step) % len(visible)] if now in visible else visible[0])

    def do_sort_by(self, number: int) -> None:
        self._sorted_by(COLUMNS[number - 1])

    def do_reverse(self) -> None:
        self._session.reverse()
        self._top = 0

    def do_freeze_order(self) -> None:
        self._session.freeze_order()

    def do_type_filter(self) -> None:
        self._prompt.ask(
            Question("/", lambda text: None, changed=self._filter, left=self.do_clear_filter)
        )

    def _filter(self, text: str) -> None:
        self._session.set_filter(text)
        self._cursor = None  # it stays in view

    def do_clear_filter(self) -> None:
        self._filter("")

    # -- numbers

    def do_pause(self) -> None:
        self._session.pause()

    def do_zero(self) -> None:
        self._session.zero()
        self.say("numbers from now on; totals are kept")

    def do_faster(self) -> None:
        self._session.faster()

    def do_slower(self) -> None:
        self._session.slower()

    # -- orders

    def do_type_path(self) -> None:
        self._prompt.ask(
            Question(">", self._command, complete=self._complete, history=self._session.commands)
        )

    def _command(self, line: str) -> None:
        if self._session.command(line) == "quit":
            self.do_quit()

    def _complete(self, typed: str) -> str:
        # A path that cannot be shown as it is cannot be typed either.
        offered = [each for each in self._session.complete(typed) if printable(each) == each]
        common = _common(offered)
        if len(offered) > 1:
            known = max(map(common.rfind, " .:")) + 1
            more = f", {len(offered) - OFFERED} more" if len(offered) > OFFERED else ""
            self.say(", ".join(each[known:] for each in offered[:OFFERED]) + more)
        elif not offered:
            self.say("no known path begins like that")
        return common if len(common) > len(typed) else typed

    def _chosen(self) -> str | None:
        """The path under the cursor. If that is out of view it is shown, and nothing is done to it yet."""
        if self._out_of_view:
            self._cursor = None
            self.say("the cursor was out of view, here it is")
            return None
        return self._session.selected

    def do_instrument(self, mode: str) -> None:
        if (path := self._chosen()) is not None:
            self._session.instrument(path, mode)

    def do_restore(self) -> None:
        if (path := self._chosen()) is not None:
            self._session.restore(path)

    def do_restore_all(self) -> None:
        def answered(text: str) -> None:
            self._prompt.close()
            if text.strip().lower() == "y":
                self._session.restore_all()

        self._prompt.ask(
            Question(f"restore all, {view.total(self._session)}? y or n", answered, changed=answered)
        )

    # -- other screens

    def do_help(self) -> None:
        self.app.push_screen(Reader("keys", help_rows, any_key=True))

    def do_details(self) -> None:
        if (path := self._chosen()) is not None:
            self._session.details(path, lambda shown: self._show_details(path, shown))

    def _show_details(self, path: str, shown: Details) -> None:
        def rows() -> list[view.Row]:
            line = next((each for each in self._session.lines if each.path == path), None)
            return view.details(shown, line, self.app.size.width, self._unicode)

        self.app.push_screen(Reader(self._short(path), rows))

    def do_profile(self) -> None:
        if (path := self._chosen()) is not None:
            ask = Question("profile runs from how many ms?", lambda text: self._profile(path, text))
            self._prompt.ask(ask)

    def _profile(self, path: str, text: str) -> None:
        try:
            limit = float(text)
        except ValueError:
            limit = math.nan
        if not 0 <= limit < math.inf:
            self.say(f"a number of milliseconds is expected, not {text!r}", "error")
            return
        seen: deque[view.Row] = deque(maxlen=KEPT)

        def report(text: str) -> None:
            seen.extend(((f" {printable(each)}", ""),) for each in text.splitlines())
            seen.append(())

        asked = self._session.profile(path, limit, report)

        def rows() -> list[view.Row]:
            if asked.done() and asked.exception() is not None:
                return [((f" {printable(str(asked.exception()))}", "error"),)]
            return list(seen) or [((" none so far", "hint"),)]

        def end() -> None:
            # at once if it has begun, else as soon as it has
            asked.add_done_callback(lambda asked: None if asked.exception() else asked.result()())

        title = f"runs of {limit:g} ms and more: {self._short(path)}"
        self.app.push_screen(Reader(title, rows, follow=True, closed=end))

    def _short(self, path: str) -> str:
        return shorten(printable(path), max(20, self.size.width - 32), "…" if self._unicode else "...")


def _common(texts: list[str]) -> str:
    """What sorted texts begin with."""
    if not texts:
        return ""
    first, last = texts[0], texts[-1]
    differ = (at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other)
    return first[: next(differ, len(first))]
