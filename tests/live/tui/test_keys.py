"""Every key and every width, on Textual's terminal for tests."""

import asyncio

import pytest
from screens import on_screen
from scripted import Scripted, row
from textual.events import Key, MouseScrollDown, MouseScrollUp, Paste

from recompyle.live.session import Session
from recompyle.live.tui import app, keys
from recompyle.live.tui.app import Live
from recompyle.live.tui.main import Main
from recompyle.live.tui.reader import Reader

NAMES = [f"app.orders:Service.f{number:02}" for number in range(40)]


def rows():
    return [row(name, calls=number * 10) for number, name in enumerate(NAMES)]


def keyed(test, given=None, **options):
    return on_screen(rows() if given is None else given, test, **options)


def test_all_keys_have_an_action():
    for table, screen in ((keys.TABLE, Main), (keys.READER, Reader)):
        pressed = [name for each in table for name in each.keys.split()]
        assert len(pressed) == len(set(pressed))
        assert [each.action for each in table if not hasattr(screen, f"do_{each.action}")] == []


def test_type_a_path():
    async def test(ui):
        await ui.press("a")
        await ui.type("app.orders:Service.f07")
        assert ui.lines[-1] == " > app.orders:Service.f07"
        await ui.press("enter")
        assert ui.source.orders == [("instrument", NAMES[7], "counter")]
        assert "patched app.orders:Service.f07 (counter); 0 frames still on old code" in ui.text
        assert ui.lines[-1].startswith(" a path")
        await ui.sample()
        assert ui.line_of("f07 ").startswith("● ")
        assert ui.session.selected == NAMES[7]
        assert "1 on / 40" in ui.lines[0]

    keyed(test)


def test_type_a_path_by_colon_and_leave():
    async def test(ui):
        await ui.press("colon")
        await ui.type("q")
        assert ui.lines[-1] == " > q"
        await ui.press("escape")
        assert ui.source.orders == []
        assert ui.lines[-1].startswith(" a path")
        await ui.press("down")
        assert ui.session.selected == NAMES[1]

    keyed(test)


def test_tab_completes():
    async def test(ui):
        await ui.press("a")
        await ui.type("ap")
        await ui.press("tab")
        assert ui.lines[-1] == " > app.orders:Service.f"
        assert "f00, f01" in ui.text and "28 more" in ui.text
        await ui.type("07")
        await ui.press("tab", "tab")
        assert ui.lines[-1] == " > app.orders:Service.f07"
        await ui.press("ctrl+u")
        await ui.type("hook nothing")
        await ui.press("tab")
        assert ui.lines[-1] == " > hook nothing"
        assert "no known path begins like that" in ui.text

    keyed(test)


def test_paths_that_cannot_be_shown_are_not_completed():
    async def test(ui):
        await ui.press("a")
        await ui.type("m")
        await ui.press("tab")
        assert ui.lines[-1] == " > m:fine"

    keyed(test, [row("m:fine"), row("m:f\x1b[31m")])


def test_history():
    async def test(ui):
        for name in ("f01", "f02"):
            await ui.press("a")
            await ui.type(f"hook app.orders:Service.{name}")
            await ui.press("enter")
        await ui.press("a", "up")
        assert ui.lines[-1].endswith("f02")
        await ui.press("up", "up")
        assert ui.lines[-1].endswith("f01")
        await ui.press("down")
        assert ui.lines[-1].endswith("f02")
        await ui.press("down")
        assert ui.lines[-1] == " >"
        await ui.press("up", "enter")
        assert ui.source.orders == [("instrument", NAMES[number], "hook") for number in (1, 2, 2)]

    keyed(test)


def test_editing_a_line():
    async def test(ui):
        await ui.press("a")
        await ui.type("abc.def")
        await ui.press("left", "left", "backspace", "X", "right", "home", "Y", "delete", "end", "Z")
        assert ui.lines[-1] == " > Ybc.XefZ"
        await ui.press("ctrl+w")
        assert ui.lines[-1] == " > Ybc."
        await ui.press("ctrl+a", "right", "ctrl+k")
        assert ui.lines[-1] == " > Y"
        await ui.press("ctrl+e", "ctrl+u", "ctrl+w", "backspace", "left", "delete")
        assert ui.lines[-1] == " >"

    keyed(test)


