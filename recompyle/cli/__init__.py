"""``python -m recompyle COMMAND``: the commands, each in a file of its own.

A command adds its options to a parser and runs with what they parsed to; it returns the exit code. A `CommandError` is
shown in one line.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from recompyle._version import __version__
from recompyle.cli import live, trace
from recompyle.cli.errors import INTERRUPTED, CommandError

__all__ = ["main"]

COMMANDS = (live, trace)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters:
        arguments: those behind ``recompyle``; None: of the process.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser("python -m recompyle", description="See inside running Python code.")
    parser.add_argument("--version", action="version", version=f"recompyle {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for each in COMMANDS:
        each.add_to(commands)
    given = list(sys.argv[1:] if arguments is None else arguments)
    end = given.index("--") if "--" in given else len(given)  # what is behind it is the script's own
    options, unknown = parser.parse_known_args(given[:end])
    options.arguments = [*unknown, *given[end + 1 :]]
    try:
        return int(options.run(options))
    except KeyboardInterrupt:  # it may come before a command has begun to wait for it
        return INTERRUPTED
    except CommandError as error:
        print(f"recompyle: {error}", file=sys.stderr)
        return error.code
    except BrokenPipeError:
        # Whoever read the output has had enough, as of `| head`. What is still held would fail once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
