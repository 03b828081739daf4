"""What the broker has done since it started, and what it holds now, as values to look at."""

from __future__ import annotations

from collections.abc import Iterable

from .function import Function
from .job import HIGH, LOW, NORMAL
from .peer import Peer
from .tally import FAIL, LOST

__all__ = ["Counters", "FunctionStatistics", "PeerStatistics", "Totals"]


class Counters:
    """Counts of jobs since the start, but for `connections`, which counts those accepted, and for bytes.

    Attributes:
        submitted: new jobs.
        restored: jobs of an earlier run that came back from the store.
        coalesced: submissions that joined a live job.
        rejected: submissions answered with ERROR.
        refused: new jobs that the store did not take; their submissions are among the rejected.
        assigned: jobs given to workers, each attempt counted.
        completed: jobs ended by WORK_COMPLETE.
        failed: jobs ended by WORK_FAIL.
        raised: jobs ended by WORK_EXCEPTION.
        timed_out: jobs whose CAN_DO_TIMEOUT passed.
        expired: those of them that ended then.
        lost: jobs ended because their worker was lost, for want of further attempts, or their workload in the store.
        requeued: jobs queued again after their worker was lost or their time was out.
        cancelled: jobs ended by an administrator.
        abandoned: foreground jobs that ended because their last client left.
        received_bytes: what came from all connections.
        sent_bytes: what was handed to be sent to them.
    """

    __slots__ = (
        "abandoned",
        "assigned",
        "cancelled",
        "coalesced",
        "completed",
        "connections",
        "expired",
        "failed",
        "lost",
        "raised",
        "received_bytes",
        "refused",
        "rejected",
        "requeued",
        "restored",
        "sent_bytes",
        "submitted",
        "timed_out",
    )

    def __init__(self) -> None:
        self.connections: int = 0
        self.submitted: int = 0
        self.restored: int = 0
        self.coalesced: int = 0
        self.rejected: int = 0
        self.refused: int = 0
        self.assigned: int = 0
        self.completed: int = 0
        self.failed: int = 0
        self.raised: int = 0
        self.timed_out: int = 0
        self.expired: int = 0
        self.lost: int = 0
        self.requeued: int = 0
        self.cancelled: int = 0
        self.abandoned: int = 0
        self.received_bytes: int = 0
        self.sent_bytes: int = 0

    def copy(self) -> Counters:
        """The same counts, which stay as they are."""
        copy = Counters()
        copy.connections = self.connections
        copy.submitted = self.submitted
        copy.restored = self.restored
        copy.coalesced = self.coalesced
        copy.rejected = self.rejected
        copy.refused = self.refused
        copy.assigned = self.assigned
        copy.completed = self.completed
        copy.failed = self.failed
        copy.raised = self.raised
        copy.timed_out = self.timed_out
        copy.expired = self.expired
        copy.lost = self.lost
        copy.requeued = self.requeued
        copy.cancelled = self.cancelled
        copy.abandoned = self.abandoned
        copy.received_bytes = self.received_bytes
        copy.sent_bytes = self.sent_bytes
        return copy

    @property
    def ended(self) -> int:
        """Jobs that ended after they were acknowledged, in whatever way."""
        return self.completed + self.cancelled + self.abandoned + self.all_failed

    @property
    def all_failed(self) -> int:
        """Jobs that failed in one way or another: failed, raised, expired or lost."""
        return self.failed + self.raised + self.expired + self.lost


class Totals:
    """Everything at one moment, counted without a look at single functions and connections.

    Attributes:
        functions: how many functions are known.
        stalled: how many of them have queued jobs and no worker.
        queued: how many jobs are queued, those that are fetching among them.
        scheduled: how many wait for their time.
        committing: how many wait to be stored.
        fetching: how many a worker has grabbed that wait for their workload from the store.
        running: how many workers hold.
        connections: how many there are.
        workers: how many of them have abilities.
        sleeping: how many of those sleep.
        outbox_bytes: how much waits to be sent to all connections, or to be stored for them.
    """

    __slots__ = (
        "committing",
        "connections",
        "fetching",
        "functions",
        "outbox_bytes",
        "queued",
        "running",
        "scheduled",
        "sleeping",
        "stalled",
        "workers",
    )

    def __init__(self, functions: Iterable[Function], peers: Iterable[Peer]) -> None:
        self.functions: int = 0
        self.stalled: int = 0
        self.queued: int = 0
        self.scheduled: int = 0
        self.committing: int = 0
        self.fetching: int = 0
        self.running: int = 0
        self.connections: int = 0
        self.workers: int = 0
        self.sleeping: int = 0
        self.outbox_bytes: int = 0
        for function in functions:
            self.functions += 1
            queued = function.queued + len(function.fetching)
            if queued:
                self.queued += queued
                if not function.workers:
                    self.stalled += 1
            self.scheduled += function.scheduled
            self.committing += function.committing
            self.fetching += len(function.fetching)
            self.running += function.running
        for peer in peers:
            self.connections += 1
            self.outbox_bytes += peer.outbox_bytes + peer.held_bytes
            if peer.abilities:
                self.workers += 1
                if peer.sleeping:
                    self.sleeping += 1


