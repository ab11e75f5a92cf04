"""Where the sockets of programs lie, and whose they are.

The folder is private: ``$XDG_RUNTIME_DIR/recompyle``, or a fresh one under the temporary folder whose name nobody can
guess. The names of the files tell the process and when it was started, so that a number which is used again is noticed.
"""

import contextlib
import os
import re
import socket
import stat
import sys
import tempfile
from collections.abc import Iterator
from typing import NamedTuple

from recompyle.errors import Unreachable

__all__ = ["Place", "found", "new", "read_token", "remove_dead", "start_of", "started_at", "user_of"]

NAME = re.compile(r"rcp-(?P<pid>[0-9]{1,10})-(?P<start>[0-9]{1,20})\.sock")
PREFIX = "rcp-live-"  # of folders under the temporary one
PATH_LIMIT = 100  # bytes; systems allow 104 to 108
TOKEN_BYTES = 32


class Place(NamedTuple):
    """The files of one program.

    Attributes:
        folder: where they lie.
        pid: its process.
        start: when that was started, in the kernel's unit; 0 where the system does not tell.
    """

    folder: str
    pid: int
    start: int

    @property
    def socket(self) -> str:
        """The socket's path."""
        return os.path.join(self.folder, f"rcp-{self.pid}-{self.start}.sock")

    @property
    def token(self) -> str:
        """The path of the file that holds the second factor, in hexadecimal."""
        return os.path.join(self.folder, f"rcp-{self.pid}-{self.start}.token")

    def may_be_of(self, user: int | None) -> bool:
        """Whether the socket may be that of a user's program: anybody may give one any name, but not another owner."""
        try:
            return user in (None, os.lstat(self.socket).st_uid)
        except PermissionError:  # in a folder that is not ours
            return user != os.geteuid()
        except OSError:  # such as one that another container sees: to connect shows it
            return True

    def remove(self) -> None:
        """Remove the files, and the folder if it was made for them."""
        for path in (self.socket, self.token):
            with contextlib.suppress(OSError):
                os.unlink(path)
        if os.path.basename(self.folder).startswith(PREFIX):
            with contextlib.suppress(OSError):
                os.rmdir(self.folder)


def start_of(pid: int) -> int | None:
    """When a process was started, in ticks since the system was; 0 where the system does not tell.

    Returns:
        None: there is no such process.
    """
    if sys.platform == "linux":
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()  # the name in parentheses may hold anything
        except OSError:
            return None
        return None if fields[0] in (b"Z", b"X") else int(fields[19])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return 0


def started_at(start: int | None) -> float | None:
    """The time that `start_of` gives, in seconds since 1970; None if the system did not tell."""
    if start:
        with contextlib.suppress(OSError), open("/proc/stat", "rb") as file:
            for line in file:
                if line.startswith(b"btime "):
                    return int(line.split()[1]) + start / os.sysconf("SC_CLK_TCK")
    return None


def user_of(pid: int) -> int | None:
    """The effective user of a process; None where the system does not tell."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status", "rb") as file:
        for line in file:
            if line.startswith(b"Uid:"):
                return int(line.split()[2])
    return None


def check_folder(path: str) -> None:
    """Make sure that nobody else can put anything into a folder.

    Raises:
        Unreachable: it is a link, no folder, of another user, or open to others; the text says which.
    """
    found = os.lstat(path)
    owner, mode = found.st_uid, stat.S_IMODE(found.st_mode)
    kind = "a link" if stat.S_ISLNK(found.st_mode) else "no folder" if not stat.S_ISDIR(found.st_mode) else None
    if kind is None and owner == os.geteuid() and not mode & 0o077:
        return
    raise Unreachable(
        f"{path} must be a folder of user {os.geteuid()} with mode 0700; it is {f'{kind}, ' if kind else ''}"
        f"of user {owner} with mode {mode:04o}",
        "foreign_folder",
    )


def _runtime() -> str | None:
    """The folder under ``$XDG_RUNTIME_DIR``, which need not be there yet; None unless only we can write to that."""
    parent = os.environ.get("XDG_RUNTIME_DIR", "")
    with contextlib.suppress(OSError):
        held = os.stat(parent)
        if os.path.isabs(parent) and held.st_uid == os.geteuid() and not held.st_mode & 0o022:
            return os.path.join(parent, "recompyle")
    return None


def new() -> Place:
    """A place for this process.

    Raises:
        Unreachable: the folder is not ours alone.
    """
    pid = os.getpid()
    start = start_of(pid) or 0
    folder = _runtime()
    if folder is not None and len(os.fsencode(Place(folder, pid, start).socket)) <= PATH_LIMIT:
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)
        check_folder(folder)
        return Place(folder, pid, start)
    place = Place(tempfile.mkdtemp(prefix=PREFIX), pid, start)  # 0700
    if len(os.fsencode(place.socket)) > PATH_LIMIT:
        os.rmdir(place.folder)
        place = place._replace(folder=tempfile.mkdtemp(prefix=PREFIX, dir="/tmp"))
    return place


def _ours() -> list[str]:
    """The paths of all files in the folders of this user that hold sockets."""
    paths = []
    for folder in _folders():
        with contextlib.suppress(OSError):  # its program has ended just now, and removed it
            paths += [os.path.join(folder, name) for name in os.listdir(folder)]
    return paths


def _folders() -> Iterator[str]:
    """The folders of this user that hold sockets."""
    runtime = _runtime()
    candidates = [] if runtime is None else [runtime]
    for parent in {tempfile.gettempdir(), "/tmp"}:
        with contextlib.suppress(OSError):
            candidates += [each.path for each in os.scandir(parent) if each.name.startswith(PREFIX)]
    for path in candidates:
        with contextlib.suppress(OSError, Unreachable):
            check_folder(path)
            yield path


def _of_path(path: str) -> Place | None:
    match = NAME.fullmatch(os.path.basename(path))
    return match and Place(os.path.dirname(path), int(match["pid"]), int(match["start"]))


def found() -> list[Place]:
    """The places of programs that live, those in folders of our own first: anybody may give a socket any name.

    Whether they may be used shows when they are.
    """
    places = {place: None for path in (*_ours(), *_bound()) if (place := _of_path(path)) is not None}
    return [place for place in places if start_of(place.pid) == place.start]


def _bound() -> Iterator[str]:
    """The paths of all sockets, as far as the system tells."""
    with contextlib.suppress(OSError), open("/proc/net/unix", "rb") as file:
        for line in file:
            path = os.fsdecode(line.rstrip(b"\n").split(None, 7)[-1])
            if os.path.isabs(path):
                yield path


def read_token(place: Place) -> str:
    """The second factor of a program.

    Raises:
        Unreachable: it is not there, or not ours alone.
    """
    try:
        descriptor = os.open(place.token, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise Unreachable(f"{place.token}: {error.strerror}", "no_agent") from None
    with open(descriptor, encoding="ascii", errors="replace") as file:
        kept = os.fstat(descriptor)
        if not stat.S_ISREG(kept.st_mode) or kept.st_mode & 0o077:
            raise Unreachable(f"{place.token} must be a file with mode 0600", "not_permitted")
        return file.read(2 * TOKEN_BYTES)


def remove_dead() -> None:
    """Remove what programs of this user have left behind that were killed."""
    for path in _ours():
        place = _of_path(path)
        if place is not None and start_of(place.pid) != place.start and not _answers(place):
            place.remove()


def _answers(place: Place) -> bool:
    """Whether somebody listens after all: another container may share the folder, but not the numbers of processes."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(place.socket)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True
