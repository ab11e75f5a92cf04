"""The controlling side: connects to a program's agent, and asks.

What comes from the program is as hostile as what goes to it: the program may be broken, or another one than it says.
"""

import contextlib
import mmap
import os
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime
from typing import Any, TypeVar

from recompyle.errors import RecompyleError, Unreachable
from recompyle.live import peer, place, proto
from recompyle.live.place import Place
from recompyle.live.proto import BadMessage, Lines, Message, check_row, field, optional
from recompyle.live.record import LARGEST, Row
from recompyle.live.source import Details

__all__ = ["Client", "Page", "connect", "greeting", "place_of"]

T = TypeVar("T")

TIMEOUT = 30.0  # seconds for one answer
PATHS = 50  # in one request; of the greatest length they just go into it
DESCRIPTORS = 4  # that came with answers and nobody has taken yet
SEAL_SHRINK = 0x2
GET_SEALS = 1034


def connect(
    pid: int | None = None,
    *,
    path: str | None = None,
    session: str | None = None,
    timeout: float = 5.0,
    allow_root: bool = False,
) -> "Client":
    """Connect to a program that listens.

    Parameters:
        pid: its process.
        path: its socket, in place of the process.
        session: the session to take up again; None, or one that is over: a new one.
        timeout: seconds that it may take.
        allow_root: as root, connect to a program of another user that listens with this option, too.

    Returns:
        The `Client`; as a context manager it is closed, which restores what it has instrumented.

    Raises:
        Unreachable: with slug ``no_process``, ``no_agent``, ``not_permitted``, ``timeout``, ``version`` or ``limit``.
        TypeError: neither process nor socket, or both.
    """
    if (pid is None) == (path is None):
        raise TypeError("either the process or the path of a socket")
    where = place_of(pid) if path is None else _place_at(path)  # type: ignore[arg-type]
    sock, hello = greeting(where, timeout, allow_root)
    client = Client(sock, hello)
    try:
        client.greet(place.read_token(where), session, timeout)
    except BaseException:
        client.disconnect()
        raise
    return client


def place_of(pid: int) -> Place:
    """Where a process listens.

    Raises:
        Unreachable: there is no such process, or it does not listen.
    """
    if place.start_of(pid) is None:
        raise Unreachable(f"there is no process {pid}", "no_process")
    user = place.user_of(pid)
    for each in place.found():
        if each.pid == pid and each.may_be_of(user):
            return each
    raise Unreachable(
        f"process {pid} does not listen: start it with `live run`, or let it call live.listen()", "no_agent"
    )


def _place_at(path: str) -> Place:
    match = place.NAME.fullmatch(os.path.basename(path))
    if match is None:
        raise Unreachable(f"{path}: the name of a socket is rcp-PID-START.sock", "no_agent")
    return Place(os.path.dirname(os.path.abspath(path)), int(match["pid"]), int(match["start"]))


