"""Reports must not report on themselves.

Making a report calls functions of the standard library, which may be profiled too. If each of their runs made a
report in its turn, there would be no end.
"""

import threading

__all__ = ["guard"]


class _Guard(threading.local):
    """Per thread.

    Attributes:
        making: a report is being made; runs that end meanwhile count in the statistics and make no report.
    """

    making = False


guard = _Guard()
