"""What all screens have in common."""

from textual.events import Key
from textual.screen import Screen

__all__ = ["Page"]


class Page(Screen[None]):
    """A screen that is drawn anew on request, and takes in all keys itself."""

    def draw(self) -> None:
        """Show everything as it is now."""
        raise NotImplementedError

    def press(self, event: Key) -> None:
        """Do what a key stands for."""
        raise NotImplementedError

    def on_key(self, event: Key) -> None:
        event.stop()
        # While this key was on its way, an earlier one may have opened another page, or closed this one.
        page = self.app.screen
        if isinstance(page, Page):
            page.press(event)
