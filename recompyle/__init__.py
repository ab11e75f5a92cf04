"""See inside running Python code: probes rewritten into the code itself."""

from typing import TYPE_CHECKING

import recompyle._compiled  # noqa: F401 - says what is missing before anything else does
from recompyle._later import later
from recompyle._version import __version__
from recompyle.errors import (
    NotCompiled,
    NotRewritable,
    PassError,
    RecompyleError,
    RecompyleWarning,
    SourceMismatch,
    SourceNotFound,
    TargetNotFound,
    Unreachable,
)
from recompyle.patch import Installation, Patch, apply, install, pristine, restore
from recompyle.rewrite import (
    Assignments,
    Calls,
    Clock,
    Counter,
    EntryExit,
    Expressions,
    Handlers,
    Loops,
    Pass,
    Preview,
    Site,
    Statements,
    preview,
    rewrite,
)

if TYPE_CHECKING:
    from recompyle.profile import ProfileCalls, SlowCall, flat_profile, shallow_call_profiler
    from recompyle.trace import TraceResults, tracefunc
    from recompyle.wrap import (
        CallExtras,
        ExceptHook,
        WrapCalls,
        clean_traceback,
        install_excepthook,
        rewrite_wrap_calls,
        wrap_calls,
    )
else:
    __getattr__, __dir__ = later(
        __name__,
        {
            "profile": ("ProfileCalls", "SlowCall", "flat_profile", "shallow_call_profiler"),
            "trace": ("TraceResults", "tracefunc"),
            "wrap": (
                "CallExtras", "ExceptHook", "WrapCalls", "clean_traceback", "install_excepthook", "rewrite_wrap_calls",
                "wrap_calls",
            ),
        },
    )  # fmt: skip

__all__ = [
    "Assignments",
    "CallExtras",
    "Calls",
    "Clock",
    "Counter",
    "EntryExit",
    "ExceptHook",
    "Expressions",
    "Handlers",
    "Installation",
    "Loops",
    "NotCompiled",
    "NotRewritable",
    "Pass",
    "PassError",
    "Patch",
    "Preview",
    "ProfileCalls",
    "RecompyleError",
    "RecompyleWarning",
    "Site",
    "SlowCall",
    "SourceMismatch",
    "SourceNotFound",
    "Statements",
    "TargetNotFound",
    "TraceResults",
    "Unreachable",
    "WrapCalls",
    "__version__",
    "apply",
    "clean_traceback",
    "flat_profile",
    "install",
    "install_excepthook",
    "preview",
    "pristine",
    "restore",
    "rewrite",
    "rewrite_wrap_calls",
    "shallow_call_profiler",
    "tracefunc",
    "wrap_calls",
]
