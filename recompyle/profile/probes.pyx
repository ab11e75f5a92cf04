"""What the profiler's probes record: where a run stands, and what each of its sites has cost.

Each probe knows its function and, through the running frame's address, finds the activation it belongs to. The
fast path is two loads, one compare, one clock read and a few stores; it takes no lock, allocates nothing and
runs no Python code. Only the end of a slow run does: it turns the activation into a report.
"""

cimport cython

import _thread
import logging
import sys
import threading
import time
from dataclasses import replace

from cpython.object cimport PyObject
from libc.stdint cimport uint32_t, uint64_t

from recompyle._c.check cimport check
from recompyle._c.probe cimport Probe
from recompyle._c.rcp_clock cimport (
    RCP_CLOCK_SOUND,
    RCP_CLOCK_UNRELIABLE,
    rcp_clock_check,
    rcp_clock_fall_back,
    rcp_clock_name,
    rcp_clock_refine,
    rcp_clock_scale,
    rcp_clock_t,
    rcp_clock_ticks,
    rcp_ns_to_ticks,
    rcp_scale_ticks,
    rcp_ticks_to_ns,
)
from recompyle._c.rcp_gate cimport (
    RCP_LIMIT_NEVER,
    rcp_gate_admit,
    rcp_gate_after_fork,
    rcp_gate_init,
    rcp_gate_set_limit,
    rcp_gate_set_rate,
    rcp_gate_slow,
    rcp_gate_t,
    rcp_suppressed_t,
)
from recompyle._c.rcp_hist cimport (
    rcp_hist_count,
    rcp_hist_free,
    rcp_hist_init,
    rcp_hist_max,
    rcp_hist_percentile,
    rcp_hist_plan,
    rcp_hist_plan_t,
    rcp_hist_record,
    rcp_hist_t,
)
from recompyle._c.rcp_stack cimport (
    RCP_SITE_NONE,
    rcp_activation_t,
    rcp_current,
    rcp_current_of,
    rcp_cut,
    rcp_enter,
    rcp_enter_suspendable,
    rcp_leave,
    rcp_nested_end,
    rcp_nested_fail,
    rcp_nested_start,
    rcp_resume,
    rcp_row_end,
    rcp_row_fail,
    rcp_row_start,
    rcp_row_t,
    rcp_rows,
    rcp_run_ticks,
    rcp_suspend,
    rcp_table_t,
)
from recompyle._c.state cimport (
    clock_named,
    recompyle_at_hand,
    recompyle_caller,
    recompyle_frame,
    recompyle_is_caller,
    recompyle_thread_state,
    recompyle_thread_t,
    table,
    this_thread,
)

from recompyle.profile.guard import guard
from recompyle.profile.model import RawRun, describe_exception


cdef extern from *:
    """
    #include "thread.h"

    /* This extension's own pointer to the thread's record: a pointer of one word is cheap to reach. */
    static _Thread_local recompyle_thread_t *recompyle_here;

    static rcp_table_t *recompyle_runs;  /* the process's table, fetched once */

    /* A probe's share of the interpreter's work, beside its clock read: a load and a slot call. An estimate for
     * information (`probes_ns`); nothing is subtracted from any figure. */
    #define RECOMPYLE_DISPATCH_NS 7.0

    /* Types of exceptions that are told apart by name: a program that makes them without end must not grow this. */
    #define RECOMPYLE_MOST_ERRORS 10000

    #define recompyle_add(counter, n) __atomic_fetch_add(&(counter), (n), __ATOMIC_RELAXED)
    """
    recompyle_thread_t *recompyle_here
    rcp_table_t *_table "recompyle_runs"
    const double DISPATCH_NS "RECOMPYLE_DISPATCH_NS"
    const int MOST_ERRORS "RECOMPYLE_MOST_ERRORS"
    void recompyle_add(uint64_t counter, uint64_t n) noexcept


cdef extern from "Python.h":
    object PyErr_GetHandledException()  # new reference; there must be one being handled
    PyObject *PyEval_GetGlobals()  # borrowed


_table = table()


cdef inline recompyle_thread_t *thread_now() noexcept:
    """This thread's record, its thread state up to date; NULL when out of memory."""
    cdef recompyle_thread_t *thread = recompyle_here
    # Even a state that is known may be that of another interpreter, which ran in this thread meanwhile.
    return thread if thread != NULL and thread.state == recompyle_thread_state() else fetch_thread()


cdef recompyle_thread_t *fetch_thread() noexcept:
    global recompyle_here
    recompyle_here = this_thread()
    if recompyle_here != NULL:
        recompyle_here.here = &recompyle_here
    return recompyle_here


