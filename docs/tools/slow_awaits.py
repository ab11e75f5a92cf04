"""Which await is slow? Totals for each await of some coroutines, the slowest first.

    with awaits("asyncio.queues:Queue.*") as clocks:
        asyncio.run(main())
    print(table(clocks))
"""

import contextlib

import recompyle


class Awaits(recompyle.Pass):
    """A clock of its own round each await."""

    name = "awaits"

    def __init__(self):
        self.clocks = {}

    def visit_Await(self, node, at):
        site = at.site(node, "await")
        clock = self.clocks.setdefault(site, recompyle.Clock(site))
        at.around(node, clock.start, clock.end, f"_{site.id}")


@contextlib.contextmanager
def awaits(*targets):
    """Time the awaits of some functions inside a with block; gives the clocks by site, filled as the program runs."""
    times = Awaits()
    with contextlib.ExitStack() as patches:
        for target in targets:
            patches.enter_context(recompyle.apply(target, times))
        yield times.clocks


def table(clocks):
    """The awaits that ended at least once, as text: total and longest time in ms, how often, place, source."""
    rows = sorted((clock for clock in clocks.values() if clock.count), key=lambda clock: -clock.total_ns)
    return "\n".join(
        f"{clock.total_ns / 1e6:10.2f} {clock.max_ns / 1e6:10.2f} {clock.count:6} "
        f"{clock.site.function}:{clock.site.line}  {clock.site.source}"
        for clock in rows
    )
