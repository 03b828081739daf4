"""What a store has yet to be told: the batch that is being filled.

The registry writes here whatever happens to a job that is stored; the runtime takes the batch when the one before it
has been committed.
"""

from __future__ import annotations

from .batch import Batch, JobUpdate, StoredJob
from .job import Job

__all__ = ["Ledger"]


class Ledger:
    """Fills one batch after another.

    Attributes:
        batch: the one that is being filled.
    """

    __slots__ = ("_next_row", "batch")

    def __init__(self, first_row: int) -> None:
        self._next_row: int = first_row
        self.batch = Batch(1)

    def add(self, job: Job, created: float) -> None:
        """Store a job, as it is now; `created` is epoch seconds."""
        job.row = self._next_row
        self._next_row += 1
        self.batch.adds.append(
            StoredJob(
                job.row,
                job.handle,
                job.function.name,
                job.unique,
                job.priority,
                job.workload,
                job.run_at,
                job.reducer,
                job.attempts,
                created,
                job.background,
                "",
            )
        )

    def update(self, job: Job, error: str) -> None:
        """Store that a job was queued again."""
        self.batch.updates.append(JobUpdate(job.row, job.attempts, error))

    def remove(self, job: Job) -> None:
        """Remove a job, which is over or is not to be stored any more."""
        self.batch.removes.append(job.row)
        job.row = 0

    def take(self, last_handle: int) -> Batch:
        """The batch as it is; the next one begins."""
        batch = self.batch
        batch.last_handle = last_handle
        batch.cancel_out()
        self.batch = Batch(batch.number + 1)
        return batch
