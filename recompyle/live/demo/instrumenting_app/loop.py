"""The program itself: picks a callable at random and calls it."""

import random
import time

from .registry import REGISTRY

__all__ = ["Loop"]


class Loop:
    """Calls at random.

    Parameters:
        seed: of the choice; None: another one each time.
        sleep: seconds to sleep after each call; 0: none.
    """

    def __init__(self, seed: int | None = None, sleep: float = 0.001):
        self._choice, self._sleep = random.Random(seed).choice, sleep
        self.calls = 0

    def step(self) -> None:
        """Make one call."""
        _, call = self._choice(REGISTRY)
        call()
        self.calls += 1
        if self._sleep:
            time.sleep(self._sleep)

    def run(self, seconds: float) -> None:
        """Make calls for so long, at least one."""
        until = time.monotonic() + seconds
        self.step()
        while time.monotonic() < until:
            self.step()