def test_a_long_line_shows_its_cursor():
    async def test(ui):
        await ui.press("a")
        await ui.type("x" * 100 + "end")
        assert ui.lines[-1].endswith("xend")

    keyed(test, size=(60, 12))


def test_pasting_takes_the_first_line():
    async def test(ui):
        ui.app.screen.post_message(Paste("ignored"))
        await ui.press("a")
        ui.app.screen.post_message(Paste("app.orders:x\nquit\n"))
        await ui.pilot.pause()
        assert ui.lines[-1] == " > app.orders:x"

    keyed(test)


@pytest.mark.parametrize(("key", "mode"), [("enter", "counter"), ("i", "counter"), ("I", "hook")])
def test_instrument_the_selected(key, mode):
    async def test(ui):
        await ui.press("down", key)
        assert ui.source.orders == [("instrument", NAMES[1], mode)]
        assert f"patched {NAMES[1]} ({mode})" in ui.text

    keyed(test)


def test_restore():
    async def test(ui):
        await ui.press("i", "u")
        assert ui.source.orders[1:] == [("restore", NAMES[0])]
        assert f"restored {NAMES[0]}" in ui.text

    keyed(test)


def test_restore_all_asks_once():
    async def test(ui):
        await ui.press("i")
        await ui.sample()
        await ui.press("U")
        assert ui.lines[-1] == " restore all, 1 on? y or n"
        await ui.press("n")
        assert ("restore_all",) not in ui.source.orders
        await ui.press("U", "y")
        assert ("restore_all",) in ui.source.orders
        assert "restored 1 function" in ui.text

    keyed(test)


def test_restore_all_counts_what_waits():
    async def test(ui):
        await ui.press("U")
        assert ui.lines[-1] == " restore all, 1 pending, 0 on? y or n"

    keyed(test, [row("m:f", state="pending")])


def test_refusals_are_said():
    async def test(ui):
        await ui.press("a")
        await ui.type("app.orders:Service.f7")
        await ui.press("enter")
        assert "refused (not_found)" in ui.text
        assert "did you mean" in ui.text

    keyed(test)


def test_details():
    async def test(ui):
        await ui.press("down", "d")
        assert ui.lines[0] == f" {NAMES[1]}"
        assert "code before" in ui.text and "code after" in ui.text
        ui.source.held[NAMES[1]].update(hits=77, in_flight=2)
        await ui.sample()
        assert "77" in ui.line_of("hits")
        assert "2 frames" in ui.line_of("on old code")
        await ui.press("escape")
        assert "Qualified name" in ui.text
        await ui.press("d", "q")
        assert "Qualified name" in ui.text

    keyed(test)


def test_reading_moves():
    async def test(ui):
        await ui.press("d")
        assert "1 to 10 of" in ui.lines[-1]
        await ui.press("down")
        assert "2 to 11 of" in ui.lines[-1]
        await ui.press("G")
        assert ui.lines[-2].strip() == "NOP"
        await ui.press("pageup", "up", "k", "j", "home")
        assert "1 to 10 of" in ui.lines[-1]
        await ui.wheel(MouseScrollDown)
        assert "4 to 13 of" in ui.lines[-1]

    keyed(test, [row("m:f", notes=["note"] * 10)], size=(60, 12))


def test_profile_this_one_for_me():
    async def test(ui):
        await ui.press("P")
        await ui.type("2.5")
        await ui.press("enter")
        assert ui.source.orders == [("profile", NAMES[0], 2.5)]
        assert ui.lines[0].startswith(" runs of 2.5 ms and more: app.orders")
        assert "none so far" in ui.text
        for number in range(40):
            ui.source.report(f"slow call: f took {number} ms\n  in \x1b[31m")
        await ui.pilot.pause()
        assert "slow call: f took 39 ms" in ui.text
        assert "slow call: f took 0 ms" not in ui.text
        assert "\\x1b[31m" in ui.text
        await ui.press("home")
        ui.source.report("another")
        await ui.pilot.pause()
        assert "slow call: f took 0 ms" in ui.text
        await ui.press("escape")
        assert ui.source.orders[1:] == [("end", NAMES[0])]

    keyed(test)