class FunctionStatistics:
    """One function at one moment.

    Attributes:
        name: of the function.
        high: how many jobs of each priority are queued, those that are fetching among them.
        normal: likewise.
        low: likewise.
        scheduled: how many jobs wait for their time.
        committing: how many jobs wait to be stored.
        fetching: how many jobs that a worker has grabbed wait for their workload from the store.
        running: how many jobs workers hold.
        workers: how many connections have the ability.
        sleeping: how many of them sleep.
        paused: whether an administrator keeps its jobs from workers.
        waiting_since: since when the job that has been queued longest is, in monotonic seconds; ``None`` for no job.
        limits: its ``maxqueue`` by priority, 0 for none.
        held_bytes: how long the workloads of its live jobs are together.
        submitted: new jobs since the server first heard of the function, as all that follows.
        coalesced: submissions that joined a live job.
        started: jobs given to workers, each attempt counted.
        requeued: jobs queued again after their worker was lost or their time was out.
        ended: how many jobs ended, by outcome, in the order of `OUTCOMES`.
        waited: how long jobs were queued before a worker got them, each attempt counted.
        ran: how long workers had the jobs that ended while they ran.
    """

    __slots__ = (
        "coalesced",
        "committing",
        "ended",
        "fetching",
        "held_bytes",
        "high",
        "limits",
        "low",
        "name",
        "normal",
        "paused",
        "ran",
        "requeued",
        "running",
        "scheduled",
        "sleeping",
        "started",
        "submitted",
        "waited",
        "waiting_since",
        "workers",
    )

    def __init__(self, function: Function) -> None:
        self.name = function.name
        self.high = function.waiting(HIGH)
        self.normal = function.waiting(NORMAL)
        self.low = function.waiting(LOW)
        self.scheduled = function.scheduled
        self.committing = function.committing
        self.fetching = len(function.fetching)
        self.running = function.running
        self.workers = len(function.workers)
        self.sleeping = len(function.sleepers)
        self.paused = function.paused
        self.waiting_since = function.waiting_since()
        self.limits = function.limits
        self.held_bytes = function.held_bytes
        tally = function.tally
        self.submitted = tally.submitted
        self.coalesced = tally.coalesced
        self.started = tally.started
        self.requeued = tally.requeued
        self.ended = tally.ended[:]
        self.waited = tally.waited.copy()
        self.ran = tally.ran.copy()

    @property
    def queued(self) -> int:
        """How many jobs are queued, of every priority."""
        return self.high + self.normal + self.low

    @property
    def failed(self) -> int:
        """How many jobs failed in one way or another."""
        return sum(self.ended[FAIL : LOST + 1])

    @property
    def stalled(self) -> bool:
        """Whether jobs are queued and no worker has the ability."""
        return self.queued > 0 and not self.workers


class PeerStatistics:
    """One connection at one moment.

    Attributes:
        number: of the connection.
        address: of the other end.
        client_id: by SET_CLIENT_ID, or empty.
        abilities: the functions that it can do.
        running: how many jobs it works on.
        attached: how many jobs it hears of.
        sleeping: whether it waits to be woken.
        outbox_bytes: how much waits to be sent to it, or to be stored for it.
        received_bytes: how much it has sent.
        sent_bytes: how much was handed to be sent to it.
        connected_at: when it came, in monotonic seconds.
        heard_at: when it last sent anything, likewise.
    """

    __slots__ = (
        "abilities",
        "address",
        "attached",
        "client_id",
        "connected_at",
        "heard_at",
        "number",
        "outbox_bytes",
        "received_bytes",
        "running",
        "sent_bytes",
        "sleeping",
    )

    def __init__(self, peer: Peer) -> None:
        self.number = peer.number
        self.address = peer.address
        self.client_id = peer.client_id
        self.abilities = [function.name for function in peer.abilities]
        self.running = len(peer.running)
        self.attached = len(peer.attached)
        self.sleeping = peer.sleeping
        self.outbox_bytes = peer.outbox_bytes + peer.held_bytes
        self.received_bytes = peer.received_bytes
        self.sent_bytes = peer.sent_bytes
        self.connected_at = peer.connected_at
        self.heard_at = peer.heard_at
