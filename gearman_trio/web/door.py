"""Jobs for requests over HTTP: each request is one more connection of the broker, for as long as it lasts.

So a peer that leaves is a client that leaves: a queued foreground job that nobody else waits for goes, a running one
ends unheard.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from http import HTTPStatus
from typing import Final, TypeVar

import attrs
import trio
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from ..client import Client, ForegroundJob, JobData, JobStatus, JobWarning, Priority
from ..errors import JobError
from ..names import JobHandle
from ..server import Server

__all__ = ["Door", "JobLimits", "JobNotDone", "Outcome", "Submission", "while_there"]

_T = TypeVar("_T")

#: A body that has grown by so much is on its way, however long it takes.
_PROGRESS_BYTES: Final = 65536

#: What an event counts besides its data: empty ones must not be free.
_EVENT_BYTES: Final = 128

#: How much of a job's warnings is told with its result.
_WARNINGS_BYTES: Final = 65536


@attrs.frozen(kw_only=True)
class JobLimits:
    """What jobs that come over HTTP may take.

    Attributes:
        workload_bytes: how long the body of a request may be; longer ones are answered with 413.
        result_bytes: how long a result that comes in parts may be, and how much of a streamed one may wait for a peer
            that reads slowly.
        body_bytes: how long the bodies that are on their way may be together; who comes then is answered with 503.
        waiting: how many requests may wait for their jobs at once; who comes then is answered with 503.
        wait_seconds: how long one may wait for its job, unless it asks for less; then it is answered with 504.
        json_bytes: how long a body of JSON may be; it is read at once, and nobody else is served meanwhile.
        kept_bytes: how long the results may be together that are kept for later.
        kept_seconds: how long a result is kept for later.
        body_seconds: how long the next 64 KiB of a body may take; then the request is answered with 408.
    """

    workload_bytes: int = 64 * 1024 * 1024
    result_bytes: int = 64 * 1024 * 1024
    body_bytes: int = 256 * 1024 * 1024
    waiting: int = 1000
    wait_seconds: float = 3600.0
    json_bytes: int = 1024 * 1024
    kept_bytes: int = 64 * 1024 * 1024
    kept_seconds: float = 600.0
    body_seconds: float = 30.0


@attrs.frozen(kw_only=True)
class Submission:
    """What a request asks for.

    Attributes:
        function: what is called.
        workload: opaque bytes.
        unique: the unique ID, empty for none.
        priority: of the job.
        background: whether it lives on without whoever asked for it.
        run_at: epoch seconds before which it does not start, for a background job.
        delay: seconds for which it does not start, for a background job.
    """

    function: bytes
    workload: bytes = b""
    unique: bytes = b""
    priority: str = Priority.NORMAL
    background: bool = False
    run_at: float | None = None
    delay: float | None = None


@attrs.frozen(kw_only=True)
class Outcome:
    """How a foreground job has ended, where it ended with a result.

    Attributes:
        handle: of the job.
        result: all parts of it.
        warnings: the first of the worker's, in order, 64 KiB of them.
        status: the last that the worker told, if any.
    """

    handle: bytes
    result: bytes
    warnings: list[bytes]
    status: JobStatus | None


class JobNotDone(JobError):
    """A job has not ended in the time for which its request may wait."""

    def __init__(self, handle: bytes | None, seconds: float) -> None:
        super().__init__(handle, f"has not ended after {seconds:g} seconds, and is no longer waited for")


class Door:
    """Takes jobs from requests, within limits.

    The mutable state is how many requests are there, how many of them wait, and how much of their bodies is held.

    Args:
        server: runs the broker.
        limits: of all requests that come through this door.
    """

    def __init__(self, server: Server, limits: JobLimits) -> None:
        self.limits = limits
        self._server = server
        self._requests = 0
        self._waiting = 0
        self._body_bytes = 0
        # There while a task waits for the last of the requests.
        self._quiet: trio.Event | None = None

    @contextmanager
    def request(self) -> Iterator[None]:
        """A request is there, from its beginning until its answer is sent."""
        self._requests += 1
        try:
            yield
        finally:
            self._requests -= 1
            if self._quiet is not None and not self._requests:
                self._quiet.set()

    async def finish(self) -> None:
        """Where the job server takes no more jobs, wait until each request is answered: all their jobs have ended."""
        while self._requests and not self._server.accepting:
            self._quiet = trio.Event()
            await self._quiet.wait()

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """The body of a request, which counts for as long as the block lasts.

        Raises:
            HTTPException: it is longer than allowed, comes too slowly, or all bodies together are too long.
            ClientDisconnect: the peer has left.
        """
        limits, announced = self.limits, request.headers.get("content-length", "0")
        # h11 has read it as a number; other servers may hand on anything.
        if announced.isdigit() and int(announced[:20]) > limits.workload_bytes:
            raise _too_long(limits)
        parts: list[bytes] = []
        size = 0
        try:
            with trio.CancelScope(deadline=trio.current_time() + limits.body_seconds) as patience:
                mark = 0
                more = True
                while more:
                    # Not request.stream(): nobody would close that generator.
                    message = await request.receive()
                    if message["type"] == "http.disconnect":
                        raise ClientDisconnect
                    part, more = message.get("body", b""), message.get("more_body", False)
                    size += len(part)
                    self._body_bytes += len(part)
                    if size > limits.workload_bytes:
                        raise _too_long(limits)
                    if self._body_bytes > limits.body_bytes:
                        raise _busy(f"{limits.body_bytes} bytes of requests are held, which is the limit")
                    parts.append(part)
                    if size - mark >= _PROGRESS_BYTES:
                        mark = size
                        patience.deadline = trio.current_time() + limits.body_seconds
            if patience.cancelled_caught:
                detail = f"{size} bytes of the body came, and too little more for {limits.body_seconds:g} seconds"
                raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, detail, {"Connection": "close"})
            body = b"".join(parts)
            parts.clear()
            yield body
        finally:
            self._body_bytes -= size

    async def leave(self, submission: Submission, request: Request) -> JobHandle:
        """Leave a background job with the job server.

        Raises:
            GearmanError: as for `Client.submit`.
        """
        async with self.open_client(request) as client:
            return await client.submit(
                submission.function,
                submission.workload,
                unique=submission.unique,
                priority=submission.priority,
                run_at=submission.run_at,
                delay=submission.delay,
            )

    @asynccontextmanager
    async def watch(self, submission: Submission, request: Request) -> AsyncIterator[ForegroundJob]:
        """Run a foreground job and watch it.

        Raises:
            HTTPException: too many requests wait.
            GearmanError: as for `Client.stream`.
        """
        if self._waiting >= self.limits.waiting:
            raise _busy(f"{self._waiting} requests wait for their jobs, which is the limit")
        self._waiting += 1
        try:
            async with (
                self.open_client(request) as client,
                client.stream(
                    submission.function,
                    submission.workload,
                    unique=submission.unique,
                    priority=submission.priority,
                    max_unread_bytes=self.limits.result_bytes,
                ) as job,
            ):
                yield job
        finally:
            self._waiting -= 1

    async def run(self, submission: Submission, request: Request, *, wait_seconds: float) -> Outcome:
        """Run a foreground job to its end.

        Raises:
            HTTPException: too many requests wait, or this one has waited for too long.
            ClientDisconnect: the peer has left.
            GearmanError: as for `Client.run`.
        """
        handle: list[bytes] = []

        async def to_the_end() -> Outcome | None:
            with trio.move_on_after(wait_seconds):
                async with self.watch(submission, request) as job:
                    handle.append(job.handle)
                    return await self.gather(job)
            return None

        outcome = await while_there(request.receive, to_the_end)
        if outcome is None:
            raise JobNotDone(handle[0] if handle else None, wait_seconds)
        return outcome

    def open_client(self, request: Request) -> AbstractAsyncContextManager[Client]:
        """A client for a request, which tables show with the address that the request came from."""
        peer = request.client
        host = "" if peer is None else "".join(c for c in peer.host if c.isascii() and c.isprintable() and c != " ")
        return self._server.open_client(client_id=f"http/{host[:100]}" if host else "http")

    async def gather(self, job: ForegroundJob) -> Outcome:
        """Wait for the end of a job, and put its parts together.

        Raises:
            GearmanError: as for `Client.run`; the parts are too long together.
        """
        parts: list[bytes] = []
        warnings: list[bytes] = []
        status: JobStatus | None = None
        room, warned = self.limits.result_bytes, 0
        async for event in job:
            match event:
                case JobStatus():
                    status = event
                    continue
                case JobWarning():
                    warned += len(event.data) + _EVENT_BYTES
                    if warned <= _WARNINGS_BYTES:
                        warnings.append(event.data)
                    continue
                case JobData():
                    parts.append(event.data)
            room -= len(event.data) + _EVENT_BYTES
            if room < 0:
                raise JobError(job.handle, f"sent over {self.limits.result_bytes} bytes in parts; stream them")
        parts.append(await job.result())
        return Outcome(handle=job.handle, result=b"".join(parts), warnings=warnings, status=status)


async def while_there(receive: Receive, work: Callable[[], Awaitable[_T]]) -> _T:
    """Work for a peer for as long as it is there; its request must have been read to the end.

    Raises:
        ClientDisconnect: it has left, and the work was cancelled.
        Exception: what the work raised, as it is.
    """
    result: list[_T] = []
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_cancel_when_gone, receive, nursery.cancel_scope)
        try:
            result.append(await work())
        except Exception as exc:  # noqa: BLE001 - raised again outside of the nursery, which would wrap it
            failure = exc
        nursery.cancel_scope.cancel(reason="the work is done")
    if failure is not None:
        raise failure
    if not result:
        raise ClientDisconnect
    return result[0]


async def _cancel_when_gone(receive: Receive, scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel(reason="the peer has left")


def _too_long(limits: JobLimits) -> HTTPException:
    # What follows of the body is not read.
    return HTTPException(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the body: at most {limits.workload_bytes} bytes",
        {"Connection": "close"},
    )


def _busy(detail: str) -> HTTPException:
    return HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": "1"})
