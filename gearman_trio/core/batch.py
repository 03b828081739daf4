"""What the broker wants stored: jobs, changes of them, and removals, a batch at a time.

These are the values that pass between the core and a store; a store needs to know nothing else of the core.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["BadRow", "Batch", "JobUpdate", "SpilledJob", "StoredJob"]


class StoredJob(NamedTuple):
    """One job as a store keeps it. The fields are in the order of the columns.

    Attributes:
        row: its number in the store, from 1, given by the broker; it grows in the order of the submissions. Never the
            unique ID: two jobs may have the same, or none.
        handle: the job handle.
        function: the function's name.
        unique: the client's unique ID, ``b""`` for none.
        priority: 0 high, 1 normal, 2 low.
        workload: opaque bytes, of any value and length, also none.
        run_at: epoch seconds before which it is not queued; 0.0 for at once.
        reducer: the reducer of a map/reduce job, else ``b""``.
        attempts: how often it was assigned to a worker that was then lost.
        created: epoch seconds of its submission.
        background: whether it was a background job; one that was not has lost its clients when it comes back.
        error: why it was last queued again, or ``""``.
    """

    row: int
    handle: bytes
    function: bytes
    unique: bytes
    priority: int
    workload: bytes
    run_at: float
    reducer: bytes
    attempts: int
    created: float
    background: bool
    error: str


class SpilledJob(NamedTuple):
    """A job that comes back without its workload, which stays in the store until a worker gets the job.

    Attributes:
        job: the job; its workload is ``b""``.
        size: how long the workload is, in bytes.
    """

    job: StoredJob
    size: int

    @property
    def row(self) -> int:
        """Its number in the store."""
        return self.job.row


class JobUpdate(NamedTuple):
    """What has changed of a stored job: it was queued again."""

    row: int
    attempts: int
    error: str


class BadRow(NamedTuple):
    """A row that cannot become a job, and why not."""

    row: int
    reason: str


class Batch:
    """What is to be stored in one transaction.

    A row is added once, then updated, then removed once, and its number never comes back while the server runs; so it
    makes no difference that the three are kept apart: first all that is added, then what is updated, then removed.

    Attributes:
        number: of the batch, counted from 1.
        adds: jobs to add, in the order of their rows.
        updates: changes, in the order in which they happened.
        removes: rows to remove.
        last_handle: a number that none in a job handle given so far exceeds, or 0 where an earlier batch had one that
            still holds. A store keeps the highest, so that no later run of the server gives such a handle again.
    """

    __slots__ = ("adds", "last_handle", "number", "removes", "updates")

    def __init__(self, number: int) -> None:
        self.number = number
        self.adds: list[StoredJob] = []
        self.updates: list[JobUpdate] = []
        self.removes: list[int] = []
        self.last_handle: int = 0

    @property
    def empty(self) -> bool:
        """Whether there is nothing to store."""
        return not self.adds and not self.updates and not self.removes

    def cancel_out(self) -> None:
        """Drop the jobs that the same batch adds and removes: the store need not hear of them."""
        if not self.removes or not self.adds:
            return
        removed = set(self.removes)
        added = {job.row for job in self.adds}
        if removed.isdisjoint(added):
            return
        self.adds = [job for job in self.adds if job.row not in removed]
        self.updates = [update for update in self.updates if update.row not in removed]
        self.removes = [row for row in self.removes if row not in added]

    def put_before(self, earlier: Batch) -> None:
        """Take over what an earlier batch wanted, which may or may not have reached the store.

        So what it added, and this one removes, is not added again, but is removed.
        """
        removed = set(self.removes)
        self.adds = [job for job in earlier.adds if job.row not in removed] + self.adds
        latest = {update.row: update for update in earlier.updates + self.updates if update.row not in removed}
        self.updates = list(latest.values())
        self.removes = earlier.removes + self.removes
