"""How a slow call is shown: the drawn entry, the one line, a table for rich, a table for notebooks.

Everything is computed from the report's integers. Rounded figures still add up: the rows, what was left out
and the own code sum to the total as printed, in time and in percent.
"""

from __future__ import annotations

import html as _html
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from recompyle.profile.model import CallSite, SlowCall

__all__ = ["arrange", "html", "line", "rich_table", "spread", "text"]

OWN_CODE = "own code (not in any call)"

AWAITING = frozenset({"await", "iterate", "with"})
"""Kinds of row in which a coroutine waits."""


# Which rows are shown, and in which order


class Place(NamedTuple):
    """Where a row stands: at which index in the sequence given, and inside how many other rows."""

    at: int
    depth: int


def arrange(rows: Sequence[tuple[int, int | None, int]], top: int) -> list[Place]:
    """Put the rows of a run in the order they are shown in.

    Parameters:
        rows: of each row the site, the site it is inside of or None, and its total.
        top: how many rows at most, the greatest; 0 for all. A row is never shown without the one it is inside
            of.

    Returns:
        The rows chosen: by total, greatest first, a row that is inside another one after that one.
    """
    # Of several rows of one site the top-level one, else the greatest, is what others are inside of.
    parents: dict[int, int] = {}
    for index, (site, inside, total) in enumerate(rows):
        held = parents.get(site)
        if held is None or (inside is None, total) > (rows[held][1] is None, rows[held][2]):
            parents[site] = index

    children: dict[int | None, list[int]] = {}
    for index in sorted(range(len(rows)), key=lambda at: -rows[at][2]):
        inside = rows[index][1]
        children.setdefault(None if inside is None else parents.get(inside), []).append(index)

    order: list[Place] = []
    weights: list[int] = []
    placed: set[int] = set()

    def place(start: int) -> None:
        waiting = [(start, 0, rows[start][2])]
        while waiting:
            index, depth, most = waiting.pop()
            if index in placed:
                continue
            placed.add(index)
            order.append(Place(index, depth))
            # No heavier than the row it is inside of, so that the cut below never parts the two.
            weights.append(min(rows[index][2], most))
            waiting += [(child, depth + 1, weights[-1]) for child in reversed(children.get(index, ()))]

    for index in children.get(None, ()):
        place(index)
    for index in range(len(rows)):  # rows that are inside each other hang on no top-level row
        place(index)

    if 0 < top < len(order):
        chosen = sorted(range(len(order)), key=lambda at: -weights[at])[:top]
        order = [order[at] for at in sorted(chosen)]
    return order


# Numbers


def spread(parts: Sequence[int], numerator: int, denominator: int) -> list[int]:
    """Round every `part * numerator / denominator` so that the results sum to the rounded exact sum.

    Each part is rounded down, and what is then missing goes to those with the largest remainders.
    """
    whole = _rounded(sum(parts) * numerator, denominator)
    cells = [divmod(part * numerator, denominator) for part in parts]
    units = [quotient for quotient, _ in cells]
    by_remainder = sorted(range(len(parts)), key=lambda at: -cells[at][1])
    for at in by_remainder[: whole - sum(units)]:
        units[at] += 1
    return units


def _rounded(value: int, step: int) -> int:
    return (2 * value + step) // (2 * step)


class Scale(NamedTuple):
    """A unit and a number of decimals: `step` ns is one unit of the last digit shown."""

    unit: str
    decimals: int
    step: int

    @classmethod
    def of(cls, ns: int) -> Scale:
        """The scale that shows `ns` with at least four digits; every figure of one entry uses the same."""
        for unit, size in (("s", 10**9), ("ms", 10**6), ("us", 10**3)):
            if ns >= size:
                decimals = 1 if ns >= 100 * size else 2 if ns >= 10 * size else 3
                return cls(unit, decimals, size // 10**decimals)
        return cls("ns", 0, 1)

    def units(self, ns: int) -> int:
        """`ns` in units of the last digit shown."""
        return _rounded(ns, self.step)

    def number(self, units: int) -> str:
        """`units` of the last digit as a plain decimal number."""
        return _decimal(units, self.decimals)

    def text(self, units: int) -> str:
        """`units` of the last digit with the unit behind."""
        return f"{self.number(units)} {self.unit}"


def _decimal(units: int, decimals: int) -> str:
    if not decimals:
        return str(units)
    whole, fraction = divmod(units, 10**decimals)
    return f"{whole}.{fraction:0{decimals}d}"


def duration(ns: int) -> str:
    """`ns` exactly, in the greatest unit it fills: `300 ms`, `1.5 s`."""
    for unit, decimals in (("s", 9), ("ms", 6), ("us", 3)):
        if ns >= 10**decimals:
            return f"{_decimal(ns, decimals).rstrip('0').rstrip('.')} {unit}"
    return f"{ns} ns" if ns else "0"


def _percent(tenths: int) -> str:
    return f"{_decimal(tenths, 1)}%"


def _times(ns: int, limit_ns: int) -> str:
    tenths = _rounded(10 * ns, limit_ns)
    return f"x{_decimal(tenths, 1) if tenths < 1000 else _rounded(ns, limit_ns)}"


# Words


def plain(words: str) -> str:
    """`words` with everything that could move a terminal's cursor or break a log line made visible."""
    if words.isprintable():
        return words
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in words
    )


