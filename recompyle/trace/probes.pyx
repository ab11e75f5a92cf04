"""What the tracer's probes record: which statement an activation is in, how often each ran, what its names held.

An activation is one run of one frame. It knows the statement that has begun last; when the next one begins, that one
has finished: it is counted and, the first few times, its variables are read. Once there are enough samples a statement
costs a load, a slot call, a comparison of frames and a counter. Activations of functions inside the target belong to
the call of the target that they run in.

All that is recorded belongs to the `Tracer` of one `tracefunc`: any number of them do not see each other.
"""

cimport cython

import builtins
from _thread import get_ident
from threading import main_thread

from cpython.object cimport PyObject
from libc.stdint cimport UINT64_MAX, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free

from recompyle._c.probe cimport Probe
from recompyle._c.state cimport recompyle_caller, recompyle_frame, recompyle_thread_state

cdef extern from "variables.h":
    ctypedef struct PyFrameObject:
        pass
    const void *recompyle_behind(PyFrameObject *frame) noexcept
    PyObject *recompyle_variable(PyFrameObject *frame, PyObject *name) except? NULL
    bint recompyle_borrows(PyFrameObject *frame, PyObject *name) noexcept

cdef extern from "Python.h":
    PyFrameObject *PyEval_GetFrame() noexcept  # borrowed
    PyFrameObject *PyFrame_GetBack(PyFrameObject *frame) noexcept  # a new reference
    PyObject *PyEval_GetGlobals() noexcept  # borrowed
    void Py_INCREF_ "Py_INCREF"(PyObject *)
    void Py_DECREF_ "Py_DECREF"(PyObject *)
    void PyErr_SetObject(object, object) noexcept
    int Py_AddPendingCall(int (*)(void *) noexcept, void *) noexcept
    void *PyInterpreterState_Get() noexcept
    void *PyInterpreterState_Main() noexcept


cdef struct Cell:
    uint64_t hits
    uint64_t limit  # up to so many hits are looked at more closely


cdef struct Activation:
    const void *frame  # NULL: not in use
    uint32_t current  # the statement that has begun; 0 for none
    Cell *cells  # of its call, one for each statement and one for none
    PyObject *trace  # `_Trace`, which the tracer owns; NULL for a call that is not recorded
    PyObject *statements  # `Statements`, only compared
    Activation *before  # what was at hand when it began
    Activation *next  # in its bucket, or among the unused
    Activation *made  # the one made before it


cdef enum:
    BUCKETS = 1024  # more open activations than these make chains

# Threads that take a sample: what `repr` calls is none of the program's doing.
_sampling = set()


cdef class Statements:
    """The statements of one rewritten function, numbered from 1: 0 stands for none.

    Parameters:
        listing: what they look like, for whoever shows them.
        names: for each statement the names to sample.
        cases: by the number of a ``match`` statement the numbers of its ``case`` headers.
    """

    cdef readonly object listing
    cdef tuple names
    cdef dict cases
    cdef uint32_t count

    def __init__(self):
        self.names, self.cases, self.count = ((),), {}, 1

    def fill(self, listing, names, cases):
        """Say what there is, once it is known; before anything runs."""
        self.listing = listing
        self.names = ((), *names)
        self.cases = cases
        self.count = len(self.names)


cdef class _Trace:
    """One call of the target."""

    cdef Cell *cells
    cdef Statements statements
    cdef list samples  # for each statement a dict from name to the list of its samples, None as long as there is none
    cdef object stack

    def __cinit__(self, Statements statements, uint64_t limit):
        cdef uint32_t i
        self.statements = statements
        self.samples = [None] * statements.count
        self.stack = ""
        self.cells = <Cell *>calloc(statements.count, sizeof(Cell))
        if self.cells == NULL:
            raise MemoryError
        for i in range(1, statements.count):
            # The end of a `match` has more to it than a count, each time.
            self.cells[i].limit = UINT64_MAX if i in statements.cases else limit

    def __dealloc__(self):
        free(self.cells)


