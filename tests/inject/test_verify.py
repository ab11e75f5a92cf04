"""The checker finds faults: each test breaks one thing in right code."""

import pytest

from recompyle import inject
from recompyle.inject import exctable, facts, verify


class Probe:
    def __invert__(self):
        return None

    def __getitem__(self, value):
        return value


def work(items):
    total = 0
    try:
        for item in items:
            total += yield item
            yield from item
    except KeyError:
        return "caught"
    return total


KINDS = ("entry", "return", "unwind", "handler", "yield", "resume")
EDITS = [inject.Edit(kind, Probe()) for kind in KINDS]
CODE = work.__code__
WRITTEN = inject.write(CODE, EDITS)


def with_unit(code, unit, *, op=None, arg=None):
    raw = bytearray(code.co_code)
    if op is not None:
        raw[2 * unit] = op
    if arg is not None:
        raw[2 * unit + 1] = arg
    return code.replace(co_code=bytes(raw))


def found(code, op):
    return [read for read in verify.unpack(code) if read.op == op]


def test_right_code_has_no_faults():
    assert verify.faults(CODE, WRITTEN, EDITS) == []
    assert verify.faults(CODE, inject.write(CODE, []), []) == []


def jump_astray():
    jump = next(read for read in verify.unpack(WRITTEN) if read.op in facts.JUMPS)
    return with_unit(WRITTEN, jump.unit, arg=jump.arg + 1)


def other_argument():
    return with_unit(WRITTEN, found(WRITTEN, facts.YIELD_VALUE)[0].unit, arg=77)


def garbled_mark():
    return with_unit(WRITTEN, found(WRITTEN, facts.UNARY_INVERT)[0].unit, op=facts.POP_TOP)


def small_stack():
    return WRITTEN.replace(co_stacksize=CODE.co_stacksize - 1)


def other_name():
    return WRITTEN.replace(co_name="other")


def other_constant():
    return WRITTEN.replace(co_consts=("other", *WRITTEN.co_consts[1:]))


def lost_ranges():
    return WRITTEN.replace(co_exceptiontable=b"")


def shifted_range():
    first, *rest = exctable.decode(WRITTEN.co_exceptiontable)
    return WRITTEN.replace(co_exceptiontable=exctable.encode([first._replace(end=first.end - 1), *rest]))


def short_lines():
    return WRITTEN.replace(co_linetable=CODE.co_linetable)


def other_lines():
    return WRITTEN.replace(co_firstlineno=CODE.co_firstlineno + 1)


def cut_short():
    return WRITTEN.replace(co_code=WRITTEN.co_code[:-2])


@pytest.mark.parametrize(
    "broken",
    [
        jump_astray, other_argument, garbled_mark, small_stack, other_name, other_constant, lost_ranges,
        shifted_range, short_lines, other_lines, cut_short,
    ],
    ids=lambda function: function.__name__,
)  # fmt: skip
def test_a_fault_is_found(broken):
    assert verify.faults(CODE, broken(), EDITS)


@pytest.mark.parametrize("missing", range(len(EDITS)), ids=KINDS)
def test_a_missing_mark_is_found(missing):
    written = inject.write(CODE, EDITS[:missing] + EDITS[missing + 1 :])
    assert verify.faults(CODE, written, EDITS)


def test_a_superfluous_mark_is_found():
    assert verify.faults(CODE, WRITTEN, EDITS[:-1])


def test_probes_must_differ():
    with pytest.raises(ValueError, match="share a probe"):
        verify.faults(CODE, WRITTEN, [EDITS[0], EDITS[0]])


def test_deepest_counts_every_way():
    def function(a, b):
        return a(b, [b, b, (a, b, a(b, b, b))]) if a else b

    assert verify.deepest(function.__code__) == function.__code__.co_stacksize
