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
from recompyle.rewrite import Pass, Preview, Site, preview, rewrite
from recompyle.wrap import (
    CallExtras,
    ExceptHook,
    WrapCalls,
    clean_traceback,
    install_excepthook,
    rewrite_wrap_calls,
    wrap_calls,
)

__all__ = [
    "CallExtras",
    "ExceptHook",
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
    "TargetNotFound",
    "WrapCalls",
    "__version__",
    "apply",
    "clean_traceback",
    "flat_profile",
    "install_excepthook",
    "preview",
    "pristine",
    "restore",
    "rewrite",
    "rewrite_wrap_calls",
    "shallow_call_profiler",
    "wrap_calls",
]
