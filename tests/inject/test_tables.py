"""The location table and the exception table, encoded and decoded."""

import types

import pytest

from recompyle import inject
from recompyle.errors import NotRewritable
from recompyle.inject import exctable, lines


def code_at(linetable, units, firstlineno=10):
    """A code object of NOPs with that location table."""

    def empty():
        pass

    return empty.__code__.replace(
        co_code=b"\x09\0" * units, co_linetable=linetable, co_firstlineno=firstlineno
    )


def entry(form, units, *rest):
    return bytes((0x80 | form << 3 | units - 1, *rest))


LONG = entry(14, 2, 0x42, 0x01, 0x03, 0x41, 0x02, 0x42, 0x02)  # line +33, 3 lines, columns 129-1, 130-1
TABLE = b"".join(
    (
        entry(15, 1),
        entry(11, 2, 4, 9),
        entry(1, 3, 0x25),
        LONG,
        entry(13, 8, 0x05),  # line -2, no columns
        entry(12, 1, 0, 1),
    )
)
UNITS = 17


def test_positions_are_those_of_the_interpreter():
    code = code_at(TABLE, UNITS)
    expected = list(code.co_positions())
    assert lines.positions(code, range(UNITS)) == dict(enumerate(expected))
    assert expected[0] == (None, None, None, None)
    assert len({position[0] for position in expected}) == 4


@pytest.mark.parametrize("unit", range(UNITS))
@pytest.mark.parametrize("count", [1, 5, 8, 20])
def test_longer_entries_share_the_location(unit, count):
    code = code_at(TABLE, UNITS)
    old = list(code.co_positions())
    new = list(code_at(lines.grow(code, UNITS, [(unit, count)], {}, 0), UNITS + count).co_positions())
    assert new == old[:unit] + [old[unit]] * count + old[unit:]


@pytest.mark.parametrize("unit", range(UNITS))
@pytest.mark.parametrize("count", [1, 9])
def test_silent_units_split_an_entry(unit, count):
    code = code_at(TABLE, UNITS)
    old = list(code.co_positions())
    grown = lines.grow(code, UNITS, [(16, 1)], {unit: count}, 4)
    new = list(code_at(grown, UNITS + count + 5).co_positions())
    nowhere = [(None, None, None, None)]
    assert new == old[:unit] + nowhere * count + old[unit:] + [old[16]] + nowhere * 4


def test_one_entry_is_split_twice():
    code = code_at(TABLE, UNITS)
    old = list(code.co_positions())
    grown = lines.grow(code, UNITS, [(9, 2), (11, 1)], {12: 1, 10: 2}, 0)
    new = list(code_at(grown, UNITS + 6).co_positions())
    nowhere = [(None, None, None, None)]
    assert new == old[:10] + old[9:10] * 2 + nowhere * 2 + old[10:12] + old[11:12] + nowhere + old[12:]


def test_nothing_to_do_gives_the_same_bytes():
    assert lines.grow(code_at(TABLE, UNITS), UNITS, [], {}, 0) == TABLE


def test_a_table_of_another_length_is_refused():
    def function():
        return 1

    for table in (b"", entry(15, 1), function.__code__.co_linetable + entry(15, 1)):
        with pytest.raises(NotRewritable) as refusal:
            inject.write(function.__code__.replace(co_linetable=table), [])
        assert refusal.value.slug == "location_table"


@pytest.mark.parametrize("first", [0x80, 0x80 | 10 << 3, 0x80 | 13 << 3, 0x80 | 14 << 3])
def test_positions_of_a_garbled_table_are_refused(first):
    """Each form of an entry without what belongs to it, and a table that ends too soon."""

    def function():
        return len("")

    for table in (b"", bytes((first | 7,)) * (len(function.__code__.co_code) // 16 + 1)):
        with pytest.raises(NotRewritable) as refusal:
            inject.sites(function.__code__.replace(co_linetable=table))
        assert refusal.value.slug == "location_table"


RANGES = [
    exctable.Range(0, 1, 63, 0),
    exctable.Range(1, 64, 64, 1),
    exctable.Range(64, 4097, 4095, 126),
    exctable.Range(4097, 300_000, 262_144, 129),
]


def test_exception_ranges_round_trip():
    assert exctable.decode(exctable.encode(RANGES)) == RANGES
    assert exctable.encode([]) == b"" and exctable.decode(b"") == []


def test_exception_ranges_are_those_of_the_interpreter():
    import dis

    def function(a):
        with a:
            try:
                return a
            except KeyError:
                pass
            finally:
                a()

    parse = dis._parse_exception_table
    code = function.__code__
    expected = [(e.start // 2, e.end // 2, e.target // 2, e.depth << 1 | e.lasti) for e in parse(code)]
    assert exctable.decode(code.co_exceptiontable) == expected
    big = types.SimpleNamespace(co_exceptiontable=exctable.encode(RANGES))
    assert [(e.start // 2, e.end // 2) for e in parse(big)] == [(r.start, r.end) for r in RANGES]


def test_handler():
    assert [exctable.handler(RANGES, unit) for unit in (0, 1, 63, 64, 299_999, 300_000)] == [
        63, 64, 64, 4095, 262_144, None,
    ]  # fmt: skip


def test_uncovered():
    assert list(exctable.uncovered([(4, 6), (6, 7), (9, 12), (1, 2)], 3, 11)) == [(3, 4), (7, 9)]
    assert list(exctable.uncovered([], 3, 11)) == [(3, 11)]
    assert list(exctable.uncovered([(0, 20)], 3, 11)) == []
