"""A foreground job as it goes on, event by event: server-sent events, or lines of JSON.

| event | members |
|---|---|
| `created` | `handle` |
| `data` | `data`: a part of the result |
| `warning` | `warning`: what the worker warns of |
| `status` | `numerator`, `denominator`: how far it is |
| `complete` | `result`: the last part of the result |
| `fail` | none |
| `exception` | `exception`: what the worker said of it |
| `error` | `detail`: why nothing more is told: the time is up, the job server ends |

The last four end the stream.  Bytes that are no UTF-8 are in base64, in members whose name ends in ``_base64``.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, Final

import trio
from starlette.requests import ClientDisconnect, Request
from starlette.types import Send

from ..client import ForegroundJob, JobData, JobEvent, JobStatus, JobWarning
from ..errors import GearmanError, JobFailed, JobRaised
from .answers import NO_STORE
from .content import gather_pieces, json_pieces
from .door import Door, JobNotDone, Submission, while_there
from .snapshot import text

__all__ = ["EVENT_STREAM", "NDJSON", "stream_job"]

EVENT_STREAM: Final = "text/event-stream"
NDJSON: Final = "application/x-ndjson"

#: Proxies take a stream on which nothing comes for a broken one, after a minute mostly.
_SILENCE_SECONDS: Final = 15.0


async def stream_job(
    door: Door, submission: Submission, request: Request, send: Send, *, media_type: str, wait_seconds: float
) -> None:
    """Run a foreground job, and answer a request with what comes of it.

    Raises:
        HTTPException: too many requests wait; nothing was sent.
        GearmanError: the job was not taken; nothing was sent.
    """
    stream = _Stream(send, media_type)

    async def work() -> None:
        with trio.move_on_after(wait_seconds) as patience:
            async with door.watch(submission, request) as job:
                await stream.begin(job.handle)
                await stream.tell_all(job)
        if patience.cancelled_caught:
            error = JobNotDone(stream.handle, wait_seconds)
            if stream.handle is None:
                raise error
            await stream.end("error", {"detail": str(error)})

    try:
        await while_there(request.receive, work)
    except ClientDisconnect:
        # Nobody reads what would be said.
        return


class _Stream:
    """What is sent of one job.

    Attributes:
        handle: of the job, once the answer has begun.
    """

    def __init__(self, send: Send, media_type: str) -> None:
        self.handle: bytes | None = None
        self._send = send
        self._media_type = media_type

    async def begin(self, handle: bytes) -> None:
        """Begin the answer."""
        self.handle = handle
        headers = {
            **NO_STORE,
            "Content-Type": self._media_type,
            # Or nginx would collect events before it hands them on.
            "X-Accel-Buffering": "no",
            "X-Gearman-Job-Handle": handle.decode("latin-1"),
        }
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": int(HTTPStatus.OK), "headers": raw})
        await self._tell("created", {"handle": text(handle)})

    async def tell_all(self, job: ForegroundJob) -> None:
        """Tell of the job until it ends."""
        try:
            while True:
                try:
                    await self._tell_event(await self._next(job))
                except StopAsyncIteration:
                    break
            await self.end("complete", {}, "result", await job.result())
        except JobFailed:
            await self.end("fail", {})
        except JobRaised as exc:
            await self.end("exception", {}, "exception", exc.data)
        except GearmanError as exc:
            await self.end("error", {"detail": str(exc)})

    async def end(self, name: str, members: dict[str, Any], content: str = "", data: bytes = b"") -> None:
        """Tell the last event."""
        await self._tell(name, members, content, data)
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _next(self, job: ForegroundJob) -> JobEvent:
        while True:
            with trio.move_on_after(_SILENCE_SECONDS):
                return await job.__anext__()
            if self._media_type == EVENT_STREAM:
                await self._write(b": the job goes on\n\n")

    async def _tell_event(self, event: JobEvent) -> None:
        match event:
            case JobData(data=data):
                await self._tell("data", {}, "data", data)
            case JobWarning(data=data):
                await self._tell("warning", {}, "warning", data)
            case JobStatus(numerator=numerator, denominator=denominator):
                await self._tell("status", {"numerator": numerator, "denominator": denominator})

    async def _tell(self, name: str, members: dict[str, Any], content: str = "", data: bytes = b"") -> None:
        if self._media_type == EVENT_STREAM:
            begin, end = f"event: {name}\ndata: ".encode(), b"\n\n"
        else:
            begin, end = b"", b"\n"
            members = {"event": name, **members}
        whole = json.dumps(members, separators=(",", ":")).encode()
        await gather_pieces(self._write, [begin], json_pieces(members, content, data) if content else [whole], [end])

    async def _write(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})
