"""The writer tries itself on the running interpreter before it is used for the first time.

Functions of every shape are written with every kind of site, checked instruction by instruction, run, and compared
with what the plain ones did. What an unknown build of CPython does differently is found here, and then nothing is
rewritten.
"""

from array import array
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

from . import verify
from .edit import WITHOUT_VALUE, Edit
from .points import Site
from .probes import SlotCounter


def _plain(n: int) -> list[int]:
    if n:
        return list(range(n))
    return []


def _loop(n: int) -> int:
    while n > 0:
        n -= 1
    return n


def _closure(n: int) -> Callable[[], int]:
    def inner() -> int:
        return n + 1

    return inner


def _generator(n: int) -> Any:
    try:
        got = yield n
    except KeyError:
        yield from iter((n,))
        got = None
    return got


async def _coroutine(n: int) -> int:
    async with _Manager():
        n += 1
    return n


class _Manager:
    async def __aenter__(self) -> object:
        return self

    async def __aexit__(self, *exc: object) -> bool:
        return False


def _try(n: int) -> float:
    try:
        return 1 / n
    except ZeroDivisionError as error:
        raise KeyError(n) from error
    finally:
        n += 1


def _thrown(made: Any) -> tuple[Any, ...]:
    return next(made), made.throw(KeyError()), *made


def _sent(made: Any) -> Any:
    try:
        made.send(None)
    except StopIteration as stop:
        return stop.value


def _raised(function: Callable[[int], object]) -> str:
    try:
        function(0)
    except KeyError as error:
        return f"{error!r} {type(error.__cause__).__name__}"
    return "nothing"


# Function, what is done with it, and how often each kind of site is reached meanwhile.
_CASES: list[tuple[Any, Callable[[Any], object], dict[str, int]]] = [
    (_plain, lambda f: (f(2), f(0)), {"entry": 2, "return": 2, "call": 2, "called": 2}),
    (_loop, lambda f: f(3), {"entry": 1, "return": 1}),
    (_closure(4), lambda f: f(), {"entry": 1, "return": 1}),
    (
        _generator,
        lambda f: _thrown(f(7)),
        {
            "created": 1, "entry": 1, "yield": 2, "resume": 1, "throw": 1, "handler": 1, "call": 1, "called": 1,
            "return": 1,
        },
    ),
    (
        _coroutine,
        lambda f: _sent(f(1)),
        {"created": 1, "entry": 1, "call": 1, "called": 1, "waiting": 2, "waited": 2, "return": 1},
    ),
    (
        _try,
        lambda f: (f(2), _raised(f)),
        {"entry": 2, "call": 1, "called": 1, "return": 1, "handler": 2, "unwind": 1},
    ),
]  # fmt: skip


def failure(
    sites: Callable[[CodeType], list[Site]], write: Callable[[CodeType, list[Edit]], CodeType]
) -> str | None:
    """What goes wrong on this interpreter, in words; None if nothing does. ``sites`` and ``write`` are under test."""
    for number, (function, use, expected) in enumerate(_CASES):
        form = ("statement", "value")[number % 2]
        try:
            found = _fault(_copy(function), use, expected, form, sites, write)
        except Exception as error:
            found = f"{type(error).__name__}: {error}"
        if found is not None:
            return f"{function.__name__}, form {form!r}: {found}"
    return None


def _copy(function: FunctionType) -> FunctionType:
    """Threads may come here at once: each has functions of its own."""
    return FunctionType(function.__code__, function.__globals__, function.__name__, None, function.__closure__)


def _fault(
    function: FunctionType,
    use: Callable[[Any], object],
    expected: dict[str, int],
    form: str,
    sites: Callable[[CodeType], list[Site]],
    write: Callable[[CodeType, list[Edit]], CodeType],
) -> str | None:
    original, plain_result = function.__code__, use(function)
    kinds = sorted({site.kind for site in sites(original)})
    hits = array("Q", bytes(8 * len(kinds)))
    calls: list[object] = []
    edits = [
        Edit(kind, SlotCounter(hits, at), "statement" if kind in WITHOUT_VALUE else form)
        for at, kind in enumerate(kinds)
    ]
    edits.append(Edit("entry", calls.append, "hook", argument=function.__name__))
    written = write(original, edits)
    if faults := verify.faults(original, written, edits):
        return faults[0]
    function.__code__ = written
    result = use(function)
    function.__code__ = original
    counted = {kind: count for kind, count in zip(kinds, hits, strict=True) if count}
    if result != plain_result:
        return f"gives {result!r} instead of {plain_result!r}"
    if counted != expected or calls != [function.__name__] * expected["entry"]:
        return f"counts {counted} and {len(calls)} calls of the hook instead of {expected}"
    if use(function) != plain_result or sum(hits) != sum(expected.values()):
        return "is not restored"
    return None