def greeting(where: Place, timeout: float, allow_root: bool = False) -> tuple[socket.socket, Message]:
    """Connect, check whose program it is, and hear what it says of itself.

    Returns:
        The socket and the greeting. More may be asked after ``hello`` only.

    Raises:
        Unreachable: as of `connect`.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    until = time.monotonic() + timeout
    try:
        sock.settimeout(timeout)
        sock.connect(where.socket)
        process, user = peer.pid_and_user(sock)
        if user != os.geteuid() and not (allow_root and os.geteuid() == 0):
            raise Unreachable(f"process {where.pid} belongs to user {user}: run this as that user", "not_permitted")
        if process not in (None, 0, where.pid):  # 0: it lives in a namespace that we cannot see into
            raise Unreachable(f"{where.socket} is served by process {process}, not {where.pid}", "no_agent")
        line = b""
        while not line.endswith(b"\n"):  # byte by byte: what follows is the client's
            sock.settimeout(max(0.001, until - time.monotonic()))
            got = sock.recv(1)
            line += got
            if not got:
                raise Unreachable(f"process {where.pid} has refused the connection", "not_permitted")
            if len(line) > proto.REQUEST_BYTES:
                raise BadMessage("the greeting is too long")
        return sock, _checked_greeting(proto.decode(line[:-1]), where)
    except BaseException as error:
        sock.close()
        _explain(error, where)
        raise


def _explain(error: BaseException, where: Place) -> None:
    """Raise an error that says what to do, in place of what the system or the parser said."""
    match error:
        case Unreachable():
            pass
        case TimeoutError():
            raise Unreachable(f"process {where.pid} does not answer: it may be stopped", "timeout") from None
        case PermissionError():
            raise Unreachable(
                f"{where.socket}: {error.strerror}: run this as the program's user", "not_permitted"
            ) from None
        case OSError():
            raise Unreachable(f"{where.socket}: {error.strerror}", "no_agent") from None
        case BadMessage():
            raise Unreachable(f"{where.socket}: {error}", "no_agent") from None


def _checked_greeting(message: Message, where: Place) -> Message:
    if message.get("ok") is False:
        raise _refusal(message)
    if message.get("hello") != proto.NAME:
        raise BadMessage("not an agent")
    version = field(message, "v", int)
    if version != proto.VERSION:
        text = f"process {where.pid} speaks version {version} of the protocol, this is version {proto.VERSION}"
        raise Unreachable(text, "version")
    if (field(message, "pid", int), field(message, "start", int)) != (where.pid, where.start):
        # Seen from another namespace it may have another number; the kernel has said whose socket it is.
        message = {**message, "pid": where.pid}
    field(message, "python", str)
    return message


def _refusal(message: Message) -> Unreachable:
    error = message.get("error")
    if type(error) is not dict:
        raise BadMessage("a refusal without reason")
    return Unreachable(field(error, "text", str), field(error, "slug", str))


class Page:
    """The program's counters, read without asking it.

    Parameters:
        descriptor: of the memory; it is closed.

    Raises:
        BadMessage: it is not such a page, or could become shorter while it is read.
    """

    HEADER = struct.Struct("=8sIIQQQQ")

    def __init__(self, descriptor: int):
        import fcntl  # not everywhere

        try:
            size = os.fstat(descriptor).st_size
            sealed = fcntl.fcntl(descriptor, GET_SEALS) & SEAL_SHRINK  # to read what is not there ends a process
            if not sealed or size < self.HEADER.size:
                raise BadMessage("the page of counters is not sealed")
            self._memory = mmap.mmap(descriptor, size, prot=mmap.PROT_READ)
        except OSError as error:
            raise BadMessage(f"no page of counters: {error}") from None
        finally:
            os.close(descriptor)
        magic, version, slot_size, self._slots, *_ = self.HEADER.unpack_from(self._memory)
        if magic != b"RCPLIVE1" or version != 1 or slot_size != 16 or 64 + self._slots * 16 > size:
            raise BadMessage("not a page of counters")
        self._numbers = memoryview(self._memory).cast("Q")

    @property
    def generation(self) -> int:
        """Another number than before if slots may mean something else."""
        return self._numbers[3]

    def hits(self, slot: int) -> int:
        """What a slot counts; 0 for a slot that is not there."""
        return self._numbers[8 + 2 * slot] if 0 <= slot < self._slots else 0


class Client:
    """A session with one program; made by `connect`. May be used by any thread.

    What is instrumented lasts as long as the session, and 5 s more in which that may be taken up again; or it is kept.

    Attributes:
        pid, start, python: the program, as it says of itself.
        session: the session's name, to take it up again.
        ns_per_hit, ns_per_hook_hit: what one hit costs the program, in nanoseconds; the latter with a call of a hook.
    """

    def __init__(self, sock: socket.socket, hello: Message):
        self.pid, self.start, self.python = int(hello["pid"]), int(hello["start"]), str(hello["python"])
        self.session = ""
        self.ns_per_hit = self.ns_per_hook_hit = 0.0
        self._sock = sock
        self._process = peer.process_of(sock)
        self._lock = threading.Lock()  # guards what follows; `_sending` the socket's writing side
        self._sending = threading.Lock()
        self._waiting: dict[int, Future[Message]] = {}
        self._number = 0
        self._gone: Unreachable | None = None
        self._reason = f"process {self.pid} is gone"
        self._descriptors: list[int] = []
        self._listeners: list[Callable[[Message], None]] = []
        self._thread: threading.Thread | None = None

    # -- life

    def greet(self, token: str, session: str | None, timeout: float) -> None:
        """Say hello, and begin or take up a session; done by `connect`."""
        self._sock.settimeout(None)
        self._thread = threading.Thread(target=self._read, name=f"recompyle live {self.pid}", daemon=True)
        self._thread.start()
        try:
            answer = self.call("hello", v=proto.VERSION, token=token, session=session, timeout=timeout)
            self.session = field(answer, "session", str)
            self.ns_per_hit = field(answer, "ns_per_hit", float)
            self.ns_per_hook_hit = optional(answer, "ns_per_hook_hit", float, self.ns_per_hit)
        except Unreachable:
            raise
        except RecompyleError as refusal:
            slug = "not_permitted" if refusal.slug == "bad_token" else refusal.slug
            raise Unreachable(f"process {self.pid}: {refusal}", slug) from None
        except BadMessage as error:
            raise Unreachable(f"process {self.pid}: {error}", "no_agent") from None

    def close(self, keep: bool = False) -> None:
        """End the session, and restore what only it has instrumented. Doing it again does nothing.

        Parameters:
            keep: leave it in place.
        """
        with contextlib.suppress(RecompyleError):
            self.call("quit", keep=keep, timeout=5.0)
        self.disconnect()

    def disconnect(self) -> None:
        """End the connection, but not the session, which may be taken up again within 5 s."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)  # wakes the reader, which closes
        if self._thread is None:
            self._ended()
        elif self._thread is not threading.current_thread():
            self._thread.join(TIMEOUT)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def gone(self) -> Unreachable | None:
        """Why the program cannot be reached any more; None while it can."""
        return self._gone

    # -- the thread that reads

    def _read(self) -> None:
        lines = Lines(proto.ANSWER_BYTES)
        poller = select.poll()
        poller.register(self._sock, select.POLLIN)
        if self._process is not None:
            poller.register(self._process, select.POLLIN)
        try:
            while True:
                ready = dict(poller.poll())
                if self._sock.fileno() not in ready:  # its process has ended, but somebody holds the socket
                    return
                data, descriptors, _, _ = socket.recv_fds(self._sock, 65536, 1, getattr(socket, "MSG_CMSG_CLOEXEC", 0))
                self._keep(descriptors)
                if not data:
                    return
                for line in lines.feed(data):
                    self._take(proto.decode(line))
        except OSError:
            pass
        except BadMessage as error:
            self._reason = f"process {self.pid} does not follow the protocol: {error}"
        finally:
            text = self._reason
            with self._lock:
                self._gone = Unreachable(text)
                waiting, self._waiting = self._waiting, {}
            self._ended()
            for future in waiting.values():
                future.set_exception(Unreachable(text))

    def _keep(self, descriptors: Iterable[int]) -> None:
        """Keep what came for whoever has asked for it; not more than are ever asked for at once."""
        with self._lock:
            self._descriptors += descriptors
            while len(self._descriptors) > DESCRIPTORS:
                os.close(self._descriptors.pop(0))

    def _ended(self) -> None:
        self._sock.close()
        for descriptor in (*self._descriptors, self._process):
            if descriptor is not None:
                os.close(descriptor)
        self._descriptors, self._process = [], None

    def _take(self, message: Message) -> None:
        if type(message.get("event")) is str:
            for listener in list(self._listeners):  # one may take itself out
                listener(message)
            return
        if message.get("id") is None:
            if message.get("ok") is False:  # not about one request; perhaps the reason of the end that follows
                self._reason = f"process {self.pid}: {_refusal(message)}"
            return
        with self._lock:
            future = self._waiting.pop(field(message, "id", int), None)
        if future is None:
            return
        try:
            if message.get("ok") is True:
                future.set_result(message)
            else:
                error = field(message, "error", dict)
                future.set_exception(_error(field(error, "slug", str), field(error, "text", str)))
        except BadMessage as error:
            future.set_exception(Unreachable(f"process {self.pid} does not follow the protocol: {error}"))

    # -- asking

    def on_event(self, listener: Callable[[Message], None]) -> None:
        """Have something called with each event, in the thread that reads."""
        self._listeners.append(listener)

    def request(self, op: str, **fields: Any) -> "Future[Message]":
        """Ask; the answer comes later.

        Parameters:
            op: the verb.
            fields: see the protocol's page; those that are None are left out.
        """
        future: Future[Message] = Future()
        with self._lock:
            if self._gone is not None:
                future.set_exception(Unreachable(str(self._gone)))
                return future
            self._number += 1
            number = self._number
            self._waiting[number] = future
        given = {name: value for name, value in fields.items() if value is not None}
        try:
            data = proto.encode({"id": number, "op": op, **given})
            with self._sending:
                self._sock.sendall(data)
        except OSError:
            pass  # the reader sees it, too, and answers for it
        except BaseException:
            with self._lock:
                self._waiting.pop(number, None)
            raise
        return future

    def call(self, op: str, *, timeout: float = TIMEOUT, **fields: Any) -> Message:
        """Ask, and wait for the answer.

        Raises:
            Unreachable: the program is gone, or does not answer in time.
            RecompyleError: it refuses.
            ValueError: what was asked for is malformed.
        """
        future = self.request(op, **fields)
        try:
            return future.result(timeout)
        except NotInTime:
            raise Unreachable(f"process {self.pid} has not answered within {timeout:g} s", "timeout") from None

    def _all(self, op: str, read: Callable[[Message], "list[T]"], **fields: Any) -> "list[T]":
        """Ask for what comes in parts, and wait for each of them; see `gather`."""
        found: list[T] = []
        while True:
            answer = self.call(op, offset=len(found), **fields)
            if proto.take_part(found, read(answer), answer):
                return found

    def gather(self, op: str, read: Callable[[Message], "list[T]"], **fields: Any) -> "Future[list[T]]":
        """Ask for what comes in parts, such as the rows of ``list``; all of it comes later.

        Parameters:
            op: the verb.
            read: from an answer to what it has brought; called in the thread that reads.
            fields: of the requests.
        """
        found: list[T] = []
        gathered: Future[list[T]] = Future()

        def ask() -> None:
            self.request(op, offset=len(found), **fields).add_done_callback(more)

        def more(answered: "Future[Message]") -> None:
            try:
                answer = answered.result()
                whole = proto.take_part(found, read(answer), answer)
            except BaseException as error:
                gathered.set_exception(error)
                return
            if whole:
                gathered.set_result(found)
            else:
                ask()

        ask()
        return gathered

    def instrument(
        self,
        path: str,
        mode: str = "counter",
        *,
        created: bool = False,
        live: bool = False,
        engine: str = "code",
        seconds: float | None = None,
        keep: bool = False,
    ) -> Row:
        """Have a function's calls counted from now on.

        Parameters:
            path: as for `recompyle.live.instrument`.
            mode: ``counter`` or ``hook``: the hook that the program has set.
            created: of generator and coroutine functions count the objects made.
            live: of a closure also those made before now.
            engine: ``code`` or ``monitoring``.
            seconds: restore it after so long, by the program's clock.
            keep: leave it in place when the session ends.

        Returns:
            Its row.
        """
        how: dict[str, Any] = {"mode": mode, "created": created, "live": live, "engine": engine}
        return check_row(self.call("instrument", path=path, seconds=seconds, keep=keep, **how).get("row"))

    def restore(self, path: str) -> Row:
        """Give a function its own code object back, unless another session holds it, too."""
        return restored_row(self.call("restore", path=path))

    def restore_all(self, own: bool = False) -> list[Row]:
        """Restore all functions but those that other sessions hold.

        Parameters:
            own: only what this session has instrumented.
        """
        return self._all("restore", rows_of, all=True, own=own)

    def resolve(self, path: str) -> Row:
        """What a path leads to; nothing is instrumented."""
        return check_row(self.call("resolve", path=path).get("row"))

    def list(self, pattern: str = "*", *, everything: bool = False, instrumented: bool = False) -> "list[Row]":
        """The functions that can be instrumented, and those that are.

        Parameters:
            pattern: what a path must match.
            everything: also functions of the standard library and of installed packages.
            instrumented: only those that were asked for so far.
        """
        return self._all("list", rows_of, pattern=pattern, everything=everything, instrumented=instrumented)

    def stats(self, paths: Sequence[str] | None = None) -> dict[str, int]:
        """The hits of some functions, or of all that were instrumented so far."""
        if paths is None:
            return dict(self._all("stats", _stats_of))
        found: list[tuple[str, int]] = []
        for begin in range(0, len(paths), PATHS):
            found += _stats_of(self.call("stats", paths=paths[begin : begin + PATHS]))
        return dict(found)

    def details(self, path: str) -> Details:
        """A function's row, and its code before and after."""
        return details_of(self.call("details", path=path))

    def profile(self, path: str, limit_ms: float, report: Callable[[str], None]) -> Callable[[], None]:
        """Have runs of a function timed call by call.

        Parameters:
            path: the function.
            limit_ms: runs that take as long are reported.
            report: gets the text of each, in the thread that reads.

        Returns:
            What ends it; the end of the session does, too.
        """
        return self.begin_profile(path, limit_ms, report).result(TIMEOUT)

    def begin_profile(self, path: str, limit_ms: float, report: Callable[[str], None]) -> "Future[Callable[[], None]]":
        """As `profile`; the answer comes later."""
        number: list[int] = []
        early: list[Message] = []  # events that came before the answer was looked at

        def listener(event: Message) -> None:
            if event["event"] == "slow_call":
                if not number:
                    early.append(event)
                elif event.get("profile") == number[0]:
                    text = field(event, "text", str)
                    try:
                        report(text)
                    except Exception:  # the caller's fault, and no reason to stop reading
                        sys.excepthook(*sys.exc_info())

        def begun(answer: Message) -> Callable[[], None]:
            number.append(field(answer, "profile", int))
            for event in early:
                listener(event)
            return end

        def end() -> None:
            with contextlib.suppress(ValueError):
                self._listeners.remove(listener)
            with contextlib.suppress(Unreachable):
                self.call("profile_end", profile=number[0])

        self._listeners.append(listener)
        return then(self.request("profile", path=path, limit_ms=limit_ms), begun)

    def page(self) -> Page:
        """The program's counters as shared memory.

        Raises:
            RecompyleError: the system has none (slug ``no_page``).
            BadMessage: what came is no such page.
        """
        self.call("counters")
        with self._lock:
            if not self._descriptors:
                raise BadMessage("no descriptor came with the answer")
            descriptor = self._descriptors.pop()
        return Page(descriptor)


