"""What is patched, and how patches pile up on one function.

Each patch of a function is a layer. The code that runs is always built from the pristine code with all
layers together, so layers go in any order; with the last one gone the function has its own code object back.
Functions are known by identity and referred to weakly: the registry keeps none alive, and nothing is stored
on them, where `functools.wraps` would copy it.

Everything is built and checked before the first function is touched, and if a swap fails, those already done
are undone.
"""

import contextlib
import gc
import os
import threading
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from types import CodeType, FunctionType
from typing import Any

from recompyle import _env
from recompyle.errors import NotRewritable, RecompyleError, RecompyleWarning
from recompyle.patch import builds
from recompyle.patch.resolve import functions_of, is_pattern, resolve
from recompyle.patch.swap import check, swap, unswap
from recompyle.rewrite import origin
from recompyle.rewrite.order import in_order

__all__ = ["Patch", "apply", "pause", "pristine", "restore"]

SCOPES = ("this", "existing")


class Patch:
    """A handle on what one `apply` did; a context manager that undoes it.

    The patch stays in place whether the handle is kept or not.

    Attributes:
        passes: the passes it was made with.
        skipped: functions that a pattern named but that could not be rewritten: pairs of name and reason.
    """

    def __init__(self, passes: tuple[Any, ...]):
        self.passes = passes
        self.skipped: list[tuple[str, str]] = []
        self._functions: list[weakref.ref[FunctionType]] = []
        self._original: CodeType | None = None
        self._overtaken = False

    @property
    def functions(self) -> list[FunctionType]:
        """The functions it was applied to, as far as they still live."""
        return [function for ref in self._functions if (function := ref()) is not None]

    @property
    def function(self) -> FunctionType | None:
        """The first of them; None if there is none."""
        return next(iter(self.functions), None)

    @property
    def original(self) -> CodeType | None:
        """The code object that the first function had before anything was applied to it."""
        return self._original

    @property
    def state(self) -> str:
        """``"active"``, ``"restored"``, or ``"foreign"``: a function's code was changed by somebody else."""
        entries = [entry for function in self.functions if (entry := _entries.get(id(function))) is not None]
        mine = [entry for entry in entries if self in entry.layers]
        if self._overtaken or any(entry.is_foreign() for entry in mine):
            return "foreign"
        return "active" if mine else "restored"

    @property
    def active(self) -> bool:
        """Whether it is in place."""
        return self.state == "active"

    def restore(self) -> None:
        """Take this patch off all its functions; other patches on them stay. Doing it again does nothing.

        Raises:
            RecompyleError: one could not be rebuilt, or an audit hook forbade it; all stay as they were.
        """
        with _locked():
            mine = [function for function in self.functions if self in _layers(function)]
            _change(mine, lambda layers: tuple(layer for layer in layers if layer is not self))

    def __enter__(self) -> "Patch":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.restore()

    def __repr__(self) -> str:
        names = [_name(function) for function in self.functions]
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        passes = ", ".join(type(each).__name__ for each in self.passes)
        return f"<Patch {self.state}: {passes} on {shown or 'nothing'}>"


class _Entry:
    """One patched function.

    Attributes:
        ref: the function, weakly.
        original: the code object it had when it was first patched, and gets back in the end.
        pristine: what rewrites begin with; another object only if its code had come out of a rewrite already.
        put: the code object that was put in place last.
        layers: the patches, the first one innermost.
        built: passes, and the code with all of them. Kept while some are paused: to build it again takes time, and
            fails if the source has changed meanwhile.
        saved: for `unswap`, from the first swap.
    """

    __slots__ = ("built", "layers", "original", "pristine", "put", "ref", "saved")

    def __init__(self, function: FunctionType):
        self.ref = weakref.KeyedRef(function, _drop, id(function))
        self.original = self.put = function.__code__
        self.pristine = origin.of(function.__code__)
        self.layers: tuple[Patch, ...] = ()
        self.built: tuple[tuple[Any, ...], CodeType] | None = None
        self.saved: Any = None

    def is_foreign(self) -> bool:
        """Whether somebody else has changed the function's code."""
        function = self.ref()
        return function is not None and function.__code__ is not self.put

    def put_in_place(self, function: FunctionType, layers: tuple[Patch, ...], code: CodeType) -> None:
        """Gives the function its code and notes what it is; afterwards the entry tells the truth again.

        Raises:
            NotRewritable: refused; nothing has changed.
        """
        if code is self.original:
            if self.put is not code and not unswap(function, self.put, code, self.saved):
                _abandon(self, function)
                return
        elif code is not self.put:
            saved = swap(function, code)
            if self.put is self.original:
                self.saved = saved
        self.layers, self.put = layers, code
        if layers:
            _entries[id(function)] = self
        else:
            _entries.pop(id(function), None)
            builds.forget(self.pristine)


