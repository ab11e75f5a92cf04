"""The agent: one daemon thread that lets other processes of the same user instrument this one.

It sleeps in ``poll`` until a client, the worker or a deadline wakes it. What takes time is done by the worker; what is
sent never waits for a reader.
"""

import atexit
import contextlib
import itertools
import os
import secrets
import select
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from recompyle import _env
from recompyle.errors import RecompyleError, Unreachable
from recompyle.live import cost, peer, place, proto, verbs
from recompyle.live._guard import note_start
from recompyle.live.connection import Connection
from recompyle.live.leases import KEPT, Lease, Leases
from recompyle.live.record import failure_of
from recompyle.live.source import Local
from recompyle.live.state import registry, worker

__all__ = ["Agent", "current", "listen"]

BACKLOG = 16
REPORTS = 200  # slow calls that nobody has fetched
ENDING = 5.0  # seconds that closing waits for the thread
PAUSE = 1.0  # seconds without new clients when the program has no descriptor left

_starting = threading.Lock()
_current: "Agent | None" = None


def listen(
    *,
    allow_import: bool = False,
    allow_root: bool = False,
    in_children: bool = False,
    cap: float | None = cost.CAP,
) -> "Agent":
    """Let other processes of this user watch and instrument this one, until it ends or the agent is closed.

    Nothing but verbs, paths and numbers is taken from them; see the protocol's page. Again: the same agent.

    Parameters:
        allow_import: they may have modules imported.
        allow_root: root may do so, too.
        in_children: forked children listen, too, and keep what was instrumented; without it, it is restored there.
        cap: the part of one core that probes may take: above it for 3 s, the dearest one is taken out. None: no limit.

    Returns:
        The `Agent`.

    Raises:
        Unreachable: ``RECOMPYLE_LIVE=0`` is set (slug ``disabled``), the system has no such sockets (``no_channel``),
            or the folder for them is not ours (``foreign_folder``).
        ValueError: the program listens already, with other options; or the cap is no positive number.
    """
    global _current
    if cap is not None and not cap > 0:
        raise ValueError(f"cap is a positive part of one core, or None, not {cap!r}")
    if _env.live_disabled():
        raise Unreachable("RECOMPYLE_LIVE=0 is set, so nobody may look in", "disabled")
    if not hasattr(socket, "AF_UNIX") or not hasattr(select, "poll"):
        raise Unreachable("this system has no Unix sockets for Python", "no_channel")
    options = {"allow_import": allow_import, "allow_root": allow_root, "in_children": in_children, "cap": cap}
    with _starting:
        if _current is None:
            _current = Agent(options)
        elif _current.options != options:
            raise ValueError("the program listens already, with other options")
        return _current


def current() -> "Agent | None":
    """The agent of this process, if there is one."""
    return _current


