"""A broker that spills, with the test as its store."""

from __future__ import annotations

from typing import Any

from gearman_trio.core import Batch, Policy, StoredJob

from .invariants import check_invariants
from .wire import Wire

__all__ = ["LONG", "SpillingWire"]

LONG = b"x" * 101


class SpillingWire(Wire):
    """A broker that keeps workloads of more than 100 bytes in the store alone; the test is its store."""

    def __init__(self, **policy: Any) -> None:
        super().__init__(Policy(durable=True, **{"spill_bytes": 100, **policy}))
        self.stored: dict[int, StoredJob] = {}

    def commit(self) -> None:
        batch = self.broker.take_batch()
        if batch is not None:
            self.apply(batch)
            self.broker.committed(batch.number, self.now)
            check_invariants(self.broker)

    def apply(self, batch: Batch) -> None:
        self.stored.update({job.row: job for job in batch.adds})
        for row in batch.removes:
            self.stored.pop(row, None)

    def submit(self, workload: bytes = LONG, packet: str = "SUBMIT_JOB_BG", function: bytes = b"f") -> None:
        self.background(function, workload, packet)
        self.commit()

    def fetch(self) -> list[int]:
        """Answer what is asked for; give the rows."""
        rows = self.broker.take_wanted()
        check_invariants(self.broker)
        found = {row: self.stored[row].workload for row in rows if row in self.stored}
        self.lost = self.broker.fetched(found, self.now)
        check_invariants(self.broker)
        return rows

    def fail(self) -> list[int]:
        rows = self.broker.take_wanted()
        self.broker.not_fetched()
        check_invariants(self.broker)
        return rows

    def state(self, handle: bytes) -> int:
        return self.broker._registry.jobs[handle].state
