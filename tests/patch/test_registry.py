"""Patches: how they pile up, go in any order, and leave nothing behind."""

import ast
import dis
import functools
import gc
import importlib
import itertools
import os
import subprocess
import sys
import threading
import types
import weakref

import pytest
from marks import Mark, Probe, Refuse

from recompyle import inject
from recompyle.errors import NotRewritable, PassError, RecompyleWarning, TargetNotFound
from recompyle.patch import Patch, apply, builds, pristine, registry, restore
from recompyle.patch.resolve import functions_of
from recompyle.rewrite import Pass


@pytest.fixture(autouse=True)
def nothing_is_left_patched():
    yield
    assert registry._entries == {}, "a test left functions patched"


def make():
    """A function of its own for each test."""

    def f(x=1):
        return x + 1

    return f


def test_apply_and_restore():
    f, mark = make(), Mark()
    original = f.__code__
    patch = apply(f, mark)
    assert f(1) == f() == 2
    assert mark.log == ["hit", "hit"]
    assert (patch.active, patch.state, patch.functions, patch.function) == (True, "active", [f], f)
    assert patch.passes == (mark,)
    assert patch.original is pristine(f) is pristine(f.__code__) is original
    assert f.__code__ is not original and f.__dict__ == {}
    patch.restore()
    assert f.__code__ is original
    assert (patch.active, patch.state) == (False, "restored")
    assert patch.original is original
    f()
    assert len(mark.log) == 2


def test_restoring_twice_does_nothing():
    f = make()
    first = apply(f, Mark())
    first.restore()
    second = apply(f, Mark())
    first.restore()
    assert second.active
    second.restore()


def test_context_manager_restores_also_after_an_exception():
    f, mark = make(), Mark()
    original = f.__code__
    with pytest.raises(ZeroDivisionError), apply(f, mark) as patch:
        assert isinstance(patch, Patch) and patch.active
        f()
        1 / 0  # noqa: B018
    assert f.__code__ is original and mark.log == ["hit"]


def test_a_patch_stays_without_its_handle():
    f, mark = make(), Mark()
    apply(f, mark)
    gc.collect()
    f()
    assert mark.log == ["hit"]
    assert restore(f) == 1


def test_repr_names_functions_and_passes():
    f = make()
    with apply(f, Mark()) as patch:
        assert repr(patch) == f"<Patch active: Mark on {__name__}:make.<locals>.f>"
    assert repr(patch).startswith("<Patch restored: Mark on ")
    with apply("json.encoder:*", Mark()) as patch:
        assert repr(patch).endswith(f"and {len(patch.functions) - 3} more>")


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_stacked_patches_go_in_any_order(order):
    f, log = make(), []
    original = f.__code__
    patches = [apply(f, Mark(label, log)) for label in "abc"]
    f()
    assert sorted(log) == ["a", "b", "c"]
    left = set("abc")
    for n in order:
        patches[n].restore()
        left.discard("abc"[n])
        log.clear()
        f()
        assert sorted(log) == sorted(left)
        assert [p.active for p in patches] == [label in left for label in "abc"]
    assert f.__code__ is original


def test_layers_are_built_from_the_pristine_code():
    f = make()
    seen = []

    class Look(Mark):
        def edits(self, code, at, nested):
            seen.append(at.code)
            return super().edits(code, at, nested)

    with apply(f, Look()), apply(f, Look()) as second:
        assert second.original is pristine(f)
        assert {id(code) for code in seen} == {id(pristine(f))}
        assert len(seen) == 3


def test_restore_undoes_all_layers_of_a_target():
    f, g = make(), make()
    patches = [apply(f, Mark()), apply(f, Mark()), apply(g, Mark())]
    original = pristine(f)
    assert restore(f) == 1
    assert f.__code__ is original
    assert [p.active for p in patches] == [False, False, True]
    assert restore(f) == 0
    apply("json:loads", Mark())
    assert restore() == 2
    assert restore() == 0
    assert not patches[2].active


