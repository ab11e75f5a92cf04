"""The fast writer writes what the plain one writes, byte for byte; and what it leaves to that one."""

import random
import types

import pytest
from written import LIBRARY, TOGETHER, Probe, codes, compare, differences, edits, random_edits

from recompyle import inject
from recompyle.errors import NotRewritable
from recompyle.inject import _fast, facts, plain

from .test_stdlib import SAMPLE


@pytest.mark.parametrize("name", SAMPLE)
def test_sample(name):
    found = [compare(code) for code in codes(LIBRARY / f"{name}.py")]
    assert [faults for faults in found if faults] == []
    assert len(found) >= 10


def test_random_edits():
    choice = random.Random(3)
    pool = [code for name in SAMPLE[:8] for code in codes(LIBRARY / f"{name}.py")]
    for _ in range(150):
        assert differences(*random_edits(choice, pool)) == []


def long_function(lines):
    text = "def f(x):\n" + "".join(f"    if x == {i}: return {i}\n" for i in range(lines)) + "    return x\n"
    namespace = {}
    exec(compile(text, "<long>", "exec"), namespace)
    return namespace["f"]


@pytest.mark.parametrize("lines", [1, 30, 60, 1000, 6000])
def test_long_functions(lines):
    code = long_function(lines).__code__
    present = {site.kind for site in inject.sites(code)}
    for kinds in TOGETHER:
        if chosen := edits([kind for kind in kinds if kind in present], "value"):
            assert differences(code, chosen) == []


def backwards(code):
    """The same code with a jump back to its very first unit."""
    raw = bytearray(code.co_code)
    for unit in range(len(raw) // 2):
        if facts.JUMPS.get(raw[2 * unit]) == -1 and raw[2 * unit + 1]:
            raw[2 * unit + 1] = unit + 1 + facts.CACHES[raw[2 * unit]]
            return code.replace(co_code=bytes(raw))
    raise AssertionError("no jump back")


def loop(items):
    for item in items:
        if item:
            print(item)


def test_a_jump_to_before_the_entry_is_left_to_the_plain_writer():
    code = backwards(loop.__code__)
    edits = [inject.Edit("entry", Probe())]
    assert _fast.write(code, edits) is None
    assert inject.write(code, edits).co_code == plain.write(code, edits).co_code


GARBLED = ("co_code", "co_linetable", "co_exceptiontable")


@pytest.mark.parametrize("seed", range(4))
def test_garbled_tables_end_as_in_the_plain_writer(seed):
    """Bytes that no compiler made: the fast writer gives up or agrees, and stays within its memory."""
    choice = random.Random(seed)
    pool = [code for name in ("contextlib", "asyncio/locks", "typing") for code in codes(LIBRARY / f"{name}.py")]
    agreed = 0
    for _ in range(400):
        code = choice.choice(pool)
        name = choice.choice(GARBLED)
        table = bytearray(getattr(code, name))
        if not table:
            continue
        for _ in range(choice.choice((1, 1, 2, 5))):
            at = choice.randrange(len(table))
            # CPython trusts opcodes: it writes caches behind the last instruction if that should have some.
            table[at | 1 if name == "co_code" else at] = choice.randrange(256)
        if name != "co_code" and choice.random() < 0.3:
            del table[choice.randrange(len(table)) :]
        try:
            garbled = code.replace(**{name: bytes(table)})
        except ValueError:
            continue
        for kinds in TOGETHER[:4]:
            edits = [inject.Edit(kind, Probe()) for kind in kinds]
            try:
                plain.write(garbled, edits)
            except NotRewritable:  # the fast writer looks at the entry only where all edits are there
                assert kinds == ("entry",) or _refuses(garbled, edits)
            else:
                agreed += differences(garbled, edits) == []
                assert not differences(garbled, edits)
    assert agreed


@pytest.mark.parametrize("first", [0xE8, 0xF0])
@pytest.mark.parametrize("rest", [b"", b"\x40", b"\x7f\x41"])
def test_entries_that_are_cut_short(first, rest):
    """A step in lines without an end: no writer reads beyond it."""
    units = len(loop.__code__.co_code) // 2
    pieces = [bytes((first | min(8, units - at) - 1, *rest)) for at in range(0, units, 8)]
    code = loop.__code__.replace(co_linetable=b"".join(pieces))
    for kind in ("entry", "return", "call"):
        edits = [inject.Edit(kind, Probe())]
        assert _refuses(code, edits)
        with pytest.raises(NotRewritable) as raised:
            plain.write(code, edits)
        assert raised.value.slug == "location_table"


def _refuses(code, edits):
    try:
        return _fast.write(code, edits) is None
    except NotRewritable:
        return True


def test_what_is_no_code_is_left():
    assert _fast.write(loop, [inject.Edit("entry", Probe())]) is None
    assert _fast.write(loop.__code__, [Probe()]) is None
    assert _fast.write(loop.__code__, []) is None
    assert isinstance(_fast.write(loop.__code__, (inject.Edit("entry", Probe()),)), types.CodeType)
