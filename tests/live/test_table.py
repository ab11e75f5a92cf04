"""Cells, widths, and names that would harm a terminal."""

import io
import json
import unicodedata
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import Clock, Scripted

from recompyle.live import plain
from recompyle.live.plain import Writer
from recompyle.live.session import Session
from recompyle.live.table import columns_for, fit, glyph, is_unicode, printable, shorten, text_of, width_of


@pytest.mark.parametrize(
    "width, names",
    [
        (60, "state name calls hits"),
        (79, "state name calls hits"),
        (80, "state name calls hits rate"),
        (99, "state name calls hits rate"),
        (100, "state name calls hits rate last"),
        (119, "state name calls hits rate last"),
        (120, "state name calls hits rate last cost"),
        (140, "state name calls hits rate last cost history"),
        (200, "state name calls hits rate last cost history"),
    ],
)
def test_columns_by_width(width, names):
    columns = columns_for(width)
    assert [column.name for column in columns] == names.split()
    assert sum(column.width for column in columns) + len(columns) - 1 == width


@pytest.mark.parametrize(
    "text, shown",
    [
        ("app.orders:Größe", "app.orders:Größe"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\x9bb", "a\\x9bb"),
        ("a\x7f", "a\\x7f"),
        ("a\u202eb", "a\\u202eb"),
        ("a\ud800b", "a\\ud800b"),
        ("a\nb\tc", "a\\x0ab\\x09c"),
        ("[red]x", "[red]x"),
        ("\u2028", "\\u2028"),
        ("\U000e0001", "\\U000e0001"),
        ("\ufeff", "\\ufeff"),
    ],
)
def test_hostile_texts(text, shown):
    assert printable(text) == shown


@given(st.text(st.characters(exclude_categories=())))
def test_nothing_but_visible_characters_is_shown(text):
    shown = printable(text)
    assert all(unicodedata.category(char)[0] not in "C" for char in shown)
    shown.encode()


@given(st.text(), st.integers(0, 40))
def test_shortened_texts_fit(text, width):
    text = printable(text)
    cut = shorten(text, width)
    assert width_of(cut) <= width
    if width_of(text) <= width:
        assert cut == text
    assert width_of(fit(cut, width)) == width


def test_module_and_function_stay_readable():
    assert shorten("instrumenting_app.dummy_modules.mod_c:Cart.from_session", 30) == "instrumen…_c:Cart.from_session"
    assert shorten("x" * 50, 1) == "…"


def line(**values):
    """What a `Line` tells."""
    told = {"path": "app.orders:f", "state": "on", "hits": 1, "calls": None, "rate": None, "last": None, "cost": None}
    return SimpleNamespace(**told | {"history": []} | values)


@pytest.mark.parametrize(
    "column, values, text",
    [
        ("state", {}, "●"),
        ("name", {}, "app.orders:f"),
        ("calls", {}, "-"),
        ("calls", {"calls": 1234}, "1,234"),
        ("hits", {"hits": 12_345_678_901}, "12,346M"),
        ("rate", {}, "-"),
        ("rate", {"rate": 401.6}, "402"),
        ("last", {}, "-"),
        ("last", {"last": 0.2}, "now"),
        ("last", {"last": 12.3}, "12 s"),
        ("last", {"last": 300}, "5 min"),
        ("last", {"last": 7300}, "2 h"),
        ("cost", {}, "-"),
        ("cost", {"cost": 0.0123}, "1.23%"),
        ("history", {"history": [0, 1, 2]}, " ▅█"),
    ],
)
def test_cells(column, values, text):
    assert text_of(line(**values), column, 12 if column == "name" else 8) == text


def test_ascii():
    assert [
        glyph(state, False) for state in ("off", "on", "pending", "refused", "foreign", "failed", "applying")
    ] == list("-*?x!x~")
    assert text_of(line(history=[0, 1, 2]), "history", 8, False) == " +@"
    assert text_of(line(), "name", 8, False) == "a...rs:f"
    assert (is_unicode("UTF-8"), is_unicode("utf8"), is_unicode("latin-1"), is_unicode("ascii")) == (
        True,
        True,
        False,
        False,
    )


def golden(width, monkeypatch, **options):
    monkeypatch.setenv("COLUMNS", str(width))
    source, clock = Scripted(), Clock()
    source.ns = 10.0
    source.set("checkout", 0, calls=9412)
    source.set("Service.a_name_that_is_much_longer_than_any_column_could_ever_hold_on_a_small_screen", 0, state="off")
    session = Session(source, clock=clock)
    session.refresh()
    clock.now += 1
    source.set("checkout", 1204, calls=9812)
    session.refresh()
    out = io.StringIO()
    Writer(session, out, **options).table()
    return out.getvalue()


@pytest.mark.parametrize("width", [60, 80, 200])
def test_whole_tables(width, monkeypatch):
    lines = golden(width, monkeypatch).splitlines()
    assert lines[0] == "pid 4711  1 on / 2  hits 1,204"
    assert all(len(each) <= width for each in lines)
    assert lines[1].split() == [word for column in columns_for(width) for word in column.title.split()]
    assert lines[3].startswith("● app.orders:checkout ")
    assert lines[3].split()[2:4] == ["9,812", "1,204"]
    assert lines[2].startswith("· app.ord") and ("…" in lines[2]) == (width < 200)
    if width == 200:
        assert lines[3].split()[4:] == ["1,204", "now", "0.00%", "█"]


def test_only_changed_rows_after_the_first(monkeypatch):
    source, clock, out = Scripted(f=1, g=1), Clock(), io.StringIO()
    session = Session(source, clock=clock)
    writer = Writer(session, out)
    session.refresh()
    writer.table()
    assert out.getvalue().count("app.orders:") == 2
    source.set("g", 5)
    session.refresh()
    out.truncate(0)
    writer.table()
    assert out.getvalue().count("app.orders:") == 1 and "app.orders:g" in out.getvalue()
    out.truncate(0)
    writer.table()
    assert "app.orders" not in out.getvalue()
    writer.table(whole=True)
    assert out.getvalue().count("app.orders:") == 2


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("hz", [1, 4, 20])
def test_a_table_every_two_seconds(monkeypatch, as_json, hz):
    """Samples are taken as often as was asked for; the time is that of a clock which runs while the program works."""
    source, clock, out = Scripted(f=0), Clock(), io.StringIO()
    monkeypatch.setattr(plain, "time", SimpleNamespace(monotonic=clock))

    def work(seconds):
        clock.now += seconds
        source.set("f", round(clock.now * 1000))

    plain.run(Session(source, hz=hz, clock=clock), out, as_json=as_json, duration=9.99, work=work)
    written = out.getvalue().splitlines()
    tables = list(map(json.loads, written)) if as_json else [line for line in written if line.startswith("pid ")]
    assert len(tables) == 6, "at 0, 2, 4, 6, 8 and at the end"
    assert 8 * hz <= source.polls <= 10 * hz + 1


def test_messages_are_written_without_escape_sequences():
    session, out = Session(Scripted()), io.StringIO()
    session.messages += [("info", "a\x1b[2Jb"), ("error", "no")]
    Writer(session, out).messages()
    assert out.getvalue() == "a\\x1b[2Jb\nerror: no\n"


def test_a_terminal_that_knows_ascii_only():
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    session = Session(Scripted(f=1))
    session.refresh()
    session.messages.append(("info", "Größe"))
    writer = Writer(session, out)
    writer.table()
    writer.messages()
    assert b"* app.orders:f" in raw.getvalue() and rb"Gr\xf6\xdfe" in raw.getvalue()
