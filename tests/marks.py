"""Passes of the simplest kind, for tests of what is done with passes."""

from recompyle import inject
from recompyle.errors import NotRewritable
from recompyle.rewrite import Pass


class Probe:
    """Notes each time it is passed."""

    def __init__(self, label, log):
        self.label, self.log = label, log

    def __invert__(self):
        self.log.append(self.label)


class Mark(Pass):
    """A probe at the entry of a function, through the code-object writer alone."""

    name = "mark"

    def __init__(self, label="hit", log=None, shared=False):
        self.label = label
        self.log = [] if log is None else log
        self.shared = shared
        self.built = 0

    def needs_source(self):
        return False

    def edits(self, code, at, nested):
        if nested:
            return []
        self.built += 1
        return [inject.Edit("entry", Probe(self.label, self.log))]

    def key(self):
        return id(self) if self.shared else None


class Refuse(Mark):
    """Cannot be built into functions of some names."""

    def __init__(self, *names, error=NotRewritable):
        super().__init__()
        self.names, self.error = names, error

    def edits(self, code, at, nested):
        if code.co_name in self.names:
            raise self.error(f"no probes in {code.co_name}")
        return super().edits(code, at, nested)
