"""Whether the writer works on the running interpreter.

``RECOMPYLE_INJECT=0``  the code-object writer refuses everything
"""

import os
import platform
from typing import NamedTuple

from .. import _env
from . import facts, selftest
from .choose import write
from .points import sites


class Status(NamedTuple):
    """Whether the code-object writer works on this interpreter.

    Attributes:
        ok: whether it does.
        python: version of the interpreter.
        reason: why not; None if it does.
    """

    ok: bool
    python: str
    reason: str | None


class Refusal(NamedTuple):
    """Why something takes no probes.

    Attributes:
        slug: stable word for programs, as of `recompyle.RecompyleError`.
        text: the same for people.
    """

    slug: str
    text: str


_tested: list[Refusal | None] = []  # the one result of the test, once it is known


def status() -> Status:
    """Tell whether the writer works here. The first use of the writer in a process tests it, in some milliseconds."""
    refused = unusable()
    return Status(refused is None, platform.python_version(), refused and refused.text)


def unusable() -> Refusal | None:
    """Why nothing can be written at all; None if it can."""
    if os.environ.get("RECOMPYLE_INJECT") == "0":
        return Refusal("switched_off", "the code-object writer is switched off by RECOMPYLE_INJECT=0")
    if not _tested:
        _tested.append(_test())
    return _tested[0]


def _test() -> Refusal | None:
    if not facts.KNOWN or _env.CONSTANTS_CRASH:
        return Refusal("unknown_python", "probes need CPython 3.11 to 3.15, free-threaded builds 3.13.3 or later")
    fault = selftest.failure(sites, write)
    if fault is None:
        return None
    return Refusal("self_test_failed", f"the code-object writer does not work on this interpreter: {fault}")