@pytest.mark.parametrize("text", ["", "fast", "-1", "nan", "inf"])
def test_limits_are_numbers(text):
    async def test(ui):
        await ui.press("P")
        await ui.type(text)
        await ui.press("enter")
        assert ui.source.orders == []
        assert "a number of milliseconds is expected" in ui.text

    keyed(test)


def test_a_function_that_cannot_be_profiled_says_why():
    async def test(ui):
        ui.source.held.clear()
        ui.source.profile = lambda path, limit, report: ui.source.instrument("m:gone")
        await ui.press("P", "1", "enter")
        assert "m:gone is not there" in ui.text
        await ui.press("escape")
        assert "refused (not_found)" in ui.text

    keyed(test)


def test_filter():
    async def test(ui):
        await ui.press("slash")
        await ui.type("F3")
        assert sum("Service" in each for each in ui.lines) == 10
        assert ui.lines[-1] == " / F3"
        await ui.press("enter")
        assert "filter: F3" in ui.lines[0]
        await ui.press("c")
        assert sum("Service" in each for each in ui.lines) == 20
        await ui.press("slash", "7", "enter", "escape")
        assert ui.session.filter == ""
        await ui.press("slash", "7", "escape")
        assert ui.session.filter == ""

    keyed(test)


def test_the_cursor_stays_in_view_when_the_filter_goes():
    async def test(ui):
        await ui.press("slash", "3", "9", "enter")
        assert ui.session.selected == NAMES[39]
        await ui.press("c")
        assert ui.session.selected == NAMES[39] and NAMES[39] in ui.text and NAMES[0] not in ui.text

    keyed(test)


def test_sort():
    async def test(ui):
        assert "Qualified name▲" in ui.lines[1]
        await ui.press("s")
        assert ui.session.column == "calls" and ui.session.descending
        assert "Calls▼" in ui.lines[1]
        assert "f39" in ui.lines[2]
        await ui.press("r")
        assert "Calls▲" in ui.lines[1]
        await ui.press("S")
        assert ui.session.column == "name"
        await ui.press("S", "S")
        assert ui.session.column == "rate"  # the last one that is visible
        await ui.press("s")
        assert ui.session.column == "state"

    keyed(test)


@pytest.mark.parametrize("number", range(1, 9))
def test_sort_by_number(number):
    async def test(ui):
        await ui.press(str(number))
        assert ui.session.column == ("state", "name", "calls", "hits", "rate", "last", "cost", "history")[number - 1]
        if number > 5:
            assert "by " in ui.lines[0]
            await ui.press("s")
            assert ui.session.column == "state"

    keyed(test)


def test_moving():
    async def test(ui):
        async def at(number, *pressed):
            await ui.press(*pressed)
            assert ui.session.selected == NAMES[number], pressed
            assert NAMES[number] in ui.text

        await at(1, "down")
        await at(2, "j")
        await at(1, "up")
        await at(0, "k")
        await at(0, "up")
        await at(20, "pagedown")
        await at(39, "pagedown", "pagedown")
        await at(19, "pageup")
        await at(0, "home")
        await at(39, "end")
        await at(0, "g")
        await at(39, "G")

    keyed(test)


def test_the_cursor_stays_on_its_function():
    async def test(ui):
        await ui.press("down", "down", "3")
        assert ui.session.selected == NAMES[2]
        ui.source.held[NAMES[2]]["calls"] = 10_000
        await ui.sample()
        assert ui.session.selected == NAMES[2] and ui.session.index == 0

    keyed(test)


def test_a_cursor_that_went_out_of_view():
    async def test(ui):
        await ui.press("3")
        assert NAMES[0] not in ui.text and ui.session.selected == NAMES[0]
        await ui.press("i")  # nothing is done to what cannot be seen
        assert ui.source.orders == []
        assert NAMES[0] in ui.text and "here it is" in ui.text
        await ui.press("i")
        assert ui.source.orders == [("instrument", NAMES[0], "counter")]
        await ui.press("r", "r", "down")
        assert ui.session.selected == NAMES[39]
        await ui.press("home", "end", "r", "r", "up")
        assert ui.session.selected == NAMES[20]

    keyed(test)


