"""A broker that is obviously right: lists, and a look through all of them at every question.

It shares no code with `core`, keeps no counts and no indexes, and knows packets as names and fields, not as bytes.
Driven with the same calls as the real one it says what each peer must hear; of an ERROR it tells the code only.

Rule: where the order is a matter of policy (which function's turn it is), the model does not foretell the choice.
`ModelBroker.candidates` gives the jobs that a grab may get, and `ModelBroker.grab` is told which one it was, checks it,
and checks that no function has been passed over.
"""

from __future__ import annotations

from itertools import count
from math import inf

from attrs import define, field

from .records import SUBMISSIONS, ModelJob, ModelPeer, ModelPolicy

__all__ = ["ModelBroker"]


@define(kw_only=True)
class ModelBroker(ModelPolicy):
    """The broker.

    Attributes:
        now: the clock, both monotonic and epoch.
        peers: connected ones.
        jobs: live ones.
        sleeps: who sleeps for which function, longest first.
        paused: functions whose jobs no worker gets.
        functions: every function heard of, with the most jobs it may have by priority (0 for no limit).
    """

    now: float = 0.0
    draining: bool = False
    peers: list[ModelPeer] = field(factory=list)
    jobs: list[ModelJob] = field(factory=list)
    sleeps: list[tuple[ModelPeer, bytes]] = field(factory=list)
    functions: dict[bytes, tuple[int, int, int]] = field(factory=dict)
    paused: set[bytes] = field(factory=set)
    _handles: count[int] = field(factory=lambda: count(1))
    _places: count[int] = field(factory=lambda: count(1))

    # Connections

    def connect(self) -> ModelPeer:
        """A connection has begun."""
        peer = ModelPeer(exceptions=self.exceptions)
        self.peers.append(peer)
        return peer

    def disconnect(self, peer: ModelPeer) -> None:
        """A connection has ended."""
        self.peers.remove(peer)
        for job in [job for job in self.jobs if peer in job.clients]:
            job.clients = [client for client in job.clients if client is not peer]
            if job.state == "queued" and not job.clients and not job.background:
                self.jobs.remove(job)
        for function in list(peer.abilities):
            self._drop_ability(peer, function)
        for job in self.running(peer):
            self._lose(job)

    # Questions

    def queued(self, function: bytes) -> list[ModelJob]:
        """The queued jobs of a function, those to be taken first at the front."""
        jobs = [job for job in self.jobs if job.function == function and job.state == "queued"]
        return sorted(jobs, key=lambda job: (job.priority, job.place))

    def running(self, peer: ModelPeer) -> list[ModelJob]:
        """The jobs that a worker works on, in the order in which it got them."""
        return sorted((job for job in self.jobs if job.worker is peer), key=lambda job: job.place)

    def status(self) -> dict[bytes, tuple[int, int, int, int]]:
        """How many jobs are queued, running and scheduled, and how many workers there are, by function."""
        table = {}
        for function in self.functions:
            states = [job.state for job in self.jobs if job.function == function]
            workers = len([peer for peer in self.peers if function in peer.abilities])
            table[function] = (states.count("queued"), states.count("running"), states.count("scheduled"), workers)
        return table

    # Administration

    def cancel(self, handle: bytes) -> bool:
        """``cancel job``."""
        job = self._find(handle)
        if job is None:
            return False
        if job.worker is not None:
            job.worker.released.append(handle)
        self._end(job, "WORK_FAIL")
        return True

    def max_queue(self, function: bytes, sizes: tuple[int, int, int]) -> None:
        """``maxqueue`` with a size for each priority."""
        if function in self.functions or any(sizes):
            self.functions[function] = sizes

    def create_function(self, function: bytes) -> None:
        """``create function``."""
        self.functions.setdefault(function, (0, 0, 0))

    def drop_function(self, function: bytes) -> bool:
        """``drop function``; say whether it was dropped."""
        if function not in self.functions or any(self.status()[function]):
            return False
        del self.functions[function]
        self.paused.discard(function)
        return True

    def pause(self, function: bytes) -> None:
        """``pause function``."""
        self.functions.setdefault(function, (0, 0, 0))
        self.paused.add(function)

    def resume(self, function: bytes) -> None:
        """``resume function``."""
        self.paused.discard(function)
        self._balance(function)

    def purge(self, function: bytes) -> int:
        """``purge function``; give how many jobs that ended."""
        jobs = [job for job in self.jobs if job.function == function and job.state != "running"]
        for job in jobs:
            self._end(job, "WORK_FAIL")
        return len(jobs)

    # Clients

    def submit(
        self, client: ModelPeer, packet: str, function: bytes, unique: bytes, workload: bytes, **more: object
    ) -> None:
        """Any packet that submits a job; `more` may give ``run_at``, a number, and ``reducer``, bytes."""
        priority, background = SUBMISSIONS[packet]
        run_at, reducer = more.get("run_at", 0.0), more.get("reducer", b"")
        assert isinstance(run_at, float)
        assert isinstance(reducer, bytes)
        if error := self._refusal(function, unique, workload, priority):
            client.heard.append(("ERROR", error))
            return
        job = self._find_same(function, unique, workload)
        if job is None:
            self.functions.setdefault(function, (0, 0, 0))
            job = ModelJob(self.handle_prefix + b":%d" % next(self._handles), function, unique, workload)
            job.priority, job.reducer = priority, reducer
            self.jobs.append(job)
        job.background = job.background or background
        if not background:
            job.clients.append(client)
        client.heard.append(("JOB_CREATED", job.handle))
        if not job.state:
            self._place(job, run_at)

    def get_status(self, client: ModelPeer, handle: bytes) -> None:
        """GET_STATUS."""
        job = self._find(handle)
        known = (b"0",) * 4 if job is None else (b"1", b"1" if job.worker else b"0", *job.progress)
        client.heard.append(("STATUS_RES", handle, *known))

    def get_status_unique(self, client: ModelPeer, unique: bytes) -> None:
        """GET_STATUS_UNIQUE: of the youngest such job, if several functions have one."""
        known = (b"0", b"0", b"0", b"0", b"0")
        for job in self.jobs:
            if job.unique == unique and unique not in {b"", b"-"}:
                known = (b"1", b"1" if job.worker else b"0", *job.progress, b"%d" % len(job.clients))
        client.heard.append(("STATUS_RES_UNIQUE", unique, *known))

    # Workers

    def can_do(self, worker: ModelPeer, function: bytes, timeout_ms: int = 0) -> None:
        """CAN_DO and CAN_DO_TIMEOUT."""
        if not function:
            worker.heard.append(("ERROR", b"INVALID_FUNCTION_NAME"))
            return
        self.functions.setdefault(function, (0, 0, 0))
        known = function in worker.abilities
        worker.abilities[function] = timeout_ms / 1000.0
        if worker.sleeping and not known:
            self.sleeps.append((worker, function))
            self._balance(function)

    def cant_do(self, worker: ModelPeer, function: bytes) -> None:
        """CANT_DO."""
        if function in worker.abilities:
            self._drop_ability(worker, function)
            for job in self.running(worker) if self.requeue_on_cant_do else []:
                if job.function == function:
                    self._lose(job)

    def reset_abilities(self, worker: ModelPeer) -> None:
        """RESET_ABILITIES."""
        for function in list(worker.abilities):
            self.cant_do(worker, function)

    def pre_sleep(self, worker: ModelPeer) -> None:
        """PRE_SLEEP."""
        if worker.sleeping:
            return
        self._settle(worker)
        waiting = [function for function in worker.abilities if self.queued(function) and function not in self.paused]
        if waiting:
            self._wake(worker, waiting[0])
        else:
            worker.sleeping = True
            self.sleeps += [(worker, function) for function in worker.abilities]

    def candidates(self, worker: ModelPeer) -> list[ModelJob]:
        """The jobs of which a grab must give one."""
        open_functions = [function for function in worker.abilities if function not in self.paused]
        heads = [self.queued(function)[0] for function in open_functions if self.queued(function)]
        if heads and self.global_priority:
            best = min(job.priority for job in heads)
            heads = [job for job in heads if job.priority == best]
        return heads if self.round_robin else heads[-1:]

    def grab(self, worker: ModelPeer, packet: str, handle: bytes | None) -> None:
        """A grab, and the job that the real broker gave for it, `None` for none."""
        self._arise(worker)
        candidates = self.candidates(worker)
        if handle is None:
            assert not candidates, "NO_JOB with a job waiting"
            worker.heard.append(("NO_JOB",))
        else:
            chosen = [job for job in candidates if job.handle == handle]
            assert chosen, f"{handle!r} was not next; {[job.handle for job in candidates]} were"
            worker.check_turn({job.function for job in candidates} if self.round_robin else set(), chosen[0].function)
            self._assign(chosen[0], worker, packet)
        self._settle(worker)

    def report(self, worker: ModelPeer, packet: str, handle: bytes, *rest: bytes) -> None:
        """WORK_DATA, WORK_WARNING, WORK_STATUS, WORK_COMPLETE, WORK_FAIL or WORK_EXCEPTION."""
        if packet == "WORK_FAIL" and handle == worker.raised:
            worker.raised = b""
            return
        job = self._find(handle)
        if job is None or job.worker is not worker:
            self._report_of_nothing(worker, packet, handle)
            return
        if packet == "WORK_STATUS":
            job.progress = (rest[0] or b"0", rest[1] or b"0")
        if packet == "WORK_EXCEPTION":
            worker.raised = handle
        if packet in {"WORK_COMPLETE", "WORK_FAIL", "WORK_EXCEPTION"}:
            self._end(job, packet, *rest)
        else:
            for client in job.clients:
                client.heard.append((packet, *[handle, *rest]))

    # Time

    def next_deadline(self) -> float:
        """When something is due next, infinity for never."""
        scheduled = [job.run_at for job in self.jobs if job.state == "scheduled"]
        return min([when for (when, _), _ in self._limits()] + scheduled, default=inf)

    def advance(self, seconds: float) -> None:
        """Let time pass and do, one after another, what has become due."""
        self.now += seconds
        while True:
            (when, _), what = min(self._limits(), key=lambda entry: entry[0], default=((inf, 0), None))
            if when > self.now or what is None:
                break
            if isinstance(what, ModelPeer):
                self._settle(what)
            elif self.requeue_on_timeout:
                self._lose(what)
            else:
                self._end(what, "WORK_FAIL")
        scheduled = [job for job in self.jobs if job.state == "scheduled" and job.run_at <= self.now]
        for job in sorted(scheduled, key=lambda job: (job.run_at, job.place)):
            self._queue(job)

    def _limits(self) -> list[tuple[tuple[float, int], ModelPeer | ModelJob]]:
        waits = [(peer.woken_until, peer) for peer in self.peers if peer.woken_for is not None]
        return [*waits, *((job.deadline, job) for job in self.jobs if job.deadline is not None)]

    # Jobs

    def _find(self, handle: bytes) -> ModelJob | None:
        return next((job for job in self.jobs if job.handle == handle), None)

    def _find_same(self, function: bytes, unique: bytes, workload: bytes) -> ModelJob | None:
        for job in self.jobs:
            if (job.function, job.unique) == (function, unique):
                if unique not in {b"", b"-"} or (unique == b"-" and workload and workload == job.workload):
                    return job
        return None

    def _refusal(self, function: bytes, unique: bytes, workload: bytes, priority: int) -> bytes:
        """Why a submission is refused, or nothing."""
        if not function:
            return b"INVALID_FUNCTION_NAME"
        if len(unique) > 64:
            return b"ARGUMENT_TOO_LARGE"
        if self._find_same(function, unique, workload) is not None:
            return b""
        if self.draining:
            return b"SHUTDOWN"
        own = [job for job in self.jobs if job.function == function]
        most = self.functions.get(function, (0, 0, 0))[priority]
        for jobs, allowed in [(own, most), (own, self.max_jobs_per_function), (self.jobs, self.max_jobs)]:
            if allowed and len(jobs) >= allowed:
                return b"QUEUE_ERROR"
        for jobs, allowed in [(own, self.max_held_bytes_per_function), (self.jobs, self.max_held_bytes)]:
            if allowed and sum(len(job.workload) for job in jobs) + len(workload) > allowed:
                return b"QUEUE_ERROR"
        return b""

    def _put(self, job: ModelJob, state: str) -> None:
        job.state = state
        job.place = next(self._places)

    def _place(self, job: ModelJob, run_at: float) -> None:
        job.run_at = run_at
        self._put(job, "scheduled") if run_at > self.now else self._queue(job)

    def _queue(self, job: ModelJob) -> None:
        self._put(job, "queued")
        sleepers = [peer for peer, name in self.sleeps if name == job.function not in self.paused]
        for peer in sleepers[: self.worker_wakeup or None]:
            self._wake(peer, job.function)

    def _assign(self, job: ModelJob, worker: ModelPeer, packet: str) -> None:
        self._put(job, "running")
        job.worker = worker
        job.attempts += 1
        limit = worker.abilities[job.function]
        job.deadline = (self.now + limit, next(self._places)) if limit else None
        more = {"GRAB_JOB": [], "GRAB_JOB_UNIQ": [job.unique], "GRAB_JOB_ALL": [job.unique, job.reducer]}[packet]
        answer = packet.replace("GRAB_JOB", "JOB_ASSIGN")
        worker.heard.append((answer, *[job.handle, job.function, *more, job.workload]))

    def _lose(self, job: ModelJob) -> None:
        """A running job has lost its worker."""
        if not job.clients and not job.background:
            self.jobs.remove(job)
        elif self.max_attempts and job.attempts >= self.max_attempts:
            self._end(job, "WORK_FAIL")
        else:
            job.worker = None
            job.deadline = None
            job.progress = (b"0", b"0")
            self._queue(job)

    def _end(self, job: ModelJob, packet: str, *rest: bytes) -> None:
        self.jobs.remove(job)
        for client in job.clients:
            if packet == "WORK_EXCEPTION" and not client.exceptions:
                client.heard.append(("WORK_FAIL", job.handle))
            else:
                client.heard.append((packet, *[job.handle, *rest]))

    def _report_of_nothing(self, worker: ModelPeer, packet: str, handle: bytes) -> None:
        if handle not in worker.released:
            worker.heard.append(("ERROR", b"JOB_NOT_FOUND"))
        elif packet in {"WORK_COMPLETE", "WORK_FAIL", "WORK_EXCEPTION"}:
            worker.released.remove(handle)
            if packet == "WORK_EXCEPTION":
                worker.raised = handle

    # Sleep

    def _drop_ability(self, worker: ModelPeer, function: bytes) -> None:
        if (worker, function) in self.sleeps:
            self.sleeps.remove((worker, function))
        if worker.woken_for == function:
            self._settle(worker)
        worker.forget(function)

    def _arise(self, worker: ModelPeer) -> None:
        worker.sleeping = False
        self.sleeps = [(peer, function) for peer, function in self.sleeps if peer is not worker]

    def _wake(self, worker: ModelPeer, function: bytes) -> None:
        self._arise(worker)
        worker.woken_for = function
        worker.woken_until = (self.now + self.wake_seconds, next(self._places))
        worker.heard.append(("NOOP",))

    def _settle(self, worker: ModelPeer) -> None:
        """The wait for a woken worker is over."""
        function = worker.woken_for
        worker.woken_for = None
        if function is not None:
            self._balance(function)

    def _balance(self, function: bytes) -> None:
        """Wake sleepers until as many are awake for the function as it has queued jobs."""
        while True:
            sleepers = [peer for peer, slept_for in self.sleeps if slept_for == function]
            woken = [peer for peer in self.peers if peer.woken_for == function]
            if not sleepers or function in self.paused or len(woken) >= len(self.queued(function)):
                return
            self._wake(sleepers[0], function)
