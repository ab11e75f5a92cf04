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
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from types import AsyncGeneratorType, CodeType, CoroutineType, FunctionType, GeneratorType
from typing import Any, TypeAlias

from recompyle import _env
from recompyle.errors import NotRewritable, RecompyleError, RecompyleWarning
from recompyle.patch import builds, inner, slices
from recompyle.patch.resolve import functions_of
from recompyle.patch.swap import check, swap, unswap
from recompyle.patch.targets import Found, find
from recompyle.rewrite import origin
from recompyle.rewrite.order import in_order

__all__ = [
    "Patch",
    "apply",
    "exchange",
    "locked",
    "patches_on",
    "pause",
    "pristine",
    "put_on",
    "restore",
    "with_siblings",
]

SCOPES = ("this", "existing", "future")


class Patch:
    """A handle on what one `apply` did; a context manager that undoes it.

    The patch stays in place whether the handle is kept or not.

    Attributes:
        passes: the passes it was made with.
        skipped: what a class, module, package or pattern stands for but could not be rewritten: pairs of name
            and reason.
    """

    def __init__(self, passes: tuple[Any, ...]):
        self.passes = passes
        self.skipped: list[tuple[str, str]] = []
        self._functions: list[weakref.ref[FunctionType]] = []
        self._codes: weakref.WeakValueDictionary[int, CodeType] = weakref.WeakValueDictionary()
        self._future = False
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
        with locked():
            mine = [function for function in self._candidates() if self in map(_patch_of, _layers(function))]
            _change(mine, self._without)

    def _without(self, function: FunctionType, layers: "_Layers") -> "_Layers":
        return tuple(layer for layer in layers if _patch_of(layer) is not self)

    def exchange(self, *passes: Any) -> "Patch":
        """Put another patch in the place of this one, in one swap of each function: no call is without either.

        Parameters:
            passes: those of the new patch.

        Returns:
            The new patch; it covers nothing if this one is not active.

        Raises:
            ValueError, TypeError, RecompyleError: as `apply`; then this one stays.
        """
        if not passes:
            raise ValueError("exchange() needs at least one pass")
        in_order(passes)
        other = Patch(passes)
        exchange(self, other)
        return other

    def _candidates(self) -> list[FunctionType]:
        # of a future scope also the functions made meanwhile, and those that make them
        return _patched() if self._future else self.functions

    def running(self) -> int:
        """How many frames still run code with the probes of this patch, suspended generators and coroutines included.

        After `restore` they go on in the code they began with. Looks at each object that the garbage collector
        knows: some 10 ms per million.
        """
        codes = {id(code) for code in list(self._codes.values())}
        frames: list[Any] = []
        for top in sys._current_frames().values():
            frame: Any = top
            while frame is not None:
                frames.append(frame)
                frame = frame.f_back
        for each in gc.get_objects():
            name = _FRAME_OF.get(type(each))
            if name is not None:
                frames.append(getattr(each, name))
        return len({id(frame) for frame in frames if frame is not None and id(frame.f_code) in codes})

    def __enter__(self) -> "Patch":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.restore()

    def __repr__(self) -> str:
        names = [_name(function) for function in self.functions]
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        passes = ", ".join(type(each).__name__ for each in self.passes)
        return f"<Patch {self.state}: {passes} on {shown or 'nothing'}>"


class _Inner:
    """A layer on a function that makes the patched ones: its passes go into the code of those, not into its own.

    Attributes:
        patch: whose layer it is.
        code: the pristine code of the functions to be made.
        user: stands in for them while their code is built.
    """

    __slots__ = ("code", "passes", "patch", "user")

    def __init__(self, patch: Patch, code: CodeType, user: FunctionType):
        self.patch, self.passes, self.code, self.user = patch, patch.passes, code, user


class _Made:
    """Code that functions yet to be made will run: its patches, and what it was made from."""

    __slots__ = ("code", "patches", "pristine")

    def __init__(self, code: CodeType, pristine: CodeType, patches: tuple[Patch, ...]):
        self.code = weakref.KeyedRef(code, _forget_made, id(code))
        self.pristine, self.patches = pristine, patches


_Layers: TypeAlias = tuple[Patch | _Inner, ...]
_FRAME_OF = {GeneratorType: "gi_frame", CoroutineType: "cr_frame", AsyncGeneratorType: "ag_frame"}


def _patch_of(layer: Patch | _Inner) -> Patch:
    return layer.patch if isinstance(layer, _Inner) else layer


