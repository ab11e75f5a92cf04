"""Patches, scopes, installations and pauses in any order: what runs is always what is in force, and all of it goes."""

import importlib
import sys
import tempfile
import threading
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule
from marks import Mark

from recompyle.patch import apply, install, pause, pristine, registry, restore

NAME = "machine_made_module"
TEXT = """
def plain(x=1):
    return x + 1

def factory(x=1):
    def made():
        return x
    return made

class Holder:
    def method(self):
        return self.value

    @property
    def value(self):
        return 3

def numbers():
    yield 1
    yield 2
"""


class Machine(RuleBasedStateMachine):
    """Beside the real thing it keeps a list of who is in force on what."""

    patches = Bundle("patches")
    hooks = Bundle("hooks")

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        Path(self.folder.name, f"{NAME}.py").write_text(TEXT)
        sys.path.insert(0, self.folder.name)
        importlib.invalidate_caches()
        self.log = []
        self.module = importlib.import_module(NAME)
        self.made = [self.module.factory()]
        self.codes = {each: each.__code__ for each in self.functions()}
        self.inner = self.made[0].__code__
        self.force = []  # (label, handle, names)
        self.generators = []
        self.installed = []
        self.count = 0

    def functions(self):
        module, holder = self.module, self.module.Holder
        return [module.plain, module.factory, holder.method, holder.value.fget, module.numbers]

    def mark(self):
        self.count += 1
        return Mark(f"m{self.count}", self.log)

    @rule(target=patches, name=st.sampled_from(["plain", "Holder", "Holder.value", "factory", "*", "**"]))
    def patch(self, name):
        mark = self.mark()
        target = NAME if name == "**" else f"{NAME}:{name}"
        handle = apply(target, mark)
        covered = {
            "Holder": {"method", "value"}, "Holder.value": {"value"},
        }.get(name, {"plain", "factory", "method", "value", "numbers"} if "*" in name else {name})  # fmt: skip
        self.force.append([mark.label, handle, covered])
        return handle

    @rule(target=patches, scope=st.sampled_from(["existing", "future"]))
    def patch_closures(self, scope):
        mark = self.mark()
        covered = set(map(id, self.made)) | ({"made"} if scope == "future" else set())
        handle = apply(self.made[0], mark, scope=scope)
        self.force.append([mark.label, handle, covered])
        return handle

    @rule()
    def make_one_more(self):
        new = self.module.factory()
        self.made.append(new)
        for entry in self.force:
            if "made" in entry[2]:
                entry[2].add(id(new))

    @rule(target=hooks)
    def hook(self):
        mark = self.mark()
        handle = install(NAME, mark, cached=False)
        self.force.append([mark.label, handle, {"plain", "factory", "method", "value", "numbers"}])
        self.installed.append(handle)
        return handle

    @rule(handle=patches)
    def undo(self, handle):
        handle.restore()  # more than once is allowed
        self.force = [entry for entry in self.force if entry[1] is not handle]

    @rule(handle=consumes(patches))
    def undo_in_another_thread(self, handle):
        thread = threading.Thread(target=handle.restore)
        thread.start()
        thread.join()
        self.force = [entry for entry in self.force if entry[1] is not handle]

    @rule(handle=consumes(hooks))
    def uninstall(self, handle):
        handle.uninstall()
        self.force = [entry for entry in self.force if entry[1] is not handle]

    @rule()
    def undo_all(self):
        restore()
        self.force = []

    @rule()
    def pause_and_go_on(self):
        pause(Mark, True)
        try:
            del self.log[:]
            self.module.plain(), self.made[-1](), self.module.Holder().method()
            assert self.log == []
        finally:
            pause(Mark, False)

    @rule()
    def begin_a_generator(self):
        generator = self.module.numbers()
        assert next(generator) == 1
        self.generators.append(generator)

    @rule()
    def end_generators(self):
        assert [list(each) for each in self.generators] == [[2]] * len(self.generators)
        self.generators.clear()

    def expected(self, key):
        return sorted(label for label, _, covered in self.force if key in covered)

    def hits(self, function, *arguments):
        del self.log[:]
        function(*arguments)
        return sorted(self.log)

    @invariant()
    def probes_are_those_in_force(self):
        holder = self.module.Holder()
        assert self.hits(self.module.plain) == self.expected("plain")
        assert self.hits(lambda: holder.value) == self.expected("value")
        assert self.hits(holder.method) == sorted(self.expected("method") + self.expected("value"))
        for each in self.made:
            assert self.hits(each) == self.expected(id(each))
            assert pristine(each) is self.inner
        assert self.hits(self.module.factory) == self.expected("factory")

    def teardown(self):
        for hook in self.installed:
            hook.uninstall()
        restore()
        assert all(function.__code__ is code for function, code in self.codes.items())
        assert all(each.__code__ is self.inner for each in self.made)
        assert registry._entries == {}
        del sys.modules[NAME]
        sys.path.remove(self.folder.name)
        self.folder.cleanup()


Machine.TestCase.settings = settings(max_examples=12, stateful_step_count=15, deadline=None)
TestAnyOrder = Machine.TestCase
