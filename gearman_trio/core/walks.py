"""Live jobs of a state, page by page, however many there are.

A walk goes on where the last page ended although jobs come, go and change in between:

| jobs | order | a page goes on |
|---|---|---|
| queued | as workers get them, one function after another | behind the last job; has that left, behind its place |
| running | by worker, then as it got them | behind the last job; has that left, with its worker's first |
| scheduled | by their times | behind the last job's time |
"""

from __future__ import annotations

from abc import abstractmethod
from heapq import heappop, heappush
from math import inf

from .detail import JobStatistics
from .function import Function
from .job import FINISHED, PRIORITIES, QUEUED, RUNNING, SCHEDULED, STATES, Job
from .peer import Peer
from .registry import Registry

__all__ = ["JobQuery", "JobWalk", "begin_walk"]


class JobQuery:
    """Which jobs are looked for.

    Attributes:
        state: ``"queued"``, ``"running"`` or ``"scheduled"``; empty for any, where a whole unique ID is given.
        function: its name, or `None` for all.
        priority: ``"high"``, ``"normal"`` or ``"low"``, or empty for all.
        before: in its state since this time or an earlier one, monotonic seconds; infinity for any.
        unique: what the unique ID is, or begins with; empty for any.
        prefix: whether it begins with that.
        after: `JobWalk.cursor` of the page before, or empty.
    """

    __slots__ = ("after", "before", "function", "prefix", "priority", "state", "unique")

    def __init__(
        self,
        state: str,
        *,
        function: bytes | None = None,
        priority: str = "",
        unique: bytes = b"",
        prefix: bool = False,
        before: float = inf,
        after: bytes = b"",
    ) -> None:
        self.state = state
        self.function = function
        self.priority = priority
        self.unique = unique
        self.prefix = prefix
        self.before = before
        self.after = after

    def takes(self, job: Job) -> bool:
        """Whether a job is looked for, its state apart."""
        return (
            (self.function is None or job.function.name == self.function)
            and job.since <= self.before
            and (not self.priority or PRIORITIES[job.priority] == self.priority)
            and (not self.unique or (job.unique.startswith(self.unique) if self.prefix else job.unique == self.unique))
        )


class JobWalk:
    """The jobs of a state, one after another, in parts between which anything may happen.

    Attributes:
        cursor: where it has come to.
        done: whether there are no more.
        looked_at: how many jobs it has looked at.
    """

    __slots__ = ("_query", "cursor", "done", "looked_at")

    def __init__(self, query: JobQuery) -> None:
        self._query = query
        self.cursor = query.after
        self.done: bool = False
        self.looked_at: int = 0

    def take(self, most: int, steps: int) -> list[JobStatistics]:
        """The next jobs that are looked for: at most so many, after at most so many steps of about a microsecond."""
        found: list[JobStatistics] = []
        self.begin()
        while len(found) < most and steps > 0 and not self.done:
            steps -= 1
            job = self.step()
            if job is not None:
                self.looked_at += 1
                if self._query.takes(job):
                    found.append(JobStatistics(job))
        self.cursor = self.place()
        return found

    def begin(self) -> None:
        """A part begins."""

    @abstractmethod
    def step(self) -> Job | None:
        """The next job, or `None` if this step finds none; sets `done` at the end."""

    @abstractmethod
    def place(self) -> bytes:
        """Where it has come to, for a later walk."""


