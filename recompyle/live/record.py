"""What is known of one function, and how it is told."""

import weakref
from types import CodeType, FunctionType
from typing import Any, TypedDict

from recompyle.live import running
from recompyle.live._guard import Guard, Hits
from recompyle.live.monitoring import Watched
from recompyle.live.resolve import Function, Target
from recompyle.patch.registry import Patch

__all__ = ["LARGEST", "ErrorText", "Record", "Row", "failure_of", "text_of"]

LARGEST = 1 << 64  # of whole numbers that anybody is told, either way


class ErrorText(TypedDict):
    """Why something was refused: a stable word and a text for people."""

    slug: str
    text: str


class Row(TypedDict):
    """One function, as the API, JSON and the protocol show it; the members are described in the reference."""

    path: str
    aliases: list[str]
    kind: str
    flavor: str
    owner: str
    file: str
    line: int
    state: str
    mode: str | None
    calls: int | None
    hits: int
    rate: float | None
    last_hit_ms: float | None
    in_flight: int | None
    slot: int | None
    engine: str
    notes: list[str]
    error: ErrorText | None


class Record:
    """What is known of one function.

    Attributes:
        path, aliases, kind, flavor, owner, file, line, notes: as of `recompyle.live.resolve.Target`; of a pending
            path only the path is known.
        state: ``off``, ``applying``, ``on``, ``restoring``, ``pending``, ``refused`` or ``failed``.
        mode: ``counter`` or ``hook``; None while neither was asked for.
        created: whether generator and coroutine objects are counted, not the bodies that were started.
        error: why it is refused or failed.
        hits: the counter; None before the first time.
        guard: what calls the hook; None in counter mode.
        own_hook: whether the hook was given for this function alone.
        engine: ``code`` or ``monitoring``.
        patch: what put the probe in place; None before the first time.
        original_code: the code object that it had before; None while it is off.
        holders: who asked for it; it is restored when the last one lets go.
        wanted: the options to apply when the module has been imported.
    """

    __slots__ = (
        "__weakref__",
        "aliases",
        "became",
        "created",
        "engine",
        "error",
        "file",
        "flavor",
        "frames",
        "guard",
        "hits",
        "holders",
        "keep",
        "kind",
        "line",
        "mode",
        "notes",
        "original_code",
        "own_hook",
        "owner",
        "patch",
        "path",
        "ref",
        "state",
        "wanted",
    )

    def __init__(self, path: str):
        self.path = path
        self.aliases: list[str] = []
        self.kind, self.flavor, self.owner, self.file, self.line = "function", "plain", path.partition(":")[0], "", 0
        self.notes: list[str] = []
        self.state = "off"
        self.mode: str | None = None
        self.created = False
        self.error: ErrorText | None = None
        self.hits: Hits | None = None
        self.guard: Guard | None = None
        self.own_hook = False
        self.engine = "code"
        self.patch: Patch | Watched | None = None
        self.original_code: CodeType | None = None
        self.holders: set[object] = set()
        self.wanted: dict[str, Any] = {}
        self.ref: weakref.ref[FunctionType] | None = None
        self.keep: Function | None = None  # what stands for closures yet to be made belongs to nobody else
        self.frames = running.Frames()
        self.became: Record | None = None

    def now(self) -> "Record":
        """This record, or the one that it turned out to be another name of."""
        record = self
        while record.became is not None:
            record = record.became
        return record

    def describe(self, target: Target) -> None:
        """Take over what was resolved."""
        self.path, self.kind, self.flavor, self.owner = target.path, target.kind, target.flavor, target.owner
        self.file, self.line, self.notes = target.file, target.line, list(target.notes)
        self.aliases = list(dict.fromkeys((*self.aliases, *target.aliases)))
        if self.path in self.aliases:
            self.aliases.remove(self.path)

    @property
    def is_freed(self) -> bool:
        """Whether its function is no more."""
        return self.ref is not None and self.ref() is None

    @property
    def shown_state(self) -> str:
        """The state, ``foreign`` if somebody else has changed the code since."""
        if self.state == "on" and self.patch is not None and self.patch.state == "foreign":
            return "foreign"
        return self.state

    @property
    def shown_error(self) -> ErrorText | None:
        """Why it is refused or failed, or why its hook is called no more."""
        if self.error is None and self.guard is not None and self.guard.off:
            text = "the hook raised 10 times in a row and is called no more; hits are counted"
            return {"slug": "hook_disabled", "text": text}
        return self.error

    @property
    def count(self) -> int:
        """How often it was hit."""
        return 0 if self.hits is None else self.hits.count


def text_of(error: BaseException) -> str:
    """What an error says, whoever's it is."""
    try:
        return str(error)
    except Exception:
        return "it cannot say what was wrong"


def failure_of(error: BaseException) -> ErrorText:
    """Why something failed that nobody refused."""
    return {"slug": "failed", "text": f"{type(error).__name__}: {text_of(error)}"}
