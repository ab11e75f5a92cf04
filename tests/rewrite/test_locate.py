"""The side-by-side walk: only probes were added, and every instruction has its old position."""

from __future__ import annotations

import dis
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from helpers import code_differences

import recompyle
from recompyle import ProfileCalls
from recompyle.errors import NotRewritable
from recompyle.rewrite.locate import match
from recompyle.rewrite.skeleton import difference


def function_of(text: str, name: str = "located.py") -> types.CodeType:
    (code,) = [each for each in compile(text, name, "exec").co_consts if isinstance(each, types.CodeType)]
    return code


SHAPES = {
    "straight": "a.b(c)\n    return d(a)",
    "branches": "if a(b):\n        return c(1)\n    elif d(2):\n        return a(3)\n    return b(4)",
    "loops": (
        "for x in a(b):\n"
        "        if c(x):\n"
        "            continue\n"
        "        if d(x):\n"
        "            break\n"
        "        a(x)\n"
        "    else:\n"
        "        b()"
    ),
    "while": "while a(b):\n        c()\n    while True:\n        if d():\n            return",
    "handlers": (
        "try:\n"
        "        a()\n"
        "    except (b, c) as e:\n"
        "        d(e)\n"
        "    except a(b):\n"
        "        raise c(d) from None\n"
        "    else:\n"
        "        b()\n"
        "    finally:\n"
        "        c()"
    ),
    "managers": "with a(b) as x, c(x):\n        return d(x)",
    "generator": "x = yield a(b)\n    yield from c(x)\n    return d(x)",
    "comprehensions": "return [a(x) for x in b() if c(x)], {x: d(x) for x in b()}, (a(x) for x in b())",
    "nested": "def inner(x=a()):\n        return b(x)\n    return inner(c), lambda: d()",
    "lines": (
        "return (a\n"
        "        .b()\n"
        "        .c(\n"
        "            d(),\n"
        "            *b(),\n"
        "            x=c(),\n"
        "        ))"
    ),
    "booleans": "return a() and b() or not c(), a() if b() else c(), a() < b() < c()",
    "match": (
        "match a():\n"
        "        case [x, *_] if b(x):\n"
        "            return c(x)\n"
        "        case {'k': v}:\n"
        "            return d(v)"
    ),
    "deep": "return " + "a(" * 40 + "b" + ")" * 40,
    "long": "return [" + ", ".join(f"a(b, {n})" for n in range(300)) + "]",
    "loop after loop": "\n    ".join(f"for x{n} in a():\n        b(x{n})" for n in range(60)),
}


@pytest.mark.parametrize("body", SHAPES.values(), ids=SHAPES)
def test_positions_and_lines_are_the_old_ones(body: str, tmp_path: Path) -> None:
    path = tmp_path / "shape.py"
    path.write_text(f"def f(a, b, c, d):\n    {body}\n")
    names: dict[str, Any] = {"__name__": "shape"}
    exec(compile(path.read_text(), str(path), "exec"), names)
    f = names["f"]
    new = recompyle.rewrite(f, ProfileCalls(-1)).__code__
    assert new is not f.__code__
    assert code_differences(f.__code__, new) == []


def lines_by_offset(code: types.CodeType) -> list[int | None]:
    return [line for start, end, line in code.co_lines() for _ in range(start, end, 2)]


def test_code_matches_itself_and_keeps_its_table() -> None:
    code = function_of(f"def f(a, b, c, d):\n    {SHAPES['handlers']}\n")
    found = match(code, code, {})
    assert [each for each, _ in found] == [code]
    again = code.replace(co_linetable=found[0][1])
    assert list(again.co_positions()) == list(code.co_positions())
    assert lines_by_offset(again) == lines_by_offset(code)


def test_nested_code_is_matched_as_well() -> None:
    code = function_of("def f(a):\n    def g(b):\n        return lambda: b\n    return g\n")
    names = sorted(each.co_name for each, _ in match(code, code, {}))
    assert names == ["<lambda>", "f", "g"]


PAIRS = {
    "another operation": ("return a + b", "return a - b"),
    "another name": ("return a.x", "return a.y"),
    "another constant": ("return 1, a", "return 2, a"),
    "constant of another type": ("return (1, a)", "return (True, a)"),
    "another order": ("return a(), b()", "return b(), a()"),
    "one more call": ("return a()", "return a()()"),
    "one call less": ("a(); return b()", "return b()"),
    "another test": ("if a: return b", "if not a: return b"),
    "another comparison": ("return a < b", "return a <= b"),
    "another handler": ("try: a()\n    except b: c", "try: a()\n    except c: c"),
    "no handler": ("try: a()\n    finally: b()", "a()\n    b()"),
    "another local": ("x = a; y = b; return x", "x = a; y = b; return y"),
    "another lambda": ("return lambda: a", "return lambda: b"),
    "a generator": ("return a", "yield a"),
    "a loop": ("for x in a: b()", "while a: b()"),
    "another slice": ("return a[1:2]", "return a[1:3]"),
    "another subscript": ("return a[b]", "return a[b][b]"),
    "a local, not a constant, dropped": ("b if a else c; return c", "b if a else 's'; return c"),
    "another one behind what is dropped": ("'s' if a else b; return b", "'s' if a else b; return c"),
    "no constant that is not dropped": ("return 's' if a else b", "'s' if a else b; return b"),
}


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_anything_else_is_refused(pair: tuple[str, str]) -> None:
    old, new = (function_of(f"def f(a, b, c):\n    {body}\n") for body in pair)
    assert difference(old, new) is not None
    with pytest.raises(NotRewritable, match=r"^f: with probes") as caught:
        match(old, new, {})
    assert caught.value.slug == "unproved"