class _QueueWalk(JobWalk):
    """Queued jobs.

    The list runs through the jobs, so a job that is still queued leads on.  One that has left does not; then the walk
    begins at the head, and passes over what it has seen.  Nearly always that is nothing: jobs leave at the head.
    """

    __slots__ = (
        "_functions",
        "_mark",
        "_mark_attempts",
        "_passing",
        "_priority",
        "_seen",
        "_seen_handle",
        "_seen_number",
    )

    def __init__(self, registry: Registry, query: JobQuery) -> None:
        super().__init__(query)
        # In reverse, so that the next one is taken off the end.
        self._functions: list[Function] = _functions(registry, query)
        self._functions.reverse()
        self._priority: int = 0
        # The job that was looked at last, and how often it had been given to a worker; None where it is not known.
        self._mark: Job | None = None
        self._mark_attempts: int = 0
        # Up to where jobs have been seen: since when the last one was queued, which is -1.0 for none of this queue, and
        # which it is of those that were queued at one time.
        self._seen: float = -1.0
        self._seen_number: int = 0
        self._seen_handle: bytes = b""
        self._passing: bool = False
        if query.after:
            self._resume(registry, query.after)
        self.done = not self._functions

    def step(self) -> Job | None:
        """See `JobWalk`."""
        function = self._functions[-1]
        mark = self._mark
        job: Job | None
        if mark is not None and mark.state == QUEUED and mark.attempts == self._mark_attempts:
            job = mark.next
        else:
            job = function.queue(self._priority).head
            self._passing = self._seen >= 0.0
        if job is not None and job.since > self._query.before:
            # The others were queued later.
            job = None
        self._mark = job
        if job is None:
            self._next_queue()
            return None
        self._mark_attempts = job.attempts
        number = _number(job.handle)
        if self._passing and (job.since < self._seen or (job.since == self._seen and number <= self._seen_number)):
            return None
        self._passing = False
        self._seen = job.since
        self._seen_number = number
        self._seen_handle = job.handle
        return job

    def place(self) -> bytes:
        """See `JobWalk`."""
        if self.done:
            return b""
        attempts = self._mark_attempts if self._mark is not None and not self._passing else -1
        return b"%d %s %d %d %s %s" % (
            self._priority,
            repr(self._seen).encode(),
            self._seen_number,
            attempts,
            self._seen_handle or b"-",
            self._functions[-1].name,
        )

    def _next_queue(self) -> None:
        self._seen = -1.0
        self._seen_handle = b""
        self._passing = False
        self._priority += 1
        if self._priority == len(PRIORITIES) or not self._functions[-1].queued:
            self._priority = 0
            self._functions.pop()
            self.done = not self._functions

    def _resume(self, registry: Registry, after: bytes) -> None:
        priority, seen, number, attempts, handle, name = after.split(b" ", 5)
        while self._functions and self._functions[-1].name != name:
            self._functions.pop()
        self._priority = int(priority)
        if not 0 <= self._priority < len(PRIORITIES):
            raise ValueError("the cursor has no such priority")
        self._seen = float(seen)
        self._seen_number = int(number)
        self._seen_handle = handle
        self._mark_attempts = int(attempts)
        job = registry.jobs.get(handle)
        if job is not None and self._functions and job.function is self._functions[-1]:
            self._mark = job


class _RunningWalk(JobWalk):
    """Running jobs."""

    __slots__ = ("_jobs", "_last", "_peers")

    def __init__(self, peers: dict[int, Peer], query: JobQuery) -> None:
        super().__init__(query)
        number, last = 0, b""
        if query.after:
            first, last = query.after.split(b" ", 1)
            number = int(first)
        # In reverse, so that the next one is taken off the end.
        self._peers = [peer for peer in peers.values() if peer.number >= number]
        self._peers.reverse()
        self._jobs: list[Job] = []
        self._last = last
        if self._peers and self._peers[-1].number == number and last:
            self._enter()
            handles = [job.handle for job in self._jobs]
            if last in handles:
                del self._jobs[handles.index(last) :]
        elif self._peers:
            self._enter()
        self.done = not self._peers

    def step(self) -> Job | None:
        """See `JobWalk`."""
        if not self._jobs:
            self._peers.pop()
            self._last = b""
            if self._peers:
                self._enter()
            self.done = not self._peers
            return None
        job = self._jobs.pop()
        self._last = job.handle
        return job if job.state == RUNNING and job.worker is self._peers[-1] else None

    def place(self) -> bytes:
        """See `JobWalk`."""
        return b"" if self.done else b"%d %s" % (self._peers[-1].number, self._last)

    def _enter(self) -> None:
        self._jobs = list(self._peers[-1].running)
        self._jobs.reverse()


