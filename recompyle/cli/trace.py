"""``python -m recompyle trace``: the annotated source of one function of a script."""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from types import CellType, CodeType, FunctionType
from typing import Any

from recompyle.cli.errors import CommandError
from recompyle.cli.target import run_script
from recompyle.errors import RecompyleError
from recompyle.patch import inner
from recompyle.patch.resolve import resolve
from recompyle.rewrite import engine
from recompyle.trace.passes import TraceStatements
from recompyle.trace.run import Tracing

__all__ = ["add_to"]

EXAMPLES = """\
examples:
  python -m recompyle trace script.py --func total
  python -m recompyle trace script.py input.csv --func Order.total --max-calls 3
  python -m recompyle trace script.py --func json.decoder:JSONDecoder.raw_decode
  python -m recompyle trace --func total --json --output trace.json script.py -- --json-of-the-script

The script runs as ever. When it has ended, or Ctrl-C has ended it, the trace is printed. The exit code is the script's;
2 for a mistake in the command line.
"""


def add_to(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "trace",
        help="run a script and show what each statement of a function did",
        description="Run a script and show how often each statement of a function ran, and with which values.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("script", help="the script; options that are not known here, and all behind --, are its own")
    parser.add_argument(
        "--func", required=True, metavar="NAME",
        help="a function of the script, as Class.method or function.<locals>.inner; or of a module, as module:name",
    )
    parser.add_argument("--json", action="store_true", help="write JSON for other programs")
    parser.add_argument("--output", metavar="FILE", help="write there, not to the standard output")
    parser.add_argument("--max-calls", type=_count, default=10, metavar="N", help="record so many calls (10)")
    parser.add_argument("--max-samples", type=_count, default=10, metavar="N", help="read variables so often (10)")
    parser.add_argument("--max-repr", type=_count, default=50, metavar="N", help="longest text of a value (50)")
    parser.set_defaults(run=run)


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return number


def run(options: argparse.Namespace) -> int:
    """Run the script and write the trace, however the script ends."""
    tracing = Tracing(
        stacks=True, max_calls=options.max_calls, max_samples=options.max_samples,
        max_repr=options.max_repr,
    )
    tracing.folder = os.path.dirname(os.path.abspath(options.script))
    is_path = ":" in options.func

    def prepare(code: CodeType, namespace: dict[str, Any]) -> CodeType:
        tracing.bottom = sys._getframe(1)  # stacks begin with the script
        return code if is_path else _with_probes(code, options.func, namespace, tracing)

    sys.path.insert(0, tracing.folder)
    try:
        targets = tracing.of(resolve(options.func)[0]) if is_path else nullcontext()
    except (RecompyleError, ValueError) as error:
        raise CommandError(str(error)) from None
    finally:
        sys.path.remove(tracing.folder)
    with tracing, targets:
        code = run_script(options.script, options.arguments, prepare)
    _write(tracing, options)
    return code


def _with_probes(code: CodeType, name: str, namespace: dict[str, Any], tracing: Tracing) -> CodeType:
    """The script's code, its functions of a name rewritten."""
    found = [each for each in _inside(code) if each.co_qualname == name]
    if not found:
        names = sorted(each.co_qualname for each in _inside(code) if not each.co_name.startswith("<"))
        known = f"; it has {', '.join(names)}" if names else ""
        raise CommandError(f"the script defines no function {name!r}{known}")
    replacing = {}
    for each in found:
        stand_in = FunctionType(each, namespace, closure=tuple(CellType() for _ in each.co_freevars))
        try:
            replacing[id(each)] = engine.build(stand_in, each, (TraceStatements(tracing.tracer),)).code
        except RecompyleError as error:
            raise CommandError(str(error), 1) from None
    return inner.exchange(code, code, replacing)


def _inside(code: CodeType) -> Iterator[CodeType]:
    """The code objects of functions in a code object, at any depth."""
    for const in code.co_consts:
        if isinstance(const, CodeType):
            if const.co_flags & 0x1:  # CO_OPTIMIZED: not the body of a class
                yield const
            yield from _inside(const)


def _write(tracing: Tracing, options: argparse.Namespace) -> None:
    results = tracing.results
    try:
        with open(options.output, "w", encoding="utf-8") if options.output else nullcontext(sys.stdout) as out:
            color = not options.output and out.isatty() and "NO_COLOR" not in os.environ
            print(results.json(indent=2) if options.json else results.text(color=color), file=out)
    except BrokenPipeError:  # `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        raise CommandError(f"{options.output}: {error.strerror}") from None
