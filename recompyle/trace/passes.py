"""Where the tracer's probes go: a mark before each statement, one where each loop goes round, and one at each element
of a comprehension; and marks where runs begin and end.
"""

import ast
from collections.abc import Iterator
from typing import Any

from recompyle import inject
from recompyle.rewrite.passes import Renewable, is_docstring
from recompyle.trace.probes import Begin, Case, Element, Enter, First, Leave, Statements, Traced, Tracer
from recompyle.trace.snippets import FUNCTIONS, Line, Listing, line_of

__all__ = ["TraceStatements"]

_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_SCOPES = (*FUNCTIONS, ast.ClassDef, ast.Lambda)
_MADE_BY_THE_COMPILER = ("<", "__annotate__")


class TraceStatements(Renewable):
    """Counts the statements of a function and samples the variables they mention.

    Parameters:
        tracer: where it is recorded.
    """

    name = "trace"

    def __init__(self, tracer: Tracer):
        self.tracer = tracer

    def key(self) -> Tracer:
        return self.tracer

    def blank(self) -> "TraceStatements":
        return TraceStatements(Tracer(0, 0, 0, None))

    def renew(self, probe: Traced) -> Traced:
        return probe.of(self.tracer)

    def begin(self, at: Any) -> None:
        at.data = _Rewrite(self.tracer)
        if isinstance(at.node, ast.Lambda):
            at.data.number(at.node.body, at)

    def edits(self, code: Any, at: Any, nested: bool) -> list[inject.Edit]:
        if nested and code.co_name.startswith(_MADE_BY_THE_COMPILER):
            return []
        first = int(isinstance(at.node, ast.Lambda))
        leave = Leave(self.tracer, "leave")
        leaving = any(site.kind == "leaving" for site in inject.sites(code))
        return [
            inject.Edit("entry", Enter(self.tracer, at.data.statements, nested, first, "enter")),
            inject.Edit("return", leave),
            inject.Edit("leaving" if leaving else "unwind", leave, "value"),
        ]

    def end(self, at: Any) -> None:
        text = at.between((at.node.lineno, 0), (at.node.end_lineno, at.node.end_col_offset))
        lines = tuple(at.data.lines)
        listing = Listing(at.function, at.file, at.node.lineno, tuple(text.split("\n")), lines)
        at.data.statements.fill(listing, [each.names for each in lines], at.data.cases)

    # -- statements

    def _statement(self, node: ast.stmt, at: Any) -> None:
        if not is_docstring(node, at.parent(node)):
            at.data.mark(node, at)

    def visit_AnnAssign(self, node: ast.AnnAssign, at: Any) -> None:
        if node.value is not None or not isinstance(node.target, ast.Name):  # else it does nothing
            self._statement(node, at)

    def _loop(self, node: Any, at: Any) -> None:
        number = at.data.mark(node, at)
        at.mark_end(node, "body", Begin(self.tracer, number, f"again_{number}"), f"again_{number}")
        if _delays(node):
            # Nobody tells when the header begins, so its block, or what comes after the last time, has to.
            first = First(self.tracer, number, f"first_{number}")
            at.mark(node.body[0], first, first.label)
            if node.orelse:
                at.mark(node.orelse[0], first, first.label)
            else:
                at.mark_end(node, "orelse", first, first.label)

    visit_For = visit_AsyncFor = visit_While = _loop

    def visit_Continue(self, node: ast.Continue, at: Any) -> None:
        self._statement(node, at)
        way = list(_way_to_loop(node, at))
        around = [at.parent(each) for each in way]
        delaying = [outer for inner, outer in zip(way, around, strict=True) if _runs_finally(inner, outer)]
        if not delaying:
            number = at.data.numbers[id(around[-1])]
            at.mark(node, Begin(self.tracer, number, f"again_{number}"), f"again_{number}")
        for each in delaying:  # nobody else tells that it has ended before the header begins and changes variables
            if id(each) not in at.data.finished:
                at.data.finished.add(id(each))
                at.mark_end(each, "finalbody", Begin(self.tracer, 0, "finished"), "finished")

    def visit_ExceptHandler(self, node: ast.ExceptHandler, at: Any) -> None:
        number = at.data.number(node, at)
        if node.type is not None and at.why_not(node.type) is None:
            begin = Begin(self.tracer, number, f"except_{number}")
            at.through(node.type, begin, begin.label)
        first = First(self.tracer, number, f"except_{number}")
        at.mark(node.body[0], first, first.label)

    def visit_match_case(self, node: ast.match_case, at: Any) -> None:
        match = at.data.numbers[id(at.parent(node))]
        number = at.data.number(node, at)
        earlier = at.data.cases.get(match, ())
        at.data.cases[match] = (*earlier, number)
        case = Case(self.tracer, number, earlier, f"case_{number}")
        at.mark(node.body[0], case, case.label)

    # -- comprehensions

    def _comprehension(self, node: Any, at: Any) -> None:
        number = at.data.number(node, at)
        place = _observable(node.value if isinstance(node, ast.DictComp) else node.elt, at)
        if place is None:
            at.skip(node, "no part of its element can be observed")
            return
        element = Element(self.tracer, at.data.statements, number, f"element_{number}")
        at.through(place, element, element.label)

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension


