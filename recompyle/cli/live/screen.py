"""Whether a command may open a screen on the terminal."""

import os
import sys
from types import ModuleType

__all__ = ["screen"]


def screen() -> ModuleType | None:
    """`recompyle.live.tui`, or None where no screen can be drawn. Says so if all that is missing is the extra."""
    # The screen is drawn on the standard error; a dumb terminal understands none of it.
    if not (sys.stdin.isatty() and sys.stderr.isatty()) or os.environ.get("TERM", "dumb") in ("", "dumb"):
        return None
    try:
        from recompyle.live import tui
    except ImportError:
        print("going on without a screen: pip install 'recompyle[tui]' for one", file=sys.stderr)
        return None
    return tui
