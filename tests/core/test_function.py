"""The record of one function."""

from __future__ import annotations

import pytest

from gearman_trio.core.function import Function
from gearman_trio.core.job import HIGH, LOW, NO_PRIORITY, NORMAL, Job


def function_with(*priorities: int) -> tuple[Function, list[Job]]:
    function = Function(b"f")
    jobs = [Job(b"%d" % number, function, b"", b"", priority) for number, priority in enumerate(priorities)]
    for job in jobs:
        function.push(job)
    return function, jobs


def test_top_is_the_best_priority_that_has_a_job() -> None:
    function, _ = function_with(LOW, NORMAL, HIGH)
    tops = [function.top]
    while function.queued:
        function.pop()
        tops.append(function.top)

    assert [HIGH, NORMAL, LOW, NO_PRIORITY] == tops


def test_pop_takes_high_before_normal_before_low_and_each_in_order() -> None:
    function, (low, normal, first_high, second_high) = function_with(LOW, NORMAL, HIGH, HIGH)

    assert [first_high, second_high, normal, low] == [function.pop() for _ in range(4)]


def test_removing_the_last_job_of_the_top_lowers_it() -> None:
    function, (high, _) = function_with(HIGH, LOW)
    function.remove(high)

    assert (LOW, 1, 0, 1) == (function.top, function.queued, function.waiting(HIGH), function.waiting(LOW))


def test_a_better_job_raises_the_top_and_a_worse_one_leaves_it() -> None:
    function, _ = function_with(NORMAL, LOW)

    assert NORMAL == function.top

    function.push(Job(b"", function, b"", b"", HIGH))

    assert HIGH == function.top


@pytest.mark.parametrize(
    ("unique", "workload", "asked_unique", "asked_workload", "found"),
    [
        (b"u", b"w", b"u", b"other", True),
        (b"u", b"w", b"v", b"w", False),
        (b"", b"w", b"", b"w", False),
        (b"-", b"w", b"-", b"w", True),
        (b"-", b"w", b"-", b"x", False),
        (b"-", b"", b"-", b"", False),
        (b"-", b"w", b"w", b"w", False),
    ],
)
def test_a_live_job_is_found_by_its_unique_id(
    unique: bytes, workload: bytes, asked_unique: bytes, asked_workload: bytes, found: bool
) -> None:
    function = Function(b"f")
    job = Job(b"", function, unique, workload, NORMAL)
    function.remember(job)

    assert (job if found else None) is function.find(asked_unique, asked_workload)


@pytest.mark.parametrize(("unique", "workload"), [(b"u", b""), (b"-", b"w"), (b"-", b""), (b"", b"w")])
def test_forget_undoes_remember(unique: bytes, workload: bytes) -> None:
    function = Function(b"f")
    job = Job(b"", function, unique, workload, NORMAL)
    function.remember(job)
    function.forget(job)

    assert ({}, {}) == (function.by_unique, function.by_workload)


def test_a_function_is_idle_only_with_nothing_to_lose() -> None:
    function, _ = function_with(NORMAL)
    answers = [function.idle]
    function.pop()
    answers.append(function.idle)
    function.limits = (0, 5, 0)
    answers.append(function.idle)
    function.limits = (0, 0, 0)
    function.pinned = True
    answers.append(function.idle)

    assert [False, True, False, False] == answers


def test_total_counts_every_state() -> None:
    function, _ = function_with(NORMAL, LOW)
    function.running = 3
    function.scheduled = 4

    assert 9 == function.total
