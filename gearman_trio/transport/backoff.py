"""How long to wait before a server that could not be reached is tried again."""

from __future__ import annotations

import random
from collections.abc import Callable

import attrs

__all__ = ["Backoff"]


@attrs.define
class Backoff:
    """Waits that double up to a cap, each drawn from its upper half, so that a fleet does not come back at once.

    Attributes:
        first: the longest first wait, in seconds.
        cap: the longest wait of all, in seconds.
        draw: gives a number from 0 to 1; tests put their own here.
    """

    first: float = 0.1
    cap: float = 30.0
    draw: Callable[[], float] = random.random
    _attempts: int = attrs.field(default=0, init=False)

    def next_wait(self) -> float:
        """The seconds to wait now; the next call gives more."""
        longest = min(self.cap, self.first * 2.0**self._attempts)
        # 64 doublings pass every cap that a person would set; counting on would overflow a float in the end.
        self._attempts = min(self._attempts + 1, 64)
        return longest * (0.5 + 0.5 * self.draw())

    def reset(self) -> None:
        """Begin again with the shortest wait, after a success."""
        self._attempts = 0
