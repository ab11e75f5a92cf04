"""How long the import hook takes to rewrite a package, as a multiple of what compiling its files takes.

All modules are imported already, so nothing but the rewriting is timed, in processor time. Every function is rewritten;
inner functions are part of those that define them.
"""

import importlib
import os
import pkgutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tools import NEVER_S, Tool

TITLE = "Rewriting a package (asyncio) by the import hook, in compilations of its files"
UNIT = "times"
TOOLS = ("recompyle",)
FIRST, CACHED = "nothing on disk", "code on disk"
QUESTIONS = (FIRST, CACHED)
LAUNCHES, ROUNDS = 3, 3
PACKAGE = "asyncio"


def sources() -> dict[str, str]:
    """Import the package's modules, and return the text of each file."""
    package = importlib.import_module(PACKAGE)
    names = [f"{PACKAGE}.{each.name}" for each in pkgutil.iter_modules(package.__path__)]
    wanted = [name for name in names if "windows" not in name and "__main__" not in name]
    modules = [package, *map(importlib.import_module, wanted)]
    return {str(module.__file__): Path(str(module.__file__)).read_text(encoding="utf-8") for module in modules}


def prepare(tool: Tool, question: str) -> Callable[[], dict[str, float]]:
    from recompyle import ProfileCalls, install

    texts = sources()
    folder = tempfile.TemporaryDirectory(prefix="bench-install-")
    os.environ["RECOMPYLE_CACHE_DIR"] = folder.name

    def rewrite() -> tuple[float, int]:
        start = time.process_time_ns()
        installation = install(PACKAGE, ProfileCalls(NEVER_S), cached=question == CACHED)
        spent = time.process_time_ns() - start
        count = len(installation.functions)
        installation.uninstall()
        return spent / 1e6, count

    def play_round() -> dict[str, float]:
        assert folder.name  # kept for as long as there are rounds
        start = time.process_time_ns()
        for file, text in texts.items():
            compile(text, file, "exec", dont_inherit=True)
        bare = (time.process_time_ns() - start) / 1e6
        spent, count = rewrite()
        return {"value": spent / bare, "compile_ms": bare, "rewrite_ms": spent, "functions": count}

    rewrite()  # what is made is on disk from now on
    return play_round
