"""Who is at the other end of a socket, as the kernel says."""

import os
import socket
import struct
import sys

__all__ = ["pid_and_user", "process_of"]

_SO_PEERPIDFD = 77  # Linux 6.5; not in the socket module
_LOCAL_PEERCRED = 1  # macOS
_XUCRED_SIZE = 76


def pid_and_user(connection: socket.socket) -> tuple[int | None, int | None]:
    """The peer's process and effective user when it connected or listened; None where the system does not tell."""
    try:
        if sys.platform == "linux":
            pid, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            return pid, user
        if sys.platform == "darwin":
            _, user = struct.unpack("2I", connection.getsockopt(0, _LOCAL_PEERCRED, _XUCRED_SIZE)[:8])
            return None, user
    except OSError:
        pass
    return None, None


def process_of(connection: socket.socket) -> int | None:
    """A descriptor that becomes readable when the peer's process ends; None where there is none.

    The end of the connection does not tell that alone: a child that was forked behind Python's back keeps the socket
    open.
    """
    if sys.platform != "linux":
        return None
    try:
        descriptor = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD)
    except OSError:
        return None
    os.set_inheritable(descriptor, False)
    return descriptor
