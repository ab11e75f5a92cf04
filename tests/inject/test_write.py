"""Edits, refusals, and what the written code looks like."""

import dis
import sys

import pytest

from recompyle import _env, inject
from recompyle.errors import NotRewritable
from recompyle.inject import facts, verify


class Probe:
    def __init__(self, log=None, name=None):
        self.log = [] if log is None else log
        self.name = name

    def __invert__(self):
        self.log.append(self.name)

    def __getitem__(self, value):
        self.log.append((self.name, value))
        return value


def remade(function, code):
    return type(function)(
        code, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )


def choose(a):
    if a:
        return "yes"
    return a


def test_sites_of_a_function():
    found = inject.sites(choose.__code__)
    numbered = [(site.kind, site.index) for site in found]
    assert numbered == [("entry", 0), ("return", 0), ("return", 1), ("unwind", 0)]
    first = choose.__code__.co_firstlineno
    assert [site.line for site in found] == [None, first + 2, first + 3, None]


def test_sites_of_a_generator_and_its_delegation():
    def generator(items):
        got = yield 1
        try:
            yield from items
        except OSError:
            return got

    found = inject.sites(generator.__code__)
    assert {(site.kind, site.index) for site in found if site.kind in ("yield", "resume", "handler")} == {
        ("yield", 0), ("resume", 0), ("yield", 1), ("resume", 1), ("handler", 0),
    }  # fmt: skip
    assert [site.unit for site in found] == sorted(site.unit for site in found)


def test_sites_of_implicit_awaits():
    async def work(source, manager):
        async for item in source:
            async with manager:
                await item

    found = inject.sites(work.__code__)
    first = work.__code__.co_firstlineno
    waits = {site.index: site for site in found if site.kind == "waiting"}
    waited = {site.index: site for site in found if site.kind == "waited"}
    (end,) = (site for site in found if site.kind == "async_end")
    assert sorted(waits) == sorted(waited) == [0, 1, 2, 3]
    assert [waits[index].line - first for index in waits] == [1, 2, 2, 2]
    for index, site in waits.items():
        other = waited[index]
        assert (site.line, site.end_line, site.column) == (other.line, other.end_line, other.column)
    assert end.index == 0 and end.line == waits[0].line
    assert not [site for site in found if site.kind in ("yield", "resume")]


def test_explicit_await_and_async_yield():
    async def work(thing):
        yield await thing

    kinds = [site.kind for site in inject.sites(work.__code__)]
    assert kinds.count("yield") == kinds.count("resume") == 1
    assert "waiting" not in kinds


def test_one_site_of_a_kind():
    log = []
    written = inject.write(choose.__code__, [inject.Edit("return", Probe(log, "second"), index=1)])
    function = remade(choose, written)
    assert function(1) == "yes" and log == []
    assert function(0) == 0 and log == ["second"]


def test_probes_run_in_the_order_of_the_edits():
    log = []
    forms = {"a": "statement", "b": "value", "c": "statement"}
    edits = [inject.Edit("return", Probe(log, name), form) for name, form in forms.items()]
    assert remade(choose, inject.write(choose.__code__, edits))(0) == 0
    assert log == ["a", ("b", 0), "c"]


def test_the_value_form_hands_on_what_the_probe_gives():
    class Double(Probe):
        def __getitem__(self, value):
            return value * 2

    def double(n):
        return n

    assert remade(double, inject.write(double.__code__, [inject.Edit("return", Double(), "value")]))(4) == 8


def test_a_returned_constant_is_shown_and_kept():
    log = []
    function = remade(
        choose, inject.write(choose.__code__, [inject.Edit("return", Probe(log, "r"), "value")])
    )
    assert function(1) == "yes"
    assert log == [("r", "yes")]


def test_one_probe_at_many_sites_is_one_constant():
    probe = Probe()
    edits = [inject.Edit("entry", probe), inject.Edit("return", probe)]
    written = inject.write(choose.__code__, edits)
    assert written.co_consts[: len(choose.__code__.co_consts)] == choose.__code__.co_consts
    assert [constant is probe for constant in written.co_consts[len(choose.__code__.co_consts) :]] == [True]
    equal = [inject.Edit("entry", twin) for twin in (Twin(), Twin())]
    assert len(inject.write(choose.__code__, equal).co_consts) == len(choose.__code__.co_consts) + 2


class Twin(Probe):
    __hash__ = None

    def __eq__(self, other):
        raise AssertionError("constants are not to be compared")


def test_code_that_already_holds_probes():
    log = []
    once = inject.write(choose.__code__, [inject.Edit("return", Probe(log, "inner"))])
    twice = inject.write(
        once, [inject.Edit("entry", Probe(log, "entry")), inject.Edit("return", Probe(log, "outer"))]
    )
    assert remade(choose, twice)(1) == "yes"
    assert log == ["entry", "inner", "outer"]


def test_the_input_stays_and_no_edit_changes_nothing():
    names = (
        "co_code",
        "co_consts",
        "co_linetable",
        "co_exceptiontable",
        "co_stacksize",
        "co_flags",
        "co_name",
    )
    before = [getattr(choose.__code__, name) for name in names]
    inject.write(choose.__code__, [inject.Edit("return", Probe())])
    assert [getattr(choose.__code__, name) for name in names] == before
    assert inject.write(choose.__code__, []) == choose.__code__


def test_an_edit_of_a_kind_that_is_not_there_does_nothing():
    written = inject.write(choose.__code__, [inject.Edit("yield", Probe()), inject.Edit("handler", Probe())])
    assert written.co_code == choose.__code__.co_code


