"""Submissions: a client's request for a job becomes a new job, joins a live one, or is refused with a reason."""

from __future__ import annotations

import re
from typing import Final

from ..protocol.codec import response_prefix, wrong_count
from ..protocol.table import PACKETS, PacketType
from .commits import Commits
from .function import Function
from .job import HIGH, LOW, NORMAL, Job
from .peer import Peer
from .registry import Registry
from .replies import handle_packet, send_error
from .schedule import SCHEDULE_FIELDS, next_time, parse_field
from .waking import Waking

__all__ = ["SUBMISSIONS", "Submissions"]

_JOB_CREATED: Final = response_prefix(PacketType.JOB_CREATED)

#: Of each packet that submits a job: its priority, and whether the job is a background job.
SUBMISSIONS: Final[dict[int, tuple[int, bool]]] = {
    int(PacketType.SUBMIT_JOB): (NORMAL, False),
    int(PacketType.SUBMIT_JOB_HIGH): (HIGH, False),
    int(PacketType.SUBMIT_JOB_LOW): (LOW, False),
    int(PacketType.SUBMIT_JOB_BG): (NORMAL, True),
    int(PacketType.SUBMIT_JOB_HIGH_BG): (HIGH, True),
    int(PacketType.SUBMIT_JOB_LOW_BG): (LOW, True),
    int(PacketType.SUBMIT_JOB_EPOCH): (NORMAL, True),
    int(PacketType.SUBMIT_JOB_SCHED): (NORMAL, True),
    int(PacketType.SUBMIT_REDUCE_JOB): (NORMAL, False),
    int(PacketType.SUBMIT_REDUCE_JOB_BACKGROUND): (NORMAL, True),
}

_EPOCH_SECONDS: Final = re.compile(rb"\d{1,15}(\.\d{1,9})?\Z")


