"""How a slow call is shown: the exact text, sums that add up, and awkward sources."""

from __future__ import annotations

import dataclasses
import re
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recompyle.profile.limits import Options
from recompyle.profile.model import Clock, SlowCall, Suppressed
from recompyle.profile.report import Scale, arrange, callee, duration, plain, spread

ENTRY = """\
slow call: OrderService.checkout took 812.4 ms (limit 300 ms, x2.7)
  File "app/orders.py", line 118, in OrderService.checkout
  2026-11-20T10:31:07.412Z  pid 4121  thread MainThread  task checkout-7f3  id 17
  812.4 ms = calls 804.0 (99.0%) + own code 8.4 (1.0%);  awaiting 640.2 ms
      total      %  count       max  line  source
   640.2 ms  78.8%      1  640.2 ms   131  await self.bank.charge(card, total)  ! TimeoutError
   139.4 ms  17.2%    212   88.7 ms   124  self.repo.load(item.id)              max at #97
    12.1 ms   1.5%    212    0.2 ms   125  price(item, at=now)
    11.0 ms   1.3%      1   11.0 ms   127  sorted(items, key=lambda i: rank(i))
    10.6 ms   1.3%    212    0.1 ms   127    rank(i)                            inside the row above
     0.6 ms   0.1%      3    0.4 ms   121  logger.info('checkout %s', order.id)
     0.7 ms   0.1%                         ... 6 more call sites
     8.4 ms   1.0%                         own code (not in any call)
  raised TimeoutError('bank') at line 131, propagated to the caller
  3 slow calls were not logged in the last 10.0 s (rate limit 1/10s); worst 901.0 ms"""

LINE = (
    "slow OrderService.checkout 812.4ms>=300ms: L131 await self.bank.charge 640.2ms !TimeoutError; "
    "L124 self.repo.load 212x 139.4ms max 88.7ms; own 8.4ms"
)


def test_drawn_entry(checkout: SlowCall) -> None:
    suppressed = Suppressed(3, 901_000_000, 10_000_000_000, "1/10s")
    assert dataclasses.replace(checkout, suppressed=suppressed).text() == ENTRY
    assert str(checkout) == ENTRY.rpartition("\n")[0]


def test_one_line(checkout: SlowCall) -> None:
    assert checkout.line() == LINE


def test_fewer_rows_add_the_others_to_the_remainder(checkout: SlowCall) -> None:
    drawn = checkout.text(top=2)
    assert drawn.count("%  ") == 1 + 2 + 2
    assert "    24.4 ms   3.0%                         ... 9 more call sites\n" in drawn
    assert checkout.text(top=0) == checkout.text()


def test_source_gives_way_to_the_width(checkout: SlowCall) -> None:
    for width in (80, 95, 120):
        table = [words for words in checkout.text(width=width).splitlines() if "%" in words]
        assert max(map(len, table)) <= max(width, 43 + 24 + 22)
    assert "await self.bank.charge(card, total)" in checkout.text(width=None)
    assert "  await self.bank.charg...  ! TimeoutError" in checkout.text(width=80)


def test_colors_only_when_asked(checkout: SlowCall) -> None:
    drawn = checkout.text(color=True)
    assert "\x1b[1;31mslow call" in drawn
    assert re.sub(r"\x1b\[[0-9;]*m", "", drawn) == checkout.text()
    assert "\x1b" not in checkout.text()


def test_entry_is_ascii(checkout: SlowCall) -> None:
    failure = dataclasses.replace(checkout.exception, text="Überweisung\n\x1b[2J")
    drawn = dataclasses.replace(checkout, exception=failure).text()
    assert drawn.isascii()
    assert r"raised TimeoutError('\xdcberweisung\n\x1b[2J') at line 131" in drawn


def test_nothing_in_a_report_breaks_the_line(make: SimpleNamespace) -> None:
    site = make.site(0, "call", "f('\x1b[2J',\n   'größe\u2028')")
    info = make.info([site], name="m:f\nfake", options=Options.of(time_limit=0))
    report = SlowCall.build(
        info, make.run(10, [make.row(0, 5)], limit_ns=0), id=1, pid=1, thread="a\nb", task="\x1b]0;x\x07"
    )
    assert len(report.text().splitlines()) == 7
    assert "\x1b" not in report.text()
    assert len(report.line().splitlines()) == 1
    assert r"f('\x1b[2J', 'größe '" in report.text()


def test_not_slow(make: SimpleNamespace) -> None:
    report = make.report(make.info(), make.run(12_340_000))
    assert str(report).startswith("call: OrderService.checkout took 12.34 ms (limit 300 ms, x0.0)\n")
    assert report.line() == "call OrderService.checkout 12.34ms<300ms: own 12.34ms"
    endless = make.report(make.info(), make.run(12_340_000, limit_ns=-1))
    assert str(endless).startswith("call: OrderService.checkout took 12.34 ms (no limit)\n")
    assert endless.line() == "call OrderService.checkout 12.34ms: own 12.34ms"


