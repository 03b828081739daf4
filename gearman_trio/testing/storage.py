"""What every store must do, as checks that run over any of them: ours, and those that other people write.

A test suite passes the checks one by one, so that each has a name, or calls `check_store`::

    @pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)
    def test_store(check, tmp_path):
        check(lambda: MyStore(tmp_path / "jobs"))
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, TypeVar

from ..errors import StorageError
from ..storage import BadRow, Batch, JobUpdate, SpilledJob, Store, StoredJob

__all__ = ["STORE_CHECKS", "check_store", "check_store_fault"]

#: Enough to find out about limits of a megabyte or so.
_LARGE_BYTES: Final = 4_000_000

#: Gives a new object for one and the same storage, which nobody else uses, and which a check may empty.
Make = Callable[[], Store]

_Check = TypeVar("_Check", bound=Callable[[Make], None])

#: Every check, in a sensible order.
STORE_CHECKS: Final[list[Callable[[Make], None]]] = []


def check_store(make: Make) -> None:
    """Run every check.

    Args:
        make: gives a new `Store` object, not opened, for one and the same storage. The storage is emptied.

    Raises:
        AssertionError: the store does not do what it must.
    """
    for check in STORE_CHECKS:
        check(make)


def check_store_fault(make: Make, fault: Callable[[], AbstractContextManager[object]]) -> None:
    """Check that a store says so while it cannot be written, and goes on when it can be again.

    Args:
        make: as for `check_store`.
        fault: gives a context manager within which every commit must fail, of stores that were opened before.

    Raises:
        AssertionError: the store does not do what it must.
    """
    with _emptied(make) as (store, row):
        store.commit(_batch(adds=[_job(row)]))
        with fault():
            for _ in range(2):
                with _storage_error("a commit during a fault"):
                    store.commit(_batch(adds=[_job(row + 1)], removes=[row]))
        # What has failed comes again, with what came meanwhile.
        store.commit(_batch(adds=[_job(row + 1), _job(row + 2)], removes=[row]))
        with _storage_error("a store that another server has open, after a fault"):
            make().open("another server")
    with _opened(make) as (store, _):
        _expect("the jobs", [_job(row + 1), _job(row + 2)], _replayed(store))


def _check(function: _Check) -> _Check:
    STORE_CHECKS.append(function)
    return function


@_check
def jobs_come_back_as_they_were(make: Make) -> None:
    """Every field of every job, in the order of the rows, after the store was closed and opened again."""
    with _emptied(make) as (store, row):
        jobs = [
            _job(row, workload=b"", created=0.0),
            _job(row + 1, workload=bytes(range(256)) * 5, unique=b"\xff\xfe", function=b"\x80 %s '\"\\"),
            _job(row + 2, handle=b"H:host:99", priority=0, run_at=4_102_444_800.25, reducer=b"r\xc3"),
            _job(row + 3, priority=2, attempts=3, background=False, error="its worker was lost: \u00e9 \U0001f4a5"),
            _job(row + 4, workload=b"\0" * 1_000_000),
        ]
        store.commit(_batch(adds=jobs))
    with _opened(make) as (store, _):
        _expect("the jobs of a replay", jobs, _replayed(store))
        _expect("the jobs of a replay that is repeated", jobs, _replayed(store))
    _expect("the jobs of a store that is not open", jobs, list(make().rows()))


@_check
def the_largest_workload_fits(make: Make) -> None:
    """As large as the store says, up to some megabytes, with the longest names that a server allows by itself."""
    store = make()
    size = min(store.open("server").max_workload_bytes, _LARGE_BYTES)
    store.close()
    with _emptied(make) as (store, row):
        large = _job(row, workload=b"\xff" * size, function=b"\xff" * 512, unique=b"\xff" * 64, error="\u20ac" * 500)
        store.commit(_batch(adds=[large, _job(row + 1)]))
    with _opened(make) as (store, _):
        _expect("the jobs", [large, _job(row + 1)], _replayed(store))
        store.commit(_batch(removes=[row]))


@_check
def rows_and_not_unique_ids_are_the_key(make: Make) -> None:
    """Jobs of one function with the same unique ID, or without one, do not take each other's place."""
    with _emptied(make) as (store, row):
        jobs = [_job(row + index, unique=unique) for index, unique in enumerate([b"", b"", b"-", b"-", b"u", b"u"])]
        store.commit(_batch(adds=jobs))
        store.commit(_batch(removes=[row, row + 4]))
    with _opened(make) as (store, _):
        _expect("the jobs that are left", [jobs[index] for index in (1, 2, 3, 5)], _replayed(store))


