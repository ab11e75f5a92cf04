"""``python -m recompyle live``: watch and instrument a running program.

Each of its commands is a file beside this one.
"""

from typing import Any

from recompyle.cli.live import attach, demo, instrument, list, ps, restore, run, watch

__all__ = ["add_to"]

COMMANDS = (demo, run, ps, attach, list, watch, instrument, restore)


def add_to(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "live",
        help="watch and instrument a running program",
        description="Watch a running program, and instrument its functions by their paths.",
    )
    inner = parser.add_subparsers(metavar="COMMAND", required=True)
    for each in COMMANDS:
        each.add_to(inner)
