"""The sites `call` and `called`: each call that the program spells out, and on demand those that it does not."""

import ast
import asyncio
import contextlib
import opcode
import sys
import types

import pytest
from written import LIBRARY, codes

from recompyle import inject
from recompyle.errors import NotRewritable
from recompyle.inject import facts

from .test_stdlib import SAMPLE


class Log:
    def __init__(self, name, log):
        self.name, self.log = name, log

    def __invert__(self):
        self.log.append(self.name)

    def __getitem__(self, value):
        self.log.append((self.name, value))
        return value


def remade(function, *edits):
    return types.FunctionType(
        inject.write(function.__code__, edits), function.__globals__, function.__name__, function.__defaults__,
        function.__closure__,
    )  # fmt: skip


# Compiled here: pytest gives assertions of its own to what stands in test files.
NAMESPACE = {"contextlib": contextlib}
exec(
    compile(
        """\
def work(items):
    total = sum(len(item) for item in items)
    assert total < 100, str(total)

    class Local:
        pass

    with contextlib.suppress(KeyError):
        total += int("1", base=10) + max(*[1, 2], **{})
    (lambda: total)()
    return str.upper(Local.__name__), total
""",
        "<work>",
        "exec",
    ),
    NAMESPACE,
)
work = NAMESPACE["work"]


def test_what_is_spelled_out_and_what_is_not():
    sites = inject.sites(work.__code__, include_implicit=True)
    calls = [site for site in sites if site.kind == "call"]
    first = work.__code__.co_firstlineno
    assert sorted({site.line - first for site in calls if not site.implicit}) == [1, 2, 7, 8, 9, 10]
    assert sorted({site.line - first for site in calls if site.implicit}) == [1, 2, 4, 7]
    shown = [site for site in inject.sites(work.__code__) if site.kind == "call"]
    assert shown == [site for site in calls if not site.implicit]
    for kind in ("call", "called"):
        assert [site.index for site in sites if site.kind == kind] == list(range(len(calls)))


def test_the_probes_run_around_the_call():
    log = []

    def inner(name):
        log.append(f"in {name}")
        return name * 2

    def outer(n):
        return inner(inner(n) + str(n))

    edits = [inject.Edit("call", Log("call", log)), inject.Edit("called", Log("called", log), "value")]
    assert remade(outer, *edits)("x") == outer("x")
    assert log[:9] == [
        "call", "in x", ("called", "xx"),
        "call", ("called", "x"),
        "call", "in xxx", ("called", "xxxxxx"),
        "in x",
    ]  # fmt: skip


def test_a_call_that_raises_is_not_called():
    log = []

    def outer(n):
        try:
            return int(n)
        except ValueError:
            return str(n)

    edits = [inject.Edit("call", Log("call", log)), inject.Edit("called", Log("called", log))]
    assert remade(outer, *edits)("x") == "x"
    assert log == ["call", "call", "called"]


def test_the_value_may_be_another():
    class Double(Log):
        def __getitem__(self, value):
            return value * 2

    def outer(n):
        return int(n) + 1

    assert remade(outer, inject.Edit("called", Double("", []), "value"))("4") == 9


@pytest.mark.parametrize("implicit", [False, True])
def test_every_call_of_a_run_is_seen(implicit):
    log = []
    edits = [inject.Edit(kind, Log(kind, log), include_implicit=implicit) for kind in ("call", "called")]
    assert remade(work, *edits)(["a", "bc"]) == work(["a", "bc"])
    assert log.count("call") == log.count("called")
    # the generator expression, the class, leaving the context; from 3.14 on entering is a call as well
    assert log.count("call") == 6 + implicit * (4 if sys.version_info >= (3, 14) else 3)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="generic parameters came with 3.12")
def test_generic_parameters_are_no_calls():
    """What makes them is a function that the compiler calls on the spot."""
    namespace = {}
    text = "def work():\n def inner[T](x: T): return x\n class Box[T]: pass\n type Alias[T] = list[T]\n return inner(1)"
    exec(text, namespace)
    calls = [site for site in inject.sites(namespace["work"].__code__, include_implicit=True) if site.kind == "call"]
    assert sorted((site.line, site.implicit) for site in calls) == [(2, True), (3, True), (4, True), (5, False)]


def test_with_statements_and_coroutines():
    log = []

    class Manager:
        async def __aenter__(self):
            return self

        async def __aexit__(self, *exc):
            return False

    async def main():
        async with Manager() as manager:
            await asyncio.sleep(0)
            return manager is not None

    for implicit, count in ((False, 2), (True, 3)):
        log.clear()
        written = remade(main, inject.Edit("call", Log("call", log), include_implicit=implicit))
        assert asyncio.run(written()) is True
        assert len(log) >= count


def test_only_on_some_lines():
    log = []
    first = work.__code__.co_firstlineno
    remade(work, inject.Edit("call", Log("call", log), lines={first + 9, first + 10}))([])
    assert log == ["call", "call"]
    log.clear()
    remade(work, inject.Edit("called", Log("called", log), where=lambda site: site.line == first + 8))([])
    assert log == ["called"] * 2
    log.clear()
    only = next(site for site in inject.sites(work.__code__, include_implicit=True) if site.implicit)
    remade(work, inject.Edit(only.kind, Log("one", log), index=only.index))([])
    assert log == ["one"]


