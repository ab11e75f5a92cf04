"""Gives a function other code in place, and puts the old code back as if nothing had been.

A swap is one ordinary assignment of ``__code__``: audit hooks see it, identity, defaults, closure and
attributes of the function stay, and frames that run already keep the code they began with. What CPython does
not check or not carry over by itself is done here: free variables and kind must be equal, and the events that
tools of ``sys.monitoring`` asked for on the old code object move on to the new one.

From 3.13 an assignment clears the *version* of the function for good. Call sites recognise a function by its
version, so they stay on the general path, some nanoseconds a call slower, even after the old code is back.
``unswap`` therefore writes the old version back. While other code is in place the version stays cleared:
traces of the just-in-time compiler that carry the old body then do not match. 3.11 and 3.12 issue a new version
on demand and must be left to do so: there specialised call sites rely on the number of defaults, and an old
version together with changed defaults crashes.
"""

import sys
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR, CO_ITERABLE_COROUTINE, CO_VARARGS, CO_VARKEYWORDS
from types import CodeType, FunctionType

from recompyle._env import FREE_THREADED
from recompyle.errors import NotRewritable

from libc.stdint cimport uint32_t

cdef extern from *:
    """
    #if PY_VERSION_HEX >= 0x030D0000
    #define RCP_FIRST_VALID_VERSION 2  /* 0: never had one; 1: cleared by an assignment */
    static inline uint32_t rcp_function_version(PyObject *f) { return ((PyFunctionObject *)f)->func_version; }
    static inline void rcp_write_function_version(PyObject *f, uint32_t version)
    {
        if (version >= RCP_FIRST_VALID_VERSION
                && ((PyFunctionObject *)f)->func_version < RCP_FIRST_VALID_VERSION) {
            ((PyFunctionObject *)f)->func_version = version;
        }
    }
    #else
    static inline uint32_t rcp_function_version(PyObject *f) { return 0; }
    static inline void rcp_write_function_version(PyObject *f, uint32_t version) { }
    #endif
    """
    uint32_t rcp_function_version(object function)
    void rcp_write_function_version(object function, uint32_t version)

KIND = CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR | CO_ITERABLE_COROUTINE
REST = CO_VARARGS | CO_VARKEYWORDS
TOOLS = range(6)


def check(func, code):
    """Tells whether a function may be given a code object; changes nothing.

    Parameters:
        func: a Python function.
        code: the code object that is to run instead.

    Raises:
        TypeError: not a Python function, or not a code object.
        NotRewritable: the code does not fit the function.
    """
    if type(func) is not FunctionType:
        raise TypeError(f"a Python function is needed, not {type(func).__name__}")
    if type(code) is not CodeType:
        raise TypeError(f"a code object is needed, not {type(code).__name__}")
    old = func.__code__
    # CPython compares only how many there are. Names in another order would exchange the cells in silence.
    if code.co_freevars != old.co_freevars:
        raise NotRewritable(
            f"{func.__qualname__}: the new code has the free variables {code.co_freevars}, "
            f"the function has {old.co_freevars}",
            "freevars",
        )
    if (code.co_flags ^ old.co_flags) & KIND:
        raise NotRewritable(f"{func.__qualname__}: the new code makes it another kind of function", "kind")
    if _arguments(code) != _arguments(old):
        raise NotRewritable(f"{func.__qualname__}: the new code takes other arguments", "kind")


cdef _arguments(code):
    """What a caller, the defaults and keywords rely on."""
    named = code.co_argcount + code.co_kwonlyargcount
    return (
        code.co_argcount,
        code.co_posonlyargcount,
        code.co_kwonlyargcount,
        code.co_flags & REST,
        code.co_varnames[:named],
    )


def swap(func, code):
    """Makes a function run other code.

    Parameters:
        func: a Python function; calls that run already end in the code they began with.
        code: the code object to run from now on.

    Returns:
        What `unswap` needs to give call sites their speed back; of no other use.

    Raises:
        TypeError: not a Python function, or not a code object.
        NotRewritable: the code does not fit, an audit hook forbade the assignment, or other threads run without
            the global interpreter lock. The function is unchanged.
    """
    check(func, code)
    _refuse_race(func)
    saved = (rcp_function_version(func), _shape(func.__defaults__), _shape(func.__kwdefaults__))
    _assign(func, code)
    return saved


def unswap(func, expected, original, saved):
    """Puts the old code back, unless somebody else has changed the function meanwhile.

    Parameters:
        func: a Python function.
        expected: the code object that `swap` put in place last.
        original: the code object to put back.
        saved: what the first `swap` of the function returned.

    Returns:
        True if the old code is back; False if the function runs neither: then nothing was touched.

    Raises:
        NotRewritable: as `swap`; `expected` stays in place.
    """
    if func.__code__ is not expected:
        return False
    _refuse_race(func)
    _assign(func, original)
    # From here to the end no Python code runs, hence nobody can come in between.
    version, defaults, kwdefaults = saved
    if (
        func.__code__ is original
        and _shape(func.__defaults__) == defaults
        and _shape(func.__kwdefaults__) == kwdefaults
    ):
        rcp_write_function_version(func, version)
    return True


cdef _shape(defaults):
    """Tells one tuple or dictionary of defaults from another without keeping it alive.

    Defaults may refer to the function, so whoever holds them holds the function. The address names the object,
    and together with the length, which is all that a call site could have relied on, a reused address does no
    harm.
    """
    return None if defaults is None else (id(defaults), len(defaults))


cdef _assign(func, code):
    _copy_events(func.__code__, code)
    try:
        func.__code__ = code
    except Exception as veto:  # everything else that could fail was checked: an audit hook has spoken
        raise NotRewritable(f"{func.__qualname__}: an audit hook forbade the change: {veto}", "audit") from veto


cdef _copy_events(old, new):
    """Carries over what tools asked for on this code alone; events they disabled there are seen once more."""
    monitoring = getattr(sys, "monitoring", None)
    if monitoring is None:
        return
    for tool in TOOLS:
        if monitoring.get_tool(tool) is not None:
            events = monitoring.get_local_events(tool, old)
            if events != monitoring.get_local_events(tool, new):
                monitoring.set_local_events(tool, new, events)


cdef _refuse_race(func):
    if FREE_THREADED and not sys._is_gil_enabled() and len(sys._current_frames()) > 1:
        raise NotRewritable(
            f"{func.__qualname__}: without the global interpreter lock code cannot be exchanged "
            "while more than one thread runs",
            "free_threaded",
        )
