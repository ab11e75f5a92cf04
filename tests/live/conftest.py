"""Fixtures for live instrumentation."""

import importlib
import itertools
import shutil
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest
from programs import Program

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


@pytest.fixture
def runtime(monkeypatch):
    """A short private folder in place of the user's for sockets, here and in programs."""
    folder = tempfile.mkdtemp(prefix="rcp-test-", dir="/tmp")
    monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
    yield Path(folder)
    shutil.rmtree(folder)


@pytest.fixture
def start(runtime, tmp_path):
    """Starts programs: see `programs.Program`."""
    started = []

    def start_program(text="", **options):
        folder = tmp_path / f"program_{len(started)}"
        folder.mkdir()
        started.append(Program(folder, text, **options))
        return started[-1]

    yield start_program
    for program in started:
        program.end()
