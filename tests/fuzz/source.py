"""The gate and the walk on random source of all kinds, which compiles but must never be run.

The source comes from pysource-codegen, which only this proof needs: tests/fuzz/requirements.txt. Of each function in it
the gate must find the source, and code with a probe at every place must be proved to be the old code plus probes.
A refusal is a failure, but for those with a reason in `DOCUMENTED`.
"""

from __future__ import annotations

import argparse
import ast
import linecache
import platform
import sys
import time
import types
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

from fuzz.compare import PASSES  # noqa: E402
from helpers import code_differences  # noqa: E402

from recompyle.errors import RecompyleError  # noqa: E402
from recompyle.rewrite import engine  # noqa: E402

# What a refusal may say: two functions cannot be told apart.
DOCUMENTED = ("definitions at",)
NAMES = ("never", "wrap", "all", "everywhere")


def written(text: str) -> set[tuple[str, int]]:
    """Name and first line of each function that stands in a source text: no aliases, nor what the compiler makes."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found.add((node.name, min(each.lineno for each in (node, *node.decorator_list))))
        elif isinstance(node, ast.Lambda):
            found.add(("<lambda>", node.lineno))
    return found


def functions(
    code: types.CodeType, names: dict[str, object], chosen: set[tuple[str, int]]
) -> Iterator[types.FunctionType]:
    """A function for each chosen one's code in a module's code; nothing is run to make it."""
    inner = [const for const in code.co_consts if isinstance(const, types.CodeType)]
    for at, const in enumerate(inner):
        # A class body is no function: it is not optimised. What bounds a type parameter has that one's name, which may
        # be the function's own; then it stands before the function.
        is_bound = code.co_name == f"<generic parameters of {const.co_name}>" and any(
            each.co_name == const.co_name for each in inner[at + 1 :]
        )
        if const.co_flags & 0x1 and not is_bound and (const.co_name, const.co_firstlineno) in chosen:
            cells = tuple(types.CellType() for _ in const.co_freevars)
            yield types.FunctionType(const, names, const.co_name, None, cells)
        yield from functions(const, names, chosen)


def check(text: str, name: str, refused: Counter[str]) -> tuple[int, list[str]]:
    """How many rewrites of the functions in a source text were proved, and what was found wrong."""
    path = f"<random source {name}>.py"
    linecache.cache[path] = len(text), None, text.splitlines(True), path
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        code = compile(text, path, "exec", dont_inherit=True)
    proved, found = 0, []
    for function in functions(code, {"__name__": name}, written(text)):
        for passes in NAMES:
            try:
                built = engine.build(function, function.__code__, PASSES[passes]())
            except RecompyleError as refusal:
                reason = next((each for each in DOCUMENTED if each in str(refusal)), None)
                if reason is None:
                    found.append(f"{passes}, {function.__qualname__}: {type(refusal).__name__}: {refusal}")
                else:
                    refused[reason] += 1
                continue
            proved += 1
            if passes != "wrap":
                found += [f"{passes}, {each}" for each in code_differences(function.__code__, built.code)]
    linecache.cache.pop(path)
    return proved, found


def main() -> int:
    from pysource_codegen import generate

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=int, default=1000, metavar="N", help="how many (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, metavar="I", help="seed of the first")
    parser.add_argument("--nodes", type=int, default=300, help="size of each (default: %(default)s)")
    options = parser.parse_args()
    refused: Counter[str] = Counter()
    causes: Counter[str] = Counter()
    proved = 0
    began = shown = time.monotonic()
    for seed in range(options.first, options.first + options.programs):
        # In functions there is more to rewrite.
        text = ast.unparse(ast.parse(generate(seed, node_limit=options.nodes, depth_limit=8)))
        count, found = check(text, str(seed), refused)
        proved += count
        for each in found[:1]:
            causes[each.partition(":")[0].partition(",")[0]] += 1
            print(f"seed {seed}: {each[:400]}", flush=True)
        if time.monotonic() - shown > 10:
            shown = time.monotonic()
            print(f"{seed + 1 - options.first} of {options.programs}, {proved} rewrites proved", flush=True)
    print(f"CPython {platform.python_version()}: {options.programs} programs, {proved} rewrites proved,", end=" ")
    print(f"{sum(causes.values())} programs with faults, refused: {dict(refused)}, {time.monotonic() - began:.0f} s")
    return 1 if causes else 0


if __name__ == "__main__":
    sys.exit(main())
