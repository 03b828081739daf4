"""Which packet of the job server belongs to which request of this client, without input or output.

The rules of one connection:

* Requests are answered in the order in which they were sent.  An ERROR names no request, so it too belongs to the
  oldest one that has no answer.  Any other type than the one that this request expects means that the two sides have
  lost each other: nothing that follows could be trusted, and the connection must end.
* WORK_* packets name their job and are matched by its handle only, never by order.
* Two submissions with the same function and unique ID share one job and one handle.  The job server then sends every
  packet of that job once per submission, one copy right after the other, so the copies are dealt out in turn.
* A request that nobody waits for any longer keeps its place in both orders; what comes for it is dropped.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import Final

from ..errors import GearmanError, JobFailed, JobLost, JobRaised, RemoteProtocolError, ServerError, ServersUnavailable
from ..protocol import PACKETS, PacketType, split_arguments
from ..protocol.codec import OPAQUE, argument_patterns

__all__ = ["APART", "ForegroundRequest", "Request", "Session"]

# Plain ints: they are compared for every packet.
_JOB_CREATED: Final = int(PacketType.JOB_CREATED)
_WORK_STATUS: Final = int(PacketType.WORK_STATUS)
_WORK_COMPLETE: Final = int(PacketType.WORK_COMPLETE)
_WORK_FAIL: Final = int(PacketType.WORK_FAIL)
_WORK_EXCEPTION: Final = int(PacketType.WORK_EXCEPTION)
_WORK_DATA: Final = int(PacketType.WORK_DATA)
_WORK_WARNING: Final = int(PacketType.WORK_WARNING)
_ERROR: Final = int(PacketType.ERROR)

_PROGRESS: Final = frozenset([_WORK_DATA, _WORK_STATUS, _WORK_WARNING])
#: WORK_EXCEPTION among them: gearmand ends the job there (gearmand server.cc, GEARMAN_COMMAND_WORK_EXCEPTION).
_FINAL: Final = frozenset([_WORK_COMPLETE, _WORK_FAIL, _WORK_EXCEPTION])

#: The packets whose large last fields come best apart, so that they are not copied.
APART: Final = argument_patterns([_WORK_DATA, _WORK_WARNING, _WORK_COMPLETE, _WORK_EXCEPTION])


class Request(ABC):
    """What the session tells of one request: the answer to it, or why there is none.

    Nothing is told of a request that is abandoned, and nothing after `failed`.

    Attributes:
        expected: the type of the packet that answers this request.
        abandoned: whether nobody waits any longer.
        number: the number of its packet on the link, by which the session knows whether it was sent.
    """

    __slots__ = ("abandoned", "expected", "number")

    def __init__(self, expected: int) -> None:
        self.expected = expected
        self.abandoned = False
        self.number = 0

    @abstractmethod
    def answered(self, fields: list[bytes]) -> None:
        """The job server answered with the expected packet; for a submission the one field is the handle."""

    @abstractmethod
    def failed(self, error: GearmanError) -> None:
        """The request was refused, the job failed, or the connection ended."""


class ForegroundRequest(Request):
    """The submission of a job whose packets come here, until `completed` or `failed`."""

    __slots__ = ()

    @abstractmethod
    def progressed(self, kind: int, payload: bytes) -> None:
        """WORK_DATA, WORK_STATUS or WORK_WARNING came for the job; the payload is what follows the handle."""

    @abstractmethod
    def completed(self, result: bytes) -> None:
        """WORK_COMPLETE came for the job."""


class Session:
    """The requests of one connection that are not over.

    The mutable state is the queue of requests without an answer, the jobs by their handles, and the large last field of
    the packet that follows.

    Attributes:
        strays: how many WORK_* packets named no job of this connection; gearmand sends some after a job was cancelled.
    """

    __slots__ = ("_jobs", "_opaque", "_replies", "_server", "strays")

    def __init__(self, server: str) -> None:
        self._server = server
        self._replies: deque[Request] = deque()
        # Invariant: no list is empty, and the next copy of a packet is for the first of its list.
        self._jobs: dict[bytes, list[ForegroundRequest]] = {}
        self._opaque = b""
        self.strays = 0

    @property
    def pending_replies(self) -> int:
        """How many requests have no answer yet, abandoned ones included."""
        return len(self._replies)

    def count_jobs(self) -> tuple[int, int]:
        """How many foreground jobs with a handle are waited for, and how many are abandoned. Looks at each of them."""
        abandoned = [job.abandoned for copies in self._jobs.values() for job in copies]
        return len(abandoned) - sum(abandoned), sum(abandoned)

    def expect(self, request: Request) -> None:
        """Take a request that is put on the link now, after all others."""
        self._replies.append(request)

    def receive(self, packets: list[tuple[int, bytes]]) -> None:
        """Hand out a batch of packets, (type, body) in order, as a `Decoder` gives them, perhaps with some of `APART`.

        A job is registered when its JOB_CREATED is handled, so its WORK_COMPLETE may come in the same batch.

        Raises:
            RemoteProtocolError: the job server sent what cannot be matched; call `lose` then.
        """
        for kind, body in packets:
            if kind in _FINAL:
                self._finish(kind, body)
            elif kind in _PROGRESS:
                self._progress(kind, body)
            elif kind == OPAQUE:
                self._opaque = body
            else:
                self._reply(kind, body)

    def lose(self, reason: str, packets_begun: int) -> None:
        """End every request with an error, because the connection is over.

        Args:
            reason: why, for the errors' messages.
            packets_begun: the number of the last packet of which something may have been sent.
        """
        replies, jobs = self._replies, self._jobs
        self._replies, self._jobs = deque(), {}
        for request in replies:
            if request.abandoned:
                continue
            if request.expected == _JOB_CREATED:
                began = request.number <= packets_begun
                request.failed(JobLost(None, may_have_run=began, reason=reason))
            else:
                request.failed(ServersUnavailable([f"{self._server}: {reason}"]))
        for handle, copies in jobs.items():
            for job in copies:
                if not job.abandoned:
                    job.failed(JobLost(handle, may_have_run=True, reason=reason))

    def _finish(self, kind: int, body: bytes) -> None:
        # WORK_FAIL has no payload, but gearmand ends its handle with a NUL where it stands for a WORK_EXCEPTION.
        handle, _, payload = body.partition(b"\0")
        payload = payload or self._take_opaque()
        copies = self._jobs.get(handle)
        if copies is None:
            self.strays += 1
            return
        job = copies.pop(0)
        if not copies:
            del self._jobs[handle]
        if job.abandoned:
            return
        if kind == _WORK_COMPLETE:
            job.completed(payload)
        elif kind == _WORK_FAIL:
            job.failed(JobFailed(handle))
        else:
            job.failed(JobRaised(handle, payload))

    def _progress(self, kind: int, body: bytes) -> None:
        handle, _, payload = body.partition(b"\0")
        payload = payload or self._take_opaque()
        copies = self._jobs.get(handle)
        if copies is None:
            self.strays += 1
            return
        job = copies[0]
        if len(copies) > 1:
            copies.append(copies.pop(0))
        if not job.abandoned:
            job.progressed(kind, payload)

    def _take_opaque(self) -> bytes:
        opaque, self._opaque = self._opaque, b""
        return opaque

    def _reply(self, kind: int, body: bytes) -> None:
        if kind == _ERROR:
            self._refuse(body)
            return
        if not self._replies:
            raise RemoteProtocolError(f"{_name(kind)} came, but no request waits for an answer")
        request = self._replies[0]
        if kind != request.expected:
            raise RemoteProtocolError(f"{_name(kind)} came where {_name(request.expected)} or ERROR was expected")
        # One handle without a NUL is what nearly every answer is; the rest is for the table.
        fields = [body] if kind == _JOB_CREATED and b"\0" not in body else split_arguments(kind, body)
        if isinstance(request, ForegroundRequest):
            self._jobs.setdefault(fields[0], []).append(request)
        self._replies.popleft()
        if not request.abandoned:
            request.answered(fields)

    def _refuse(self, body: bytes) -> None:
        code, _, text = body.decode("utf-8", "backslashreplace").partition("\0")
        error = ServerError(code, text.rstrip("\0"))
        if not self._replies:
            raise RemoteProtocolError(f"ERROR came, but no request waits for an answer ({error})")
        request = self._replies.popleft()
        if not request.abandoned:
            request.failed(error)


def _name(kind: int) -> str:
    return PACKETS[kind].type.name if kind in PACKETS else f"a packet of type {kind}"
