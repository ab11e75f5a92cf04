"""The demo's program alone, with the agent listening: ``python -m recompyle.live.demo SLEEP SEED``.

It says where it listens, and ends with its standard input, that is with whoever started it.
"""

import ast
import os
import sys
import threading

from recompyle import live
from recompyle.live import demo


def _end_with_input() -> None:
    sys.stdin.read()
    os._exit(0)


def main() -> None:
    """Run until the end of the input."""
    sleep, seed = map(ast.literal_eval, sys.argv[1:])
    work = demo.program(demo.Options(seed, sleep))
    print(live.listen().path, flush=True)
    threading.Thread(target=_end_with_input, daemon=True).start()
    while True:
        work(1.0)


if __name__ == "__main__":
    main()
