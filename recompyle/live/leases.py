"""Who holds what was instrumented over the socket, and until when.

Instrumentation belongs to a session. When the session's connection ends it is restored a little later, so that the
session may come back; what was asked to be kept stays. The agent's thread and the worker use this at the same time, so
tables are copied before they are gone through.
"""

import contextlib
import secrets
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from recompyle.errors import NotRewritable, RecompyleError
from recompyle.live import proto
from recompyle.live.record import Record
from recompyle.live.registry import PROGRAM, Registry

__all__ = ["KEPT", "Lease", "Leases"]

KEPT = "kept"  # holds what is to stay when its session has ended


class Lease:
    """One session.

    Attributes:
        id: its name, which nobody can guess; it also holds the session's records in the registry.
        connection: the session's; None while it has none.
        expires: when it ends unless it comes back; None while it has a connection.
        over: whether it has ended.
        profiles: what ends each profile that it has begun, by number.
    """

    def __init__(self, connection: object):
        self.id = secrets.token_hex(16)
        self.connection: Any = connection
        self.expires: float | None = None
        self.over = False
        self.profiles: dict[int, Callable[[], None]] = {}


class Leases:
    """All sessions of one agent.

    Parameters:
        registry: of the process.
    """

    def __init__(self, registry: Registry):
        self._registry = registry
        self._leases: dict[str, Lease] = {}
        self._limits: dict[tuple[Record, str], float] = {}  # when a holder is to let go of a record

    # -- sessions

    def begin(self, connection: object, wanted: str | None) -> Lease:
        """The session of a connection: a new one, or one that comes back."""
        lease = self._leases.get(wanted) if wanted is not None else None
        if lease is None:
            lease = Lease(connection)
            self._leases[lease.id] = lease
        lease.connection, lease.expires = connection, None
        return lease

    def disconnected(self, lease: Lease) -> None:
        """A session has lost its connection."""
        lease.connection, lease.expires = None, time.monotonic() + proto.LEASE_SECONDS

    def end(self, lease: Lease, keep: bool = False) -> None:
        """A session has ended: restore what it alone holds.

        Parameters:
            keep: leave in place what it has instrumented. Its profiles end in any case, for nobody reads them.
        """
        self._leases.pop(lease.id, None)
        lease.over = True
        for stop in list(lease.profiles.values()):
            with contextlib.suppress(RecompyleError):
                stop()
        lease.profiles.clear()
        limits = {key: self._limits.pop(key, None) for key in list(self._limits) if key[1] == lease.id}
        if not keep:
            self.release(lease.id)
            return
        self.hand_over(lease.id, KEPT)
        for (record, _), when in limits.items():  # what was to last for some time is not kept for longer
            if when is not None:
                self._limits[record, KEPT] = when

    def release(self, holder: str) -> None:
        """Restore what only this one holds; what an audit hook forbids stays."""
        with contextlib.suppress(RecompyleError):
            self._registry.restore_all(holder)

    def hand_over(self, holder: str, to: str) -> None:
        """Let somebody else hold what this one holds."""
        for record in self._registry.records():
            if holder in record.holders:
                record.holders.add(to)
                record.holders.discard(holder)

    def end_all(self) -> None:
        """The agent ends, and with it every session."""
        self._limits.clear()
        for lease in list(self._leases.values()):
            self.end(lease)

    # -- records

    def held(self) -> list[Record]:
        """The records that sessions hold, ended ones that keep included."""
        return [record for record in self._registry.records() if record.holders - {PROGRAM}]

    def instrument(self, lease: Lease, path: str, keep: bool, seconds: float | None = None, **how: Any) -> Record:
        """Instrument a function for a session.

        Parameters:
            lease: the session.
            path: the function.
            keep: leave it in place when the session ends.
            seconds: restore it after so long; None: not before that. Either replaces what was said before.
            how: as for `Registry.instrument`.

        Raises:
            RecompyleError: it is refused, or there are too many.
        """
        held = self.held()
        if len(held) >= proto.PROBES and self._registry.find(path) not in held:
            raise NotRewritable(f"at most {proto.PROBES} functions can be instrumented over the socket", "limit")
        holder = KEPT if keep else lease.id
        record = self._registry.instrument(path, holder=holder, **how)
        if seconds is None:
            self._limits.pop((record, holder), None)
        else:
            self._limits[record, holder] = time.monotonic() + seconds
        if lease.over:  # while this waited for its turn
            self.withdraw(lease, record, keep)
        return record

    def withdraw(self, lease: Lease, record: Record, keep: bool) -> None:
        """Take back what `instrument` did."""
        holder = KEPT if keep else lease.id
        self._limits.pop((record, holder), None)
        self._registry.restore(record, holder)

    def restore(self, lease: Lease, record: Record) -> None:
        """Restore what a session asks for; while other sessions hold it, they keep it."""
        others = any(each in self._leases and each != lease.id for each in list(record.holders))
        self._registry.restore(record, lease.id if others else None)

    def let_go(self, record: Record) -> None:
        """Take a record from all sessions."""
        with contextlib.suppress(RecompyleError):
            for holder in list(record.holders - {PROGRAM}):
                self._registry.restore(record, holder)

    # -- time

    def next_deadline(self) -> float | None:
        """When something is to be done; None if nothing is."""
        times = [*self._limits.values(), *(lease.expires for lease in self.sessions())]
        return min((each for each in times if each is not None), default=None)

    def due(self, now: float) -> list[Callable[[], None]]:
        """What is to be done now."""
        acts: list[Callable[[], None]] = []
        for key, when in list(self._limits.items()):
            if when <= now and self._limits.pop(key, None) is not None:
                acts.append(partial(self._registry.restore, *key))
        for lease in self.sessions():
            if lease.expires is not None and lease.expires <= now:
                self._leases.pop(lease.id, None)
                acts.append(partial(self.end, lease))
        return acts

    def sessions(self) -> list[Lease]:
        """All sessions."""
        return list(self._leases.values())
