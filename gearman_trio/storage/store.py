"""What a store must do, whoever writes it; `gearman_trio.testing.check_store` checks that it does.

Rule 1: every method may block, and is called in a thread; never two at a time, and not always in the same thread.

Rule 2: a batch is one transaction. Once `Store.commit` has returned, it is as safe as `Durability` promises.

Rule 3: a batch may come again, whole or merged with later ones, after a `Store.commit` that raised: adding a row that
is there replaces it; updating or removing one that is not there does nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Protocol

import attrs

from ..core import BadRow, Batch, SpilledJob, StoredJob

__all__ = ["Durability", "JobSource", "QuarantinedRow", "Store", "StoreInfo", "StoreState"]


class Durability(StrEnum):
    """What a commit survives.

    ``FULL``: the machine losing power. ``NORMAL``: the job server, or any program, being killed, at any moment; the
    last moments before a loss of power may be missing. ``OFF``: the same in practice, but a loss of power may spoil
    the whole store.
    """

    FULL = "full"
    NORMAL = "normal"
    OFF = "off"


@attrs.frozen(kw_only=True)
class StoreState:
    """What a job server must know of a store that it has opened.

    Attributes:
        next_row: the first row number that is free, with none above it in use.
        last_handle: the highest `Batch.last_handle` that was ever committed; 0 for none.
        epoch: how often a server has opened the store, this time included.
        max_workload_bytes: the largest workload that the store takes.
    """

    next_row: int
    last_handle: int
    epoch: int
    max_workload_bytes: int


@attrs.frozen(kw_only=True)
class StoreInfo:
    """What is in a store, for people.

    Attributes:
        jobs: how many there are.
        quarantined: how many rows are in quarantine.
        schema: the version of its layout.
        owner: the name of the server that opened it last, ``""`` for none yet.
        epoch: how often a server has opened it.
    """

    jobs: int
    quarantined: int
    schema: int
    owner: str
    epoch: int


@attrs.frozen(kw_only=True)
class QuarantinedRow:
    """A row that could not become a job.

    Attributes:
        row: its number among the jobs.
        reason: why not.
        content: what it holds, in words, workload and all cut to a readable length.
    """

    row: int
    reason: str
    content: str


class JobSource(Protocol):
    """Where jobs come from when they are moved: a `Store`, or a queue of gearmand.

    Attributes:
        name: what it is called in messages, without any password.
    """

    name: str

    def rows(self) -> Iterator[StoredJob | BadRow]:
        """Every row in order, bad ones with the reason.

        Raises:
            StorageError: they cannot be read.
        """
        ...


class Store(Protocol):
    """A durable queue. All of its errors are `StorageError`.

    Attributes:
        name: what it is called in logs, without any password.
    """

    name: str

    def open(self, owner: str) -> StoreState:
        """Open it to write, making or migrating what is needed; nobody else may write until `close`.

        Args:
            owner: the name of the server.

        Raises:
            StorageError: it cannot be opened, another server has it, or it was made by a newer version.
        """
        ...

    def commit(self, batch: Batch) -> None:
        """Store a batch, all or nothing. An empty one tells whether the store is there.

        Raises:
            StorageError: it was not stored, or it is not known whether it was; the next call may succeed.
        """

    def replay(self, spill_bytes: int = 0) -> Iterator[list[StoredJob | SpilledJob | BadRow]]:
        """Every row that was there at `open`, in order, in lists of some thousands; bad ones with the reason.

        Between two lists `commit` may be called, for newer rows and for those that were given, `fetch` likewise, and
        `quarantine`.

        Args:
            spill_bytes: a job with a longer workload comes as a `SpilledJob`, without it; 0 for none. One with the
                unique ID ``-`` comes whole all the same. The workloads should not even be read.

        Raises:
            StorageError: they cannot be read.
        """
        ...

    def fetch(self, rows: Sequence[int]) -> dict[int, bytes]:
        """The workloads of some rows, by row; those are left out that are not there. Called while it is open.

        Args:
            rows: different ones, in any order; at most some hundreds, whose workloads are 16 MiB or a single one.

        Raises:
            StorageError: they cannot be read; the next call may succeed.
        """
        ...

    def quarantine(self, rows: Sequence[BadRow]) -> None:
        """Put rows into quarantine, where they stay until a person looks at them."""

    def info(self) -> StoreInfo:
        """What there is. Works without `open`, also while a server has the store open.

        Raises:
            StorageError: there is no such store, or it cannot be read.
        """
        ...

    def quarantined(self) -> Iterator[QuarantinedRow]:
        """The rows in quarantine. Works without `open`, as `info` does."""
        ...

    def rows(self) -> Iterator[StoredJob | BadRow]:
        """Every row in order, bad ones with the reason. Works without `open`, and changes nothing."""
        ...

    def close(self) -> None:
        """Let go of it; safe to call twice, and without `open`."""
