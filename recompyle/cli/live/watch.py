"""``python -m recompyle live watch``: the table of a program, again and again."""

import argparse
from typing import Any

from recompyle.cli.live import common

__all__ = ["add_to"]


def add_to(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "watch",
        help="the functions of a program and their hits, again and again",
        description="Write the table of a program, then every 2 seconds the rows that have changed. Ctrl-C ends it.",
    )
    common.add_target(parser, ", and what paths must match, such as 'app.*'", "[PATTERN]")
    common.add_view(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write tables until Ctrl-C, or until the program ends."""
    from recompyle.live import plain
    from recompyle.live.remote import watch

    pid, pattern = common.split_pattern(options)
    with common.errors():
        client = common.client_of(options, pid)
        session = watch(client, everything=options.all_modules, pattern=pattern, hz=options.hz)
        try:
            plain.run(session, as_json=options.json, once=options.once)
        finally:
            session.close()
    return common.DONE if session.gone is None else common.NO_AGENT
