"""Passes for common wishes, ready to be given probes.

Each takes what to place and which places to choose; see `Chosen`.
"""

import ast
from collections.abc import Callable
from typing import Any

from recompyle import inject
from recompyle.rewrite.names import dotted, matcher
from recompyle.rewrite.passes import Pass, Site, is_docstring, is_super

__all__ = ["Assignments", "Calls", "Chosen", "EntryExit", "Expressions", "Handlers", "Loops", "Statements"]

_OPTIMIZED = 0x1  # set for functions, not for class bodies
_MADE_BY_THE_COMPILER = ("<genexpr>", "<listcomp>", "<setcomp>", "<dictcomp>", "<generic", "__annotate__")


class Chosen(Pass):
    """What the ready passes have in common: which sites they choose, and which probe each site gets.

    Parameters:
        probe: a probe for all sites; or a function, or class, that takes a `Site` and gives its probe, or None for a
            site that gets none. It is called once for each site, however often a function is rewritten.
        names: patterns such as ``"os.*"`` or ``"table[*].get"``, or a list of them, of which the site's name must match
            one. ``*`` stands for anything, as a subscript for any one. A site without a name matches none.
        lines: the first and last line of a range in which the site must begin.
        where: a function that takes the `Site` and tells whether it is chosen.
        nested_functions: whether functions and classes defined inside take part.

    Attributes:
        probes: the probe of each site that got one, by site.
    """

    def __init__(
        self,
        probe: Any,
        *,
        names: "str | list[str] | tuple[str, ...] | None" = None,
        lines: "tuple[int, int] | None" = None,
        where: "Callable[[Site], bool] | None" = None,
        nested_functions: bool = True,
    ):
        self.name = type(self).__name__
        self.nested_functions = nested_functions
        self.probes: dict[Site, Any] = {}
        self._probe = probe
        self._is_named = None if names is None else matcher([names] if isinstance(names, str) else names)
        self._lines = lines
        self._where = where

    def _place(self, kind: str, node: Any, name: "str | None", at: Any, probe: Any = None) -> Any:
        """The site of a node and its probe; None if the node is not chosen, and then it leaves no site behind."""
        site = at.site(node, kind, name) if isinstance(node, ast.AST) else at.site_of(node, kind)
        if site not in self.probes and self._chooses(site):
            wanted = self._probe if probe is None else probe
            made = wanted if _is_probe(wanted) else wanted(site)
            if made is not None:
                self.probes[site] = made
        if site in self.probes:
            return site, self.probes[site]
        at.sites.pop()
        return None

    def _chooses(self, site: Site) -> bool:
        if self._is_named is not None and not (site.name and self._is_named(site.name)):
            return False
        if self._lines is not None and not self._lines[0] <= site.line <= self._lines[1]:
            return False
        return self._where is None or bool(self._where(site))

    def _mark(self, kind: str, statement: ast.stmt, node: ast.AST, name: "str | None", at: Any) -> None:
        placed = self._place(kind, node, name, at)
        if placed is not None:
            site, probe = placed
            at.mark(statement, probe, f"{kind}_{site.id}")

    def _through(self, kind: str, value: ast.expr, node: ast.AST, name: "str | None", at: Any) -> None:
        reason = at.why_not(value)
        if reason is not None:
            at.skip(value, reason)
            return
        placed = self._place(kind, node, name, at)
        if placed is not None:
            site, probe = placed
            at.through(value, probe, f"{kind}_{site.id}")


def _is_probe(probe: Any) -> bool:
    kind = type(probe)
    return hasattr(kind, "__getitem__") or hasattr(kind, "__invert__") or _is_pair(probe)


def _is_pair(probe: Any) -> bool:
    return not isinstance(probe, type) and hasattr(probe, "start") and hasattr(probe, "end")


class Calls(Chosen):
    """Calls: their results pass through ``probe[result]``.

    A probe with the attributes ``start`` and ``end``, such as a `Clock`, goes round the call instead. A site's name is
    the callee's, as far as it is a dotted one. ``super()`` is left alone.
    """

    def visit_Call(self, node: ast.Call, at: Any) -> None:
        if is_super(node):
            return
        placed = self._place("call", node, dotted(node.func), at)
        if placed is None:
            return
        site, probe = placed
        if _is_pair(probe):
            at.around(node, probe.start, probe.end, f"_{site.id}")
        elif (reason := at.why_not(node)) is None:
            at.through(node, probe, f"call_{site.id}")
        else:
            at.skip(node, reason)


