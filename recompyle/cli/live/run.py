"""``python -m recompyle live run``: a script that can be watched and instrumented from outside."""

import argparse
import os
import sys
from typing import Any

from recompyle.cli.live import common
from recompyle.cli.target import run_script

__all__ = ["add_to"]


def add_to(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "run",
        help="run a script with the agent listening",
        description="Run a script as ever, and let other processes of this user watch and instrument it.",
    )
    parser.add_argument("script", help="the script; options that are not known here, and all behind --, are its own")
    common.add_agent(parser)
    parser.add_argument("--in-children", action="store_true", help="forked children listen, too")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Listen, and run the script."""
    from recompyle.live import listen

    with common.errors():
        cap = common.cap_of(options)
        agent = listen(allow_import=options.allow_import, in_children=options.in_children, cap=cap)
    print(f"recompyle: python -m recompyle live attach {os.getpid()}", file=sys.stderr, flush=True)
    with agent:
        return run_script(options.script, options.arguments, lambda code, namespace: code)
