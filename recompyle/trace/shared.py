"""Whether other functions may run the code of a function; told without a search of all objects, which takes
milliseconds.

A function at the top of a module or class is made once. Others share its code only if somebody gave it to them, and
then the code is referred to more often than can be accounted for.
"""

import sys
from inspect import CO_OPTIMIZED
from types import CodeType, FrameType, FunctionType

from recompyle import _env
from recompyle.rewrite import origin

__all__ = ["is_shared"]


def is_shared(function: FunctionType) -> bool:
    """Whether a function's original code may have other holders; False only if it has none.

    The caller must not hold the code itself.
    """
    if _env.FREE_THREADED:  # there references are not all counted
        return True
    return _references(function) > _ALONE + _module_references(origin.of(function.__code__))


def _references(function: FunctionType) -> int:
    return sys.getrefcount(origin.of(function.__code__))


# Of code that has one function. How many more there are for the call depends on the interpreter.
_ALONE = _references(FunctionType((lambda: None).__code__.replace(co_name="alone"), {}))


def _module_references(code: CodeType) -> int:
    """How many modules and classes of this thread that are being run, such as the main one, hold a code object."""
    bodies: dict[int, CodeType] = {}
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if not frame.f_code.co_flags & CO_OPTIMIZED:
            bodies[id(frame.f_code)] = frame.f_code
        frame = frame.f_back
    found, work = 0, list(bodies.values())
    while work:
        for const in work.pop().co_consts:
            if const is code:
                found += 1
            elif type(const) is CodeType and not const.co_flags & CO_OPTIMIZED and id(const) not in bodies:
                bodies[id(const)] = const
                work.append(const)
    return found
