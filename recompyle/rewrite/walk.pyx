"""Lists the nodes of a function in source order: what passes are shown.

A walk by an explicit list of work, as code may be nested deeper than Python may recurse. It is most of the work of a
pass that asks for little.
"""

import ast

from recompyle._env import INLINED_COMPREHENSIONS

_FUNCTIONS = frozenset({ast.FunctionDef, ast.AsyncFunctionDef})
_COMPREHENSIONS = frozenset({ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp})
_SCOPES = _FUNCTIONS | _COMPREHENSIONS | {ast.ClassDef, ast.Lambda}

# What may not hold probes, and the context of a name: one object for all names of a file.
_HIDDEN = ("annotation", "type_params", "type_comment", "pattern", "ctx")


class Walk:
    """One walk over a function's body.

    Attributes:
        order: the nodes in source order, each with the number of functions around it within the walked one.
        parents: ``id(node)`` to the node's parent.
        nested: ids of nodes that run in another frame.
    """

    __slots__ = ("nested", "order", "parents")

    def __init__(self, root=None):
        self.order = []
        self.parents = {}
        self.nested = set()
        if root is not None:
            _walk(root, self.order, self.parents, self.nested)


cdef _walk(root, list order, dict parents, set nested_ones):
    cdef list work = [], children
    cdef tuple fields
    body = [root.body] if type(root) is ast.Lambda else root.body
    for child in reversed(body):
        work.append((child, root, False, 0))
    while work:
        node, parent, nested, depth = work.pop()
        parents[id(node)] = parent
        if nested:
            nested_ones.add(id(node))
        order.append((node, depth))
        kind = type(node)
        if kind in _SCOPES:
            children = _of_scope(node, kind, nested, depth, parents)
            children.reverse()
            work += children
            continue
        fields = _fields_of(kind)
        for field in fields:
            value = getattr(node, field, None)
            if type(value) is list:
                for child in reversed(<list> value):
                    if isinstance(child, ast.AST):
                        work.append((child, node, nested, depth))
            elif isinstance(value, ast.AST):
                work.append((value, node, nested, depth))


cdef list _of_scope(node, kind, nested, depth, dict parents):
    """The parts of a function, class or comprehension, each with where it runs."""
    cdef list parts = []
    if kind in _COMPREHENSIONS:
        # The first iterable is evaluated outside; the rest in a frame of its own, unless it is inlined.
        inner = nested or not (INLINED_COMPREHENSIONS and kind is not ast.GeneratorExp)
        for element in (node.key, node.value) if kind is ast.DictComp else (node.elt,):
            if element is not None:
                parts.append((element, node, inner, depth))
        for i, generator in enumerate(node.generators):
            parents[id(generator)] = node
            parts.append((generator.target, generator, inner, depth))
            parts.append((generator.iter, generator, nested if i == 0 else inner, depth))
            for test in generator.ifs:
                parts.append((test, generator, inner, depth))
    elif kind is ast.Lambda:
        parts.append((node.body, node, True, depth))
    else:
        if kind is ast.ClassDef and not getattr(node, "type_params", ()):
            for base in node.bases:
                parts.append((base, node, nested, depth))
            for keyword in node.keywords:
                parts.append((keyword.value, node, nested, depth))
        for statement in node.body:
            parts.append((statement, node, True, depth + 1))
    return parts


_known_fields = {}


cdef tuple _fields_of(kind):
    """The fields of a kind of node that may hold probes, last one first."""
    fields = _known_fields.get(kind)
    if fields is None:
        visible = () if kind.__name__ == "TypeAlias" else tuple(each for each in kind._fields if each not in _HIDDEN)
        fields = _known_fields[kind] = visible[::-1]
    return fields