def test_restore_by_path():
    apply("json.decoder:*", Mark())
    assert restore("json.decoder:JSONDecoder.decode") == 1
    assert restore("json.decoder:*") > 3


def test_several_passes_in_one_patch():
    f, log = make(), []
    with apply(f, Mark("a", log), Mark("b", log)):
        f()
    assert sorted(log) == ["a", "b"]


class Everything:
    def method(self):
        return "method"

    @staticmethod
    def static():
        return "static"

    @classmethod
    def klass(cls):
        return cls.__name__

    @property
    def prop(self):
        return "get"

    @prop.setter
    def prop(self, value):
        self.stored = value

    @functools.cached_property
    def cached(self):
        return "cached"

    @functools.singledispatchmethod
    def dispatch(self, value):
        return "any"

    @dispatch.register
    def _(self, value: int):
        return "int"

    part = functools.partialmethod(method)


def use(name):
    e = Everything()
    if name == "prop":
        e.prop = e.prop
        return e.stored
    if name == "cached":
        return e.cached
    if name == "dispatch":
        return e.dispatch("x") + e.dispatch(1)
    return getattr(e, name)()


@pytest.mark.parametrize(
    ("name", "hits"),
    [("method", 1), ("static", 1), ("klass", 1), ("prop", 2), ("cached", 1), ("dispatch", 2), ("part", 1)],
)
def test_every_kind_of_descriptor_is_patched_in_place(name, hits):
    descriptor, plain = Everything.__dict__[name], use(name)
    mark = Mark()
    with apply(descriptor, mark) as patch:
        assert use(name) == plain
        assert len(mark.log) == hits
        assert Everything.__dict__[name] is descriptor
    use(name)
    assert len(mark.log) == hits
    assert not any(f.__code__ is not pristine(f) for f in patch.functions)


def test_bound_methods_taken_before_notice():
    bound, mark = Everything().method, Mark()
    with apply(f"{__name__}:Everything.method", mark):
        bound()
    assert mark.log == ["hit"]


def test_wrapped_function_is_patched_inside():
    @functools.lru_cache
    def square(x):
        return x * x

    mark = Mark()
    with apply(square, mark):
        assert [square(2), square(2), square(3)] == [4, 4, 9]
    assert len(mark.log) == 2


@pytest.mark.parametrize("target", [len, int, 3, functools.partial(len)])
def test_what_is_no_function_is_refused(target):
    with pytest.raises(NotRewritable):
        apply(target, Mark())


def test_pass_that_asks_for_nothing_changes_nothing():
    class Nothing(Mark):
        def edits(self, code, at, nested):
            return []

    f, mark = make(), Mark()
    original = f.__code__
    idle = apply(f, Nothing())
    assert idle.active and f.__code__ is original
    with apply(f, mark):
        f()
    assert f.__code__ is original and mark.log == ["hit"]
    assert idle.active
    idle.restore()
    assert not idle.active


def test_bad_arguments():
    f = make()
    with pytest.raises(ValueError, match="at least one pass"):
        apply(f)
    with pytest.raises(ValueError, match="'this', 'existing'"):
        apply(f, Mark(), scope="everywhere")
    with pytest.raises(TargetNotFound):
        apply("json:nothing", Mark())
    with pytest.raises(TargetNotFound):
        restore("json:nothing")
    with pytest.raises(NotRewritable):
        pristine(len)


# -- closures ----------------------------------------------------------------------------------------------


def counter(start):
    count = start

    def step():
        nonlocal count
        count += 1
        return count

    def read():
        return count

    return step, read


def test_closures_keep_their_cells():
    (step, read), (other, _) = counter(10), counter(20)
    mark = Mark()
    cells = step.__closure__
    with apply(step, mark):
        assert [step(), step(), other()] == [11, 12, 21]
        assert read() == 12 and step.__closure__ is cells
    assert step() == 13 and read() == 13
    assert len(mark.log) == 2


