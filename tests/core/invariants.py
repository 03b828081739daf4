"""What must hold of a broker between any two calls, found out by looking at everything it has.

The list is that of the design: a job is in exactly one of committing, queued, scheduled, fetching, running; (function,
unique) names at most one live job; a running job is listed by exactly one connection; a connection that has ended
leaves no trace; counts equal a recount; where a function has sleepers, enough workers are awake for it; no timer
outlives what it is for.
"""

from __future__ import annotations

from gearman_trio.core import OUTCOMES, Dispatcher
from gearman_trio.core.deadlines import Deadlines, Timer
from gearman_trio.core.function import Function
from gearman_trio.core.job import (
    COMMITTING,
    FETCHING,
    FINISHED,
    NO_PRIORITY,
    PRIORITIES,
    QUEUED,
    RUNNING,
    SCHEDULED,
    Job,
)
from gearman_trio.core.peer import Held, Peer
from gearman_trio.core.registry import Registry

__all__ = ["check_invariants", "check_tallies"]


def check_invariants(broker: Dispatcher) -> None:
    """Raise AssertionError where the broker is not in order."""
    registry = broker._registry
    jobs = list(registry.jobs.values())
    functions = list(registry.functions.values())
    peers = list(broker._peers.values())
    assert [job.handle for job in jobs] == list(registry.jobs)
    assert [function.name for function in functions] == list(registry.functions)
    for function in functions:
        check_function(function, jobs, peers, restored=broker.counters().restored > 0)
        if function.sleepers and function not in broker._waking._due:
            assert function.wakes >= function.available, "a wake-up was lost"
    for job in jobs:
        check_job(job, functions, peers)
    for peer in peers:
        check_peer(peer, functions, jobs)
    check_timers(
        registry.timers,
        [job.timer for job in jobs if job.state == RUNNING] + [peer.wake_timer for peer in peers],
    )
    check_timers(registry.schedule, [job.timer for job in jobs if job.state == SCHEDULED])
    check_counters(broker, len(jobs))
    check_uniques(registry, jobs)
    check_spilled(broker, jobs)


def check_function(function: Function, jobs: list[Job], peers: list[Peer], *, restored: bool) -> None:
    own = [job for job in jobs if job.function is function]
    queues = [list(function.queue(priority)) for priority in range(len(PRIORITIES))]
    queued = [job for queue in queues for job in queue]
    assert len(queued) == len(set(queued))
    assert set(queued) == {job for job in own if job.state == QUEUED}
    assert all(job.priority == priority for priority, queue in enumerate(queues) for job in queue)
    fetching = {job for job in own if job.state == FETCHING}
    assert [
        len(queue) + len([job for job in fetching if job.priority == priority]) for priority, queue in enumerate(queues)
    ] == [function.waiting(priority) for priority in range(len(PRIORITIES))]
    assert function.queued == len(queued)
    assert function.running == len([job for job in own if job.state == RUNNING])
    assert function.scheduled == len([job for job in own if job.state == SCHEDULED])
    assert function.committing == len([job for job in own if job.state == COMMITTING])
    assert set(function.fetching) == fetching
    available = [job for job in queued if not function.paused and not (function.stalled and job.missing)]
    assert function.available == len(available)
    assert function.top == min((job.priority for job in available), default=NO_PRIORITY)
    for priority, queue in enumerate(queues):
        assert function.queue(priority).missing == len([job for job in queue if job.missing])

    assert function.waiting_since() == min([job.since for job in [*queued, *fetching]], default=None)

    named = [(job.unique, job) for job in own if job.unique not in {b"", b"-"}]
    keyed = [(job.workload, job) for job in own if job.unique == b"-" and job.workload]
    # Jobs that a store gave back may share a unique ID with a newer one.
    if not restored:
        assert len(named) == len(dict(named))
        assert len(keyed) == len(dict(keyed))
        assert dict(named) == function.by_unique
        assert dict(keyed) == function.by_workload
    assert all(job in own for job in [*function.by_unique.values(), *function.by_workload.values()])
    assert function.held_bytes == sum(len(job.workload) for job in own)

    assert set(function.workers) == {peer for peer in peers if function in peer.abilities}
    assert set(function.sleepers) == {peer for peer in function.workers if peer.sleeping}
    assert function.wakes == len([peer for peer in peers if peer.woken_for is function])


def check_uniques(registry: Registry, jobs: list[Job]) -> None:
    named = [job for job in jobs if job.unique not in {b"", b"-"}]
    assert registry._uniques == {job.unique: job for job in named}
    namesakes = {unique: [job for job in named if job.unique == unique] for unique in registry._uniques}
    assert {unique: list(group) for unique, group in registry._namesakes.items()} == {
        unique: group for unique, group in namesakes.items() if len(group) > 1
    }
    assert registry.held_bytes == sum(len(job.workload) for job in jobs)


def check_job(job: Job, functions: list[Function], peers: list[Peer]) -> None:
    assert job.state in {COMMITTING, QUEUED, SCHEDULED, FETCHING, RUNNING}
    assert job.commit >= 0
    assert job.row or not job.commit
    assert job.function in functions
    assert (job.worker is not None) == (job.state == RUNNING)
    assert [peer for peer in peers if job in peer.running] == ([] if job.worker is None else [job.worker])
    assert all(client in peers and job in client.attached for client in job.clients)
    assert job.clients or job.background or job.state in {COMMITTING, RUNNING}
    if job.state == SCHEDULED:
        assert job.timer is not None
    if job.state in {QUEUED, COMMITTING}:
        assert job.timer is None
    if job.state != QUEUED:
        assert (job.previous, job.next) == (None, None)
    if job.timer is not None:
        assert (job.timer.job, job.timer.peer, job.timer.cancelled) == (job, None, False)