cdef class Tracer:
    """What all probes of one `tracefunc` share.

    Parameters:
        max_calls: how many calls of the target are recorded.
        max_samples: how many samples are taken of each statement of a call.
        max_repr: the longest text of a value, in characters.
        stack: called with nothing when a recorded call begins, for the text of the stack; None: there is none.

    Attributes:
        calls: how many calls there were, those not recorded included.
    """

    cdef uint64_t max_calls, max_samples
    cdef Py_ssize_t max_repr
    cdef readonly uint64_t calls
    cdef object stack
    cdef list traces
    cdef bint closed
    cdef Activation *at_hand  # the one met last; it may belong to another run by now, and then its frame differs
    cdef Activation *unused
    cdef Activation *newest
    cdef Activation **buckets
    cdef Activation idle  # of the call that is not recorded
    cdef Cell *scratch

    def __cinit__(self, uint64_t max_calls, uint64_t max_samples, Py_ssize_t max_repr, stack):
        self.max_calls, self.max_samples, self.max_repr, self.stack = max_calls, max_samples, max_repr, stack
        self.traces = []
        self.buckets = <Activation **>calloc(BUCKETS, sizeof(Activation *))
        if self.buckets == NULL:
            raise MemoryError

    def __dealloc__(self):
        cdef Activation *each
        while self.newest != NULL:
            each = self.newest
            self.newest = each.made
            free(each)
        free(self.buckets)
        free(self.scratch)

    def finish(self):
        """Record nothing more.

        Returns:
            For each recorded call, in the order in which they began: the text of the stack, the listing of its
            statements, the hits of each, and of each a dict from name to samples, or None.
        """
        cdef _Trace each
        self.closed = True
        return [
            (
                each.stack,
                each.statements.listing,
                [each.cells[i].hits for i in range(1, each.statements.count)],
                each.samples[1:],
            )
            for each in self.traces
        ]

    # -- activations

    cdef Activation *find(self, const void *frame) noexcept:
        cdef Activation *found
        with cython.critical_section(self):
            found = self.buckets[bucket_of(frame)]
            while found != NULL and found.frame != frame:
                found = found.next
        return found

    cdef Activation *add(self, const void *frame, _Trace trace) noexcept:
        cdef Activation *made
        cdef Activation **bucket = &self.buckets[bucket_of(frame)]
        with cython.critical_section(self):
            made = self.unused
            if made != NULL:
                self.unused = made.next
            else:
                made = <Activation *>calloc(1, sizeof(Activation))
                if made != NULL:
                    made.made, self.newest = self.newest, made
            if made != NULL:
                made.frame = frame
                made.cells = trace.cells
                made.trace = <PyObject *>trace
                made.statements = <PyObject *>trace.statements
                made.current = 0
                made.next, bucket[0] = bucket[0], made
                made.before, self.at_hand = self.at_hand, made
        return made

    cdef void drop(self, const void *frame) noexcept:
        """Forget the activation of a frame, if it has one: it has ended, or its end was never seen."""
        cdef Activation **place = &self.buckets[bucket_of(frame)]
        cdef Activation *found
        with cython.critical_section(self):
            if self.idle.frame == frame:
                self.idle.frame = NULL
            while place[0] != NULL and place[0].frame != frame:
                place = &place[0].next
            found = place[0]
            if found != NULL:
                place[0] = found.next
                found.frame = NULL
                found.next, self.unused = self.unused, found
                self.at_hand = found.before

    cdef void pass_by(self, const void *frame, Statements statements) noexcept:
        """A call that is not recorded: its probes count into nothing, which is faster than to find that they need not."""
        if self.scratch == NULL:
            self.scratch = <Cell *>calloc(statements.count, sizeof(Cell))
        if self.scratch != NULL and self.idle.statements in (NULL, <PyObject *>statements):
            self.idle.statements = <PyObject *>statements
            self.idle.cells = self.scratch
            self.idle.current = 0
            self.idle.frame = frame
            self.at_hand = &self.idle

    # -- calls

    cdef void enter(self, Statements statements, bint nested, uint32_t first) noexcept:
        cdef const void *frame = frame_now()
        cdef Activation *outer
        cdef Activation *made
        cdef _Trace trace
        self.drop(frame)
        if self.closed or (_sampling and get_ident() in _sampling):
            return
        try:
            if nested:
                outer = self.outer(recompyle_caller(frame), statements)
                if outer == NULL:
                    return
                trace = <_Trace>outer.trace
            else:
                with cython.critical_section(self):
                    self.calls += 1
                    trace = _Trace(statements, self.max_samples) if <uint64_t>len(self.traces) < self.max_calls else None
                    if trace is not None:
                        self.traces.append(trace)
                if trace is None:
                    self.pass_by(frame, statements)
                    return
                if self.stack is not None:
                    self.note_stack(trace)
            made = self.add(frame, trace)
            if made != NULL:
                made.current = first
        except Exception:
            pass  # out of memory: the call is not recorded

    cdef void note_stack(self, _Trace trace) noexcept:
        cdef object thread = get_ident()
        _sampling.add(thread)
        try:
            trace.stack = self.stack()
        except BaseException as error:  # out of memory: the call is recorded without it
            _pass_on(error)
        finally:
            _sampling.discard(thread)

    cdef Activation *outer(self, const void *frame, Statements statements) noexcept:
        """The activation of the same function that a frame is, or runs in."""
        cdef Activation *found
        while frame != NULL:
            found = self.find(frame)
            if found != NULL and found.statements == <PyObject *>statements:
                return found
            frame = recompyle_caller(frame)
        return NULL

    # -- statements

    cdef void begin(self, uint32_t statement, bint raised) noexcept:
        """A statement begins in the running frame, after an exception or not: the one before has finished."""
        cdef const void *frame = frame_now()
        cdef Activation *here = self.at_hand
        cdef Cell *cell
        cdef uint32_t last
        if here == NULL or here.frame != frame:
            here = self.find(frame)
            if here == NULL:
                return
            self.at_hand = here
        last = here.current
        here.current = statement
        cell = &here.cells[last]
        cell.hits += 1
        if cell.hits <= cell.limit:
            self.look(here, last, raised)

    cdef void look(self, Activation *here, uint32_t last, bint raised) noexcept:
        """What is done beyond counting a hit, the first few times."""
        cdef _Trace trace
        if self.closed or here.trace == NULL:
            return
        trace = <_Trace>here.trace
        if here.cells[last].hits <= self.max_samples:
            self.sample(trace, last, here.frame)
        if not raised and last in trace.statements.cases:  # nothing matched
            for case in trace.statements.cases[last]:
                self.hit(trace, case, here.frame)

    cdef void hit(self, _Trace trace, uint32_t statement, const void *frame) noexcept:
        trace.cells[statement].hits += 1
        if trace.cells[statement].hits <= self.max_samples and not self.closed:
            self.sample(trace, statement, frame)

    cdef void sample(self, _Trace trace, uint32_t statement, const void *frame) noexcept:
        """Read what the names of a statement hold, in the running frame and those round it up to `frame`."""
        cdef object thread = get_ident()
        if thread in _sampling or not trace.statements.names[statement]:
            return
        _sampling.add(thread)
        try:
            held = trace.samples[statement]
            if held is None:
                held = trace.samples[statement] = {name: [] for name in trace.statements.names[statement]}
            for name, samples in held.items():
                samples.append(self.describe(name, frame))
        except BaseException as error:  # out of memory
            _pass_on(error)
        finally:
            _sampling.discard(thread)

    cdef describe(self, str name, const void *frame):
        """The type and the text of what a name holds."""
        try:
            value = value_of(name, frame)
        except NameError:
            return "NameError", "<unavailable>"
        try:
            text = str.__str__(repr(value))  # may be of a subclass, whose methods are the program's
        except BaseException as error:
            _pass_on(error)
            text = _repr_error(error)
        if len(text) > self.max_repr:
            text = (text[: max(self.max_repr - 3, 0)] + "...")[: self.max_repr]
        return type.__dict__["__name__"].__get__(type(value)), text


