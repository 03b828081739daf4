"""Workloads that are in the store alone, so that a queue may be larger than memory: which to fetch, and for whom.

Rule 1: a workload longer than `Policy.spill_bytes` is let go of when its job is stored, and again when it is assigned.
It comes back for a worker that grabs the job, or shortly before, and never for anything else.

Rule 2: a worker that grabs such a job is answered when the workload is there, with what it is sent later in line behind
that answer.  Its job is the one that was next at the grab, so the order is that of a queue in memory.

Theory.  A fetch costs a thread hop and a question to the store, whatever it asks for.  So all that was grabbed while
the one before was under way is asked for at once, with the jobs that are next in the queues, up to a number of bytes.

| meanwhile | then |
|---|---|
| the worker leaves | its job goes back to the head of its queue |
| the job is cancelled or purged, or its client leaves | the worker is answered NO_JOB |
| the store fails | jobs go back, workers are answered NO_JOB, and get jobs whose workload is here, until it answers |
| the workload is in the store no more | the job fails |
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Final

from .function import Function
from .job import FETCHING, FINISHED, Job
from .outcome import Outcomes
from .peer import Held, Peer
from .registry import Registry
from .replies import NO_JOB, assignment
from .tally import LOST
from .waking import Waking

__all__ = ["Spill"]

#: How much is fetched at once, but for a single workload that is larger.
_FETCH_BYTES: Final = 16 * 1024 * 1024

#: Why a job fails whose workload the store has no more.
_GONE: Final = b"its workload is not in the store any more"

#: How many jobs of a queue are looked at for those to fetch before a worker grabs them, and how much that may be.
_AHEAD_JOBS: Final = 256
_AHEAD_BYTES: Final = 16 * 1024 * 1024


class _Grab:
    """A worker that waits for a job's workload."""

    __slots__ = ("held", "kind", "worker")

    def __init__(self, worker: Peer, kind: int, held: Held) -> None:
        self.worker = worker
        self.kind = kind
        self.held = held


