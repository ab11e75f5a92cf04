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
from recompyle.patch import Installation, Patch, apply, install, pristine, restore
from recompyle.profile import ProfileCalls, SlowCall, flat_profile, shallow_call_profiler
from recompyle.rewrite import Pass, Preview, Site, preview, rewrite

__all__ = [
    "Installation",
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
    "__version__",
    "apply",
    "flat_profile",
    "install",
    "preview",
    "pristine",
    "restore",
    "rewrite",
    "shallow_call_profiler",
]