cdef void _pass_on(error) noexcept:
    """Raise in the program, not in the probe, what a handler of signals raised while a probe ran other code.

    Such handlers run in the main thread. What they raise cannot be told from what a ``repr`` raises; but what is no
    `Exception`, as `KeyboardInterrupt` and `SystemExit`, is meant to end the program.
    """
    if isinstance(error, Exception) or PyInterpreterState_Get() != PyInterpreterState_Main():
        return
    try:
        if get_ident() != main_thread().ident:
            return
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename.endswith("recompyle/trace/probes.pyx"):
            trace = trace.tb_next
        error.__traceback__ = trace
    except BaseException:
        return
    Py_INCREF_(<PyObject *>error)
    if Py_AddPendingCall(_raise, <void *>error) < 0:  # very many others wait
        Py_DECREF_(<PyObject *>error)


cdef int _raise(void *error) noexcept:
    PyErr_SetObject(type(<object>error), <object>error)
    Py_DECREF_(<PyObject *>error)
    return -1


def _repr_error(error):
    name = type.__dict__["__name__"].__get__(type(error))
    try:
        return f"<repr-error {name}: {error}>"
    except Exception:
        return f"<repr-error {name}>"


cdef value_of(str name, const void *last):
    """What a name holds: in the running frame, in those round it up to that at `last`, else globally."""
    cdef PyFrameObject *frame = PyEval_GetFrame()
    cdef PyFrameObject *back
    cdef PyObject *found = NULL
    Py_INCREF_(<PyObject *>frame)
    while frame != NULL:
        try:
            found = recompyle_variable(frame, <PyObject *>name)
        except BaseException:
            Py_DECREF_(<PyObject *>frame)
            raise
        if found != NULL or (recompyle_behind(frame) == last and not recompyle_borrows(frame, <PyObject *>name)):
            back = NULL
        else:
            back = PyFrame_GetBack(frame)
            if back != NULL and recompyle_behind(frame) == last:
                last = recompyle_behind(back)
        Py_DECREF_(<PyObject *>frame)
        frame = back
    if found != NULL:
        value = <object>found
        Py_DECREF_(found)
        return value
    names = <dict>PyEval_GetGlobals()
    if name in names:
        return names[name]
    names = names.get("__builtins__", builtins)
    names = names if isinstance(names, dict) else vars(names)
    if name in names:
        return names[name]
    raise NameError(name)


