"""The shallow call profiler: which of a slow function's own calls took the time, in that very run."""

from recompyle.profile.control import FunctionStats, clock_info, configure, override, set_pass, stats
from recompyle.profile.decorator import shallow_call_profiler
from recompyle.profile.model import CallSite, SlowCall
from recompyle.profile.passes import ProfileCalls
from recompyle.profile.ring import clear, collect, recent
from recompyle.profile.sinks import (
    CallbackSink,
    JSONFormatter,
    JSONLinesSink,
    LoggingSink,
    SlowCallFormatter,
    sink_errors,
)

__all__ = [
    "CallSite",
    "CallbackSink",
    "FunctionStats",
    "JSONFormatter",
    "JSONLinesSink",
    "LoggingSink",
    "ProfileCalls",
    "SlowCall",
    "SlowCallFormatter",
    "clear",
    "clock_info",
    "collect",
    "configure",
    "flat_profile",
    "override",
    "recent",
    "shallow_call_profiler",
    "sink_errors",
    "stats",
]

flat_profile = shallow_call_profiler
set_pass(ProfileCalls)