def test_mouse():
    async def test(ui):
        await ui.pilot.click(offset=(10, 4))
        assert ui.session.selected == NAMES[2]
        await ui.pilot.click(offset=(76, 5))
        assert ui.session.selected == NAMES[3]
        await ui.pilot.click(offset=(55, 1))
        assert ui.session.column == "calls"
        await ui.pilot.click(offset=(55, 1))
        assert not ui.session.descending
        await ui.pilot.click(offset=(5, 1))
        assert ui.session.column == "name"
        await ui.press("home")
        await ui.wheel(MouseScrollDown)
        assert ui.session.selected == NAMES[3]
        await ui.wheel(MouseScrollUp)
        assert ui.session.selected == NAMES[0]
        await ui.pilot.click(offset=(5, 0))  # the header: nothing to do
        assert ui.session.selected == NAMES[0]

    keyed(test)


def test_a_click_below_the_last_row_does_nothing():
    async def test(ui):
        await ui.pilot.click(offset=(5, 15))
        assert ui.session.selected == "m:f"

    keyed(test, [row("m:f")])


@pytest.mark.parametrize("key", ["p", "space"])
def test_freeze_the_display(key):
    async def test(ui):
        await ui.press(key)
        assert "frozen" in ui.lines[0]
        ui.source.held[NAMES[0]]["calls"] = 12345
        await ui.sample()
        assert "12,345" not in ui.text
        await ui.press("d")  # what is asked is answered
        assert ui.source.orders == [("details", NAMES[0])]
        await ui.press("escape", key)
        await ui.sample()
        assert "12,345" in ui.text

    keyed(test)


def test_freeze_the_order():
    async def test(ui):
        await ui.press("3", "f")
        assert "order frozen" in ui.lines[0]
        ui.source.held[NAMES[0]]["calls"] = 10_000
        await ui.sample()
        assert "f39" in ui.lines[2]
        await ui.press("f")
        assert "f00" in ui.lines[2]

    keyed(test)


def test_numbers_from_now_on():
    async def test(ui):
        ui.source.held[NAMES[0]].update(hits=100, calls=1000, state="on", mode="counter")
        await ui.sample()
        await ui.press("0")
        await ui.sample()
        ui.source.held[NAMES[0]].update(hits=103, calls=1005)
        await ui.sample()
        assert ui.line_of("f00").split()[2:4] == ["5", "3"]
        assert ui.session.totals["hits"] == 103

    keyed(test)


def test_no_sample_while_the_terminal_still_has_the_last_one_to_show(monkeypatch):
    async def test(ui):
        with monkeypatch.context() as patched:
            patched.setattr(Live, "is_headless", False)
            for takes_more in (False, True):
                patched.setattr(app, "_takes_more", lambda terminal, more=takes_more: more)
                before = ui.source.polls
                ui.app.sample()
                assert ui.source.polls == before + takes_more

    keyed(test)


def test_faster_and_slower():
    async def test(ui):
        for key, hz in (("plus", 5), ("plus", 10), ("plus", 20), ("plus", 20), ("minus", 10)):
            await ui.press(key)
            assert f" {hz} Hz" in ui.lines[0]
        await ui.sample()
        assert ui.app._sampling._interval == 0.1

    keyed(test)


@pytest.mark.parametrize("key", ["question_mark", "h"])
def test_help(key):
    async def test(ui):
        await ui.press(key)
        for each in keys.TABLE:
            if each.shown:
                assert f" {each.shown} " in ui.text
                assert each.text in ui.text
        await ui.press("x")
        assert "Qualified name" in ui.text

    keyed(test, size=(110, 40))


@pytest.mark.parametrize(("key", "kept"), [("q", None), ("ctrl+c", None), ("D", "detach")])
def test_leaving(key, kept):
    async def test(ui):
        await ui.press(key)
        assert ui.app._exit

    assert keyed(test).app.return_value == kept


@pytest.mark.parametrize("before", ["a", "question_mark", "d"])
def test_ctrl_c_leaves_from_everywhere(before):
    async def test(ui):
        await ui.press(before)
        await ui.press("ctrl+c")
        assert ui.app._exit

    keyed(test)