@_check
def batches_of_any_size_are_stored(make: Make) -> None:
    """One job, none, and thousands, added and removed at once; in the order of the rows throughout."""
    with _emptied(make) as (store, row):
        store.commit(_batch())
        jobs = [_job(row + index) for index in range(5000)]
        store.commit(_batch(adds=jobs[:1]))
        store.commit(_batch(adds=jobs[1:]))
        store.commit(_batch(removes=[job.row for job in jobs[::2]]))
        store.commit(_batch(updates=[JobUpdate(job.row, 7, "again") for job in jobs[1::2]]))
    with _opened(make) as (store, _):
        expected = [job._replace(attempts=7, error="again") for job in jobs[1::2]]
        _expect("the jobs that are left", expected, _replayed(store))
        _expect("their number", len(expected), store.info().jobs)


@_check
def one_batch_is_added_updated_and_removed_in_this_order(make: Make) -> None:
    """Whatever a batch holds of one row."""
    with _emptied(make) as (store, row):
        jobs = [_job(row), _job(row + 1), _job(row + 2)]
        updates = [JobUpdate(row, 1, "first"), JobUpdate(row, 2, "second"), JobUpdate(row + 1, 1, "gone soon")]
        store.commit(_batch(adds=jobs, updates=updates, removes=[row + 1]))
    with _opened(make) as (store, _):
        _expect("the jobs", [jobs[0]._replace(attempts=2, error="second"), jobs[2]], _replayed(store))


@_check
def a_batch_may_come_again(make: Make) -> None:
    """As after a commit of which nobody knows whether it succeeded."""
    with _emptied(make) as (store, row):
        jobs = [_job(row), _job(row + 1)]
        batch = _batch(adds=jobs, updates=[JobUpdate(row, 1, "lost")], removes=[row + 1])
        store.commit(batch)
        store.commit(batch)
        store.commit(_batch(updates=[JobUpdate(row + 99, 1, "never was")], removes=[row + 98, row + 1]))
    with _opened(make) as (store, _):
        _expect("the jobs", [jobs[0]._replace(attempts=1, error="lost")], _replayed(store))


@_check
def a_batch_that_cannot_be_stored_leaves_nothing(make: Make) -> None:
    """All or nothing; and the next batch is stored as if nothing had been."""
    with _emptied(make) as (store, row):
        spoilt: Any = object()
        with _storage_error("a workload that is no bytes"):
            store.commit(_batch(adds=[_job(row), _job(row + 1, workload=spoilt), _job(row + 2)]))
        store.commit(_batch(adds=[_job(row + 3)]))
    with _opened(make) as (store, _):
        _expect("the jobs", [_job(row + 3)], _replayed(store))


@_check
def numbers_are_never_given_again(make: Make) -> None:
    """Rows go on above all that there are, also in quarantine; handles above all that there ever were."""
    with _emptied(make) as (store, row):
        store.commit(_batch(adds=[_job(row), _job(row + 5)], last_handle=1_000_000_000_007))
        store.commit(_batch(adds=[_job(row + 6)], last_handle=1_000_000_000_003))
        store.quarantine([BadRow(row + 6, "for a test")])
    with _opened(make) as (store, next_row):
        assert next_row > row + 6, f"next_row: expected more than {row + 6}, got {next_row}"
    first, second = make(), make()
    state = first.open("server")
    first.close()
    again = second.open("server")
    second.close()
    _expect("last_handle", 1_000_000_000_007, state.last_handle)
    _expect("the epoch of the next open", state.epoch + 1, again.epoch)


@_check
def a_replay_gives_what_was_there_at_the_beginning(make: Make) -> None:
    """Batches that are committed meanwhile neither disturb it nor come out of it."""
    with _emptied(make) as (store, row):
        jobs = [_job(row + index) for index in range(10_000)]
        store.commit(_batch(adds=jobs))
    with _opened(make) as (store, next_row):
        store.commit(_batch(adds=[_job(next_row)]))
        chunks = store.replay()
        rows = next(chunks)
        store.commit(_batch(adds=[_job(next_row + 1)], removes=[rows[0].row]))
        for chunk in chunks:
            rows += chunk
        _expect("the jobs of the replay", jobs, rows)
    with _opened(make) as (store, _):
        expected = [*jobs[1:], _job(next_row), _job(next_row + 1)]
        _expect("the jobs of the next replay", expected, _replayed(store))


@_check
def a_replay_leaves_long_workloads_where_they_are(make: Make) -> None:
    """Those that are longer than it is told, but for jobs with the unique ID ``-``; everything else is as ever."""
    with _emptied(make) as (store, row):
        jobs = [
            _job(row, workload=b"x" * 100),
            _job(row + 1, workload=b"\n\0" * 51, unique=b"u", run_at=4_102_444_800.25, attempts=2, error="lost"),
            _job(row + 2, workload=b"y" * 1_000_000, reducer=b"r"),
            _job(row + 3, workload=b"z" * 200, unique=b"-"),
            _job(row + 4, workload=b""),
        ]
        store.commit(_batch(adds=jobs))
    with _opened(make) as (store, _):
        rows = [each for chunk in store.replay(100) for each in chunk]
        spilled = [SpilledJob(job._replace(workload=b""), len(job.workload)) for job in jobs[1:3]]
        _expect("the jobs", [jobs[0], *spilled, *jobs[3:]], rows)
        _expect("the same, whole", jobs, _replayed(store))


