"""What is asked for: probes, and the sites they are meant for."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from ..errors import NotRewritable
from .decode import Body
from .points import KINDS, Place, Site, described

_SLOTS = {"statement": "__invert__", "value": "__getitem__", "hook": "__call__"}
WITHOUT_VALUE = ("entry", "created", "call")


@dataclass(frozen=True, slots=True)
class Edit:
    """A probe and where it goes.

    Parameters:
        site: kind of site.
        probe: object to run there. The code holds it among its constants.
        form: ``"statement"`` runs ``~probe``. ``"value"`` passes the object on top of the stack through
            ``probe[object]``, which must give back what is to be there. ``"hook"``, for ``entry`` only, calls
            ``probe(argument)``, an ordinary call that sees the frame of the function with the position of its
            first statement. What it raises, the function raises. At one entry, hooks run after other probes.
        index: number of the one site meant, as in `Site.index`; None means every site of the kind, if any.
        lines: only sites on these lines.
        where: only sites for which it is true: a callable with one `Site`.
        include_implicit: for ``call`` and ``called``: also calls that nobody wrote as a call: those of ``with``,
            ``class``, ``assert``, generator expressions and, on 3.11, comprehensions. For ``yield`` and ``resume``:
            also those of awaits, from 3.12.
        force: also in functions that are marked abstract.
        argument: what a hook is called with. Code objects hash and compare their constants, so the hook and its
            argument should do so by identity, or be strings.

    Raises:
        ValueError: unknown kind or form, or one that the kind does not have; an argument without a hook.
        TypeError: the probe lacks the method that the form calls.
    """

    site: str
    probe: object
    form: str = "statement"
    index: int | None = None
    argument: object = None
    lines: Collection[int] | None = None
    where: Callable[[Site], object] | None = None
    include_implicit: bool = False
    force: bool = False

    def __post_init__(self) -> None:
        if self.site not in KINDS:
            raise ValueError(f"unknown kind of site {self.site!r}; there are {', '.join(sorted(KINDS))}")
        if self.form not in _SLOTS:
            raise ValueError(f"unknown form {self.form!r}; there are 'statement', 'value' and 'hook'")
        if self.site in WITHOUT_VALUE and self.form == "value":
            raise ValueError(f"there is no value to pass at {self.site!r}; use the form 'statement'")
        if self.site != "entry" and self.form == "hook":
            raise ValueError(f"the form 'hook' is for 'entry' only, not for {self.site!r}")
        if self.argument is not None and self.form != "hook":
            raise ValueError(f"only the form 'hook' takes an argument, not {self.form!r}")
        slot = _SLOTS[self.form]
        if not (callable(self.probe) if self.form == "hook" else hasattr(type(self.probe), slot)):
            raise TypeError(f"{type(self.probe).__name__} has no {slot}, which the form {self.form!r} calls")

    def key(self) -> tuple[object, ...] | None:
        """Equal for edits whose result functions of one code may share while it lives; None if it is for one only."""
        if self.where is not None:
            return None
        lines = None if self.lines is None else tuple(self.lines)
        # Code objects may hold an equal string in place of this one, whose address is then soon that of another.
        argument = self.argument if type(self.argument) is str else id(self.argument)
        return self.site, id(self.probe), self.form, argument, self.index, lines, self.include_implicit


def matches(body: Body, places: list[Place], edits: Sequence[Edit]) -> list[tuple[Place, Edit]]:
    """Which edit goes where: places in their order, and at one place the edits in theirs."""
    chosen: dict[tuple[str, int], list[tuple[int, Edit]]] = {}  # by kind and number; each with its place in the order
    by_kind: dict[str, list[Place]] = {}
    for place in places:
        by_kind.setdefault(place.kind, []).append(place)
    for order, edit in enumerate(edits):
        # Only what comes last can have the location of what follows.
        key = order + len(edits) if edit.form == "hook" else order
        for number in _chosen(body, by_kind.get(edit.site, []), edit):
            chosen.setdefault((edit.site, number), []).append((key, edit))
    for pairs in chosen.values():
        pairs.sort(key=lambda pair: pair[0])
    return [(place, edit) for place in places for _, edit in chosen.get((place.kind, place.number), ())]


def _chosen(body: Body, mine: list[Place], edit: Edit) -> set[int]:
    """The numbers of the sites that an edit means, out of those of its kind.

    Raises:
        NotRewritable: it names sites, and there is none.
    """
    if edit.index is not None:
        mine = [place for place in mine if place.number == edit.index]
    elif not edit.include_implicit:
        mine = [place for place in mine if not place.implicit]
    if edit.lines is None and edit.where is None:
        numbers = {place.number for place in mine}
    else:
        found = described(body, mine)
        if edit.lines is not None:
            found = [site for site in found if site.line in edit.lines]
        if edit.where is not None:
            found = [site for site in found if edit.where(site)]
        numbers = {site.index for site in found}
    named = edit.index is not None or edit.lines is not None or edit.where is not None
    if not numbers and (named or edit.site == "created"):
        raise NotRewritable(f"{body.code!r}: has no {edit.site!r} site{_named(edit)}", "no_such_site")
    return numbers


def _named(edit: Edit) -> str:
    """How an edit chooses among the sites of its kind, for people."""
    parts = [f" number {edit.index}"] if edit.index is not None else []
    if edit.lines is not None:
        parts.append(f" on the lines {', '.join(map(str, edit.lines))}")
    if edit.where is not None:
        parts.append(" that its `where` takes")
    return "".join(parts)