def _with_patch(layer: Patch | _Inner, old: Patch, new: Patch) -> Patch | _Inner:
    """A layer with one patch in the place of another."""
    if isinstance(layer, _Inner):
        return _Inner(new, layer.code, layer.user) if layer.patch is old else layer
    return new if layer is old else layer


_NOTHING_SAVED = (0, None, None)


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
        saved: for `unswap`, from the first swap; until then nothing to put back.
    """

    __slots__ = ("built", "layers", "original", "pristine", "put", "ref", "saved")

    def __init__(self, function: FunctionType):
        self.ref = weakref.KeyedRef(function, _drop, id(function))
        self.original = self.put = function.__code__
        self.pristine = origin.of(function.__code__)
        self.layers: _Layers = ()
        self.built: tuple[tuple[Any, ...], CodeType] | None = None
        self.saved: Any = _NOTHING_SAVED

    def is_foreign(self) -> bool:
        """Whether somebody else has changed the function's code."""
        function = self.ref()
        return function is not None and function.__code__ is not self.put

    def put_in_place(self, function: FunctionType, layers: _Layers, code: CodeType) -> None:
        """Gives the function its code and notes what it is; afterwards the entry tells the truth again.

        Raises:
            NotRewritable: refused; nothing has changed.
        """
        try:
            if code is self.original:
                if self.put is not code and not unswap(function, self.put, code, self.saved):
                    _abandon(self, function)
                    return
            elif code is not self.put:
                saved = swap(function, code)
                if self.put is self.original:
                    self.saved = saved
            self._note(function, layers, code)
        except BaseException:
            if function.__code__ is code:  # and then came Ctrl-C
                self._note(function, layers, code)
            raise

    def _note(self, function: FunctionType, layers: _Layers, code: CodeType) -> None:
        self.layers, self.put = layers, code
        if code is not self.original:
            for layer in layers:
                _patch_of(layer)._codes[id(code)] = code
        if layers:
            _entries[id(function)] = self
        else:
            _entries.pop(id(function), None)
            builds.forget(self.pristine)


_entries: dict[int, _Entry] = {}
_made: dict[int, _Made] = {}  # by the address of the code
_lock = threading.RLock()
_overtaken: list[str] = []
_paused: set[type] = set()


def apply(target: object, *passes: Any, scope: str = "this", inherited: bool = False) -> Patch:
    """Rewrite functions in place.

    Callers, registries and references notice nothing: the function object stays, only its code is exchanged.
    Calls that run already end in the code they began with.

    Parameters:
        target: a function, a method, a property or another wrapper of functions; a class or a module, for all
            functions that it defines; or a path: ``"app.orders:Order.total"``, ``"app.orders:Order"``,
            ``"app.orders:*"``, ``"app.orders"``, or ``"app.**"`` for a package and those of its submodules that
            are imported.
        passes: what to put in; see `recompyle.Pass`. An ast.NodeTransformer is one of level ``"free"``. A
            `recompyle.inject.Edit` goes on top of what all passes on the function make, and needs no source.
        scope: ``"this"``: the functions found. ``"existing"``: also all other living functions of the
            same code, such as the closures that a factory has made so far. ``"future"``: also those that it
            will make, except in calls of it that run already. The latter two search all objects
            known to the garbage collector (some 10 ms per million; what `gc.freeze` set aside is not found).
        inherited: of a class also the functions that it inherits from others written in Python.

    Returns:
        A `Patch`. With ``RECOMPYLE=0`` in the environment nothing is done, and it has no functions.

    Raises:
        ValueError: a malformed path, no pass, an unknown scope.
        TypeError: something that is neither a pass nor an edit.
        TargetNotFound: the path leads nowhere.
        RecompyleError: a function cannot be rewritten. Then all functions are as they were. For a class, a
            module, a package or a pattern such functions are left out and listed in ``skipped``; only if none
            could be done, the first reason is raised.
    """
    if not passes:
        raise ValueError("apply() needs at least one pass")
    if scope not in SCOPES:
        raise ValueError(f"scope is one of {', '.join(map(repr, SCOPES))}, not {scope!r}")
    in_order(passes)
    patch = Patch(passes)
    if _env.disabled():
        return patch
    found = find(target, inherited)
    if scope != "this":
        found = with_siblings(found)
    put_on(patch, found, scope == "future")
    return patch


def with_siblings(found: Found) -> Found:
    """Some functions, and all other living functions of the same code."""
    wider = {id(f): f for function in found.functions for f in _siblings(function)}
    return found._replace(functions=list(wider.values()))


