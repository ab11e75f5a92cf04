"""Starting the agent in a program that does not listen yet: from CPython 3.14 on, with `sys.remote_exec`."""

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import recompyle
from recompyle import _env
from recompyle.errors import Unreachable
from recompyle.live import boot, cost, place
from recompyle.live.client import Client, connect

__all__ = ["attach"]

TIMEOUT = 30.0
AGAIN = 10.0  # seconds until the script is sent once more, at most
PATIENCE = 2.0  # seconds until somebody is told why it takes so long
LOOK = 0.02  # seconds between two looks for the answer
HOW_ELSE = "let the program call recompyle.live.listen(), or start it with `python -m recompyle live run`"


def attach(
    pid: int,
    *,
    timeout: float = TIMEOUT,
    say: Callable[[str], None] | None = None,
    allow_import: bool = False,
    cap: float | None = cost.CAP,
) -> Client:
    """Connect to a program, and start the agent in it if it does not listen yet.

    To start it takes CPython 3.14 or later, the same on both sides.
    The agent is started by the program's main thread when it next runs Python code: not while it sleeps or waits.

    Parameters:
        pid: its process.
        timeout: seconds that it may take.
        say: called with a line of text if it takes long.
        allow_import: for an agent that is started: see `recompyle.live.listen`.
        cap: likewise.

    Returns:
        The `Client`.

    Raises:
        Unreachable: as of `connect`, and with slug ``no_channel`` where nothing can be started, or ``no_core`` where
            this package cannot be imported.
    """
    if _env.live_disabled():
        raise Unreachable("RECOMPYLE_LIVE=0 is set", "disabled")
    try:
        return connect(pid)
    except Unreachable as error:
        if error.slug != "no_agent":
            raise
    _check(pid)
    folder = tempfile.mkdtemp(prefix="rcp-attach-")  # 0700
    path = os.path.join(folder, "start.py")
    package = os.path.dirname(os.path.dirname(os.path.abspath(recompyle.__file__)))
    _write(path, boot.script(package, folder, {"allow_import": allow_import, "cap": cap}))
    try:
        _send(pid, path)
    except Unreachable:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    try:
        answer = _await(pid, path, os.path.join(folder, boot.ANSWER), timeout, say)
    except BaseException:
        # The program may still come to it, and would complain of a script that is missing: it gets an empty one.
        if place.start_of(pid) is None:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            _write(path, "")
        raise
    shutil.rmtree(folder, ignore_errors=True)
    if "unusable" in answer:
        raise Unreachable(
            f"process {pid}: recompyle cannot be used there: {answer['unusable']}. All of it needs its compiled "
            f"modules, whose names end in {answer['suffix']} there: install it for that very Python",
            "no_core",
        )
    if "path" not in answer:
        raise Unreachable(f"process {pid}: {answer.get('text')}", str(answer.get("slug")))
    return connect(path=str(answer["path"]))


def _check(pid: int) -> None:
    """Refuse what cannot work, in words that say what to do.

    Raises:
        Unreachable: why not.
    """
    if not hasattr(sys, "remote_exec"):
        raise Unreachable(f"process {pid} does not listen, and this Python cannot attach: {HOW_ELSE}", "no_agent")
    if sys.platform != "linux":
        return
    try:
        owner = os.stat(f"/proc/{pid}").st_uid
        same = owner != os.geteuid() or (
            os.readlink(f"/proc/{pid}/ns/pid") == os.readlink("/proc/self/ns/pid")
            and os.path.samefile(f"/proc/{pid}/root", "/proc/self/root")
        )
    except PermissionError:
        raise _no_right(pid) from None
    except OSError:
        raise Unreachable(f"there is no process {pid}", "no_process") from None
    if owner != os.geteuid():
        raise Unreachable(f"process {pid} belongs to user {owner}: run this as that user", "not_permitted")
    if not same:
        raise Unreachable(f"process {pid} runs in another container: run this inside of it", "no_channel")


def _no_right(pid: int) -> Unreachable:
    return Unreachable(
        f"the system does not let this process look into process {pid} (ptrace; on Linux see kernel.yama.ptrace_scope)"
        f": {HOW_ELSE}",
        "not_permitted",
    )


def _write(path: str, text: str) -> None:
    """Put a script in its place as a whole, readable by this user only."""
    part = f"{path}.part"
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(part, path)


def _send(pid: int, path: str) -> None:
    """Have the program run a script.

    Raises:
        Unreachable: it cannot.
    """
    try:
        sys.remote_exec(pid, path)  # type: ignore[attr-defined,unused-ignore]
    except PermissionError:
        raise _no_right(pid) from None
    except ProcessLookupError:
        raise Unreachable(f"there is no process {pid}", "no_process") from None
    except (RuntimeError, OSError) as error:
        if place.start_of(pid) is None:
            raise Unreachable(f"process {pid} is gone") from None
        said = str(error.__cause__ or error)
        wanted = f"CPython {sys.version_info[0]}.{sys.version_info[1]} that allows remote debugging"
        text = f"process {pid} cannot be attached to: {said}. It must be {wanted}; otherwise {HOW_ELSE}"
        raise Unreachable(text, "no_channel") from None


def _await(pid: int, path: str, answer: str, timeout: float, say: Callable[[str], None] | None) -> dict[str, Any]:
    """Wait for the script's answer."""
    began = time.monotonic()
    again = said = False
    while not os.path.exists(answer):
        taken = time.monotonic() - began
        if place.start_of(pid) is None:
            raise Unreachable(f"process {pid} is gone")
        if taken > timeout:
            raise Unreachable(f"the main thread of process {pid} has run no Python code for {timeout:g} s", "timeout")
        if taken > PATIENCE and not said:
            said = True
            if say is not None:
                say(f"the main thread of process {pid} is blocked; attached as soon as it wakes")
        if taken > min(AGAIN, timeout / 2) and not again:
            again = True
            _send(pid, path)  # another tool may have put its own script in the place of ours
        time.sleep(LOOK)
    with open(answer, encoding="utf-8") as file:
        return dict(json.load(file))
