"""Answers questions about live jobs; a look changes nothing."""

from __future__ import annotations

from .detail import JobStatistics
from .peer import Peer
from .registry import Registry
from .walks import JobQuery, JobWalk, begin_walk

__all__ = ["Inspection"]


class Inspection:
    """Answers questions about live jobs."""

    __slots__ = ("_peers", "_registry")

    def __init__(self, registry: Registry, peers: dict[int, Peer]) -> None:
        self._registry = registry
        self._peers = peers

    def job(self, handle: bytes) -> JobStatistics | None:
        """A live job."""
        job = self._registry.jobs.get(handle)
        return None if job is None else JobStatistics(job)

    def workload(self, handle: bytes, most: int) -> bytes | None:
        """The beginning of a live job's workload; `None` where it is in the store alone, or there is no such job."""
        job = self._registry.jobs.get(handle)
        return None if job is None or job.missing else bytes(job.workload[:most])

    def walk(self, query: JobQuery) -> JobWalk:
        """Look for jobs.

        Raises:
            ValueError: the state is none that jobs are looked for in, or the cursor is none of such a walk.
        """
        return begin_walk(self._registry, self._peers, query)
