"""The only mutable truth: which functions and which jobs there are.

Everything else in `core` decides; what it decides is done to jobs here, so that a job's state, its place in a queue,
the indexes and the counts change together.  Only modules of `core` import this one.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final

from .batch import SpilledJob, StoredJob
from .deadlines import Deadlines, Timer
from .function import Function
from .job import (
    ASSIGN,
    COMMIT,
    COMMITTING,
    ENQUEUE,
    FETCH,
    FETCHING,
    FINISH,
    NOBODY,
    POSTPONE,
    QUEUED,
    REQUEUE,
    RUNNING,
    SCHEDULED,
    Job,
)
from .ledger import Ledger
from .peer import Peer
from .policy import Policy
from .statistics import Counters
from .tally import FAIL, LOST, OUTCOMES, Failure, Traffic

__all__ = ["Registry"]

#: With fewer functions than this, none is forgotten. gearmand never forgets one, so tables keep showing idle functions.
_MANY_FUNCTIONS = 10_000

#: How many failures are remembered: at most some megabytes together.
_FAILURES: Final = 500


class Registry:
    """All live jobs and known functions.

    Attributes:
        policy: the operator's choices.
        counters: what has been done.
        failures: the last jobs that failed, the oldest first.
        traffic: the bytes of all connections.
        now: the time of the call of the dispatcher that is under way, monotonic seconds.
        ledger: what a store is to be told; unused where no job is stored.
        functions: by name, in the order in which they were first heard of.
        jobs: live jobs by handle.
        held_bytes: how long the workloads of all live jobs are together, but for those in the store alone.
        loaded_bytes: likewise of the jobs whose workload was fetched, and that are not assigned yet.
        spilled_jobs: how many live jobs have their workload in the store alone.
        spilled_bytes: how long these workloads are together.
        stalled: whether the store does not answer, so that they cannot be fetched.
        timers: what is to happen on the monotonic clock: ends of time limits, and of waits for woken workers.
        schedule: what is to happen on the epoch clock: jobs whose time comes.
    """

    __slots__ = (
        "_namesakes",
        "_next_handle",
        "_sweep_at",
        "_uniques",
        "counters",
        "failures",
        "functions",
        "held_bytes",
        "jobs",
        "ledger",
        "loaded_bytes",
        "now",
        "policy",
        "schedule",
        "spilled_bytes",
        "spilled_jobs",
        "stalled",
        "timers",
        "traffic",
    )

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.counters = Counters()
        self.failures: deque[Failure] = deque(maxlen=_FAILURES)
        self.traffic = Traffic()
        self.now: float = 0.0
        self.ledger = Ledger(policy.first_row)
        self.functions: dict[bytes, Function] = {}
        self.jobs: dict[bytes, Job] = {}
        self.held_bytes: int = 0
        self.loaded_bytes: int = 0
        self.spilled_jobs: int = 0
        self.spilled_bytes: int = 0
        self.stalled: bool = False
        # The youngest job of each unique ID, whatever its function.
        self._uniques: dict[bytes, Job] = {}
        # Where several functions have a job with a unique ID: all of them, the youngest last.  An OrderedDict and not a
        # dict: finding the last one stays O(1) after many have left.
        self._namesakes: dict[bytes, OrderedDict[Job, None]] = {}
        self.timers = Deadlines()
        self.schedule = Deadlines()
        self._next_handle: int = policy.first_handle
        self._sweep_at: int = _MANY_FUNCTIONS

    @property
    def last_handle(self) -> int:
        """The number in the handle that was given last."""
        return self._next_handle - 1

    def function(self, name: bytes) -> Function:
        """The record of a function, made where there is none yet.

        Idle functions are forgotten when the table has doubled since the last look, so that peers who invent names cost
        a bounded amount of memory, at O(1) a name over time.
        """
        function = self.functions.get(name)
        if function is None:
            if len(self.functions) >= self._sweep_at:
                self.functions = {key: value for key, value in self.functions.items() if not value.idle}
                self._sweep_at = max(_MANY_FUNCTIONS, 2 * len(self.functions))
            function = Function(name)
            function.stalled = self.stalled
            self.functions[name] = function
        return function

    def create(self, function: Function, unique: bytes, workload: bytes, priority: int) -> Job:
        """A new job with a handle of its own, findable, in no queue yet."""
        handle = b"%s:%d" % (self.policy.handle_prefix, self._next_handle)
        self._next_handle += 1
        job = Job(handle, function, unique, workload, priority)
        job.created_at = self.now
        job.since = self.now
        self._add(job)
        self.counters.submitted += 1
        function.tally.submitted += 1
        return job

    def restore(self, record: StoredJob | SpilledJob, created_at: float) -> Job:
        """A job of an earlier run, with its handle, findable, in no queue yet."""
        stored = record if isinstance(record, StoredJob) else record.job
        function = self.function(stored.function)
        job = Job(stored.handle, function, stored.unique, stored.workload, stored.priority)
        job.background = True
        job.reducer = stored.reducer
        job.run_at = stored.run_at
        job.attempts = stored.attempts
        job.row = stored.row
        job.created_at = created_at
        # Where a live job has the unique ID, there are two of them now, and submissions join the older one.
        self._add(job)
        if isinstance(record, SpilledJob):
            job.size = record.size
            self.spilled_jobs += 1
            self.spilled_bytes += job.size
        self.counters.restored += 1
        return job

    def attach(self, job: Job, peer: Peer) -> None:
        """Let a client hear of a job; a client that attaches twice hears everything twice, as with gearmand."""
        if job.clients:
            job.clients.append(peer)
        else:
            job.clients = [peer]
        peer.attached[job] = None

    def detach(self, job: Job, peer: Peer) -> None:
        """Undo every `attach` of this client to this job."""
        del peer.attached[job]
        job.clients = [client for client in job.clients if client is not peer] or NOBODY

    def commit(self, job: Job) -> None:
        """Keep a new job back until it is stored."""
        job.move(COMMIT)
        job.since = self.now
        job.function.committing += 1

    def enqueue(self, job: Job) -> None:
        """Queue a new job, one that is stored now, or one whose time has come."""
        if job.state == SCHEDULED:
            job.function.scheduled -= 1
            job.timer = None
        elif job.state == COMMITTING:
            job.function.committing -= 1
        job.move(ENQUEUE)
        job.since = self.now
        job.function.push(job)

    def postpone(self, job: Job, run_at: float) -> None:
        """Keep a new job, or one that is stored now, back until `run_at`, epoch seconds."""
        if job.state == COMMITTING:
            job.function.committing -= 1
        job.move(POSTPONE)
        job.since = self.now
        job.run_at = run_at
        job.function.scheduled += 1
        job.timer = Timer(job, None)
        self.schedule.add(run_at, job.timer)

    def assign(self, job: Job, worker: Peer, deadline: float) -> None:
        """Give a job, just taken from its queue, to a worker; `deadline` is monotonic seconds, 0.0 for none."""
        if job.state == FETCHING:
            del job.function.fetching[job]
        job.move(ASSIGN)
        job.worker = worker
        job.attempts += 1
        function = job.function
        function.running += 1
        function.tally.started += 1
        function.tally.waited.add(self.now - job.since)
        job.since = self.now
        worker.running[job] = None
        self.counters.assigned += 1
        if deadline:
            job.timer = Timer(job, None)
            self.timers.add(deadline, job.timer)

    def requeue(self, job: Job, error: str) -> None:
        """Take a running job from its worker and put it at the tail of its priority, its progress forgotten."""
        self._leave_worker(job)
        job.move(REQUEUE)
        job.since = self.now
        job.numerator = b"0"
        job.denominator = b"0"
        job.function.push(job)
        if job.row:
            self.ledger.update(job, error)
        self.counters.requeued += 1
        job.function.tally.requeued += 1

    def fetch(self, job: Job) -> None:
        """Keep a job, just taken from its queue, back until its workload is fetched."""
        job.move(FETCH)
        job.function.fetching[job] = None

    def give_back(self, job: Job) -> None:
        """Put a job that waits for its workload back at the head of its queue."""
        job.move(REQUEUE)
        del job.function.fetching[job]
        job.function.push_front(job)

    def spill(self, job: Job) -> None:
        """Let go of the workload of a job that is stored, and in no queue."""
        size = job.size
        job.workload = b""
        if job.loaded:
            job.loaded = False
            self.loaded_bytes -= size
        self.held_bytes -= size
        job.function.held_bytes -= size
        self.spilled_jobs += 1
        self.spilled_bytes += size

    def load(self, job: Job, workload: bytes) -> None:
        """Undo `spill` with what was fetched, wherever the job stands now."""
        size = job.size
        job.workload = workload
        job.loaded = True
        self.loaded_bytes += size
        self.held_bytes += size
        job.function.held_bytes += size
        self.spilled_jobs -= 1
        self.spilled_bytes -= size
        if job.state == QUEUED:
            job.function.loaded(job)

    def remove(self, job: Job, outcome: int, reason: bytes = b"") -> None:
        """End a job: it leaves its queue or its worker, its clients, and every index.

        Args:
            job: which.
            outcome: one of the numbers that index `OUTCOMES`.
            reason: why it failed, as far as that is known.
        """
        function = job.function
        function.tally.ended[outcome] += 1
        if FAIL <= outcome <= LOST:
            self.failures.append(Failure(job, OUTCOMES[outcome], reason, self.now))
        if job.state == RUNNING:
            function.tally.ran.add(self.now - job.since)
            self._leave_worker(job)
        elif job.state == QUEUED:
            function.remove(job)
        elif job.state == SCHEDULED:
            function.scheduled -= 1
            if job.timer is not None:
                self.schedule.cancel(job.timer)
                job.timer = None
        elif job.state == COMMITTING:
            function.committing -= 1
        elif job.state == FETCHING:
            del function.fetching[job]
        job.move(FINISH)
        if job.row:
            self.ledger.remove(job)
        for client in job.clients:
            client.attached.pop(job, None)
        job.clients = NOBODY
        function.forget(job)
        if job.unique:
            self._forget(job)
        size = job.size
        if job.missing:
            self.spilled_jobs -= 1
            self.spilled_bytes -= size
        else:
            self.held_bytes -= size
            function.held_bytes -= size
            if job.loaded:
                self.loaded_bytes -= size
        del self.jobs[job.handle]

    def close(self) -> None:
        """Let go of every job: a compiled one that others lead to, and that leads to others, would stay forever.

        The counts of each function stay as they were, for whoever asks later.
        """
        for job in self.jobs.values():
            job.previous = None
            job.next = None
            job.timer = None
            job.worker = None
            job.clients = NOBODY
        for function in self.functions.values():
            function.close()
        self.jobs = {}
        self._uniques = {}
        self._namesakes = {}
        self.timers = Deadlines()
        self.schedule = Deadlines()

    def find_unique(self, unique: bytes) -> Job | None:
        """The youngest live job with this unique ID, of whatever function: GET_STATUS_UNIQUE names none (gearmand)."""
        return self._uniques.get(unique)

    def namesakes(self, unique: bytes) -> list[Job]:
        """All live jobs with this unique ID, which is neither empty nor ``-``, the oldest first."""
        namesakes = self._namesakes.get(unique)
        if namesakes is not None:
            return list(namesakes)
        job = self._uniques.get(unique)
        return [] if job is None else [job]

    def _add(self, job: Job) -> None:
        """Put a job into every index, and count it."""
        function = job.function
        self.jobs[job.handle] = job
        function.remember(job)
        if job.unique:
            self._remember(job)
        size = len(job.workload)
        self.held_bytes += size
        function.held_bytes += size

    def _remember(self, job: Job) -> None:
        """Make a job findable by its unique ID alone, unless that is ``-``, which names the workload."""
        unique = job.unique
        if unique == b"-":
            return
        older = self._uniques.get(unique)
        if older is not None:
            namesakes = self._namesakes.get(unique)
            if namesakes is None:
                namesakes = OrderedDict()
                namesakes[older] = None
                self._namesakes[unique] = namesakes
            namesakes[job] = None
        self._uniques[unique] = job

    def _forget(self, job: Job) -> None:
        """Undo `_remember`."""
        unique = job.unique
        if unique == b"-":
            return
        namesakes = self._namesakes.get(unique)
        if namesakes is None:
            del self._uniques[unique]
            return
        del namesakes[job]
        self._uniques[unique] = next(reversed(namesakes))
        if len(namesakes) == 1:
            del self._namesakes[unique]

    def _leave_worker(self, job: Job) -> None:
        worker = job.worker
        assert worker is not None, "a running job has a worker"
        del worker.running[job]
        job.worker = None
        job.function.running -= 1
        if job.timer is not None:
            # Where the timer itself brought this about it has left the heap already and `expire` has cleared it.
            self.timers.cancel(job.timer)
            job.timer = None