def _cut(words: str, width: int) -> str:
    return words if len(words) <= width else words[: max(width - 3, 0)] + "..."


_STRING = re.compile(r"'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"")


def callee(source: str) -> str:
    """The part of a call's source before its arguments; the source itself where there are none."""
    blank = _STRING.sub(lambda found: "_" * len(found[0]), source)
    depth = 0
    for at in range(len(blank) - 1, -1, -1) if blank.endswith(")") else ():
        if blank[at] in ")]}":
            depth += 1
        elif blank[at] in "([{":
            depth -= 1
            if not depth:
                return source[:at] or source
    return source


def _source(site: CallSite) -> str:
    return plain(site.source) if site.source is not None else f"({site.kind}, source not available)"


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


# The entry: title, remarks, table, remarks


class Row(NamedTuple):
    """One line of the table; `style` is "call", "error", "more" or "own", and only calls have a `site`."""

    total: str
    percent: str
    calls: str
    most: str
    line: str
    source: str
    note: str
    style: str
    site: CallSite | None = None

    @property
    def cells(self) -> tuple[str, ...]:
        """The figures, which stand right-aligned before the source."""
        return self.total, self.percent, self.calls, self.most, self.line


class Entry(NamedTuple):
    """A report as text, before it is drawn."""

    title: str
    head: list[str]
    rows: list[Row]
    tail: list[str]


_HEADINGS = ("total", "%", "count", "max", "line", "source")


def entry(report: SlowCall, top: int | None = None) -> Entry:
    """Put a report into words and rounded figures.

    Parameters:
        report: a slow call.
        top: rows at most; None for all that the report holds, 0 the same.
    """
    scale = Scale.of(report.total_ns)
    places = arrange([(site.id, site.inside, site.total_ns) for site in report.calls], top or 0)
    shown = [report.calls[place.at] for place in places]
    outer = [at for at, site in enumerate(shown) if site.inside is None]

    left_out_ns = report.calls_ns - sum(shown[at].total_ns for at in outer)
    left_out = report.more.sites + sum(site.inside is None for site in report.calls) - len(outer)
    parts = [*(shown[at].total_ns for at in outer), left_out_ns, report.own_ns]
    units = spread(parts, 1, scale.step)
    tenths = spread(parts, 1000, report.total_ns) if report.total_ns else [0] * len(parts)
    times = dict(zip(outer, zip(units, tenths, strict=False), strict=False))

    rows = []
    for at, (site, place) in enumerate(zip(shown, places, strict=True)):
        row_units, row_tenths = times.get(at) or (
            scale.units(site.total_ns),
            _rounded(1000 * site.total_ns, report.total_ns) if report.total_ns else 0,
        )
        rows.append(
            Row(
                total=scale.text(row_units),
                percent=_percent(row_tenths),
                calls=str(site.count),
                most=scale.text(min(scale.units(site.max_ns), row_units)),
                line="-" if site.line is None else str(site.line),
                source="  " * place.depth + _source(site),
                note="; ".join(_notes(site, shown[at - 1] if at else None)),
                style="error" if site.errors else "call",
                site=site,
            )
        )
    if left_out:
        words = f"... {_count(left_out, 'more call site', 'more call sites')}"
        rows.append(Row(scale.text(units[-2]), _percent(tenths[-2]), "", "", "", words, "", "more"))
    if rows:
        rows.append(Row(scale.text(units[-1]), _percent(tenths[-1]), "", "", "", OWN_CODE, "", "own"))

    waiting = [at for at in outer if shown[at].kind in AWAITING]
    if report.awaiting_ns == sum(shown[at].total_ns for at in waiting):
        awaiting = sum(times[at][0] for at in waiting)
    else:
        awaiting = scale.units(report.awaiting_ns)
    return Entry(
        _title(report, scale),
        [_place(report), _when(report), _sum(report, scale, units, tenths, awaiting)],
        rows,
        _remarks(report),
    )


def _title(report: SlowCall, scale: Scale) -> str:
    took = f"{plain(report.qualname)} took {scale.text(scale.units(report.total_ns))}"
    if report.limit_ns is None:
        return f"call: {took} (no limit)"
    ratio = f", {_times(report.total_ns, report.limit_ns)}" if report.limit_ns else ""
    return f"{'slow call' if report.slow else 'call'}: {took} (limit {duration(report.limit_ns)}{ratio})"


def _place(report: SlowCall) -> str:
    return f'File "{plain(report.file)}", line {report.def_line}, in {plain(report.qualname)}'


def _when(report: SlowCall) -> str:
    facts = [report.started, f"pid {report.pid}"]
    facts += [
        f"{name} {plain(value)}"
        for name, value in (("thread", report.thread), ("task", report.task))
        if value
    ]
    if report.id is not None:
        facts.append(f"id {report.id}")
    return "  ".join(facts)


def _sum(report: SlowCall, scale: Scale, units: list[int], tenths: list[int], awaiting: int) -> str:
    words = (
        f"{scale.text(sum(units))} = calls {scale.number(sum(units[:-1]))} ({_percent(sum(tenths[:-1]))})"
        f" + own code {scale.number(units[-1])} ({_percent(tenths[-1])})"
    )
    extra = [f"awaiting {scale.text(awaiting)}"] if report.awaiting_ns else []
    if report.suspended_ns:
        extra.append(f"suspended {scale.text(scale.units(report.suspended_ns))} (not counted)")
    return f"{words};  {', '.join(extra)}" if extra else words


def _notes(site: CallSite, above: CallSite | None) -> list[str]:
    """What is worth saying of a row, the most important first."""
    notes = []
    if site.errors:
        what = plain(site.last_error or "error")
        notes.append(f"! {what}" if site.errors == 1 else f"! {site.errors} errors, last {what}")
    if site.unfinished:
        notes.append("not finished")
    # Only where one call stands out; calls are numbered from 1, as a reader counts them.
    if site.max_ns * site.count >= 10 * site.total_ns > 0:
        notes.append(f"max at #{site.max_index + 1}")
    if site.inside is not None:
        notes.append("inside the row above" if above and above.id == site.inside else "inside as well")
    return notes


def _remarks(report: SlowCall) -> list[str]:
    remarks = []
    if report.writer == "none":
        remarks.append("only the whole run was timed")
    if failure := report.exception:
        at = f" at line {failure.line}" if failure.line is not None else ""
        words = ascii(failure.text) if failure.text else ""
        remarks.append(f"raised {plain(failure.type)}({words}){at}, propagated to the caller")
    if report.finished == "close":
        remarks.append("closed before its end")
    if lost := report.suppressed:
        worst = Scale.of(lost.worst_ns)
        remarks.append(
            f"{_count(lost.count, 'slow call was', 'slow calls were')} not logged in the last "
            f"{_decimal(_rounded(lost.window_ns, 10**8), 1)} s (rate limit {lost.rate}); "
            f"worst {worst.text(worst.units(lost.worst_ns))}"
        )
    if report.clock.clamped:
        remarks.append(
            f"clock {report.clock.source}: {_count(report.clock.clamped, 'time', 'times')} corrected"
        )
    if report.clock.suspect:
        remarks.append(
            f"clock {report.clock.source}: disagrees with the system clock, do not trust these times"
        )
    return remarks


# Drawing


_COLORS = {"title": "1;31", "heading": "2", "error": "31", "more": "2", "own": "2"}


def text(report: SlowCall, width: int | None = 120, top: int | None = None, color: bool = False) -> str:
    """Draw the entry.

    Parameters:
        report: a slow call.
        width: columns at most; source text gives way, down to 24 columns. None for no limit.
        top: rows at most; None for all that the report holds.
        color: with ANSI colours.
    """
    drawn = entry(report, top)

    def paint(words: str, style: str) -> str:
        return f"\x1b[{_COLORS[style]}m{words}\x1b[0m" if color and style in _COLORS else words

    lines = [paint(drawn.title, "title" if report.slow else ""), *(f"  {words}" for words in drawn.head)]
    if drawn.rows:
        least = (9, 5, 5, 8, 4)  # columns keep their place from entry to entry, unless a figure is longer
        widths = [max(low, *(len(row.cells[at]) for row in drawn.rows)) for at, low in enumerate(least)]
        before = 2 + sum(widths) + 2 * len(widths)
        notes = max(len(row.note) for row in drawn.rows)
        room = max(24, width - before - (notes + 2 if notes else 0)) if width else None
        sources = [_cut(row.source, room) if room and row.site else row.source for row in drawn.rows]
        noted = max(
            (len(words) for words, row in zip(sources, drawn.rows, strict=True) if row.note), default=0
        )

        def columns(cells: Sequence[str], source: str) -> str:
            return "  ".join(
                ["", *(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)), source]
            )

        lines.append(paint(columns(_HEADINGS[:5], _HEADINGS[5]), "heading"))
        for row, words in zip(drawn.rows, sources, strict=True):
            last = f"{words:<{noted}}  {row.note}" if row.note else words
            lines.append(paint(columns(row.cells, last), row.style))
    lines += [f"  {words}" for words in drawn.tail]
    return "\n".join(lines)