@pytest.mark.parametrize(
    "edit",
    [
        inject.Edit("call", Log("", []), lines={1}),
        inject.Edit("entry", Log("", []), lines={work.__code__.co_firstlineno}),
        inject.Edit("return", Log("", []), where=lambda site: False),
        inject.Edit("call", Log("", []), index=99),
        inject.Edit("created", Log("", [])),
    ],
    ids=lambda edit: edit.site,
)
def test_edits_that_name_no_site(edit):
    with pytest.raises(NotRewritable) as raised:
        inject.write(work.__code__, [edit])
    assert raised.value.slug == "no_such_site"


def written_calls(path):
    """The ends of all calls and decorators in a source file by what the parser says, and which need not be calls."""
    tree = ast.parse(path.read_bytes())
    ends, perhaps = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Call) and is_named(node.value.func, "super"):
            perhaps.add((node.value.end_lineno, node.value.end_col_offset))  # an instruction of its own from 3.12
        if isinstance(node, (ast.If, ast.IfExp)) and isinstance(node.test, ast.Constant):
            calls = [each for each in ast.walk(node) if isinstance(each, ast.Call)]
            perhaps.update((each.end_lineno, each.end_col_offset) for each in calls)
        for each in [node] * isinstance(node, ast.Call) + list(getattr(node, "decorator_list", ())):
            ends.add((each.end_lineno, each.end_col_offset))
    return ends, perhaps


def written_names(path):
    """The ends of all calls to the dotted names that are called there; private names as they are compiled."""
    found = {}
    work = [(ast.parse(path.read_bytes()), "")]
    while work:
        node, owner = work.pop()
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            mangled = f"_{owner.lstrip('_')}__"
            name = ".".join(
                mangled + part[2:] if part[:2] == "__" and part[-2:] != "__" else part for part in name.split(".")
            )
            found.setdefault((node.end_lineno, node.end_col_offset), set()).add(name)
        owner = node.name if isinstance(node, ast.ClassDef) else owner
        work += [(each, owner) for each in ast.iter_child_nodes(node)]
    return found


def is_named(node, name):
    return isinstance(node, ast.Name) and node.id == name


@pytest.mark.parametrize("name", SAMPLE)
def test_the_parser_agrees(name):
    """Every call that is shown was written as one, and none that was written is missing."""
    path = LIBRARY / f"{name}.py"
    written, perhaps = written_calls(path)
    shown = {
        (site.end_line, site.end_column)
        for code in codes(path)
        for site in inject.sites(code)
        if site.kind == "call"
    }
    assert shown - written == set()
    assert written - shown - perhaps == set()


@pytest.mark.parametrize("name", SAMPLE)
def test_names_are_those_that_are_called(name):
    path = LIBRARY / f"{name}.py"
    written = written_names(path)
    named = [
        (site.name, written[site.end_line, site.end_column])
        for code in codes(path)
        for site in inject.sites(code)
        if site.kind == "call" and site.name is not None and (site.end_line, site.end_column) in written
    ]
    assert named and [each for each in named if each[0] not in each[1]] == []


def test_one_of_several_has_no_name():
    def several(a, b, c):
        (a or b)(c)
        (a or b.c).d(c)
        (a and b).d.e()

    def one(a, b, c):
        a(b or c)
        a.b.c(b if c else a, [each for each in b if each])
        (a or b)[a.b(c)]

    assert [site.name for site in inject.sites(several.__code__) if site.kind == "call"] == [None] * 3
    assert {site.name for site in inject.sites(one.__code__) if site.kind == "call"} == {"a", "a.b.c", "a.b"}


JUNK = ["SWAP", "COPY", "UNPACK_SEQUENCE", "CALL", "LOAD_GLOBAL", "LOAD_FAST"]
if sys.version_info < (3, 14):  # later versions may look at the constants when they make a code object
    JUNK.append("LOAD_CONST")


@pytest.mark.parametrize("operation", JUNK)
def test_what_never_runs_may_be_anything(operation):
    """Obfuscators put such things behind a return; the arguments are as large as they can be."""

    def function(items):
        return len(items)

    number, call = opcode.opmap[operation], opcode.opmap["CALL"]
    junk = bytes((opcode.opmap["EXTENDED_ARG"], 127, *(opcode.opmap["EXTENDED_ARG"], 255) * 2, number, 255))
    junk += b"\0\0" * facts.CACHES[number] + bytes((opcode.opmap["PUSH_NULL"], 0)) * (not facts.NULL_FIRST)
    junk += bytes((call, 0)) + b"\0\0" * facts.CACHES[call]
    junk += bytes((opcode.opmap["MAKE_FUNCTION"], 0, opcode.opmap["RETURN_VALUE"], 0))
    code = function.__code__
    silent = b"".join(bytes((0x80 | 15 << 3,)) for _ in range(len(junk) // 2))
    strange = code.replace(co_code=code.co_code + junk, co_linetable=code.co_linetable + silent)
    assert next(site.name for site in inject.sites(strange) if site.kind == "call") == "len"
    log = []
    function.__code__ = inject.write(strange, [inject.Edit("call", Log("call", log), index=0)])
    assert (function([1, 2]), log) == (2, ["call"])
