"""The annotated source of traced calls: as text, as HTML and for other programs."""

from dataclasses import dataclass
from html import escape
from typing import Any

from recompyle.trace.snippets import Line, Listing

__all__ = ["Record", "Row", "as_dict", "html", "text"]

VERSION = 1  # of the JSON form
_WIDEST = 60  # columns of source before the values; longer lines push them to the right
_PLAIN = ("type", "function", "builtin_function_or_method", "module", "ABCMeta", "EnumType")  # seldom of interest
_DIM, _BOLD, _RED, _END = "\033[2m", "\033[1m", "\033[31m", "\033[0m"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a call: what it is, how often it ran, what its names held."""

    line: Line
    hits: int
    samples: dict[str, list[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class Record:
    """One call: the function, the stack, and its lines in the order of the source."""

    listing: Listing
    stack: str
    rows: list[Row]


def text(records: list[Record], calls: int, exc: BaseException | None, color: bool) -> str:
    """The annotated source of all calls."""

    def paint(style: str, words: str) -> str:
        return f"{style}{words}{_END}" if color and words.strip() else words

    out = []
    for number, record in enumerate(records, 1):
        if number > 1:
            out.append("")
        out.append(paint(_BOLD, _title(record, number, calls)))
        out += [paint(_DIM, f"  {line}") for line in record.stack.splitlines()]
        shown = _annotated(record)
        width = min(_WIDEST, max(len(source) for _, source, _ in shown))
        for hits, source, values in shown:
            style = _DIM if hits == "0" else ""
            line = f"{paint(_DIM, hits.rjust(8))}  {paint(style, source.ljust(width))}"
            out.append(f"{line}  {values}".rstrip() if values else line.rstrip())
    out += [paint(_DIM, _more(records, calls))] if _more(records, calls) else []
    if exc is not None:
        out.append(paint(_RED, _raised(exc)))
    return "\n".join(out)


def html(records: list[Record], calls: int, exc: BaseException | None) -> str:
    """The same as tables, for notebooks."""
    out = []
    for number, record in enumerate(records, 1):
        out.append(f"<p><b>{escape(_title(record, number, calls))}</b></p>")
        if record.stack:
            out.append(f"<pre>{escape(record.stack)}</pre>")
        out.append("<table><tr><th>hits</th><th>source</th><th>values</th></tr>")
        for hits, source, values in _annotated(record):
            left = 'style="text-align:left"'
            out.append(
                f"<tr><td>{escape(hits)}</td><td {left}><pre>{escape(source)}</pre></td>"
                f"<td {left}><code>{escape(values)}</code></td></tr>"
            )
        out.append("</table>")
    for note in (_more(records, calls), "" if exc is None else _raised(exc)):
        if note:
            out.append(f"<p>{escape(note)}</p>")
    return "".join(out)


def as_dict(results: Any, records: list[Record]) -> dict[str, Any]:
    """What `TraceResults.to_dict` gives."""
    return {
        "version": VERSION,
        "calls": results.calls,
        "exception": None if results.exc is None else _raised(results.exc),
        "traces": [
            {
                "function": record.listing.name,
                "file": record.listing.file,
                "line": record.listing.first,
                "stack": record.stack.splitlines(),
                "lines": [
                    {
                        "source": row.line.source,
                        "line": row.line.line,
                        "column": row.line.column,
                        "hits": row.hits,
                        "samples": {name: [list(each) for each in held] for name, held in row.samples.items()},
                    }
                    for row in record.rows
                ],
            }
            for record in records
        ],
    }


def _title(record: Record, number: int, calls: int) -> str:
    listing = record.listing
    return f"{listing.name} ({listing.file}:{listing.first}), call {number} of {calls}"


def _more(records: list[Record], calls: int) -> str:
    if not calls:
        return "the target was not called"
    left = calls - len(records)
    return f"and {left} more call{'s' if left > 1 else ''}, not recorded" if left > 0 else ""


def _raised(exc: BaseException) -> str:
    try:
        said = str(exc)
    except Exception:
        said = "<its text cannot be had>"
    return f"raised {type(exc).__name__}: {said}" if said else f"raised {type(exc).__name__}"


def _annotated(record: Record) -> list[tuple[str, str, str]]:
    """Hits, source and values, row by row: each line of the source, and more for what shares a line with others."""
    listing = record.listing
    shown = []
    for i, source in enumerate(listing.text):
        rows = [row for row in record.rows if row.line.line == listing.first + i]
        if not rows:
            shown.append(("", source, ""))
        for j, row in enumerate(rows):
            words = source if not j else " " * row.line.column + " ".join(row.line.source.split())
            shown.append((str(row.hits), words, _values(row)))
    return shown


def _values(row: Row) -> str:
    parts = []
    for name, held in row.samples.items():
        if all(kind in _PLAIN for kind, _ in held):
            continue
        texts = [words for _, words in held]
        if len(set(texts)) == 1:
            texts = texts[:1]
        elif row.hits > len(texts):
            texts.append("...")
        parts.append(f"{name} = {', '.join(texts)}")
    return "; ".join(parts)
