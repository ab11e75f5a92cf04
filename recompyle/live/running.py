"""How many calls still run code that a function had before."""

import gc
import sys
import weakref
from collections.abc import Iterable
from types import AsyncGeneratorType, CodeType, CoroutineType, FunctionType, GeneratorType
from typing import Any

__all__ = ["Frames"]

_FRAME_OF = {GeneratorType: "gi_frame", CoroutineType: "cr_frame", AsyncGeneratorType: "ag_frame"}


class Frames:
    """The frames of one function that run code other than its present one.

    No call begins on old code, so a count that has come down to 0 stays there, and nobody need look again.
    """

    def __init__(self) -> None:
        self._old: list[weakref.ref[CodeType]] = []
        self._suspended: list[weakref.ref[Any]] | None = None  # None: not looked for since the last change
        self._settled = True

    def changed(self, function: FunctionType, before: CodeType, flavor: str) -> None:
        """The function has got other code.

        Parameters:
            function: the function.
            before: the code that it had.
            flavor: whether calls of it may be suspended.
        """
        present = function.__code__
        old = [code for ref in self._old if (code := ref()) is not None and code is not present and code is not before]
        self._old = [weakref.ref(code) for code in (*old, before) if code is not present]
        self._suspended = [] if flavor == "plain" else None
        self._settled = False

    def count(self, search: bool = False) -> int | None:
        """How many there are now.

        Parameters:
            search: look for suspended generators and coroutines among all objects, if that was not done since the last
                change. Without it the answer is None as long as nobody has looked.
        """
        if self._settled:
            return 0
        codes = {id(code) for ref in self._old if (code := ref()) is not None}
        if self._suspended is None:
            if not search:
                return None
            self._suspended = [weakref.ref(each) for each in _suspended() if _runs(_frame(each), codes)]
        frames = _on_stacks(codes)
        for ref in self._suspended:
            each = ref()
            frame = None if each is None else _frame(each)
            if _runs(frame, codes):
                frames[id(frame)] = frame
        self._settled = not frames
        return len(frames)


def _on_stacks(codes: set[int]) -> dict[int, Any]:
    """The frames of all threads that run one of some code objects, by address."""
    found = {}
    stacks = sys._current_frames()
    for frame in list(stacks.values()):
        while frame is not None:
            if id(frame.f_code) in codes:
                found[id(frame)] = frame
            frame = frame.f_back  # type: ignore[assignment]
    stacks.clear()  # it holds this very frame
    return found


def _suspended() -> Iterable[Any]:
    """All generators, coroutines and asynchronous generators."""
    return (each for each in gc.get_objects() if type(each) in _FRAME_OF)


def _frame(each: Any) -> Any:
    return getattr(each, _FRAME_OF[type(each)])


def _runs(frame: Any, codes: set[int]) -> bool:
    return frame is not None and id(frame.f_code) in codes
