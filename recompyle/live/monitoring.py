"""The other engine: events of ``sys.monitoring``, from 3.12, in the place of rewritten code.

The code object stays as it is. It serves all functions that share it, and a hit costs somewhat more.
"""

import sys
import weakref
from types import CodeType, FunctionType
from typing import Any

from recompyle.errors import NotRewritable
from recompyle.live._guard import Events, Guard, Hits
from recompyle.rewrite import origin

__all__ = ["Watched", "check_usable"]

TOOLS = (3, 4)  # the others are known as debugger, coverage, profiler and optimizer
NAME = "recompyle.live"

_monitoring: Any = getattr(sys, "monitoring", None)


class Watched:
    """One function whose starts are counted; what `recompyle.Patch` is for rewritten code.

    Parameters:
        function: the function.
        probe: its counter or guard.

    Attributes:
        state: ``"active"`` or ``"restored"``.
    """

    def __init__(self, function: FunctionType, probe: Hits | Guard):
        self._function = weakref.ref(function)
        self._code = weakref.ref(origin.of(function.__code__))
        self._probe = probe
        self.state = "restored"

    def begin(self, other: "Watched | None" = None) -> None:
        """Watch it from now on.

        Parameters:
            other: what has watched it until now, and does no more.

        Raises:
            NotRewritable: there is no ``sys.monitoring``, or no tool id is free (slug ``no_monitoring``).
        """
        check_usable()
        self.state = "active"
        function = self._function()
        try:
            if function is not None:
                _tool.watch(function, self._probe)
        except BaseException:
            self.restore()
            if other is not None:
                other.begin()
            raise
        if other is not None:
            other.state = "restored"

    def restore(self) -> None:
        """Watch it no more."""
        function, code = self._function(), self._code()
        codes = [each for each in (code, None if function is None else function.__code__) if each is not None]
        _tool.unwatch(codes, self._probe)
        self.state = "restored"


class _Tool:
    """The tool id, held while anything is watched."""

    def __init__(self) -> None:
        self._id: int | None = None
        self._events = Events(self._missed)

    def watch(self, function: FunctionType, probe: Hits | Guard) -> None:
        self._claim()
        code = function.__code__
        for each in (code, origin.of(code)):  # whichever it has when other patches come and go
            self._events.probes[id(each)] = probe
        self._switch(code, True)

    def unwatch(self, codes: list[CodeType], probe: Hits | Guard) -> None:
        for code in codes:
            self._switch(code, False)
        for key in [key for key, held in self._events.probes.items() if held is probe]:
            del self._events.probes[key]
        if not self._events.probes:
            self._release()

    def number(self) -> int:
        """The tool id that is held, or could be."""
        if self._id is not None:
            return self._id
        if _monitoring is None:
            raise NotRewritable("sys.monitoring came with Python 3.12", "no_monitoring")
        free = [each for each in TOOLS if _monitoring.get_tool(each) is None]
        if not free:
            holders = " and ".join(repr(_monitoring.get_tool(each)) for each in TOOLS)
            raise NotRewritable(f"the tool ids {TOOLS[0]} and {TOOLS[1]} are held by {holders}", "no_monitoring")
        return free[0]

    def _claim(self) -> None:
        if self._id is not None:
            return
        self._id = self.number()
        _monitoring.use_tool_id(self._id, NAME)
        _monitoring.register_callback(self._id, _monitoring.events.PY_START, self._events)

    def _release(self) -> None:
        if self._id is not None:
            _monitoring.register_callback(self._id, _monitoring.events.PY_START, None)
            _monitoring.free_tool_id(self._id)
            self._id = None

    def _switch(self, code: CodeType, on: bool) -> None:
        if self._id is not None:
            _monitoring.set_local_events(self._id, code, _monitoring.events.PY_START if on else 0)

    def _missed(self, code: CodeType) -> Hits | Guard | None:
        """Code that another patch made of a watched one: the events went with it."""
        probe = self._events.probes.get(id(origin.of(code)))
        if probe is not None:
            self._events.probes[id(code)] = probe
        return probe


_tool = _Tool()


def check_usable() -> None:
    """Make sure that functions can be watched.

    Raises:
        NotRewritable: as of `Watched`.
    """
    _tool.number()
