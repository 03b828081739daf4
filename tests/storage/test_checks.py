"""Every store against every check of the conformance kit; and the kit against stores that are wrong."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from gearman_trio import StorageError
from gearman_trio.storage import BadRow, Batch, SpilledJob, SQLiteStore, Store, StoredJob, StoreState, make_store
from gearman_trio.testing import STORE_CHECKS, MemoryStore, check_store, check_store_fault

Make = Callable[[], Store]


every_check = pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)


@every_check
def test_sqlite(check: Callable[[Make], None], tmp_path: Path) -> None:
    check(lambda: SQLiteStore(str(tmp_path / "jobs.db")))


@every_check
def test_memory(check: Callable[[Make], None]) -> None:
    store = MemoryStore()
    check(lambda: store)


def test_all_checks_in_turn_over_one_storage(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path}/jobs.db?table=other&durability=off"

    def make() -> Store:
        store = make_store(url)
        assert store is not None
        return store

    check_store(make)


class Cramped(MemoryStore):
    """Takes less than it says."""

    def commit(self, batch: Batch) -> None:
        super().commit(batch)
        self.content = {row: job._replace(workload=job.workload[:1_048_576]) for row, job in self.content.items()}


class Unordered(MemoryStore):
    def replay(self, spill_bytes: int = 0) -> Iterator[list[StoredJob | SpilledJob | BadRow]]:
        for chunk in super().replay(spill_bytes):
            yield chunk[::-1]


class KeyedByUniqueID(MemoryStore):
    def commit(self, batch: Batch) -> None:
        super().commit(batch)
        latest = {(job.function, job.unique): row for row, job in self.content.items()}
        self.content = {row: job for row, job in self.content.items() if row in latest.values()}


class CutAtNul(MemoryStore):
    def commit(self, batch: Batch) -> None:
        super().commit(batch)
        self.content = {
            row: job._replace(workload=job.workload.partition(b"\0")[0]) for row, job in self.content.items()
        }


class Partial(MemoryStore):
    def commit(self, batch: Batch) -> None:
        for job in batch.adds:
            one = Batch(1)
            one.adds = [job]
            super().commit(one)
        rest = Batch(1)
        rest.updates, rest.removes, rest.last_handle = batch.updates, batch.removes, batch.last_handle
        super().commit(rest)


class Forgetful(MemoryStore):
    def open(self, owner: str) -> StoreState:
        super().open(owner)
        return StoreState(next_row=1, last_handle=0, epoch=1, max_workload_bytes=2**32)


class Shared(MemoryStore):
    def open(self, owner: str) -> StoreState:
        self._open = False
        return super().open(owner)


class Growing(MemoryStore):
    def replay(self, spill_bytes: int = 0) -> Iterator[list[StoredJob | SpilledJob | BadRow]]:
        for job in list(self.content.values()):
            yield [job]


class NeverSpilling(MemoryStore):
    def replay(self, spill_bytes: int = 0) -> Iterator[list[StoredJob | SpilledJob | BadRow]]:
        return super().replay()


class SpillingTooMuch(MemoryStore):
    def replay(self, spill_bytes: int = 0) -> Iterator[list[StoredJob | SpilledJob | BadRow]]:
        return super().replay(max(0, spill_bytes - 1))


class FetchingSome(MemoryStore):
    def fetch(self, rows: Sequence[int]) -> dict[int, bytes]:
        return super().fetch(rows[:1000])


WRONG = [
    Cramped,
    Unordered,
    KeyedByUniqueID,
    CutAtNul,
    Partial,
    Forgetful,
    Shared,
    Growing,
    NeverSpilling,
    SpillingTooMuch,
    FetchingSome,
]


@pytest.mark.parametrize("wrong", WRONG)
def test_a_store_that_is_wrong_is_found_out(wrong: type[MemoryStore]) -> None:
    store = wrong()

    with pytest.raises(AssertionError):
        check_store(lambda: store)


class Numb(MemoryStore):
    """Does not notice that it fails."""

    def commit(self, batch: Batch) -> None:
        with suppress(StorageError):
            super().commit(batch)


class Broken(MemoryStore):
    """Does not get over a failure."""

    def commit(self, batch: Batch) -> None:
        try:
            super().commit(batch)
        except StorageError:
            self.close()
            raise


class Half(MemoryStore):
    """Does of a batch that fails what it can."""

    def commit(self, batch: Batch) -> None:
        if self.failure:
            for row in batch.removes:
                self.content.pop(row, None)
            self.content |= {job.row + 100: job._replace(row=job.row + 100) for job in batch.adds}
        super().commit(batch)


@contextmanager
def failing(store: MemoryStore) -> Generator[None]:
    store.failure = "the disk is full"
    yield
    store.failure = ""


@pytest.mark.parametrize("wrong", [Numb, Broken, Half])
def test_a_store_that_is_wrong_in_a_fault_is_found_out(wrong: type[MemoryStore]) -> None:
    store = wrong()

    with pytest.raises((AssertionError, StorageError)):
        check_store_fault(lambda: store, partial(failing, store))


def test_a_store_that_gets_over_a_fault() -> None:
    store = MemoryStore()

    check_store_fault(lambda: store, partial(failing, store))
