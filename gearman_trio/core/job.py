"""The job record, and every change of state that a job may make.

Rule 1: a job changes its state only by `Job.move`, which reads `TRANSITIONS`; what is not in that table cannot happen.

Rule 2: a job is in exactly one of committing, scheduled, queued, fetching and running, and leaves the registry exactly
once, for finished.

WARNING: `docs/reference/job-states.md` is generated from `TRANSITIONS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ._compiler import mypyc_attr

if TYPE_CHECKING:
    from .deadlines import Timer
    from .function import Function
    from .peer import Peer

__all__ = [
    "EVENTS",
    "HIGH",
    "LOW",
    "NORMAL",
    "NO_PRIORITY",
    "PRIORITIES",
    "STATES",
    "TRANSITIONS",
    "Job",
]

# Priorities are numbers that index a function's queues; the lowest number is served first.
HIGH: Final = 0
NORMAL: Final = 1
LOW: Final = 2
PRIORITIES: Final = ("high", "normal", "low")

#: Worse than every priority: what a function without queued jobs has to offer.
NO_PRIORITY: Final = 3

NEW: Final = 0
SCHEDULED: Final = 1
QUEUED: Final = 2
RUNNING: Final = 3
FINISHED: Final = 4
COMMITTING: Final = 5
FETCHING: Final = 6
STATES: Final = ("new", "scheduled", "queued", "running", "finished", "committing", "fetching")

POSTPONE: Final = 0
ENQUEUE: Final = 1
ASSIGN: Final = 2
REQUEUE: Final = 3
FINISH: Final = 4
COMMIT: Final = 5
FETCH: Final = 6
EVENTS: Final = ("postpone", "enqueue", "assign", "requeue", "finish", "commit", "fetch")

#: (state before, event, state after, what makes it happen).
TRANSITIONS: Final[list[tuple[int, int, int, str]]] = [
    (NEW, POSTPONE, SCHEDULED, "SUBMIT_JOB_EPOCH or SUBMIT_JOB_SCHED with a time to come"),
    (NEW, ENQUEUE, QUEUED, "any other submission"),
    (NEW, COMMIT, COMMITTING, "a submission of a job that is to be stored first"),
    (COMMITTING, POSTPONE, SCHEDULED, "it is stored, and its time is to come"),
    (COMMITTING, ENQUEUE, QUEUED, "it is stored"),
    (COMMITTING, FINISH, FINISHED, "cancelled, or the store did not take it"),
    (SCHEDULED, ENQUEUE, QUEUED, "its time has come"),
    (SCHEDULED, FINISH, FINISHED, "cancelled"),
    (QUEUED, ASSIGN, RUNNING, "a worker grabbed it"),
    (QUEUED, FETCH, FETCHING, "a worker grabbed it, and its workload is in the store alone"),
    (QUEUED, FINISH, FINISHED, "cancelled, or a foreground job whose last client left"),
    (FETCHING, ASSIGN, RUNNING, "its workload has come"),
    (FETCHING, REQUEUE, QUEUED, "its worker was lost, or the store does not answer"),
    (FETCHING, FINISH, FINISHED, "as a queued one, or its workload is in the store no more"),
    (RUNNING, REQUEUE, QUEUED, "its worker was lost, or its time ran out under the requeue policy"),
    (RUNNING, FINISH, FINISHED, "WORK_COMPLETE, WORK_FAIL, WORK_EXCEPTION, cancelled, timed out, or out of attempts"),
]

_IMPOSSIBLE: Final = -1


def _next_states() -> list[int]:
    table = [_IMPOSSIBLE] * (len(STATES) * len(EVENTS))
    for before, event, after, _ in TRANSITIONS:
        table[before * len(EVENTS) + event] = after
    return table


_NEXT: Final = _next_states()
_EVENT_COUNT: Final = 7


#: Of jobs that no connection hears of. It is shared, so that such a job has no list of its own; nobody changes it.
NOBODY: Final[list[Peer]] = []


# Compiled, jobs are kept out of cyclic garbage collection, which would look at each of a million over and over. In
# return they must be cut off where they end (`Registry.remove`), and where the broker does (`Registry.close`).
@mypyc_attr(acyclic=True)
class Job:
    """One job of the server, foreground or background.

    Attributes:
        handle: given by this server, ``b"H:<host>:<number>"``; no other job ever has it.
        function: what is called; the record that all jobs of the function share.
        unique: the client's unique ID, ``b""`` for none, ``b"-"`` where the workload is the key.
        workload: opaque bytes; ``b""`` where it is in the store alone.
        size: how long the workload is, wherever it is.
        loaded: whether the workload was fetched from the store, where it is all the same.
        reducer: the function that a map/reduce worker sends its parts to, else ``b""``.
        priority: `HIGH`, `NORMAL` or `LOW`.
        background: whether the job lives on without clients. Sticky: it is set and never cleared.
        state: one of the numbers that index `STATES`.
        attempts: how often the job was assigned to a worker.
        run_at: epoch seconds before which the job is not queued; 0.0 for at once.
        clients: the connections that hear of the job, one entry an attachment, in the order in which they came.
        worker: the connection that runs it. Invariant: set exactly while the job is running.
        numerator: the last WORK_STATUS, as the worker sent it.
        denominator: likewise.
        timer: the running time limit, where the worker's ability has one.
        row: its number in the store; 0 where it is not stored.
        commit: the number of the batch that stores it, while that is not done; else 0.
        created_at: when it was submitted, in monotonic seconds.
        since: when it came into its state, likewise.
    """

    __slots__ = (
        "attempts",
        "background",
        "clients",
        "commit",
        "created_at",
        "denominator",
        "function",
        "handle",
        "loaded",
        "next",
        "numerator",
        "previous",
        "priority",
        "reducer",
        "row",
        "run_at",
        "since",
        "size",
        "state",
        "timer",
        "unique",
        "worker",
        "workload",
    )

    def __init__(self, handle: bytes, function: Function, unique: bytes, workload: bytes, priority: int) -> None:
        self.handle = handle
        self.function = function
        self.unique = unique
        self.workload = workload
        self.size: int = len(workload)
        self.loaded: bool = False
        self.priority = priority
        self.background: bool = False
        self.reducer: bytes = b""
        self.state: int = NEW
        self.attempts: int = 0
        self.run_at: float = 0.0
        self.clients: list[Peer] = NOBODY
        self.worker: Peer | None = None
        self.numerator: bytes = b"0"
        self.denominator: bytes = b"0"
        self.timer: Timer | None = None
        self.row: int = 0
        self.commit: int = 0
        self.created_at: float = 0.0
        self.since: float = 0.0
        # The neighbours in the queue that holds the job; see queues.py.
        self.previous: Job | None = None
        self.next: Job | None = None

    @property
    def missing(self) -> bool:
        """Whether the workload is in the store alone."""
        return self.size > 0 and not self.workload

    def move(self, event: int) -> None:
        """Change the state as `TRANSITIONS` says."""
        after = _NEXT[self.state * _EVENT_COUNT + event]
        assert after != _IMPOSSIBLE, f"{EVENTS[event]} of a {STATES[self.state]} job"
        self.state = after

    def __repr__(self) -> str:
        return f"<Job {self.handle!r} {self.function.name!r} {STATES[self.state]}>"
