"""The gate: the unchanged function in its skeleton compiles to the running code, or is refused."""

from __future__ import annotations

import ast
import copy
import linecache
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recompyle.errors import SourceMismatch
from recompyle.rewrite.skeleton import difference, locate


def codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """The functions and lambdas that are written in a code object, at any depth."""
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            made = const.co_name.startswith("<") and const.co_name != "<lambda>"
            if const.co_flags & 1 and not made and const.co_name != "__annotate__":
                yield const
            yield from codes(const)


def load(path: Path, text: str) -> dict[str, types.CodeType]:
    path.write_text(text)
    return {each.co_qualname: each for each in codes(compile(text, str(path), "exec", dont_inherit=True))}


PROGRAMS = {
    "names of classes mangle": (
        "class __A_:\n    def f(self, __k):\n        import os as __os\n        return self.__x, __k, __os"
    ),
    "free variables in order": (
        "def o():\n    zeta = alpha = mid = 1\n    def f():\n        return mid, zeta, alpha\n    return f"
    ),
    "free variable that is never bound": (
        "def o():\n    def f():\n        return never\n    if 0:\n        never = 1"
    ),
    "super": (
        "class C:\n"
        "    def f(self):\n"
        "        return super().f(), __class__\n"
        "    def g(self):\n"
        "        def h(s):\n"
        "            return super(C, s)\n"
        "        return h"
    ),
    "module's own super": "super = 1\nclass C:\n    def f(self):\n        return super().f()",
    "imported names": (
        "import os\nfrom sys import path\ndef f(x):\n    return os.getcwd(), path.copy(), x.copy()"
    ),
    "local hides import": "import os\ndef f():\n    import os\n    return os.getcwd()",
    "global in the enclosing function": (
        "def o():\n    global x\n    x = 1\n    def f():\n        return x\n    return f"
    ),
    "global in a branch of a class": (
        "def o():\n    x = 1\n    class C:\n        if y:\n            global x\n        x = 2\n"
        "        def f(self):\n            return x\n    def g():\n        return x"
    ),
    "global in another function": (
        "def o():\n    def g():\n        global x\n    x = 2\n    def f():\n        return x\n    return f"
    ),
    "global def": "def o():\n    global f\n    def f():\n        return 1",
    "future": (
        "from __future__ import annotations\n"
        "def f(x: Later) -> Never:\n"
        "    def g(y: Other): pass\n"
        "    return g"
    ),
    "class in a function in a class": (
        "class A:\n"
        "    def m(self):\n"
        "        class B:\n"
        "            def f(self):\n"
        "                return self, m2\n"
        "        m2 = 1\n"
        "        return B"
    ),
    "qualified names as constants": (
        "def f():\n    class K:\n        def g(self):\n            return lambda: self\n    return K"
    ),
    "decorators": "@print\n@(lambda x: x)\ndef f(a=1, *, b=2):\n    return a, b",
    "comprehension around": "def o(xs):\n    return [lambda: (x, y) for x in xs for y in x]",
    "generator expression around": "def o(xs):\n    return (lambda: x for x in xs)",
    "lambda around": "o = lambda x: lambda y: (x, y)",
    "lambda as a default": "def o(x):\n    def f(y=lambda: x):\n        return y\n    return f",
    "kinds": (
        "async def a():\n"
        "    async for x in y:\n"
        "        yield x\n"
        "async def b():\n"
        "    await x\n"
        "def c():\n"
        "    yield"
    ),
    "constants nearly equal": (
        "def f():\n    return 0.0, -0.0, 1, True, 1.0, (0.0, -0.0), 1e400 - 1e400, {1, True}, b'', ''"
    ),
    "docstrings": "def f():\n    'text'\ndef g():\n    return 1\ndef h():\n    'text'\n    return 2",
    "nested docstring and dedent": (
        "class C:\n    def f(self):\n        '''a\n          b'''\n        return '''c\n  d'''"
    ),
    "long lines and columns": "def f():\n    return " + "x" * 200 + "(" + " " * 300 + "y, ä, 'ü')",
    "one name in two branches": (
        "if x:\n    def f():\n        return 1\nelse:\n    def f():\n        return 2"
    ),
}


@pytest.mark.parametrize("text", PROGRAMS.values(), ids=PROGRAMS)
def test_every_function_is_matched(text: str, tmp_path: Path) -> None:
    found = [*codes(compile(text, "counted", "exec", dont_inherit=True))]
    path = tmp_path / "program.py"
    path.write_text(text)
    matched = 0
    for code in codes(compile(text, str(path), "exec", dont_inherit=True)):
        context = locate(code, {"__name__": "program"})
        assert context.code is code
        assert context.plain is not code
        assert context.plain.co_filename == str(path)
        assert context.plain.co_qualname == code.co_qualname
        assert difference(code, context.plain) is None
        matched += 1
    assert matched == len(found) >= 1


def test_both_lambdas_of_a_line_by_their_columns(tmp_path: Path) -> None:
    path = tmp_path / "two.py"
    path.write_text("pair = (lambda x: x), (lambda x: x)\n")
    first, second = codes(compile(path.read_text(), str(path), "exec"))
    nodes = [locate(code, {}).definition.node.col_offset for code in (first, second)]
    assert nodes == [8, 23]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="type parameters are new in 3.12")