def check_spilled(broker: Dispatcher, jobs: list[Job]) -> None:
    registry = broker._registry
    spilled = [job for job in jobs if job.missing]
    assert (len(spilled), sum(job.size for job in spilled)) == broker.spilled()
    assert registry.loaded_bytes == sum(job.size for job in jobs if job.loaded)
    assert all(job.row and not job.commit and job.unique != b"-" for job in [*spilled, *filter(is_loaded, jobs)])
    assert all(job.size == len(job.workload) for job in jobs if not job.missing)
    assert all(job.missing for job in jobs if job.state == RUNNING and job.row and is_long(broker, job))
    spill = broker._spill
    assert all(job.state == FINISHED or job.missing for job in spill._asked)
    assert {job for job in spill._grabs if job.state != FINISHED} == {job for job in jobs if job.state == FETCHING}
    assert spill._ahead_bytes == sum(job.size for job in spill._ahead)


def is_loaded(job: Job) -> bool:
    return job.loaded


def is_long(broker: Dispatcher, job: Job) -> bool:
    return 0 < broker._policy.spill_bytes < job.size and job.unique != b"-"


def check_peer(peer: Peer, functions: list[Function], jobs: list[Job]) -> None:
    assert not peer.gone
    assert set(peer.attached) == {job for job in jobs if peer in job.clients}
    assert set(peer.running) == {job for job in jobs if job.worker is peer}
    assert len(peer.abilities) == len(set(peer.abilities))
    assert all(function in functions for function in peer.abilities)
    assert set(peer.timeouts) <= set(peer.abilities)
    assert 0 <= peer.cursor <= len(peer.abilities)
    assert not (peer.sleeping and peer.woken_for)
    assert (peer.woken_for is None) == (peer.wake_timer is None)
    assert peer.woken_for is None or peer.woken_for in peer.abilities
    if peer.wake_timer is not None:
        assert (peer.wake_timer.job, peer.wake_timer.peer, peer.wake_timer.cancelled) == (None, peer, False)
    assert not peer.released & {job.handle for job in peer.running}
    assert peer.outbox_bytes == sum(map(len, peer.outbox))
    check_line(peer)


def check_line(peer: Peer) -> None:
    """What waits for a long answer, or for the store."""
    line = list(peer._line)
    held = [each for each in line if isinstance(each, Held)]
    assert peer.held == (peer.rows is not None or bool(line))
    assert (peer.rows is not None) == (peer in peer._answering)
    assert peer.rows is not None or not line or (isinstance(line[0], Held) and not line[0].answer)
    assert list(peer._unanswered) == [each for each in held if each.number and not each.answer]
    sizes = [len(each) if isinstance(each, bytes) else 100 if isinstance(each, Held) else 1000 for each in line]
    assert peer.behind_bytes == sum(sizes)
    assert peer.held_bytes == sum(sizes) + sum(len(each.job.workload) for each in peer._unanswered)


def check_timers(deadlines: Deadlines, expected: list[Timer | None]) -> None:
    live = [timer for _, _, timer in deadlines._heap if not timer.cancelled]
    assert len(live) == len(set(live)) == len(deadlines)
    assert set(live) == {timer for timer in expected if timer is not None}
    assert deadlines._cancelled == len(deadlines._heap) - len(live)
    assert deadlines._cancelled <= max(256, len(live) + 1)


def check_counters(broker: Dispatcher, live: int) -> None:
    counters = broker.counters()
    assert counters.submitted + counters.restored == live + counters.ended + counters.refused
    if not broker._policy.requeue_on_timeout:
        assert counters.expired == counters.timed_out
    functions = broker.functions()
    totals = broker.totals()
    assert totals.queued + totals.running + totals.scheduled + totals.committing == live
    assert (len(functions), len(broker.peers())) == (totals.functions, totals.connections)
    assert totals.stalled == len([function for function in functions if function.stalled])
    assert (totals.workers, totals.sleeping) == (
        len([peer for peer in broker.peers() if peer.abilities]),
        len([peer for peer in broker.peers() if peer.sleeping and peer.abilities]),
    )


def check_tallies(broker: Dispatcher) -> None:
    """Unless a function was dropped, which takes its counts with it."""
    counters, functions = broker.counters(), broker.functions()
    ended = [sum(each) for each in zip(*(function.ended for function in functions), strict=True)] or [0] * len(OUTCOMES)
    assert ended == [
        counters.completed,
        counters.failed,
        counters.raised,
        counters.expired,
        counters.lost,
        counters.cancelled,
        counters.abandoned,
        counters.refused,
    ]
    assert counters.submitted == sum(function.submitted for function in functions)
    assert counters.coalesced == sum(function.coalesced for function in functions)
    assert counters.requeued == sum(function.requeued for function in functions)
    assert counters.assigned == sum(function.started for function in functions)
    assert counters.assigned == sum(function.waited.count for function in functions)
    ran = sum(function.ran.count for function in functions)
    assert ran + counters.requeued <= counters.assigned
    assert all(function.ran.count <= sum(function.ended) for function in functions)
