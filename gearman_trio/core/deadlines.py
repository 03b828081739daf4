"""What is to happen later: a heap with lazy deletion.

A timer that is cancelled stays in the heap until it comes to the top, or until more than half of the heap is cancelled
and the heap is built anew; so adding and cancelling are O(log n) and O(1), and memory follows the live timers.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from math import inf
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .job import Job
    from .peer import Peer

__all__ = ["Deadlines", "Timer"]

#: Below so many cancelled timers the heap is not worth building anew.
_MIN_CANCELLED: Final = 256


class Timer:
    """One thing to happen at one time: to a job, or to a peer."""

    __slots__ = ("cancelled", "job", "peer")

    def __init__(self, job: Job | None, peer: Peer | None) -> None:
        self.job = job
        self.peer = peer
        self.cancelled: bool = False


class Deadlines:
    """Timers in the order of their times, all on one clock; equal times keep the order in which they were added."""

    __slots__ = ("_added", "_cancelled", "_heap")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._added: int = 0
        self._cancelled: int = 0

    def __len__(self) -> int:
        return len(self._heap) - self._cancelled

    @property
    def heap(self) -> list[tuple[float, int, Timer]]:
        """Times, the numbers of the timers, and the timers, cancelled ones too, as a heap to look at."""
        return self._heap

    def add(self, when: float, timer: Timer) -> None:
        """Let `timer` come out of `pop_due` at `when`."""
        self._added += 1
        heappush(self._heap, (when, self._added, timer))

    def cancel(self, timer: Timer) -> None:
        """Keep a timer that was added, and has not come out, from ever coming out."""
        timer.cancelled = True
        # It may stay in the heap for long; the job's workload must not.
        timer.job = None
        timer.peer = None
        self._cancelled += 1
        if self._cancelled > _MIN_CANCELLED and self._cancelled * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if not entry[2].cancelled]
            heapify(self._heap)
            self._cancelled = 0

    def next_time(self) -> float:
        """When the first timer is due; infinity where there is none."""
        heap = self._heap
        while heap and heap[0][2].cancelled:
            heappop(heap)
            self._cancelled -= 1
        return heap[0][0] if heap else inf

    def pop_due(self, now: float) -> Timer | None:
        """Take the first timer if it is due."""
        when = self.next_time()
        if when > now or when == inf:
            return None
        return heappop(self._heap)[2]
