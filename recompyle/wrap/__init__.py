"""Every call of a function goes through a wrapper, and tracebacks stay as the user wrote the program."""

from recompyle.wrap.decorator import rewrite_wrap_calls
from recompyle.wrap.extras import CallExtras
from recompyle.wrap.hooks import ExceptHook, clean_traceback, install_excepthook
from recompyle.wrap.passes import WrapCalls

__all__ = [
    "CallExtras",
    "ExceptHook",
    "WrapCalls",
    "clean_traceback",
    "install_excepthook",
    "rewrite_wrap_calls",
    "wrap_calls",
]

wrap_calls = rewrite_wrap_calls
