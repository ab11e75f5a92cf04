"""Facts about the running CPython, each with the reason it is known.

Nobody else compares versions. Environment variables are documented where they are read:

``RECOMPYLE=0``  nothing is rewritten; decorators and ``apply`` leave every function as it is
``RECOMPYLE_LIVE=0``  no other process can look in: neither ``live.listen``, nor ``live run``, nor attaching
"""

import os
import sys
import sysconfig

PYTHON = sys.version_info[:2]

SUPPORTED = sys.implementation.name == "cpython" and (3, 11) <= PYTHON <= (3, 15)

# Without the global interpreter lock, assigning `__code__` is an open data race in CPython (gh-145272).
FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))

# 3.13.0t to 3.13.2t compare the constants of two code objects and crash on unknown types (gh-130851).
CONSTANTS_CRASH = FREE_THREADED and (3, 13, 0) <= sys.version_info[:3] < (3, 13, 3)

# 3.12.0 loses hidden-local flags in `code.replace` (gh-110543).
REPLACE_LOSES_FLAGS = sys.version_info[:3] == (3, 12, 0)

# From 3.12 list, set and dict comprehensions are compiled into the function (PEP 709) and are no scope of
# their own in qualified names.
INLINED_COMPREHENSIONS = PYTHON >= (3, 12)

# Up to 3.11 the nodes inside an f-string carry positions of a text that never stood in the file.
FSTRING_POSITIONS = PYTHON >= (3, 12)

# `any(<generator expression>)` and its like are compiled into a loop of their own if the argument stands bare
# (3.14: all, any, tuple; 3.15: list and set as well). Wrapping the argument would lose that.
INLINED_CALLS = frozenset({"all", "any", "tuple", "list", "set"}) if PYTHON >= (3, 14) else frozenset()

# Filters of warnings belong to the context (3.14: an option; the default without the global interpreter lock).
CONTEXT_WARNINGS = bool(getattr(sys.flags, "context_aware_warnings", False))

# Compiled without columns (-X no_debug_ranges, PYTHONNODEBUGRANGES): markers cannot be told by column.
HAS_COLUMNS = not bool(sys._xoptions.get("no_debug_ranges")) and not os.environ.get("PYTHONNODEBUGRANGES")


def disabled() -> bool:
    """Whether ``RECOMPYLE=0`` is set: read at each use, so that a program may set it before it decorates."""
    return os.environ.get("RECOMPYLE") == "0"


def live_disabled() -> bool:
    """Whether ``RECOMPYLE_LIVE=0`` is set."""
    return os.environ.get("RECOMPYLE_LIVE") == "0"
