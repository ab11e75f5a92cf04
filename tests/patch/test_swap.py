"""One assignment of `__code__`, what is checked before it, and what is carried over."""

import dis
import subprocess
import sys
import threading
import types
import warnings

import pytest

import recompyle
from recompyle.errors import NotRewritable
from recompyle.patch import swap as swap_module
from recompyle.patch.swap import check, swap, unswap

HAS_MONITORING = hasattr(sys, "monitoring")
WARM_UP = range(2_000)


def twin(code: types.CodeType) -> types.CodeType:
    """The same code as another object."""
    return code.replace(co_consts=(*code.co_consts, object()))


def function_of(source: str, name: str = "f") -> types.FunctionType:
    namespace: dict = {}
    exec(source, namespace)
    return namespace[name]


def call_opcodes(code: types.CodeType) -> set[str]:
    """How the interpreter performs the calls of a function by now."""
    return {i.opname for i in dis.get_instructions(code, adaptive=True) if i.opname.startswith("CALL_")}


def test_swap_keeps_the_function_and_changes_what_it_does():
    f = function_of("def f(a, b=2, *, c=3): return a + b + c")
    f.mark, defaults, kwdefaults = "kept", f.__defaults__, f.__kwdefaults__
    original = f.__code__
    other = function_of("def f(a, b=2, *, c=3): return a * b * c").__code__
    saved = swap(f, other)
    assert f(4) == 24
    assert f.__code__ is other
    assert unswap(f, other, original, saved) is True
    assert f(4) == 9
    assert f.__code__ is original
    assert (f.mark, f.__defaults__, f.__kwdefaults__) == ("kept", defaults, kwdefaults)
    assert f.__defaults__ is defaults and f.__kwdefaults__ is kwdefaults


def test_free_variables_in_another_order_are_refused():
    def maker():
        first, second = "first", "second"
        return lambda: (first, second)

    f = maker()
    code = f.__code__
    with pytest.raises(NotRewritable, match="free variables") as caught:
        swap(f, code.replace(co_freevars=code.co_freevars[::-1]))
    assert caught.value.slug == "freevars"
    assert f.__code__ is code and f() == ("first", "second")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("def f(): return 1", "def f(): yield 1"),
        ("def f(): yield 1", "async def f(): yield 1"),
        ("def f(): return 1", "async def f(): return 1"),
        ("async def f(): return 1", "def f(): return 1"),
    ],
)
def test_another_kind_of_function_is_refused(before, after):
    f, code = function_of(before), function_of(after).__code__
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # CPython 3.13 only warns
        with pytest.raises(NotRewritable, match="another kind") as caught:
            swap(f, code)
    assert caught.value.slug == "kind"


@pytest.mark.parametrize("after", ["a, b", "", "a, /", "*, a", "a, *r", "a, **k", "renamed"])
def test_other_arguments_are_refused(after):
    f, code = function_of("def f(a): pass"), function_of(f"def f({after}): pass").__code__
    with pytest.raises(NotRewritable, match="other arguments"):
        check(f, code)


@pytest.mark.parametrize("func", [len, int, object(), staticmethod(len)])
def test_only_functions_are_swapped(func):
    with pytest.raises(TypeError, match="Python function"):
        swap(func, test_only_functions_are_swapped.__code__)
    with pytest.raises(TypeError, match="code object"):
        swap(lambda: 0, func)


def test_unswap_leaves_foreign_code_alone():
    f = function_of("def f(): return 'original'")
    original, ours, theirs = f.__code__, twin(f.__code__), twin(f.__code__)
    saved = swap(f, ours)
    f.__code__ = theirs
    assert unswap(f, ours, original, saved) is False
    assert f.__code__ is theirs


def test_running_frames_keep_the_old_code():
    f = function_of("def f():\n    yield 'old'\n    yield 'old'")
    g = f()
    assert next(g) == "old"
    swap(f, function_of("def f():\n    yield 'new'\n    yield 'new'").__code__)
    assert next(g) == "old"
    assert next(f()) == "new"


