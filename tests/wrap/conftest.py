"""What the tests of wrapped calls share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from helpers import CallLog

import recompyle


@pytest.fixture
def log() -> CallLog:
    return CallLog()


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Whatever a test leaves rewritten is put back."""
    yield
    recompyle.restore()
