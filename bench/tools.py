"""The tools that are compared, each behind the same few methods.

A tool's package is imported only when the tool is asked to work, so that a worker carries one of them alone.
`HOME` says which environment the package lives in: `"ours"` or `"rivals"`.
"""

import ast
import inspect
import textwrap
import time
from collections.abc import Callable, Iterable
from importlib import metadata
from types import CodeType, FunctionType
from typing import ClassVar

from subjects import Subject

Loop = Callable[[Iterable[object]], object]

NEVER_S = 3600.0
"""A limit that no run of a benchmark reaches, in seconds."""


class Tool:
    """One way to time calls; `packages` are the distributions whose versions are recorded."""

    HOME: ClassVar[str] = "ours"
    packages: ClassVar[tuple[str, ...]] = ()

    def instrument(self, subject: Subject) -> Loop:
        """Return a loop that does what `subject` does bare and times its calls."""
        raise NotImplementedError

    def events(self, loop: Loop, items: int) -> int | None:
        """Run a loop over `items` items; return how many calls were timed, None if the tool cannot tell."""
        loop(range(items))
        return None

    def version(self) -> str:
        """Return the versions of the tool's packages, `"-"` for none."""
        return ", ".join(f"{package} {metadata.version(package)}" for package in self.packages) or "-"


def copy_of(function: Callable) -> FunctionType:
    """Return another function object with the same code, for tools that change the one they are given."""
    assert isinstance(function, FunctionType)
    copy = FunctionType(function.__code__, function.__globals__)
    copy.__module__, copy.__qualname__ = function.__module__, function.__qualname__
    return copy


