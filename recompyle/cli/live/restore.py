"""``python -m recompyle live restore``: give functions of a program their own code back."""

import argparse
import sys
from typing import Any

from recompyle.cli.errors import CommandError
from recompyle.cli.live import common

__all__ = ["add_to"]


def add_to(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "restore",
        help="give functions of a program their own code back",
        description="Restore functions of a program, unless another session holds them.",
    )
    common.add_target(parser, ", and the paths of functions", "[PATH...]")
    parser.add_argument("--all", action="store_true", help="all that are instrumented")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Restore them."""
    from recompyle.errors import RecompyleError, Unreachable

    pid, paths = common.split(options)
    if bool(paths) == options.all:
        raise CommandError("either paths or --all")
    failed = False
    with common.errors(), common.client_of(options, pid) as client:
        rows = client.restore_all() if options.all else []
        for path in paths:
            try:
                rows.append(client.restore(path))
            except Unreachable:
                raise
            except (RecompyleError, ValueError) as error:
                failed = True
                print(common.printed(f"{path}: {error}"), file=sys.stderr)
    for row in rows:
        if row["state"] in ("on", "pending"):
            failed = True
            print(common.printed(f"{row['path']}: another session holds it"), file=sys.stderr)
        else:
            print(common.printed(f"restored {row['path']}"))
    return common.FAILED if failed else common.DONE
