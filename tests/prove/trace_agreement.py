"""Does `recompyle.tracefunc` see what the package `tracefunc` sees? Calls of the standard library, traced by both.

    python tests/prove/trace_agreement.py      # with the package installed, on CPython 3.12 or 3.13

Prints each difference with its explanation, as the page on tracing gives them, and ends with 1 if one has none.
"""

import calendar
import colorsys
import copy
import difflib
import fnmatch
import fractions
import functools
import heapq
import importlib.metadata
import json.decoder
import json.encoder
import posixpath
import random
import re
import shlex
import statistics
import string
import sys
import textwrap
import urllib.parse

from recompyle import tracefunc as ours


class Fresh:
    """A method of an object that is made anew for each tool."""

    def __init__(self, kind, *arguments, method):
        self.kind, self.arguments, self.method = kind, arguments, method

    def make(self):
        return getattr(self.kind(*self.arguments), self.method)


CALLS = (
    (textwrap.dedent, "  a\n   b\n"), (textwrap.indent, "a\nb\n", "> "), (textwrap.shorten, "hello big world", 9),
    (textwrap.wrap, "one two three", 8), (textwrap.fill, "one two three", 8),
    (json.decoder.JSONDecoder().decode, '{"a": [1, 2]}'), (json.decoder.py_scanstring, 'ab\\n"', 0),
    (json.encoder.py_encode_basestring, 'a"b'), (json.encoder.py_encode_basestring_ascii, "ä"),
    (difflib.get_close_matches, "appel", ["ape", "apple"]),
    (Fresh(difflib.SequenceMatcher, None, "abcd", "bcde", method="ratio"),),
    (Fresh(difflib.SequenceMatcher, None, "abcd", "bcde", method="find_longest_match"),),
    (Fresh(difflib.SequenceMatcher, None, "ab", "bc", method="get_opcodes"),), (difflib.IS_CHARACTER_JUNK, " "),
    (statistics.mean, [1, 2, 4]), (statistics.median, [1, 3, 2]), (statistics.mode, [1, 1, 2]),
    (statistics.pstdev, [1, 2, 3]), (statistics.quantiles, [1, 2, 3, 4]), (statistics.multimode, "aab"),
    (statistics.harmonic_mean, [40, 60]), (statistics.geometric_mean, [2, 8]),
    (posixpath.join, "a", "b"), (posixpath.normpath, "a/../b"), (posixpath.split, "a/b"),
    (posixpath.relpath, "/a/b", "/a"),
    (posixpath.commonpath, ["/a/b", "/a/c"]), (fnmatch.translate, "*.p[yz]"), (heapq.nsmallest, 2, [3, 1, 2]),
    (heapq.nlargest, 1, [3, 1, 2]), (urllib.parse.quote, "a b"), (urllib.parse.urlencode, {"a": 1}),
    (urllib.parse.parse_qsl, "a=1&b=2"), (urllib.parse.urljoin, "http://a/b", "c"), (urllib.parse.unquote, "a%20b"),
    (shlex.split, "a 'b c'"), (shlex.quote, "a b"), (string.capwords, "a b"), (calendar.monthrange, 2024, 2),
    (calendar.isleap, 2024), (colorsys.rgb_to_hsv, 0.1, 0.5, 0.2), (fractions.Fraction("1/3").limit_denominator, 2),
    (functools.reduce, max, [1, 2]), (re.escape, "a.b"), (Fresh(random.Random, 1, method="shuffle"), [1, 2, 3]),
)


def plain(text: str) -> str:
    """A text without addresses."""
    return re.sub(r"0x[0-9a-f]+", "0x", text)


def comparable(key: str) -> str:
    """A key as the other tool has it: without a comment behind a header, and continued lines indented anyhow."""
    if key.lstrip().startswith(("for", "if", "while", "elif", "with", "try")):
        key = re.sub(r"\s*#[^\n]*", "", key)
    return re.sub(r"\n\s*", "\n", key)


def flat(results) -> list[dict]:
    """Each call's lines, fit to be compared."""
    return [
        {
            comparable(key): (
                hits,
                {name: [(kind, plain(text)) for kind, text in held] for name, held in names.items()},
            )
            for key, (hits, names) in trace.items()
        }
        for _, trace in results
    ]


def explained(key: str, here, there) -> str | None:
    """Why a line differs; None if it must not."""
    if here and there and here[0] == there[0] and key.startswith("("):
        return "a generator expression's iterable, read from the function around"
    if key.startswith("with "):
        return "leaving a `with` is no second hit"
    if key.startswith("def "):
        return "the names of a function inside belong to its own lines"
    if "lambda" in key:
        return "calls of a lambda are no hits of its statement"
    if there is None and key.startswith("(") and " if " in key.partition(" for ")[0]:
        return "an element with a condition is not seen by the package"
    if key.startswith(("[", "{", "(")) or " for " in key:
        return "elements of nested comprehensions count by themselves"
    return None


def main() -> int:
    from tracefunc import tracefunc as theirs

    print("tracefunc", importlib.metadata.version("tracefunc"), "on", sys.version.split()[0])
    same = different = unexplained = 0
    for function, *arguments in CALLS:
        make = function.make if isinstance(function, Fresh) else lambda function=function: function
        name = make().__qualname__
        try:
            there = flat(theirs(make(), *copy.deepcopy(arguments)))
        except Exception as error:
            print(f"{name}: the package cannot trace it: {type(error).__name__}: {error}")
            continue
        try:
            here = flat(ours(make(), *copy.deepcopy(arguments)))
        except Exception as error:
            print(f"{name}: cannot be traced: {type(error).__name__}: {error}")
            unexplained += 1
            continue
        found = [("number of calls", len(here), len(there))] if len(here) != len(there) else []
        for one, other in zip(here, there, strict=False):
            found += [(key, one.get(key), other.get(key)) for key in {**one, **other} if one.get(key) != other.get(key)]
        same, different = same + (not found), different + bool(found)
        for key, one, other in found:
            reason = explained(key, one, other)
            unexplained += reason is None
            print(f"{name}: {key!r}: {reason or f'NOT EXPLAINED: {one} here, {other} there'}")
    print(f"{same} calls alike, {different} different, {unexplained} differences not explained")
    return bool(unexplained)


if __name__ == "__main__":
    sys.exit(main())