def then(future: "Future[T]", make: Callable[[T], Any]) -> "Future[Any]":
    """A future of what is made of an answer."""
    made: Future[Any] = Future()

    def done(answered: "Future[T]") -> None:
        try:
            made.set_result(make(answered.result()))
        except BaseException as error:
            made.set_exception(error)

    future.add_done_callback(done)
    return made


def rows_of(answer: Message) -> list[Row]:
    """The rows of an answer or event."""
    return [check_row(each) for each in field(answer, "rows", list)]


def restored_row(answer: Message) -> Row:
    """The row of the one function that was restored."""
    rows = rows_of(answer)
    if not rows:
        raise BadMessage("an answer without a row")
    return rows[0]


def details_of(answer: Message) -> Details:
    """The details of an answer."""
    after = answer.get("after")
    row = check_row(answer.get("row"))
    return {
        "row": row,
        "before": field(answer, "before", str),
        "after": None if after is None else field(answer, "after", str),
    }


def _stats_of(answer: Message) -> list[tuple[str, int]]:
    return pairs(answer, "stats")


def pairs(message: Message, name: str) -> list[tuple[str, int]]:
    pairs = field(message, name, list)
    for each in pairs:
        if (
            type(each) is not list
            or len(each) != 2
            or type(each[0]) is not str
            or type(each[1]) not in (int, type(None))
            or abs(each[1] or 0) >= LARGEST
        ):
            raise BadMessage(f"{name}: expected pairs of path and number")
    return [(path, count) for path, count in pairs]


def _error(slug: str, text: str) -> Exception:
    return ValueError(text) if slug == "malformed" else RecompyleError(text, slug)