cdef inline const void *frame_now(recompyle_thread_t *thread) noexcept:
    return recompyle_frame(thread.state if thread.state != NULL else recompyle_thread_state())


cdef class Profiled:
    """One profiled function: what all of its probes share.

    Attributes:
        info: `recompyle.profile.model.FunctionInfo`.
        asked: the options that its decorator gave.
        deliver: called with ``(info, RawRun, self)`` when a run was slow, or if every run is wanted.
    """

    cdef rcp_gate_t gate
    cdef rcp_hist_t hist
    cdef rcp_clock_t *clock
    cdef uint32_t site_count
    cdef bint suspendable
    cdef bint every_run
    cdef uint64_t slow_runs
    cdef readonly object limit_ns
    cdef public object info
    cdef public object asked
    cdef public object deliver
    cdef object __weakref__

    def __cinit__(self, str clock, bint suspendable):
        cdef rcp_hist_plan_t plan
        self.clock = clock_named(clock)
        self.suspendable = suspendable
        check(rcp_gate_init(&self.gate, 0, 0, 0, <uint64_t><size_t><PyObject *>self))
        # Ticks of at least a third of a nanosecond, from microseconds to hours, in 8 KiB.
        check(rcp_hist_plan(1 << 10, <uint64_t>1 << 40, &plan))
        check(rcp_hist_init(&self.hist, &plan, NULL))

    def __dealloc__(self):
        rcp_hist_free(&self.hist)

    def set_sites(self, uint32_t count):
        """Tell how many sites there are; before the first run."""
        self.site_count = count

    def set_limit(self, limit_ns, bint every_run):
        """Change the limit, also for runs that are open.

        Parameters:
            limit_ns: duration from which on a run is slow; negative: never.
            every_run: deliver fast runs too.
        """
        self.limit_ns = limit_ns
        self.every_run = every_run
        rcp_gate_set_limit(
            &self.gate, RCP_LIMIT_NEVER if limit_ns < 0 else rcp_ns_to_ticks(self.clock, <uint64_t>limit_ns)
        )

    def set_rate(self, uint64_t count, uint64_t per_ns, uint64_t always_ns):
        """Change the rate limit; see `rcp_gate_set_rate`."""
        rcp_gate_set_rate(&self.gate, count, per_ns, always_ns)

    def admit(self, uint64_t now_ns, uint64_t took_ns):
        """Whether a record may go out, how many were held back before it, the longest of those, and since when."""
        cdef rcp_suppressed_t before
        if rcp_gate_admit(&self.gate, now_ns, took_ns, &before):
            return True, before.count, before.worst_ns, before.window_ns
        return False, 0, 0, 0

    def count_slow(self):
        """Count a run as slow: by the limit that holds where it ran."""
        recompyle_add(self.slow_runs, 1)

    def after_fork(self):
        """In a child process: another thread of the parent may have held the gate's lock."""
        rcp_gate_after_fork(&self.gate)

    def stats(self, percents):
        """Runs so far, slow runs, the percentiles asked for and the longest run, in ns."""
        cdef uint64_t scale = rcp_clock_scale(self.clock)
        found = [rcp_scale_ticks(scale, rcp_hist_percentile(&self.hist, percent)) for percent in percents]
        longest = rcp_scale_ticks(scale, rcp_hist_max(&self.hist))
        return rcp_hist_count(&self.hist), self.slow_runs, found, longest


cdef inline rcp_activation_t *activation_of(const void *mark) noexcept:
    """The activation of the running frame; NULL if its run is not recorded."""
    cdef rcp_activation_t *activation = recompyle_at_hand(recompyle_here, mark)
    return activation if activation != NULL else find_activation(mark)


cdef rcp_activation_t *find_activation(const void *mark) noexcept:
    """The same where the activation met last is not the one: after a generator, in another thread or greenlet."""
    cdef recompyle_thread_t *thread = thread_now()
    if thread == NULL:
        return NULL
    cdef rcp_activation_t *activation = rcp_current(&thread.runs, _table, frame_now(thread))
    return activation if activation != NULL and activation.owner == mark else NULL


cdef rcp_activation_t *owner_of_nested(Profiled owner, const void **frame) noexcept:
    """The activation that nested code runs in: of the same function, and among the callers of its frame."""
    cdef recompyle_thread_t *thread = thread_now()
    if thread == NULL:
        return NULL
    frame[0] = frame_now(thread)
    cdef rcp_activation_t *activation = rcp_current_of(&thread.runs, <const void *>owner)
    if activation != NULL and recompyle_is_caller(frame[0], activation.frame):
        return activation
    return search_owner(thread, owner, frame[0])