@_check
def workloads_are_fetched_by_rows(make: Make) -> None:
    """Any number of them, also of rows that were added since, during a replay, and of rows that are not there."""
    with _emptied(make) as (store, row):
        jobs = [_job(row + index, workload=b"\0%d\xff" % index * (index % 7)) for index in range(1500)]
        store.commit(_batch(adds=jobs, removes=[row + 3]))
        _expect("no rows", {}, store.fetch([]))
        rows = [job.row for job in jobs]
        expected = {job.row: job.workload for job in jobs if job.row != row + 3}
        _expect("the workloads", expected, store.fetch([*reversed(rows), row + 5000]))
    with _opened(make) as (store, next_row):
        chunks = store.replay(1)
        next(chunks)
        store.commit(_batch(adds=[_job(next_row, workload=b"new")], removes=[row]))
        _expect("the workloads", {row + 1: jobs[1].workload, next_row: b"new"}, store.fetch([next_row, row, row + 1]))
    with _storage_error("a fetch after close"):
        store.fetch([row])


@_check
def rows_go_into_quarantine_and_stay_there(make: Make) -> None:
    """They are no jobs any more; they are counted and shown with the reason and what they hold."""
    with _emptied(make) as (store, row):
        before = store.info().quarantined
        store.commit(_batch(adds=[_job(row), _job(row + 1, function=b"strange"), _job(row + 2)]))
        store.quarantine([BadRow(row + 1, "it is strange")])
        _expect("the jobs that are left", [_job(row), _job(row + 2)], list(store.rows()))
    info = make().info()
    _expect("the number in quarantine", before + 1, info.quarantined)
    shown = [each for each in make().quarantined() if each.row == row + 1]
    _expect("the reason", ["it is strange"], [each.reason for each in shown])
    assert "strange" in shown[0].content, f"content: expected the function's name in it, got {shown[0].content!r}"


@_check
def only_one_server_has_it(make: Make) -> None:
    """A second one is told, and does no harm; when the first has closed it, the second may have it."""
    with _emptied(make) as (store, row):
        other = make()
        with _storage_error("a store that another server has open"):
            other.open("another server")
        store.commit(_batch(adds=[_job(row)]))
        _expect("the owner", "server", make().info().owner)
    with _opened(make) as (store, _):
        _expect("the jobs", [_job(row)], _replayed(store))


@_check
def a_closed_store_says_so(make: Make) -> None:
    """And may be closed again."""
    store = make()
    store.close()
    with _storage_error("a commit without open"):
        store.commit(_batch(removes=[1]))
    store.open("server")
    store.close()
    store.close()
    with _storage_error("a commit after close"):
        store.commit(_batch(removes=[1]))


@contextmanager
def _opened(make: Make) -> Generator[tuple[Store, int]]:
    """The store, open, and the first row that is free."""
    store = make()
    state = store.open("server")
    try:
        yield store, state.next_row
    finally:
        store.close()


@contextmanager
def _emptied(make: Make) -> Generator[tuple[Store, int]]:
    with _opened(make) as (store, next_row):
        left = [row.row for chunk in store.replay() for row in chunk]
        store.commit(_batch(removes=left))
        yield store, next_row


@contextmanager
def _storage_error(what: str) -> Generator[None]:
    try:
        yield
    except StorageError:
        return
    raise AssertionError(f"{what}: expected a StorageError")


def _job(row: int, **changes: Any) -> StoredJob:
    job = StoredJob(
        row=row,
        handle=b"H:check:%d" % row,
        function=b"f",
        unique=b"",
        priority=1,
        workload=b"w",
        run_at=0.0,
        reducer=b"",
        attempts=0,
        created=1_700_000_000.5,
        background=True,
        error="",
    )
    return job._replace(**changes)


def _batch(
    *,
    adds: Iterable[StoredJob] = (),
    updates: Iterable[JobUpdate] = (),
    removes: Iterable[int] = (),
    last_handle: int = 0,
) -> Batch:
    batch = Batch(1)
    batch.adds = list(adds)
    batch.updates = list(updates)
    batch.removes = list(removes)
    batch.last_handle = last_handle
    return batch


def _replayed(store: Store) -> list[StoredJob | SpilledJob | BadRow]:
    return [row for chunk in store.replay() for row in chunk]


def _expect(what: str, expected: object, got: object) -> None:
    if expected != got:
        raise AssertionError(f"{what}: expected {_short(expected)}, got {_short(got)}")


def _short(value: object) -> str:
    if isinstance(value, list) and len(value) > 5:
        return f"{len(value)} items"
    text = repr(value)
    return text if len(text) <= 400 else f"{text[:400]}..."
