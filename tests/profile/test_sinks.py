"""Real loggers, real files, and everything that can go wrong with them."""

from __future__ import annotations

import errno
import io
import json
import logging
import logging.config
import logging.handlers
import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from recompyle.profile.limits import Options
from recompyle.profile.model import SlowCall
from recompyle.profile.sinks import (
    CallbackSink,
    JSONFormatter,
    JSONLinesSink,
    LoggingSink,
    SinkErrors,
    SlowCallFormatter,
    as_sink,
)


class Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def records() -> Iterator[list[logging.LogRecord]]:
    """The records of logger `app.orders`."""
    logger, handler = logging.getLogger("app.orders"), Records()
    logger.addHandler(handler)
    yield handler.records
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


# Logging


def test_record_points_to_the_slow_function(checkout: SlowCall, records: list[logging.LogRecord]) -> None:
    LoggingSink().emit(checkout)
    (record,) = records
    assert (record.name, record.levelname) == ("app.orders", "WARNING")
    assert (record.pathname, record.lineno, record.funcName) == ("app/orders.py", 118, "checkout")
    assert (record.filename, record.module) == ("orders.py", "orders")
    assert record.getMessage() == str(checkout)
    assert record.recompyle == checkout.to_dict()
    drawn = logging.Formatter("%(levelname)s %(name)s %(pathname)s:%(lineno)d: %(message)s").format(record)
    assert drawn == f"WARNING app.orders app/orders.py:118: {checkout}"


def test_options_and_the_sink_choose_logger_and_level(
    checkout: SlowCall, records: list[logging.LogRecord]
) -> None:
    elsewhere = Records()
    other = logging.Logger("slow", logging.DEBUG)
    other.addHandler(elsewhere)
    LoggingSink().emit_with(checkout, Options.of(logger=other, level="ERROR"))
    LoggingSink(logger=other, level=logging.INFO).emit_with(
        checkout, Options.of(logger="app.orders", level="ERROR")
    )
    assert [record.levelname for record in elsewhere.records] == ["ERROR", "INFO"]
    assert records == []
    LoggingSink().emit_with(checkout, Options.of(logger="app.orders", level=45))
    assert [record.levelno for record in records] == [45]


def test_disabled_logger_renders_nothing(
    checkout: SlowCall, records: list[logging.LogRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> str:
        raise AssertionError("rendered")

    monkeypatch.setattr(SlowCall, "__str__", fail)
    monkeypatch.setattr(SlowCall, "to_dict", fail)
    logging.getLogger("app.orders").setLevel(logging.ERROR)
    LoggingSink().emit(checkout)
    assert records == []


def test_text_is_rendered_only_when_formatted(checkout: SlowCall, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered = []
    monkeypatch.setattr(SlowCall, "__str__", lambda report: rendered.append(report) or "drawn")
    logger, handler = logging.Logger("apart"), Records()  # a logger that pytest does not listen to
    logger.addHandler(handler)
    LoggingSink(logger).emit(checkout)
    assert (len(handler.records), rendered) == (1, [])
    assert handler.records[0].getMessage() == "drawn"
    assert rendered == [checkout]


def test_filters_of_the_logger_apply(checkout: SlowCall, records: list[logging.LogRecord]) -> None:
    logger = logging.getLogger("app.orders")

    def only_very_slow(record: logging.LogRecord) -> bool:
        return record.recompyle["total_ns"] > 10**9

    logger.addFilter(only_very_slow)
    try:
        LoggingSink().emit(checkout)
    finally:
        logger.removeFilter(only_very_slow)
    assert records == []


# Formatters


def test_formatters_by_dict_config(checkout: SlowCall, tmp_path: Path) -> None:
    def formatter(**more: object) -> dict[str, object]:
        return {"()": "recompyle.profile.sinks.SlowCallFormatter", "fmt": "%(levelname)s %(message)s", **more}

    names = ["text", "line", "json", "short", "lines"]
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "text": formatter(),
                "line": formatter(format="line"),
                "json": formatter(format="json"),
                "short": formatter(format="text", top=1, width=80),
                "lines": {"()": "recompyle.profile.sinks.JSONFormatter"},
            },
            "handlers": {
                name: {
                    "class": "logging.FileHandler",
                    "filename": str(tmp_path / name),
                    "encoding": "utf-8",
                    "formatter": name,
                }
                for name in names
            },
            "loggers": {"app.orders": {"handlers": names, "level": "INFO", "propagate": False}},
        }
    )
    logger = logging.getLogger("app.orders")
    try:
        LoggingSink().emit(checkout)
        logger.info("another %s", "record")
    finally:
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
            handler.close()
        logger.setLevel(logging.NOTSET)
        logger.propagate = True

    written = {name: (tmp_path / name).read_text("utf-8") for name in names}
    assert written["text"] == f"WARNING {checkout}\nINFO another record\n"
    assert written["line"] == f"WARNING {checkout.line()}\nINFO another record\n"
    assert written["json"] == f"WARNING {checkout.json()}\nINFO another record\n"
    assert written["short"] == f"WARNING {checkout.text(width=80, top=1)}\nINFO another record\n"
    slow, other = map(json.loads, written["lines"].splitlines())
    assert SlowCall.from_dict(slow) == checkout
    assert (other["level"], other["logger"], other["message"]) == ("INFO", "app.orders", "another record")