CALLERS = {
    "function": ("def f(x): return x", "def caller(items):\n    for i in items: f(i)"),
    "defaults": ("def f(x, y=1): return x", "def caller(items):\n    for i in items: f(i)"),
    "method": (
        "class C:\n    def f(self, x): return x\nf = C.f",
        "def caller(items, c=C()):\n    for i in items: c.f(i)",
    ),
}


@pytest.mark.parametrize("kind", CALLERS)
def test_call_sites_are_specialised_again_after_unswap(kind):
    namespace: dict = {}
    exec("\n".join(CALLERS[kind]), namespace)
    f, caller = namespace["f"], namespace["caller"]
    caller(WARM_UP)
    before = call_opcodes(caller.__code__)
    assert before, "the call site was never specialised, so the test would prove nothing"
    original, other = f.__code__, twin(f.__code__)
    saved = swap(f, other)
    caller(WARM_UP)
    assert unswap(f, other, original, saved)
    fresh = types.FunctionType(caller.__code__.replace(), caller.__globals__, "caller", caller.__defaults__)
    for site in (caller, fresh):  # one that saw it all, one that is compiled after the fact
        site(WARM_UP)
        assert call_opcodes(site.__code__) == before, site


@pytest.mark.skipif(sys.version_info < (3, 13), reason="before 3.13 functions get new versions by themselves")
def test_a_bare_assignment_loses_the_specialisation():
    """Without this the test above could not fail."""
    namespace: dict = {}
    exec("\n".join(CALLERS["function"]), namespace)
    f, caller = namespace["f"], namespace["caller"]
    caller(WARM_UP)
    before = call_opcodes(caller.__code__)
    original = f.__code__
    f.__code__ = twin(original)
    f.__code__ = original
    fresh = types.FunctionType(caller.__code__.replace(), caller.__globals__)
    fresh(WARM_UP)
    assert call_opcodes(fresh.__code__) != before


@pytest.mark.parametrize(
    ("arguments", "change", "replacement"),
    [("x, y=1", "__defaults__", (5,)), ("x, *, y=1", "__kwdefaults__", {"y": 5})],
)
def test_changed_defaults_are_honoured_after_unswap(arguments, change, replacement):
    namespace: dict = {}
    exec(f"def f({arguments}): return y\ndef caller(items): return {{f(i) for i in items}}", namespace)
    f, caller = namespace["f"], namespace["caller"]
    caller(WARM_UP)
    original, other = f.__code__, twin(f.__code__)
    saved = swap(f, other)
    setattr(f, change, None)
    unswap(f, other, original, saved)
    with pytest.raises(TypeError, match="missing 1 required"):
        caller(WARM_UP)
    setattr(f, change, replacement)
    assert caller(WARM_UP) == {5}


@pytest.mark.skipif(not HAS_MONITORING, reason="sys.monitoring begins with 3.12")
@pytest.mark.parametrize("tool", range(6))
def test_monitoring_events_move_with_the_code(tool):
    monitoring = sys.monitoring
    events = monitoring.events
    if monitoring.get_tool(tool) is not None:
        pytest.skip(f"{monitoring.get_tool(tool)} watches this run")
    f = function_of("def f(x):\n    y = len([x])\n    return y")
    original, other = f.__code__, twin(f.__code__)
    wanted = events.PY_START | events.LINE | events.CALL
    seen = []
    monitoring.use_tool_id(tool, "test")
    try:
        monitoring.set_local_events(tool, original, wanted)
        monitoring.register_callback(tool, events.PY_START, lambda code, offset: seen.append(code))
        f(1)
        saved = swap(f, other)
        assert monitoring.get_local_events(tool, other) == monitoring.get_local_events(tool, original) != 0
        f(1)
        monitoring.set_local_events(tool, other, events.PY_START)
        unswap(f, other, original, saved)
        assert monitoring.get_local_events(tool, original) == events.PY_START
        f(1)
        assert [code is original for code in seen] == [True, False, True]
        assert seen[1] is other
    finally:
        monitoring.register_callback(tool, events.PY_START, None)
        monitoring.free_tool_id(tool)


