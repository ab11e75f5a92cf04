"""The one widget that draws: rows of cells, of which only those that have changed reach the terminal."""

from collections.abc import Sequence
from functools import cache
from itertools import groupby, zip_longest
from operator import itemgetter

from rich.segment import Segment
from rich.style import Style
from textual.color import TRANSPARENT, Color
from textual.filter import LineFilter
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from recompyle.live.table import width_of
from recompyle.live.tui.view import Row

__all__ = ["Canvas", "Colourless"]

# The terminal's own sixteen colours, on its own background.
STYLES = {
    "": Style(),
    "head": Style(bold=True),
    "title": Style(bold=True),
    "hint": Style(dim=True),
    "info": Style(),
    "error": Style(bold=True, color="red"),
    "selected": Style(reverse=True),
    "on": Style(bold=True, color="green"),
    "pending": Style(color="yellow"),
    "refused": Style(color="red"),
    "failed": Style(color="red"),
    "foreign": Style(color="magenta"),
}


@cache
def style_of(names: str) -> Style:
    """The style of names with spaces between them; those that are unknown look like nothing special."""
    return sum((STYLES.get(name, STYLES[""]) for name in names.split()), STYLES[""])


class Canvas(Widget):
    """Shows rows of cells as they are: no markup, no wrapping.

    A changed row is drawn as far as its last changed cell: everything behind it stays, and what is before it is sent
    anyway.
    """

    can_focus = False
    DEFAULT_CSS = "Canvas { height: 1; }"

    def __init__(self) -> None:
        super().__init__()
        self._rows: Sequence[Row] = ()
        self._strips: dict[int, Strip] = {}  # of rows that are as they were when they were drawn last
        self._drawn_width = 0

    def show(self, rows: Sequence[Row]) -> None:
        """Show other rows."""
        changed = []
        for y, (new, old) in enumerate(zip_longest(rows, self._rows, fillvalue=())):
            if new != old:
                changed.append(Region(0, y, self._changed_to(new, old), 1))
                self._strips.pop(y, None)
        self._rows = rows
        if changed:
            self.refresh(*changed)

    def _changed_to(self, new: Row, old: Row) -> int:
        """Where the last changed cell of a row ends."""
        same = 0
        while same < min(len(new), len(old)) and new[-1 - same] == old[-1 - same]:
            same += 1
        if same:
            ends = {sum([width_of(text) for text, _ in row[: len(row) - same]]) for row in (new, old)}
            if len(ends) == 1:  # what stays the same has not moved either
                return ends.pop()
        return max(self.size.width, 1)

    def render_lines(self, crop: Region) -> list[Strip]:
        # As the Widget's own, which asks for borders, padding, opacity and so on for each line: here are none.
        width = self.size.width
        if width != self._drawn_width:
            self._strips.clear()
            self._drawn_width = width
        strips = [self._strips.get(y) or self._drawn(y, width) for y in crop.line_range]
        return strips if crop.width == width else [strip.crop(crop.x, crop.right) for strip in strips]

    def _drawn(self, y: int, width: int) -> Strip:
        cells = self._rows[y] if y < len(self._rows) else ()
        # fewer segments, fewer bytes
        parts = [("".join(text for text, _ in run), style) for style, run in groupby(cells, key=itemgetter(1))]
        strip = Strip([Segment(text, style_of(style)) for text, style in parts])
        strip = strip.adjust_cell_length(width, STYLES[""])
        for each in self.get_line_filters():
            strip = strip.apply_filter(each, TRANSPARENT)
        self._strips[y] = strip
        return strip


class Colourless(LineFilter):
    """Takes colours away and leaves bold and reverse."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [Segment(text, style.without_color if style else None, control) for text, style, control in segments]
