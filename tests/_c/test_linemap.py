"""The line map as Python sees it: both ways, encoded and decoded, and what it refuses."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recompyle._c.linemap import LineMap, encode_pieces

PIECES = [(1, 0, 10, 4), (1, 3, -1, -1), (1, 6, 10, 7), (2, 0, -1, -1), (3, 4, 11, 8)]


def test_both_ways() -> None:
    found = LineMap(encode_pieces(PIECES))
    assert [found.to_original(*place) for place in [(1, 0), (1, 2), (1, 3), (1, 5), (1, 6), (2, 9), (3, 6)]] == [
        (10, 4),
        (10, 6),
        None,
        None,
        (10, 7),
        None,
        (11, 10),
    ]
    assert found.to_original(0) is None
    assert [found.to_rewritten(*place) for place in [(10, 4), (10, 6), (10, 8), (11, 9), (9, 0)]] == [
        (1, 0),
        (1, 2),
        (1, 7),
        (3, 5),
        None,
    ]


def test_pieces_bytes_and_pickle() -> None:
    found = LineMap(encode_pieces(PIECES))
    assert found.pieces() == PIECES
    assert len(found) == 5
    assert repr(found) == "<LineMap: 5 pieces>"
    assert pickle.loads(pickle.dumps(found)).pieces() == PIECES
    assert LineMap(bytes(found)).pieces() == PIECES


def test_empty() -> None:
    found = LineMap(encode_pieces([]))
    assert (len(found), found.pieces(), found.to_original(1), found.to_rewritten(1)) == (0, [], None, None)


PLACES = st.tuples(st.integers(0, 1 << 20), st.integers(0, 1 << 12))


@given(st.dictionaries(PLACES, st.one_of(PLACES, st.just((-1, -1)))))
def test_any_map_survives_encoding(pieces: dict[tuple[int, int], tuple[int, int]]) -> None:
    listed = [(*place, *pieces[place]) for place in sorted(pieces)]
    found = LineMap(encode_pieces(listed))
    assert found.pieces() == listed
    for line, column, original_line, original_column in listed:
        expected = None if original_line < 0 else (original_line, original_column)
        assert found.to_original(line, column) == expected


@pytest.mark.parametrize(
    ("pieces", "error"),
    [
        ([(2, 0, 1, 0), (1, 0, 1, 0)], ValueError),
        ([(1, 0, 1, 0), (1, 0, 1, 0)], ValueError),
        ([(-1, 0, 1, 0)], RuntimeError),
        ([(1, 0, -2, 0)], RuntimeError),
        ([(1, 0, 1)], ValueError),
        ([(1 << 40, 0, 1, 0)], OverflowError),
    ],
)
def test_pieces_out_of_order_or_range(pieces: list[tuple[int, int, int, int]], error: type[Exception]) -> None:
    with pytest.raises(error):
        encode_pieces(pieces)


@given(st.binary(max_size=40))
def test_any_bytes_are_decoded_or_refused(data: bytes) -> None:
    try:
        found = LineMap(data)
    except RuntimeError:
        return
    assert encode_pieces(found.pieces()) == data


def test_no_bytes() -> None:
    with pytest.raises(TypeError):
        LineMap(None)  # type: ignore[arg-type]
