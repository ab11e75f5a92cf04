"""Applies the requests of a plan to a function's tree.

A place for a probe is written as a conditional expression over one constant, ``C if True else C``, where C is
a complex number that nobody else uses. The compiler turns it into one plain load: it is never folded into its
surroundings, nor warned about, as a bare constant would be in one place or another. Probes replace the
constants after compiling (`recompyle.rewrite.link`).

Only the nodes between the function and a request are copied; all others stay shared with the original tree.
"""

import ast

from recompyle._env import HAS_COLUMNS

# Columns from here on are no columns but numbers of placeholders. They must be positive: debug builds of
# CPython assert that, and 3.13.0 miscompiles code with location -1.
cdef enum:
    MARKER = 1 << 24

# Imaginary part of every placeholder; the real part is its number.
MAGIC = 7.2360679774997896964e-301


# The compiler passes more arguments than these in a tuple, a named one counting double.
cdef enum:
    FEW_ARGUMENTS = 30

_POSITION = ("lineno", "col_offset", "end_lineno", "end_col_offset")
_LOAD = ast.Load()
_INVERT = ast.Invert()
_new = ast.AST.__new__


class Placeholder:
    """A place that will hold a probe.

    Attributes:
        number: from 0, within one function.
        probe: what will stand there.
        role: ``through`` (``probe[value]``), ``callee`` (the same with what is called), ``first``
            (``(~probe)[value]``), ``mark`` (``~probe``), ``ending`` (a mark behind the last statement of a block, where
            the compiler may let several ways meet), ``held`` (``~probe``, as an expression), ``call`` (called instead,
            with the callee in front of the arguments) or ``argument`` (between callee and arguments).
        before: the probe's instructions belong to what follows (starts), not to what went before (ends).
    """

    __slots__ = ("number", "probe", "role", "before")

    def __init__(self, number, probe, role, before):
        self.number = number
        self.probe = probe
        self.role = role
        self.before = before

    @property
    def constant(self):
        """The constant that stands for the probe until the code is linked."""
        return constant_of(self.number)


def constant_of(number):
    """The constant that stands for the probe of a number."""
    return complex(number + 1, MAGIC)


def number_of(column):
    """The number of the placeholder that a marker column names; -1 for a true column."""
    return column - MARKER if column is not None and column >= MARKER else -1


def transform(node, plan, names=False):
    """Build the function's tree with a placeholder wherever the plan asks for a probe.

    Parameters:
        node: FunctionDef, AsyncFunctionDef or Lambda; not changed.
        plan: the `recompyle.rewrite.passes.Plan`.
        names: write readable names in place of placeholders, for people to read.

    Returns:
        The new node and the list of placeholders.
    """
    builder = _Builder(plan, names)
    return builder.build(node), builder.placeholders


cdef bint _is_plain(node):
    """Whether a call stays a call of the same kind with two arguments more, and can be told by its column."""
    return (
        HAS_COLUMNS
        and not any(isinstance(each, ast.Starred) for each in node.args)
        and all(each.arg is not None for each in node.keywords)
        and len(node.args) + 2 * len(node.keywords) + 2 <= FEW_ARGUMENTS
    )


cdef _node(kind, dict fields):
    """A node made of its fields and position; the constructors of nodes look at them, at several times the price."""
    node = _new(kind)
    node.__dict__ = fields
    return node


cdef class _Builder:
    cdef dict inner, outer, callees, marks, endings, held  # those of the plan
    cdef bint names
    cdef set touched
    cdef readonly list placeholders

    def __init__(self, plan, names):
        self.inner, self.outer, self.callees = plan.inner, plan.outer, plan.callees
        self.marks, self.endings, self.held = plan.marks, plan.endings, plan.held
        self.names = names
        self.placeholders = []
        self.touched = set()
        for node in plan.nodes.values():
            while node is not None and id(node) not in self.touched:
                self.touched.add(id(node))
                node = plan.parents.get(id(node))

    cpdef build(self, node):
        number = id(node)
        if number not in self.touched:
            return node
        held = self.held.get(number)
        copy = self.copy(node) if held is None else self.hold(node, held[0])
        callees = self.callees.get(number, ())
        for wrap in callees:
            copy = self.call(copy, node, wrap, wrap is callees[-1])
        for wrap in self.inner.get(number, ()):
            copy = self.wrap(copy, node, wrap, False)
        for wrap in self.outer.get(number, ()):
            copy = self.wrap(copy, node, wrap, True)
        return copy

    cdef copy(self, node):
        cdef dict fields = dict(node.__dict__)
        for field in node._fields:
            value = fields.get(field)
            if type(value) is list:
                fields[field] = built = self.build_list(value)
                for wrap in self.endings.get((id(node), field), ()):
                    built.append(self.mark((value or [node])[-1], wrap))
            elif isinstance(value, ast.AST):
                fields[field] = self.build(value)
        return _node(type(node), fields)

    cdef list build_list(self, list items):
        cdef list built = []
        for item in items:
            if not isinstance(item, ast.AST):
                built.append(item)
                continue
            for wrap in self.marks.get(id(item), ()):
                built.append(self.mark(item, wrap))
            built.append(self.build(item))
        return built

    cdef hold(self, node, wrap):
        # It is no addition to the program but part of it, and stands where the author put it: no marker.
        position = {name: getattr(node, name) for name in _POSITION}
        load = self.load(Placeholder(wrap.number, wrap.probe, wrap.role, True), wrap, position)
        return _node(ast.UnaryOp, {"op": _INVERT, "operand": load, **position})

    cdef place(self, node, wrap, bint before):
        placeholder = Placeholder(wrap.number, wrap.probe, wrap.role, before)
        line = node.lineno
        column = MARKER + placeholder.number
        position = {"lineno": line, "col_offset": column, "end_lineno": line, "end_col_offset": column}
        return self.load(placeholder, wrap, position), position

    cdef load(self, placeholder, wrap, position):
        self.placeholders.append(placeholder)
        if self.names:
            return _node(ast.Name, {"id": "@" + wrap.label, "ctx": _LOAD, **position})
        constant = _node(ast.Constant, {"value": placeholder.constant, **position})
        true = _node(ast.Constant, {"value": True, **position})
        return _node(ast.IfExp, {"test": true, "body": constant, "orelse": constant, **position})

    cdef wrap(self, copy, node, wrap, bint before):
        if wrap.role == "bare":
            return ast.copy_location(ast.IfExp(ast.copy_location(ast.Constant(True), node), copy, copy), node)
        load, position = self.place(node, wrap, before)
        if wrap.role == "first":
            load = _node(ast.UnaryOp, {"op": _INVERT, "operand": load, **position})
        return _node(ast.Subscript, {"value": load, "slice": copy, "ctx": _LOAD, **position})

    cdef call(self, copy, node, wrap, bint last):
        """Put a probe round the callee, or call a function in its place."""
        if wrap.instead is None or not last or not _is_plain(node):
            copy.func = self.wrap(copy.func, node.func, wrap, False)
            return copy
        function, argument = wrap.instead
        load, position = self.place(node.func, function, True)
        second, _ = self.place(node.func, argument, True)
        return _node(ast.Call, {
            "func": load, "args": [copy.func, second, *copy.args], "keywords": copy.keywords, **position
        })

    cdef mark(self, statement, wrap):
        load, position = self.place(statement, wrap, True)
        inverted = _node(ast.UnaryOp, {"op": _INVERT, "operand": load, **position})
        return _node(ast.Expr, {"value": inverted, **position})
