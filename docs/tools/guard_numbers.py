"""Numeric guard: arithmetic that leaves the range of the target's number type raises at that very operation.

    with guarded("statistics:*", bits=64):
        statistics.pvariance(data)
"""

import math

import recompyle


class OutOfRange(ArithmeticError):
    """A result does not fit."""


class Guard:
    """Looks at a result: whole numbers must fit into so many bits, others must be finite."""

    def __init__(self, site, bits):
        self.site = site
        self.limit = 1 << (bits - 1)

    def __getitem__(self, value):
        if isinstance(value, int) and not -self.limit <= value < self.limit:
            raise OutOfRange(f"{self.site.source} gave {value}")
        if isinstance(value, float) and not math.isfinite(value):
            raise OutOfRange(f"{self.site.source} gave {value}")
        return value


class GuardNumbers(recompyle.Pass):
    """A guard on the result of each arithmetic operation."""

    name = "guard"
    level = "value"

    def __init__(self, bits=64):
        self.bits = bits

    def visit_BinOp(self, node, at):
        if at.can_observe(node):
            at.through(node, Guard(at.site(node, "arithmetic"), self.bits))
        else:
            at.skip(node, at.why_not(node))


def guarded(target, bits=64):
    """Guard a target's arithmetic; gives the patch, which a with block undoes."""
    return recompyle.apply(target, GuardNumbers(bits))