def test_siblings_with_equal_passes_share_one_build():
    (a, _), (b, _), (c, _) = counter(0), counter(0), counter(0)
    shared, alone = Mark(shared=True), Mark()
    patches = [apply(a, shared), apply(b, shared), apply(c, alone)]
    assert a.__code__ is b.__code__ is not c.__code__
    assert (shared.built, alone.built) == (1, 1)
    patches[0].restore()
    assert a.__code__ is pristine(b) and b() == 1
    for patch in patches:
        patch.restore()


def test_code_of_equal_text_is_never_shared():
    source = "def f(): return 1"
    one, two = {}, {}
    exec(compile(source, "one.py", "exec"), one)
    exec(compile(source, "two.py", "exec"), two)
    assert one["f"].__code__ == two["f"].__code__
    mark = Mark(shared=True)
    with apply(one["f"], mark), apply(two["f"], mark):
        assert one["f"].__code__.co_filename == "one.py"
        assert two["f"].__code__.co_filename == "two.py"
        assert mark.built == 2


def test_code_run_in_two_namespaces_is_not_shared():
    code = compile("def f(): return name", "module.py", "exec")
    one, two = {"name": 1}, {"name": 2}
    exec(code, one)
    exec(code, two)
    assert one["f"].__code__ is two["f"].__code__
    mark = Mark(shared=True)
    with apply(one["f"], mark), apply(two["f"], mark):
        assert mark.built == 2
        assert (one["f"](), two["f"]()) == (1, 2)


def test_closures_that_come_and_go_are_built_once():
    mark = Mark(shared=True)
    for _ in range(5):
        step, _ = counter(0)
        apply(step, mark)
        step()
    assert (mark.built, len(mark.log)) == (1, 5)
    restore(step)


def test_kept_builds_are_bounded_and_go_with_a_restore():
    for _ in range(2 * builds.KEPT):
        step, _ = counter(0)
        apply(step, Mark(shared=True))
    assert len(builds._kept) <= builds.KEPT
    assert any(pristine(code) is pristine(step) for code, _ in builds._kept)
    restore(step)
    assert not any(pristine(code) is pristine(step) for code, _ in builds._kept)


def test_scope_existing_finds_all_living_siblings():
    made = [counter(n)[0] for n in range(5)]
    copy = types.FunctionType(made[0].__code__, made[0].__globals__, "copy", None, made[0].__closure__)
    mark = Mark(shared=True)
    with apply(made[2], Mark()), apply(made[1], mark, scope="existing") as patch:
        assert {id(f) for f in patch.functions} == {id(f) for f in (*made, copy)}
        later = counter(0)[0]
        for f in (*made, copy, later):
            f()
        assert len(mark.log) == 6
    assert {id(f.__code__) for f in (*made, copy)} == {id(later.__code__)}


# -- all or nothing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [NotRewritable, PassError, KeyboardInterrupt])
def test_failure_to_build_leaves_everything_as_it_was(error):
    f = make()
    with apply(f, Mark()) as first:
        code = f.__code__
        with pytest.raises(error):
            apply(f, Refuse("f", error=error))
        assert f.__code__ is code and first.active


def test_one_object_is_all_or_nothing():
    class C:
        @property
        def p(self):
            return 1

        @p.setter
        def set_p(self, value):
            pass

    accessors = functions_of(C.__dict__["set_p"])
    codes = [f.__code__ for f in accessors]
    assert [code.co_name for code in codes] == ["p", "set_p"]
    with pytest.raises(NotRewritable, match="no probes in set_p"):
        apply(C.__dict__["set_p"], Refuse("set_p"))
    assert [f.__code__ for f in accessors] == codes