def test_quit_as_a_command():
    async def test(ui):
        await ui.press("a")
        await ui.type("quit")
        await ui.press("enter")
        assert ui.app._exit

    keyed(test)


def test_redraw():
    async def test(ui):
        drawn = []
        ui.app.screen.refresh = lambda *regions, **options: drawn.append(regions)
        await ui.press("ctrl+l")
        assert drawn == [()]

    keyed(test)


def test_the_toolkit_keeps_its_own_screens_and_movements_to_itself():
    async def test(ui):
        await ui.press("ctrl+p")
        assert type(ui.app.screen) is Main
        assert ui.app.animation_level == "none"

    keyed(test)


def test_keys_that_come_fast_are_taken_in_order():
    async def test(ui):
        for key in ("a", *"app", "full_stop", "tab", "0", "7", "enter", "d"):
            ui.app.post_message(_key(key))
        await ui.pilot.pause()
        await ui.pilot.pause()
        assert ui.source.orders[0] == ("instrument", NAMES[7], "counter")

    keyed(test)


def test_keys_typed_ahead_reach_the_screen_that_was_opened():
    async def test(ui):
        for key in ("question_mark", "x", "question_mark", "q", "down"):
            ui.app.post_message(_key(key))
        await ui.pilot.pause()
        await ui.pilot.pause()
        assert "Qualified name" in ui.text
        assert ui.session.selected == NAMES[1]

    keyed(test)


def _key(name):
    return Key(name, "." if name == "full_stop" else name if len(name) == 1 else None)


def test_nothing_to_select():
    async def test(ui):
        await ui.press("i", "I", "u", "d", "P", "down", "end", "pagedown", "3", "f", "c")
        assert ui.source.orders == []
        assert "0 on / 0" in ui.lines[0]

    keyed(test, [])


def test_sizes():
    async def test(ui):
        for width, titles in ((60, "Calls Hits"), (80, "Hits/s"), (100, "Last hit"), (120, "Cost"), (140, "30 s")):
            await ui.pilot.resize_terminal(width, 24)
            await ui.pilot.pause()
            assert titles.split()[-1] in ui.lines[1]
            assert all(len(each) <= width for each in ui.lines)
            assert len(ui.lines) == 24
            assert sum("Service" in each for each in ui.lines) == 20
        for width, height in ((59, 24), (80, 11), (1, 1)):
            await ui.pilot.resize_terminal(width, height)
            await ui.pilot.pause()
            assert "Qualified name" not in ui.text
            assert ui.lines[0] == f"{width}x{height} is too small: 60x12 at least"[:width]
            assert not any(ui.lines[1:])
        await ui.pilot.resize_terminal(80, 24)
        await ui.pilot.pause()
        assert "Qualified name" in ui.text

    keyed(test)


def test_long_messages_make_room_for_themselves():
    async def test(ui):
        ui.session.tell("word " * 40)
        await ui.sample()
        assert sum("word" in each for each in ui.lines) == 3
        assert sum("Service" in each for each in ui.lines) == 18
        await ui.press("i")
        assert sum("Service" in each for each in ui.lines) == 20 + 1  # one of them is the message

    keyed(test)


def test_a_program_that_is_gone_leaves_its_last_table():
    async def test(ui):
        ui.source.gone = True
        await ui.sample()
        assert "gone" in ui.lines[0]
        assert "process 4711 is gone" in ui.text
        assert NAMES[0] in ui.text
        await ui.press("down", "s", "q")
        assert ui.app._exit

    keyed(test)


def test_what_the_program_raises_ends_the_screen():
    def work(seconds):
        raise SystemExit(7)

    async def test(ui):
        await ui.pilot.pause()

    shown = on_screen(rows(), test, work=work)
    assert isinstance(shown.app.failed, SystemExit)
    assert shown.app.return_code == 1


def test_the_program_runs_in_slices():
    slices = []

    async def test(ui):
        while len(slices) < 100:
            await asyncio.sleep(0)

    on_screen(rows(), test, work=slices.append)
    assert set(slices) == {0.004}


def test_it_ends_by_itself():
    async def run():
        app = Live(Session(Scripted(rows())), duration=0.01)
        async with app.run_test():
            while not app._exit:
                await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(run(), 60))
