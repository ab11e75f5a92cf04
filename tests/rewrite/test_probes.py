"""Counter and Clock; the helpers of a pass; and what probes written in Python may do."""

from __future__ import annotations

import ast
import copy
import gc
import sys
import threading
import time
import traceback
import types
import weakref
from typing import Any

import pytest

import recompyle
from recompyle import Counter, Pass
from recompyle.errors import PassError


def branchy(n: int) -> str:
    if n > 10:
        text = str(n)
    elif n > 5:
        text = "some"
    else:
        text = "few"
    return text.upper()


class CountBranches(Pass):
    """Counts how often each branch is taken."""

    level = "probe"

    def visit_If(self, node: ast.If, at: Any) -> None:
        at.mark(node.body[0], self.counter(at.site(node.body[0], kind="branch")))
        if node.orelse:
            at.mark(node.orelse[0], self.counter(at.site(node.orelse[0], kind="branch")))

    def visit_Call(self, node: ast.Call, at: Any) -> None:
        at.around(node, start=self.clock.start, end=self.clock.end)


def test_helpers_of_a_pass() -> None:
    counts = CountBranches()
    with recompyle.apply(branchy, counts):
        assert [branchy(n) for n in (1, 6, 7, 11)] == ["FEW", "SOME", "SOME", "11"]
    assert [(site.kind, site.source[:10], each.count) for site, each in counts.counters.items()] == [
        ("branch", "text = str", 1),
        ("branch", "elif n > 5", 3),
        ("branch", 'text = "so', 2),
        ("branch", 'text = "fe', 1),
    ]
    assert counts.clock.count == 5
    assert CountBranches().clock is not counts.clock


def test_counter() -> None:
    count = Counter("place")
    assert count["value"] == "value"
    assert ~count is None
    assert (count.count, count.site, repr(count)) == (2, "place", "<Counter 2>")
    count.count = 0
    assert count.count == 0
    assert copy.deepcopy(count) is count


