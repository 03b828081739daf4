"""What an operator sees of single jobs, and does to jobs and functions, in the process of the server."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

import attrs
import trio

from ..core import Failure, JobQuery, JobStatistics
from .hub import Hub
from .options import ServerOptions

__all__ = ["JobPage", "Operator"]

#: How many jobs are looked at, or ended, before others have their turn: about a millisecond.
_JOBS_AT_ONCE: Final = 1000


@attrs.frozen(kw_only=True)
class JobPage:
    """Some of the jobs that were looked for.

    Attributes:
        jobs: in their order.
        after: `JobQuery.after` for the next page; empty where there are no more.
        looked_at: how many jobs were looked at.
    """

    jobs: list[JobStatistics]
    after: bytes
    looked_at: int


class Operator:
    """Looks at jobs and steers them; `Server.operator` gives it. It may be used until the server has ended.

    Attributes:
        options: what the server was started with.
    """

    def __init__(self, hub: Hub, options: ServerOptions) -> None:
        self.options = options
        self._hub = hub

    def job(self, handle: bytes) -> JobStatistics | None:
        """A live job, or ``None``."""
        return self._hub.inspection.job(handle)

    def workload(self, handle: bytes, most: int) -> bytes | None:
        """The first bytes of a live job's workload, at most so many.

        ``None`` where it is in the store alone (`ServerOptions.spill_bytes`), or there is no such job.
        """
        return self._hub.inspection.workload(handle, most)

    async def find(self, query: JobQuery, *, limit: int = 100, look: int = 100_000) -> JobPage:
        """Look for jobs, without making the others wait.

        Args:
            query: which; it says where to go on, too.
            limit: how many jobs the page has at most.
            look: how many jobs are looked at, at least; a page may have fewer jobs than `limit`, or none, and there may
                be more.

        Raises:
            ValueError: the query cannot be read.

        Checkpoints: between parts of a thousand jobs. Jobs may come and go meanwhile.
        """
        walk = self._hub.inspection.walk(query)
        jobs: list[JobStatistics] = []
        steps = 0
        while True:
            jobs += walk.take(limit - len(jobs), _JOBS_AT_ONCE)
            steps += _JOBS_AT_ONCE
            await trio.lowlevel.checkpoint()
            if walk.done or len(jobs) >= limit or steps >= look:
                return JobPage(jobs=jobs, after=b"" if walk.done else walk.cursor, looked_at=walk.looked_at)

    def failures(self) -> list[Failure]:
        """The last jobs that failed, the oldest first."""
        return self._hub.failures()

    def cancel(self, handle: bytes) -> bool:
        """End a job, queued, scheduled or running; say whether there was one.

        Its clients hear WORK_FAIL. A worker that runs it is not told; what it still says of the job is dropped.
        """
        return self._hub.steer(lambda steering: steering.cancel(handle))

    def requeue(self, handle: bytes) -> str:
        """Take a running job from its worker, and queue it at the tail of its priority; say why not, or ``""``.

        What the worker still says of the job is dropped, unless it gets it again.
        """
        return self._hub.steer(lambda steering: steering.requeue(handle))

    def pause(self, function: bytes) -> bool:
        """Keep a function's jobs from workers, also one that is not known yet; say whether it can be a function."""
        return self._hub.steer(lambda steering: steering.pause(function))

    def resume(self, function: bytes) -> bool:
        """Undo `pause`; say whether the function is known."""
        return self._hub.steer(lambda steering: steering.resume(function))

    def limit(self, function: bytes, *, high: int, normal: int, low: int) -> bool:
        """Refuse new jobs of a priority while the function has so many jobs; 0 for no limit.

        Say whether there is, or can be, such a function.
        """
        return self._hub.steer(lambda steering: steering.limit(function, (high, normal, low)))

    async def purge(self, function: bytes) -> int | None:
        """End the jobs of a function that no worker has; say how many, or ``None`` where the function is not known.

        Cancellation: some of them have ended.
        """
        purged = self._hub.steer(lambda steering: steering.purge_named(function))
        if purged is None:
            return None
        ended = 0
        while True:
            looked_at, count = self._hub.steer(lambda steering: _part(purged))
            ended += count
            await trio.lowlevel.checkpoint()
            if looked_at < _JOBS_AT_ONCE:
                return ended


def _part(purged: Iterator[int]) -> tuple[int, int]:
    """A part of a purge: how many jobs were looked at, and how many were ended."""
    counts = list(islice(purged, _JOBS_AT_ONCE))
    return len(counts), sum(counts)
