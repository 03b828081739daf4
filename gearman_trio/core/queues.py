"""First in, first out, for jobs of one function and one priority.

The list runs through the jobs themselves:

    head                          tail
     |                             |
     v                             v
    job --next--> job --next--> job
        <-previous-   <-previous-

so push, pop and the removal of any job (cancelled, abandoned) are O(1) and a queued job costs no memory of the queue's.
A job is in at most one queue.
"""

from __future__ import annotations

from collections.abc import Iterator

from .job import Job

__all__ = ["JobQueue"]


class JobQueue:
    """A queue of jobs."""

    __slots__ = ("_head", "_length", "_tail")

    def __init__(self) -> None:
        self._head: Job | None = None
        self._tail: Job | None = None
        self._length: int = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Job]:
        job = self._head
        while job is not None:
            yield job
            job = job.next

    @property
    def first(self) -> Job | None:
        """The job at the head, to look at."""
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

    def pop(self) -> Job:
        """Take the job at the head; the queue must not be empty."""
        job = self._head
        assert job is not None, "pop from an empty queue"
        self.remove(job)
        return job

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
        job.previous = None
        job.next = None
        self._length -= 1

    def close(self) -> None:
        """Let go of the jobs, whose links are cut elsewhere, and keep the length."""
        self._head = None
        self._tail = None
