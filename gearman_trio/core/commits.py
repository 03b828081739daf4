"""Nothing is acknowledged before it is stored: who waits for which batch, and what becomes of them.

A job that is to be stored is *committing* until its batch is: no worker can grab it, and the answer to its submission
waits, with everything that its connection is sent later, since clients match answers by their order.  A batch that
the store does not take is refused: its jobs go, never having run, and ERROR is sent where JOB_CREATED would have been.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from ..protocol.codec import response_prefix
from ..protocol.table import PacketType
from .batch import BadRow, SpilledJob, StoredJob
from .job import COMMITTING, FINISHED, PRIORITIES, QUEUED, Job
from .ledger import Ledger
from .peer import Peer
from .registry import Registry
from .replies import error_packet, handle_packet, send_handle
from .tally import ABANDONED, REFUSED
from .waking import Waking

__all__ = ["Commits"]

_JOB_CREATED: Final = response_prefix(PacketType.JOB_CREATED)

#: In `Job.commit`, while a refusal is under way.
_REFUSED: Final = -1


class _Waiting:
    """What waits for one batch: jobs in the order of their submission, peers in any."""

    __slots__ = ("jobs", "number", "peers")

    def __init__(self, number: int) -> None:
        self.number = number
        self.jobs: list[Job] = []
        self.peers: list[Peer] = []


class Commits:
    """Keeps jobs and answers back until the store has them.

    Attributes:
        refusal: why no job can be stored at present; ``""`` where jobs can be.
    """

    __slots__ = ("_ledger", "_policy", "_registry", "_waiting", "_waking", "refusal")

    def __init__(self, registry: Registry, ledger: Ledger, waking: Waking) -> None:
        self._registry = registry
        self._policy = registry.policy
        self._ledger = ledger
        self._waking = waking
        # One for each batch that somebody waits for, in the order of their numbers.
        self._waiting: deque[_Waiting] = deque()
        self.refusal: str = ""

    # Submissions

    def objection(self, job: Job | None, workload: bytes, *, background: bool) -> str:
        """Why a submission cannot be stored, or ``""``; `job` is the live one that it joins."""
        if not background and not self._policy.store_foreground:
            return ""
        if job is not None and (job.row or job.commit):
            return ""
        if len(workload) > self._policy.max_stored_bytes:
            return f"workload: the store takes at most {self._policy.max_stored_bytes} bytes, got {len(workload)}"
        return self.refusal

    def answer(self, client: Peer, job: Job, epoch: float, *, background: bool) -> None:
        """Answer a submission, now or when its job is stored; `epoch` is epoch seconds.

        A new job is not stored here but by `store`, when all that it is to be is known.
        """
        durable = background or self._policy.store_foreground
        if durable and not job.row and not job.commit:
            waiting = self._open()
            job.commit = waiting.number
            waiting.jobs.append(job)
            if job.state:
                # A foreground job, which becomes a background job: it goes on meanwhile.
                self._ledger.add(job, epoch)
        if job.commit and (durable or job.state == COMMITTING):
            # Of a new job nobody can be waiting for an earlier batch; of others they may.
            if client.hold(job, job.commit):
                self._at(job.commit).peers.append(client)
        else:
            send_handle(client, _JOB_CREATED, job)

    def store(self, job: Job, epoch: float) -> None:
        """Store a new job that `answer` was called for."""
        self._registry.commit(job)
        self._ledger.add(job, epoch)

    # The store's answers

    def committed(self, number: int, epoch: float, now: float) -> None:
        """Every batch up to this one is stored: send the answers, then queue the jobs."""
        self.refusal = ""
        waiting = self._waiting
        while waiting and waiting[0].number <= number:
            done = waiting.popleft()
            for peer in done.peers:
                self._release(peer, done.number)
            for job in done.jobs:
                job.commit = 0
                if job.state == COMMITTING:
                    if 0 < self._policy.spill_bytes < job.size and job.unique != b"-":
                        self._registry.spill(job)
                    self._begin(job, epoch, now)

    def refuse(self, text: str) -> None:
        """The store takes nothing for too long: refuse whatever waits, and what comes until the next commit."""
        self.refusal = text
        waiting = self._waiting
        self._waiting = deque()
        # A job that is over already ran, or was cancelled: its submission is acknowledged.
        jobs = [job for each in waiting for job in each.jobs if job.state != FINISHED]
        for job in jobs:
            job.commit = _REFUSED
        for each in waiting:
            for peer in each.peers:
                self._release(peer, each.number)
        for job in jobs:
            self._withdraw(job)

    def restore(self, stored: Sequence[StoredJob | SpilledJob], epoch: float, now: float) -> list[BadRow]:
        """Bring back jobs of an earlier run, in this order. Those that cannot be are left out, with the reason."""
        registry = self._registry
        bad: list[BadRow] = []
        for each in stored:
            record = each if isinstance(each, StoredJob) else each.job
            reason = self._defect(record)
            if reason:
                bad.append(BadRow(record.row, reason))
                continue
            # On this server's clock, which did not run when the job was submitted.
            job = registry.restore(each, now - max(0.0, epoch - record.created))
            self._begin(job, epoch, now)
            if job.state == QUEUED:
                job.since = max(job.created_at, now - (epoch - record.run_at))
        return bad

    def _defect(self, record: StoredJob) -> str:
        policy = self._policy
        if not record.function:
            return "function name: must not be empty"
        if len(record.function) > policy.max_function_bytes:
            return f"function name: expected at most {policy.max_function_bytes} bytes, got {len(record.function)}"
        if not record.handle or len(record.handle) > policy.max_handle_bytes or b"\0" in record.handle:
            return f"handle: expected 1 to {policy.max_handle_bytes} bytes without NUL, got {record.handle!r}"
        if record.handle in self._registry.jobs:
            return f"handle {record.handle!r}: another job has it"
        if not 0 <= record.priority < len(PRIORITIES):
            return f"priority: expected 0, 1 or 2, got {record.priority}"
        if b"\0" in record.function or b"\0" in record.unique or b"\0" in record.reducer:
            return "function, unique ID and reducer: must not hold a NUL"
        return ""

    def _begin(self, job: Job, epoch: float, now: float) -> None:
        if job.run_at > epoch:
            self._registry.postpone(job, job.run_at)
        else:
            self._registry.enqueue(job)
            self._waking.job_queued(job.function, now)

    def _release(self, peer: Peer, number: int) -> None:
        """Send what a peer was to be sent, up to the answers that wait for a later batch."""
        if peer.gone:
            return
        for held in peer.take_due(number):
            if held.job.commit == _REFUSED:
                self._registry.counters.rejected += 1
                held.answer = [error_packet("QUEUE_ERROR", self.refusal)]
            else:
                held.answer = [handle_packet(_JOB_CREATED, held.job)]
        peer.advance()

    def _withdraw(self, job: Job) -> None:
        """A job that cannot be stored is what it was before: nothing, or a foreground job."""
        registry = self._registry
        job.commit = 0
        if job.state == COMMITTING:
            registry.counters.refused += 1
            registry.remove(job, REFUSED)
            return
        self._ledger.remove(job)
        job.background = False
        if not job.clients and job.state == QUEUED:
            registry.counters.abandoned += 1
            registry.remove(job, ABANDONED)

    def _open(self) -> _Waiting:
        """What waits for the batch that is being filled."""
        number = self._ledger.batch.number
        waiting = self._waiting
        if not waiting or waiting[-1].number != number:
            waiting.append(_Waiting(number))
        return waiting[-1]

    def _at(self, number: int) -> _Waiting:
        for waiting in reversed(self._waiting):
            if waiting.number == number:
                return waiting
        raise AssertionError(f"nobody waits for batch {number}")
