"""What runs in a program that is attached to: a script that starts the agent, and tells whoever sent it."""

import contextlib
import json
import os
from typing import Any

from recompyle.errors import RecompyleError
from recompyle.patch.turns import ROUNDING, TURN

__all__ = ["ANSWER", "begin", "script"]

ANSWER = "answer.json"

# It runs in the program's main thread, between two of its instructions: so it starts a thread, and does no more.
_SCRIPT = """\
def _recompyle_start(path, folder, options):
    import sys
    added = path not in sys.path
    # Beside a thread that computes this would wait for its turn each time it has read a file.
    interval = sys.getswitchinterval()
    sys.setswitchinterval(min(interval, {turn}) + {rounding})
    short = sys.getswitchinterval()
    try:
        if added:
            sys.path.append(path)
        from recompyle.live import boot
        boot.begin(folder, options)
    except BaseException as error:
        import json, os
        from importlib.machinery import EXTENSION_SUFFIXES
        answer = {{"unusable": f"{{type(error).__name__}}: {{error}}", "suffix": EXTENSION_SUFFIXES[0]}}
        with open(os.path.join(folder, "part"), "w") as file:
            json.dump(answer, file)
        os.rename(os.path.join(folder, "part"), os.path.join(folder, {answer!r}))
    finally:
        if sys.getswitchinterval() == short:
            sys.setswitchinterval(interval + {rounding})
        if added and path in sys.path:
            sys.path.remove(path)
try:
    import threading
    threading.Thread(target=_recompyle_start, args={args!r}, name="recompyle live boot", daemon=True).start()
except BaseException:
    pass
finally:
    del _recompyle_start
"""


def script(path: str, folder: str, options: dict[str, Any]) -> str:
    """The text of the script.

    Parameters:
        path: where the program finds the package, if it does not have it.
        folder: where it leaves its answer.
        options: of `recompyle.live.listen`.
    """
    return _SCRIPT.format(args=(path, folder, options), answer=ANSWER, turn=TURN, rounding=ROUNDING)


def begin(folder: str, options: dict[str, Any]) -> None:
    """Start the agent, and write where it listens, or why it does not.

    Parameters:
        folder: where the answer is expected.
        options: of `recompyle.live.listen`.
    """
    from recompyle.live.agent import current, listen

    try:
        agent = current() or listen(**options)
        answer = {"path": agent.path}
    except RecompyleError as refusal:
        answer = {"slug": refusal.slug, "text": str(refusal)}
    except Exception as error:  # such as that of an audit hook
        answer = {"slug": "refused", "text": f"{type(error).__name__}: {error}"}
    with contextlib.suppress(OSError):  # whoever asked has given up
        part = os.path.join(folder, "part")
        with open(part, "w", encoding="utf-8") as file:
            json.dump(answer, file)
        os.rename(part, os.path.join(folder, ANSWER))