def line(report: SlowCall) -> str:
    """The report in one line: as many rows as explain nine tenths of the run, but at most three."""
    scale = Scale.of(report.total_ns)
    total = scale.text(scale.units(report.total_ns))
    limit = "" if report.limit_ns is None else f"{'>=' if report.slow else '<'}{duration(report.limit_ns)}"
    parts: list[str] = []
    named_ns = 0
    drawn = entry(report)
    for row in drawn.rows:
        site = row.site
        if site is None or site.inside is not None:
            continue
        if len(parts) == 3 or 10 * named_ns >= 9 * report.total_ns:
            break
        named_ns += site.total_ns
        count = f" {site.count}x" if site.count > 1 else ""
        most = f" max {_close(row.most)}" if site.count > 1 else ""
        error = f" !{plain(site.last_error or 'error')}" if site.errors else ""
        parts.append(f"L{row.line} {_cut(callee(_source(site)), 40)}{count} {_close(row.total)}{most}{error}")
    parts.append(f"own {_close(drawn.rows[-1].total if drawn.rows else total)}")
    kind = "slow" if report.slow else "call"
    return f"{kind} {plain(report.qualname)} {_close(total + limit)}: {'; '.join(parts)}"


def _close(figure: str) -> str:
    return figure.replace(" ", "")


