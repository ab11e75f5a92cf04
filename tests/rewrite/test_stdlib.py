"""The proof on code that nobody here wrote: functions of the standard library take probes."""

from __future__ import annotations

import importlib
import types
import warnings
from collections.abc import Iterator

import pytest
from helpers import code_differences

import recompyle
from recompyle.errors import SourceMismatch, SourceNotFound
from recompyle.patch.resolve import resolve
from recompyle.rewrite import engine, skeleton

MODULES = [
    "_pydecimal",
    "abc",
    "argparse",
    "ast",
    "asyncio.base_events",
    "asyncio.locks",
    "asyncio.taskgroups",
    "bdb",
    "calendar",
    "collections",
    "concurrent.futures.thread",
    "contextlib",
    "copy",
    "csv",
    "dataclasses",
    "difflib",
    "doctest",
    "email.header",
    "enum",
    "fractions",
    "functools",
    "heapq",
    "html.parser",
    "http.client",
    "inspect",
    "json.encoder",
    "logging",
    "os",
    "fileinput",
    "pickle",
    "posixpath",
    "queue",
    "random",
    "shutil",
    "statistics",
    "string",
    "subprocess",
    "tarfile",
    "textwrap",
    "threading",
    "tokenize",
    "traceback",
    "types",
    "typing",
    "unittest.mock",
    "uuid",
    "weakref",
    "zipfile",
]

# What the compiler makes without anybody having written a function.
MADE_BY_THE_COMPILER = (
    "<genexpr>",
    "<listcomp>",
    "<setcomp>",
    "<dictcomp>",
    "__annotate__",
    "<generic parameters of",
)


def functions(name: str) -> list[types.FunctionType]:
    """The functions that a module defines and that stand in its file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module(name)
        found = resolve(f"{name}:*")
    return [each for each in found if not each.__code__.co_filename.startswith("<string>")]


def written_inside(code: types.CodeType) -> Iterator[types.CodeType]:
    """The functions and lambdas that are written inside of one, at any depth."""
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            # A class body is no function: it is not optimised and takes no call.
            if const.co_flags & 0x1 and not const.co_name.startswith(MADE_BY_THE_COMPILER):
                yield const
            yield from written_inside(const)


@pytest.mark.parametrize("name", MODULES)
def test_every_function_passes_the_gate_and_takes_call_probes(name: str) -> None:
    taken = 0
    for function in functions(name):
        built = engine.build(function, function.__code__, (recompyle.ProfileCalls(-1),))
        assert built.code is not function.__code__
        assert code_differences(function.__code__, built.code) == []
        taken += 1
    assert taken >= 5


@pytest.mark.parametrize("name", MODULES)
def test_every_function_inside_a_function_passes_the_gate(name: str) -> None:
    twins = []
    for function in functions(name):
        for code in written_inside(function.__code__):
            try:
                context = skeleton.locate(code, function.__globals__)
            except SourceMismatch as refusal:
                twins.append(str(refusal))
            else:
                assert context.code is code
                assert skeleton.difference(code, context.plain) is None
    # Two lambdas of equal text and place cannot be told apart; everything else must be found.
    assert [each for each in twins if "definitions at" not in each] == []


def test_what_the_compiler_made_is_refused() -> None:
    def generator() -> object:
        return (str(n) for n in [1])

    (code,) = [each for each in generator.__code__.co_consts if isinstance(each, types.CodeType)]
    inner = types.FunctionType(code, globals())
    with pytest.raises(SourceNotFound, match="made by the compiler"):
        recompyle.rewrite(inner, recompyle.ProfileCalls(-1))