for _kind in ast.stmt.__subclasses__():
    if _kind not in (ast.Global, ast.Nonlocal) and not hasattr(TraceStatements, f"visit_{_kind.__name__}"):
        setattr(TraceStatements, f"visit_{_kind.__name__}", TraceStatements._statement)


class _Rewrite:
    """What belongs to one rewrite of one function.

    Attributes:
        lines: what has been numbered, from 1.
        numbers: ``id(node)`` to its number.
        cases: of each ``match`` its ``case`` headers.
        finished: ``id(node)`` of each ``try`` with a mark at the end of its ``finally``.
    """

    def __init__(self, tracer: Tracer):
        self.tracer = tracer
        self.statements = Statements()
        self.lines: list[Line] = []
        self.numbers: dict[int, int] = {}
        self.cases: dict[int, tuple[int, ...]] = {}
        self.finished: set[int] = set()

    def number(self, node: ast.AST, at: Any) -> int:
        self.lines.append(line_of(node, at))
        self.numbers[id(node)] = len(self.lines)
        return len(self.lines)

    def mark(self, node: ast.stmt, at: Any) -> int:
        number = self.number(node, at)
        begin = Begin(self.tracer, number, f"begin_{number}")
        at.mark(node, begin, begin.label)
        return number


def _way_to_loop(node: ast.AST, at: Any) -> Iterator[ast.AST]:
    """A ``continue`` and what it stands in, as far as its loop."""
    while True:
        yield node
        node, inner = at.parent(node), node
        if isinstance(node, _LOOPS) and inner in node.body:
            return


def _runs_finally(node: ast.AST, around: Any) -> bool:
    """Whether leaving a node runs the ``finally`` of the statement around it."""
    return bool(getattr(around, "finalbody", None)) and node not in around.finalbody


def _delays(loop: Any) -> bool:
    """Whether a ``continue`` of a loop runs a ``finally`` before it gets there."""
    work = [(each, False) for each in loop.body]
    while work:
        node, delayed = work.pop()
        if isinstance(node, ast.Continue) and delayed:
            return True
        if isinstance(node, _SCOPES):
            continue
        if isinstance(node, _LOOPS):
            work += [(each, delayed) for each in node.orelse]
            continue
        for each in ast.iter_child_nodes(node):
            if isinstance(each, ast.stmt | ast.ExceptHandler | ast.match_case):
                work.append((each, delayed or _runs_finally(each, node)))
    return False


def _observable(node: Any, at: Any) -> Any:
    """The element of a comprehension, or a part that is evaluated whenever it is; None if no probe may stand there."""
    while node is not None and at.why_not(node) is not None:
        if isinstance(node, ast.BoolOp):
            node = node.values[0]
        elif isinstance(node, ast.IfExp):
            node = node.test
        elif isinstance(node, ast.Compare):
            node = node.left
        elif isinstance(node, ast.UnaryOp):
            node = node.operand
        elif isinstance(node, ast.Starred):
            node = node.value
        else:
            return None
    return node
