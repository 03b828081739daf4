"""What the broker has done since it started, and what it holds now, as values to look at."""

from __future__ import annotations

from .function import Function
from .job import HIGH, LOW, NORMAL
from .peer import Peer

__all__ = ["Counters", "FunctionStatistics", "PeerStatistics"]


class Counters:
    """Counts of jobs since the start, but for `connections`, which counts those accepted.

    Attributes:
        submitted: new jobs.
        restored: jobs of an earlier run that came back from the store.
        coalesced: submissions that joined a live job.
        rejected: submissions answered with ERROR.
        refused: new jobs that the store did not take; their submissions are among the rejected.
        assigned: jobs given to workers, each attempt counted.
        completed: jobs ended by WORK_COMPLETE.
        failed: jobs ended by WORK_FAIL, or for want of further attempts.
        raised: jobs ended by WORK_EXCEPTION.
        timed_out: jobs whose CAN_DO_TIMEOUT passed.
        requeued: jobs queued again after their worker was lost or their time was out.
        cancelled: jobs ended by an administrator.
        abandoned: foreground jobs that ended because their last client left.
    """

    __slots__ = (
        "abandoned",
        "assigned",
        "cancelled",
        "coalesced",
        "completed",
        "connections",
        "failed",
        "raised",
        "refused",
        "rejected",
        "requeued",
        "restored",
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
        self.requeued: int = 0
        self.cancelled: int = 0
        self.abandoned: int = 0

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
        copy.requeued = self.requeued
        copy.cancelled = self.cancelled
        copy.abandoned = self.abandoned
        return copy


class FunctionStatistics:
    """One function at one moment.

    Attributes:
        name: of the function.
        high: how many jobs of each priority are queued.
        normal: likewise.
        low: likewise.
        scheduled: how many jobs wait for their time.
        committing: how many jobs wait to be stored.
        fetching: how many jobs that a worker has grabbed wait for their workload from the store.
        running: how many jobs workers hold.
        workers: how many connections have the ability.
        sleeping: how many of them sleep.
        paused: whether an administrator keeps its jobs from workers.
    """

    __slots__ = (
        "committing",
        "fetching",
        "high",
        "low",
        "name",
        "normal",
        "paused",
        "running",
        "scheduled",
        "sleeping",
        "workers",
    )

    def __init__(self, function: Function) -> None:
        self.name = function.name
        self.high = function.waiting(HIGH)
        self.normal = function.waiting(NORMAL)
        self.low = function.waiting(LOW)
        self.scheduled = function.scheduled
        self.committing = function.committing
        self.fetching = function.fetching
        self.running = function.running
        self.workers = len(function.workers)
        self.sleeping = len(function.sleepers)
        self.paused = function.paused

    @property
    def queued(self) -> int:
        """How many jobs are queued, of every priority."""
        return self.high + self.normal + self.low


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
    """

    __slots__ = ("abilities", "address", "attached", "client_id", "number", "outbox_bytes", "running", "sleeping")

    def __init__(self, peer: Peer) -> None:
        self.number = peer.number
        self.address = peer.address
        self.client_id = peer.client_id
        self.abilities = [function.name for function in peer.abilities]
        self.running = len(peer.running)
        self.attached = len(peer.attached)
        self.sleeping = peer.sleeping
        self.outbox_bytes = peer.outbox_bytes + peer.held_bytes
