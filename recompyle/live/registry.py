"""What is instrumented: one record for each function, known by identity and referred to weakly.

Two locks. Changes go one after another, in whichever thread they are asked for (``_turn``); the tables are guarded by a
lock that is held for a few lines only, never while anything of the user's runs, and never on a hit: a hit touches its
counter and nothing else.
"""

import contextlib
import os
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable
from types import FunctionType
from typing import Any

from recompyle import _env
from recompyle.errors import NotRewritable, RecompyleError
from recompyle.inject import Edit
from recompyle.live._guard import Guard, Hits
from recompyle.live.monitoring import Watched, check_usable
from recompyle.live.record import LARGEST, Record, Row, failure_of
from recompyle.live.resolve import Absent, Target, is_imported, resolve
from recompyle.patch import registry as patches
from recompyle.patch import slices
from recompyle.patch.registry import Patch
from recompyle.patch.targets import Found

__all__ = ["PROGRAM", "Registry"]

PROGRAM = "program"  # holds what the program itself asked for
MODES = ("counter", "hook")
ENGINES = ("code", "monitoring")
REFUSED = 100  # paths that are remembered as refused


class Registry:
    """All records of a process, and the changes of them."""

    def __init__(self) -> None:
        self._records: dict[int, Record] = {}  # by the address of the function, which is alive
        self._others: dict[str, Record] = {}  # by path: pending, refused
        self._spelled: weakref.WeakValueDictionary[str, Record] = weakref.WeakValueDictionary()  # all paths asked for
        self._counters: dict[str, Callable[[], int]] = {}
        self._gone: deque[weakref.ref[FunctionType]] = deque()
        self._hook: Callable[[str], Any] | None = None
        self._waiting: Any = None
        self._renew_locks()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew_locks)

    def _renew_locks(self) -> None:
        self._lock = threading.Lock()
        self._turn = threading.RLock()

    # -- changes

    def instrument(
        self,
        path: str,
        hook: Callable[[str], Any] | None = None,
        *,
        mode: str | None = None,
        layer: int | None = None,
        created: bool = False,
        live: bool = False,
        allow_import: bool = False,
        engine: str = "code",
        holder: object = PROGRAM,
    ) -> Record:
        """See `recompyle.live.instrument`.

        Parameters:
            holder: who asks for it: see `Record`.
        """
        if hook is not None and not callable(hook):
            raise TypeError(f"a hook is called with a path, so it must be callable, not {type(hook).__name__}")
        mode = mode or ("counter" if hook is None else "hook")
        if mode not in MODES:
            raise ValueError(f"mode is one of {', '.join(map(repr, MODES))}, not {mode!r}")
        if engine not in ENGINES:
            raise ValueError(f"engine is one of {', '.join(map(repr, ENGINES))}, not {engine!r}")
        if created and engine == "monitoring":
            raise ValueError("sys.monitoring tells of bodies that start, not of objects made")
        if created and mode == "hook":
            raise ValueError("a hook is called when a body starts; objects made are only counted")
        sys.audit("recompyle.live.instrument", path)
        if _env.disabled():
            raise NotRewritable(f"{path}: RECOMPYLE=0 is set, so nothing is rewritten", "disabled")
        wanted = {
            "mode": mode,
            "hook": hook,
            "layer": layer,
            "created": created,
            "live": live,
            "engine": engine,
            "holder": holder,
        }
        try:
            try:
                target = resolve(path, layer, allow_import=allow_import)
            except Absent as absent:
                if not allow_import:
                    return self._wait(f"{absent.module}:{absent.name}", absent.module, wanted)
                __import__(absent.module)  # what it raises is the answer
                target = resolve(path, layer, allow_import=True)
        except RecompyleError as refusal:
            self._note_refusal(path, refusal)
            raise
        with self._turn:
            record = self._instrument(target, path, wanted)
        slices.between()  # a batch lets the program's threads run in between
        return record

    def _instrument(self, target: Target, path: str, wanted: dict[str, Any]) -> Record:
        record = self._record_of(target, path)
        try:
            if str(target.function.__globals__.get("__name__")).partition(".")[0] == "recompyle":
                raise NotRewritable(f"{path}: recompyle does not instrument itself", "own_module")
            self._apply(record, record.keep or target.function, wanted)
        except BaseException as error:
            if record.patch is not None:  # what is in place stays, and can be restored
                record.state = "on"
                raise
            record.holders.clear()
            if isinstance(error, RecompyleError):
                record.state, record.error = "refused", {"slug": error.slug, "text": str(error)}
            elif isinstance(error, Exception):
                record.state, record.error = "failed", failure_of(error)
            else:  # such as Ctrl-C
                record.state = "off"
            raise
        return record

    def _apply(self, record: Record, function: FunctionType, wanted: dict[str, Any]) -> None:
        mode, hook, created = wanted["mode"], wanted["hook"], wanted["created"]
        if record.shown_state == "on" and record.engine != wanted["engine"] and record.patch is not None:
            if wanted["engine"] == "monitoring":
                check_usable()  # before anything is taken out
            self._restore(record, record.patch)
        was_on = record.shown_state == "on"
        if was_on and record.mode == mode and record.created == created:
            if hook is not None and record.guard is not None:
                record.guard.hook, record.own_hook = hook, True
            record.holders.add(wanted["holder"])
            return
        before, old = function.__code__, record.patch
        if not was_on:
            record.state = "applying"
        if record.hits is None:
            record.hits = Hits(record.path)
        guard = None
        if mode == "hook":
            guard = Guard(record.hits, self._hook if hook is None else hook)
        new: Patch | Watched
        if wanted["engine"] == "monitoring":
            new = Watched(function, guard or record.hits)
        else:
            new = Patch((edit_for(record, guard, created),))

        def note() -> None:
            if new.state == "restored":
                return
            record.patch, record.engine = new, wanted["engine"]
            if not was_on:
                record.original_code = before
            record.mode, record.created, record.guard, record.own_hook = mode, created, guard, hook is not None
            record.holders.add(wanted["holder"])
            record.error, record.state = None, "on"
            record.frames.changed(function, before, record.flavor)

        try:
            if isinstance(new, Watched):
                new.begin(old if was_on and isinstance(old, Watched) else None)
            elif was_on and isinstance(old, Patch):
                patches.exchange(old, new)
            else:
                _put_on(new, record, function, wanted["live"])
            note()
        except BaseException:  # Ctrl-C comes at any time; what is in place then is known, and can be restored
            note()
            raise

    def restore(self, record: Record, holder: object = None) -> None:
        """Take the probe of a record out.

        Parameters:
            record: the record.
            holder: who lets go; while others hold it, it stays. None: all let go.

        Raises:
            RecompyleError: an audit hook forbade it.
        """
        with self._turn:
            record = record.now()
            if holder is not None:
                record.holders.discard(holder)
                if record.holders:
                    return
            try:
                if record.state in ("pending", "refused", "failed"):
                    self._forget(record)
                elif record.state == "on" and record.patch is not None:
                    self._restore(record, record.patch)
            finally:
                if record.state == "off":
                    record.holders.clear()

    def _restore(self, record: Record, patch: Patch | Watched) -> None:
        function = record.ref() if record.ref is not None else None
        before = None if function is None else function.__code__

        def note() -> None:
            if patch.state == "active":
                record.state = "on"
                return
            record.state, record.original_code, record.patch = "off", None, None
            if function is not None and before is not None:
                record.frames.changed(function, before, record.flavor)

        try:
            record.state = "restoring"
            if patch.state != "foreign":
                patch.restore()
            note()
        except BaseException:  # as above
            note()
            raise

    def restore_all(self, holder: object = None) -> list[Record]:
        """Restore all records, or those that one holder holds.

        Returns:
            Those that were touched.

        Raises:
            RecompyleError: an audit hook forbade one; the others are restored.
        """
        with self._turn:
            active = [each for each in self.records() if each.state != "off"]
            chosen = [each for each in active if holder is None or holder in each.holders]
            refusals = []
            for record in chosen:
                slices.between()
                try:
                    self.restore(record, holder)
                except RecompyleError as refusal:
                    refusals.append(refusal)
            if refusals:
                raise refusals[0]
            return chosen

    def set_hook(self, hook: Callable[[str], Any] | None) -> None:
        """Set what hook mode calls where no hook of its own was given; None: only count."""
        if hook is not None and not callable(hook):
            raise TypeError(f"a hook is called with a path, so it must be callable, not {type(hook).__name__}")
        with self._turn:
            self._hook = hook
            for record in self.records():
                if record.guard is not None and not record.own_hook:
                    record.guard.hook = hook

    # -- modules that are not imported yet

    def _wait(self, path: str, module: str, wanted: dict[str, Any]) -> Record:
        from recompyle.live.pending import Waiting  # only where it is wanted: it brings the import hook

        with self._turn:
            with self._lock:
                record = self._others.get(path)
                if record is None or record.state != "pending":
                    record = self._others[path] = Record(path)
                    self._spelled[path] = record
                record.state, record.mode, record.wanted = "pending", wanted["mode"], wanted
                record.holders.add(wanted["holder"])
            if self._waiting is None:
                self._waiting = Waiting(self._arrived)
            self._waiting.add(module)
            if is_imported(module):  # meanwhile, by another thread
                self._arrived(module)
        return record.now()

    def _arrived(self, module: str) -> None:
        """A module has been imported: apply what waits for it. One that fails does not keep the others waiting."""
        with self._turn:
            for record in self._pending(module):
                with contextlib.suppress(Exception):  # noted in the record
                    self._bind(record)
            self._waiting.remove(module)

    def _pending(self, module: str) -> list[Record]:
        with self._lock:
            others = list(self._others.values())
        return [each for each in others if each.state == "pending" and each.path.partition(":")[0] == module]

    def _bind(self, pending: Record) -> None:
        try:
            target = resolve(pending.path, pending.wanted["layer"], unfinished=True)
        except RecompyleError as refusal:
            pending.state, pending.error = "refused", {"slug": refusal.slug, "text": str(refusal)}
            raise
        except Exception as error:
            pending.state, pending.error = "failed", failure_of(error)
            raise
        with self._lock:
            self._others.pop(pending.path, None)
        record = self._record_of(target, pending.path)
        pending.became = record
        for holder in pending.holders:
            self._instrument(target, pending.path, {**pending.wanted, "holder": holder})

    # -- tables

    def _record_of(self, target: Target, path: str) -> Record:
        """The record of a function, made if need be."""
        with self._lock:
            self._reap()
            is_closure = target.kind == "closure"
            record = self._known(target.path) if is_closure else self._records.get(id(target.function))
            if record is None or record.ref is None:
                record = Record(target.path)
                record.ref = weakref.ref(target.function, self._gone.append)
                record.keep = target.function if is_closure else None
                self._records[id(target.function)] = record
            record.describe(target)
            self._others.pop(path, None)
            for spelled in (path, record.path, *record.aliases):
                self._spelled[spelled] = record
            return record

    def _known(self, path: str) -> Record | None:
        record = self._spelled.get(path)
        record = None if record is None else record.now()
        return None if record is None or record.is_freed else record

    def _reap(self) -> None:
        """Forgets freed functions, of which callbacks only take note. The lock is held."""
        gone = {}
        while self._gone:
            ref = self._gone.popleft()
            gone[id(ref)] = ref
        if gone:  # in one go: there may be thousands of either
            self._records = {key: record for key, record in self._records.items() if id(record.ref) not in gone}

    def _forget(self, record: Record) -> None:
        with self._lock:
            if self._others.get(record.path) is record:
                del self._others[record.path]
        was_pending, record.state, record.error = record.state == "pending", "off", None
        module = record.path.partition(":")[0]
        if was_pending and not self._pending(module):
            self._waiting.remove(module)

    def _note_refusal(self, path: str, refusal: RecompyleError) -> None:
        with self._lock:
            refused = [each.path for each in self._others.values() if each.state == "refused"]
            for oldest in refused[: max(0, len(refused) + 1 - REFUSED)]:  # whoever asks may ask for ever
                del self._others[oldest]
                self._spelled.pop(oldest, None)
            record = self._others[path] = Record(path)
            self._spelled[path] = record
        record.state, record.error = "refused", {"slug": refusal.slug, "text": str(refusal)}

    # -- reading

    def find(self, path: str) -> Record | None:
        """The record of a path by any of its names; None if nobody asked for it so far.

        That is the record of the function which the path leads to now, else of the one that it once led to.
        """
        with contextlib.suppress(LookupError, RecompyleError):
            target = resolve(path)
            if record := self.of(target.function):
                return record
        return self.known(path)

    def known(self, path: str) -> Record | None:
        """The record of a path that was asked for in these very words; None if there is none."""
        with self._lock:
            self._reap()
            return self._known(path)

    def of(self, function: FunctionType) -> Record | None:
        """The record of a function, if there is one."""
        record = self._records.get(id(function))
        return record if record is not None and record.ref is not None and record.ref() is function else None

    def records(self) -> list[Record]:
        """All records, those of paths that wait or were refused included."""
        with self._lock:
            self._reap()
            return [*self._records.values(), *self._others.values()]

    def row(self, record: Record) -> Row:
        """A record as plain data."""
        return {
            "path": record.path,
            "aliases": list(record.aliases),
            "kind": record.kind,
            "flavor": record.flavor,
            "owner": record.owner,
            "file": record.file,
            "line": record.line,
            "state": record.shown_state,
            "mode": record.mode,
            "calls": self.calls_of(record.path),
            "hits": record.count,
            "rate": None,
            "last_hit_ms": None,
            "in_flight": record.frames.count(),
            "slot": None if record.hits is None else record.hits.index,
            "engine": record.engine,
            "notes": list(record.notes),
            "error": record.shown_error,
        }

    # -- the program's own counters

    def counter(self, path: str, read: Callable[[], int] | None) -> None:
        """See `recompyle.live.counter`."""
        if read is None:
            self._counters.pop(path, None)
        elif callable(read):
            self._counters[path] = read
        else:
            raise TypeError(f"a counter is read by calling it, so it must be callable, not {type(read).__name__}")

    def counted(self) -> dict[str, int | None]:
        """What all of the program's counters say, by path."""
        return {path: self.calls_of(path) for path in list(self._counters)}

    def calls_of(self, path: str) -> int | None:
        """What the program's counter for a path says; None without one, if it fails, or if that takes over 64 bits."""
        read = self._counters.get(path)
        if read is None:
            return None
        try:
            count = int(read())
        except Exception:
            return None
        return count if abs(count) < LARGEST else None


def _put_on(patch: Patch, record: Record, function: FunctionType, live: bool) -> None:
    """Puts a patch on a function, or on closures yet to be made."""
    found = Found([function])
    if record.kind == "closure":
        patches.put_on(patch, patches.with_siblings(found) if live else found, future=True)
    else:
        patches.put_on(patch, found)


def edit_for(record: Record, guard: Guard | None, created: bool) -> Edit:
    """What goes into the code."""
    if guard is not None:
        return Edit("entry", guard, form="hook", argument=record.path)
    return Edit("created" if created else "entry", record.hits)
