"""The demo's program alone, with the agent listening: ``python -m recompyle.live.demo SEED SLEEP ALLOW_IMPORT CAP``.

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
    seed, sleep, allow_import, cap = map(ast.literal_eval, sys.argv[1:])
    work = demo.program(demo.Options(seed=seed, sleep=sleep))
    print(live.listen(allow_import=allow_import, cap=cap).path, flush=True)
    threading.Thread(target=_end_with_input, daemon=True).start()
    while True:
        work(1.0)


if __name__ == "__main__":
    main()
