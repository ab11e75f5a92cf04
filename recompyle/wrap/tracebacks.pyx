"""Takes the frames of wrappers out of tracebacks.

Only frames are left out; what line and column the others show is the source's anyhow, as rewritten code keeps its
positions. Nothing here is written in Python, so that tracers of a program that fails do not meet it.
"""

import functools
import types

from recompyle._c.probe cimport Probe
from recompyle.rewrite import origin
from recompyle.wrap.extras import CallExtras
from recompyle.wrap.probes import CallProbe

SUSPENDED = 0x20 | 0x80 | 0x200  # a generator, a coroutine, an asynchronous generator

_FUNCTION = types.FunctionType
_GROUP = BaseExceptionGroup

# The exception itself is not asked: its class may forbid attributes (a frozen dataclass) or have its own idea of them.
_traceback = BaseException.__dict__["__traceback__"]
_cause = BaseException.__dict__["__cause__"]
_context = BaseException.__dict__["__context__"]
_parts = BaseExceptionGroup.__dict__["exceptions"]


def functions_behind(wrapper):
    """The Python functions that may have a frame when a wrapper is called.

    That is the function itself, of a method its function, of a `functools.partial` or another decorator that says
    so by ``__wrapped__`` those of what it holds, of a class its ``__init__`` and ``__new__``, and of any other
    object its class's ``__call__``. What is written in C has no frame.

    Parameters:
        wrapper: any callable.

    Returns:
        A tuple of functions.
    """
    found = []
    work = [wrapper]
    met = set()
    while work:
        each = work.pop()
        if id(each) in met:
            continue
        met.add(id(each))
        kind = type(each)  # a proxy or a mock may say that it is something else
        if kind is _FUNCTION:
            found.append(each)
        elif kind is types.MethodType:
            work.append(each.__func__)
        elif issubclass(kind, functools.partial):
            work.append(each.func)
        elif issubclass(kind, type):
            work += [_plain(each, "__new__"), _plain(each, "__init__")]
        else:
            work.append(_plain(kind, "__call__"))
        work.append(_held(each))
    return tuple(found)


cdef _held(each):
    """What an object keeps as ``__wrapped__``. It is not asked: a proxy may have an answer to everything."""
    try:
        return object.__getattribute__(each, "__dict__").get("__wrapped__")
    except AttributeError:
        return None


cdef _plain(kind, name):
    """An attribute of a class as it stands there; None if it is not a function in any of the usual coats."""
    for each in kind.__mro__:
        if name in vars(each):
            value = vars(each)[name]
            value = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
            return value if isinstance(value, _FUNCTION) else None
    return None


cdef list _chain(exception):
    """An exception, its causes and contexts, and the parts of groups: each once."""
    found = []
    met = set()
    work = [exception]
    while work:
        each = work.pop()
        if each is None or id(each) in met:
            continue
        met.add(id(each))
        found.append(each)
        work += [_cause.__get__(each), _context.__get__(each)]
        if issubclass(type(each), _GROUP):
            work += _parts.__get__(each)
    return found


cdef _behind(traceback, functions):
    """What follows the frames of a wrapper at the head of a traceback.

    Each function has one frame at most, but for those that wait: a wrapper may await tasks that are its own
    coroutines, as with `asyncio.gather`.
    """
    rest = list(functions)
    while traceback is not None:
        code = origin.of(traceback.tb_frame.f_code)
        for i in range(len(rest)):
            if origin.of(rest[i].__code__) is code:
                if not code.co_flags & SUSPENDED:
                    del rest[i]
                break
        else:
            break
        traceback = traceback.tb_next
    return traceback


class Tidy:
    """Takes a wrapper's frames off an exception that has just left the wrapper.

    Those are the first in its traceback. What the wrapper itself caught and hands on as cause or context begins
    with them too.
    """

    __slots__ = ("functions",)

    def __init__(self, functions):
        self.functions = functions

    def __call__(self, exception):
        for each in _chain(exception):
            traceback = _traceback.__get__(each)
            rest = _behind(traceback, self.functions)
            if rest is not traceback:
                _traceback.__set__(each, rest)


cdef class CleanProbe(Probe):
    """Stands where an exception is caught or leaves, in functions whose wrapper runs on after the call itself.

    Parameters:
        functions: those behind the wrapper, as `functions_behind` gives them.
        label: shown where code is shown.
    """

    cdef readonly tuple functions

    def __init__(self, tuple functions, str label):
        self.functions = functions
        self.label = label

    def __getitem__(self, exception):
        clean(exception, self.functions)
        return exception


def clean(exception, only=None):
    """Take the frames of wrappers out of an exception, its causes, contexts and parts.

    Parameters:
        exception: changed in place.
        only: functions; frames of others stay. None: those of all wrappers go.
    """
    for each in _chain(exception):
        head = _traceback.__get__(each)
        if head is None:
            continue
        # Caught inside a wrapper, or by a task made of one, the traceback begins there. By hand, the frame's caller tells.
        caller = head.tb_frame.f_back
        known = only if only is not None else _wrappers_in(caller.f_code, None) if caller is not None else ()
        rest = _behind(head, known)
        if rest is not head:
            _traceback.__set__(each, rest)
            head = rest
        while head is not None:
            rest = _behind(head.tb_next, _wrappers_in(head.tb_frame.f_code, only))
            if rest is not head.tb_next:
                head.tb_next = rest
            head = rest


cdef _wrappers_in(code, only):
    """The functions behind the wrappers that calls of a code object go through: all of them, or some only."""
    extras = [each.extras if type(each) is CallProbe else each for each in code.co_consts]
    wrappers = {id(each._wrapper): each._wrapper for each in extras if type(each) is CallExtras}
    found = [function for wrapper in wrappers.values() for function in functions_behind(wrapper)]
    return found if only is None else [each for each in found if any(each is one for one in only)]
