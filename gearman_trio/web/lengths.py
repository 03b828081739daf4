"""How long the queue of each function was in the last hour, in few numbers: the small curves of the page."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from ..core import FunctionStatistics
from .snapshot import text

__all__ = ["Lengths"]

#: How many seconds there are between two notes, and how many are kept: an hour of them.
_NOTE_SECONDS: Final = 20.0
_NOTES: Final = 180


class Lengths:
    """Keeps them. What a function had before it was known is not told, so a curve may be short."""

    def __init__(self) -> None:
        self._noted_at: float | None = None
        self._queued: dict[bytes, deque[int]] = {}

    def due(self, now: float) -> bool:
        """Whether it is time for `note`; `now` is monotonic seconds."""
        return self._noted_at is None or now - self._noted_at >= _NOTE_SECONDS

    def note(self, functions: Sequence[FunctionStatistics], now: float) -> None:
        """Note how many jobs each function has queued; those that are not there any more are forgotten."""
        self._noted_at = now
        before = self._queued
        self._queued = {}
        for function in functions:
            lengths = before.get(function.name) or deque(maxlen=_NOTES)
            lengths.append(function.queued)
            self._queued[function.name] = lengths

    def value(self) -> dict[str, Any]:
        """By function, the oldest first; of those that had no job queued, nothing."""
        return {text(name): list(lengths) for name, lengths in self._queued.items() if any(lengths)}
