"""Workers: what they can do, which job a grab gets, and what becomes of their jobs when they are lost or too slow."""

from __future__ import annotations

from typing import Final

from ..protocol.table import PacketType
from .function import Function
from .job import HIGH, NO_PRIORITY, Job
from .outcome import Outcomes
from .peer import Peer
from .registry import Registry
from .replies import NO_JOB, read_fields, send_assignment, send_error
from .spill import Spill
from .tally import ABANDONED, LOST, TIMED_OUT
from .waking import Waking

__all__ = ["Assignments"]

#: gearmand ignores longer numbers without a word; nine digits of milliseconds are over eleven days.
_MAX_TIMEOUT_DIGITS: Final = 12


class Assignments:
    """Handles CAN_DO, CAN_DO_TIMEOUT, CANT_DO, RESET_ABILITIES, PRE_SLEEP and the grabs."""

    __slots__ = ("_outcomes", "_policy", "_registry", "_spill", "_waking")

    def __init__(self, registry: Registry, waking: Waking, outcomes: Outcomes, spill: Spill) -> None:
        self._registry = registry
        self._policy = registry.policy
        self._waking = waking
        self._outcomes = outcomes
        self._spill = spill

    def can_do(self, worker: Peer, kind: int, body: bytes, now: float) -> None:
        """CAN_DO and CAN_DO_TIMEOUT; saying it twice changes the time limit and nothing else."""
        fields = read_fields(worker, kind, body)
        if fields is None:
            return
        timeout = 0.0
        if kind == PacketType.CAN_DO_TIMEOUT:
            digits = fields[1]
            if not digits.isdigit() or len(digits) > _MAX_TIMEOUT_DIGITS:
                text = digits[:40].decode("ascii", "backslashreplace")
                send_error(worker, "INVALID_ARGUMENT", f"timeout: expected whole milliseconds, got {text!r}")
                return
            timeout = int(digits) / 1000.0
        name = fields[0]
        if not name:
            send_error(worker, "INVALID_FUNCTION_NAME", "function name: must not be empty")
            return
        if len(name) > self._policy.max_function_bytes:
            most = self._policy.max_function_bytes
            send_error(worker, "ARGUMENT_TOO_LARGE", f"function name: at most {most} bytes")
            return
        function = self._registry.function(name)
        if timeout:
            worker.timeouts[function] = timeout
        else:
            worker.timeouts.pop(function, None)
        if worker not in function.workers:
            function.workers[worker] = None
            worker.abilities.append(function)
            self._waking.ability_added(worker, function, now)

    def cant_do(self, worker: Peer, kind: int, body: bytes, now: float) -> None:
        """CANT_DO: running jobs go on, unlike in gearmand, which runs them a second time elsewhere.

        `Policy.requeue_on_cant_do` is gearmand's way.
        """
        fields = read_fields(worker, kind, body)
        if fields is None:
            return
        function = self._registry.functions.get(fields[0])
        if function is not None and worker in function.workers:
            self._waking.ability_removed(worker, function, now)
            index = worker.abilities.index(function)
            del worker.abilities[index]
            # The cursor keeps pointing at the same function.
            if index < worker.cursor:
                worker.cursor -= 1
            self._forget_ability(worker, function)
            if self._policy.requeue_on_cant_do:
                self._lose_all(worker, function, now)

    def reset_abilities(self, worker: Peer, kind: int, body: bytes, now: float) -> None:
        """RESET_ABILITIES: as CANT_DO for every ability."""
        if body and read_fields(worker, kind, body) is None:
            return
        self._drop_abilities(worker, now, requeue=self._policy.requeue_on_cant_do)

    def grab(self, worker: Peer, kind: int, body: bytes, now: float) -> None:
        """GRAB_JOB, GRAB_JOB_UNIQ and GRAB_JOB_ALL: a job, or NO_JOB."""
        if body and read_fields(worker, kind, body) is None:
            return
        self._waking.arise(worker)
        function = self._choose(worker)
        if function is None:
            worker.send(NO_JOB)
        else:
            job = function.pop()
            if worker.released:
                # It may have been taken from this worker: from now on its results count again.
                worker.released.discard(job.handle)
            if job.missing:
                self._spill.fetch(job, worker, kind)
            else:
                timeout = worker.timeouts.get(function, 0.0) if worker.timeouts else 0.0
                self._registry.assign(job, worker, now + timeout if timeout else 0.0)
                send_assignment(worker, kind, job)
                if job.loaded:
                    self._spill.assigned(job)
        self._waking.settle(worker, now)

    def pre_sleep(self, worker: Peer, kind: int, body: bytes, now: float) -> None:
        """PRE_SLEEP."""
        if body and read_fields(worker, kind, body) is None:
            return
        self._waking.sleep(worker, now)

    def worker_gone(self, worker: Peer, now: float) -> None:
        """A connection has ended: its abilities go, and its jobs are queued again or, out of attempts, fail."""
        if worker.abilities:
            self._drop_abilities(worker, now, requeue=False)
        self._spill.worker_gone(worker, now)
        for job in list(worker.running):
            self._lose(job, "its worker was lost", now)

    def timed_out(self, job: Job, now: float) -> None:
        """A job has outlived CAN_DO_TIMEOUT. Its worker's result, should it come, finds no job."""
        self._registry.counters.timed_out += 1
        if self._policy.requeue_on_timeout:
            self._lose(job, "its time ran out", now)
        else:
            self._registry.counters.expired += 1
            self._outcomes.end_failed(job, TIMED_OUT)

    def _lose_all(self, worker: Peer, function: Function, now: float) -> None:
        """A worker has lost its running jobs of one function."""
        for job in [job for job in worker.running if job.function is function]:
            self._lose(job, "its worker said that it cannot do it", now)

    def _lose(self, job: Job, reason: str, now: float) -> None:
        """A running job has lost its worker."""
        if not job.clients and not job.background:
            self._registry.counters.abandoned += 1
            self._registry.remove(job, ABANDONED)
        elif self._policy.max_attempts and job.attempts >= self._policy.max_attempts:
            self._registry.counters.lost += 1
            self._outcomes.end_failed(job, LOST)
        else:
            self._registry.requeue(job, reason)
            self._waking.job_queued(job.function, now)

    def _choose(self, worker: Peer) -> Function | None:
        """The function whose next job the worker gets. O(abilities of this worker), whatever else there is."""
        abilities = worker.abilities
        count = len(abilities)
        if count == 1:
            function = abilities[0]
            return function if function.top != NO_PRIORITY else None
        if not self._policy.round_robin:
            return self._choose_registered(abilities)
        best = NO_PRIORITY
        chosen = -1
        start = worker.cursor
        for step in range(count):
            index = start + step
            if index >= count:
                index -= count
            top = abilities[index].top
            if top < best:
                best = top
                chosen = index
                if top == HIGH or not self._policy.global_priority:
                    break
        if chosen < 0:
            return None
        worker.cursor = chosen + 1 if chosen + 1 < count else 0
        return abilities[chosen]

    def _choose_registered(self, abilities: list[Function]) -> Function | None:
        """The choice of gearmand 1.1 without ``--round-robin``: the ability that was registered last comes first."""
        best: Function | None = None
        for function in reversed(abilities):
            if function.top < (NO_PRIORITY if best is None else best.top):
                best = function
                if not self._policy.global_priority:
                    break
        return best

    def _drop_abilities(self, worker: Peer, now: float, *, requeue: bool) -> None:
        """All at once. A worker that sleeps goes on sleeping: it waits for NOOP, whatever it will say it can do."""
        for function in worker.abilities:
            self._waking.ability_removed(worker, function, now)
            self._forget_ability(worker, function)
            if requeue:
                self._lose_all(worker, function, now)
        worker.abilities = []
        worker.cursor = 0

    def _forget_ability(self, worker: Peer, function: Function) -> None:
        del function.workers[worker]
        worker.timeouts.pop(function, None)