def test_failing_swap_undoes_those_already_done(monkeypatch):
    made = [counter(n)[0] for n in range(3)]
    codes = [f.__code__ for f in made]
    real, done = registry.swap, []

    def swap(function, code):
        if len(done) == 2:
            raise NotRewritable("forbidden", "audit")
        done.append(function)
        return real(function, code)

    monkeypatch.setattr(registry, "swap", swap)
    with pytest.raises(NotRewritable, match="forbidden"):
        apply(made[0], Mark(), scope="existing")
    assert len(done) == 2
    assert [f.__code__ for f in made] == codes


def test_code_of_another_shape_is_refused_before_the_swap(monkeypatch):
    f = make()
    original = f.__code__
    other = (lambda: 1).__code__
    monkeypatch.setattr(builds.engine, "build", lambda *_: types.SimpleNamespace(code=other))
    with pytest.raises(NotRewritable, match="other arguments"):
        apply(f, Mark())
    assert f.__code__ is original


def test_pattern_skips_what_cannot_be_done():
    with apply("json.decoder:*", Refuse("decode", "JSONArray")) as patch:
        skipped = dict(patch.skipped)
        assert skipped == {
            "json.decoder:JSONDecoder.decode": "no probes in decode",
            "json.decoder:JSONArray": "no probes in JSONArray",
        }
        names = {f.__qualname__ for f in patch.functions}
        assert "JSONDecoder.raw_decode" in names and "JSONDecoder.decode" not in names


def test_pattern_of_which_nothing_can_be_done_raises_the_first_reason():
    with pytest.raises(NotRewritable, match="no probes in"):
        apply("json:load*", Refuse("load", "loads"))


def test_unexpected_error_in_a_pattern_undoes_the_rest():
    with pytest.raises(KeyboardInterrupt):
        apply("json.decoder:*", Refuse("raw_decode", error=KeyboardInterrupt))
    assert registry._entries == {}


def test_pattern_without_a_match_gives_an_empty_patch():
    with pytest.warns(RecompyleWarning, match="no function of the module matches") as caught:
        patch = apply("json:nothing_like_it_*", Mark())
    assert caught[0].filename == __file__
    assert (patch.functions, patch.function, patch.original, patch.active) == ([], None, None, False)
    patch.restore()


@pytest.mark.parametrize("name", ["json.decoder", "difflib", "textwrap", "argparse", "shlex", "fractions"])
def test_whole_standard_modules(name):
    module = importlib.import_module(name)
    mark = Mark()
    with apply(f"{name}:*", mark) as patch:
        assert len(patch.functions) > 3 and patch.skipped == []
        if name == "json.decoder":
            assert module.JSONDecoder().decode('[1, {"a": null}]') == [1, {"a": None}]
        elif name == "difflib":
            assert module.get_close_matches("appel", ["ape", "apple"]) == ["apple", "ape"]
        elif name == "textwrap":
            assert module.fill("a b c d", 3) == "a b\nc d"
        elif name == "argparse":
            parser = module.ArgumentParser()
            parser.add_argument("--n", type=int)
            assert parser.parse_args(["--n", "3"]).n == 3
        elif name == "shlex":
            assert module.split("a 'b c'") == ["a", "b c"]
        else:
            assert module.Fraction(1, 3) + module.Fraction(1, 6) == module.Fraction(1, 2)
        assert len(mark.log) >= 3
    assert all(f.__code__ is pristine(f) for f in patch.functions)


# -- others who change code --------------------------------------------------------------------------------


def test_foreign_code_is_left_alone():
    f = make()
    patch = apply(f, Mark())
    theirs = f.__code__.replace(co_name="theirs")
    f.__code__ = theirs
    assert (patch.state, patch.active) == ("foreign", False)
    with pytest.warns(RecompyleWarning, match="changed by somebody else") as caught:
        patch.restore()
    assert caught[0].filename == __file__
    assert f.__code__ is theirs and patch.state == "foreign"
    patch.restore()  # told once
    assert restore(f) == 0


