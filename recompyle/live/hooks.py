"""The default hook."""

from recompyle.live.state import registry

__all__ = ["instrumentation_hook"]


def instrumentation_hook(name: str) -> None:
    """Counts one hit of a function. Code in hook mode is as if it called this, by way of a guard that counts by itself.

    Parameters:
        name: the path of a function that is or was instrumented; any other does nothing.
    """
    record = registry.known(name)
    if record is not None and record.hits is not None:
        record.hits.__invert__()
