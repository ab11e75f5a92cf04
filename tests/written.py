"""Code objects of real source files, written with every kind of probe, and what is wrong with the result."""

import itertools
import operator
import os
import types
import warnings
from pathlib import Path

from recompyle import inject
from recompyle.inject import _fast, plain, verify

LIBRARY = Path(os.__file__).parent
KINDS = (
    "entry", "created", "return", "unwind", "handler", "call", "called", "yield", "resume", "throw", "await",
    "awaited", "waiting", "waited", "async_end", "leaving",
)  # fmt: skip
NO_VALUE = ("entry", "created", "call")
WRITTEN = ("co_code", "co_consts", "co_linetable", "co_exceptiontable", "co_stacksize")
TOGETHER = [
    ("entry",), ("entry", "return"), ("entry", "return", "unwind"), ("yield", "resume"), ("handler", "leaving"), KINDS,
]  # fmt: skip


class Probe:
    def __invert__(self):
        return None

    def __getitem__(self, value):
        return value


def sources(folder):
    """The source files below a folder, without what was installed into it."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(set(folders) - {"site-packages", "dist-packages", "__pycache__"})
        yield from (Path(parent, name) for name in sorted(files) if name.endswith(".py"))


def codes(path):
    """The code objects of a source file; none if it does not compile (some test data is wrong on purpose)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            module = compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError):
            return
    yield from _nested(module)


def _nested(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _nested(constant)


def edits(kinds, form, implicit=True):
    """An edit of each kind, at every site; ``form`` for those that have a value, or ``"hook"`` for the entry."""
    found = []
    for kind in kinds:
        if form == "hook" and kind == "entry":
            found.append(inject.Edit(kind, print, "hook", argument="name"))
        own = "value" if form == "value" and kind not in NO_VALUE else "statement"
        found.append(inject.Edit(kind, Probe(), own, include_implicit=implicit))
    return found


def prove(code):
    """Write a code object without edits, with each kind alone and with all at once, in both forms; what is wrong."""
    same = inject.write(code, [])
    found = [f"{code!r}: {n} changed without an edit" for n in WRITTEN if getattr(code, n) != getattr(same, n)]
    present = {site.kind for site in inject.sites(code, include_implicit=True)}
    together = tuple(kind for kind in KINDS if kind in present)
    for kinds in [*((kind,) for kind in together), together]:
        for form in ("statement",) if kinds[0] in NO_VALUE and len(kinds) == 1 else ("statement", "value"):
            chosen = edits(kinds, form)
            found += verify.faults(code, inject.write(code, chosen), chosen)
    return found


def differences(code, chosen):
    """What the two writers do differently; None if the fast one leaves it to the other."""
    fast = _fast.write(code, chosen)
    if fast is None:
        return None
    slow = plain.write(code, chosen)
    found = [name for name in WRITTEN if name != "co_consts" and getattr(fast, name) != getattr(slow, name)]
    same = len(fast.co_consts) == len(slow.co_consts) and all(map(operator.is_, fast.co_consts, slow.co_consts))
    return found if same else [*found, "co_consts"]


def compare(code):
    """What the two writers do differently with the usual edits, or the fast one leaves to the other; in words."""
    found = []
    sites = inject.sites(code, include_implicit=True)
    present = {site.kind for site in sites}
    ways = sorted({False, any(site.implicit for site in sites)})
    for kinds, form, implicit in itertools.product(TOGETHER, ("statement", "value", "hook"), ways):
        if chosen := edits([kind for kind in kinds if kind in present], form, implicit):
            what = f"{code!r}: {kinds}, {form}{', implicit ones too' * implicit}"
            differ = differences(code, chosen)
            if differ is None:
                found.append(f"{what}: left to the plain writer")
            elif differ:
                found.append(f"{what}: the writers differ in {', '.join(differ)}")
    return found


def random_edits(choice, pool):
    """A code object of the pool, and random edits at random sites of it."""
    code = choice.choice(pool)
    chosen = []
    for site in choice.choices(inject.sites(code, include_implicit=True), k=choice.choice((1, 2, 3, 8, 40, 200))):
        forms = ("statement", "value") if site.kind not in NO_VALUE else ("statement",)
        named = choice.choice(("all", "index", "line"))
        if named == "line" and site.line is not None:
            edit = inject.Edit(site.kind, Probe(), choice.choice(forms), lines={site.line}, include_implicit=True)
        elif named == "index":
            edit = inject.Edit(site.kind, Probe(), choice.choice(forms), site.index)
        else:
            edit = inject.Edit(site.kind, Probe(), choice.choice(forms), include_implicit=choice.choice((False, True)))
        chosen.append(edit)
    return code, chosen