@pytest.mark.skipif(not HAS_MONITORING, reason="sys.monitoring begins with 3.12")
def test_code_is_exchanged_while_events_are_on():
    """The interpreter has put instructions of its own into code that is watched: none of them is copied."""
    monitoring, tool = sys.monitoring, sys.monitoring.DEBUGGER_ID

    def f(words):
        total = 0
        for word in words:
            if word:
                total += len(word)
        return total

    original, plain = f.__code__, f.__code__.co_code
    unwatched = recompyle.rewrite(f, recompyle.Calls(recompyle.Counter)).__code__.co_code
    names = ("LINE", "INSTRUCTION", "BRANCH", "BRANCH_LEFT", "BRANCH_RIGHT", "CALL", "PY_RETURN")
    events = {getattr(monitoring.events, name) for name in names if hasattr(monitoring.events, name)}
    seen = []
    monitoring.use_tool_id(tool, "test")
    try:
        for each in events:
            monitoring.register_callback(tool, each, lambda code, *_: seen.append(code))
        monitoring.set_events(tool, sum(events))
        assert f(["ab", ""]) == 2
        calls = recompyle.Calls(recompyle.Counter)
        with recompyle.apply(f, calls):
            assert f(["ab", "", "c"]) == 3
            changed = f.__code__
        assert f(["ab"]) == 2
    finally:
        monitoring.set_events(tool, 0)
        for each in events:
            monitoring.register_callback(tool, each, None)
        monitoring.free_tool_id(tool)
    assert original in seen and changed in seen
    assert [counter.count for counter in calls.probes.values()] == [2]
    assert f.__code__ is original and original.co_code == plain
    assert changed.co_code == unwatched


VETO = """
import sys
from recompyle.errors import NotRewritable
from recompyle.patch.swap import swap, unswap

def f(): return 1

original, other = f.__code__, f.__code__.replace(co_name="other")
forbid = False
def hook(event, args):
    if forbid and event == "object.__setattr__" and args[1] == "__code__":
        raise PermissionError("code is frozen here")
sys.addaudithook(hook)

saved = swap(f, other)
forbid = True
try:
    unswap(f, other, original, saved)
except NotRewritable as refusal:
    assert refusal.slug == "audit" and "code is frozen here" in str(refusal), refusal
    assert f.__code__ is other
else:
    raise AssertionError("the veto was ignored")
forbid = False
assert unswap(f, other, original, saved)
forbid = True
try:
    swap(f, other)
except NotRewritable as refusal:
    assert "code is frozen here" in str(refusal)
    assert f.__code__ is original
    print("refused")
"""


def test_veto_of_an_audit_hook_is_a_refusal():
    """In a process of its own: audit hooks cannot be removed."""
    done = subprocess.run([sys.executable, "-c", VETO], capture_output=True, text=True)
    assert (done.stdout.strip(), done.returncode) == ("refused", 0), done.stderr


def test_threads_call_while_another_swaps():
    f = function_of("def f(x): return x + 1")
    original, other = f.__code__, function_of("def f(x): return x + 2").__code__
    stop = threading.Event()
    wrong, rounds = [], [0] * 4

    def call(number):
        try:
            while not stop.is_set():
                wrong.extend(i for i in range(200) if f(i) - i not in (1, 2))
                rounds[number] += 1
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    swaps = 0
    try:
        while not wrong and (swaps < 50_000 or not all(rounds)):
            saved = swap(f, other)
            assert unswap(f, other, original, saved)
            swaps += 1
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert f(0) == 1


def test_without_the_lock_nothing_is_swapped_beside_other_threads(monkeypatch):
    f = function_of("def f(x): return x + 1")
    original, other = f.__code__, twin(f.__code__)
    saved = swap(f, other)
    monkeypatch.setattr(swap_module, "FREE_THREADED", True)
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    try:
        for change in (lambda: swap(f, original), lambda: unswap(f, other, original, saved)):
            with pytest.raises(NotRewritable) as refused:
                change()
            assert refused.value.slug == "free_threaded"
            assert f.__code__ is other
    finally:
        end.set()
        thread.join()
    monkeypatch.undo()
    assert unswap(f, other, original, saved)