def test_bound_of_a_type_parameter_is_not_the_function_of_that_name(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text("def f[f: (int, str)](a):\n    return a, f\n")
    generic = compile(path.read_text(), str(path), "exec", dont_inherit=True).co_consts[0]
    bound, function = (each for each in generic.co_consts if isinstance(each, types.CodeType))
    assert (bound.co_name, bound.co_firstlineno) == (function.co_name, function.co_firstlineno)
    assert difference(function, locate(function, {"__name__": "program"}).plain) is None
    with pytest.raises(SourceMismatch):
        locate(bound, {"__name__": "program"})


def test_equal_definitions_without_columns_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "equal.py"
    text = "pair = (lambda x: x), (lambda x: x)\n"
    path.write_text(text)
    first, _ = codes(compile(text, str(path), "exec"))
    source = locate(first, {}).source
    source.definitions["<lambda>", 1][1] = source.definitions["<lambda>", 1][0]
    with pytest.raises(SourceMismatch, match=r"2 definitions at .*equal.py, line 1 compile to the same code"):
        locate(first, {})


REASONS = [
    ("def f(x):\n    return y\n", "co_names differs"),
    ("def f(y):\n    return y\n", "co_varnames differs"),
    ("def f(x, y=1):\n    return x\n", "co_argcount differs"),
    ("def f(*, x):\n    return x\n", "differs"),
    ("async def f(x):\n    return x\n", "co_flags differs"),
    ("def f(x):\n    return  x\n", "positions differ"),
    ("def f(x):\n\n    return x\n", "positions differ"),
    ("\ndef f(x):\n    return x\n", "not defined at .*line 1; the name is defined at line 2"),
    ("def g(x):\n    return x\n", "not defined at .*line 1: the file was changed"),
    ("def f(x):\n    return x; 1 +\n", "does not parse"),
    ("def f(x):\n    return x; nonlocal z\n", "does not compile"),
]


@pytest.mark.parametrize(("edited", "reason"), REASONS, ids=[each[0] for each in REASONS])
def test_edited_text_is_refused_with_what_differs(edited: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "edited.py"
    code = load(path, "def f(x):\n    return x\n")["f"]
    path.write_text(edited)
    with pytest.raises(ValueError, match=reason):
        locate(code, {})


def test_text_read_before_the_edit_still_counts(tmp_path: Path) -> None:
    """It is the text of the running code, and proved to be; only a new look finds the edited file."""
    path = tmp_path / "back.py"
    text = "def f(x):\n    return x\n"
    code = load(path, text)["f"]
    assert locate(code, {}).code is code
    path.write_text("x = 1\n")
    assert locate(code, {}).code is code
    linecache.checkcache(str(path))
    with pytest.raises(SourceMismatch):
        locate(code, {})
    path.write_text(text)
    assert locate(code, {}).code is code


CONSTANTS = [
    ("0.0", "-0.0"),
    ("1", "True"),
    ("1", "1.0"),
    ("'a'", "b'a'"),
    ("(0.0,)", "(-0.0,)"),
    ("(1, 2)", "(1, True)"),
    ("x in {1}", "x in {True}"),
    ("lambda: 0.0", "lambda: -0.0"),
    ("1e400", "1e400 - 1e400"),
    ("0j", "-0j"),
]


@pytest.mark.parametrize(("one", "other"), CONSTANTS)
def test_constants_that_compare_equal_differ(one: str, other: str) -> None:
    a, b = (compile(f"x = {each}".ljust(40) + "\n", "c", "exec") for each in (one, other))
    assert difference(a, b) is not None
    assert difference(a, a) is difference(b, b) is None


def test_equal_code_of_two_compilations_does_not_differ() -> None:
    text = "def f(x):\n    return x, float('nan'), 1e400 - 1e400, x in {1, 'a', None}\n"
    a, b = (compile(text, "c", "exec") for _ in range(2))
    assert difference(a, b) is None
    assert difference(a, b.replace(co_name="other")) == "co_name differs"
    assert difference(a, b.replace(co_firstlineno=7)) == "co_firstlineno differs"


def test_flag_of_types_coroutine_is_carried_over(tmp_path: Path) -> None:
    path = tmp_path / "marked.py"
    path.write_text("def f(x):\n    yield x\n")
    names: dict[str, Any] = {}
    exec(compile(path.read_text(), str(path), "exec"), names)
    code = types.coroutine(names["f"]).__code__
    assert code.co_flags & 0x100
    context = locate(code, names)
    assert difference(code, context.plain) is None


def test_context_compiles_a_changed_node_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "changed.py"
    text = "class A:\n    def f(self):\n        return self.__x\n"
    code = load(path, text)["A.f"]
    context = locate(code, {})
    node = copy.deepcopy(context.definition.node)
    assert isinstance(node, ast.FunctionDef)
    node.body.insert(0, ast.copy_location(ast.Pass(), node.body[0]))
    compiled = context.compile(node)
    assert compiled.co_qualname == "A.f"
    assert compiled.co_names == ("_A__x",)
    assert compiled.co_filename == code.co_filename


def test_one_of_many_functions_that_was_edited_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "many.py"
    text = "".join(f"def f{i}(x):\n    return x.a{i}\n" for i in range(40))
    path.write_text(text)
    made = [*codes(compile(text, str(path), "exec", dont_inherit=True))]
    path.write_text(text.replace("x.a30", "x.a99"))
    for i, code in enumerate(made):
        if i == 30:
            with pytest.raises(SourceMismatch, match="co_names differs"):
                locate(code, {})
        else:
            assert locate(code, {}).code is code
