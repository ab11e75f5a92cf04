"""The last line of the screen: hints about keys, or a question and what is typed to answer it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.events import Blur
from textual.widgets import Input

from recompyle.live.tui.canvas import Canvas
from recompyle.live.tui.view import Row

__all__ = ["Prompt", "Question"]


@dataclass(slots=True)
class Question:
    """Something to be typed.

    Attributes:
        sign: stands before it.
        entered: called with the text on Enter.
        changed: called with the text whenever it changes.
        left: called when it was left without Enter.
        complete: gives the longer text that Tab puts there.
        history: earlier texts, oldest first.
    """

    sign: str
    entered: Callable[[str], None]
    changed: Callable[[str], None] | None = None
    left: Callable[[], None] | None = None
    complete: Callable[[str], str] | None = None
    history: Sequence[str] = ()


class Typed(Input):
    """The text itself; keys that Textual uses otherwise belong to the question here."""

    BINDINGS = [
        Binding("tab", "complete", show=False),
        Binding("up", "recall(-1)", show=False),
        Binding("down", "recall(1)", show=False),
        Binding("escape", "leave", show=False),
    ]
    DEFAULT_CSS = """
    Typed, Typed:focus { border: none; padding: 0; height: 1; background: ansi_default; color: ansi_default; background-tint: transparent; }
    Typed > .input--cursor { background: ansi_default; color: ansi_default; text-style: reverse; }
    """

    question: Question | None = None
    recalled = 0  # how far back in the history

    def on_mount(self) -> None:
        self.cursor_blink = False  # a blinking cursor would be drawn for ever
        self.select_on_focus = False

    def ask(self, question: Question) -> None:
        """Begin with an empty text."""
        self.question, self.recalled = None, 0
        self.value = ""
        self.question = question
        self.focus()

    def action_complete(self) -> None:
        if self.question is not None and self.question.complete is not None:
            self._put(self.question.complete(self.value))

    def action_recall(self, by: int) -> None:
        history = () if self.question is None else self.question.history
        self.recalled = max(-len(history), min(0, self.recalled + by))
        self._put(history[self.recalled] if self.recalled else "")

    def action_leave(self) -> None:
        question = self.question
        self.screen.query_one(Prompt).close()
        if question is not None and question.left is not None:
            question.left()

    def on_input_changed(self, event: Input.Changed) -> None:
        if self.question is not None and self.question.changed is not None:
            self.question.changed(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        question = self.question
        self.screen.query_one(Prompt).close()
        if question is not None:
            question.entered(event.value)

    def on_blur(self, event: Blur) -> None:
        # by a click elsewhere, or because the window lost the focus: in the latter case it comes back
        if self.app.app_focus:
            self.screen.query_one(Prompt).close()

    def _put(self, text: str) -> None:
        self.value = text
        self.cursor_position = len(text)


class Prompt(Horizontal):
    """Shows hints until something is asked."""

    DEFAULT_CSS = """
    Prompt { height: 1; }
    Prompt > Typed { display: none; width: 1fr; }
    Prompt.asking > Typed { display: block; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._before, self._typed = Canvas(), Typed()

    def compose(self) -> ComposeResult:
        yield self._before
        yield self._typed

    @property
    def asking(self) -> bool:
        """Whether something is being typed."""
        return self.has_class("asking")

    def hint(self, row: Row) -> None:
        """Show something as long as nothing is asked."""
        if not self.asking:
            self._sign([row], None)

    def ask(self, question: Question) -> None:
        """Let something be typed."""
        self.add_class("asking")
        self._sign([((f" {question.sign} ", "title"),)], len(question.sign) + 2)
        self._typed.ask(question)

    def close(self) -> None:
        """Show hints again."""
        self._typed.question = None
        self.remove_class("asking")
        self.screen.set_focus(None)

    def _sign(self, rows: list[Row], width: int | None) -> None:
        self._before.styles.width = "1fr" if width is None else width
        self._before.show(rows)
