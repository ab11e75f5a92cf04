"""What was proved once need not be proved again: results of the costly steps of a rewrite, kept on disk.

Three things are kept for each source file. Which definition a running code object comes from, once it was shown to
compile to it. Of passes that can make their probes again the finished code, see `recompyle.rewrite.kept`. Of others
the code with placeholders, once it was shown to be the old code plus probes; what passes ask for is part of its key,
and the probes themselves are linked in after it was loaded. So these passes run each time and nothing about them is
assumed, but nothing is compiled or compared.

A file of the cache is named after everything that the results depend on: text and name of the source, CPython's
bytecode, its options, this package's version and the very files that prove. A file that is not in order is ignored and
written anew. It is replaced in one step, so any number of processes may share a folder.

``RECOMPYLE_CACHE_DIR`` names the folder. By default it is ``recompyle`` in the user's folder for caches
(``XDG_CACHE_HOME``, else ``~/.cache``); if it is set to nothing, nothing is kept. What is read is code that will run:
a folder or file that belongs to somebody else, or that others may write to, is not used.
"""

import contextlib
import functools
import marshal
import os
import stat
import sys
import tempfile
import threading
from collections.abc import Iterator
from hashlib import blake2b
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from types import CodeType
from typing import Any

from recompyle._env import HAS_COLUMNS
from recompyle._version import __version__

__all__ = ["Record", "is_keeping", "keeping", "key_of", "record_of"]

MARK = b"recompyle proofs 1\n"
SUFFIX = ".proofs"
LARGEST = 256 << 20  # bytes in the folder; above that the oldest files go, down to half of it
_DETERMINISTIC = 2  # the newest version of the marshal format in which equal objects have equal bytes

_local = threading.local()
_pruned: set[Path] = set()  # once in a process is enough


class Record:
    """What is known about one source file.

    Parameters:
        path: the file it is kept in.
    """

    def __init__(self, path: Path):
        self.path = path
        self.known = _read(path)
        self.changed = False

    def get(self, key: bytes) -> Any:
        """What was put in under a key; None if nothing was."""
        return self.known.get(key)

    def put(self, key: bytes, value: Any) -> None:
        """Keep a value that can be marshalled."""
        self.known[key] = value
        self.changed = True

    def save(self) -> None:
        """Write it, together with what other processes have found meanwhile.

        Raises:
            OSError: it cannot be written.
        """
        payload = marshal.dumps({**_read(self.path), **self.known})
        handle, name = tempfile.mkstemp(SUFFIX, dir=self.path.parent)
        try:
            with open(handle, "wb") as file:
                file.write(MARK + _digest(payload) + payload)
            os.replace(name, self.path)
        except BaseException:
            os.unlink(name)
            raise
        self.changed = False


@contextlib.contextmanager
def keeping() -> Iterator[None]:
    """Let rewrites of this thread use the cache; what they add is written in the end."""
    folder = _folder()
    if folder is None or is_keeping() or not _is_private(folder):
        yield
        return
    _local.records, _local.folder = {}, folder
    try:
        yield
    finally:
        records, _local.records = _local.records, None
        with contextlib.suppress(OSError, ValueError):  # it is only a cache
            changed = [record for _, record in records.values() if record.changed]
            for record in changed:
                record.save()
            if changed and folder not in _pruned:
                _pruned.add(folder)
                _prune(folder)


def is_keeping() -> bool:
    """Whether this thread keeps anything now."""
    return getattr(_local, "records", None) is not None


def record_of(file: str, lines: list[str]) -> Record | None:
    """What is known about a source file; None if nothing is kept.

    Parameters:
        file: the name that its code objects carry.
        lines: its lines, ends kept: the very list that the line cache gives, which is recognised at once.
    """
    if not is_keeping():
        return None
    key = file, id(lines)
    known = _local.records.get(key)
    if known is None:  # the lines are kept with it, so that their address stays their own
        known = _local.records[key] = lines, Record(_local.folder / f"{_name(file, lines)}{SUFFIX}")
    return known[1]


def key_of(code: CodeType, *more: Any) -> bytes | None:
    """A key for a code object and something besides; None if it cannot be written down."""
    return _key_of((code, more)) or _key_of((_without_slices(code), more))


def _key_of(parts: Any) -> bytes | None:
    try:
        return _digest(marshal.dumps(parts, _DETERMINISTIC))
    except ValueError:
        return None


_SLICE = compile("", "<slice>", "exec")  # what no source has among its constants


def _without_slices(const: Any) -> Any:
    """From 3.14 slices may be constants, which that version of the format does not have."""
    if type(const) is CodeType:
        return const.replace(co_consts=tuple(map(_without_slices, const.co_consts)))
    if type(const) is tuple:
        return tuple(map(_without_slices, const))
    return _SLICE.replace(co_consts=(const.start, const.stop, const.step)) if type(const) is slice else const


def _name(file: str, lines: list[str]) -> str:
    surroundings = MAGIC_NUMBER.hex(), sys.version, sys.flags.optimize, HAS_COLUMNS, __version__, _provers()
    return _digest(repr((surroundings, file, "".join(lines))).encode(errors="surrogatepass")).hex()


@functools.cache
def _provers() -> tuple[tuple[str, int, int], ...]:
    """Name, size and time of the files of the rewriter and of the passes whose code is kept whole.

    Within one version another build may prove something else.
    """
    package = Path(__file__).parents[1]
    folders = (package, *(package / name for name in ("rewrite", "inject", "profile", "wrap")))
    kinds = (".py", EXTENSION_SUFFIXES[0])
    files = [each for folder in folders for each in os.scandir(folder) if each.name.endswith(kinds)]
    return tuple(sorted((each.name, each.stat().st_size, each.stat().st_mtime_ns) for each in files))


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=20).digest()


def _folder() -> Path | None:
    chosen = os.environ.get("RECOMPYLE_CACHE_DIR")
    if chosen is not None:
        return Path(chosen) if chosen else None
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(home, "recompyle") if os.path.isabs(home) else None


def _is_private(folder: Path) -> bool:
    """Make the folder if there is none, and tell whether nobody but the user can put anything in."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _is_ours(folder.stat())
    except OSError:
        return False


def _is_ours(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)  # a pipe would keep us waiting


def _read(path: Path) -> dict[bytes, Any]:
    """What a file of the cache holds; nothing if it is not in order."""
    try:
        with open(path, "rb", opener=_open) as file:
            data = file.read() if _is_ours(os.fstat(file.fileno())) else b""
    except OSError:
        return {}
    start = len(MARK) + len(_digest(b""))
    payload = data[start:]
    if data[:start] != MARK + _digest(payload):
        return {}
    try:
        known = marshal.loads(payload)
    except (EOFError, ValueError, TypeError):
        return {}
    return known if type(known) is dict else {}


def _prune(folder: Path) -> None:
    """Delete the oldest files of the cache if they are too large together. Others that lie there are not ours."""
    ours = [each for each in os.scandir(folder) if each.name.endswith(SUFFIX) and each.is_file(follow_symlinks=False)]
    files = [(each.stat().st_mtime, each.stat().st_size, each.path) for each in ours]
    total = sum(size for _, size, _ in files)
    if total <= LARGEST:
        return
    for _, size, path in sorted(files):
        if total <= LARGEST // 2:
            break
        os.unlink(path)
        total -= size