cdef rcp_activation_t *search_owner(recompyle_thread_t *thread, Profiled owner, const void *frame) noexcept:
    """The same where the likeliest activation is not the one: after a generator that ended, among greenlets."""
    cdef const void *mark = <const void *>owner
    cdef rcp_activation_t *activation
    if not owner.suspendable:
        activation = thread.runs.newest
        while activation != NULL and not (activation.owner == mark and recompyle_is_caller(frame, activation.frame)):
            activation = activation.older
        return activation
    while frame != NULL:
        activation = rcp_current(&thread.runs, _table, frame)
        if activation != NULL and activation.owner == mark:
            return activation
        frame = recompyle_caller(frame)
    return NULL


# -- rows ----------------------------------------------------------------------------------------------------


cdef class Row(Probe):
    """Base of the two probes of a row. What the straight line needs is kept at hand, uncounted."""

    cdef readonly Profiled owner  # keeps alive what the two pointers point to
    cdef const void *mark
    cdef rcp_clock_t *clock
    cdef readonly uint32_t site
    cdef readonly bint nested

    def __init__(self, Profiled owner, uint32_t site, bint nested, str label):
        self.owner = owner
        self.mark = <const void *>owner
        self.clock = owner.clock
        self.site = site
        self.nested = nested
        self.label = label


@cython.final
cdef class End(Row):
    """Closes a row: ``end[value]``, or ``~end`` where there is no value."""

    def __getitem__(self, value):
        close_row(self)
        return value

    def __invert__(self):
        close_row(self)
        return None


cdef inline void close_row(End self) noexcept:
    cdef uint64_t now = rcp_clock_ticks(self.clock)
    cdef rcp_activation_t *activation = recompyle_at_hand(recompyle_here, self.mark)
    if activation != NULL and not self.nested:
        rcp_row_end(activation, self.site, now)
    else:
        close_elsewhere(self, now)


cdef void close_elsewhere(End self, uint64_t now) noexcept:
    cdef const void *frame
    cdef rcp_activation_t *activation
    if self.nested:
        activation = owner_of_nested(self.owner, &frame)
        if activation != NULL:
            rcp_nested_end(activation, frame, self.site, now)
    else:
        activation = find_activation(self.mark)
        if activation != NULL:
            rcp_row_end(activation, self.site, now)


@cython.final
cdef class Start(Row):
    """Opens a row: ``start[last argument]``, or ``(~start)[call]``, where ``~start`` gives back the end probe."""

    cdef readonly End end

    def __init__(self, End end, str label):
        super().__init__(end.owner, end.site, end.nested, label)
        self.end = end

    def __getitem__(self, value):
        open_row(self)
        return value

    def __invert__(self):
        open_row(self)
        return self.end


cdef inline void open_row(Start self) noexcept:
    cdef rcp_activation_t *activation = recompyle_at_hand(recompyle_here, self.mark)
    if activation != NULL and not self.nested:
        rcp_row_start(activation, self.site, rcp_clock_ticks(self.clock))
    else:
        open_elsewhere(self)


cdef void open_elsewhere(Start self) noexcept:
    cdef const void *frame
    cdef rcp_activation_t *activation
    if self.nested:
        activation = owner_of_nested(self.owner, &frame)
        if activation != NULL:
            rcp_nested_start(activation, frame, self.site, rcp_clock_ticks(self.clock))
    else:
        activation = find_activation(self.mark)
        if activation != NULL:
            rcp_row_start(activation, self.site, rcp_clock_ticks(self.clock))


@cython.final
cdef class AsyncEnd(Probe):
    """Closes the row of an ``async for`` step that ended the loop or failed: ``probe[exception]``."""

    cdef readonly End end

    def __init__(self, End end, str label):
        self.end = end
        self.label = label

    def __getitem__(self, exception):
        if isinstance(exception, StopAsyncIteration):
            close_row(self.end)
        else:
            fail(self.end.owner, self.end.nested, exception)
        return exception


cdef class Mark(Probe):
    """Base of the probes that stand at a place of the function: ``~probe``."""

    cdef Profiled owner
    cdef readonly bint nested

    def __init__(self, Profiled owner, bint nested, str label):
        self.owner = owner
        self.nested = nested
        self.label = label


@cython.final
cdef class Handler(Mark):
    """Where an exception handler begins: a row that is still open was ended by that exception."""

    def __invert__(self):
        cdef rcp_activation_t *activation
        if not self.nested:
            activation = activation_of(<const void *>self.owner)
            if activation == NULL or activation.open_site == RCP_SITE_NONE:
                return None
        fail(self.owner, self.nested, PyErr_GetHandledException())
        return None


