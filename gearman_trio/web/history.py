"""The last hour of a job server, a sample a second, in memory: charts without anything else installed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Final

import attrs
import trio

from ..server import Server
from .lengths import Lengths
from .recent import Recent

__all__ = ["History", "Sample"]

#: How many samples are kept: an hour of them.
_SAMPLES: Final = 3600

#: Of how many samples `History.lag` is: a minute.
_LAG_SAMPLES: Final = 60

#: With more functions than this none is followed: noting them would keep jobs waiting every few seconds.
_MOST_FUNCTIONS: Final = 2000


@attrs.frozen(kw_only=True)
class Sample:
    """A job server at one moment.

    Attributes:
        time: when, in epoch seconds.
        queued: how many jobs were queued.
        scheduled: how many waited for their time.
        running: how many workers held.
        workers: how many connections had abilities.
        connections: how many there were.
        submitted: jobs since the start.
        ended: jobs that have ended since the start, in whatever way.
        failed: those of them that failed, raised, ran out of time or were lost.
        lag: how much later than it was due the sample was taken, in seconds: how long the event loop was busy.
    """

    time: float
    queued: int
    scheduled: int
    running: int
    workers: int
    connections: int
    submitted: int
    ended: int
    failed: int
    lag: float


class History:
    """Samples of a server, the oldest first; `run` takes them.

    Attributes:
        interval_seconds: how long after one sample the next is taken.
        samples: those of the last hour.
        recent: what each function has done lately.
        lengths: how long the queues of the functions were.
    """

    interval_seconds: Final = 1.0

    def __init__(self, server: Server, *, epoch_clock: Callable[[], float] = time.time) -> None:
        self.samples: deque[Sample] = deque(maxlen=_SAMPLES)
        self.recent = Recent()
        self.lengths = Lengths()
        self._server = server
        self._epoch_clock = epoch_clock

    @property
    def lag(self) -> float | None:
        """The longest lag of the last minute, in seconds; ``None`` without samples."""
        return max((sample.lag for sample in islice(reversed(self.samples), _LAG_SAMPLES)), default=None)

    async def run(self) -> None:
        """Take samples until cancelled, which loses none."""
        due = trio.current_time()
        while True:
            await trio.sleep_until(due)
            now = trio.current_time()
            self.samples.append(self._sample(now - due))
            if self.recent.due(now) and self._server.totals().functions <= _MOST_FUNCTIONS:
                functions = self._server.functions()
                self.recent.note(functions, now)
                if self.lengths.due(now):
                    self.lengths.note(functions, now)
            # A loop that was held up for long is sampled late, not often.
            due = due + self.interval_seconds if due + self.interval_seconds > now else now + self.interval_seconds

    def _sample(self, lag: float) -> Sample:
        counters, totals = self._server.counters(), self._server.totals()
        return Sample(
            time=self._epoch_clock(),
            queued=totals.queued,
            scheduled=totals.scheduled,
            running=totals.running,
            workers=totals.workers,
            connections=totals.connections,
            submitted=counters.submitted,
            ended=counters.ended,
            failed=counters.all_failed,
            lag=lag,
        )
