"""The screen of a program with 500 functions that exists in name only: `shown.py HZ CHANGES`.

At each look it writes the time and the processor time that the process has used, both in seconds. CHANGES is
`changes` if all numbers are others each time, and `still` if none is.
"""

import os
import sys
import time
from concurrent.futures import Future
from typing import Any

FUNCTIONS = 500


def row_of(number: int) -> dict[str, Any]:
    """A row as of the format, of a function that is on."""
    module = f"shop.orders.part_{number % 20:02}"
    return {
        "path": f"{module}:Service.method_{number:03}", "aliases": [], "kind": "method", "flavor": "plain",
        "owner": f"{module}:Service", "file": f"/srv/shop/orders/part_{number % 20:02}.py", "line": number,
        "state": "on", "mode": "counter", "calls": number * 1_117, "hits": number * 113, "rate": None,
        "last_hit_ms": None, "in_flight": 0, "slot": number, "engine": "code", "notes": [], "error": None,
    }  # fmt: skip


class Shown:
    """A session's source that gives numbers only."""

    pid, python, started = 4711, "3.13.0", 1.0

    def __init__(self, changes: bool):
        self._rows = [row_of(number) for number in range(FUNCTIONS)]
        self._changes = changes

    def poll(self) -> list[dict[str, Any]]:
        os.write(1, f"{time.monotonic()} {time.process_time()}\n".encode())  # sys.stdout is the screen's now
        if self._changes:
            self._rows = [
                {**row, "calls": row["calls"] + 1 + number % 97, "hits": row["hits"] + 1 + number % 89}
                for number, row in enumerate(self._rows)
            ]
        return self._rows

    def ns_per_hit(self, mode: str) -> float:
        return 8.0

    def restore_all(self) -> "Future[list[Any]]":
        raise NotImplementedError

    def close(self, keep: bool = False) -> None:
        pass


def main() -> None:
    from recompyle.live import tui
    from recompyle.live.session import Session

    hz, changes = sys.argv[1:]
    tui.run(Session(Shown(changes == "changes"), hz=int(hz)))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
