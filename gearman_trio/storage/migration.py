"""Moving jobs from one store to another, and out of the tables of gearmand."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Final

import attrs

from ..core import BadRow, Batch, StoredJob
from ..errors import ConfigError
from .gearmand import gearmand_queue
from .names import shown_url
from .registry import make_store
from .store import JobSource, Store

__all__ = ["Migration", "migrate"]

#: Jobs to a commit.
_BATCH_JOBS: Final = 1000

#: The owner of a store while its jobs are moved.
_OWNER: Final = "gearman-trio migrate"


@attrs.frozen(kw_only=True)
class Migration:
    """What has been moved.

    Attributes:
        source: the name of the store that the jobs came from.
        dest: the name of the store that they are in now.
        moved: how many jobs.
        bad: rows that cannot be jobs; they are left where they were.
        emptied: whether the jobs are no longer in the source.
    """

    source: str
    dest: str
    moved: int
    bad: list[BadRow]
    emptied: bool


def migrate(source: str, dest: str, *, progress: Callable[[int], None] | None = None) -> Migration:
    """Move every job of one store to another one, behind the jobs that are there.

    No job is lost where this is interrupted: a job is removed from the source when it is committed to the other one,
    so the worst is that some are in both. Neither store may be open in a job server. The queue of a gearmand is
    only read, and left as it is.

    Args:
        source: the URL of a store, or ``gearmand+sqlite:PATH``, or another one with ``gearmand+`` before it, for the
            queue of a gearmand.
        dest: the URL of a store.
        progress: called now and then with the number of jobs that have been moved.

    Raises:
        ConfigError: a URL cannot be used, or both are the same.
        StorageError: there is no such source, or a store cannot be opened, read or written.
    """
    if source == dest:
        raise ConfigError(f"both stores are {shown_url(source)!r}")
    queue = gearmand_queue(source)
    taken = None if queue is not None else _store(source)
    origin: JobSource = queue or taken  # type: ignore[assignment] # one of them is there
    target = _store(dest)
    if taken is not None:
        # Before anything is made: a name with a slip in it would be a new store, with no jobs to move.
        taken.info()
    # Of this migration alone: what an earlier one has named may come along, or be there.
    name = b"H:migrated-" + secrets.token_hex(4).encode()
    state = target.open(_OWNER)
    try:
        if taken is not None:
            taken.open(_OWNER)
        handles = {row.handle for row in target.rows() if isinstance(row, StoredJob)}
        bad: list[BadRow] = []
        moved = 0
        for some in _batches(origin.rows(), bad):
            batch = Batch(1)
            for job in some:
                row = state.next_row + moved
                # A job of gearmand has no handle, and two stores may have given the same one.
                handle = b"%b:%d" % (name, row) if not job.handle or job.handle in handles else job.handle
                batch.adds.append(job._replace(row=row, handle=handle))
                # So that a server that opens the store goes on above it, whatever its clock says.
                batch.last_handle = max(batch.last_handle, _number(handle))
                moved += 1
            target.commit(batch)
            if taken is not None:
                taken.commit(_removal(some))
            if progress is not None:
                progress(moved)
    finally:
        target.close()
        if taken is not None:
            taken.close()
    return Migration(source=origin.name, dest=target.name, moved=moved, bad=bad, emptied=taken is not None)


def _store(url: str) -> Store:
    store = make_store(url)
    if store is None:
        raise ConfigError(
            f"store {shown_url(url)!r}: jobs in memory are the server's alone; expected the URL of a store"
        )
    return store


def _batches(rows: Iterator[StoredJob | BadRow], bad: list[BadRow]) -> Iterator[list[StoredJob]]:
    """The jobs, some at a time; bad rows go into the list."""
    some: list[StoredJob] = []
    for row in rows:
        if isinstance(row, BadRow):
            bad.append(row)
            continue
        some.append(row)
        if len(some) == _BATCH_JOBS:
            yield some
            some = []
    if some:
        yield some


def _number(handle: bytes) -> int:
    """The number at the end of a handle, 0 for none that a server could have given."""
    digits = handle.rpartition(b":")[2]
    return int(digits) if digits.isdigit() and len(digits) <= 18 else 0


def _removal(jobs: list[StoredJob]) -> Batch:
    batch = Batch(1)
    batch.removes = [job.row for job in jobs]
    return batch
