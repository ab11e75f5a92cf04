"""What the commands share that control another process."""

import argparse
import importlib
import math
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import TYPE_CHECKING

from recompyle.cli.errors import CommandError
from recompyle.errors import RecompyleError, Unreachable

if TYPE_CHECKING:
    from recompyle.live.client import Client

__all__ = [
    "add_agent",
    "add_form",
    "add_target",
    "add_view",
    "cap_of",
    "client_of",
    "errors",
    "load_screen",
    "printed",
    "refuse_unknown",
    "screen",
    "seconds",
    "split",
    "split_pattern",
]

DONE, FAILED, USAGE, NO_AGENT, NOT_PERMITTED, TIMEOUT = 0, 1, 2, 3, 4, 5
CODES = {
    "no_process": NO_AGENT,
    "no_agent": NO_AGENT,
    "no_channel": NO_AGENT,
    "gone": NO_AGENT,
    "not_permitted": NOT_PERMITTED,
    "foreign_folder": NOT_PERMITTED,
    "disabled": NOT_PERMITTED,
    "timeout": TIMEOUT,
}
HZ = (1, 2, 4, 5, 10, 20)


def add_target(parser: argparse.ArgumentParser, words: str, usage: str) -> None:
    """Add what names the process, and what comes behind it.

    Parameters:
        parser: of the command.
        words: what comes behind, for the help.
        usage: the same in short.
    """
    parser.add_argument("words", nargs="*", metavar=f"PID {usage}".rstrip(), help=f"the process{words}")
    parser.add_argument("--socket", metavar="FILE", help="the process by its socket, in place of the PID")


def add_view(parser: argparse.ArgumentParser) -> None:
    """Add how rows are shown again and again."""
    parser.add_argument("--hz", type=int, choices=HZ, default=4, help="samples a second (4)")
    add_form(parser)


def add_form(parser: argparse.ArgumentParser) -> None:
    """Add which rows are written, and as what."""
    parser.add_argument("--plain", action="store_true", help="tables as plain text, every 2 seconds what has changed")
    parser.add_argument("--json", action="store_true", help="objects of JSON, one a line")
    parser.add_argument("--once", action="store_true", help="write one table and end")
    parser.add_argument(
        "--all-modules", action="store_true", help="functions of the standard library and of installed packages, too"
    )


def add_agent(parser: argparse.ArgumentParser, when: str = "") -> None:
    """Add what an agent lets others do.

    Parameters:
        when: the condition under which there is one, for the help.
    """
    parser.add_argument("--allow-import", action="store_true", help=f"{when}modules of paths may be imported")
    parser.add_argument("--no-cap", action="store_true", help=f"{when}probes may cost any part of the time")


def cap_of(options: argparse.Namespace) -> float | None:
    """The part of a core that probes may take; None: any."""
    from recompyle.live.cost import CAP

    return None if options.no_cap else CAP


def seconds(text: str) -> float:
    """A positive number of seconds: ``30``, ``30s``, ``5m``, ``1h``."""
    units = {"s": 1, "m": 60, "h": 3600}
    unit = units.get(text[-1:])
    try:
        number = float(text[:-1] if unit else text) * (unit or 1)
    except ValueError:
        number = 0
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"a time such as 30s, 5m or 1h, not {text!r}")
    return number


def refuse_unknown(options: argparse.Namespace) -> None:
    """Refuse what the parser did not understand."""
    if options.arguments:
        raise CommandError(f"unrecognized arguments: {' '.join(options.arguments)}")


def split(options: argparse.Namespace) -> tuple[int | None, list[str]]:
    """The process, None with ``--socket``, and the words behind it."""
    # The parser leaves over the words that stand behind an option.
    words = [*options.words, *(each for each in options.arguments if not each.startswith("-"))]
    options.arguments = [each for each in options.arguments if each.startswith("-")]
    refuse_unknown(options)
    if options.socket is not None:
        return None, words
    if not words or not words[0].isdecimal():
        raise CommandError("expected the number of a process; `live ps` shows those that can be controlled")
    return int(words[0]), words[1:]


def split_pattern(options: argparse.Namespace) -> tuple[int | None, str]:
    """The same where one pattern may stand behind the process: what paths must match."""
    pid, words = split(options)
    if len(words) > 1:
        raise CommandError(f"one pattern at most, not {' '.join(words)}")
    return pid, words[0] if words else "*"


def client_of(options: argparse.Namespace, pid: int | None) -> "Client":
    """A connection to the process."""
    from recompyle.live.client import connect

    return connect(path=options.socket) if pid is None else connect(pid)


@contextmanager
def errors() -> Iterator[None]:
    """Turn what the program or the system refuses into the command's errors."""
    try:
        yield
    except Unreachable as error:
        raise CommandError(printed(str(error)), CODES.get(error.slug, FAILED)) from None
    except RecompyleError as error:
        raise CommandError(printed(f"refused ({error.slug}): {error}"), FAILED) from None
    except ValueError as error:
        raise CommandError(printed(str(error)), FAILED) from None


def printed(text: str) -> str:
    """A text of the program's as it can be shown."""
    from recompyle.live.table import printable

    return printable(text)


def screen(options: argparse.Namespace) -> ModuleType | None:
    """What shows a session on the terminal; None where no screen can be drawn, or another form is wanted.

    Says so if all that is missing is the extra.
    """
    if not _may_draw(options):
        return None
    try:
        from recompyle.live import tui
    except ImportError:
        print("going on without a screen: pip install 'recompyle[tui]' for one", file=sys.stderr)
        return None
    return tui


def load_screen(options: argparse.Namespace) -> None:
    """Begin to import what `screen` gives, in a thread of its own: it takes long."""

    def load() -> None:
        with suppress(Exception):  # `screen` will raise it again
            importlib.import_module("recompyle.live.tui")

    if _may_draw(options):
        threading.Thread(target=load, name="recompyle live screen", daemon=True).start()


def _may_draw(options: argparse.Namespace) -> bool:
    if options.plain or options.json or options.once:
        return False
    # The screen is drawn on the standard error; a dumb terminal understands none of it.
    return sys.stdin.isatty() and sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in ("", "dumb")
