"""Free passes: what they put in place of nodes, and where the other passes' probes stand then.

First the replacements that passes asked for are made, on a copy of the function; then each ast.NodeTransformer gets
that copy, in order. The nodes of the copy are known by the original ones they come from. So the requests of all
passes, which were made about the original, are made once more, about what is left of it.
"""

import ast
from itertools import pairwise

from recompyle.errors import PassError
from recompyle.rewrite.order import Transformer
from recompyle.rewrite.passes import Given, Plan, Skipped, Wrap, guard, is_docstring, why_not, why_not_callee
from recompyle.rewrite.probes import Held

__all__ = ["is_free", "rebuild"]

_LITERAL = (str, bytes, int, float, complex, bool, type(None), type(...))


def is_free(plan, passes) -> bool:
    """Whether a rewrite changes more than probes can."""
    return bool(plan.replaced) or any(isinstance(each, Transformer) for each in passes)


def rebuild(context, plan, passes, cursors):
    """Make the tree that free passes want.

    Parameters:
        context: the function's `recompyle.rewrite.skeleton.Context`.
        plan: what all passes asked for.
        passes, cursors: the passes in order, and the cursor of each.

    Returns:
        The function's new node, and the plan for it. If nothing is changed after all, the node and the plan given.

    Raises:
        PassError: a transformer failed, or gave back something else than the function.
    """
    root = context.definition.node
    tree = _Copy(root, plan)
    blamed = next((each for each in passes if each.level == "free"), passes[0])
    node = guard(blamed, None, cursors[0], tree.copy, root)
    for each, at in zip(passes, cursors, strict=True):
        if isinstance(each, Transformer):
            node = _transformed(node, each, at)
            tree.settle(node)
    if not plan.replaced and ast.dump(node, include_attributes=True) == ast.dump(root, include_attributes=True):
        return root, plan
    return node, tree.plan_for(node, cursors[0])


def _transformed(node, each, at):
    statement = ast.copy_location(ast.Expr(node), node) if isinstance(node, ast.Lambda) else node
    module = ast.Module(body=[statement], type_ignores=[])
    try:
        result = guard(each, None, at, each.transformer.visit, module)
    except PassError as refusal:
        raise PassError(f"{refusal}{at.excerpt(_visited_last(refusal.__cause__))}") from refusal.__cause__
    body = result.body if isinstance(result, ast.Module) else [result]
    made = body[0] if len(body) == 1 else None
    if isinstance(made, ast.Expr):
        made = made.value
    if type(made) is not type(node):
        kind = "lambda" if isinstance(node, ast.Lambda) else f"definition of {node.name}"
        raise PassError(f"pass {each.name!r} in {at.function}: it must give back one {kind}, and nothing else")
    return made


def _visited_last(error):
    """The node that a transformer was at when it raised: the argument of the innermost frame that has one."""
    found, traceback = None, error.__traceback__
    while traceback is not None:
        code, values = traceback.tb_frame.f_code, traceback.tb_frame.f_locals
        nodes = [values.get(name) for name in code.co_varnames[: code.co_argcount]]
        found = next((each for each in nodes if isinstance(each, (ast.expr, ast.stmt))), found)
        traceback = traceback.tb_next
    return found