def test_formatter_refuses_other_forms() -> None:
    with pytest.raises(ValueError, match="'text', 'line', 'json'"):
        SlowCallFormatter(format="xml")


def test_json_of_a_record_with_an_exception() -> None:
    try:
        raise LookupError("lost\nand found")
    except LookupError:
        record = logging.LogRecord("a", 40, "f.py", 1, "went %s", ("wrong",), sys.exc_info())
    data = json.loads(JSONFormatter().format(record))
    assert data["message"] == "went wrong"
    assert data["exception"].endswith("LookupError: lost\nand found")


def test_records_that_came_through_a_queue(checkout: SlowCall, records: list[logging.LogRecord]) -> None:
    """The queue handler draws the message at once and pickles the rest."""
    LoggingSink().emit(checkout)
    channel: queue.Queue[logging.LogRecord] = queue.Queue()
    logging.handlers.QueueHandler(channel).emit(records[0])
    record = pickle.loads(pickle.dumps(channel.get_nowait()))
    assert record.getMessage() == str(checkout)
    assert SlowCallFormatter(format="line").format(record) == checkout.line()
    assert JSONFormatter().format(record) == checkout.json()


def test_formatting_leaves_the_record_as_it_is(checkout: SlowCall, records: list[logging.LogRecord]) -> None:
    LoggingSink().emit(checkout)
    assert SlowCallFormatter(format="line").format(records[0]) == checkout.line()
    assert records[0].args == (checkout,)
    assert logging.Formatter().format(records[0]) == str(checkout)


# JSON lines


def read(path: Path) -> list[SlowCall]:
    return [SlowCall.from_dict(json.loads(words)) for words in path.read_text("ascii").splitlines()]


def test_json_lines_are_appended(checkout: SlowCall, tmp_path: Path) -> None:
    path = tmp_path / "slow.jsonl"
    JSONLinesSink(path).emit(checkout)
    sink = JSONLinesSink(str(path))
    sink.emit(checkout)
    sink.emit(checkout)
    assert read(path) == [checkout] * 3


def test_file_is_opened_with_the_first_record(tmp_path: Path) -> None:
    JSONLinesSink(tmp_path / "nothing.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_rotation(checkout: SlowCall, tmp_path: Path) -> None:
    path, old = tmp_path / "slow.jsonl", tmp_path / "slow.jsonl.1"
    sink = JSONLinesSink(path)
    sink.emit(checkout)
    path.rename(old)
    sink.emit(checkout)
    sink.emit(checkout)
    assert (len(read(old)), len(read(path))) == (1, 2)
    path.unlink()
    sink.emit(checkout)
    assert len(read(path)) == 1


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="open files cannot be counted here")
def test_rotation_leaks_no_file(checkout: SlowCall, tmp_path: Path) -> None:
    sink = JSONLinesSink(tmp_path / "slow.jsonl")
    sink.emit(checkout)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        (tmp_path / "slow.jsonl").unlink()
        sink.emit(checkout)
    assert len(os.listdir("/proc/self/fd")) == before
    del sink
    assert len(os.listdir("/proc/self/fd")) == before - 1


def test_threads_rotate_and_write(checkout: SlowCall, tmp_path: Path) -> None:
    """No record is lost or torn while the file is taken away again and again."""
    path = tmp_path / "slow.jsonl"
    sink = JSONLinesSink(path)
    failures: list[BaseException] = []
    written = [0] * 4
    enough = threading.Event()

    def write(number: int) -> None:
        try:
            while not enough.is_set():
                sink.emit(checkout)
                written[number] += 1
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    rotated = 0
    while rotated < 20 and not failures:
        if path.exists():
            path.rename(tmp_path / f"slow.{rotated}")
            rotated += 1
    enough.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sum(len(read(file)) for file in tmp_path.iterdir()) == sum(written) > 0


