"""``python -m recompyle live instrument``: count the calls of functions of a program."""

import argparse
import contextlib
import sys
from typing import TYPE_CHECKING, Any

from recompyle.cli.errors import CommandError
from recompyle.cli.live import common

if TYPE_CHECKING:
    from recompyle.live.client import Client

__all__ = ["add_to"]

ROUNDING = 0.5  # seconds more than the program takes, so that the last table is that of the end


def add_to(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "instrument",
        help="count the calls of functions of a program",
        description="Count the calls of functions of a program, and write them until Ctrl-C. The functions are "
        "restored at the end, even if this command is killed.",
    )
    common.add_target(parser, ", and the paths of functions, such as app.orders:Service.checkout", "PATH...")
    common.add_view(parser)
    parser.add_argument("--hook", action="store_true", help="have the program's own hook called")
    parser.add_argument("--created", action="store_true", help="of generators and coroutines count the objects made")
    parser.add_argument("--engine", choices=("code", "monitoring"), default="code", help="what counts (code)")
    parser.add_argument("--for", dest="seconds", type=common.seconds, metavar="TIME", help="end after 30s, 5m, 1h")
    parser.add_argument("--keep", action="store_true", help="leave it in place, and end at once")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Instrument, and write hits until the end."""
    from recompyle.errors import RecompyleError, Unreachable
    from recompyle.live import plain
    from recompyle.live.remote import watch
    from recompyle.live.session import did_you_mean

    pid, paths = common.split(options)
    if not paths:
        raise CommandError("expected at least one path, such as app.orders:Service.checkout")
    refused = 0
    with common.errors():
        client = common.client_of(options, pid)
        try:
            done: list[str] = []
            known: list[str] = []
            for path in paths:
                try:
                    row = client.instrument(
                        path,
                        "hook" if options.hook else "counter",
                        created=options.created,
                        engine=options.engine,
                        seconds=options.seconds,
                        keep=options.keep,
                    )
                except Unreachable:
                    raise
                except (RecompyleError, ValueError) as error:
                    refused += 1
                    slug, hint = getattr(error, "slug", "malformed"), ""
                    if slug in ("not_found", "malformed"):
                        known = known or _paths(client)
                        hint = did_you_mean(path, known)
                    print(common.printed(f"refused ({slug}) {path}: {error}{hint}"), file=sys.stderr)
                    continue
                done.append(row["path"])
                if row["state"] == "pending":
                    said = f"pending {row['path']}: its module is not imported yet"
                else:
                    frames = row["in_flight"] or 0
                    said = f"{row['state']} {row['path']} ({row['mode']}); {frames} frames still on old code"
                print(common.printed("\n  ".join([said, *row["notes"]])), file=sys.stderr, flush=True)
            if done and not options.keep:
                session = watch(client, paths=done, hz=options.hz)
                duration = None if options.seconds is None else options.seconds + ROUNDING
                plain.run(session, as_json=options.json, once=options.once, duration=duration)
                if session.gone is not None:
                    return common.NO_AGENT
        finally:
            client.close()
    return common.FAILED if refused else common.DONE


def _paths(client: "Client") -> list[str]:
    """All paths of the program that may have been meant; none where it does not tell."""
    from recompyle.errors import RecompyleError

    with contextlib.suppress(RecompyleError):
        return [path for row in client.list() if row["state"] != "refused" for path in (row["path"], *row["aliases"])]
    return []