cdef uint32_t fail(Profiled owner, bint nested, exception) noexcept:
    """Close the frame's open row as ended by an exception; its site, RCP_SITE_NONE if none was open."""
    cdef uint64_t now = rcp_clock_ticks(owner.clock)
    cdef const void *mark = <const void *>owner
    cdef const void *frame
    cdef rcp_activation_t *activation = owner_of_nested(owner, &frame) if nested else activation_of(mark)
    if activation == NULL:
        return RCP_SITE_NONE
    if nested:
        return rcp_nested_fail(activation, frame, now, error_number(exception))
    return rcp_row_fail(activation, now, error_number(exception))


@cython.final
cdef class NestedUnwind(Probe):
    """An exception leaves nested code: ``probe[exception]``."""

    cdef Profiled owner

    def __init__(self, Profiled owner, str label):
        self.owner = owner
        self.label = label

    def __getitem__(self, exception):
        fail(self.owner, True, exception)
        return exception


# -- names of exception types, by number ---------------------------------------------------------------------

_error_numbers = {}
_error_names = [None]
_errors_lock = threading.Lock()


cdef uint32_t error_number(exception) noexcept:
    try:
        if exception is None:
            return 0
        name = type(exception).__name__
        number = _error_numbers.get(name)
        if number is None:
            with _errors_lock:
                number = _error_numbers.get(name)
                if number is None and len(_error_names) < MOST_ERRORS:
                    number = _error_numbers[name] = len(_error_names)
                    _error_names.append(name)
        return number or 0
    except Exception:
        return 0


# -- runs ----------------------------------------------------------------------------------------------------


@cython.final
cdef class Enter(Mark):
    """A run begins."""

    def __invert__(self):
        cdef Profiled owner = self.owner
        cdef const void *mark = <const void *>owner
        cdef uint64_t now = rcp_clock_ticks(owner.clock)
        cdef recompyle_thread_t *thread = thread_now()
        if thread != NULL:
            if owner.suspendable:
                rcp_enter_suspendable(&thread.runs, _table, frame_now(thread), mark, owner.site_count, now)
            else:
                rcp_enter(&thread.runs, frame_now(thread), mark, owner.site_count, now)
        return None


@cython.final
cdef class Suspend(Mark):
    """A generator hands a value to its consumer."""

    def __invert__(self):
        cdef uint64_t now = rcp_clock_ticks(self.owner.clock)
        cdef rcp_activation_t *activation = activation_of(<const void *>self.owner)
        if activation != NULL:
            rcp_suspend(activation, now)
        return None


@cython.final
cdef class Resume(Mark):
    """A generator goes on."""

    def __invert__(self):
        cdef rcp_activation_t *activation = activation_of(<const void *>self.owner)
        if activation != NULL:
            rcp_resume(activation, rcp_clock_ticks(self.owner.clock))
        return None


@cython.final
cdef class Exit(Mark):
    """A run ends by returning."""

    def __invert__(self):
        cdef uint64_t now = rcp_clock_ticks(self.owner.clock)
        cdef rcp_activation_t *activation = activation_of(<const void *>self.owner)
        if activation != NULL:
            end_run(self.owner, activation, now, None)
        return None


@cython.final
cdef class Unwind(Probe):
    """A run ends by an exception: ``probe[exception]``."""

    cdef Profiled owner

    def __init__(self, Profiled owner, str label):
        self.owner = owner
        self.label = label

    def __getitem__(self, exception):
        cdef uint64_t now = rcp_clock_ticks(self.owner.clock)
        cdef rcp_activation_t *activation = activation_of(<const void *>self.owner)
        if activation != NULL:
            rcp_resume(activation, now)
            end_run(self.owner, activation, now, exception)
        return exception


cdef inline void end_run(Profiled owner, rcp_activation_t *activation, uint64_t now, exception) noexcept:
    """Count the run; report it if somebody wants to know."""
    cdef uint64_t ticks = rcp_run_ticks(activation, now)
    rcp_hist_record(&owner.hist, ticks)
    if rcp_gate_slow(&owner.gate, ticks) or owner.every_run:
        finish(owner, activation, now, exception)
    else:
        rcp_leave(&recompyle_here.runs, _table, activation)


# -- reports -------------------------------------------------------------------------------------------------


