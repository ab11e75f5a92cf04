"""Builders of runs and reports, without any function being profiled."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from recompyle.profile.limits import Options
from recompyle.profile.model import FunctionInfo, RawRun, SlowCall


@dataclasses.dataclass(frozen=True)
class PlainSite:
    """The attributes of a rewritten call site."""

    id: int
    kind: str
    source: str | None
    line: int | None = 1
    end_line: int | None = 1
    column: int | None = 4
    end_column: int | None = 40
    name: str | None = None
    function: str = "app.orders:OrderService.checkout"
    file: str = "app/orders.py"


def make_info(sites: Sequence[PlainSite] = (), **changes: Any) -> FunctionInfo:
    values: dict[str, Any] = {
        "name": "app.orders:OrderService.checkout",
        "module": "app.orders",
        "qualname": "OrderService.checkout",
        "kind": "function",
        "file": "app/orders.py",
        "line": 118,
        "globals": {"__builtins__": __builtins__},
        "sites": tuple(sites),
        "writer": "ast",
        "options": Options.of(time_limit="300ms"),
    }
    return FunctionInfo(**(values | changes))


def make_row(site: int, total_ns: int, **changes: Any) -> tuple[Any, ...]:
    """One row of a run; without changes a single call that took all of `total_ns`."""
    values = {
        "site": site,
        "inside": -1,
        "count": 1,
        "total_ns": total_ns,
        "max_ns": total_ns,
        "max_index": 0,
        "max_start_ns": 0,
        "errors": 0,
        "last_error": None,
        "unfinished": False,
    }
    assert not changes.keys() - values.keys()
    return tuple((values | changes).values())


def make_run(total_ns: int, rows: Sequence[tuple[Any, ...]] = (), **changes: Any) -> RawRun:
    values: dict[str, Any] = {
        "started_unix_ns": 1_795_170_667_412_000_000,
        "total_ns": total_ns,
        "suspended_ns": 0,
        "rows": list(rows),
        "finished": "return",
        "exception": None,
        "limit_ns": 300_000_000,
        "slow": total_ns >= 300_000_000,
        "probes_ns": 38_000,
        "clamped": 0,
        "suspect": False,
        "clock": "tsc",
    }
    return RawRun(**(values | changes))


def make_report(info: FunctionInfo, run: RawRun) -> SlowCall:
    return SlowCall.build(info, run, id=17, pid=4121, thread="MainThread", task="checkout-7f3")


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """The builders: `make.site`, `make.info`, `make.row`, `make.run`, `make.report`."""
    return SimpleNamespace(site=PlainSite, info=make_info, row=make_row, run=make_run, report=make_report)


@pytest.fixture(scope="session")
def checkout(make: SimpleNamespace) -> SlowCall:
    """A slow run of a coroutine with awaits, repeated calls, a row inside another one, and an exception."""
    sources = [
        ("call", 121, "logger.info('checkout %s', order.id)"),
        ("call", 124, "self.repo.load(item.id)"),
        ("call", 125, "price(item, at=now)"),
        ("call", 127, "sorted(items, key=lambda i: rank(i))"),
        ("call", 127, "rank(i)"),
        *[("call", 128, f"step{n}()") for n in range(4)],
        ("await", 131, "await self.bank.charge(card, total)"),
        *[("call", 129, f"step{n}()") for n in range(4, 6)],
    ]
    sites = [
        make.site(number, kind, source, line, line) for number, (kind, line, source) in enumerate(sources)
    ]
    rows = [
        make.row(0, 600_000, count=3, max_ns=400_000),
        make.row(1, 139_400_000, count=212, max_ns=88_700_000, max_index=96, max_start_ns=21_000_000),
        make.row(2, 12_100_000, count=212, max_ns=200_000),
        make.row(3, 11_000_000),
        make.row(4, 10_600_000, inside=3, count=212, max_ns=100_000),
        *[make.row(site, 117_000) for site in (5, 6, 7, 8, 10)],
        make.row(11, 115_000),
        make.row(9, 640_200_000, max_start_ns=171_900_000, errors=1, last_error="TimeoutError"),
    ]
    info = make.info(sites, kind="coroutine", options=Options.of(time_limit="300ms", top=6))
    run = make.run(812_400_000, rows, finished="raise", exception=("TimeoutError", "bank", 131, 9))
    return make_report(info, run)


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Ctrl-C works in the tests: a shell starts what it runs in the background with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
