"""Branch coverage: which branches of a program's functions never ran.

    with covered("textwrap:*") as branches:
        textwrap.fill("some text", 20)
    for line in missed(branches):
        print(line)
"""

import contextlib

import recompyle


class Branches(recompyle.Pass):
    """Counts how often each branch of an if, each loop body and each handler is taken."""

    name = "branches"

    def visit_If(self, node, at):
        self.count(node.body, "then", at)
        self.count(node.orelse, "else", at)

    def visit_For(self, node, at):
        self.count(node.body, "loop", at)
        self.count(node.orelse, "else", at)

    visit_AsyncFor = visit_While = visit_For

    def visit_ExceptHandler(self, node, at):
        self.count(node.body, "except", at)

    def visit_match_case(self, node, at):
        self.count(node.body, "case", at)

    def count(self, body, kind, at):
        if body:
            at.mark(body[0], self.counter(at.site(body[0], kind)))


@contextlib.contextmanager
def covered(*targets):
    """Count the branches of some functions inside a with block; gives the pass that counts."""
    branches = Branches()
    with contextlib.ExitStack() as patches:
        for target in targets:
            patches.enter_context(recompyle.apply(target, branches))
        yield branches


def missed(branches):
    """A line of text for each branch that was never taken, in order."""
    sites = [site for site, counter in branches.counters.items() if not counter.count]
    sites.sort(key=lambda site: (site.file, site.line))
    return [f"{site.file}:{site.line}: {site.kind} of {site.function}: {site.source[:60]}" for site in sites]
