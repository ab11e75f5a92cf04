"""``python -m recompyle live ps``: the processes that can be controlled."""

import argparse
import json
from typing import Any

from recompyle.cli.live import common

__all__ = ["add_to"]

WAIT = 1.0  # seconds for each


def add_to(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "ps",
        help="the processes that can be watched and instrumented",
        description="Show the processes of this user that listen.",
    )
    parser.add_argument("--json", action="store_true", help="objects of JSON, one a line")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Ask each socket that there is who it is."""
    from recompyle.errors import Unreachable
    from recompyle.live.client import greeting
    from recompyle.live.place import found

    common.refuse_unknown(options)
    if not options.json:
        print(f"{'PID':>8}  {'Python':8}  Command")
    for place in sorted(found(), key=lambda each: each.pid):
        try:
            sock, hello = greeting(place, WAIT)
        except Unreachable:  # another user's, or gone
            continue
        sock.close()
        command = _command(place.pid)
        if options.json:
            shown = {"pid": place.pid, "python": hello["python"], "command": command, "socket": place.socket}
            print(json.dumps(shown), flush=True)
        else:
            print(common.printed(f"{place.pid:8}  {hello['python'][:8]:8}  {command}"), flush=True)
    return common.DONE


def _command(pid: int) -> str:
    """What a process was started with; empty where the system does not tell."""
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="surrogateescape") as file:
            return file.read().replace("\0", " ").strip()
    except OSError:
        return ""