class Submissions:
    """Handles every packet that submits a job.

    Attributes:
        closed: whether the server is shutting down and takes no new job.
        epoch_offset: epoch seconds minus monotonic seconds, kept current by the runtime.
    """

    __slots__ = ("_commits", "_limited", "_policy", "_registry", "_waking", "closed", "epoch_offset")

    def __init__(self, registry: Registry, waking: Waking, commits: Commits | None) -> None:
        self._registry = registry
        self._policy = policy = registry.policy
        self._limited = bool(
            policy.max_jobs
            or policy.max_jobs_per_function
            or policy.max_held_bytes
            or policy.max_held_bytes_per_function
        )
        self._waking = waking
        # None where no job is ever stored.
        self._commits = commits
        self.closed: bool = False
        self.epoch_offset: float = 0.0

    def submit(self, client: Peer, kind: int, body: bytes, now: float) -> None:
        """SUBMIT_JOB, _BG, and both with _HIGH and _LOW."""
        fields = body.split(b"\0", 2)
        if len(fields) != 3:
            self._reject(client, "INVALID_PACKET", wrong_count(PACKETS[kind], len(fields)))
            return
        job = self._new_job(client, kind, now, fields[0], fields[1], fields[2] or client.take_opaque())
        if job is None:
            return
        if job.commit:
            self._store(job, now)
        else:
            self._registry.enqueue(job)
            self._waking.job_queued(job.function, now)

    def submit_epoch(self, client: Peer, kind: int, body: bytes, now: float) -> None:
        """SUBMIT_JOB_EPOCH: epoch seconds as a decimal number; this server takes a fraction too."""
        fields = body.split(b"\0", 3)
        fields[-1] = fields[-1] or client.take_opaque()
        if len(fields) != 4:
            self._reject(client, "INVALID_PACKET", wrong_count(PACKETS[kind], len(fields)))
        elif not _EPOCH_SECONDS.match(fields[2]):
            text = fields[2][:40].decode("ascii", "backslashreplace")
            self._reject(client, "INVALID_ARGUMENT", f"epoch: expected decimal seconds, got {text!r}")
        else:
            self._submit_at(client, kind, fields, float(fields[2]), now)

    def submit_scheduled(self, client: Peer, kind: int, body: bytes, now: float) -> None:
        """SUBMIT_JOB_SCHED: runs once, at the next time that matches all five fields."""
        fields = body.split(b"\0", 7)
        fields[-1] = fields[-1] or client.take_opaque()
        if len(fields) != 8:
            self._reject(client, "INVALID_PACKET", wrong_count(PACKETS[kind], len(fields)))
            return
        try:
            allowed = [
                parse_field(text.decode("ascii", "backslashreplace"), name, low, high)
                for text, (name, low, high) in zip(fields[2:7], SCHEDULE_FIELDS, strict=True)
            ]
        except ValueError as exc:
            self._reject(client, "INVALID_ARGUMENT", str(exc))
            return
        run_at = next_time(allowed, now + self.epoch_offset, self._policy.time_zone)
        if run_at is None:
            self._reject(client, "INVALID_ARGUMENT", "schedule: no day matches day of month, month and day of week")
            return
        self._submit_at(client, kind, fields, run_at, now)

    def submit_reduce(self, client: Peer, kind: int, body: bytes, now: float) -> None:
        """SUBMIT_REDUCE_JOB and _BACKGROUND, with libgearman's empty aggregate or, as in the document, without."""
        fields = body.split(b"\0", 4)
        if len(fields) < 4:
            self._reject(client, "INVALID_PACKET", wrong_count(PACKETS[kind], len(fields)))
            return
        reducer, workload = fields[2], fields[3]
        if len(fields) == 5:
            # A field that is not empty is no aggregate: it is the workload's beginning, up to a NUL of its own.
            workload = workload + b"\0" + fields[4] if workload else fields[4]
        workload = workload or client.take_opaque()
        if len(reducer) > self._policy.max_function_bytes:
            self._reject(client, "ARGUMENT_TOO_LARGE", f"reducer: at most {self._policy.max_function_bytes} bytes")
            return
        job = self._new_job(client, kind, now, fields[0], fields[1], workload)
        if job is None:
            return
        job.reducer = reducer
        if job.commit:
            self._store(job, now)
        else:
            self._registry.enqueue(job)
            self._waking.job_queued(job.function, now)

    def _submit_at(self, client: Peer, kind: int, fields: list[bytes], run_at: float, now: float) -> None:
        job = self._new_job(client, kind, now, fields[0], fields[1], fields[-1])
        if job is None:
            return
        if job.commit:
            job.run_at = run_at
            self._store(job, now)
        elif run_at > now + self.epoch_offset:
            self._registry.postpone(job, run_at)
        else:
            self._registry.enqueue(job)
            self._waking.job_queued(job.function, now)

    def _store(self, job: Job, now: float) -> None:
        assert self._commits is not None
        self._commits.store(job, now + self.epoch_offset)

    def _new_job(self, client: Peer, kind: int, now: float, name: bytes, unique: bytes, workload: bytes) -> Job | None:
        """Answer the client; give the job where there is a new one, in no queue yet.

        A submission that joins a live job is not held to ``maxqueue``, as in gearmand, and never makes a background job
        a foreground one.
        """
        registry = self._registry
        function = registry.functions.get(name)
        if function is None and not self._is_name(client, name):
            return None
        if len(unique) > self._policy.max_unique_bytes:
            self._reject(client, "ARGUMENT_TOO_LARGE", "Unique value too large")
            return None
        priority, background = SUBMISSIONS[kind]
        job = None if function is None else function.find(unique, workload)
        commits = self._commits
        objection = "" if commits is None else commits.objection(job, workload, background=background)
        if objection:
            self._reject(client, "QUEUE_ERROR", objection)
            return None
        if job is not None:
            registry.counters.coalesced += 1
            job.function.tally.coalesced += 1
            created = None
        elif self.closed:
            self._reject(client, "SHUTDOWN", "the job server is shutting down and takes no new jobs")
            return None
        elif function is not None and function.limits[priority] and function.total >= function.limits[priority]:
            self._reject(client, "QUEUE_ERROR", "Job queue is full")
            return None
        elif self._limited and self._is_full(client, function, len(workload)):
            return None
        else:
            if function is None:
                # Not before: a refused submission must not leave a function behind.
                function = registry.function(name)
            job = created = registry.create(function, unique, workload, priority)
        if background:
            job.background = True
        else:
            registry.attach(job, client)
        if commits is None:
            packet = handle_packet(_JOB_CREATED, job)
            if background:
                client.send(packet)
            else:
                client.send_later(packet, 0)
        else:
            commits.answer(client, job, now + self.epoch_offset, background=background)
        return created

    def _is_name(self, client: Peer, name: bytes) -> bool:
        """Whether a function may have this name; where it may not, the client is told."""
        if not name:
            self._reject(client, "INVALID_FUNCTION_NAME", "function name: must not be empty")
            return False
        most = self._policy.max_function_bytes
        if len(name) > most:
            self._reject(client, "ARGUMENT_TOO_LARGE", f"function name: at most {most} bytes")
            return False
        return True

    def _is_full(self, client: Peer, function: Function | None, size: int) -> bool:
        """Whether a job with a workload of this size is one too many; where it is, the client is told."""
        registry, policy = self._registry, self._policy
        if policy.max_jobs and len(registry.jobs) >= policy.max_jobs:
            text = f"the job server holds {len(registry.jobs)} jobs, and may hold {policy.max_jobs}"
        elif policy.max_held_bytes and registry.held_bytes + size > policy.max_held_bytes:
            text = f"a workload of {size} bytes is more than is left of {policy.max_held_bytes} for all jobs"
        elif policy.max_jobs_per_function and function is not None and function.total >= policy.max_jobs_per_function:
            text = f"the function has {function.total} jobs, and may have {policy.max_jobs_per_function}"
        elif (
            policy.max_held_bytes_per_function
            and (0 if function is None else function.held_bytes) + size > policy.max_held_bytes_per_function
        ):
            most = policy.max_held_bytes_per_function
            text = f"a workload of {size} bytes is more than is left of {most} for all jobs of the function"
        else:
            return False
        self._reject(client, "QUEUE_ERROR", text)
        return True

    def _reject(self, client: Peer, code: str, text: str) -> None:
        self._registry.counters.rejected += 1
        send_error(client, code, text)