cdef inline const void *frame_now() noexcept:
    return recompyle_frame(recompyle_thread_state())


cdef inline size_t bucket_of(const void *frame) noexcept:
    return ((<uintptr_t>frame >> 3) * <uint64_t>0x9E3779B97F4A7C15) >> 54


# -- probes --------------------------------------------------------------------------------------------------


cdef class Traced(Probe):
    """Base of the tracer's probes.

    Parameters:
        tracer: what it reports to.
        label: see `Probe`.
    """

    cdef Tracer tracer

    def __init__(self, Tracer tracer, str label):
        self.tracer = tracer
        self.label = label

    def of(self, Tracer tracer):
        """The same probe of another tracer."""
        return type(self)(tracer, self.label)


cdef class Mark(Traced):
    """Base of what stands at a statement.

    Parameters:
        statement: its number.
    """

    cdef uint32_t statement

    def __init__(self, Tracer tracer, uint32_t statement, str label):
        super().__init__(tracer, label)
        self.statement = statement

    def of(self, Tracer tracer):
        return type(self)(tracer, self.statement, self.label)


@cython.final
cdef class Begin(Mark):
    """A statement begins: ``~probe``; or the match of an exception is tried: ``probe[type]``."""

    def __invert__(self):
        self.tracer.begin(self.statement, False)
        return None

    def __getitem__(self, value):
        self.tracer.begin(self.statement, True)
        return value


@cython.final
cdef class First(Mark):
    """The block of a header begins, by its first statement: the header was there before, if nobody saw it."""

    def __invert__(self):
        cdef Activation *here = self.tracer.at_hand
        cdef const void *frame = frame_now()
        if here == NULL or here.frame != frame:
            here = self.tracer.find(frame)
        if here != NULL and here.current != self.statement:
            self.tracer.begin(self.statement, True)
        return None


@cython.final
cdef class Case(Mark):
    """The block of a ``case`` begins: those before it were tried in vain."""

    cdef tuple earlier

    def __init__(self, Tracer tracer, uint32_t statement, tuple earlier, str label):
        super().__init__(tracer, statement, label)
        self.earlier = earlier

    def of(self, Tracer tracer):
        return Case(tracer, self.statement, self.earlier, self.label)

    def __invert__(self):
        cdef Activation *here = self.tracer.find(frame_now())
        self.tracer.begin(self.statement, True)
        if here != NULL and here.trace != NULL:
            for each in self.earlier:
                self.tracer.hit(<_Trace>here.trace, each, here.frame)
        return None


@cython.final
cdef class Element(Mark):
    """A comprehension makes an element: ``probe[element]``."""

    cdef Statements statements

    def __init__(self, Tracer tracer, Statements statements, uint32_t statement, str label):
        super().__init__(tracer, statement, label)
        self.statements = statements

    def of(self, Tracer tracer):
        return Element(tracer, self.statements, self.statement, self.label)

    def __getitem__(self, value):
        cdef const void *frame = frame_now()
        cdef Activation *here = self.tracer.at_hand
        if (
            here == NULL
            or here.statements != <PyObject *>self.statements
            or (here.frame != frame and here.frame != recompyle_caller(frame))
        ):
            here = self.tracer.outer(frame, self.statements)
        if here != NULL and here.trace != NULL:
            self.tracer.hit(<_Trace>here.trace, self.statement, here.frame)
        return value


@cython.final
cdef class Enter(Traced):
    """A run begins: ``~probe``.

    Parameters:
        statements: of the target.
        nested: whether it is a function inside the target.
        first: the statement that begins at once, as in a lambda; 0 for none.
    """

    cdef Statements statements
    cdef bint nested
    cdef uint32_t first

    def __init__(self, Tracer tracer, Statements statements, bint nested, uint32_t first, str label):
        super().__init__(tracer, label)
        self.statements = statements
        self.nested = nested
        self.first = first

    def of(self, Tracer tracer):
        return Enter(tracer, self.statements, self.nested, self.first, self.label)

    def __invert__(self):
        self.tracer.enter(self.statements, self.nested, self.first)
        return None


@cython.final
cdef class Leave(Traced):
    """A run ends: ``~probe`` by returning, ``probe[exception]`` by an exception."""

    def __invert__(self):
        self.tracer.begin(0, False)
        self.tracer.drop(frame_now())
        return None

    def __getitem__(self, exception):
        self.tracer.begin(0, True)
        self.tracer.drop(frame_now())
        return exception
