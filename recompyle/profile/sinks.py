"""Where slow calls go: the logging module, a file of JSON lines, any callable. And what happens when that
fails.

A sink is an object with `emit(report)`, or a callable. One that also has `emit_with(report, options)` gets
the options of the slow function too. A sink may raise: the error is counted and told on the logger
`recompyle`, and the program goes on.
"""

from __future__ import annotations

import copy
import errno
import json
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any, Literal, Protocol

from recompyle.profile.limits import Options
from recompyle.profile.model import SlowCall

__all__ = [
    "CallbackSink",
    "JSONFormatter",
    "JSONLinesSink",
    "LoggingSink",
    "Sink",
    "SinkErrors",
    "SlowCallFormatter",
    "as_sink",
    "emitter",
    "sink_errors",
]

library_log = logging.getLogger("recompyle")
library_log.addHandler(logging.NullHandler())


class Sink(Protocol):
    """Takes the reports of slow calls, in the thread in which the slow function ran."""

    def emit(self, report: SlowCall, /) -> object: ...


class CallbackSink:
    """Calls a function with each report."""

    def __init__(self, callback: Callable[[SlowCall], object]) -> None:
        self.callback = callback

    def __repr__(self) -> str:
        return f"CallbackSink({self.callback!r})"

    def emit(self, report: SlowCall) -> None:
        self.callback(report)


def as_sink(value: object) -> Sink:
    """A sink from an object with `emit`, or from a callable.

    Raises:
        ValueError: neither of the two; or a logging handler, which takes log records and not reports.
    """
    if isinstance(value, logging.Handler):
        raise ValueError(
            f"{value!r} is a logging handler: attach it to a logger and give LoggingSink() as sink"
        )
    if not isinstance(value, type):
        if callable(getattr(value, "emit", None)):
            return value  # type: ignore[return-value]
        if callable(value):
            return CallbackSink(value)
    raise ValueError(f"a sink is a callable or an object with emit(report); not {value!r}")


def emitter(sink: Any) -> Callable[[SlowCall, Options], object]:
    """How to hand a report to a sink: with the function's options if it takes them."""
    with_options = getattr(sink, "emit_with", None)
    return with_options if callable(with_options) else lambda report, options: sink.emit(report)


# Logging


class LoggingSink:
    """Writes each slow call as a log record that points to the slow function.

    The record's message is drawn only if a handler formats it; `record.recompyle` holds the report as a dict.

    Parameters:
        logger: a logger or its name for all records. None: that of the function's options, else the one named
            as the function's module.
        level: the level of all records. None: that of the function's options, else WARNING.
    """

    def __init__(self, logger: str | logging.Logger | None = None, level: int | None = None) -> None:
        self.logger = logger
        self.level = level

    def __repr__(self) -> str:
        return f"LoggingSink(logger={self.logger!r}, level={self.level!r})"

    def emit(self, report: SlowCall) -> None:
        self.emit_with(report, Options())

    def emit_with(self, report: SlowCall, options: Options) -> None:
        logger = self.logger or options.logger or report.function.partition(":")[0]
        if isinstance(logger, str):
            logger = logging.getLogger(logger)
        level = options.level if self.level is None else self.level
        if not logger.isEnabledFor(level):
            return
        record = logger.makeRecord(
            logger.name,
            level,
            report.file,
            report.def_line,
            "%s",
            (report,),
            None,
            report.qualname.rpartition(".")[2],
            {"recompyle": report.to_dict()},
        )
        logger.handle(record)


def _report_of(record: logging.LogRecord) -> SlowCall | None:
    """The report in a log record; also from a record that came through a queue or socket as text and dict."""
    if isinstance(record.args, tuple) and len(record.args) == 1 and isinstance(record.args[0], SlowCall):
        return record.args[0]
    data = getattr(record, "recompyle", None)
    return (
        SlowCall.from_dict(data) if isinstance(data, dict) and data.get("schema") == SlowCall.SCHEMA else None
    )