def with_constants(function: FunctionType, **values: object) -> FunctionType:
    """Return `function` compiled anew with each global name in `values` turned into a constant."""
    stand_ins = {name: complex(0, 1e300 + 1e290 * i) for i, name in enumerate(values)}

    class Replace(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            if node.id not in values:
                return node
            constant = ast.Constant(stand_ins[node.id])  # bare, it would warn of a subscript on a number
            return ast.copy_location(ast.IfExp(ast.Constant(True), constant, constant), node)

    tree = ast.fix_missing_locations(Replace().visit(ast.parse(textwrap.dedent(inspect.getsource(function)))))
    module = compile(tree, inspect.getsourcefile(function) or "<source>", "exec")
    code = next(item for item in module.co_consts if isinstance(item, CodeType))
    objects = {stand_in: values[name] for name, stand_in in stand_ins.items()}
    consts = tuple(objects.get(item, item) if isinstance(item, complex) else item for item in code.co_consts)
    return FunctionType(code.replace(co_consts=consts), function.__globals__)


class Ours(Tool):
    """The profiler of this repository, with a limit that is never reached."""

    packages = ("recompyle",)
    clock = "auto"

    def instrument(self, subject):
        from recompyle import shallow_call_profiler

        return subject.loop(shallow_call_profiler(NEVER_S, clock=self.clock)(copy_of(subject.bare)))

    def events(self, loop, items):
        from recompyle import profile

        with profile.collect() as reports, profile.override(time_limit=0):
            loop(range(items))
        return sum(site.count for site in reports[-1].calls)


class OursSystemClock(Ours):
    """The same, with the operating system's clock in place of the processor's counter."""

    clock = "system"


class Core(Tool):
    """The C library of this repository, without Python; only the case of that name can measure it."""


class Floor(Tool):
    """Two C objects in the constants that read the counter and keep nothing."""

    def instrument(self, subject):
        from floor import Stamp

        self.end = Stamp()
        return subject.loop(with_constants(subject.probed, START=Stamp(), END=self.end))

    def events(self, loop, items):
        stamps = set()

        def watched():
            for item in range(items):
                yield item
                stamps.add(self.end.ticks)

        loop(watched())
        return len(stamps)


class Passages(Tool):
    """The same without a clock: the interpreter's own cost of two probes."""

    def instrument(self, subject):
        from floor import Passage

        return subject.loop(with_constants(subject.probed, START=Passage(), END=Passage()))


class ByHand(Tool):
    """Two `perf_counter_ns()` and a sum, written into the source."""

    def instrument(self, subject):
        return subject.loop(subject.by_hand)


class CProfile(Tool):
    """The standard library's profiler, on during the run only."""

    def instrument(self, subject):
        import cProfile

        self.profile = cProfile.Profile()
        bare = subject.loop(subject.bare)
        return lambda items: self.profile.runcall(bare, items)

    def events(self, loop, items):
        loop(range(items))
        return max(entry.callcount for entry in self.profile.getstats())


class LineProfiler(Tool):
    """line_profiler times lines; in these subjects a call has a line of its own."""

    HOME = "rivals"
    packages = ("line_profiler",)

    def instrument(self, subject):
        from line_profiler import LineProfiler

        self.profile = LineProfiler()
        return subject.loop(self.profile(copy_of(subject.bare)))

    def events(self, loop, items):
        loop(range(items))
        (lines,) = self.profile.get_stats().timings.values()
        return min(hits for _, hits, _ in lines)


class WrapCalls(Tool):
    """The first recompyle: every call goes through a Python function, here one that does nothing more."""

    HOME = "rivals"
    packages = ("recompyle",)

    def instrument(self, subject):
        from recompyle import wrap_calls

        return subject.loop(wrap_calls(wrapper=self.wrapper())(subject.bare))

    def wrapper(self) -> Callable:
        """Return the function that every call goes through."""

        def hand_on(call, details, *args, **kwargs):
            return call(*args, **kwargs)

        return hand_on


class WrapCallsTiming(WrapCalls):
    """The same with a wrapper that times the call and adds to a sum."""

    def wrapper(self):
        clock = time.perf_counter_ns
        self.total_ns = self.calls = 0

        def timed(call, details, *args, **kwargs):
            start = clock()
            try:
                return call(*args, **kwargs)
            finally:
                self.total_ns += clock() - start
                self.calls += 1

        return timed

    def events(self, loop, items):
        before = self.calls
        loop(range(items))
        return self.calls - before


class OurWrapCalls(WrapCalls):
    """`wrap_calls` of this repository, with the same wrapper that does nothing more."""

    HOME = "ours"

    def instrument(self, subject):
        from recompyle import wrap_calls

        return subject.loop(wrap_calls(wrapper=self.wrapper())(copy_of(subject.bare)))


class ByHandWrapped(Tool):
    """The wrapper called in the source, its second argument a constant: the least that it can cost."""

    def instrument(self, subject):
        return subject.loop(with_constants(subject.wrapped, WRAPPER=WrapCalls().wrapper(), EXTRAS=Tool))


class FlatProfile(Tool):
    """flat_profiler, built on the first recompyle; its callback for fast runs does nothing."""

    HOME = "rivals"
    packages = ("flat_profiler", "recompyle")

    def instrument(self, subject):
        from flat_profiler import flat_profile

        self.counting, self.calls = False, 0
        decorate = flat_profile(
            time_limit=NEVER_S, below_callback=self.fast, above_callback=None, ignore_builtins=False
        )
        return subject.loop(decorate(subject.bare))

    def fast(self, total, limit, times, function):
        if self.counting:
            self.calls += sum(map(len, times.values()))

    def events(self, loop, items):
        self.counting, self.calls = True, 0
        loop(range(items))
        self.counting = False
        return self.calls


class Untraced(Tool):
    """No tool."""

    def instrument(self, subject):
        return subject


class TraceFunc(Tool):
    """The package tracefunc: instruction events of `sys.monitoring`. It needs fastcore and does not say so."""

    HOME = "rivals"
    packages = ("tracefunc",)

    def instrument(self, subject):
        from tracefunc import tracefunc

        return lambda *arguments: tracefunc(subject, *arguments)


class OurTraceFunc(Tool):
    """`tracefunc` of this repository."""

    packages = ("recompyle",)

    def instrument(self, subject):
        from recompyle import tracefunc

        return lambda *arguments: tracefunc(subject, *arguments)


class Snoop(Tool):
    """snoop prints each line with the variables that changed; here into nothing."""

    HOME = "rivals"
    packages = ("snoop",)

    def instrument(self, subject):
        import snoop

        return snoop.Config(out=lambda text: None).snoop(subject)


TOOLS: dict[str, type[Tool]] = {
    "passages": Passages,
    "floor": Floor,
    "recompyle": Ours,
    "recompyle (system clock)": OursSystemClock,
    "librecompyle": Core,
    "by hand": ByHand,
    "cProfile": CProfile,
    "line_profiler": LineProfiler,
    "wrapper by hand": ByHandWrapped,
    "recompyle wrap_calls": OurWrapCalls,
    "wrap_calls (no clock)": WrapCalls,
    "wrap_calls (timing)": WrapCallsTiming,
    "flat_profile": FlatProfile,
    "untraced": Untraced,
    "recompyle tracefunc": OurTraceFunc,
    "tracefunc": TraceFunc,
    "snoop": Snoop,
}