def test_limits_in_the_title(make: SimpleNamespace) -> None:
    def title(total_ns: int, limit_ns: int) -> str:
        run = make.run(total_ns, limit_ns=limit_ns, slow=True)
        return str(make.report(make.info(), run)).partition("\n")[0]

    assert title(7, 0) == "slow call: OrderService.checkout took 7 ns (limit 0)"
    assert (
        title(10**15, 1)
        == "slow call: OrderService.checkout took 1000000.0 s (limit 1 ns, x1000000000000000)"
    )
    assert title(1_500_000_000, 1_500_000_000).endswith("took 1.500 s (limit 1.5 s, x1.0)")


def test_run_without_time(make: SimpleNamespace) -> None:
    info = make.info([make.site(0, "call", "f()")])
    report = make.report(info, make.run(0, [make.row(0, 0)], limit_ns=0, slow=True))
    assert "0 ns = calls 0 (0.0%) + own code 0 (0.0%)" in str(report)
    assert report.line() == "slow OrderService.checkout 0ns>=0: own 0ns"


def test_remarks(make: SimpleNamespace) -> None:
    sites = [make.site(0, "call", "g(x)", 3, 3), make.site(1, "yield", "yield from h()", 4, 4)]
    rows = [
        make.row(0, 9_000_000, count=5, errors=2, last_error="KeyError"),
        make.row(1, 4_000_000, unfinished=True),
    ]
    run = make.run(
        20_000_000,
        rows,
        suspended_ns=1_000_000_000,
        finished="close",
        clamped=1,
        suspect=True,
        limit_ns=0,
        slow=True,
    )
    drawn = str(make.report(make.info(sites, kind="generator"), run))
    assert "own code 7.00 (35.0%);  suspended 1000.00 ms (not counted)\n" in drawn
    assert "g(x)            ! 2 errors, last KeyError\n" in drawn
    assert "yield from h()  not finished\n" in drawn
    assert "\n  closed before its end\n" in drawn
    assert "\n  clock tsc: 1 time corrected\n" in drawn
    assert drawn.endswith("\n  clock tsc: disagrees with the system clock, do not trust these times")


def test_whole_run_only(make: SimpleNamespace) -> None:
    drawn = str(make.report(make.info(writer="none"), make.run(400_000_000)))
    assert drawn.endswith("+ own code 400.0 (100.0%)\n  only the whole run was timed")


def test_siblings_inside_one_row(make: SimpleNamespace) -> None:
    sites = [
        make.site(n, "call", source)
        for n, source in enumerate(["sum(a(i) + b(i) for i in x)", "a(i)", "b(i)"])
    ]
    sites.append(make.site(3, "call", None))
    rows = [make.row(0, 900), make.row(1, 300, inside=0), make.row(2, 400, inside=0), make.row(3, 30)]
    drawn = str(make.report(make.info(sites), make.run(1000, rows))).splitlines()
    assert [words[43:] for words in drawn[5:-1]] == [
        "sum(a(i) + b(i) for i in x)",
        "  b(i)  inside the row above",
        "  a(i)  inside as well",
        "(call, source not available)",
    ]


def test_html_is_escaped(make: SimpleNamespace) -> None:
    info = make.info([make.site(0, "call", "f('<script>&')")])
    page = make.report(info, make.run(1000, [make.row(0, 900)]))._repr_html_()
    assert "f(&#x27;&lt;script&gt;&amp;&#x27;)" in page
    assert "<script" not in page
    assert page.count("<tr>") == 3


def test_rich(checkout: SlowCall) -> None:
    console = pytest.importorskip("rich.console", reason="rich is not installed")
    for width in (60, 120):
        with (screen := console.Console(width=width, color_system=None)).capture() as captured:
            screen.print(checkout)
        assert "139.4 ms  17.2%    212   88.7 ms   124  self.repo" in captured.get()
        assert "\nraised TimeoutError('bank') at line 131" in captured.get()


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("f(x)", "f"),
        ("self.repo.load(item.id)", "self.repo.load"),
        ("await self.get(key)(1)", "await self.get(key)"),
        ("session.query(User).filter(a, b[1])", "session.query(User).filter"),
        ("f('(', \")\", x)", "f"),
        ("d['(']()", "d['(']"),
        ("(a or b)()", "(a or b)"),
        ("(yield)", "(yield)"),
        ("await future", "await future"),
        ("f(", "f("),
        ("f)", "f)"),
        ("", ""),
    ],
)
def test_callee(source: str, name: str) -> None:
    assert callee(source) == name


