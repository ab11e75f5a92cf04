"""What generated programs work on: objects that note every special method, and drivers for what can be suspended.

Whether an object is true, what it raises, what it iterates over: all is decided by how many things were noted before
(`_fate`). So a program is deterministic, takes ever other ways, and whatever a rewrite does twice, late or not at all
changes everything that comes after. Nothing goes on for ever: after `LIMIT` notes each further one raises `Enough`.
"""

from __future__ import annotations

import gc
import sys
import traceback
import zlib
from collections.abc import Callable, Iterator
from typing import Any

LIMIT = 150

notes: list[str] = []
deaths: list[str] = []  # destructors, each with the number of notes before it
_salt = _limit = 0


class Boom(Exception):
    """What an object raises every now and then."""


class Enough(BaseException):
    """The program has noted as much as it may."""


def start(salt: int) -> None:
    """A program begins: each has a fate of its own."""
    global _salt, _limit
    _salt, _limit = salt, LIMIT
    notes.clear()
    deaths.clear()


def begin() -> None:
    """Forget what was noted and change the fate. The collector would run at other times in rewritten code."""
    global _salt
    _salt += 1
    gc.collect(0)
    gc.disable()
    notes.clear()
    deaths.clear()


def finish(show_deaths: bool) -> None:
    """Print what was noted."""
    print(*notes, sep="\n")
    if show_deaths:
        print(*deaths, sep="\n")
    gc.enable()


def note(text: str) -> None:
    """Write something down. Raises `Enough` when the program has gone on for long enough."""
    notes.append(text)
    if len(notes) > _limit:
        raise Enough(len(notes))


def keep(function: Any) -> Any:
    """A decorator that changes nothing."""
    note("keep")
    return function


def tick() -> bool:
    """Whether a loop without a test of its own ends now."""
    note("tick")
    return _fate(2) == 0


def _fate(size: int) -> int:
    """A number below ``size`` that follows from how much was noted."""
    return zlib.crc32(b"%d %d" % (_salt, len(notes))) % size


def _show(value: object) -> str:
    return value.name if isinstance(value, O) else repr(value)


def _noted(self: O, what: str, *arguments: object) -> None:
    """Note a method and, once in a while, raise."""
    note(f"{self.name}.{what}({', '.join(map(_show, arguments))})")
    if _fate(70) == 0:
        raise (Boom, KeyError, TypeError, ValueError)[_fate(4)](f"{self.name}.{what}")


class O:  # noqa: E742  short, as it stands in every program
    """An object that can be used in every way and notes each."""

    __hash__: Callable[[O], int]  # type: ignore[assignment]

    def __init__(self, name: str) -> None:
        self.__dict__["name"] = name

    def __repr__(self) -> str:
        return f"<{self.name}>"

    def __del__(self) -> None:
        deaths.append(f"{len(notes)} {self.name}")

    def __getattr__(self, name: str) -> Any:
        if name.endswith("__"):
            raise AttributeError(name)
        _noted(self, "get", name)
        return O(f"{self.name}.{name}"[-20:])

    def __setattr__(self, name: str, value: object) -> None:
        _noted(self, "set", name, value)

    def __delattr__(self, name: str) -> None:
        _noted(self, "delete", name)

    def __call__(self, *arguments: object, **named: object) -> Any:
        _noted(self, "call", *arguments, *named.items())
        return O(f"r{len(notes)}")

    def __iter__(self) -> Iterator[Any]:
        _noted(self, "iter")
        return Items(self.name)

    def __aiter__(self) -> Any:
        _noted(self, "aiter")
        return AsyncItems(self.name)

    def __await__(self) -> Any:
        _noted(self, "await")
        return Items(self.name)

    def keys(self) -> list[str]:
        _noted(self, "keys")
        return ["k", "l"][: _fate(3)]

    def __enter__(self) -> Any:
        _noted(self, "enter")
        return O(f"e{len(notes)}")

    def __exit__(self, kind: Any, error: Any, tb: Any) -> Any:
        _noted(self, "exit", kind, error)
        return _fate(3) == 0

    async def __aenter__(self) -> Any:
        _noted(self, "aenter")
        return await O(f"e{len(notes)}")

    async def __aexit__(self, kind: Any, error: Any, tb: Any) -> Any:
        _noted(self, "aexit", kind, error)
        return _fate(3) == 0

    def __bool__(self) -> bool:
        _noted(self, "bool")
        return _fate(2) == 0

    def __len__(self) -> int:
        _noted(self, "len")
        return _fate(4)

    def __index__(self) -> int:
        _noted(self, "index")
        return _fate(3)

    def __contains__(self, item: object) -> bool:
        _noted(self, "contains", item)
        return _fate(2) == 0

    def __str__(self) -> str:
        if sys._getframe(1).f_code.co_name == "describe_exception":
            return self.name  # a report asks an exception for its text, and that its arguments; documented
        _noted(self, "str")
        return f"s{len(notes)}"

    def __format__(self, spec: str) -> str:
        _noted(self, "format", spec)
        return f">{_fate(9) + 1}"  # a format as well, for one inside another


