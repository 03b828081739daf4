"""The only mutable truth: jobs and functions, and what they leave behind."""

from __future__ import annotations

from sys import getrefcount

import pytest

from gearman_trio.core.job import NORMAL, QUEUED, RUNNING, SCHEDULED
from gearman_trio.core.peer import Peer
from gearman_trio.core.policy import Policy
from gearman_trio.core.registry import Registry
from gearman_trio.core.tally import CANCELLED, Traffic
from gearman_trio.protocol import Decoder


def peer() -> Peer:
    return Peer(1, "", Decoder(), [], {}, Traffic())


def test_a_function_is_made_once() -> None:
    registry = Registry(Policy())

    assert registry.function(b"f") is registry.function(b"f")
    assert [b"f"] == list(registry.functions)


@pytest.mark.slow
def test_idle_functions_are_forgotten_when_there_are_many() -> None:
    """Peers who invent names cost a bounded amount of memory."""
    registry = Registry(Policy())
    kept = registry.function(b"kept")
    registry.enqueue(registry.create(kept, b"", b"", NORMAL))
    for number in range(50_000):
        registry.function(b"%d" % number)

    assert len(registry.functions) <= 10_000
    assert kept is registry.functions[b"kept"]


@pytest.mark.slow
def test_functions_in_use_are_all_kept() -> None:
    registry = Registry(Policy())
    for number in range(25_000):
        registry.function(b"%d" % number).pinned = True

    assert 25_000 == len(registry.functions)


def test_a_job_is_removed_from_every_index_in_every_state() -> None:
    registry = Registry(Policy())
    function = registry.function(b"f")
    client, worker = peer(), peer()
    jobs = [registry.create(function, b"u%d" % number, b"", NORMAL) for number in range(3)]
    for job in jobs:
        registry.attach(job, client)
    registry.postpone(jobs[0], 10.0)
    registry.enqueue(jobs[1])
    registry.assign(function.pop(), worker, 5.0)
    registry.enqueue(jobs[2])

    assert [SCHEDULED, RUNNING, QUEUED] == [job.state for job in jobs]
    assert (1, 1, 1, 1, 1) == (
        function.scheduled,
        function.running,
        function.queued,
        len(registry.timers),
        len(registry.schedule),
    )

    for job in jobs:
        registry.remove(job, CANCELLED)

    assert (0, 0, 0, 0, 0) == (
        function.scheduled,
        function.running,
        function.queued,
        len(registry.timers),
        len(registry.schedule),
    )
    assert ({}, {}, {}, {}) == (registry.jobs, function.by_unique, client.attached, worker.running)


def test_requeueing_clears_worker_timer_and_progress() -> None:
    registry = Registry(Policy())
    function, worker = registry.function(b"f"), peer()
    job = registry.create(function, b"", b"", NORMAL)
    registry.enqueue(job)
    registry.assign(function.pop(), worker, 5.0)
    job.numerator, job.denominator = b"1", b"2"
    registry.requeue(job, "its worker was lost")

    assert (None, None, b"0", b"0", 1) == (job.worker, job.timer, job.numerator, job.denominator, job.attempts)
    assert (0, {}, [job]) == (len(registry.timers), worker.running, list(function.queue(NORMAL)))


def test_detaching_undoes_every_attachment() -> None:
    registry = Registry(Policy())
    job = registry.create(registry.function(b"f"), b"", b"", NORMAL)
    leaving, staying = peer(), peer()
    for client in (leaving, staying, leaving):
        registry.attach(job, client)
    registry.detach(job, leaving)

    assert ([staying], {}) == (job.clients, leaving.attached)


def test_nothing_of_the_jobs_is_left_after_the_end() -> None:
    """Without the collector of cycles, which does not see compiled jobs."""
    registry = Registry(Policy())
    client = peer()
    workload = bytes(100)
    before = getrefcount(workload)
    jobs = [registry.create(registry.function(b"f"), b"u%d" % number, workload, NORMAL) for number in range(3)]
    for job in jobs[:2]:
        registry.enqueue(job)
        registry.attach(job, client)
    registry.postpone(jobs[2], 99.0)
    client.attached.clear()

    del job, jobs
    registry.close()

    assert before == getrefcount(workload)
