"""``python -m recompyle live demo``: a program to try live instrumentation on."""

import argparse
import math
from types import ModuleType
from typing import TYPE_CHECKING, Any

from recompyle.cli.live import common

if TYPE_CHECKING:
    from recompyle.live.demo import Options

__all__ = ["add_to"]

EXAMPLES = """\
type a path to instrument a function, such as
  instrumenting_app.dummy_modules.mod_a:func_7
  hook instrumenting_app.dummy_modules.mod_c:Cart.add
  restore instrumenting_app.dummy_modules.mod_a:func_7
or: list [PATTERN], restore all, quit. The end of the input does not end the program.
"""


def add_to(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "demo",
        help="a program that calls its functions at random, and the table of them",
        description="Run a program that calls its functions at random, and watch it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, metavar="N", help="of the random choices, to have them again")
    parser.add_argument("--sleep", type=_seconds, default=0.001, metavar="S", help="sleep after each call (0.001)")
    parser.add_argument("--duration", type=_seconds, metavar="S", help="end after so many seconds")
    parser.add_argument("--split", action="store_true", help="program and table in two processes")
    common.add_view(parser)
    parser.add_argument("--allow-import", action="store_true", help="modules of paths may be imported")
    parser.add_argument("--no-cap", action="store_true", help="with --split: probes may cost any part of the time")
    parser.set_defaults(run=run)


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError("seconds, not negative")
    return number


def run(options: argparse.Namespace) -> int:
    """Run the demo, on a screen if there is one."""
    common.refuse_unknown(options)
    from recompyle.live import demo

    chosen = demo.Options(
        seed=options.seed,
        sleep=options.sleep,
        duration=options.duration,
        hz=options.hz,
        once=options.once,
        as_json=options.json,
        everything=options.all_modules,
        allow_import=options.allow_import,
        cap=common.cap_of(options),
    )
    screen = common.screen(options)
    if options.split:
        with common.errors():
            return _run_split(chosen, screen)
    if screen is None:
        return demo.run(chosen)
    session, work = demo.load(chosen)
    return int(screen.run(session, work=work, duration=options.duration))


def _run_split(chosen: "Options", screen: ModuleType | None) -> int:
    """The program in one process, what shows it in this one."""
    from recompyle.live import demo

    session, end = demo.split(chosen)
    try:
        if screen is None:
            return demo.show(session, chosen)
        return int(screen.run(session, duration=chosen.duration))
    finally:
        end()
