"""What the tests of wrapped calls share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from helpers import CallLog

import recompyle
from recompyle.wrap import passes


@pytest.fixture(params=["through a probe", "direct"])
def log(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> CallLog:
    """A wrapper, as an object that probes lead to and as one that stands in the code itself."""
    if request.param == "direct":
        monkeypatch.setattr(passes, "DIRECT", (CallLog,))
    return CallLog()


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Whatever a test leaves rewritten is put back."""
    yield
    recompyle.restore()