class _Copy:
    """A function's tree, copied node by node, with replacements.

    State: ``origins`` (id of a copy to the copy, which must not be freed, and its original; None for a new node) and
    ``level`` (id of a node to how many of its replacements are still to be made).
    """

    def __init__(self, root, plan):
        self.root = root
        self.plan = plan
        self.own = {id(node) for node in ast.walk(root)}
        self.origins = {}
        self.level = {key: len(replacements) for key, replacements in plan.replaced.items()}

    # -- replacements

    def copy(self, node, place=None):
        """A copy of a node, or a list of statements in place of it; ``place`` is the node that it stands in for."""
        key = id(node)
        level = self.level.get(key, 0)
        if level:
            self.level[key] = level - 1
            new = self.plan.replaced[key][level - 1].new
            made = self.copies(new, node) if isinstance(new, list) else self.copy(new, node)
            self.level[key] = level
            return made
        original = node if key in self.own else None
        if "lineno" in node._attributes and (original is not None or self.is_inside(node)):
            place = node
        fields = {name: self.value(getattr(node, name), place) for name in node._fields if hasattr(node, name)}
        made = type(node)(**fields)
        if isinstance(node, Given):
            made.label = node.label
        if "lineno" in node._attributes:
            _put(made, place)
            self.origins[id(made)] = made, original
        return made

    def value(self, value, place):
        if isinstance(value, ast.AST):
            return self.copy(value, place)
        return self.copies(value, place) if isinstance(value, list) else value

    def copies(self, values, place):
        made = []
        for each in values:
            copied = self.value(each, place)
            made += copied if isinstance(copied, list) else [copied]
        return made

    # -- positions

    def is_inside(self, node):
        """Whether a node says of itself that it stands in the function."""
        line = getattr(node, "lineno", None)
        return line is not None and hasattr(node, "col_offset") and self.root.lineno <= line <= self.root.end_lineno

    def settle(self, node):
        """Give the nodes that a transformer made a position in the function, if they have none.

        They take that of the original nodes inside them; a new statement with none that of the next one, or of the one
        before; everything else that of what it is part of.
        """
        work = [(node, self.root)]
        while work:
            node, place = work.pop()
            if "lineno" in node._attributes:
                if not self.is_inside(node):
                    _put(node, self.span(node) or place)
                else:
                    _put(node, node)
                self.origins.setdefault(id(node), (node, None))
                place = node
            for _, value in ast.iter_fields(node):
                if isinstance(value, ast.AST):
                    work.append((value, place))
                elif isinstance(value, list):
                    self.settle_statements(value)
                    work += [(each, place) for each in value if isinstance(each, ast.AST)]

    def settle_statements(self, body):
        for way in (body[::-1], body):
            for neighbour, each in pairwise(way):
                if isinstance(each, ast.stmt) and not self.is_inside(each):
                    place = self.span(each) or (neighbour if self.is_inside(neighbour) else None)
                    if place is not None:
                        _put(each, place)

    def span(self, node):
        """The range of the original nodes inside a new one."""
        parts = [each for each in ast.walk(node) if id(each) in self.origins and self.is_inside(each)]
        if not parts:
            return None
        first = min(parts, key=lambda each: (each.lineno, each.col_offset))
        last = max(parts, key=lambda each: (each.end_lineno, each.end_col_offset))
        return _Range(first, last)

    # -- requests

    def plan_for(self, root, at):
        """The requests of the function's plan, about the nodes of the new tree."""
        made = Plan()
        made.skipped = list(self.plan.skipped)
        copies = {}
        for parent in ast.walk(root):
            for node in ast.iter_child_nodes(parent):
                made.parents[id(node)] = parent
                known = self.origins.get(id(node))
                if known is not None and known[1] is not None:
                    copies.setdefault(id(known[1]), {})[id(node)] = node
                if isinstance(node, ast.Constant) and (isinstance(node, Given) or not _is_literal(node.value)):
                    label = getattr(node, "label", Given.label)
                    made.request(made.held, node, Wrap("held", Held(node.value), label))
        place = _Place(made.parents, at.imports)
        for verb, node, arguments in self.plan.asked:
            if verb == "callee":
                arguments = (*arguments[:-1], None)  # the direct form needs code to be compared with
            left = list(copies.get(id(node), {}).values())
            reasons = {_why_not_here(verb, copy, place) for copy in left} if left else {"a free pass has replaced it"}
            for copy in left:
                if _why_not_here(verb, copy, place) is None:
                    made.ask(verb, copy, *arguments)
            made.skipped += [
                Skipped(node.lineno, node.col_offset, at.source(node), reason) for reason in reasons - {None}
            ]
        return made


class _Range:
    """A position from the beginning of one node to the end of another."""

    def __init__(self, first, last):
        self.lineno, self.col_offset = first.lineno, first.col_offset
        self.end_lineno, self.end_col_offset = last.end_lineno, last.end_col_offset


class _Place:
    """What `why_not` wants to know of a tree."""

    def __init__(self, parents, imports):
        self.parents = parents
        self.imports = imports

    def parent(self, node):
        return self.parents.get(id(node))


def _why_not_here(verb, node, place):
    """Why a probe that was asked for about a node may not stand at its copy."""
    if verb == "through":
        return why_not(node, place.parent(node), place)
    if verb == "callee":
        return why_not_callee(node, place)
    if verb == "mark" and is_docstring(node, place.parent(node)):
        return "it is a docstring now"
    return None


def _put(node, place):
    """Give a node the position of another; it has an end even where the author left that out."""
    node.lineno, node.col_offset = place.lineno, place.col_offset
    end_line, end_column = getattr(place, "end_lineno", None), getattr(place, "end_col_offset", None)
    complete = end_line is not None and end_column is not None
    node.end_lineno, node.end_col_offset = (end_line, end_column) if complete else (node.lineno, node.col_offset)


def _is_literal(value):
    """Whether the compiler takes a value as a constant."""
    if type(value) in (tuple, frozenset):
        return all(map(_is_literal, value))
    return type(value) in _LITERAL
