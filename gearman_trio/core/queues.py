"""First in, first out, for jobs of one function and one priority.

The list runs through the jobs themselves:

    head                          tail
     |                             |
     v                             v
    job --next--> job --next--> job
        <-previous-   <-previous-

so push, pop and the removal of any job (cancelled, abandoned) are O(1) and a queued job costs no memory of the queue's.
A job is in at most one queue.

While the store does not answer, jobs whose workload is there alone are passed over.  How far they have been is kept, so
that each is passed once and not at every `pop_ready`.
"""

from __future__ import annotations

from collections.abc import Iterator

from .job import Job

__all__ = ["JobQueue"]


class JobQueue:
    """A queue of jobs.

    Attributes:
        missing: how many of them have their workload in the store alone.
    """

    __slots__ = ("_head", "_length", "_passed", "_tail", "missing")

    def __init__(self) -> None:
        self._head: Job | None = None
        self._tail: Job | None = None
        self._length: int = 0
        self.missing: int = 0
        # Invariant: this job, and all before it, are missing; None where that is known of none.
        self._passed: Job | None = None

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Job]:
        job = self._head
        while job is not None:
            yield job
            job = job.next

    @property
    def head(self) -> Job | None:
        """The job that is next."""
        return self._head

    def push(self, job: Job) -> None:
        """Put a job at the tail."""
        tail = self._tail
        job.previous = tail
        if tail is None:
            self._head = job
        else:
            tail.next = job
        self._tail = job
        self._length += 1
        if job.missing:
            self.missing += 1

    def push_front(self, job: Job) -> None:
        """Put a job back at the head."""
        head = self._head
        job.next = head
        if head is None:
            self._tail = job
        else:
            head.previous = job
        self._head = job
        self._length += 1
        if job.missing:
            self.missing += 1
        else:
            self._passed = None

    def pop(self) -> Job:
        """Take the job at the head; the queue must not be empty."""
        job = self._head
        assert job is not None, "pop from an empty queue"
        self.remove(job)
        return job

    def pop_ready(self) -> Job:
        """Take the first job that is not missing; there must be one."""
        job = self._head if self._passed is None else self._passed.next
        while job is not None and job.missing:
            self._passed = job
            job = job.next
        assert job is not None, "pop from a queue of which all is missing"
        self.remove(job)
        return job

    def first_missing(self, steps: int) -> list[Job]:
        """The missing ones of so many jobs from the head on."""
        found: list[Job] = []
        job = self._head
        while job is not None and steps > 0:
            if job.missing:
                found.append(job)
            job = job.next
            steps -= 1
        return found

    def loaded(self) -> None:
        """A job of this queue is not missing any more."""
        self.missing -= 1
        self._passed = None

    def remove(self, job: Job) -> None:
        """Take a job of this queue out of it, wherever it stands."""
        before = job.previous
        after = job.next
        if before is None:
            self._head = after
        else:
            before.next = after
        if after is None:
            self._tail = before
        else:
            after.previous = before
        if job is self._passed:
            self._passed = before
        job.previous = None
        job.next = None
        self._length -= 1
        if job.missing:
            self.missing -= 1

    def close(self) -> None:
        """Let go of the jobs, whose links are cut elsewhere, and keep the length."""
        self._head = None
        self._tail = None
        self._passed = None
