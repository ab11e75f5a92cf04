"""See inside running Python code: probes rewritten into the code itself."""

from recompyle._version import __version__
from recompyle.errors import (
    NotRewritable,
    PassError,
    RecompyleError,
    RecompyleWarning,
    SourceMismatch,
    SourceNotFound,
    TargetNotFound,
)
from recompyle.patch import Patch, apply, pristine, restore
from recompyle.profile import ProfileCalls, SlowCall, flat_profile, shallow_call_profiler
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

__all__ = [
    "Assignments",
    "Calls",
    "Clock",
    "Counter",
    "EntryExit",
    "Expressions",
    "Handlers",
    "Loops",
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
    "__version__",
    "apply",
    "flat_profile",
    "preview",
    "pristine",
    "restore",
    "rewrite",
    "shallow_call_profiler",
]