class Statements(Chosen):
    """Statements: ``~probe`` runs before each that does something: not before docstrings, ``global``, ``nonlocal``."""

    def _visit(self, node: ast.stmt, at: Any) -> None:
        if not is_docstring(node, at.parent(node)):
            self._mark("statement", node, node, None, at)


for _statement in ast.stmt.__subclasses__():
    if _statement not in (ast.Global, ast.Nonlocal):
        setattr(Statements, f"visit_{_statement.__name__}", Statements._visit)


class Expressions(Chosen):
    """Expressions: their values pass through ``probe[value]``, wherever that changes nothing.

    Places where it would are left alone and listed in ``preview(...).skipped``. A site's name is that of a dotted name.
    """

    def _visit(self, node: ast.expr, at: Any) -> None:
        if isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del)):
            return
        self._through("expression", node, node, dotted(node), at)


for _expression in ast.expr.__subclasses__():
    if _expression not in (ast.Constant, ast.Slice, ast.Starred):
        setattr(Expressions, f"visit_{_expression.__name__}", Expressions._visit)


class Assignments(Chosen):
    """Assigned values pass through ``probe[value]``: of ``=``, ``:=`` and annotated assignments.

    A site's name is that of the (first) target, as far as it is a dotted one. Constants are left alone.
    """

    def visit_Assign(self, node: ast.Assign, at: Any) -> None:
        self._assigned(node, node.targets[0], at)

    def visit_NamedExpr(self, node: ast.NamedExpr, at: Any) -> None:
        self._assigned(node, node.target, at)

    def visit_AnnAssign(self, node: ast.AnnAssign, at: Any) -> None:
        if node.value is not None:
            self._assigned(node, node.target, at)

    def _assigned(self, node: Any, target: ast.expr, at: Any) -> None:
        self._through("assignment", node.value, node, dotted(target), at)


class Loops(Chosen):
    """Iterations of ``for``, ``async for`` and ``while``: ``~probe`` runs at the start of each.

    A site's name is the loop's target, or None. Comprehensions are not seen.
    """

    def visit_For(self, node: Any, at: Any) -> None:
        self._mark("iteration", node.body[0], node, dotted(getattr(node, "target", None)), at)

    visit_AsyncFor = visit_While = visit_For


class Handlers(Chosen):
    """Exception handlers: ``~probe`` runs at the start of each ``except``, when ``sys.exception()`` is the exception.

    A site's name is that of the exception type, as far as it is a dotted one.
    """

    def visit_ExceptHandler(self, node: ast.ExceptHandler, at: Any) -> None:
        self._mark("handler", node.body[0], node, dotted(node.type), at)


class EntryExit(Chosen):
    """Begin and end of each run of a function, also without source.

    Parameters:
        entry: ``~entry`` runs when the body starts, with the arguments in their variables.
        exit: the result passes through ``exit[result]``.
        error: an exception that leaves the function passes through ``error[exception]``.
        options: see `Chosen`; each of the three is what is called ``probe`` there. A site's name is the qualified name
            of the function, its kind ``entry``, ``exit`` or ``error``.
    """

    def __init__(self, entry: Any = None, exit: Any = None, error: Any = None, **options: Any):
        super().__init__(None, **options)
        self._wanted = {"entry": entry, "exit": exit, "error": error}

    def needs_source(self) -> bool:
        return False

    def edits(self, code: Any, at: Any, nested: bool) -> list[inject.Edit]:
        if nested and (not self.nested_functions or not _is_function(code)):
            return []
        found = []
        for kind, (place, form) in _ENDS.items():
            if self._wanted[kind] is not None:
                placed = self._place(kind, code, None, at, self._wanted[kind])
                if placed is not None:
                    found.append(inject.Edit(place, placed[1], form))
        return found


_ENDS = {"entry": ("entry", "statement"), "exit": ("return", "value"), "error": ("unwind", "value")}


def _is_function(code: Any) -> bool:
    return bool(code.co_flags & _OPTIMIZED) and not code.co_name.startswith(_MADE_BY_THE_COMPILER)
