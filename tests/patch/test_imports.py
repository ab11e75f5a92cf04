"""Nothing is imported while a registry is locked.

A thread that imports a module which an import hook of ours follows holds that module's lock and waits for the registry:
whoever has locked the registry and wants that module would wait for ever.
"""

import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

MODULE = """
def f(x=1):
    try:
        return sum([len(str(each)) for each in range(x)])
    except ValueError as error:
        return f"{error}"

class C:
    def method(self):
        return f(3)
    def numbers(self):
        yield len("b")

def outer():
    def inner():
        return len("c")
    return inner
"""

SCRIPT = """
import sys
import recompyle
from recompyle import live
from recompyle.live import state
from recompyle.patch import registry

class Watch:
    imported = []
    def find_spec(self, name, path=None, target=None):
        if registry._lock._is_owned() or state.registry._turn._is_owned():
            self.imported.append(name)

sys.meta_path.insert(0, Watch())
import pack.first

live.instrument("pack.first:f")
live.instrument("pack.first:C.method", print)
live.instrument("pack.first:outer.<locals>.inner", live=True)
if sys.version_info >= (3, 12):
    live.instrument("pack.first:C.numbers", engine="monitoring")
live.instrument("pack.first:C.method", mode="counter")
live.instrument("pack.second:f")
import pack.second
assert live.restore("pack.second:f").hits == 0
live.restore_all()
for kind in ("Calls", "Statements", "Expressions", "Assignments", "Loops", "Handlers"):
    recompyle.apply("pack.first", getattr(recompyle, kind)(recompyle.Counter()))
recompyle.apply(pack.first.outer(), recompyle.EntryExit(recompyle.Counter()), scope="future")
recompyle.apply("pack.first:f", recompyle.ProfileCalls(1.0))
recompyle.restore()
with recompyle.install("pack", recompyle.ProfileCalls(1.0)) as installed:
    import pack.third
    assert pack.third.f in installed.functions
assert Watch.imported == [], Watch.imported

import ast
class Late(ast.NodeTransformer):
    def visit_Call(self, node):
        import colorsys
        return node
recompyle.apply("pack.first:f", Late())
assert "colorsys" in Watch.imported, f"it would have been seen: {Watch.imported}"
"""


def test_nothing_is_imported_while_a_registry_is_locked(tmp_path):
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").touch()
    for name in ("first", "second", "third"):
        (tmp_path / "pack" / f"{name}.py").write_text(MODULE)
    (tmp_path / "script.py").write_text(textwrap.dedent(SCRIPT))
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "RECOMPYLE_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
