"""`tracefunc`: the target's code is exchanged for the time of one call, and what its probes saw is handed over."""

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from inspect import CO_NESTED
from types import CodeType, FrameType, FunctionType, TracebackType
from typing import Any

from recompyle import patch
from recompyle.errors import NotRewritable, SourceNotFound
from recompyle.patch.resolve import functions_of
from recompyle.trace.passes import TraceStatements
from recompyle.trace.probes import Tracer
from recompyle.trace.results import TraceResults
from recompyle.trace.shared import is_shared

__all__ = ["Tracing", "tracefunc"]


def tracefunc(
    fn: Callable[..., Any],
    /,
    *args: Any,
    target_func: Any = None,
    incl_unhit: bool = False,
    max_calls: int = 10,
    max_samples: int = 10,
    max_repr: int = 50,
    **kwargs: Any,
) -> TraceResults:
    """Call a function once and tell how often each statement of a target ran, and what its variables held.

    A line is a statement, the header of a compound statement, an ``except`` or ``case`` header, or a comprehension. It
    is looked at when it has finished: an assignment shows its new value. Functions and classes defined inside the
    target are part of it. The target's code is exchanged for the time of the call, in place and for all threads; other
    tracers and debuggers are not touched and see the original program.

    Parameters:
        fn: what to call, with ``args`` and ``kwargs``.
        target_func: the function to trace; None: ``fn``. A method, a property and whatever else wraps functions stands
            for the functions behind it.
        incl_unhit: list the lines that never ran, too.
        max_calls: how many calls of the target are recorded; later ones are only counted.
        max_samples: how many times the variables of a line are read in one call; later hits are only counted.
        max_repr: the longest text of a value, in characters; longer ones end in ``...``.

    Returns:
        `TraceResults`: a list of ``(stack, {snippet: (hits, {name: [(type, text), ...]})})``, one entry for each
        call. What ``fn`` returned or raised is in its attributes. A generator or coroutine that ``fn`` returns runs
        later, and is not traced then.

    Raises:
        SourceNotFound: the target has no source, or is no Python function.
        SourceMismatch, NotRewritable: the source is not that of the running code, or the code cannot take probes.
        ValueError: a limit below 0.
        KeyboardInterrupt, SystemExit: as ``fn`` raised them. All its other exceptions are kept in ``exc``.
    """
    target = fn if target_func is None else target_func
    tracing = Tracing(
        fn, target_func is not None, incl_unhit=incl_unhit, max_calls=max_calls, max_samples=max_samples,
        max_repr=max_repr,
    )
    results = tracing.results
    with tracing.of(target):
        tracing.bottom = sys._getframe()
        try:
            results.result = fn(*args, **kwargs)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            results.exc = error.with_traceback(_below(error.__traceback__))
    return results


def _below(traceback: TracebackType | None) -> TracebackType | None:
    """A traceback without the frame of `tracefunc`."""
    return None if traceback is None else traceback.tb_next


class Tracing:
    """One tracing, from the first probe to the results.

    Parameters:
        fn: what is called; its folder is what paths in stacks are relative to.
        stacks: whether the stack of each call is wanted.
        options: see `tracefunc`.

    Attributes:
        results: the `TraceResults`; filled when the ``with`` block of `of` ends, however it ends.
        bottom: the frame that calls ``fn``: stacks begin above it. None: at the bottom of the thread.
    """

    def __init__(
        self, fn: Any = None, stacks: bool = False, *, incl_unhit: bool = False, max_calls: int = 10,
        max_samples: int = 10, max_repr: int = 50,
    ):
        for name, limit in (("max_calls", max_calls), ("max_samples", max_samples), ("max_repr", max_repr)):
            if limit < 0:
                raise ValueError(f"{name} must be at least 0, not {limit}")
        self.tracer = Tracer(max_calls, max_samples, max_repr, self._stack if stacks else None)
        self.results = TraceResults()
        self.bottom: FrameType | None = None
        self.folder = ""
        self._incl_unhit = incl_unhit
        self._patches = ExitStack()
        if stacks:
            with suppress(NotRewritable):  # then paths are shown as they are
                self.folder = os.path.dirname(os.path.abspath(functions_of(fn)[0].__code__.co_filename))

    def of(self, target: Any) -> "Tracing":
        """Put the probes into a target; a ``with`` block takes them out again."""
        try:
            functions = functions_of(target)
        except NotRewritable as refusal:
            raise SourceNotFound(f"there is no source to trace: {refusal}") from None
        with ExitStack() as stack:
            for function in functions:
                stack.enter_context(_applied(function, TraceStatements(self.tracer)))
            self._patches = stack.pop_all()
        return self

    def __enter__(self) -> "Tracing":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.bottom = None
        try:
            self._patches.close()
        finally:
            self.results.take(self.tracer.finish(), self.tracer.calls, self._incl_unhit)

    def _stack(self) -> str:
        """The frames from ``fn`` to the one that begins, one a line."""
        frames = []
        frame: FrameType | None = sys._getframe(1)
        first = True
        while frame is not None and frame is not self.bottom:
            code = frame.f_code
            line = code.co_firstlineno if first else frame.f_lineno
            frames.append(f"{code.co_qualname} ({self._shown(code)}:{line})")
            frame, first = frame.f_back, False
        return "\n".join(reversed(frames))

    def _shown(self, code: CodeType) -> str:
        path = code.co_filename
        if self.folder and os.path.isabs(path):
            with suppress(ValueError):  # Windows: another drive
                relative = os.path.relpath(path, self.folder)
                if not relative.startswith(os.pardir):
                    return relative
        return path


def _applied(function: FunctionType, made: TraceStatements) -> patch.Patch:
    """Put a pass on all functions of one code; on those to be made, too, where a function makes them."""
    if _is_nested(patch.pristine(function)):
        try:
            return patch.apply(function, made, scope="future")
        except NotRewritable as refusal:
            if refusal.slug != "not_nested":
                raise
        return patch.apply(function, made, scope="existing")
    return patch.apply(function, made, scope="existing" if is_shared(function) else "this")


def _is_nested(code: CodeType) -> bool:
    return bool(code.co_flags & CO_NESTED) or "<locals>" in code.co_qualname
