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
