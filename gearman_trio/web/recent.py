"""What each function has done lately: what came and went per second, and how long its jobs waited and ran.

Counts since the start say little of the present after a week.  So now and then they are noted, and what was counted
after a note is what is told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

import attrs

from ..core import FunctionStatistics, Histogram

__all__ = ["Rates", "Recent"]

#: How many seconds there are between two notes, and how many notes are kept: a minute of them.
_NOTE_SECONDS: Final = 5.0
_NOTES: Final = 13

#: Rates are told over at least so many seconds; over fewer they would jump.
_RATE_SECONDS: Final = 3.0

_NOTHING: Final = Histogram()


@attrs.frozen(kw_only=True)
class Rates:
    """A function lately.

    Attributes:
        submitted: new jobs per second, over the last seconds; ``None`` where nothing was noted.
        ended: jobs that ended per second, likewise.
        waited: how long jobs were queued that workers got in the last minute; where there are none, since the start.
        ran: how long the jobs ran that ended in the last minute, likewise.
    """

    submitted: float | None
    ended: float | None
    waited: Histogram
    ran: Histogram


@attrs.frozen
class _Count:
    """The counts of one function when they were noted."""

    submitted: int
    ended: int
    waited: Histogram
    ran: Histogram


@attrs.frozen
class _Note:
    time: float
    counts: dict[bytes, _Count]


class Recent:
    """Keeps the notes of a minute."""

    def __init__(self) -> None:
        self._notes: deque[_Note] = deque(maxlen=_NOTES)

    def due(self, now: float) -> bool:
        """Whether it is time for `note`; `now` is monotonic seconds."""
        return not self._notes or now - self._notes[-1].time >= _NOTE_SECONDS

    def note(self, functions: Sequence[FunctionStatistics], now: float) -> None:
        """Note the counts of all functions."""
        counts = {f.name: _Count(f.submitted, sum(f.ended), f.waited, f.ran) for f in functions}
        self._notes.append(_Note(now, counts))

    def rates(self, function: FunctionStatistics, now: float) -> Rates:
        """How a function has done lately, by its counts of now."""
        before = self._before(now)
        if before is None:
            return Rates(submitted=None, ended=None, waited=function.waited, ran=function.ran)
        seconds = now - before.time
        count = _count(before, function)
        oldest = _count(self._notes[0], function)
        return Rates(
            submitted=(function.submitted - count.submitted) / seconds,
            ended=(sum(function.ended) - count.ended) / seconds,
            waited=_lately(function.waited, oldest.waited),
            ran=_lately(function.ran, oldest.ran),
        )

    def _before(self, now: float) -> _Note | None:
        """The youngest note that is old enough for rates."""
        for note in reversed(self._notes):
            if now - note.time >= _RATE_SECONDS:
                return note
        return None


def _count(note: _Note, function: FunctionStatistics) -> _Count:
    """What was noted of a function; nothing where it was not there, or was another of the same name."""
    count = note.counts.get(function.name)
    if count is None or count.submitted > function.submitted or count.ended > sum(function.ended):
        return _Count(0, 0, _NOTHING, _NOTHING)
    return count


def _lately(now: Histogram, before: Histogram) -> Histogram:
    later = now.since(before)
    return later if later.count else now
