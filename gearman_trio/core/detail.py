"""One live job, as a value to look at."""

from __future__ import annotations

from .job import PRIORITIES, STATES, Job

__all__ = ["JobStatistics"]


class JobStatistics:
    """One live job at one moment.

    Attributes:
        handle: of the job.
        function: its name.
        unique: the client's unique ID, or empty.
        priority: ``"high"``, ``"normal"`` or ``"low"``.
        state: ``"queued"``, ``"running"``, ``"scheduled"``, ``"committing"`` or ``"fetching"``.
        background: whether it lives on without clients.
        attempts: how often it was given to a worker.
        run_at: epoch seconds before which it is not queued; 0.0 for at once.
        reducer: the function that its parts go to, or empty.
        created_at: when it was submitted, in monotonic seconds; before the server's start for one that came back.
        since: when it came into its state, likewise.
        workload_bytes: how long its workload is.
        spilled: whether its workload is in the store alone.
        clients: how many connections hear of it.
        stored: whether it is in the store.
        worker: the number of the connection that runs it; 0 for none.
        worker_address: of that connection, or empty.
        worker_id: what that connection calls itself, or empty.
        time_limit: whether it may run for a limited time only.
        numerator: the last WORK_STATUS, as the worker sent it.
        denominator: likewise.
    """

    __slots__ = (
        "attempts",
        "background",
        "clients",
        "created_at",
        "denominator",
        "function",
        "handle",
        "numerator",
        "priority",
        "reducer",
        "run_at",
        "since",
        "spilled",
        "state",
        "stored",
        "time_limit",
        "unique",
        "worker",
        "worker_address",
        "worker_id",
        "workload_bytes",
    )

    def __init__(self, job: Job) -> None:
        worker = job.worker
        self.handle = job.handle
        self.function = job.function.name
        self.unique = job.unique
        self.priority = PRIORITIES[job.priority]
        self.state = STATES[job.state]
        self.background = job.background
        self.attempts = job.attempts
        self.run_at = job.run_at
        self.reducer = job.reducer
        self.created_at = job.created_at
        self.since = job.since
        self.workload_bytes = job.size
        self.clients = len(job.clients)
        self.stored = job.row != 0
        self.spilled = job.missing
        self.worker = 0 if worker is None else worker.number
        self.worker_address = "" if worker is None else worker.address
        self.worker_id = b"" if worker is None else worker.client_id
        self.time_limit = worker is not None and job.timer is not None
        self.numerator = job.numerator
        self.denominator = job.denominator
