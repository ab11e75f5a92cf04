"""What a tracing has found, as plain data."""

import json
from collections.abc import Iterable
from typing import Any

from recompyle.trace import report
from recompyle.trace.snippets import Listing, unique

__all__ = ["TraceResults"]

Samples = dict[str, list[tuple[str, str]]]


class TraceResults(list[tuple[str, dict[str, tuple[int, Samples]]]]):
    """One entry for each recorded call of the target, in the order in which they began.

    An entry is a pair: the stack as text, and a dict from snippet to ``(hits, {name: [(type, text), ...]})`` in the
    order of the source. Printed, it is the source with hits and values beside each line; in a notebook it is a table.

    Attributes:
        result: what the function returned; None if it raised.
        exc: the exception that it raised; None if it returned.
        calls: how many calls of the target there were, those beyond ``max_calls`` included.
    """

    def __init__(self) -> None:
        super().__init__()
        self.result: Any = None
        self.exc: BaseException | None = None
        self.calls = 0
        self._records: list[report.Record] = []

    def take(
        self, found: Iterable[tuple[str, Listing, list[int], list[Samples | None]]], calls: int, incl_unhit: bool
    ) -> None:
        """Fill in what a tracer recorded; see `recompyle.trace.probes.Tracer.finish`."""
        self.calls = calls
        for stack, listing, hits, samples in found:
            order = sorted(range(len(hits)), key=lambda i: (listing.lines[i].line, listing.lines[i].column))
            keys = zip(unique([listing.lines[i].source for i in order]), order, strict=True)
            self.append((stack, {k: (hits[i], samples[i] or {}) for k, i in keys if hits[i] or incl_unhit}))
            rows = [report.Row(listing.lines[i], hits[i], samples[i] or {}) for i in order]
            self._records.append(report.Record(listing, stack, rows))

    def text(self, color: bool = False) -> str:
        """The source of each call with hits and values beside each line.

        Parameters:
            color: with the escape sequences of terminals.
        """
        return report.text(self._records, self.calls, self.exc, color)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the result itself, in the types that JSON has; see the page on formats."""
        return report.as_dict(self, self._records)

    def json(self, indent: int | None = None) -> str:
        """`to_dict` as JSON.

        Parameters:
            indent: as of `json.dumps`.
        """
        return json.dumps(self.to_dict(), indent=indent)

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return report.html(self._records, self.calls, self.exc)