def test_refusal_names_line_and_operations() -> None:
    old, new = (function_of(f"def f(a, b):\n    x = 1\n    return a {sign} b\n") for sign in ("+", "[b] +"))
    with pytest.raises(NotRewritable, match=r"near line 3 \([A-Z_]+ became [A-Z_]+\)"):
        match(old, new, {})


def carets(code: types.CodeType) -> list[Any]:
    """Where the calls of a code object stand."""
    calls = [each for each in dis.get_instructions(code) if each.opname == "CALL"]
    return [each.positions for each in calls]


def test_calls_keep_their_carets() -> None:
    def f(a: Any) -> Any:
        return str(a), (len(a) + len(
            a))  # fmt: skip

    wanted, got = carets(f.__code__), carets(recompyle.rewrite(f, ProfileCalls(-1)).__code__)
    assert got == wanted
    assert len(wanted) == 3
    assert all(each.col_offset is not None for each in wanted)


def test_what_a_comprehension_gives_may_be_stored_before_or_after_what_it_hid() -> None:
    # The way out is short enough to be copied without probes, and not with them.
    def chosen(a: Any, b: Any) -> Any:
        z = [i + 1 for i in b] if a else b
        return z

    with recompyle.apply(chosen, recompyle.Expressions(recompyle.Counter), recompyle.Statements(recompyle.Counter)):
        assert code_differences(recompyle.pristine(chosen), chosen.__code__) == []
        assert [chosen(1, [2]), chosen(0, [2])] == [[3], [2]]


# Where the way out of a function or handler is short, the compiler copies it to both arms and leaves a constant out
# that is dropped right there. With a probe behind it, it does not.
DROPPED = {
    "at the end": "'s' if a else b",
    "before a return": "'s' if a else b\n    return c",
    "first of several": "b if a else 1 if c else d\n    return c",
    "inner": "('s' if a else b) if c else d\n    return c",
    "both": "1 if a else None\n    return c",
    "operand": "d and (-1 if a else b)\n    return c",
    "handler": "try: a.x\n    except AttributeError as e:\n        's' if c else b\n    return c",
    "operands in a handler": "try: a.x\n    except AttributeError as e:\n        (b or 1) if c else d\n    return c",
    "group": "try: a.x\n    except* AttributeError as e:\n        (1 or b) if c else d",
    "try": "try:\n        (1 or b) if c else d\n    except c as e: pass\n    return c",
    "finally": "try: a()\n    finally:\n        ('s' if a else b) if c else d\n    return c",
    "subscript": "d[a:b, 's']\n    return c",
}


@pytest.mark.parametrize("body", DROPPED.values(), ids=DROPPED)
def test_constant_that_is_dropped_at_once_may_be_loaded_or_not(body: str, tmp_path: Path) -> None:
    path = tmp_path / "dropped.py"
    path.write_text(f"def f(a, b, c, d):\n    {body}\n")
    names: dict[str, Any] = {"__name__": "dropped"}
    exec(compile(path.read_text(), str(path), "exec"), names)
    f = names["f"]
    for kinds in (
        [recompyle.Expressions],
        [recompyle.Statements],
        [recompyle.Expressions, recompyle.Statements, recompyle.Handlers],
    ):
        new = recompyle.rewrite(f, *(kind(recompyle.Counter) for kind in kinds)).__code__
        assert new is not f.__code__
        assert code_differences(f.__code__, new) == []


def test_constant_that_is_dropped_at_once_without_columns(tmp_path: Path) -> None:
    bodies = list(DROPPED.values())
    bodies += [f"{body}\n    return 's'" for body in bodies if "return" not in body]
    path = tmp_path / "dropped.py"
    path.write_text("".join(f"def f{n}(a, b, c, d):\n    {body}\n" for n, body in enumerate(bodies)))
    script = (
        "import dropped, recompyle\n"
        "functions = [each for name, each in vars(dropped).items() if name.startswith('f')]\n"
        "new = [recompyle.rewrite(each, recompyle.Expressions(recompyle.Counter)) for each in functions]\n"
        "print(sum(one.__code__ is not other.__code__ for one, other in zip(new, functions)))\n"
    )
    command = [sys.executable, "-X", "no_debug_ranges", "-c", script]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == (f"{len(bodies)}\n", "")


def test_lambda_that_yields_returns_from_where_it_did() -> None:
    def chosen(a: Any, b: Any) -> Any:
        return lambda: (yield) and a and [x.y for x in b]

    with recompyle.apply(chosen, recompyle.Expressions(recompyle.Counter)):
        assert code_differences(recompyle.pristine(chosen), chosen.__code__) == []


def test_code_that_cannot_be_reached_has_its_lines_and_no_markers() -> None:
    def unreachable(a: Any) -> Any:
        while a:
            try:
                pass
            except a.E:

                def inner(b: Any) -> Any:
                    return b.x(c.y() for c in b)

                try:
                    a = inner
                except KeyError:
                    a = None
        return a

    with recompyle.apply(unreachable, recompyle.Statements(recompyle.Counter), recompyle.Calls(recompyle.Counter)):
        assert code_differences(recompyle.pristine(unreachable), unreachable.__code__) == []
