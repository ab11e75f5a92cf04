"""The pytest fixture `slow_calls`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from recompyle.profile.model import SlowCall


@pytest.fixture
def slow_calls() -> Iterator[list[SlowCall]]:
    """The slow calls of profiled functions that end during the test, oldest first."""
    # pytest loads plugins first of all, and coverage of the package is to start before the package.
    from recompyle.profile.ring import collect

    with collect() as got:
        yield got