class SlowCallFormatter(logging.Formatter):
    """Formats slow calls as text, line or JSON within a usual format string; other records as ever.

    In `logging.config.dictConfig`: `{"()": "recompyle.profile.sinks.SlowCallFormatter", "format": "line"}`.

    Parameters:
        fmt, datefmt, style: as of `logging.Formatter`.
        format: "text", "line" or "json": what stands for the message.
        width, top, color: of the text, as in `SlowCall.text`.
    """

    def __init__(
        self,
        fmt: str | None = None,
        datefmt: str | None = None,
        style: Literal["%", "{", "$"] = "%",
        *,
        format: str = "text",
        width: int | None = 120,
        top: int | None = None,
        color: bool = False,
    ) -> None:
        super().__init__(fmt, datefmt, style)
        forms: dict[str, Callable[[SlowCall], str]] = {
            "text": lambda report: report.text(width, top, color),
            "line": SlowCall.line,
            "json": SlowCall.json,
        }
        if format not in forms:
            raise ValueError(f"format must be one of {', '.join(map(repr, forms))}; not {format!r}")
        self._form = forms[format]

    def format(self, record: logging.LogRecord) -> str:
        report = _report_of(record)
        if report is not None:
            record = copy.copy(record)  # other handlers see the same record
            record.msg, record.args = self._form(report), None
        return super().format(record)


class JSONFormatter(logging.Formatter):
    """Formats every record as one line of JSON: a slow call as `SlowCall.json`, others in a few keys."""

    def format(self, record: logging.LogRecord) -> str:
        report = _report_of(record)
        if report is not None:
            return report.json()
        data = {
            "time": self.formatTime(record, self.datefmt),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            data["exception"] = self.formatException(record.exc_info)
        return json.dumps(data, separators=(",", ":"))


# Files


class _File:
    """A file opened for appending, closed when the last thread that writes to it lets go."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
        self.descriptor = os.open(path, flags, 0o666)
        status = os.fstat(self.descriptor)
        self.identity = status.st_dev, status.st_ino

    def is_at(self, path: str | os.PathLike[str]) -> bool:
        """Whether the path still names this file, which it does not after a log rotation."""
        try:
            status = os.stat(path)
        except FileNotFoundError:
            return False
        return (status.st_dev, status.st_ino) == self.identity

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        if hasattr(self, "descriptor"):
            close(self.descriptor)


class JSONLinesSink:
    """Appends each slow call to a file as one line of JSON.

    Each record is one `write` to a file opened for appending, so that threads and processes can share it. The
    file is opened with the first record, and again when the path has come to name another file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path
        self._file: _File | None = None

    def __repr__(self) -> str:
        return f"JSONLinesSink({os.fspath(self.path)!r})"

    def emit(self, report: SlowCall) -> None:
        """Write one record.

        Raises:
            OSError: the file cannot be opened or written, or took a part of the record only.
        """
        data = report.json().encode("ascii") + b"\n"
        file = self._file  # held for the write: another thread may open the next file meanwhile
        if file is None or not file.is_at(self.path):
            file = self._file = _File(self.path)
        written = os.write(file.descriptor, data)
        if written < len(data):
            raise OSError(
                errno.ENOSPC, f"only {written} of {len(data)} bytes were written", os.fspath(self.path)
            )


# Errors


class SinkErrors:
    """Counts what sinks and callbacks raised, and tells it at most once a minute.

    Parameters:
        now: the clock, in seconds.
    """

    every_seconds = 60.0

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self.reset()

    def reset(self) -> None:
        """Begin anew, with a fresh lock, as the child of a fork must."""
        self._lock = threading.RLock()
        self.count = 0
        self._told_count = 0
        self._told_at: float | None = None

    def note(self, source: object, error: BaseException) -> None:
        """Count an error; raises nothing itself.

        Parameters:
            source: the sink or callback that raised it.
            error: what it raised.
        """
        with self._lock:
            self.count += 1
            now = self._now()
            if self._told_at is not None and now - self._told_at < self.every_seconds:
                return
            self._told_at = now
            new, self._told_count = self.count - self._told_count, self.count
        try:
            library_log.error(
                "slow calls could not be handed over: %d new errors, %d in all; the last one in %s",
                new,
                self.count,
                _repr(source),
                exc_info=error,
            )
        except Exception:  # a handler of the program raised; the error itself is counted
            self.count += 1


def _repr(source: object) -> str:
    try:
        return repr(source)
    except Exception as failure:
        return f"<repr failed: {type(failure).__name__}>"


errors = SinkErrors()


def sink_errors() -> int:
    """How many errors sinks and callbacks raised in this process."""
    return errors.count


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=errors.reset)