def test_restore_leaves_foreign_code_alone():
    f, g = make(), make()
    patches = apply(f, Mark()), apply(g, Mark())
    theirs = f.__code__ = f.__code__.replace(co_name="theirs")
    with pytest.warns(RecompyleWarning):
        assert restore() == 1
    assert f.__code__ is theirs
    assert [p.state for p in patches] == ["foreign", "restored"]


def test_new_patch_on_foreign_code_begins_with_that():
    f, first, second = make(), Mark(), Mark()
    old = apply(f, first)
    theirs = f.__code__ = (lambda x=1: x * 100).__code__
    with pytest.warns(RecompyleWarning):
        patch = apply(f, second)
    assert f(2) == 200
    assert (len(first.log), len(second.log)) == (0, 1)
    assert (old.state, patch.state) == ("foreign", "active")
    patch.restore()
    assert f.__code__ is theirs


# -- life time ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shared", [False, True])
def test_patched_function_is_freed_by_reference_counting_alone(shared):
    gc.disable()
    try:
        f = make()
        ref, mark = weakref.ref(f), Mark(shared=shared)
        patch = apply(f, mark)
        apply(f, Mark(shared=shared))
        f()
        code = weakref.ref(pristine(f))
        del f
        assert ref() is None
        assert (patch.functions, patch.state, registry._entries) == ([], "restored", {})
        patch.restore()
        assert code() is not None  # the factory still has it
    finally:
        gc.enable()


def test_probes_are_freed_with_the_patch():
    class Held(Probe):
        pass

    class HeldMark(Mark):
        def edits(self, code, at, nested):
            probe = Held("held", self.log)
            refs.append(weakref.ref(probe))
            return [inject.Edit("entry", probe)]

    refs = []
    f = make()
    for shared in (False, True):
        apply(f, HeldMark(shared=shared)).restore()
    gc.collect()
    assert [ref() for ref in refs] == [None, None]


def test_function_that_its_defaults_refer_to_is_collected():
    f = make()
    holder = types.SimpleNamespace(callback=f)
    f.__defaults__ = (holder,)
    ref = weakref.ref(f)
    apply(f, Mark())
    del f, holder
    gc.collect()
    assert ref() is None


def test_running_generator_goes_on_in_the_old_code():
    def g():
        yield "old"
        yield "old"

    mark = Mark()
    running = g()
    next(running)
    with apply(g, mark):
        assert next(running) == "old" and mark.log == []
        list(g())
        held = g()
        next(held)
    assert mark.log == ["hit", "hit"]
    assert list(held) == ["old"]


# -- threads, processes ------------------------------------------------------------------------------------


def test_threads_call_while_others_patch_and_restore():
    f = make()
    original = f.__code__
    stop, wrong, errors = threading.Event(), [], []

    def call():
        while not stop.is_set():
            wrong.extend(i for i in range(100) if f(i) != i + 1)

    def patch():
        try:
            for _ in range(300):
                first = apply(f, Mark())
                second = apply(f, Mark())
                first.restore()
                second.restore()
        except BaseException as error:
            errors.append(error)

    callers, patchers = [[threading.Thread(target=job) for _ in range(2)] for job in (call, patch)]
    for thread in (*callers, *patchers):
        thread.start()
    for thread in patchers:
        thread.join()
    stop.set()
    for thread in callers:
        thread.join()
    assert (wrong, errors) == ([], [])
    assert f.__code__ is original


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_fork_while_another_thread_holds_the_lock():
    f = make()
    held, go = threading.Event(), threading.Event()

    class Slow(Mark):
        def edits(self, code, at, nested):
            held.set()
            go.wait()
            return super().edits(code, at, nested)

    thread = threading.Thread(target=lambda: apply(f, Slow()).restore())
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        try:
            g, mark = make(), Mark()
            with apply(g, mark):
                g()
            os._exit(0 if mark.log == ["hit"] else 1)
        finally:
            os._exit(2)
    go.set()
    thread.join()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


