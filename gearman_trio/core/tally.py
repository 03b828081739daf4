"""What is counted while jobs come and go: per function, and of failures the last ones in full.

Everything here is done once for each job or more, so it is a few additions to what is there already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .job import Job

__all__ = [
    "ABANDONED",
    "BOUNDS",
    "CANCELLED",
    "COMPLETE",
    "EXCEPTION",
    "FAIL",
    "LOST",
    "OUTCOMES",
    "REFUSED",
    "TIMED_OUT",
    "Failure",
    "Histogram",
    "Tally",
    "Traffic",
]

# How a job ends.  Those from FAIL to LOST are failures.
COMPLETE: Final = 0
FAIL: Final = 1
EXCEPTION: Final = 2
TIMED_OUT: Final = 3
LOST: Final = 4
CANCELLED: Final = 5
ABANDONED: Final = 6
REFUSED: Final = 7

#: The names of the outcomes, which index `Tally.ended`.
OUTCOMES: Final = ("complete", "fail", "exception", "timed_out", "lost", "cancelled", "abandoned", "refused")

#: The upper bounds of the ranges of a `Histogram`, in seconds, each included in its range; behind the last one there is
#: a range without a bound.  From what a job without work takes to the longest that workers are left alone with.
BOUNDS: Final[list[float]] = [
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    300.0,
    1800.0,
    3600.0,
]


#: How much of a failure's reason is kept, and of its workload, unless that is longer.
_REASON_BYTES: Final = 200
_WORKLOAD_BYTES: Final = 8192


class Histogram:
    """How many durations fell into each range.

    Attributes:
        counts: one number for each of `BOUNDS`, and one for what is longer; empty where nothing was added, since most
            functions that peers invent never run.
        seconds: the sum of the durations.
    """

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts: list[int] = []
        self.seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        counts = self.counts
        if not counts:
            counts = self.counts = [0] * (len(BOUNDS) + 1)
        # From the front and not by halves: where there are many durations they are short, and that is the first bound.
        place = 0
        for bound in BOUNDS:
            if seconds <= bound:
                break
            place += 1
        counts[place] += 1
        self.seconds += seconds

    @property
    def count(self) -> int:
        """How many durations were counted."""
        return sum(self.counts)

    def copy(self) -> Histogram:
        """The same counts, which stay as they are."""
        copy = Histogram()
        copy.counts = self.counts[:]
        copy.seconds = self.seconds
        return copy

    def since(self, earlier: Histogram) -> Histogram:
        """What was counted after an earlier copy of this histogram was made."""
        later = self.copy()
        if earlier.counts:
            later.counts = [now - then for now, then in zip(self.counts, earlier.counts, strict=True)]
            later.seconds -= earlier.seconds
        return later

    def quantile(self, share: float) -> float | None:
        """About the duration, in seconds, that this share (0 to 1) of all stay below; `None` where there is none.

        Within its range a duration is taken to be anywhere, as Prometheus' ``histogram_quantile`` does; beyond the last
        bound it is that bound.
        """
        rank = share * self.count
        low = 0.0
        passed = 0
        for bound, count in zip(BOUNDS, self.counts, strict=False):
            if count and passed + count >= rank:
                return low + (bound - low) * max(0.0, rank - passed) / count
            passed += count
            low = bound
        return BOUNDS[-1] if self.counts and self.counts[-1] else None


class Tally:
    """What a function's jobs have done since the server first heard of it.

    Attributes:
        submitted: new jobs, without those that came back from the store.
        coalesced: submissions that joined a live job.
        started: jobs given to workers, each attempt counted.
        requeued: jobs queued again after their worker was lost or their time was out.
        ended: how many jobs ended, by outcome, as `OUTCOMES` names them.
        waited: how long jobs were queued before a worker got them, each attempt counted.
        ran: how long the workers had the jobs that ended while they ran, the last attempt of each.
    """

    __slots__ = ("coalesced", "ended", "ran", "requeued", "started", "submitted", "waited")

    def __init__(self) -> None:
        self.submitted: int = 0
        self.coalesced: int = 0
        self.started: int = 0
        self.requeued: int = 0
        self.ended: list[int] = [0] * len(OUTCOMES)
        self.waited = Histogram()
        self.ran = Histogram()


class Failure:
    """A job that failed, raised, outlived its time limit, or was lost with its last worker or its workload.

    Attributes:
        handle: of the job.
        function: the function's name.
        unique: the client's unique ID.
        priority: 0 high, 1 normal, 2 low.
        background: whether it was a background job.
        workload: opaque bytes; `None` where it is too long to be kept, or was in the store alone.
        workload_bytes: how long it is.
        spilled: whether it was in the store alone.
        attempts: how often it was assigned to a worker.
        outcome: ``"fail"``, ``"exception"``, ``"timed_out"`` or ``"lost"``.
        reason: the beginning of what came with WORK_EXCEPTION, or why the job could not be run; else ``b""``.
        worker: the client ID of the worker, or ``b""`` where none had it.
        address: of the worker, likewise.
        ended_at: when, in monotonic seconds.
        ran: how long the worker had it, in seconds; `None` where none had it.
    """

    __slots__ = (
        "address",
        "attempts",
        "background",
        "ended_at",
        "function",
        "handle",
        "outcome",
        "priority",
        "ran",
        "reason",
        "spilled",
        "unique",
        "worker",
        "workload",
        "workload_bytes",
    )

    def __init__(self, job: Job, outcome: str, reason: bytes, now: float) -> None:
        worker = job.worker
        self.handle = job.handle
        self.function = job.function.name
        self.unique = job.unique
        self.outcome = outcome
        self.reason = reason[:_REASON_BYTES]
        self.priority = job.priority
        self.background = job.background
        self.workload: bytes | None = job.workload if job.size <= _WORKLOAD_BYTES and not job.missing else None
        self.workload_bytes = job.size
        self.spilled = job.missing
        self.attempts = job.attempts
        self.worker = worker.client_id if worker is not None else b""
        self.address = worker.address if worker is not None else ""
        self.ended_at = now
        self.ran: float | None = now - job.since if worker is not None else None


class Traffic:
    """Bytes of all connections since the start.

    Attributes:
        received_bytes: what came.
        sent_bytes: what was handed to be sent.
    """

    __slots__ = ("received_bytes", "sent_bytes")

    def __init__(self) -> None:
        self.received_bytes: int = 0
        self.sent_bytes: int = 0
