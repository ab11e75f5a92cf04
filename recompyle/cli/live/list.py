"""``python -m recompyle live list``: the functions of a program."""

import argparse
import sys
from typing import Any

from recompyle.cli.live import common

__all__ = ["add_to"]


def add_to(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "list",
        help="the functions of a program that can be instrumented",
        description="Show the functions of a program that can be instrumented, and those that are.",
    )
    common.add_target(parser, ", and what paths must match, such as 'app.*'", "[PATTERN]")
    common.add_form(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write one table."""
    from recompyle.live.plain import Writer
    from recompyle.live.remote import watch

    pid, pattern = common.split_pattern(options)
    with common.errors():
        session = watch(common.client_of(options, pid), everything=options.all_modules, pattern=pattern)
        try:
            session.refresh()
            Writer(session, sys.stdout, options.json).table(whole=True)
        finally:
            session.close()
    return common.DONE