AUDIT = """
import sys
from recompyle import inject
from recompyle.errors import NotRewritable
from recompyle.patch import apply, restore
from recompyle.rewrite import Pass

class Probe:
    def __invert__(self): pass

class Mark(Pass):
    def needs_source(self): return False
    def edits(self, code, at, nested): return [inject.Edit("entry", Probe())]

def f(): return 1
def g(): return 2

protected = None
def hook(event, args):
    if event == "object.__setattr__" and args[1] == "__code__" and args[0] is protected:
        raise PermissionError("protected")
sys.addaudithook(hook)

original = f.__code__
protected = f
try:
    apply(f, Mark())
except NotRewritable as refusal:
    assert refusal.slug == "audit"
assert f.__code__ is original
protected = None
patches = apply(f, Mark()), apply(g, Mark())
protected = f
try:
    restore()
except NotRewritable as refusal:
    assert "protected" in str(refusal)
assert [p.state for p in patches] == ["active", "restored"], patches
protected = None
assert restore() == 1 and f.__code__ is original
print("done")
"""


def test_veto_of_an_audit_hook_leaves_the_function_and_spares_the_others():
    done = subprocess.run([sys.executable, "-c", AUDIT], capture_output=True, text=True)
    assert (done.stdout.strip(), done.returncode) == ("done", 0), done.stderr


def test_switched_off_by_the_environment(monkeypatch):
    monkeypatch.setenv("RECOMPYLE", "0")
    f, mark = make(), Mark()
    original = f.__code__
    with apply(f, mark) as patch:
        f()
        assert f.__code__ is original and mark.log == []
        assert patch.functions == [] and not patch.active


# -- with the AST writer -----------------------------------------------------------------------------------


class Calls(Pass):
    """Notes the value of each call."""

    name = "calls"

    def __init__(self):
        self.values = []

    def visit_Call(self, node: ast.Call, at):
        at.through(node, self)

    def __getitem__(self, value):
        self.values.append(value)
        return value


def test_both_writers_on_one_function():
    def f(x):
        return len(str(x)) + max(x, 3)

    original = f.__code__
    calls, mark = Calls(), Mark()
    with apply(f, calls) as first:
        second = apply(f, mark)
        assert f(12) == 14
        assert (calls.values, mark.log) == (["12", 2, 12], ["hit"])
        first.restore()
        assert f(12) == 14
        assert (len(calls.values), len(mark.log)) == (3, 2)
        second.restore()
    assert f.__code__ is original


def factory(n):
    def inner(x):
        return abs(x) + n

    return inner


def test_function_made_by_a_rewritten_function_begins_with_its_own_source():
    plain = factory(0).__code__
    outer, own = Calls(), Calls()
    with apply(factory, outer):
        inner = factory(1)
    rewritten = inner.__code__
    assert rewritten is not plain and pristine(inner) is plain
    assert inner(-2) == 3 and outer.values == [2]
    with apply(inner, own) as patch:
        assert inner(-2) == 3
        assert (outer.values, own.values) == ([2], [2])
        assert patch.original is rewritten and pristine(inner) is plain
    assert inner.__code__ is rewritten


# -- speed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_call_sites_are_specialised_again_after_the_last_layer_is_gone(order):
    def f(x):
        return x

    def caller(items):
        for item in items:
            f(item)

    def calls():
        caller(range(2_000))
        return {i.opname for i in dis.get_instructions(caller, adaptive=True) if i.opname.startswith("CALL_")}

    before = calls()
    assert before, "the call site was never specialised, so the test would prove nothing"
    mark = Mark()
    patches = [apply(f, mark), apply(f, mark)]
    calls()
    assert len(mark.log) == 4_000
    for n in order:
        patches[n].restore()
    assert calls() == before
    assert len(mark.log) == 4_000
