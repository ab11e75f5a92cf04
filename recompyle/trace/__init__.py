"""What each statement of a function did, with which values."""

from recompyle.trace.results import TraceResults
from recompyle.trace.run import tracefunc

__all__ = ["TraceResults", "tracefunc"]