class Agent:
    """Listens for clients; made by `listen`.

    Attributes:
        path: of the socket.
        options: what `listen` was given.
    """

    def __init__(self, options: dict[str, Any]):
        self.options = options
        self.allow_import = bool(options["allow_import"])
        self.leases = Leases(registry)
        self.local, self.everything = Local(), Local(everything=True)
        self._numbers = itertools.count(1)
        self._open()
        atexit.register(self.close)

    def _open(self) -> None:
        place.remove_dead()
        self._place = place.new()
        self.path = self._place.socket
        try:
            sys.audit("recompyle.live.listen", self.path)
            self.token = secrets.token_hex(place.TOKEN_BYTES)
            self._write_token()
            self._listener = self._bind()
        except BaseException:
            self._place.remove()
            raise
        self._connections: dict[int, Connection] = {}
        self._posted: deque[Callable[[], None]] = deque()
        self._reports: deque[tuple[Lease, proto.Message]] = deque(maxlen=REPORTS)
        self._awake, self._wake = os.pipe()
        os.set_blocking(self._awake, False)
        os.set_blocking(self._wake, False)
        self._waking = threading.RLock()
        self._watch = cost.Watch(self.options["cap"])
        self._watch_at: float | None = None
        self._accepts_at: float | None = None  # None: it accepts clients now
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="recompyle live agent", daemon=True)
        self._thread.start()

    def _write_token(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._place.token)  # of a process that had our number and start, before the system's last start
        with open(os.open(self._place.token, flags, 0o600), "w", encoding="ascii") as file:
            file.write(self.token)

    def _bind(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with contextlib.suppress(OSError):  # elsewhere than on Linux; the folder is private in any case
                os.fchmod(listener.fileno(), 0o600)  # before it has a name: nobody comes in between
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)
            listener.bind(self.path)
            listener.listen(BACKLOG)
            listener.setblocking(False)
        except BaseException:
            listener.close()
            raise
        return listener

    # -- from any thread

    def close(self) -> None:
        """Stop listening, and restore what sessions have instrumented, unless it was to be kept; again: nothing."""
        atexit.unregister(self.close)
        self._closing = True
        self._rouse()
        if threading.current_thread() is not self._thread:
            self._thread.join(ENDING)
        self._resign()

    def _resign(self) -> None:
        """Let another agent begin, whether this one was closed or has failed."""
        global _current
        with _starting:
            if _current is self:
                _current = None

    def __enter__(self) -> "Agent":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def post(self, act: Callable[[], None]) -> None:
        """Have the agent's thread do something."""
        self._posted.append(act)
        self._rouse()

    def report(self, lease: Lease, event: proto.Message) -> None:
        """Tell a session of a run, unless it does not keep up.

        Runs of the agent itself are no news: to tell of one, it may run the same function again, and so without end.
        """
        if threading.current_thread() is self._thread:
            return
        self._reports.append((lease, event))
        self._rouse()

    def next_number(self) -> int:
        """A number that no other thing here has."""
        return next(self._numbers)

    def note_start(self) -> None:
        """Write into the page of counters whose it is."""
        note_start(self._place.start)

    def _rouse(self) -> None:
        # Locked, because it may be closed just now.
        with self._waking, contextlib.suppress(OSError):  # full: it is awake anyway; -1: it has ended
            os.write(self._wake, b"\0")

    # -- the thread

    def begin(self, connection: Connection, wanted: str | None) -> None:
        """A client has said hello: give it its session."""
        for other in self._connections.values():
            if other.lease is not None and other.lease.id == wanted:  # it has come back before its end was noticed
                other.lease, other.closed = None, True
        connection.lease = self.leases.begin(connection, wanted)

    @staticmethod
    def serve(connection: Connection, act: Callable[[], object]) -> None:
        """Do something for a client. What it fails with ends that client, and neither the agent nor the others."""
        try:
            act()
        except BaseException as error:  # such as the exit of a counter of the program's own
            connection.refuse("failed", failure_of(error)["text"])

    def watch_cost(self) -> None:
        """Something was instrumented: look once a second what it costs."""
        if self._watch_at is None:
            self._watch_at = time.monotonic()

    def _run(self) -> None:
        poller = select.poll()
        poller.register(self._listener, select.POLLIN)
        poller.register(self._awake, select.POLLIN)
        try:
            while not self._closing:
                for descriptor, events in poller.poll(self._timeout()):
                    self._ready(poller, descriptor, events)
                self._chores(poller)
        finally:
            self._end()

    def _timeout(self) -> float | None:
        """Milliseconds until something is due; None: nothing is."""
        times = [self.leases.next_deadline(), self._watch_at, self._accepts_at]
        for each in self._connections.values():
            times.append(each.hello_by if each.lease is None else None)
            if each.view is not None and each.view.every and not each.is_behind:
                times.append(each.view.due)
        due = min((each for each in times if each is not None), default=None)
        return None if due is None else max(0.0, (due - time.monotonic()) * 1000 + 1)

    def _ready(self, poller: "select.poll", descriptor: int, events: int) -> None:
        if descriptor == self._awake:
            with contextlib.suppress(BlockingIOError):
                os.read(descriptor, 65536)
        elif descriptor == self._listener.fileno():
            self._accept(poller)
        elif (connection := self._connections.get(descriptor)) is not None:
            if descriptor != connection.sock.fileno():
                self.serve(connection, connection.drain)
            elif events & ~select.POLLOUT:
                self.serve(connection, connection.receive)
            else:
                connection.flush()

    def _accept(self, poller: "select.poll") -> None:
        try:
            sock, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):  # gone again
            return
        except OSError:  # such as no descriptor left: the listener stays ready, so do not look at it for a while
            poller.unregister(self._listener)
            self._accepts_at = time.monotonic() + PAUSE
            return
        _, user = peer.pid_and_user(sock)
        if user != os.geteuid() and not (user == 0 and self.options["allow_root"]):
            sock.close()
            return
        connection = Connection(sock, lambda client, message: verbs.handle(self, client, message))
        if len(set(self._connections.values())) >= proto.CLIENTS:
            connection.refuse("limit", f"at most {proto.CLIENTS} clients can be connected")
            self._shut(connection)
            return
        for descriptor in (sock.fileno(), connection.process):
            if descriptor is not None:
                self._connections[descriptor] = connection
                poller.register(descriptor, select.POLLIN)
        hello = {"hello": proto.NAME, "v": proto.VERSION, "pid": self._place.pid, "start": self._place.start}
        connection.send({**hello, "python": ".".join(map(str, sys.version_info[:3]))})

    def _chores(self, poller: "select.poll") -> None:
        while self._posted:
            self._posted.popleft()()
        while self._reports:
            lease, event = self._reports.popleft()
            if lease.connection is not None:
                lease.connection.offer(event)
        now = time.monotonic()
        if self._accepts_at is not None and now >= self._accepts_at:
            self._accepts_at = None
            poller.register(self._listener, select.POLLIN)
        for act in self.leases.due(now):
            worker.submit(act)
        self._look_at_cost(now)
        for connection in set(self._connections.values()):
            if connection.lease is None and now >= connection.hello_by:
                connection.closed = True
            self.serve(connection, partial(self._tell_news, connection, now))
            if connection.closed:
                self._drop(poller, connection)
            else:
                poller.modify(connection.sock, select.POLLIN | (select.POLLOUT if connection.is_behind else 0))

    @staticmethod
    def _tell_news(connection: Connection, now: float) -> None:
        """Tell a client what is new, as long as it keeps up; the rest later."""
        view = connection.view
        while view is not None and not connection.is_behind and not connection.closed:
            event = next(view.frame, None)
            if event is not None:
                connection.send(event)
            elif view.every and now >= view.due:
                view.due, view.frame = now + view.every, view.news()
            else:
                return

    def _look_at_cost(self, now: float) -> None:
        if self._watch_at is None or now < self._watch_at:
            return
        held = self.leases.held()
        self._watch_at = now + 1 if held else None
        dearest = self._watch.dearest(held, now)
        if dearest is not None:
            record, part = dearest
            worker.submit(lambda: self.leases.let_go(record))
            event = {"event": "restored_for_cost", "path": record.path, "cost": round(part, 4)}
            for connection in set(self._connections.values()):
                if connection.lease is not None:
                    connection.send(event)

    def _drop(self, poller: "select.poll", connection: Connection) -> None:
        for descriptor in (connection.sock.fileno(), connection.process):
            if descriptor is not None:
                del self._connections[descriptor]
                poller.unregister(descriptor)
        lease, connection.lease = connection.lease, None
        if lease is not None and not lease.over:
            self.leases.disconnected(lease)
        self._shut(connection)

    @staticmethod
    def _shut(connection: Connection) -> None:
        connection.sock.close()
        if connection.process is not None:
            os.close(connection.process)

    def _end(self) -> None:
        for connection in set(self._connections.values()):
            connection.send({"event": "bye"})
            self._shut(connection)
        self._listener.close()
        self._place.remove()
        self.leases.end_all()
        with self._waking:
            self._close_pipe()
        self._resign()

    def _close_pipe(self) -> None:
        """Close it once: the number of a closed descriptor may be another file's."""
        for descriptor in (self._wake, self._awake):
            if descriptor >= 0:
                os.close(descriptor)
        self._wake = self._awake = -1

    # -- forked children

    def after_fork(self) -> None:
        """This is a child: the sockets are its parent's, and nobody holds a lease here."""
        global _current
        for connection in set(self._connections.values()):
            self._shut(connection)
        self._listener.close()
        self._close_pipe()
        atexit.unregister(self.close)
        _current = None
        listens = bool(self.options["in_children"])
        for lease in self.leases.sessions():
            self.leases.end(lease, keep=listens)
        if listens:
            with contextlib.suppress(RecompyleError, OSError):
                self._open()
                atexit.register(self.close)
                _current = self
        else:
            self._waking = threading.RLock()
            self.leases.release(KEPT)


def _after_fork() -> None:
    global _starting
    _starting = threading.Lock()
    if _current is not None:
        _current.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
