"""What a program that instruments itself holds of a function."""

from types import CodeType
from typing import TYPE_CHECKING

from recompyle.live.record import ErrorText, Record, Row

if TYPE_CHECKING:
    from recompyle.live.registry import Registry

__all__ = ["Handle"]


class Handle:
    """What is known of one path; a context manager that restores it.

    The instrumentation stays in place whether the handle is kept or not.
    """

    def __init__(self, registry: "Registry", record: Record):
        self._registry, self._own = registry, record

    @property
    def _record(self) -> Record:
        return self._own.now()

    @property
    def path(self) -> str:
        """The canonical path, which is also what a hook gets."""
        return self._record.path

    @property
    def aliases(self) -> list[str]:
        """Other paths of the same function."""
        return list(self._record.aliases)

    @property
    def owner(self) -> str:
        """The module or class that holds the function."""
        return self._record.owner

    @property
    def state(self) -> str:
        """``off``, ``applying``, ``on``, ``restoring``, ``pending`` (its module is not imported yet), ``refused``,
        ``failed``, or ``foreign``: somebody else has changed the code since."""
        return self._record.shown_state

    @property
    def mode(self) -> str | None:
        """``counter`` or ``hook``; None if neither was asked for so far."""
        return self._record.mode

    @property
    def notes(self) -> list[str]:
        """What should be known of it."""
        return list(self._record.notes)

    @property
    def error(self) -> ErrorText | None:
        """Why it is refused, failed, or why its hook is off."""
        return self._record.shown_error

    @property
    def hits(self) -> int:
        """How often the function was entered while it was instrumented, all times together."""
        return self._record.count

    @property
    def instrumentation_count(self) -> int:
        """The same as ``hits``."""
        return self.hits

    @property
    def call_count(self) -> int | None:
        """What the program's own counter says (see `counter`); None without one."""
        return self._registry.calls_of(self._record.path)

    @property
    def original_code(self) -> CodeType | None:
        """The code object that the function gets back; None while it is not instrumented."""
        return self._record.original_code

    @property
    def is_instrumented(self) -> bool:
        """Whether calls are counted."""
        return self._record.shown_state == "on"

    def in_flight(self) -> int:
        """How many frames still run code that the function had before its last change; they end in it.

        Of generators and coroutines it first looks for suspended ones, once after each change: some 10 ms per million
        objects.
        """
        return self._record.frames.count(search=True) or 0

    def restore(self) -> None:
        """Give the function its own code object back; doing it again does nothing. While pending: cancel.

        Raises:
            RecompyleError: an audit hook forbade it.
        """
        self._registry.restore(self._record)

    def row(self) -> Row:
        """All of it as plain data."""
        return self._registry.row(self._record)

    def __enter__(self) -> "Handle":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.restore()

    def __repr__(self) -> str:
        return f"<Handle {self.path} {self.state}: {self.hits} hits>"
