"""Profiles a running web service and shows what its slow requests waited for.

The service (service.py) stands on http.server, json and sqlite3 and knows nothing of profiling. Functions of
the standard library and of the service are profiled by their paths while clients load it, and a backup job
locks the database now and then. Shown: the log entry of each slow call as it happens, statistics, and what
profiling costs, measured by turning it off and on under the same load. Ends with 0 if the locked
line was found.
"""

from __future__ import annotations

import argparse
import gc
import inspect
import logging
import os
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

import service
from load import Clients, Locker

import recompyle
from recompyle import profile
from recompyle.profile.sinks import SlowCallFormatter

# What is profiled: paths of functions, and the limit from which on a run is slow.
TARGETS = {
    "service:*": "150ms",
    "http.server:BaseHTTPRequestHandler.handle_one_request": "150ms",
    "socketserver:ThreadingMixIn.process_request_thread": "150ms",
    "urllib.request:OpenerDirector.open": "150ms",
    "http.client:HTTPConnection.request": "50ms",
    "http.client:HTTPResponse.begin": "150ms",
    "json:dumps": "50ms",
    "json:loads": "50ms",
    "json.encoder:JSONEncoder.encode": "50ms",
    "json.decoder:JSONDecoder.decode": "50ms",
}
LOCKED = "connection.execute("  # the statement that waits for the lock, in service.Orders.place
HELD = 0.4  # seconds for which the backup holds the lock


class Turn(NamedTuple):
    """What a moment of load came to."""

    requests_per_s: float
    cpu_ms: float  # of the whole process, for each request


def main() -> int:
    """Runs the demo.

    Returns: the exit code.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20, help="how long in all; at least 6 (default: %(default)s)")
    parser.add_argument("--clients", type=int, default=4, help="client threads (default: %(default)s)")
    options = parser.parse_args()
    if options.seconds < 6 or options.clients < 1:
        parser.error("it takes at least 6 seconds and one client")
    colored = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    heading = (lambda text: print(f"\n\033[1m{text}\033[0m")) if colored else (lambda text: print(f"\n{text}"))
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(SlowCallFormatter("%(levelname)s %(name)s: %(message)s\n", color=colored))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="recompyle-demo-"))
        server = service.Service(Path(folder, "orders.db"))
        stack.callback(server.server_close)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stack.callback(server.shutdown)
        try:
            found, rows = watch(server, options.seconds * 0.5, options.clients, heading)
            show_statistics(rows, heading)
            show_cost(server, options.seconds * 0.5, options.clients, heading)
        except KeyboardInterrupt:
            print("\nstopped")
            return 130
    heading(f"{found} slow calls named the line that waited for the locked database" + ("" if found else ": FAILED"))
    return 0 if found else 1


@contextmanager
def profiled(limit: str | None = None) -> Iterator[list[recompyle.Patch]]:
    """Profiles all targets: the code of the functions is rewritten in place, and put back in the end.

    Args:
        limit: for all of them; None: each its own.
    """
    with ExitStack() as stack:
        yield [
            stack.enter_context(recompyle.apply(path, recompyle.ProfileCalls(limit or own, top=5)))
            for path, own in TARGETS.items()
        ]


def watch(server: service.Service, seconds: float, clients: int, heading) -> tuple[int, list]:
    """Serves under load with everything profiled while the database is locked again and again.

    Returns: how many slow calls named the locked line, and the statistics of the functions.
    """
    with profiled() as patches, profile.collect() as slow:
        count = sum(len(patch.functions) for patch in patches)
        clock = profile.clock_info()["source"]
        heading(f"{server.url}: {clients} clients, {count} functions profiled, clock: {clock}")
        heading(f"slow calls, each function's first in ten seconds; the lock is held for {HELD * 1000:.0f} ms")
        with Clients(server.url, clients) as load, Locker(server.orders.file, HELD, 1.6):
            time.sleep(seconds)
        rows = profile.stats("*")
    for error in load.failed:
        print("a request failed:", error)
    return sum(map(names_the_lock, slow)), rows


def names_the_lock(report: profile.SlowCall) -> bool:
    """Whether the slowest call in the report is the statement that needed the lock."""
    lines, first = inspect.getsourcelines(service.Orders.place)
    locked = {first + number for number, line in enumerate(lines) if LOCKED in line and "INSERT" in line}
    if report.function != "service:Orders.place" or not report.calls:
        return False
    return report.calls[0].line in locked and report.calls[0].total_ns > report.total_ns / 2


def show_statistics(rows: list, heading) -> None:
    """All runs of all functions, the slow ones and the others."""
    heading("statistics: all runs, in ms")
    print(f"  {'function':56} {'runs':>7} {'slow':>5} {'p50':>9} {'p99':>9} {'max':>9}")
    for row in sorted(rows, key=lambda row: -row.max_ns):
        if row.runs:
            times = "".join(f" {each / 1e6:9.3f}" for each in (row.p50_ns, row.p99_ns, row.max_ns))
            print(f"  {row.function:56} {row.runs:7} {row.slow_runs:5}{times}")


def show_cost(server: service.Service, seconds: float, clients: int, heading) -> None:
    """The same load without locks, profiling off, on, and off again to show what chance alone does."""
    rounds = max(3, round(seconds / 2))
    length = seconds / (3 * rounds + 1)
    heading(f"cost: the load without locks, {rounds} rounds of {length:.1f} s with profiling off, on, off again")
    take_turn(server, length, clients)  # warm up
    order = ["off", "on", "off again"]
    turns: dict[str, list[Turn]] = {each: [] for each in order}
    for _ in range(rounds):
        order.append(order.pop(0))  # a machine that grows slower favours none of them
        for each in order:
            with profiled("1min") if each == "on" else nullcontext():
                turns[each].append(take_turn(server, length, clients))
    print(f"  {'':20} {'off':>7} {'on':>7}   on / off: median, range     off again / off: median, range")
    for name, label in (("requests_per_s", "requests/s"), ("cpu_ms", "CPU ms a request")):
        off, on, again = ([getattr(turn, name) for turn in turns[each]] for each in ("off", "on", "off again"))
        line = f"  {label:20} {statistics.median(off):7.3g} {statistics.median(on):7.3g} "
        for some in on, again:
            ratios = [after / before for before, after in zip(off, some, strict=True)]
            line += f"  {statistics.median(ratios):6.3f}, {min(ratios):.3f} to {max(ratios):.3f}   "
        print(line.rstrip())


def take_turn(server: service.Service, seconds: float, clients: int) -> Turn:
    """Loads the service for a moment."""
    gc.collect()  # what rewriting has left behind is not the load's
    began, cpu = time.perf_counter(), time.process_time()
    with Clients(server.url, clients) as load:
        time.sleep(seconds)
    took = time.perf_counter() - began
    return Turn(load.answered / took, (time.process_time() - cpu) / max(1, load.answered) * 1000)


if __name__ == "__main__":
    sys.exit(main())
