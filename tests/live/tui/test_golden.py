"""Whole screens, as they are in the files beside this one. GOLD=1 writes them anew."""

import os
from pathlib import Path

import pytest
from screens import on_screen
from scripted import row

GOLD = Path(__file__).parent / "gold"


def program():
    """Rows of all states, some of which are called."""
    held = [row(f"app.web.views:View.get_{number:02}", calls=number * 1000) for number in range(60)]
    for number, state in enumerate(("on", "on", "pending", "refused", "foreign", "failed", "applying"), start=1):
        held[number].update(state=state)
    held[1].update(mode="counter")
    long = "app.a_package_of_a_long_name.and_a_module_too:AClassWithALongName.get_02"
    held[2].update(mode="hook", path=long, calls=None)
    held[8].update(path="app.web.views:evil\x1b[31m\u202e[red]")
    return held


async def some_time(ui):
    """The program runs, and its user does something."""
    busy, other = list(ui.source.held.values())[1:3]
    for second in range(1, 9):
        busy.update(hits=1234567 * second, calls=2_000_000 * second)
        other.update(hits=second * second)
        await ui.sample()
    await ui.press("down", "3", "end", "home", "down")
    ui.session.tell("patched app.web.views:View.get_01 (counter); 0 frames still on old code")
    await ui.sample()


@pytest.mark.parametrize("size", [(60, 12), (80, 24), (200, 60)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_screen(size):
    file = GOLD / f"{size[0]}x{size[1]}.txt"

    async def test(ui):
        await some_time(ui)
        text = "".join(f"{line}\n" for line in ui.lines)
        if os.environ.get("GOLD"):
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
        assert text == file.read_text(encoding="utf-8")

    on_screen(program(), test, size=size, ns=10)
