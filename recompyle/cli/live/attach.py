"""``python -m recompyle live attach``: the screen of a program, in a process of its own."""

import argparse
import sys
from typing import Any

from recompyle.cli.errors import CommandError
from recompyle.cli.live import common

__all__ = ["add_to"]


def add_to(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "attach",
        help="watch and instrument a program",
        description="Watch and instrument a program. If it does not listen yet it is made to, which takes CPython 3.14 "
        "or later on both sides. Without a terminal, type lines as in the demo; quit, or Ctrl-C, ends it and restores.",
    )
    common.add_target(parser, "", "")
    common.add_view(parser)
    parser.add_argument(
        "--timeout", type=common.seconds, default=30.0, metavar="TIME", help="for making it listen (30s)"
    )
    common.add_agent(parser, "if it is made to listen: ")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Connect, and show it."""
    from recompyle.live import plain
    from recompyle.live.attaching import attach
    from recompyle.live.remote import watch

    pid, words = common.split(options)
    if words:
        raise CommandError(f"one process, and no {' '.join(words)}")
    with common.errors():
        common.load_screen(options)  # meanwhile the program may have to import this package
        if pid is None:
            client = common.client_of(options, pid)
        else:
            client = attach(
                pid,
                timeout=options.timeout,
                say=lambda text: print(text, file=sys.stderr, flush=True),
                allow_import=options.allow_import,
                cap=common.cap_of(options),
            )
        session = watch(client, everything=options.all_modules, hz=options.hz)
        try:
            shown = common.screen(options)
            if shown is not None:
                code = int(shown.run(session))
                return code if session.gone is None else common.NO_AGENT
            plain.run(session, as_json=options.json, once=options.once, lines=sys.stdin or ())
        finally:
            session.close()
    return common.DONE if session.gone is None else common.NO_AGENT