def put_on(patch: Patch, found: Found, future: bool = False) -> None:
    """Make a patch that has done nothing yet a layer of functions. Whatever ends this, the patch says if it is one.

    Parameters:
        patch: the patch.
        found: the functions. If they are several, those that cannot be rewritten are left out.
        future: also functions that are made later of the same code.

    Raises:
        RecompyleError: as `apply`.
    """
    with locked():
        patch.skipped += found.refused
        patch._functions = [weakref.ref(function) for function in found.functions]
        patch._future = future
        try:
            if found.several:
                done = _add_where_possible(patch, found.functions, future)
            else:
                _add(patch, found.functions, future)
                done = found.functions
        finally:
            patch._functions = [ref for ref in patch._functions if (f := ref()) and patch in map(_patch_of, _layers(f))]
        if done:
            patch._original = _entries[id(done[0])].original


def exchange(patch: Patch, other: Patch) -> None:
    """As `Patch.exchange`, for a patch that has done nothing yet. Whatever ends this, either one is in place."""
    with locked():
        mine = [function for function in patch._candidates() if patch in map(_patch_of, _layers(function))]
        kept = set(map(id, mine))
        other._functions = [ref for ref in patch._functions if id(ref()) in kept]
        other._future, other._original = patch._future, patch._original
        _change(mine, lambda function, layers: tuple(_with_patch(layer, patch, other) for layer in layers))


def restore(target: object = None) -> int:
    """Undo every patch of a target.

    Parameters:
        target: as for `apply`; None: everything that is patched, functions made by patched ones included.

    Returns:
        The number of functions that have their own code back.

    Raises:
        ValueError, TargetNotFound, NotRewritable: as `apply`. A function whose code an audit hook protects
            does not keep the others from being restored; the refusal is raised in the end.
    """
    chosen = None if target is None else find(target).functions
    restored, refusals = 0, []
    with locked():
        for function in _patched() if chosen is None else chosen:
            if not _layers(function):
                continue
            try:
                restored += _change([function], lambda function, layers: ())
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


def _siblings(function: FunctionType) -> list[FunctionType]:
    """A function and all others of the same code, patched or not. Never remembered: closures come and go."""
    own = origin.of(function.__code__)
    with locked():
        patched = [each for each in _patched() if _entries[id(each)].pristine is own]
    running = [each for each in gc.get_referrers(own, function.__code__) if type(each) is FunctionType]
    return [function, *(each for each in (*patched, *running) if origin.of(each.__code__) is own)]


def _add(patch: Patch, functions: list[FunctionType], future: bool) -> None:
    """Gives functions, and those that will make more of them, a layer: all of them, or none."""
    more: dict[FunctionType, _Layers] = dict.fromkeys(functions, (patch,))
    codes = {id(own): (own, each) for each in functions if (own := origin.of(each.__code__))} if future else {}
    for own, function in codes.values():
        makers = inner.holders(own, function.__globals__)
        if not makers:
            raise NotRewritable(f"{_name(function)}: no living function of its module makes it", "not_nested")
        layer = _Inner(patch, own, inner.stand_in(function, own))
        for maker in makers:
            more[maker] = (*more.get(maker, ()), layer)
    _change(more, lambda function, layers: layers + more[function])


def _add_where_possible(patch: Patch, functions: list[FunctionType], future: bool) -> list[FunctionType]:
    done: list[FunctionType] = []
    refusals: list[RecompyleError] = []
    try:
        for function in functions:
            slices.between()
            try:
                _add(patch, [function], future)
            except RecompyleError as refusal:
                refusals.append(refusal)
                patch.skipped.append((_name(function), str(refusal)))
            else:
                done.append(function)
    except BaseException:
        _change(done, patch._without)
        raise
    if refusals and not done:
        raise refusals[0]
    return done


def _change(
    functions: Iterable[FunctionType], relayer: Callable[[FunctionType, _Layers], _Layers]
) -> int:
    """Gives functions other layers: all of them, or none.

    Parameters:
        functions: the functions; one whose code somebody else has changed counts as without layers.
        relayer: from a function and its layers to those it shall have.

    Returns:
        How many functions were changed.

    Raises:
        RecompyleError: one could not be built or swapped; all are as they were.
    """
    plan = []
    for number, function in enumerate(functions):
        if number:
            slices.between()
        entry = _entry_of(function)
        layers = relayer(function, entry.layers)
        if layers == entry.layers:
            continue
        plan.append((entry, function, layers, _code_with(entry, function, layers)))
    _put_all(plan)
    return len(plan)