def test_processes_share_a_file(checkout: SlowCall, tmp_path: Path) -> None:
    program = """if True:
        import json, sys
        from recompyle.profile.model import SlowCall
        from recompyle.profile.sinks import JSONLinesSink

        report = SlowCall.from_dict(json.load(sys.stdin))
        sink = JSONLinesSink(sys.argv[1])
        for _ in range(200):
            sink.emit(report)
    """
    path = tmp_path / "slow.jsonl"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", program, path], stdin=subprocess.PIPE, text=True, env=environment
        )
        for _ in range(3)
    ]
    for writer in writers:
        writer.communicate(checkout.json())
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert read(path) == [checkout] * 600


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_disk_full(checkout: SlowCall) -> None:
    with pytest.raises(OSError) as caught:
        JSONLinesSink("/dev/full").emit(checkout)
    assert caught.value.errno == errno.ENOSPC


def test_half_a_record(checkout: SlowCall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:10]))
    with pytest.raises(OSError, match=r"only 10 of \d+ bytes"):
        JSONLinesSink(tmp_path / "slow.jsonl").emit(checkout)


def test_path_that_cannot_be_written(checkout: SlowCall, tmp_path: Path) -> None:
    with pytest.raises(OSError):
        JSONLinesSink(tmp_path).emit(checkout)
    sink = JSONLinesSink(tmp_path / "later" / "slow.jsonl")
    with pytest.raises(FileNotFoundError):
        sink.emit(checkout)
    (tmp_path / "later").mkdir()
    sink.emit(checkout)
    assert read(tmp_path / "later" / "slow.jsonl") == [checkout]


# What a sink is


def test_anything_that_takes_a_report_is_a_sink(checkout: SlowCall) -> None:
    got: list[SlowCall] = []

    class Mine:
        def emit(self, report: SlowCall) -> None:
            got.append(report)

    mine = Mine()
    assert as_sink(mine) is mine
    callback = as_sink(got.append)
    assert isinstance(callback, CallbackSink)
    callback.emit(checkout)
    assert got == [checkout]


@pytest.mark.parametrize("value", [None, "slow.jsonl", 5, JSONLinesSink, object()])
def test_what_is_no_sink(value: object) -> None:
    with pytest.raises(ValueError, match="a sink is a callable or an object with emit"):
        as_sink(value)


def test_a_handler_is_no_sink() -> None:
    with pytest.raises(ValueError, match="attach it to a logger"):
        as_sink(logging.StreamHandler(io.StringIO()))


# Errors


class BadRepr:
    def __repr__(self) -> str:
        raise LookupError


def test_errors_are_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 1000.0
    errors = SinkErrors(now=lambda: now)
    for _ in range(5):
        errors.note("disk", OSError(errno.ENOSPC, "No space left"))
    now += 59
    errors.note("disk", OSError())
    assert (errors.count, len(caplog.records)) == (6, 1)
    now += 1
    errors.note(BadRepr(), ValueError("last"))
    first, second = caplog.records
    assert (first.name, first.levelname) == ("recompyle", "ERROR")
    assert (
        first.getMessage()
        == "slow calls could not be handed over: 1 new errors, 1 in all; the last one in 'disk'"
    )
    assert "6 new errors, 7 in all; the last one in <repr failed: LookupError>" in second.getMessage()
    assert first.exc_info is not None and first.exc_info[0] is OSError


def test_errors_from_threads_are_all_counted() -> None:
    errors = SinkErrors()

    def fail() -> None:
        for _ in range(500):
            errors.note("sink", ValueError())

    threads = [threading.Thread(target=fail) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors.count == 4000


def test_a_log_that_fails_as_well() -> None:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise ValueError("broken handler")

    handler = Broken()
    logging.getLogger("recompyle").addHandler(handler)
    try:
        errors = SinkErrors()
        errors.note("sink", OSError())
    finally:
        logging.getLogger("recompyle").removeHandler(handler)
    assert errors.count == 2


def test_library_log_is_silent_by_default() -> None:
    handlers = logging.getLogger("recompyle").handlers
    assert any(isinstance(handler, logging.NullHandler) for handler in handlers)