def test_probes_beyond_constant_255():
    source = "def many(a):\n" + "".join(f"    a += {n}.5\n" for n in range(70_000 // 250)) + "    return a\n"
    namespace = {}
    exec(source, namespace)
    many = namespace["many"]
    assert len(many.__code__.co_consts) > 256
    log = []
    edits = [inject.Edit("entry", Probe(log, "in")), inject.Edit("return", Probe(log, "out"), "value")]
    written = inject.write(many.__code__, edits)
    assert verify.faults(many.__code__, written, edits) == []
    assert remade(many, written)(0) == many(0)
    assert log == ["in", ("out", many(0))]


def branchy(arms):
    """A loop over many returns. Each mark makes the jumps across it longer."""
    lines = ["def branchy(n):", " for i in (1, 2):"]
    lines += [f"  if n == {arm}: return {arm}" for arm in range(arms)]
    namespace = {}
    exec("\n".join([*lines, " return -1"]), namespace)
    return namespace["branchy"]


@pytest.mark.parametrize("arms", [1, 20, 30, 40, 60, 3000, 8000])
def test_jumps_outgrow_their_prefixes(arms):
    plain = branchy(arms)
    log = []
    edits = [inject.Edit("return", Probe(log, "r")), inject.Edit("entry", Probe(log, "e"))]
    written = inject.write(plain.__code__, edits)
    assert verify.faults(plain.__code__, written, edits) == []
    assert [remade(plain, written)(n) for n in (0, arms - 1, arms)] == [0, arms - 1, -1]
    assert log == ["e", "r"] * 3


def test_some_of_those_jumps_did_need_more():
    grown = 0
    for arms in range(10, 60):
        code = branchy(arms).__code__
        written = inject.write(code, [inject.Edit("return", Probe())])
        grown += written.co_code[::2].count(facts.EXTENDED_ARG) > code.co_code[::2].count(facts.EXTENDED_ARG)
    assert grown


@pytest.mark.parametrize(
    "make, error",
    [
        (lambda: inject.Edit("exit", Probe()), ValueError),
        (lambda: inject.Edit("return", Probe(), "call"), ValueError),
        (lambda: inject.Edit("entry", Probe(), "value"), ValueError),
        (lambda: inject.Edit("entry", object()), TypeError),
        (lambda: inject.Edit("return", 1, "value"), TypeError),
        (lambda: inject.write(choose, []), TypeError),
        (lambda: inject.write(choose.__code__, [Probe()]), TypeError),
        (lambda: inject.sites("code"), TypeError),
    ],
)
def test_wrong_arguments(make, error):
    with pytest.raises(error) as raised:
        make()
    assert not isinstance(raised.value, NotRewritable)
    assert str(raised.value)


def refusal(code, *edits):
    with pytest.raises(NotRewritable) as raised:
        inject.write(code, edits)
    return raised.value.slug


def test_refusals(monkeypatch):
    code = choose.__code__
    assert refusal(code, inject.Edit("return", Probe(), index=2)) == "no_such_site"
    assert refusal(code, inject.Edit("yield", Probe(), index=0)) == "no_such_site"
    nop = dis.opmap["NOP"]
    assert refusal(code.replace(co_code=bytes((nop, 0)) + code.co_code)) == "no_resume"
    assert refusal(code.replace(co_code=bytes((nop, 0)) * 4)) == "no_resume"
    monkeypatch.setattr(facts, "PLAIN", facts.PLAIN.replace(bytes((facts.RETURN_VALUE,)), b""))
    assert refusal(code) == "instrumented"
    monkeypatch.undo()
    monkeypatch.setattr(facts, "KNOWN", False)
    assert refusal(code) == "unknown_python"
    monkeypatch.undo()
    monkeypatch.setattr(_env, "REPLACE_LOSES_FLAGS", True)
    assert refusal(compile("x = 1", "<module>", "exec")) == "hidden_locals"
    assert inject.write(code, []) == code


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="only 3.11 reads SEND when an exception is thrown in")
def test_the_stand_in_for_send_reaches_only_so_far():
    def delegating(items):
        yield from items

    log = []
    for count, works in ((40, True), (90, False)):
        edits = [inject.Edit("resume", Probe(log, number)) for number in range(count)]
        if not works:
            assert refusal(delegating.__code__, *edits) == "send_distance"
            continue
        written = inject.write(delegating.__code__, edits)
        assert verify.faults(delegating.__code__, written, edits) == []
        assert list(remade(delegating, written)("ab")) == ["a", "b"]
        assert log == [*range(count)] * 2


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="only 3.11 reads SEND when an exception is thrown in")
def test_a_loop_of_another_shape_is_refused():
    def delegating(items):
        yield from items

    raw = bytearray(delegating.__code__.co_code)
    send = raw[::2].index(facts.SEND)
    raw[2 * send + 1] += 1
    assert refusal(delegating.__code__.replace(co_code=bytes(raw))) == "send_loop"


def test_a_yield_without_resume_is_refused():
    def generator():
        yield 1

    raw = bytearray(generator.__code__.co_code)
    suspension = raw[::2].index(facts.YIELD_VALUE)
    raw[2 * suspension + 2] = dis.opmap["NOP"]
    assert refusal(generator.__code__.replace(co_code=bytes(raw))) == "no_resume"


def test_facts_agree_with_dis():
    """Every instruction of this file's functions has the caches and the jump that `dis` says."""
    for function in (test_refusals, test_jumps_outgrow_their_prefixes, choose):
        code = function.__code__
        shown = [i for i in dis.get_instructions(code) if i.opname != "EXTENDED_ARG"]
        found = verify.unpack(code)
        assert [(i.opcode, i.offset // 2) for i in shown] == [(f.op, f.unit) for f in found]
        for instruction, read in zip(shown, found, strict=True):
            if read.op in facts.JUMPS:
                assert instruction.argval == 2 * (read.end + facts.JUMPS[read.op] * read.arg)
