"""From a finished run to everybody who wants to know: ring, collectors, callbacks, rate limit, sinks.

`deliver` is called by the probe at the end of a run, on the thread of the slow function and inside it, so it
must not disturb: no `Exception` leaves it. Ctrl-C that arrives meanwhile is not lost either, see `deliver`.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from recompyle.profile import ring
from recompyle.profile.guard import guard
from recompyle.profile.limits import SINKS
from recompyle.profile.model import FunctionInfo, RawRun, SlowCall, Suppressed
from recompyle.profile.sinks import LoggingSink, Sink, as_sink, emitter, errors

if TYPE_CHECKING:
    from recompyle.profile.limits import Options

__all__ = ["Gate", "deliver", "get_sinks", "set_sinks"]


class Gate(Protocol):
    """The rate limit of one function."""

    def admit(self, now_ns: int, took_ns: int, /) -> tuple[bool, int, int, int]:
        """Ask whether a record may go out.

        Parameters:
            now_ns: monotonic time.
            took_ns: duration of the slow call.

        Returns:
            Whether it may; and if so how many records were held back since the last one that went out, the
            duration of the slowest of them in ns, and the time since that last one in ns.
        """
        ...


class _Busy(threading.local):
    """Whether this thread is in a sink or callback right now."""

    now = False


_busy = _Busy()
_sinks: tuple[tuple[Sink, Callable[[SlowCall, Options], object]], ...] = ()


def set_sinks(sinks: Iterable[object]) -> None:
    """Replace the sinks in force.

    Parameters:
        sinks: callables and objects with `emit(report)`; none for no sink.

    Raises:
        ValueError: one of them is no sink; then nothing has changed.
    """
    global _sinks
    _sinks = tuple((sink, emitter(sink)) for sink in map(as_sink, sinks))


def get_sinks() -> list[Sink]:
    """The sinks in force; give the list to `set_sinks` to have them back."""
    return [sink for sink, _ in _sinks]


set_sinks([LoggingSink()])


def deliver(info: FunctionInfo, run: RawRun, gate: Gate | None) -> SlowCall | None:
    """Make the report of a finished run and hand it to all who want it.

    A slow run goes to the ring, to the open `collect` blocks, and then either to the function's own
    `above_callback` or, as far as the rate limit admits, to the sinks. A run that was not slow goes to the
    `below_callback` only. Slow calls that happen inside a sink or callback of this thread go to the ring
    only.

    An `Exception` of a sink or callback is counted. A KeyboardInterrupt is sent again so that it is raised in
    the profiled function, right after this call. Whatever else is thrown into the thread from outside, such
    as a greenlet's exit, passes.

    Parameters:
        info: the function.
        run: what the probes measured.
        gate: its rate limit, None for none.

    Returns:
        The report; None if it could not be made.
    """
    report = None
    try:
        report = _report(info, run)
        if run.slow:
            ring.add(report, info.options.ring)
        if not _busy.now:
            making, guard.making = guard.making, False  # from here on it is the program's own code that runs
            _busy.now = True
            try:
                _hand_over(info, report, run.slow, gate)
            finally:
                _busy.now = False
                guard.making = making
    except KeyboardInterrupt:
        # The pending signal is looked for when Python code has called something, so a plain call would raise
        # it here, in the midst of the probe. Unpacking calls without looking; the next to look is the
        # profiled function.
        (_,) = map(_thread.interrupt_main, (signal.SIGINT,))
    except Exception as error:
        try:  # noqa: SIM105 - suppress() is Python code, and at the recursion limit none can be called
            errors.note(deliver, error)
        except Exception:
            pass
    return report


def _report(info: FunctionInfo, run: RawRun) -> SlowCall:
    return SlowCall.build(
        info,
        run,
        id=ring.next_id() if run.slow else None,
        pid=os.getpid(),
        thread=_thread_name(),
        task=_task_name(),
    )


def _hand_over(info: FunctionInfo, report: SlowCall, slow: bool, gate: Gate | None) -> None:
    options = info.options
    if not slow:
        _call(options.below_callback, report)
        return
    ring.hand_out(report)
    if options.above_callback is not SINKS:
        _call(options.above_callback, report)
        return
    if gate is not None:
        admitted, count, worst_ns, window_ns = gate.admit(time.monotonic_ns(), report.total_ns)
        if not admitted:
            return
        if count:
            rate = options.rate.text if options.rate else ""
            report = replace(report, suppressed=Suppressed(count, worst_ns, window_ns, rate))
    for sink, emit in _sinks:
        try:
            emit(report, options)
        except Exception as error:
            errors.note(sink, error)


def _call(callback: Callable[[SlowCall], object] | None, report: SlowCall) -> None:
    if callback is not None:
        try:
            callback(report)
        except Exception as error:
            errors.note(callback, error)


def _thread_name() -> str:
    # threading.current_thread() would make and register an object for a thread that threading did not start.
    number = threading.get_ident()
    thread = threading._active.get(number)  # type: ignore[attr-defined]
    return str(thread.name) if thread is not None else f"thread {number}"


def _task_name() -> str | None:
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return None
    try:
        task = asyncio.current_task()
        return None if task is None else str(task.get_name())
    except (
        Exception
    ):  # no loop runs in this thread, asyncio is still being imported, or the program's own task class
        return None
