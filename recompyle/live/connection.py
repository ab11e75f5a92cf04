"""One client of the agent: what it sends, within limits, and what it is sent, without ever waiting for it."""

import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from recompyle.live import peer, proto
from recompyle.live.leases import Lease
from recompyle.live.proto import BadMessage, Lines, Message

__all__ = ["Connection"]

CHUNK = 65536
LEFT = 256  # chunks; more than a socket holds


class Connection:
    """A client. Used by the agent's thread only.

    Parameters:
        sock: connected; the peer's user has been checked.
        handle: called with each message.

    Attributes:
        sock: as given.
        process: becomes readable when the peer's process ends; None where there is no such descriptor.
        lease: its session; None until its hello.
        closed: whether it is done with; what closes it is the agent.
        hello_by: when its hello is due.
        waiting: how many of its requests are still in work.
        view: what the verbs remember of it.
    """

    def __init__(self, sock: socket.socket, handle: "Callable[[Connection, Message], None]"):
        sock.setblocking(False)
        self.sock = sock
        self.process = peer.process_of(sock)
        self.lease: Lease | None = None
        self.closed = False
        self.hello_by = time.monotonic() + proto.HELLO_SECONDS
        self.waiting = 0
        self.view: Any = None
        self._handle = handle
        self._lines = Lines(proto.REQUEST_BYTES)
        self._out: deque[tuple[memoryview, int | None]] = deque()
        self._queued = 0
        self._bad = 0
        self._allowance = float(proto.REQUESTS_A_SECOND)
        self._allowed_at = time.monotonic()

    # -- what it sends

    def receive(self) -> bool:
        """Take in what has arrived, and handle the messages that are complete.

        Returns:
            Whether there may be more.
        """
        try:
            data = self.sock.recv(CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        self.closed = self.closed or not data
        for line in self._lines.feed(data):
            if self.closed:
                break
            self._take(line)
        return not self.closed

    def drain(self) -> None:
        """Take in what a process that has ended left behind, but not all that others may send who hold its socket."""
        for _ in range(LEFT):
            if not self.receive():
                break
        self.closed = True

    def _take(self, line: bytes | None) -> None:
        now = time.monotonic()
        gained = (now - self._allowed_at) * proto.REQUESTS_A_SECOND
        self._allowance, self._allowed_at = min(proto.REQUESTS_A_SECOND, self._allowance + gained) - 1, now
        if self._allowance < 0:
            self.refuse("limit", f"at most {proto.REQUESTS_A_SECOND} requests a second")
            return
        try:
            message = proto.decode(line)
            self._handle(self, message)
        except BadMessage as error:
            if self.lease is None:
                self.closed = True
                return
            self._bad += 1
            self.send(failed(None, "bad_message", str(error)))
            self.closed = self.closed or self._bad >= proto.BAD_MESSAGES

    # -- what it is sent

    @property
    def is_behind(self) -> bool:
        """Whether it has not read all it was sent."""
        return bool(self._out)

    def send(self, message: Message, descriptor: int | None = None) -> None:
        """Queue a message, and send as much as goes at once. A client that lets too much pile up is closed.

        Parameters:
            message: the message.
            descriptor: goes with it.
        """
        data = proto.encode(message)
        self._queued += len(data)
        if self._queued > proto.QUEUE_BYTES:
            self.closed = True
            return
        self._out.append((memoryview(data), descriptor))
        self.flush()

    def offer(self, message: Message) -> None:
        """Send a message that may be lost, unless too much has piled up already."""
        if self._queued <= proto.QUEUE_BYTES // 2:
            self.send(message)

    def refuse(self, slug: str, text: str) -> None:
        """Say why, and close."""
        self.send(failed(None, slug, text))
        self.closed = True

    def flush(self) -> None:
        """Send as much as goes without waiting."""
        while self._out and not self.closed:
            data, descriptor = self._out[0]
            try:
                sent = _send(self.sock, data, descriptor)
            except BlockingIOError:
                return
            except OSError:
                self.closed = True
                return
            self._queued -= sent
            if sent == len(data):
                self._out.popleft()
            else:
                self._out[0] = data[sent:], None


def failed(number: object, slug: str, text: str) -> Message:
    """The answer to a request that was refused."""
    return {"id": number, "ok": False, "error": {"slug": slug, "text": text[:2000]}}


def _send(sock: socket.socket, data: memoryview, descriptor: int | None) -> int:
    return sock.send(data) if descriptor is None else socket.send_fds(sock, [data], [descriptor])
