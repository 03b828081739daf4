"""What workers report of their jobs, carried to every attached client; and every way in which a job ends."""

from __future__ import annotations

from typing import Final

from ..protocol.codec import response_prefix, wrong_count
from ..protocol.table import PACKETS, PacketType
from .job import FETCHING, QUEUED, RUNNING, Job
from .peer import Peer
from .registry import Registry
from .replies import read_fields, send_error, send_handle, send_packet, send_result
from .tally import ABANDONED, CANCELLED, COMPLETE, EXCEPTION, FAIL

__all__ = ["Outcomes"]

_WORK_DATA: Final = response_prefix(PacketType.WORK_DATA)
_WORK_WARNING: Final = response_prefix(PacketType.WORK_WARNING)
_WORK_STATUS: Final = response_prefix(PacketType.WORK_STATUS)
_WORK_COMPLETE: Final = response_prefix(PacketType.WORK_COMPLETE)
_WORK_FAIL: Final = response_prefix(PacketType.WORK_FAIL)
_WORK_EXCEPTION: Final = response_prefix(PacketType.WORK_EXCEPTION)

#: The texts of gearmand 2.0 server.cc, which differ by packet.
_UNKNOWN_JOB: Final[dict[int, str]] = {
    int(PacketType.WORK_DATA): "Job does not exist on server",
    int(PacketType.WORK_WARNING): "Job does not exist on server",
    int(PacketType.WORK_STATUS): "Job given in work result not found",
    int(PacketType.WORK_COMPLETE): "Job given in work result not found",
    int(PacketType.WORK_FAIL): "Job given in work result not found",
    int(PacketType.WORK_EXCEPTION): "An exception was received for a job that does not exist",
}

#: The longest number in WORK_STATUS; gearmand has room for ten digits.
_MAX_NUMBER_BYTES: Final = 64

_TERMINAL: Final = frozenset((int(PacketType.WORK_COMPLETE), int(PacketType.WORK_FAIL), int(PacketType.WORK_EXCEPTION)))


class Outcomes:
    """Handles WORK_DATA, WORK_WARNING, WORK_STATUS, WORK_COMPLETE, WORK_FAIL and WORK_EXCEPTION.

    The body of each is the same in both directions, so it is forwarded as it came.  A report is taken only from the
    connection that runs the job.
    """

    __slots__ = ("_registry",)

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def data(self, worker: Peer, kind: int, body: bytes, now: float) -> None:
        """WORK_DATA and WORK_WARNING."""
        job = self._job(worker, kind, body)
        if job is not None:
            prefix = _WORK_DATA if kind == PacketType.WORK_DATA else _WORK_WARNING
            body = _whole(job, body)
            for client in job.clients:
                send_packet(client, prefix, body)

    def status(self, worker: Peer, kind: int, body: bytes, now: float) -> None:
        """WORK_STATUS. Numbers are forwarded as the worker wrote them; gearmand does not look at them either."""
        fields = read_fields(worker, kind, body)
        if fields is None:
            return
        if len(fields[1]) > _MAX_NUMBER_BYTES or len(fields[2]) > _MAX_NUMBER_BYTES:
            # Both are kept with the job, and each question about it has them in its answer.
            send_error(worker, "ARGUMENT_TOO_LARGE", f"numerator and denominator: at most {_MAX_NUMBER_BYTES} bytes")
            return
        job = self._job(worker, kind, body)
        if job is not None:
            # STATUS_RES is read by programs that expect numbers; gearmand has 0 there for what is none.
            job.numerator = fields[1] if fields[1].isdigit() else b"0"
            job.denominator = fields[2] if fields[2].isdigit() else b"0"
            body = b"\0".join(fields)
            for client in job.clients:
                send_packet(client, _WORK_STATUS, body)

    def complete(self, worker: Peer, kind: int, body: bytes, now: float) -> None:
        """WORK_COMPLETE."""
        job = self._job(worker, kind, body)
        if job is not None:
            body = _whole(job, body)
            for client in job.clients:
                send_result(client, _WORK_COMPLETE, body)
            self._registry.counters.completed += 1
            self._registry.remove(job, COMPLETE)

    def fail(self, worker: Peer, kind: int, body: bytes, now: float) -> None:
        """WORK_FAIL: final; nothing is tried again (gearmand)."""
        fields = read_fields(worker, kind, body)
        if fields is None:
            return
        handle = fields[0]
        if worker.raised and handle == worker.raised:
            # Many workers send WORK_FAIL after WORK_EXCEPTION; the job ended with the first.
            worker.raised = b""
            return
        job = self._job(worker, kind, handle + b"\0")
        if job is not None:
            self._registry.counters.failed += 1
            self.end_failed(job, FAIL)

    def exception(self, worker: Peer, kind: int, body: bytes, now: float) -> None:
        """WORK_EXCEPTION: final, as in gearmand. Clients without the option hear WORK_FAIL instead."""
        job = self._job(worker, kind, body)
        if job is not None:
            body = _whole(job, body)
            for client in job.clients:
                if client.exceptions:
                    send_packet(client, _WORK_EXCEPTION, body)
                else:
                    send_handle(client, _WORK_FAIL, job)
            worker.raised = job.handle
            self._registry.counters.raised += 1
            self._registry.remove(job, EXCEPTION, body[len(job.handle) + 1 :])

    def end_failed(self, job: Job, outcome: int, reason: bytes = b"") -> None:
        """End a job, with an outcome of `tally`, and tell its clients WORK_FAIL, which has no place for a reason."""
        for client in job.clients:
            send_handle(client, _WORK_FAIL, job)
        self._registry.remove(job, outcome, reason)

    def cancel(self, handle: bytes) -> bool:
        """End a job for an administrator; say whether there was one. A result still to come is dropped in silence."""
        job = self._registry.jobs.get(handle)
        if job is None:
            return False
        if job.worker is not None:
            job.worker.released.add(handle)
        self.cancel_job(job)
        return True

    def cancel_job(self, job: Job) -> None:
        """End a job that no worker has, for an administrator."""
        self._registry.counters.cancelled += 1
        self.end_failed(job, CANCELLED)

    def client_gone(self, client: Peer) -> None:
        """A client has left: its jobs that no other client hears of, and that need one, end unless they are running."""
        for job in list(client.attached):
            self._registry.detach(job, client)
            if not job.clients and not job.background and job.state in (QUEUED, FETCHING):
                self._registry.counters.abandoned += 1
                self._registry.remove(job, ABANDONED)

    def _job(self, worker: Peer, kind: int, body: bytes) -> Job | None:
        """The running job of this worker that a report is about; without one, the worker is told."""
        end = body.find(b"\0")
        handle = body[:end] if end >= 0 else body
        job = self._registry.jobs.get(handle)
        if job is not None and job.worker is worker:
            assert job.state == RUNNING
            return job
        if handle in worker.released:
            if kind in _TERMINAL:
                worker.released.discard(handle)
            if kind == PacketType.WORK_EXCEPTION:
                worker.raised = handle
        elif end < 0:
            send_error(worker, "INVALID_PACKET", wrong_count(PACKETS[kind], 1))
        elif end > self._registry.policy.max_handle_bytes:
            send_error(worker, "ARGUMENT_TOO_LARGE", f"handle: at most {self._registry.policy.max_handle_bytes} bytes")
        else:
            send_error(worker, "JOB_NOT_FOUND", _UNKNOWN_JOB[kind])
        return None


def _whole(job: Job, body: bytes) -> bytes:
    """A report about this job, with the NUL behind its handle that Perl's worker leaves out of an empty one."""
    return body if len(body) > len(job.handle) else body + b"\0"
