"""Mutation tester: which small faults in a function do its tests not notice?

    for mutant in survivors("textwrap:dedent", test_dedent):
        print(mutant)
"""

import ast

import recompyle

SWAPPED = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE,
    ast.GtE: ast.Lt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip


class Mutant(recompyle.Pass):
    """Swaps the operator of the one place that has a number; without a number it only lists the places."""

    name = "mutant"
    level = "free"

    def __init__(self, number=None):
        self.number = number
        self.places = []

    def visit_BinOp(self, node, at):
        self.swap(node, node.op, at, lambda op: ast.BinOp(node.left, op, node.right))

    def visit_BoolOp(self, node, at):
        self.swap(node, node.op, at, lambda op: ast.BoolOp(op, node.values))

    def visit_Compare(self, node, at):
        self.swap(node, node.ops[0], at, lambda op: ast.Compare(node.left, [op, *node.ops[1:]], node.comparators))

    def swap(self, node, operator, at, make):
        other = SWAPPED.get(type(operator))
        if other is None:
            return
        if self.number == len(self.places):
            at.replace(node, make(other()))
        self.places.append(f"line {node.lineno}: {type(operator).__name__} to {other.__name__} in {at.source(node)}")


def survivors(target, test):
    """The mutations of a function with which ``test()`` still passes. Beware: a mutant may also loop for ever."""
    listed = Mutant()
    recompyle.apply(target, listed).restore()
    alive = []
    for number, place in enumerate(listed.places):
        with recompyle.apply(target, Mutant(number)):
            try:
                test()
            except Exception:
                continue
        alive.append(place)
    return alive
