"""Batches: what comes and goes in one, and what becomes of one that was tried in vain."""

from __future__ import annotations

from gearman_trio.core import Batch, JobUpdate, StoredJob


def job(row: int) -> StoredJob:
    return StoredJob(row, b"H:t:%d" % row, b"f", b"", 1, b"", 0.0, b"", 0, 0.0, True, "")


def batch(number: int, adds: list[int], updates: list[tuple[int, int]], removes: list[int]) -> Batch:
    made = Batch(number)
    made.adds = [job(row) for row in adds]
    made.updates = [JobUpdate(row, attempts, "") for row, attempts in updates]
    made.removes = removes
    return made


def content(made: Batch) -> tuple[list[int], list[tuple[int, int]], list[int]]:
    return [job.row for job in made.adds], [(row, attempts) for row, attempts, _ in made.updates], made.removes


def test_a_job_that_comes_and_goes_is_not_stored() -> None:
    made = batch(1, [1, 2, 3], [(2, 1), (8, 1)], [9, 2])
    made.cancel_out()

    assert ([1, 3], [(8, 1)], [9]) == content(made)


def test_a_batch_without_pairs_stays_as_it_is() -> None:
    made = batch(1, [1], [(9, 1), (9, 2)], [8])
    made.cancel_out()

    assert ([1], [(9, 1), (9, 2)], [8]) == content(made)


def test_what_was_tried_in_vain_comes_first() -> None:
    later = batch(2, [3], [(1, 2)], [8])
    later.put_before(batch(1, [1, 2], [(1, 1), (7, 1)], [9]))

    assert ([1, 2, 3], [(1, 2), (7, 1)], [9, 8]) == content(later)


def test_what_may_have_been_stored_is_removed_for_certain() -> None:
    later = batch(2, [], [], [1])
    later.put_before(batch(1, [1, 2], [(1, 1)], []))

    assert ([2], [], [1]) == content(later)


def test_empty() -> None:
    assert Batch(1).empty
    assert not any(made.empty for made in (batch(1, [1], [], []), batch(1, [], [(1, 1)], []), batch(1, [], [], [1])))
