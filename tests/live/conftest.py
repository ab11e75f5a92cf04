"""Fixtures for live instrumentation."""

import importlib
import itertools
import sys
import textwrap

import pytest

from recompyle import live
from recompyle.live import state


@pytest.fixture(autouse=True)
def nothing_is_left():
    """Each test ends with every function as it was."""
    yield
    live.restore_all()
    live.set_hook(None)
    assert [record.path for record in state.registry.records() if record.state != "off"] == []
    state.registry._counters.clear()


_numbers = itertools.count()


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Makes a module from text: ``make(text)``, or ``make(text, name, load=False)`` for its file only."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def make_module(text, name=None, load=True):
        name = name or f"made_{next(_numbers)}"
        path = tmp_path.joinpath(*name.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        for folder in path.relative_to(tmp_path).parents:
            if str(folder) != ".":
                (tmp_path / folder / "__init__.py").touch()
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        importlib.invalidate_caches()
        return importlib.import_module(name) if load else name

    yield make_module
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]
