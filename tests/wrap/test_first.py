"""Programs written for the first recompyle run as they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# What its documentation shows: announce each call before and after. The arguments are printed as they come.
ANNOUNCE = '''\
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from recompyle import wrap_calls

P = ParamSpec("P")
T = TypeVar("T")


def announce(__call: Callable[P, T], _, *args: P.args, **kwargs: P.kwargs) -> T:
    print(f"Before {__call.__qualname__}, args: {args}, kwargs: {kwargs}")
    try:
        return __call(*args, **kwargs)
    finally:
        print(f"After {__call.__qualname__}")


def as_text(number: float) -> str:
    return str(number)


@wrap_calls(wrapper=announce)
def example(count: int) -> str:
    for each in range(count):
        int(each)
    return as_text(number=123.45)


print("Begin")
print("Result:", example(2))
print("End")
'''
ANNOUNCED = """\
Begin
Before range, args: (2,), kwargs: {}
After range
Before int, args: (0,), kwargs: {}
After int
Before int, args: (1,), kwargs: {}
After int
Before as_text, args: (), kwargs: {'number': 123.45}
After as_text
Result: 123.45
End
"""

# A class made, a method called, a builtin called.
KINDS = '''\
from recompyle import CallExtras, wrap_calls


def tell(__call, __extras: CallExtras, *args, **kwargs):
    print(__extras["ln_range"][0], __extras["source"])
    return __call(*args, **kwargs)


class Runner:
    def run(self, some_arg):
        return some_arg * 1.5

    @staticmethod
    @wrap_calls(wrapper=tell)
    def double(x):
        return int(x) * 2

    @classmethod
    @wrap_calls(wrapper=tell, ignore_builtins=True)
    def make(cls):
        return [cls(), len("x")][0]


@wrap_calls(wrapper=tell, blacklist={"table[*].run"})
def example(table):
    runner = Runner()
    result = runner.run(some_arg=5)
    table['a'].run(1)
    return int(result)


@wrap_calls(wrapper=tell, whitelist={"table[a].run", "int"})
def other(table):
    return int(table['a'].run(2)) + len(str(1))


table = {"a": Runner()}
print(example(table), other(table), Runner.double("4"), type(Runner.make()).__name__)
'''
TOLD = """\
26 Runner()
27 runner.run(some_arg=5)
29 int(result)
34 table['a'].run(2)
34 int(table['a'].run(2))
16 int(x)
21 cls()
7 4 8 Runner
"""

# An exception: where the call stands, the wrapper, what was called.
FAILING = '''\
from recompyle import wrap_calls


def hand_on(__call, __extras, *args, **kwargs):
    return __call(*args, **kwargs)


def deeper():
    raise ValueError("deep down")


@wrap_calls(wrapper=hand_on)
def example():
    deeper()


example()
'''
FAILED = [
    ("<module>", 17, "example()"),
    ("example", 14, "deeper()"),
    ("hand_on", 5, "return __call(*args, **kwargs)"),
    ("deeper", 9, 'raise ValueError("deep down")'),
]


def run(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program = folder / "program.py"
    program.write_text(text)
    return subprocess.run([sys.executable, "-P", program], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("text", "expected"), [(ANNOUNCE, ANNOUNCED), (KINDS, TOLD)])
def test_output(text: str, expected: str, tmp_path: Path) -> None:
    done = run(text, tmp_path)
    assert done.stderr == ""
    assert done.stdout == expected


def test_traceback(tmp_path: Path) -> None:
    done = run(FAILING, tmp_path)
    lines = [line for line in done.stderr.splitlines() if not set(line.strip()) <= set("^~")]
    shown = [
        (place.rpartition(" in ")[2], int(place.split(", ")[1].removeprefix("line ")), source.strip())
        for place, source in zip(lines[1::2], lines[2::2], strict=False)
    ]
    assert shown == FAILED
    assert lines[-1] == "ValueError: deep down"