_entries: dict[int, _Entry] = {}
_lock = threading.RLock()
_overtaken: list[str] = []
_paused: set[type] = set()


def apply(target: object, *passes: Any, scope: str = "this") -> Patch:
    """Rewrite functions in place.

    Callers, registries and references notice nothing: the function object stays, only its code is exchanged.
    Calls that run already end in the code they began with.

    Parameters:
        target: a function, a method, a property or another wrapper of functions, or a path such as
            ``"app.orders:Order.total"`` or ``"app.orders:*"``; see `recompyle.patch.resolve`.
        passes: what to put in; see `recompyle.Pass`. An ast.NodeTransformer is one of level ``"free"``.
        scope: ``"this"``: the functions found, or ``"existing"``: also all other living functions of the
            same code, such as the closures that a factory has made so far. The latter searches all objects
            known to the garbage collector (some 10 ms per million; what `gc.freeze` set aside is not found).

    Returns:
        A `Patch`. With ``RECOMPYLE=0`` in the environment nothing is done, and it has no functions.

    Raises:
        ValueError: a malformed path, no pass, an unknown scope.
        TypeError: something that is no pass.
        TargetNotFound: the path leads nowhere.
        RecompyleError: a function cannot be rewritten. Then all functions are as they were. For a pattern
            such functions are left out and listed in ``skipped``; only if none could be done, the first
            reason is raised.
    """
    if not passes:
        raise ValueError("apply() needs at least one pass")
    if scope not in SCOPES:
        raise ValueError(f"scope is one of {', '.join(map(repr, SCOPES))}, not {scope!r}")
    in_order(passes)
    patch = Patch(passes)
    if _env.disabled():
        return patch
    functions = _find(target)
    if scope == "existing":
        functions = list({id(f): f for function in functions for f in _siblings(function)}.values())
    with _locked():
        if isinstance(target, str) and is_pattern(target):
            done = _add_where_possible(patch, functions)
        else:
            _change(functions, lambda layers: (*layers, patch))
            done = functions
        patch._functions = [weakref.ref(function) for function in done]
        if done:
            patch._original = _entries[id(done[0])].original
    return patch


def restore(target: object = None) -> int:
    """Undo every patch of a target.

    Parameters:
        target: as for `apply`; None: everything that is patched.

    Returns:
        The number of functions that have their own code back.

    Raises:
        ValueError, TargetNotFound, NotRewritable: as `apply`. A function whose code an audit hook protects
            does not keep the others from being restored; the refusal is raised in the end.
    """
    if target is None:
        functions = [function for entry in list(_entries.values()) if (function := entry.ref()) is not None]
    else:
        functions = _find(target)
    restored, refusals = 0, []
    with _locked():
        for function in functions:
            if not _layers(function):
                continue
            try:
                restored += _change([function], lambda layers: ())
            except NotRewritable as refusal:
                refusals.append(refusal)
    if refusals:
        raise refusals[0]
    return restored


def pristine(target: object) -> CodeType:
    """The original code object behind a function or a rewritten code object.

    Parameters:
        target: a code object, or anything `functions_of` accepts; of several functions the first counts.

    Returns:
        The code object as it was compiled from the source; the one given if nobody rewrote it.

    Raises:
        NotRewritable: there is no Python function behind the target.
    """
    return origin.of(target if type(target) is CodeType else functions_of(target)[0].__code__)


def _find(target: object) -> list[FunctionType]:
    return resolve(target) if isinstance(target, str) else functions_of(target)


def _siblings(function: FunctionType) -> list[FunctionType]:
    """A function and all others of the same code, patched or not. Never remembered: closures come and go."""
    own = origin.of(function.__code__)
    patched = [entry.ref() for entry in list(_entries.values()) if entry.pristine is own]
    running = [each for each in gc.get_referrers(own, function.__code__) if type(each) is FunctionType]
    found = [each for each in (*patched, *running) if each is not None and origin.of(each.__code__) is own]
    return [function, *found]


def _add_where_possible(patch: Patch, functions: list[FunctionType]) -> list[FunctionType]:
    done: list[FunctionType] = []
    refusals: list[RecompyleError] = []
    try:
        for function in functions:
            try:
                _change([function], lambda layers: (*layers, patch))
            except RecompyleError as refusal:
                refusals.append(refusal)
                patch.skipped.append((_name(function), str(refusal)))
            else:
                done.append(function)
    except BaseException:
        _change(done, lambda layers: tuple(layer for layer in layers if layer is not patch))
        raise
    if refusals and not done:
        raise refusals[0]
    return done