def _code_with(entry: _Entry, function: FunctionType, layers: _Layers) -> CodeType:
    """The code that a function has with these layers, as far as they are not paused.

    It is built with the paused ones too, so that a function that cannot take them is refused at once.
    """
    code = _own_code(entry, function, [layer for layer in layers if isinstance(layer, Patch)])
    makes: dict[int, list[_Inner]] = {}
    for layer in layers:
        if isinstance(layer, _Inner):
            makes.setdefault(id(layer.code), []).append(layer)
    if not makes:
        return code
    return inner.exchange(code, entry.pristine, {key: _inner_code(group) for key, group in makes.items()})


def _own_code(entry: _Entry, function: FunctionType, patches: list[Patch]) -> CodeType:
    passes = tuple(each for patch in patches for each in patch.passes)
    active = tuple(each for each in passes if type(each) not in _paused)
    if not passes:
        return entry.original
    if entry.built is None or list(map(id, entry.built[0])) != list(map(id, passes)):
        entry.built = passes, _checked_build(entry, function, passes)
    if len(active) == len(passes):
        return entry.built[1]
    return _checked_build(entry, function, active) if active else entry.original


def _inner_code(layers: list[_Inner]) -> CodeType:
    """The code for functions yet to be made; it is noted what it is, as nobody sees them being made."""
    pristine, user = layers[0].code, layers[0].user
    active = tuple(each for layer in layers for each in layer.passes if type(each) not in _paused)
    code = builds.code_for(user, pristine, active) if active else pristine
    check(user, code)
    if code is not pristine:
        patches = tuple(layer.patch for layer in layers)
        _made[id(code)] = _Made(code, pristine, patches)
        for patch in patches:
            patch._codes[id(code)] = code
    return code


def _patched() -> list[FunctionType]:
    """All patched functions. Those that were made with probes in them are looked for and entered first."""
    codes = [code for made in list(_made.values()) if (code := made.code()) is not None]
    for made_so in inner.living(codes):
        if id(made_so) not in _entries:
            _entry_of(made_so)
    return [function for entry in list(_entries.values()) if (function := entry.ref()) is not None]


def _adopted(function: FunctionType) -> _Entry:
    """A new entry; that of a function made with probes in it says what it would be without."""
    entry = _Entry(function)
    made = _made.get(id(entry.put))
    if made is not None and made.code() is entry.put:
        entry.original = entry.pristine = made.pristine
        entry.layers = made.patches
        _entries[id(function)] = entry
    return entry


def _forget_made(gone: "weakref.KeyedRef[int, CodeType]") -> None:
    made = _made.get(gone.key)
    if made is not None and made.code is gone:
        _made.pop(gone.key, None)


def _checked_build(entry: _Entry, function: FunctionType, passes: tuple[Any, ...]) -> CodeType:
    code = builds.code_for(function, entry.pristine, passes)
    check(function, code)
    return code


def _put_all(plan: list[tuple[_Entry, FunctionType, _Layers, CodeType]]) -> None:
    """Puts prepared code in place: for all functions, or none."""
    done: list[tuple[_Entry, FunctionType, _Layers, CodeType]] = []
    try:
        for entry, function, layers, code in plan:
            if done:
                slices.between()
            done.append((entry, function, entry.layers, entry.put))  # before it is: Ctrl-C may come right after it
            entry.put_in_place(function, layers, code)
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
    with locked():
        if paused == (kind in _paused):
            return
        (_paused.add if paused else _paused.discard)(kind)
        try:
            plan = []
            for function in _patched():
                entry = _entries[id(function)]
                if entry.is_foreign():
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
    return entry if entry is not None else _adopted(function)


def patches_on(function: FunctionType) -> list[Patch]:
    """The patches that a function is under, the first one innermost."""
    return list(map(_patch_of, _layers(function)))


def _layers(function: FunctionType) -> _Layers:
    entry = _entries.get(id(function)) or _adopted(function)
    return entry.layers


def _abandon(entry: _Entry, function: FunctionType) -> None:
    """Leaves a function to whoever gave it other code than ours."""
    _entries.pop(id(function), None)
    for layer in entry.layers:
        _patch_of(layer)._overtaken = True
    _overtaken.append(_name(function))


def _drop(gone: "weakref.KeyedRef[int, FunctionType]", entries: dict[int, _Entry] = _entries) -> None:
    """Runs when a function is freed, whenever that is and in any thread: it must not wait for a lock.

    That may be at the end of the process, when this module's names are gone.
    """
    entry = entries.get(gone.key)
    if entry is not None and entry.ref is gone:
        entries.pop(gone.key, None)


@contextlib.contextmanager
def locked() -> Iterator[None]:
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
