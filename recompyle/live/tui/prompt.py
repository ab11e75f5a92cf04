"""The last line of the screen: hints about keys, or a question and what is typed to answer it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from recompyle.live.table import printable, width_of
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


class Prompt(Canvas):
    """Shows hints until something is asked, then the text with its cursor."""

    question: Question | None = None
    _text = ""
    _at = 0  # where the cursor is
    _back = 0  # how far back in the history

    def hint(self, row: Row) -> None:
        """Show something as long as nothing is asked."""
        if self.question is None:
            self.show([row])

    def ask(self, question: Question) -> None:
        """Let something be typed."""
        self.question, self._back = question, 0
        self._text, self._at = "", 0
        self._draw()

    def insert(self, text: str) -> None:
        """Take in characters at the cursor."""
        self._put(self._text[: self._at] + text + self._text[self._at :], self._at + len(text))

    def press(self, key: str, character: str | None) -> None:
        """Take in a key.

        Parameters:
            key: Textual's name of it.
            character: what it types; None if nothing.
        """
        if character is not None and character.isprintable():
            self.insert(character)
            return
        text, at = self._text, self._at
        match key:
            case "enter" | "escape":
                self._end(key == "enter")
            case "tab":
                if self.question is not None and self.question.complete is not None:
                    self._put(self.question.complete(text))
            case "up" | "down":
                self._recall(-1 if key == "up" else 1)
            case "left" | "right":
                self._put(text, at + (1 if key == "right" else -1))
            case "home" | "ctrl+a":
                self._put(text, 0)
            case "end" | "ctrl+e":
                self._put(text)
            case "backspace":
                self._put(text[: max(0, at - 1)] + text[at:], at - 1)
            case "delete" | "ctrl+d":
                self._put(text[:at] + text[at + 1 :], at)
            case "ctrl+u":
                self._put(text[at:], 0)
            case "ctrl+k":
                self._put(text[:at])
            case "ctrl+w":
                start = max(map(text[:at].rstrip(" .:").rfind, " .:")) + 1
                self._put(text[:start] + text[at:], start)

    def on_resize(self) -> None:
        self._draw()

    def close(self) -> None:
        """Ask no longer."""
        self.question = None
        self.show([()])

    def _end(self, entered: bool) -> None:
        question, text = self.question, self._text
        self.close()
        if question is not None and entered:
            question.entered(text)
        elif question is not None and question.left is not None:
            question.left()

    def _recall(self, by: int) -> None:
        history = () if self.question is None else self.question.history
        self._back = max(-len(history), min(0, self._back + by))
        self._put(history[self._back] if self._back else "")

    def _put(self, text: str, at: int | None = None) -> None:
        before, self._text = self._text, text
        self._at = len(text) if at is None else max(0, min(at, len(text)))
        self._draw()
        if text != before and self.question is not None and self.question.changed is not None:
            self.question.changed(text)

    def _draw(self) -> None:
        if self.question is None:
            return
        sign = f" {self.question.sign} "
        left, rest = self._text[: self._at], self._text[self._at :] or " "
        while left and width_of(sign) + width_of(printable(left)) >= self.size.width:
            left = left[1:]
        before, under, behind = map(printable, (left, rest[0], rest[1:]))
        self.show([((sign, "title"), (before, ""), (under, "selected"), (behind, ""))])
