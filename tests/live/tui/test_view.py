"""What the screen shows, without a screen."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import Scripted, row

from recompyle.live.session import COLUMNS, Session
from recompyle.live.table import GLYPHS, width_of
from recompyle.live.tui import view

HOSTILE = ["a\x1b[31mred", "b\x9b2J", "c\x7f", "d\u202eabc", "e\ud800", "f\nline", "[red]g[/red]", "h\u2066x", "i\x00"]


def shown(rows, width=80, height=20, **settings):
    session = Session(Scripted(rows), clock=iter(range(1000)).__next__)
    for name, value in settings.items():
        setattr(session, name, value)
    session.refresh()
    return session, view.Table(session, width, height, 0, True)


def harmless(text):
    """Nothing in it could be an order to a terminal, or hide what it is."""
    return not {unicodedata.category(each) for each in text} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


def texts(rows):
    return ["".join(text for text, _ in each) for each in rows]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_that_are_orders_to_a_terminal_are_shown_as_text(name):
    path = f"m:{name}"
    session, table = shown([row(path, notes=[name], aliases=[name], error={"slug": "x", "text": name})])
    session.filter = name
    parts = [
        *texts(table.left()), *texts(table.right()), *texts([view.header(session, 80, True)]),
        *texts(view.messages([("info", name)], 80)),
        *texts(view.details({"row": session.lines[0].row, "before": name, "after": name}, None, 80, True)),
    ]  # fmt: skip
    for part in parts:
        assert harmless(part)
        part.encode()  # no half of a pair
    if "[red]" in name:
        assert name in table.left()[1][1][0]


@given(st.text(max_size=200), st.integers(60, 250))
def test_any_name_fills_its_column_exactly(name, width):
    _, table = shown([row(f"m:{name}")], width=width)
    for half, wanted in ((table.left(), width - table.numbers_width), (table.right(), table.numbers_width)):
        for line in texts(half):
            assert harmless(line)
            assert width_of(line) == wanted


def test_long_names_keep_their_module_and_their_function():
    _, table = shown([row("package.of_a_long_name.and_more.module:ClassOfALongName.method_of_a_long_name")], width=60)
    name = texts(table.left())[1]
    assert name.startswith("· package.of")
    assert name.endswith("d_of_a_long_name")
    assert "…" in name


@pytest.mark.parametrize(
    ("width", "titles"),
    [
        (60, ["Calls", "Hits"]), (79, ["Calls", "Hits"]),
        (80, ["Calls", "Hits", "Hits/s"]), (99, ["Calls", "Hits", "Hits/s"]),
        (100, ["Calls", "Hits", "Hits/s", "Last hit"]), (119, ["Calls", "Hits", "Hits/s", "Last hit"]),
        (120, ["Calls", "Hits", "Hits/s", "Last hit", "Cost"]), (139, ["Calls", "Hits", "Hits/s", "Last hit", "Cost"]),
        (140, ["Calls", "Hits", "Hits/s", "Last hit", "Cost", "30 s"]),
        (250, ["Calls", "Hits", "Hits/s", "Last hit", "Cost", "30 s"]),
    ],
)  # fmt: skip
def test_columns_by_width(width, titles):
    _, table = shown([row("m:f")], width=width)
    assert [each.title for each in table.numbers] == titles
    assert [each.title for each in table.names] == ["", "Qualified name"]


@pytest.mark.parametrize(("size", "small"), [((59, 24), True), ((60, 11), True), ((60, 12), False)])
def test_a_terminal_may_be_too_small(size, small):
    assert (view.too_small(*size) is not None) is small


def test_every_column_is_found_where_it_is_shown():
    _, table = shown([row("m:f")], width=200)
    title = texts(table.right())[0]
    for column in table.numbers:
        assert table.column_at(title.index(column.title), right=True) == column.name
    assert table.column_at(0, right=False) == "state"
    assert table.column_at(5, right=False) == "name"


@pytest.mark.parametrize("column", COLUMNS)
def test_the_sorted_column_is_marked(column):
    session, table = shown([row("m:f")], width=200)
    session.sort(column)
    heading = texts([table.left()[0] + table.right()[0]])[0]
    assert heading.count("▼") + heading.count("▲") == 1
    assert table.column_at(0, False) == "state"
    narrow = view.header(session, 60, True)
    assert ("by " in narrow[0][0]) is (column not in ("state", "name", "calls", "hits"))


@pytest.mark.parametrize(("top", "at", "wanted"), [(0, 49, 30), (30, 10, 10), (5, 10, 5), (5, 24, 5), (5, 25, 6)])
def test_scrolling_to_a_line(top, at, wanted):
    assert view.scrolled(top, at, 20) == wanted


def test_a_table_has_no_empty_lines_as_long_as_there_are_more():
    session, _ = shown([row(f"m:f{number:02}") for number in range(50)])
    assert view.Table(session, 80, 20, 45, True).top == 30
    session.set_filter("f1")
    assert view.Table(session, 80, 20, 30, True).top == 0


@pytest.mark.parametrize("state", ["off", "on", "pending", "refused", "foreign", "failed", "applying", "restoring"])
def test_states_differ_without_colour(state):
    _, table = shown([row("m:f", state=state)])
    assert table.left()[1][0][0] == GLYPHS.get(state, "~")
    assert len(set(GLYPHS.values())) == len(GLYPHS) - 1  # refused and failed look alike
    session, table = shown([row("m:f", state=state)])
    ascii_only = view.Table(session, 200, 20, 0, False)
    assert all(text.isascii() for text in texts([*ascii_only.left(), *ascii_only.right()]))
    assert state in texts(view.details({"row": session.lines[0].row, "before": "", "after": None}, None, 80, True))[0]


def test_messages_take_five_lines_at_most():
    assert texts(view.messages([("info", "short")], 60)) == [" short"]
    assert [each.rstrip() for each in texts(view.messages([("error", "word " * 100)], 60))][4:] == [" ..."]
    assert len(view.messages([("error", "word " * 40)], 60)) == 4
    assert all(width_of(each) <= 60 for each in texts(view.messages([("error", "x" * 500)], 60)))
    assert view.messages([], 60) == [()]


def test_details_are_not_cut_off():
    file = "/a/folder of some length/" * 8 + "file.py"
    notes = ["word " * 50, "x" * 200]
    told = row("m:f", file=file, line=4711, notes=notes)
    shown = texts(view.details({"row": told, "before": "", "after": None}, None, 80, True))
    assert all(width_of(each) <= 80 for each in shown)
    assert "".join(shown).replace(" ", "").count("x") == 200
    text = "".join(each.removeprefix(" " * 13) for each in shown)
    assert "file.py,line4711" in text.replace(" ", "")


def test_details_tell_what_there_is():
    told = row(
        "m:C.f", state="refused", mode="hook", flavor="async_generator", kind="method", aliases=["m:g"], calls=5,
        hits=3, in_flight=None, notes=["defined on Base"], error={"slug": "no_source", "text": "why"},
    )  # fmt: skip
    shown = "\n".join(texts(view.details({"row": told, "before": "B", "after": "A"}, None, 80, True)))
    for each in ("refused (hook)", "async generator, method", "/app/x.py, line 1", "m:g", "not looked up", "on Base"):
        assert each in shown
    assert shown.endswith("\n code before\n B\n\n code after\n A")
    assert "no_source" in shown and "why" in shown
