"""Argument logger: one line for each call of a function, with arguments, result or exception.

    with logged("fractions:Fraction.limit_denominator", print):
        Fraction("3.1415926").limit_denominator(100)
"""

import inspect
import sys

import recompyle


class Arguments:
    """Says with which arguments a function was entered: they are in the variables of the frame that runs the probe."""

    def __init__(self, site, say):
        self.site = site
        self.say = say

    def __invert__(self):
        frame = sys._getframe(1)
        values = inspect.getargvalues(frame)
        names = [*values.args, *filter(None, (values.varargs, values.keywords))]
        shown = ", ".join(f"{name}={frame.f_locals[name]!r}" for name in names if name in frame.f_locals)
        self.say(f"{self.site.name}({shown})")


class Outcome:
    """Says what came back, and hands it on."""

    def __init__(self, site, say):
        self.site = site
        self.say = say

    def __getitem__(self, value):
        self.say(f"{self.site.name} {'gave' if self.site.kind == 'exit' else 'raised'} {value!r}")
        return value


def logged(target, say):
    """Rewrite a target so that its calls are said; gives the patch, which a with block undoes."""
    ends = recompyle.EntryExit(
        entry=lambda site: Arguments(site, say),
        exit=lambda site: Outcome(site, say),
        error=lambda site: Outcome(site, say),
        nested_functions=False,
    )
    return recompyle.apply(target, ends)