def test_clock_keeps_nothing_of_runs_that_fail_and_serves_recursion_and_threads() -> None:
    def f(n: int) -> int:
        if n == 0:
            return int("x") if n else 0
        return f(n - 1) + max(n, 0)

    class Times(Pass):
        def visit_Call(self, node: ast.Call, at: Any) -> None:
            at.around(node, self.clock.start, self.clock.end)

    times = Times()
    with recompyle.apply(f, times):
        f(20)
        assert times.clock.count == 40
        threads = [threading.Thread(target=f, args=(20,)) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert times.clock.count == 200
        with pytest.raises(TypeError):
            f("no")  # type: ignore[arg-type]
        assert times.clock.count == 200
        f(1)
    assert times.clock.count == 202
    assert 0 < times.clock.max_ns <= times.clock.total_ns


def test_clock_tells_runs_that_take_turns_apart() -> None:
    """A run that an exception ends in between leaves the other one's start alone."""
    delay = 2_000_000  # ns

    async def f(others: Any) -> None:
        await others

    class Times(Pass):
        def visit_Await(self, node: ast.Await, at: Any) -> None:
            at.around(node, self.clock.start, self.clock.end)

    @types.coroutine
    def others() -> Any:
        yield

    times = Times()
    with recompyle.apply(f, times):
        first, second = f(others()), f(others())
        first.send(None)
        until = time.perf_counter_ns() + delay
        while time.perf_counter_ns() < until:
            pass
        second.send(None)
        with pytest.raises(KeyError):
            second.throw(KeyError)
        with pytest.raises(StopIteration):
            first.send(None)
    assert times.clock.count == 1
    assert times.clock.total_ns == times.clock.max_ns >= delay / 2  # two clocks may differ a little


# -- probes written in Python ------------------------------------------------------------------------------


class All(Pass):
    """One probe on all expressions that may have one, and before all statements."""

    def __init__(self, probe: Any, kinds: tuple[type, ...] = (ast.expr, ast.stmt)):
        self.probe = probe
        for kind in (*ast.expr.__subclasses__(), *ast.stmt.__subclasses__()):
            if issubclass(kind, kinds):
                setattr(self, f"visit_{kind.__name__}", self.visit)

    def visit(self, node: Any, at: Any) -> None:
        if isinstance(node, ast.stmt):
            at.mark(node, self.probe)
        elif at.can_observe(node):
            at.through(node, self.probe)


def test_value_probe_gives_another_value() -> None:
    class Loud(Pass):
        level = "value"

        def visit_Call(self, node: ast.Call, at: Any) -> None:
            at.through(node, {"FEW": "none at all"})

    assert recompyle.rewrite(branchy, Loud())(1) == "none at all"
    with pytest.raises(KeyError, match="SOME"):
        recompyle.rewrite(branchy, Loud())(6)


def test_frames_of_a_python_probe_show_only_when_it_raises() -> None:
    class Picky:
        def __getitem__(self, value: Any) -> Any:
            if value == 13:
                raise OverflowError("13")
            return value

    def f(n: Any) -> Any:
        return [
            n + 1,
            1 // n,
        ]

    changed = recompyle.rewrite(f, All(Picky(), (ast.expr,)))
    first = f.__code__.co_firstlineno
    with pytest.raises(ZeroDivisionError) as caught:
        changed(0)
    assert [each.name for each in traceback.extract_tb(caught.value.__traceback__)][1:] == ["f"]
    with pytest.raises(OverflowError) as caught_ours:
        changed(12)
    frames = traceback.extract_tb(caught_ours.value.__traceback__)[1:]
    assert [(each.name, each.line) for each in frames] == [
        ("f", "n + 1,"),
        ("__getitem__", 'raise OverflowError("13")'),
    ]
    assert frames[0].lineno == first + 2


def test_mark_sees_the_frame_it_stands_in() -> None:
    seen = []

    class Look:
        def __invert__(self) -> None:
            frame = sys._getframe(1)
            seen.append((frame.f_code.co_name, frame.f_lineno, dict(frame.f_locals)))

    recompyle.rewrite(branchy, All(Look(), (ast.stmt,)))(2)
    line = branchy.__code__.co_firstlineno
    assert seen == [
        ("branchy", line + 1, {"n": 2}),
        ("branchy", line + 3, {"n": 2}),
        ("branchy", line + 6, {"n": 2}),
        ("branchy", line + 7, {"n": 2, "text": "few"}),
    ]


def test_probe_that_calls_the_function_again() -> None:
    depth = []

    class Again:
        def __invert__(self) -> None:
            if len(depth) < 3:
                depth.append(None)
                assert branchy(2) == "FEW"

    with recompyle.apply(branchy, All(Again(), (ast.stmt,))):
        assert branchy(20) == "20"
    assert len(depth) == 3


def test_probe_that_rewrites_the_running_function() -> None:
    other = recompyle.Statements(Counter)
    patches = []

    class Meddler:
        def __invert__(self) -> None:
            if not patches:
                patches.append(recompyle.apply(branchy, other))

    with recompyle.apply(branchy, All(Meddler(), (ast.stmt,))):
        assert branchy(1) == "FEW"
        assert branchy(1) == "FEW"
    patches[0].restore()
    assert sum(each.count for each in other.probes.values()) == 4


def test_probe_lives_as_long_as_the_code() -> None:
    class Plain:
        def __invert__(self) -> None:
            pass

    probe = Plain()
    gone = weakref.ref(probe)
    patch = recompyle.apply(branchy, All(probe, (ast.stmt,)))
    del probe
    branchy(1)
    assert gone() is not None
    patch.restore()
    del patch
    gc.collect()
    assert gone() is None


def test_probe_with_an_equality_of_its_own_does_not_disturb_the_code() -> None:
    class Equal:
        def __eq__(self, other: object) -> bool:
            raise AssertionError("compared")

        def __getitem__(self, value: Any) -> Any:
            return value

        def __invert__(self) -> None:
            pass

    changed = recompyle.rewrite(branchy, All(Equal()), recompyle.EntryExit(Equal(), Equal(), Equal()))
    assert changed(3) == "FEW"
    assert hash(changed.__code__) == hash(changed.__code__)
    assert changed.__code__ == changed.__code__
    assert changed.__code__ != branchy.__code__


@pytest.mark.parametrize(
    ("ask", "text"),
    [
        (lambda node, at: at.through(node, object()), "object is no probe for this place: it has no __getitem__"),
        (lambda node, at: at.around(node, [], []), "list is no probe for this place: it has no __invert__"),
        (lambda node, at: at.around(node.func, Counter(), Counter()), "only a call, an await or a yield from"),
        (lambda node, at: at.mark(at.parent(node), []), "list is no probe for this place: it has no __invert__"),
    ],
)
def test_what_is_no_probe(ask: Any, text: str) -> None:
    class Asks(Pass):
        name = "asks"

        def visit_Call(self, node: Any, at: Any) -> None:
            ask(node, at)

    def f(a: Any) -> Any:
        return len(a)

    with pytest.raises(PassError) as caught:
        recompyle.rewrite(f, Asks())
    assert str(caught.value).startswith(f"pass 'asks' in test_what_is_no_probe.<locals>.f: {text}")
    assert "\n    return len(a)\n" in str(caught.value)


def test_docstring_takes_no_mark() -> None:
    def f() -> None:
        """It is one."""

    with pytest.raises(PassError, match="a docstring cannot be marked"):
        recompyle.rewrite(f, All(Counter(), (ast.stmt,)))
    assert recompyle.rewrite(f, recompyle.Statements(Counter())).__doc__ == "It is one."


def test_clock_raises_nothing_at_the_limit_of_the_recursion() -> None:
    def deeper(n: int) -> int:
        return int(deeper(n + 1))

    before = sys.getrecursionlimit()
    with recompyle.apply(deeper, recompyle.Calls(recompyle.Clock)):
        try:
            for limit in range(200, 208):  # where exactly the limit is met differs from version to version
                sys.setrecursionlimit(limit)
                with pytest.raises(RecursionError) as caught:
                    deeper(0)
                assert {entry.name for entry in caught.traceback} <= {"deeper", caught.traceback[0].name}
        finally:
            sys.setrecursionlimit(before)