class _ScheduleWalk(JobWalk):
    """Scheduled jobs.

    A heap is a tree in which no job is later than those below it, so the first n jobs are found in O(n log n), however
    many there are.  A walk of several parts goes on in a copy.
    """

    __slots__ = ("_begun", "_front", "_heap", "_number", "_registry", "_time")

    def __init__(self, registry: Registry, query: JobQuery) -> None:
        super().__init__(query)
        self._registry = registry
        self._heap = registry.schedule.heap
        self._front: list[tuple[float, int, int]] = []
        self._begun: int = 0
        # Of the last job that was looked at: its time, and its number in the heap.
        self._time: float = -1.0
        self._number: int = 0
        if query.after:
            time, number = query.after.split(b" ", 1)
            self._time = float(time)
            self._number = int(number)

    def begin(self) -> None:
        """See `JobWalk`."""
        self._begun += 1
        if self._begun <= 2:
            # What was seen in the first part is passed over: timers may have moved since.
            self._heap = self._registry.schedule.heap if self._begun == 1 else list(self._registry.schedule.heap)
            self._front = []
            self._put(0)
            self.done = not self._front

    def step(self) -> Job | None:
        """See `JobWalk`."""
        if not self._front:
            self.done = True
            return None
        when, number, index = heappop(self._front)
        self._put(2 * index + 1)
        self._put(2 * index + 2)
        if when < self._time or (when == self._time and number <= self._number):
            return None
        self._time = when
        self._number = number
        timer = self._heap[index][2]
        job = timer.job
        return job if job is not None and job.state == SCHEDULED and job.timer is timer else None

    def place(self) -> bytes:
        """See `JobWalk`."""
        return b"" if self.done else b"%s %d" % (repr(self._time).encode(), self._number)

    def _put(self, index: int) -> None:
        if index < len(self._heap):
            when, number, _ = self._heap[index]
            heappush(self._front, (when, number, index))


class _NamesakeWalk(JobWalk):
    """Jobs with one unique ID, of which there is an index. There is at most one a function."""

    __slots__ = ("_jobs", "_passed")

    def __init__(self, registry: Registry, query: JobQuery) -> None:
        super().__init__(query)
        self._passed: int = int(query.after) if query.after else 0
        self._jobs: list[Job] = registry.namesakes(query.unique)[self._passed :]
        self._jobs.reverse()
        self.done = not self._jobs

    def step(self) -> Job | None:
        """See `JobWalk`."""
        job = self._jobs.pop()
        self._passed += 1
        self.done = not self._jobs
        if job.state == FINISHED or (self._query.state and STATES[job.state] != self._query.state):
            return None
        return job

    def place(self) -> bytes:
        """See `JobWalk`."""
        return b"" if self.done else b"%d" % self._passed


def begin_walk(registry: Registry, peers: dict[int, Peer], query: JobQuery) -> JobWalk:
    """Look for jobs.

    Raises:
        ValueError: the state is none that jobs are looked for in, or the cursor is none of such a walk.
    """
    if query.unique and not query.prefix and query.unique != b"-":
        return _NamesakeWalk(registry, query)
    if query.state == "queued":
        return _QueueWalk(registry, query)
    if query.state == "running":
        return _RunningWalk(peers, query)
    if query.state == "scheduled":
        return _ScheduleWalk(registry, query)
    raise ValueError(f"state: expected queued, running or scheduled, got {query.state!r}")


def _functions(registry: Registry, query: JobQuery) -> list[Function]:
    if query.function is None:
        return list(registry.functions.values())
    function = registry.functions.get(query.function)
    return [] if function is None else [function]


def _number(handle: bytes) -> int:
    """The number in a handle; 0 where another server gave it in another way."""
    digits = handle[handle.rfind(b":") + 1 :]
    return int(digits) if digits.isdigit() and len(digits) < 19 else 0
