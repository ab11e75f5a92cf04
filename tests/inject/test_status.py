"""Whether the writer works here, and on what: `status`, `check`, `show` and the test of itself."""

import abc
import functools
import importlib
import logging
import subprocess
import sys
import textwrap
import zipimport

import pytest

import recompyle
from recompyle import _env, inject
from recompyle.errors import NotRewritable
from recompyle.inject import choose, facts, points, selftest, usable


class Probe:
    def __invert__(self):
        return None

    def __getitem__(self, value):
        return value


ENTRY = inject.Edit("entry", Probe())


def test_the_writer_works_here():
    assert inject.status() == inject.Status(True, sys.version.split()[0].rstrip("+"), None)


def test_a_writer_that_forgets_something_is_found():
    def forgetful(code, edits):
        return choose.write(code, edits[:-1])

    assert "_plain" in (selftest.failure(points.sites, forgetful) or "")


def test_a_writer_that_raises_is_found():
    def raising(code, edits):
        raise IndexError("gone")

    assert "IndexError: gone" in (selftest.failure(points.sites, raising) or "")


def test_nothing_is_written_after_a_failed_test(monkeypatch):
    monkeypatch.setattr(usable, "_tested", [])
    monkeypatch.setattr(usable.selftest, "failure", lambda sites, write: "it is all wrong")
    assert inject.status().ok is False and "it is all wrong" in str(inject.status().reason)
    assert inject.check(textwrap.dedent).slug == "self_test_failed"
    with pytest.raises(NotRewritable) as raised:
        inject.write(textwrap.dedent.__code__, [ENTRY])
    assert raised.value.slug == "self_test_failed"
    with pytest.raises(NotRewritable):
        recompyle.apply(textwrap.dedent, ENTRY)


@pytest.mark.parametrize(
    "module, name, value", [(facts, "KNOWN", False), (_env, "CONSTANTS_CRASH", True)], ids=["new", "free-threaded"]
)
def test_an_unknown_interpreter(monkeypatch, module, name, value):
    monkeypatch.setattr(usable, "_tested", [])
    monkeypatch.setattr(module, name, value)
    assert inject.check(textwrap.dedent).slug == "unknown_python"


def test_switched_off_by_the_environment(monkeypatch):
    monkeypatch.setenv("RECOMPYLE_INJECT", "0")
    assert inject.status().ok is False
    assert inject.check(textwrap.dedent).slug == "switched_off"
    with pytest.raises(NotRewritable) as raised:
        recompyle.apply(textwrap.dedent, ENTRY)
    assert raised.value.slug == "switched_off"
    for on in ("1", ""):
        monkeypatch.setenv("RECOMPYLE_INJECT", on)
        assert inject.status().ok
    monkeypatch.delenv("RECOMPYLE_INJECT")
    assert inject.status().ok and inject.check(textwrap.dedent) is None


def test_the_test_leaves_nothing_behind():
    program = """
import os, sys, threading
import recompyle
from recompyle import inject
files = os.listdir("/dev/fd")
assert inject.status().ok
assert threading.active_count() == 1
assert os.listdir("/dev/fd") == files
monitoring = getattr(sys, "monitoring", None)
assert monitoring is None or not any(monitoring.get_tool(tool) for tool in range(6))
assert sys.gettrace() is None and sys.getprofile() is None
"""
    subprocess.run([sys.executable, "-c", program], check=True)


class Base(abc.ABC):
    @abc.abstractmethod
    def must(self):
        return 1

    def may(self):
        return 2


class Callable:
    def __call__(self):
        return 1


REFUSED = {
    "not_python": [len, dict.get, int, functools.partial, functools.lru_cache(lambda: 1), str.join],
    "no_function": [3, "text", Callable(), None],
    "abstract": [Base.must],
    "own_module": [
        recompyle.apply, importlib._bootstrap._gcd_import, importlib._bootstrap_external.cache_from_source,
        zipimport.zipimporter.find_spec,
    ],
}


@pytest.mark.parametrize("slug, target", [(slug, each) for slug, targets in REFUSED.items() for each in targets])
def test_what_takes_no_probes(slug, target):
    refusal = inject.check(target)
    assert refusal is not None and refusal.slug == slug
    assert refusal.text


def test_what_takes_probes():
    for target in (textwrap.dedent, Base.may, logging.getLogger().info, textwrap.dedent.__code__, lambda: 1):
        assert inject.check(target) is None
    assert inject.check(Base.must, force=True) is None
    assert inject.check(textwrap.dedent, ENTRY) is None
    refusal = inject.check(textwrap.dedent, inject.Edit("return", Probe(), index=99))
    assert refusal is not None and refusal.slug == "no_such_site"


def test_apply_refuses_the_same():
    with pytest.raises(NotRewritable) as raised:
        recompyle.apply(Base.must, ENTRY)
    assert raised.value.slug == "abstract"
    with recompyle.apply(Base.must, inject.Edit("entry", Probe(), force=True)) as patch:
        assert patch.active
    with recompyle.apply(Base, ENTRY) as patch:
        assert [function.__name__ for function in patch.functions] == ["may"]
        assert [name.rpartition(".")[2] for name, _ in patch.skipped] == ["must"]
    with pytest.raises(NotRewritable) as raised:
        recompyle.apply(recompyle.restore, ENTRY)
    assert raised.value.slug == "own_module"


def test_protected_code():
    code = (lambda: 1).__code__
    for protected in (
        code.replace(co_names=("print", "__pyarmor_enter_1234__")),
        code.replace(co_consts=(*code.co_consts, "__armor_exit__")),
    ):
        assert inject.check(protected).slug == "protected"
        with pytest.raises(NotRewritable) as raised:
            inject.write(protected, [ENTRY])
        assert raised.value.slug == "protected"


def test_show():
    memory = bytearray(8)
    text = inject.show(textwrap.dedent, [inject.Edit("entry", inject.SlotCounter(memory, label="hits"))])
    before, _, after = text.partition("\nafter\n")
    assert before.startswith("before\n") and "SlotCounter" not in before
    assert "<SlotCounter hits: 0>" in after and "UNARY_INVERT" in after
    with recompyle.apply(textwrap.dedent, inject.Edit("return", inject.SlotCounter(memory, label="left"))):
        before, _, after = inject.show(textwrap.dedent).partition("\nafter\n")
    assert "left" in after and "left" not in before
    with pytest.raises(TypeError):
        inject.show(3)
