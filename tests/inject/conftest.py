"""Probes that keep a log, and functions written with them."""

import types

import pytest

from recompyle import inject
from recompyle.inject import verify

KINDS = ("entry", "return", "unwind", "handler", "yield", "resume", "waiting", "waited", "async_end")


class Probe:
    """Logs its kind each time it runs, in either form; the value form also logs the value's type."""

    def __init__(self, kind, log):
        self.kind = kind
        self.log = log

    def __invert__(self):
        self.log.append(self.kind)

    def __getitem__(self, value):
        self.log.append((self.kind, type(value).__name__))
        return value

    __hash__ = None  # a constant that is hashed or compared raises

    def __eq__(self, other):
        raise AssertionError("a probe was compared")


@pytest.fixture
def write():
    """``write(func_or_code, *kinds, value=()) -> (written, log)``, verified. No kinds: all of them.

    With ``implicit`` also at the sites that nobody wrote.
    """

    def write(target, *kinds, value=(), implicit=False):
        code = getattr(target, "__code__", target)
        log = []
        edits = [
            inject.Edit(kind, Probe(kind, log), "value" if kind in value else "statement", include_implicit=implicit)
            for kind in kinds or KINDS
        ]
        written = inject.write(code, edits)
        assert verify.faults(code, written, edits) == []
        if code is target:
            return written, log
        function = types.FunctionType(
            written, target.__globals__, target.__name__, target.__defaults__, target.__closure__
        )
        function.__kwdefaults__ = target.__kwdefaults__
        return function, log

    return write