def html(report: SlowCall) -> str:
    """The entry as an HTML table for notebooks."""
    drawn = entry(report)

    def cells(tag: str, words: Sequence[str]) -> str:
        aligned = ["right"] * 5 + ["left"] * 2
        return "".join(
            f'<{tag} style="text-align:{side}">{_html.escape(word)}</{tag}>'
            for side, word in zip(aligned, words, strict=True)
        )

    head = "".join(f"<div>{_html.escape(words)}</div>" for words in drawn.head)
    tail = "".join(f"<div>{_html.escape(words)}</div>" for words in drawn.tail)
    rows = "".join(
        f"<tr>{cells('td', (*row.cells, row.source.replace('  ', chr(0xA0) * 2), row.note))}</tr>"
        for row in drawn.rows
    )
    table = f"<table><thead><tr>{cells('th', (*_HEADINGS, ''))}</tr></thead><tbody>{rows}</tbody></table>"
    return f"<div><b>{_html.escape(drawn.title)}</b>{head}{table if rows else ''}{tail}</div>"


def rich_table(report: SlowCall) -> Any:
    """The entry for rich, which is imported only here."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    drawn = entry(report)
    styles = {"error": "red", "more": "dim", "own": "dim"}
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in _HEADINGS[:5]:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column(
        _HEADINGS[5], overflow="fold"
    )  # where the console is narrow, words give way and figures stay
    table.add_column("")
    for row in drawn.rows:
        table.add_row(*map(Text, (*row.cells, row.source, row.note)), style=styles.get(row.style))
    lines: list[Any] = [
        Text(drawn.title, style="bold red" if report.slow else "bold"),
        *map(Text, drawn.head),
    ]
    if drawn.rows:
        lines.append(table)
    return Group(*lines, *map(Text, drawn.tail))
