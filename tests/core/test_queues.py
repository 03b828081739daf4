"""The queue of one function and priority."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gearman_trio.core.function import Function
from gearman_trio.core.job import NORMAL, Job
from gearman_trio.core.queues import JobQueue

FUNCTION = Function(b"f")


def queue_of(count: int) -> tuple[JobQueue, list[Job]]:
    queue = JobQueue()
    jobs = [Job(b"%d" % number, FUNCTION, b"", b"", NORMAL) for number in range(count)]
    for job in jobs:
        queue.push(job)
    return queue, jobs


def test_first_in_first_out() -> None:
    queue, jobs = queue_of(3)

    assert jobs == [queue.pop(), queue.pop(), queue.pop()]
    assert 0 == len(queue)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_job_is_removed_wherever_it_stands(index: int) -> None:
    queue, jobs = queue_of(3)
    removed = jobs.pop(index)
    queue.remove(removed)

    assert jobs == list(queue)
    assert (2, None, None) == (len(queue), removed.previous, removed.next)


def test_a_removed_job_can_be_queued_again() -> None:
    queue, (first, second) = queue_of(2)
    queue.push(queue.pop())

    assert [second, first] == list(queue)


def test_popping_nothing_cannot_happen() -> None:
    with pytest.raises(AssertionError, match="pop from an empty queue"):
        JobQueue().pop()


@given(st.lists(st.integers(-1, 9), max_size=60))
def test_any_use_is_that_of_a_list(steps: list[int]) -> None:
    """-1 pushes; any other number removes the job at that place, where there is one."""
    queue, expected = queue_of(0)
    for step in steps:
        if step < 0:
            job = Job(b"", FUNCTION, b"", b"", NORMAL)
            queue.push(job)
            expected.append(job)
        elif step < len(expected):
            queue.remove(expected.pop(step))

        assert expected == list(queue)
        assert len(expected) == len(queue)


def missing(number: int) -> Job:
    job = Job(b"%d" % number, FUNCTION, b"", b"", NORMAL)
    job.size = 1
    return job


def test_a_job_goes_back_to_the_head() -> None:
    queue, jobs = queue_of(3)
    queue.push_front(queue.pop())
    assert jobs == list(queue)

    alone, (job,) = queue_of(1)
    alone.push_front(alone.pop())
    assert (job, 1) == (alone.head, len(alone))


def test_missing_jobs_are_passed_over_and_stay() -> None:
    queue, (first, second) = queue_of(2)
    gone = [missing(number) for number in range(3)]
    for job in [gone[0], gone[1]]:
        queue.push_front(job)
    queue.push(gone[2])

    assert [first, second] == [queue.pop_ready(), queue.pop_ready()]
    assert ([gone[1], gone[0], gone[2]], 3) == (list(queue), queue.missing)
    assert [gone[1], gone[0]] == queue.first_missing(2)
    assert gone[1] is queue.pop()


def test_popping_where_all_is_missing_cannot_happen() -> None:
    queue = JobQueue()
    queue.push(missing(1))

    with pytest.raises(AssertionError, match="pop from a queue of which all is missing"):
        queue.pop_ready()


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9)), max_size=60))
def test_any_use_with_missing_jobs_is_that_of_a_list(steps: list[tuple[int, int]]) -> None:
    """Push, push a missing one, the same at the head, pop, remove, load, each at a place where there is one."""
    queue = JobQueue()
    expected: list[Job] = []
    for what, place in steps:
        job = missing(0) if what in {1, 3} else Job(b"", FUNCTION, b"", b"", NORMAL)
        ready = [each for each in expected if not each.missing]
        if what in {0, 1}:
            queue.push(job)
            expected.append(job)
        elif what in {2, 3}:
            queue.push_front(job)
            expected.insert(0, job)
        elif what == 4 and ready:
            assert ready[0] is queue.pop_ready()
            expected.remove(ready[0])
        elif what == 5 and place < len(expected):
            queue.remove(expected.pop(place))
        elif what == 6 and place < len(expected) and expected[place].missing:
            expected[place].workload = b"w"
            queue.loaded()

        assert expected == list(queue)
        assert len([each for each in expected if each.missing]) == queue.missing