@pytest.mark.parametrize(
    ("ns", "words"),
    [
        (0, "0"),
        (1, "1 ns"),
        (999, "999 ns"),
        (1_500, "1.5 us"),
        (300_000_000, "300 ms"),
        (120_000_000_000, "120 s"),
    ],
)
def test_duration(ns: int, words: str) -> None:
    assert duration(ns) == words


@given(st.integers(0, 10**18))
def test_durations_are_plain_decimals(ns: int) -> None:
    scale = Scale.of(ns)
    number = scale.number(scale.units(ns))
    assert re.fullmatch(r"[0-9]+(\.[0-9]+)?", number)
    assert ns < 1000 or len(number.replace(".", "")) >= 4
    shown_ns = scale.units(ns) * scale.step
    assert abs(shown_ns - ns) * 2 <= scale.step


@given(st.lists(st.integers(0, 10**15), max_size=40), st.integers(1, 1000), st.integers(1, 10**9))
def test_spread_adds_up(parts: list[int], numerator: int, denominator: int) -> None:
    units = spread(parts, numerator, denominator)
    exact = sum(parts) * numerator
    assert abs(sum(units) * denominator - exact) * 2 <= denominator
    for part, unit in zip(parts, units, strict=True):
        assert abs(unit * denominator - part * numerator) < denominator


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=60).filter(any))
def test_percents_add_up_to_a_hundred(parts: list[int]) -> None:
    assert sum(spread(parts, 1000, sum(parts))) == 1000


ROWS = st.lists(
    st.tuples(st.integers(0, 8), st.none() | st.integers(0, 8), st.integers(0, 10**10)),
    max_size=30,
    unique_by=lambda row: row[:2],
)


@given(ROWS)
def test_every_row_has_one_place(rows: list[tuple[int, int | None, int]]) -> None:
    assert sorted(place.at for place in arrange(rows, 0)) == list(range(len(rows)))


@given(ROWS, st.integers(1, 30))
def test_the_rows_chosen(rows: list[tuple[int, int | None, int]], top: int) -> None:
    everything = arrange(rows, 0)
    chosen = arrange(rows, top)
    assert len(chosen) == min(top, len(rows))
    assert [place for place in everything if place in chosen] == chosen, "the order is that of the full list"
    # A row follows one it is inside of, with only its siblings and what is inside those between.
    for at, place in enumerate(chosen):
        if place.depth:
            owner = next(before for before in reversed(chosen[:at]) if before.depth < place.depth)
            assert owner.depth == place.depth - 1
            assert rows[owner.at][0] == rows[place.at][1]
    # Of the top-level rows none that is left out is greater than one that is shown.
    outer = [rows[place.at][2] for place in chosen if rows[place.at][1] is None]
    left_out = [row[2] for at, row in enumerate(rows) if row[1] is None and at not in {p.at for p in chosen}]
    assert outer == sorted(outer, reverse=True)
    assert not left_out or not outer or max(left_out) <= min(outer)


@given(st.lists(st.integers(0, 10**11), min_size=1, max_size=30), st.integers(0, 10**11), st.integers(0, 12))
def test_the_text_adds_up(make: SimpleNamespace, totals: list[int], own_ns: int, top: int) -> None:
    info = make.info(
        [make.site(n, "call", f"f{n}()") for n in range(len(totals))], options=Options.of(top=top)
    )
    rows = [make.row(n, total) for n, total in enumerate(totals)]
    report = make.report(info, make.run(sum(totals) + own_ns, rows))
    lines = report.text().splitlines()
    number = r"([0-9.]+)"
    total, calls, calls_percent, own, own_percent = map(
        exact,
        re.fullmatch(
            rf"  {number} \w+ = calls {number} \({number}%\) \+ own code {number} \({number}%\)", lines[3]
        ).groups(),
    )
    table = [re.match(rf" +{number} (?:ns|us|ms|s) +{number}%", words).groups() for words in lines[5:]]
    assert sum(exact(row[0]) for row in table) == total == calls + own
    assert (
        sum(exact(row[1]) for row in table) == calls_percent + own_percent == (1000 if report.total_ns else 0)
    )


def exact(number: str) -> int:
    """A decimal number as a whole number of its last digit."""
    return int(number.replace(".", ""))


def test_words_made_plain() -> None:
    assert plain("größe") == "größe"
    assert plain("a\x1b\u2028\ud800b") == r"a\x1b\u2028\ud800b"


def test_clock_in_the_report(checkout: SlowCall) -> None:
    assert checkout.clock == Clock("tsc", 0, False)
    assert "clock" not in str(checkout)