def _change(
    functions: Iterable[FunctionType], relayer: Callable[[tuple[Patch, ...]], tuple[Patch, ...]]
) -> int:
    """Gives functions other layers: all of them, or none.

    Parameters:
        functions: the functions; one whose code somebody else has changed counts as without layers.
        relayer: from the layers of a function to those it shall have.

    Returns:
        How many functions were changed.

    Raises:
        RecompyleError: one could not be built or swapped; all are as they were.
    """
    plan = []
    for function in functions:
        entry = _entry_of(function)
        layers = relayer(entry.layers)
        if layers == entry.layers:
            continue
        plan.append((entry, function, layers, _code_with(entry, function, layers)))
    _put_all(plan)
    return len(plan)


def _code_with(entry: _Entry, function: FunctionType, layers: tuple[Patch, ...]) -> CodeType:
    """The code that a function has with these layers, as far as they are not paused.

    It is built with the paused ones too, so that a function that cannot take them is refused at once.
    """
    passes = tuple(each for layer in layers for each in layer.passes)
    active = tuple(each for each in passes if type(each) not in _paused)
    if not passes:
        return entry.original
    if entry.built is None or list(map(id, entry.built[0])) != list(map(id, passes)):
        entry.built = passes, _checked_build(entry, function, passes)
    if len(active) == len(passes):
        return entry.built[1]
    return _checked_build(entry, function, active) if active else entry.original


def _checked_build(entry: _Entry, function: FunctionType, passes: tuple[Any, ...]) -> CodeType:
    code = builds.code_for(function, entry.pristine, passes)
    check(function, code)
    return code


def _put_all(plan: list[tuple[_Entry, FunctionType, tuple[Patch, ...], CodeType]]) -> None:
    """Puts prepared code in place: for all functions, or none."""
    done: list[tuple[_Entry, FunctionType, tuple[Patch, ...], CodeType]] = []
    try:
        for entry, function, layers, code in plan:
            before = entry, function, entry.layers, entry.put
            entry.put_in_place(function, layers, code)
            done.append(before)
    except BaseException:
        for entry, function, layers, code in reversed(done):
            with contextlib.suppress(NotRewritable):
                entry.put_in_place(function, layers, code)
        raise


def pause(kind: type, paused: bool) -> None:
    """Take the probes of one kind of pass out of all functions, or put them back; their patches stay active.

    Parameters:
        kind: the class of the passes. Functions with no other pass get their own code objects back.
        paused: True: out, also for patches yet to be applied; False: in again.

    Raises:
        RecompyleError: a function could not be rebuilt or an audit hook forbade it; then all stay as they are.
    """
    with _locked():
        if paused == (kind in _paused):
            return
        (_paused.add if paused else _paused.discard)(kind)
        try:
            plan = []
            for entry in list(_entries.values()):
                function = entry.ref()
                if function is None or entry.is_foreign():
                    continue
                if any(type(each) is kind for layer in entry.layers for each in layer.passes):
                    plan.append((entry, function, entry.layers, _code_with(entry, function, entry.layers)))
            _put_all(plan)
        except BaseException:
            (_paused.discard if paused else _paused.add)(kind)
            raise


def _entry_of(function: FunctionType) -> _Entry:
    entry = _entries.get(id(function))
    if entry is not None and entry.is_foreign():
        _abandon(entry, function)
        entry = None
    return entry if entry is not None else _Entry(function)


def _layers(function: FunctionType) -> tuple[Patch, ...]:
    entry = _entries.get(id(function))
    return entry.layers if entry is not None else ()


def _abandon(entry: _Entry, function: FunctionType) -> None:
    """Leaves a function to whoever gave it other code than ours."""
    _entries.pop(id(function), None)
    for layer in entry.layers:
        layer._overtaken = True
    _overtaken.append(_name(function))


def _drop(gone: "weakref.KeyedRef[int, FunctionType]") -> None:
    """Runs when a function is freed, whenever that is and in any thread: it must not wait for a lock."""
    entry = _entries.get(gone.key)
    if entry is not None and entry.ref is gone:
        _entries.pop(gone.key, None)


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """Holds the lock, and warns afterwards of functions that others have changed meanwhile."""
    with _lock:
        try:
            yield
        finally:
            names = _overtaken[:]
            _overtaken.clear()
    for name in names:
        warnings.warn(
            f"{name}: its code was changed by somebody else after it was patched; it is left as it is",
            RecompyleWarning,
            stacklevel=4,
        )


def _name(function: FunctionType) -> str:
    return f"{function.__module__}:{function.__qualname__}"


def _renew_lock() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
