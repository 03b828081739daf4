"""What the server knows of one function: its queued jobs, and the workers that have the ability."""

from __future__ import annotations

from collections import OrderedDict

from .job import NO_PRIORITY, Job
from .peer import Peer
from .queues import JobQueue
from .tally import Tally

__all__ = ["Function"]


class Function:
    """One function. Its mutable state is its queues, its counts, its workers and its sleepers.

    Attributes:
        name: as clients and workers spell it.
        top: the best priority that has a queued job for workers, or `NO_PRIORITY`.
        stalled: whether the store does not answer, so that workers get the jobs whose workload is here, and no others.
        queued: how many jobs are in the queues.
        running: how many jobs workers hold.
        scheduled: how many jobs wait for their time.
        committing: how many jobs wait to be stored.
        fetching: jobs that a worker grabbed, and that wait for their workload: no worker has them yet.
        workers: the connections that have the ability, in the order in which they said so.
        sleepers: those of them that sleep, longest first.
        wakes: how many workers were woken for this function and have not grabbed since.
        by_unique: live jobs by their unique ID.
        by_workload: live jobs with the unique ID ``-`` by their workload.
        held_bytes: how long the workloads of its live jobs are together.
        limits: most jobs of the function by the priority of the new one (``maxqueue``); 0 for no limit.
        paused: whether no worker gets its jobs. Invariant: then `top` is `NO_PRIORITY`.
        pinned: made by ``create function``, so that it is listed even without jobs and workers.
        tally: what its jobs have done.
    """

    __slots__ = (
        "_queues",
        "by_unique",
        "by_workload",
        "committing",
        "fetching",
        "held_bytes",
        "limits",
        "name",
        "paused",
        "pinned",
        "queued",
        "running",
        "scheduled",
        "sleepers",
        "stalled",
        "tally",
        "top",
        "wakes",
        "workers",
    )

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.top: int = NO_PRIORITY
        self.queued: int = 0
        self.running: int = 0
        self.scheduled: int = 0
        self.committing: int = 0
        self.fetching: dict[Job, None] = {}
        self.stalled: bool = False
        self.workers: dict[Peer, None] = {}
        # An OrderedDict and not a dict: taking from the front stays O(1) after many have left.
        self.sleepers: OrderedDict[Peer, None] = OrderedDict()
        self.wakes: int = 0
        self.by_unique: dict[bytes, Job] = {}
        self.by_workload: dict[bytes, Job] = {}
        self.held_bytes: int = 0
        self.limits: tuple[int, int, int] = (0, 0, 0)
        self.paused: bool = False
        self.pinned: bool = False
        self.tally = Tally()
        # By priority. A list, which compiled code indexes more quickly than a tuple.
        self._queues: list[JobQueue] = [JobQueue(), JobQueue(), JobQueue()]

    @property
    def total(self) -> int:
        """How many live jobs the function has, in any state."""
        return self.queued + self.running + self.scheduled + self.committing + len(self.fetching)

    @property
    def available(self) -> int:
        """How many queued jobs workers may have now."""
        if self.paused:
            return 0
        return sum([len(queue) - queue.missing for queue in self._queues]) if self.stalled else self.queued

    @property
    def idle(self) -> bool:
        """Whether nothing would be lost if the server forgot the function."""
        return not (self.workers or self.total or self.pinned or self.paused or any(self.limits))

    def waiting(self, priority: int) -> int:
        """How many jobs of one priority no worker has yet, though they could run: queued and fetching ones."""
        fetching = sum([job.priority == priority for job in self.fetching]) if self.fetching else 0
        return len(self._queues[priority]) + fetching

    def waiting_since(self) -> float | None:
        """Since when the job that has waited longest of those that `waiting` counts does, monotonic seconds, or `None`.

        Jobs are queued at the tail, so it is at the head of one of the queues, if it is queued.
        """
        heads = [queue.head for queue in self._queues]
        return min([job.since for job in [*heads, *self.fetching] if job is not None], default=None)

    def queue(self, priority: int) -> JobQueue:
        """The queue of one priority, to look at."""
        return self._queues[priority]

    def push(self, job: Job) -> None:
        """Queue a job at the tail of its priority."""
        self._queues[job.priority].push(job)
        self.queued += 1
        if job.priority < self.top:
            self._raise_top(job)

    def push_front(self, job: Job) -> None:
        """Put a job back at the head of its priority."""
        self._queues[job.priority].push_front(job)
        self.queued += 1
        if job.priority < self.top:
            self._raise_top(job)

    def pause(self) -> None:
        """Keep the jobs from workers."""
        self.paused = True
        self.top = NO_PRIORITY

    def resume(self) -> None:
        """Undo `pause`."""
        self.paused = False
        self._find_top()

    def pop(self) -> Job:
        """Take the job that is next; there must be one."""
        queue = self._queues[self.top]
        job = queue.pop_ready() if self.stalled else queue.pop()
        self.queued -= 1
        self._find_top()
        return job

    def stall(self, *, stalled: bool) -> None:
        """The store does not answer, or does again."""
        self.stalled = stalled
        self._find_top()

    def loaded(self, job: Job) -> None:
        """The workload of a queued job has come."""
        self._queues[job.priority].loaded()
        if self.stalled:
            self._find_top()

    def remove(self, job: Job) -> None:
        """Take a queued job out, wherever it stands."""
        self._queues[job.priority].remove(job)
        self.queued -= 1
        self._find_top()

    def find(self, unique: bytes, workload: bytes) -> Job | None:
        """The live job that a submission coalesces onto (gearmand 2.0 job.cc, gearman_server_job_add_reducer).

        An empty unique ID never coalesces; ``-`` takes the workload for the key, unless that is empty.
        """
        if not unique:
            return None
        if unique == b"-":
            return self.by_workload.get(workload) if workload else None
        return self.by_unique.get(unique)

    def remember(self, job: Job) -> None:
        """Make a live job findable by its unique ID."""
        unique = job.unique
        if not unique:
            return
        if unique != b"-":
            self.by_unique[unique] = job
        elif job.workload:
            self.by_workload[job.workload] = job

    def forget(self, job: Job) -> None:
        """Undo `remember`. A job that a store gave back may have been remembered in the place of this one."""
        unique = job.unique
        if not unique:
            return
        if unique != b"-":
            if self.by_unique.get(unique) is job:
                del self.by_unique[unique]
        elif job.workload and self.by_workload.get(job.workload) is job:
            del self.by_workload[job.workload]

    def close(self) -> None:
        """Let go of the jobs, and keep the counts."""
        for queue in self._queues:
            queue.close()
        self.fetching = {}
        self.by_unique = {}
        self.by_workload = {}

    def _raise_top(self, job: Job) -> None:
        """A job came that is better than those that workers may have, if they may have it."""
        if not self.paused and not (self.stalled and job.missing):
            self.top = job.priority

    def _find_top(self) -> None:
        queues = self._queues
        for priority in range(NO_PRIORITY):
            queue = queues[priority]
            if len(queue) > (queue.missing if self.stalled else 0) and not self.paused:
                self.top = priority
                return
        self.top = NO_PRIORITY