class Spill:
    """Fetches workloads. Its mutable state is who waits for which, and what is asked for."""

    __slots__ = ("_ahead", "_ahead_bytes", "_asked", "_grabs", "_outcomes", "_registry", "_waking")

    def __init__(self, registry: Registry, waking: Waking, outcomes: Outcomes) -> None:
        self._registry = registry
        self._waking = waking
        self._outcomes = outcomes
        # In the order of the grabs. Invariant: these are the jobs that are fetching, and some that ended meanwhile.
        self._grabs: dict[Job, _Grab] = {}
        # To be fetched before they are grabbed, and how long their workloads are together.
        self._ahead: dict[Job, None] = {}
        self._ahead_bytes: int = 0
        # What the runtime was told to fetch, and has not answered for.
        self._asked: dict[Job, None] = {}

    # What workers bring about

    def fetch(self, job: Job, worker: Peer, kind: int) -> None:
        """A worker grabbed a job, just taken from its queue, whose workload is in the store alone."""
        self._registry.fetch(job)
        self._grabs[job] = _Grab(worker, kind, worker.hold_grab(job))
        self._look_ahead(job.function, job.priority)

    def assigned(self, job: Job) -> None:
        """A job whose workload had been fetched was assigned to a worker."""
        self._registry.spill(job)
        self._look_ahead(job.function, job.priority)

    def worker_gone(self, worker: Peer, now: float) -> None:
        """A connection has ended: what it waited for goes back, to be fetched for the next worker."""
        jobs = [job for job, grab in self._grabs.items() if grab.worker is worker]
        for job in jobs:
            del self._grabs[job]
        jobs = [job for job in jobs if job.state == FETCHING]
        self._give_back(jobs)
        for job in jobs:
            self._waking.job_queued(job.function, now)

    # What the runtime asks, and brings

    def wants(self) -> bool:
        """Whether there is something to fetch that was not taken yet, or the store did not answer the last time."""
        return bool(self._grabs or self._ahead or self._registry.stalled)

    def take(self) -> list[int]:
        """The rows whose workloads are to be fetched now, to be answered by `fetched` or `not_fetched`."""
        asked: dict[Job, None] = {}
        size = 0
        for job in chain(list(self._asked), list(self._grabs), list(self._ahead)):
            if size and size + job.size > _FETCH_BYTES:
                break
            if self._ahead:
                self._drop_ahead(job)
            if job.state != FINISHED and job.missing and job not in asked:
                asked[job] = None
                size += job.size
        self._asked = asked
        return [job.row for job in asked]

    def fetched(self, workloads: Mapping[int, bytes], now: float) -> list[Job]:
        """The store has answered: assign what was grabbed. Give the jobs that failed, having no workload any more."""
        registry = self._registry
        asked = self._asked
        self._asked = {}
        lost: list[Job] = []
        for job in asked:
            if job.state == FINISHED:
                continue
            workload = workloads.get(job.row)
            if workload is not None and len(workload) == job.size:
                registry.load(job, workload)
            else:
                lost.append(job)
                registry.counters.lost += 1
                self._outcomes.end_failed(job, LOST, _GONE)
        self._settle_grabs(now)
        if registry.stalled:
            self._stall(stalled=False)
            for function in list(registry.functions.values()):
                self._waking.resumed(function, now)
        return lost

    def not_fetched(self) -> None:
        """The store has not answered: workers get what is here, until it does."""
        # First, so that nobody who is told NO_JOB is woken at once for the job that it did not get.
        self._stall(stalled=True)
        grabs = self._grabs
        self._grabs = {}
        self._give_back([job for job in grabs if job.state == FETCHING])
        for grab in grabs.values():
            self._refuse(grab)

    def _settle_grabs(self, now: float) -> None:
        """Answer the grabs whose jobs are there, or have ended."""
        for job, grab in list(self._grabs.items()):
            if job.state != FETCHING:
                del self._grabs[job]
                self._refuse(grab)
            elif not job.missing:
                del self._grabs[job]
                self._assign(job, grab, now)

    def _give_back(self, jobs: list[Job]) -> None:
        """Put jobs back at the heads of their queues, the first of them foremost, and fetch them all the same."""
        for job in reversed(jobs):
            self._registry.give_back(job)
        for job in jobs:
            if job not in self._asked:
                self._add_ahead(job)

    def _assign(self, job: Job, grab: _Grab, now: float) -> None:
        worker = grab.worker
        timeout = worker.timeouts.get(job.function, 0.0)
        self._registry.assign(job, worker, now + timeout if timeout else 0.0)
        grab.held.answer = assignment(grab.kind, job)
        self.assigned(job)
        worker.advance()

    def _refuse(self, grab: _Grab) -> None:
        grab.held.answer = [NO_JOB]
        grab.worker.advance()

    def _stall(self, *, stalled: bool) -> None:
        self._registry.stalled = stalled
        for function in self._registry.functions.values():
            function.stall(stalled=stalled)

    def _look_ahead(self, function: Function, priority: int) -> None:
        """Have the next jobs of a queue fetched before workers grab them, when those that were are used up."""
        queue = function.queue(priority)
        head = queue.head
        if head is None or not head.missing or head in self._ahead or head in self._asked:
            return
        room = _AHEAD_BYTES - self._registry.loaded_bytes - self._ahead_bytes
        for job in queue.first_missing(_AHEAD_JOBS):
            room -= job.size
            if room < 0:
                return
            if job not in self._asked:
                self._add_ahead(job)

    def _add_ahead(self, job: Job) -> None:
        if job not in self._ahead:
            self._ahead[job] = None
            self._ahead_bytes += job.size

    def _drop_ahead(self, job: Job) -> None:
        if job in self._ahead:
            del self._ahead[job]
            self._ahead_bytes -= job.size