cdef void finish(Profiled owner, rcp_activation_t *activation, uint64_t now, exception) noexcept:
    """Turn an activation into a raw run, give it back, and have the report delivered."""
    cdef bint left = False, nested = True
    try:
        nested = guard.making
        if nested:
            if rcp_gate_slow(&owner.gate, rcp_run_ticks(activation, now)):
                owner.count_slow()
            return
        guard.making = True
        run = _raw_run(owner, activation, now, exception)
        rcp_leave(&recompyle_here.runs, _table, activation)
        left = True
        deliver(owner, run)
    except KeyboardInterrupt:
        _interrupt_again()
    except BaseException:
        _complain(owner)
    finally:
        if not left:
            rcp_leave(&recompyle_here.runs, _table, activation)
        if not nested:
            guard.making = False


cdef deliver(Profiled owner, run):
    # The globals, for the names of callees, are lent to this one report: kept, they could never be freed, since the
    # garbage collector does not look into code objects.
    info = replace(owner.info, globals=<object>PyEval_GetGlobals())
    owner.deliver(info, run, owner)


cdef _interrupt_again():
    """Ctrl-C that arrived while a report was made: raise it in the profiled function, not in the probe."""
    _thread.interrupt_main()


cdef _complain(Profiled owner):
    """A fault of our own: told to the log, never to the profiled function. No fault: what a report needs may be gone
    when the interpreter ends."""
    try:
        if not sys.is_finalizing():
            logging.getLogger("recompyle").exception("the report of a run of %s could not be made", owner.info.name)
    except Exception:
        pass  # the log itself fails; there is nobody left to tell


cdef _raw_run(Profiled owner, rcp_activation_t *activation, uint64_t now, exception):
    cdef rcp_clock_t *clock = owner.clock
    cdef uint32_t failed = RCP_SITE_NONE, cursor = 0
    cdef uint64_t hits = 0
    cdef rcp_row_t row
    cdef bint suspect = _look_at_clock(clock)
    cdef uint64_t scale = rcp_clock_scale(clock)

    finished, raised = "return", None
    if exception is not None:
        finished = "close" if owner.suspendable and isinstance(exception, GeneratorExit) else "raise"
        failed = rcp_row_fail(activation, now, error_number(exception))
    rcp_cut(activation, now)
    rows = []
    while rcp_rows(activation, &cursor, &row):
        hits += 2 * row.tally.count
        rows.append((
            row.site,
            -1 if row.inside == RCP_SITE_NONE else <long>row.inside,
            row.tally.count,
            rcp_scale_ticks(scale, row.tally.total),
            rcp_scale_ticks(scale, row.tally.max),
            row.tally.max_index,
            rcp_scale_ticks(scale, row.tally.max_start),
            row.tally.errors,
            _error_names[row.tally.last_error] if row.tally.errors else None,
            row.unfinished,
        ))
    if exception is not None:
        raised = _describe(owner, exception, failed, activation.failed_site)
    cdef uint64_t total_ns = rcp_scale_ticks(scale, rcp_run_ticks(activation, now))
    cdef uint64_t elapsed_ns = rcp_scale_ticks(scale, now - activation.started)
    limit_ns = owner.limit_ns
    return RawRun(
        started_unix_ns=time.time_ns() - elapsed_ns,
        total_ns=total_ns,
        suspended_ns=rcp_scale_ticks(scale, activation.suspended),
        rows=rows,
        finished=finished,
        exception=raised,
        limit_ns=limit_ns,
        slow=0 <= limit_ns <= <object>total_ns,
        probes_ns=int((hits + 2) * (clock.read_ns + DISPATCH_NS)),
        clamped=activation.clamped,
        suspect=suspect,
        clock=rcp_clock_name(clock).decode(),
    )


cdef bint _look_at_clock(rcp_clock_t *clock):
    verdict = rcp_clock_check(clock)
    if verdict == RCP_CLOCK_UNRELIABLE:
        rcp_clock_fall_back(clock)
    rcp_clock_refine(clock)
    return verdict != RCP_CLOCK_SOUND


cdef _describe(Profiled owner, exception, uint32_t failed, uint32_t failed_before):
    """Type, text, line and site of the exception that leaves the function."""
    name, text = describe_exception(exception)
    traceback = exception.__traceback__
    line = traceback.tb_lineno if traceback is not None else None
    if failed == RCP_SITE_NONE and failed_before != RCP_SITE_NONE and line is not None:
        # A handler or `finally` closed the row on the exception's way out.
        site = owner.info.sites[failed_before]
        if site.line <= line <= site.end_line:
            failed = failed_before
    return name, text, line, -1 if failed == RCP_SITE_NONE else <long>failed
