"""Real modules with every call of every function wrapped give the same results."""

from __future__ import annotations

import argparse
import configparser
import contextlib
import csv
import difflib
import importlib
import io
import json
import random
import statistics
import string
import textwrap
import tokenize
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import recompyle
from recompyle import WrapCalls

TEXT = Path(textwrap.__file__).read_text(encoding="utf-8")


class Counting:
    """A wrapper that counts."""

    def __init__(self) -> None:
        self.count = 0

    def hand_on(self, call: Any, extras: Any, /, *args: Any, **kwargs: Any) -> Any:
        self.count += 1
        return call(*args, **kwargs)


def use_json() -> Any:
    encode = json.encoder.c_make_encoder
    json.encoder.c_make_encoder = None  # the encoder in Python
    try:
        data = {"a": [1, 2.5, None, True, {"é": "\n"}], "b": {}, "c": "x" * 50}
        text = json.dumps(data, indent=2, sort_keys=True)
    finally:
        json.encoder.c_make_encoder = encode
    scan = json.scanner.py_make_scanner(json.JSONDecoder())
    errors = []
    for bad in ("[1,", '{"a" 1}', "nul", '"\\x"'):
        with pytest.raises(json.JSONDecodeError) as caught:
            json.loads(bad)
        errors.append(str(caught.value))
    return text, scan(text, 0), errors


def use_textwrap() -> Any:
    return textwrap.wrap(TEXT, 40), textwrap.dedent(TEXT), textwrap.indent(TEXT, "> "), textwrap.shorten(TEXT, 70)


def use_difflib() -> Any:
    lines = TEXT.splitlines()
    other = [*lines[:50], "new", *lines[52:100], *lines[110:]]
    return list(difflib.unified_diff(lines, other)), difflib.get_close_matches("appel", ["ape", "apple", "peach"])


def use_statistics() -> Any:
    data = [random.Random(3).gauss(5, 2) for _ in range(100)]
    line = statistics.linear_regression(range(100), data)
    mean, deviation = statistics.mean(data), statistics.stdev(data)
    return mean, deviation, statistics.quantiles(data, n=10), statistics.multimode("aab"), line


def use_argparse() -> Any:
    parser = argparse.ArgumentParser(prog="p", description=TEXT[:200])
    parser.add_argument("-v", "--verbose", action="count", default=0)
    parser.add_argument("--size", type=int, choices=[1, 2], required=True)
    parser.add_subparsers(dest="command").add_parser("run").add_argument("files", nargs="*")
    out = io.StringIO()
    with contextlib.redirect_stderr(out), pytest.raises(SystemExit):
        parser.parse_args(["--size", "3"])
    return parser.format_help(), vars(parser.parse_args(["-vv", "--size", "1", "run", "a", "b"])), out.getvalue()


def use_configparser() -> Any:
    parser = configparser.ConfigParser(interpolation=configparser.ExtendedInterpolation())
    parser.read_string("[a]\nx = 1\n  2\ny: ${x}3\n[b]\nz=${a:y}\nflag = yes\n")
    out = io.StringIO()
    parser.write(out)
    sections = {name: dict(parser[name]) for name in parser}
    return out.getvalue(), parser["b"]["z"], parser.getboolean("b", "flag"), sections


def use_csv() -> Any:
    out = io.StringIO()
    writer = csv.DictWriter(out, ["a", "b"], restval="-")
    writer.writeheader()
    writer.writerows([{"a": 1}, {"a": "x,y", "b": '"'}])
    text = out.getvalue()
    return text, list(csv.DictReader(io.StringIO(text))), vars(csv.Sniffer().sniff("a;b\n1;2\n3;4\n"))["delimiter"]


def use_decimal() -> Any:
    decimal = importlib.import_module("_pydecimal")
    with decimal.localcontext() as context:
        context.prec = 40
        number = decimal.Decimal
        values = [number(2).sqrt(), number(10).ln(), number("1.5") ** 3, number(1) / 7]
        with pytest.raises(decimal.InvalidOperation):
            decimal.Decimal("x")
        return [str(each) for each in values], f"{values[0]:,.5f}"


def use_tokenize() -> Any:
    return list(tokenize.generate_tokens(io.StringIO(TEXT).readline))


def use_string() -> Any:
    filled = string.Template("$a ${b} $$").substitute(a=1, b=2)
    return filled, string.Formatter().format("{0:>{w}} {x!r}", 1, w=4, x="y")


USES: dict[str, tuple[list[str], Callable[[], Any]]] = {
    "json": (["json", "json.encoder", "json.decoder", "json.scanner"], use_json),
    "textwrap": (["textwrap"], use_textwrap),
    "difflib": (["difflib"], use_difflib),
    "statistics": (["statistics", "fractions"], use_statistics),
    "argparse": (["argparse", "gettext"], use_argparse),
    "configparser": (["configparser"], use_configparser),
    "csv": (["csv"], use_csv),
    "decimal": (["_pydecimal"], use_decimal),
    "tokenize": (["tokenize"], use_tokenize),
    "string": (["string"], use_string),
}


@pytest.mark.parametrize("hide", [True, False], ids=["probe", "direct"])
@pytest.mark.parametrize("name", USES)
def test_a_module_gives_the_same_results(name: str, hide: bool) -> None:
    modules, use = USES[name]
    plain = repr(use())
    counting = Counting()
    for each in modules:
        importlib.import_module(each)
        patch = recompyle.apply(f"{each}:*", WrapCalls(counting.hand_on, hide_wrapper=hide))
        # What stands in no file (made by `exec`) has no source; all the rest must be taken.
        assert [reason for _, reason in patch.skipped if "<string>" not in reason and "source" not in reason] == []
    assert repr(use()) == plain
    assert counting.count > 10
    recompyle.restore()
    before = counting.count
    assert repr(use()) == plain
    assert counting.count == before
