"""A store in memory for tests, with faults on demand."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from ..errors import StorageError
from ..storage import BadRow, Batch, QuarantinedRow, SpilledJob, StoredJob, StoreInfo, StoreState

__all__ = ["MemoryStore"]


class MemoryStore:
    """A `gearman_trio.storage.Store` that outlives the job servers of a test, though not the test.

    ::

        store = MemoryStore()
        async with gearman_trio.open_server(port=0, store=store) as server:
            ...
        store.failure = "the disk is full"

    Attributes:
        content: the jobs by their row.
        batches: what was committed, in order, empty batches too.
        failure: while it is not ``""``, every commit fails with it.
        fetch_failure: likewise every `fetch`.
        fetches: the rows that were asked for, a list for each time.
        loses_answers: whether a commit that fails is stored nevertheless, as where a connection breaks at its end.
        max_workload_bytes: the largest workload that it takes.
    """

    def __init__(self, *, max_workload_bytes: int = 2**32) -> None:
        self.name = "a store in memory"
        self.content: dict[int, StoredJob] = {}
        self.batches: list[Batch] = []
        self.failure = ""
        self.fetch_failure = ""
        self.fetches: list[list[int]] = []
        self.loses_answers = False
        self.max_workload_bytes = max_workload_bytes
        self._quarantine: list[QuarantinedRow] = []
        self._last_handle = 0
        self._epoch = 0
        self._owner = ""
        self._open = False
        self._replay_end = 0
        self._going_on = threading.Event()
        self._going_on.set()

    def hold(self) -> None:
        """Let commits and fetches take until `go_on`."""
        self._going_on.clear()

    def go_on(self) -> None:
        """End `hold`."""
        self._going_on.set()

    def open(self, owner: str) -> StoreState:
        """See `gearman_trio.storage.Store.open`."""
        if self._open:
            raise StorageError(f"{self.name} is in use by another job server")
        self._open = True
        self._owner = owner
        self._epoch += 1
        self._replay_end = max(self.content, default=0)
        quarantined = max((row.row for row in self._quarantine), default=0)
        return StoreState(
            next_row=1 + max(self._replay_end, quarantined),
            last_handle=self._last_handle,
            epoch=self._epoch,
            max_workload_bytes=self.max_workload_bytes,
        )

    def commit(self, batch: Batch) -> None:
        """See `gearman_trio.storage.Store.commit`."""
        self._going_on.wait()
        if not self._open:
            raise StorageError(f"{self.name} is not open")
        if not self.failure or self.loses_answers:
            self._store(batch)
        if self.failure:
            raise StorageError(f"{self.name} could not be written: {self.failure}")

    def replay(self, spill_bytes: int = 0) -> Iterator[list[StoredJob | SpilledJob | BadRow]]:
        """See `gearman_trio.storage.Store.replay`."""
        rows = [row for row in sorted(self.content) if row <= self._replay_end]
        for start in range(0, len(rows), 1000):
            yield [_spilled(self.content[row], spill_bytes) for row in rows[start : start + 1000]]

    def fetch(self, rows: Sequence[int]) -> dict[int, bytes]:
        """See `gearman_trio.storage.Store.fetch`."""
        self._going_on.wait()
        if not self._open:
            raise StorageError(f"{self.name} is not open")
        self.fetches.append(list(rows))
        if self.fetch_failure:
            raise StorageError(f"{self.name} could not be read: {self.fetch_failure}")
        return {row: self.content[row].workload for row in rows if row in self.content}

    def quarantine(self, rows: Sequence[BadRow]) -> None:
        """See `gearman_trio.storage.Store.quarantine`."""
        for bad in rows:
            job = self.content.pop(bad.row)
            self._quarantine.append(QuarantinedRow(row=bad.row, reason=bad.reason, content=repr(job)))

    def info(self) -> StoreInfo:
        """See `gearman_trio.storage.Store.info`."""
        return StoreInfo(
            jobs=len(self.content),
            quarantined=len(self._quarantine),
            schema=1,
            owner=self._owner,
            epoch=self._epoch,
        )

    def quarantined(self) -> Iterator[QuarantinedRow]:
        """See `gearman_trio.storage.Store.quarantined`."""
        yield from self._quarantine

    def rows(self) -> Iterator[StoredJob | BadRow]:
        """See `gearman_trio.storage.Store.rows`."""
        for row in sorted(self.content):
            yield self.content[row]

    def close(self) -> None:
        """See `gearman_trio.storage.Store.close`."""
        self._open = False

    def _store(self, batch: Batch) -> None:
        added = {job.row: job for job in batch.adds}
        # As a database: what cannot be stored spoils the whole batch.
        for job in batch.adds:
            if not isinstance(job.workload, bytes):
                raise StorageError(f"{self.name} could not be written: workload: expected bytes, got {job.workload!r}")
        self.content.update(added)
        for row, attempts, error in batch.updates:
            if row in self.content:
                self.content[row] = self.content[row]._replace(attempts=attempts, error=error)
        for row in batch.removes:
            self.content.pop(row, None)
        self._last_handle = max(self._last_handle, batch.last_handle)
        self.batches.append(batch)


def _spilled(job: StoredJob, spill_bytes: int) -> StoredJob | SpilledJob:
    size = len(job.workload)
    if spill_bytes and size > spill_bytes and job.unique != b"-":
        return SpilledJob(job._replace(workload=b""), size)
    return job