def _operation(name: str, sometimes_not: bool, inplace: bool) -> Callable[..., Any]:
    def method(self: O, *arguments: object) -> Any:
        _noted(self, name, *arguments)
        if sometimes_not and _fate(50) == 0:
            return NotImplemented
        return self if inplace and _fate(2) else O(f"o{len(notes)}")

    method.__name__ = method.__qualname__ = f"__{name}__"
    return method


_BINARY = ["add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "pow", "lshift", "rshift", "and", "or", "xor"]
for _name in _BINARY:
    for _form in ("", "r", "i"):
        setattr(O, f"__{_form}{_name}__", _operation(_form + _name, True, _form == "i"))
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(O, f"__{_name}__", _operation(_name, True, False))
for _name in ("neg", "pos", "invert", "getitem", "setitem", "delitem"):
    setattr(O, f"__{_name}__", _operation(_name, False, False))


def _hash(self: O) -> int:
    _noted(self, "hash")
    return zlib.crc32(self.name.encode())


O.__hash__ = _hash


class Items:
    """A few objects; also what waiting for an object yields."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.left = _fate(4)

    def __iter__(self) -> Items:
        return self

    def __next__(self) -> Any:
        note(f"{self.name}.next")
        if not self.left:
            raise StopIteration(O(f"w{len(notes)}"))
        self.left -= 1
        return O(f"i{len(notes)}")

    def send(self, value: object) -> Any:
        note(f"{self.name}.send({_show(value)})")
        return next(self)


class AsyncItems(Items):
    async def __anext__(self) -> Any:
        note(f"{self.name}.anext")
        if not self.left:
            raise StopAsyncIteration
        self.left -= 1
        return await O(f"i{len(notes)}")


# -- drivers


def seen(error: BaseException) -> None:
    """Called with each exception that a program ends with, before it is shown; to be replaced."""


def attempt(function: Callable[..., Any], *arguments: object) -> None:
    """Call a function, run to its end what it gives, and print everything that came of it."""
    global _limit
    _limit = len(notes) + LIMIT
    try:
        result = function(*arguments)
        if hasattr(result, "asend"):
            result = _iterate(result)
        if hasattr(result, "send"):
            result = _drive(result)
        print("returned", type(result).__name__, _safely(result))
    except BaseException as error:
        seen(error)
        print("raised", *_chain(error), sep="\n  ")
        print("".join(traceback.TracebackException(type(error), error, error.__traceback__).format()))


def _drive(suspended: Any) -> Any:
    """Send, throw and close, as fate has it, and show the locals at each stop."""
    value: Any = None
    for _ in range(8):
        action = _fate(12) if value is not None else 2
        try:
            if action == 0:
                note("throw")
                got = suspended.throw(Boom("thrown"))
            elif action == 1:
                note("close")
                suspended.close()
                return "closed"
            else:
                note("send")
                got = suspended.send(value)
        except StopIteration as stop:
            return stop.value
        value = O(f"v{len(notes)}")
        _stopped(getattr(suspended, "gi_frame", None) or getattr(suspended, "cr_frame", None), got)
    suspended.close()
    return "left"


async def _iterate(generator: Any) -> Any:
    """As `_drive`, for an asynchronous generator."""
    value: Any = None
    for _ in range(6):
        action = _fate(12) if value is not None else 2
        try:
            if action == 0:
                note("athrow")
                got = await generator.athrow(Boom("thrown"))
            elif action == 1:
                note("aclose")
                await generator.aclose()
                return "closed"
            else:
                note("asend")
                got = await generator.asend(value)
        except StopAsyncIteration:
            return "ended"
        value = O(f"v{len(notes)}")
        _stopped(generator.ag_frame, got)
    await generator.aclose()
    return "left"


def _stopped(frame: Any, got: object) -> None:
    """Print where something stopped. The frame is not kept: it would keep the driver's frame, and that it."""
    if frame is not None:
        print("stops with", _safely(got), "at", frame.f_lineno, end=" ")
        print({name: _safely(each) for name, each in frame.f_locals.items()})


def _safely(value: Any) -> str:
    """A representation that notes nothing and is not too long."""
    return repr(value)[:300]


def _chain(error: BaseException) -> Iterator[str]:
    """An exception and all it is linked with: type, arguments, cause, context, parts."""
    work, known = [("", error)], set()
    while work:
        role, each = work.pop()
        if id(each) in known:
            yield f"{role} again"
            continue
        known.add(id(each))
        yield f"{role} {type(each).__name__}{each.args!r:.200} {each.__suppress_context__}"
        linked = {"cause": each.__cause__, "context": each.__context__}
        if isinstance(each, BaseExceptionGroup):
            linked |= {f"part {i}": part for i, part in enumerate(each.exceptions)}
        work += [(f"{role}.{name}", other) for name, other in linked.items() if other is not None]
