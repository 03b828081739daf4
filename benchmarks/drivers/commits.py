"""Commits jobs to a store at a steady rate until it is stopped: ``python -m benchmarks.drivers.commits URL RATE``.

It does what the journal of a job server would for `steady`, in a program of its own: what that costs others they pay to
the machine, and not to the job server.
"""

from __future__ import annotations

import sys
import time

from gearman_trio.core import Batch, StoredJob
from gearman_trio.storage import make_store

from .steady import TICKS

__all__ = ["stored_job"]


def stored_job(row: int, workload: bytes) -> StoredJob:
    """A background job as the journal stores it."""
    return StoredJob(
        row=row,
        handle=b"H:benchmark:%d" % row,
        function=b"benchmark",
        unique=b"unique-%d" % row,
        priority=1,
        workload=workload,
        run_at=0.0,
        reducer=b"",
        attempts=0,
        created=1_767_225_600.0,
        background=True,
        error="",
    )


def main(url: str, rate: int) -> None:
    """Commit `rate` jobs a second, and say ``ready`` after the first ones."""
    store = make_store(url)
    assert store is not None
    row = store.open("benchmark").next_row
    said = False
    while True:
        batch = Batch(1)
        batch.adds = [stored_job(row + index, b"w" * 32) for index in range(rate // TICKS)]
        row += len(batch.adds)
        store.commit(batch)
        if not said:
            said = True
            print("ready", flush=True)
        time.sleep(1 / TICKS)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
