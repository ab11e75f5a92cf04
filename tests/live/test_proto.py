"""The protocol's lines and messages: limits, types, hostile bytes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recompyle.live import proto
from recompyle.live.proto import BadMessage, Lines, check_row, decode, encode, field, optional, strings

ROW = {
    "path": "app:f",
    "aliases": [],
    "kind": "function",
    "flavor": "plain",
    "owner": "app",
    "file": "app.py",
    "line": 1,
    "state": "on",
    "mode": "counter",
    "calls": None,
    "hits": 3,
    "rate": None,
    "last_hit_ms": None,
    "in_flight": 0,
    "slot": 0,
    "engine": "code",
    "notes": [],
    "error": None,
}


@given(st.lists(st.binary(max_size=30).filter(lambda line: b"\n" not in line)), st.lists(st.integers(0, 400)))
def test_lines_do_not_depend_on_how_the_bytes_arrive(lines, cuts):
    stream = b"".join(line + b"\n" for line in lines)
    reader, found, begin = Lines(20), [], 0
    for end in [*sorted(min(cut, len(stream)) for cut in cuts), len(stream)]:
        found += reader.feed(stream[begin:end])
        begin = end
    assert found == [line if len(line) <= 20 else None for line in lines]


def test_a_line_without_end_is_not_kept():
    reader = Lines(1000)
    assert [found for _ in range(100) for found in reader.feed(b"x" * 100)] == [None]
    assert len(reader._rest) <= 1000
    assert list(reader.feed(b"\n{}\n")) == [b"{}"]


def test_a_line_without_end_is_one_fault_after_the_other():
    reader = Lines(1000)
    assert [found for _ in range(1000) for found in reader.feed(b"x" * 100)] == [None] * 7
    assert list(reader.feed(b"\n{}\n")) == [b"{}"]
    assert [found for _ in range(100) for found in reader.feed(b"x" * 100)] == [None], "it begins anew"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
        lambda inner: st.lists(inner),
        max_leaves=5,
    )
)
def test_what_is_encoded_is_decoded(value):
    message = {"id": 1, "value": value}
    line = encode(message)
    assert line.isascii() and line.count(b"\n") == 1
    try:
        assert decode(line[:-1]) == message
    except BadMessage as error:
        assert "deep" in str(error)


def test_half_of_a_surrogate_pair_survives():
    assert decode(encode({"path": "\ud800"})[:-1]) == {"path": "\ud800"}


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b"1",
        b'"x"',
        b"null",
        b"\xff",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1' + b"0" * 5000 + b"}",
        b"[" * 60000,
        b'{"a":' * 9 + b"1" + b"}" * 9,
        None,
    ],
    ids=str,
)
def test_what_is_no_message(line):
    with pytest.raises(BadMessage):
        decode(line)


def test_brackets_in_strings_do_not_count():
    message = {"path": '[[[[[[[[[[{{{{{{{{{{"[[[[[[[\\"{{{{'}
    assert decode(json.dumps(message).encode()) == message


def depth_of(value):
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return isinstance(value, (dict, list)) + max(map(depth_of, inside), default=0)


@given(
    st.recursive(
        st.text('[]{}"\\\\x', max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('[{"\\', max_size=3), inner, max_size=3),
        max_leaves=8,
    )
)
def test_the_depth_that_counts_is_that_of_the_parser(value):
    for _ in range(10):
        message = {"value": value}
        line = json.dumps(message).encode()
        if depth_of(message) <= proto.DEPTH:
            assert decode(line) == message
        else:
            with pytest.raises(BadMessage, match="deep"):
                decode(line)
        value = [value]


@pytest.mark.parametrize("begin, again", [(b"", b'{"a":'), (b"{}", b"["), (b"", b'{"\\'), (b'{"a":"', b'\\"')])
def test_what_is_never_closed_is_refused(begin, again):
    with pytest.raises(BadMessage):
        decode(begin + again * 60_000)


@given(st.lists(st.text() | st.integers() | st.lists(st.text())), st.integers(1, 9), st.sampled_from([1, 20, 10_000]))
def test_a_part_is_what_json_says(items, limit, size):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(proto, "PART_BYTES", size)
        part = proto.Part(items, limit=limit)
    assert part == items[: len(part)] and len(part) <= limit and bool(part) == bool(items)
    assert encode({"id": 1, "rows": part, "total": 3}) == encode({"id": 1, "total": 3, "rows": list(part)})
    assert len(part.json) <= size or len(part) == 1


def test_fields_are_of_their_types():
    message = {
        "text": "x",
        "number": 1,
        "flag": True,
        "list": ["a"],
        "mixed": ["a", 1],
        "huge": 10**400,
        "inf": 1e999,
        "null": None,
    }
    assert field(message, "text", str) == "x"
    assert field(message, "number", float) == 1.0
    assert optional(message, "null", int, 7) == optional(message, "missing", int, 7) == 7
    assert strings(message, "list") == ["a"]
    for name, kind in [
        ("flag", int),
        ("number", bool),
        ("number", str),
        ("huge", float),
        ("huge", int),
        ("inf", float),
        ("missing", str),
    ]:
        with pytest.raises(BadMessage):
            field(message, name, kind)
    with pytest.raises(BadMessage):
        strings(message, "mixed")


def test_a_row_is_checked():
    assert check_row({**ROW, "unknown": 1}) == ROW
    assert check_row({**ROW, "error": {"slug": "x", "text": "y", "z": 1}})["error"] == {"slug": "x", "text": "y"}
    for name in ROW:
        if name not in ("rate", "last_hit_ms"):
            with pytest.raises(BadMessage):
                check_row({**ROW, name: 1.5})
    with pytest.raises(BadMessage):
        check_row([])


def test_answers_fit_into_what_a_client_may_leave_unread():
    assert proto.QUEUE_BYTES < proto.ANSWER_BYTES
