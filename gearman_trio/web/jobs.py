"""Single jobs as JSON: those of a state, page by page; one, with the beginning of its workload; those that failed."""

from __future__ import annotations

import base64
import binascii
import json
from http import HTTPStatus
from math import inf
from typing import Any, Final

import trio
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..core import PRIORITIES, Failure, JobQuery, JobStatistics
from ..server import Server
from .answers import MAX_PAGE, PAGE, json_answer, page_answer, whole_number
from .failed import FailedJobs
from .snapshot import text

__all__ = ["find_handle", "job_routes", "job_value", "name_bytes"]

#: How much of a workload is shown.
_PREVIEW_BYTES: Final = 4096

#: How many searches go on at once: each is short, but a million jobs have many pages.
_SEARCHES: Final = 4

_STATES: Final = ("queued", "running", "scheduled")


def job_routes(server: Server, failed: FailedJobs, *, hide_workloads: bool) -> list[Route]:
    """Where single jobs are told of."""
    jobs = _Jobs(server, failed, hide_workloads=hide_workloads)
    return [
        Route("/api/v1/failed", jobs.failed),
        Route("/api/v1/jobs", jobs.page),
        Route("/api/v1/scheduled", jobs.scheduled),
        Route("/api/v1/jobs/{handle:path}", jobs.job),
    ]


class _Jobs:
    """The answers."""

    def __init__(self, server: Server, failed: FailedJobs, *, hide_workloads: bool) -> None:
        self._server = server
        self._failed = failed
        self._hide_workloads = hide_workloads
        self._searches = trio.CapacityLimiter(_SEARCHES)

    async def page(self, request: Request) -> Response:
        return await self._page(request, request.query_params.get("state", "queued"))

    async def scheduled(self, request: Request) -> Response:
        return await self._page(request, "scheduled")

    async def failed(self, request: Request) -> Response:
        name = request.query_params.get("function")
        failures = self._failed.newest(name_bytes(self._server, name) if name else None)
        return page_answer(request, "failed", failures, self._failed.value)

    async def job(self, request: Request) -> Response:
        handle = find_handle(request)
        job = self._server.operator.job(handle)
        if job is not None:
            shown = None if job.spilled else self._server.operator.workload(handle, _PREVIEW_BYTES)
            value = {**job_value(job, self._clock()), "live": True, "timeline": _timeline(job, self._clock())}
            value["spilled"] = shown is None
            return self._with_workload(value, shown, job.workload_bytes)
        failure = self._failed.find(handle)
        if failure is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"no live job {text(handle)[:100]!r}")
        value = {**self._failed.value(failure), "live": False, "timeline": _last_words(failure, self._clock())}
        had = {"connection": 0, "address": failure.address, "client_id": text(failure.worker)}
        worker = None if failure.ran is None else had
        kept = None if failure.workload is None else bytes(failure.workload[:_PREVIEW_BYTES])
        value = {**value, "worker": worker, "spilled": failure.spilled}
        return self._with_workload(value, kept, failure.workload_bytes)

    def _with_workload(self, value: dict[str, Any], shown: bytes | None, size: int) -> Response:
        hidden = self._hide_workloads
        seen = None if hidden or shown is None else preview(shown, size)
        return json_answer({**value, "workload": seen, "workload_hidden": hidden})

    def _clock(self) -> float:
        """Epoch seconds minus monotonic seconds."""
        return self._server.epoch() - trio.current_time()

    async def _page(self, request: Request, state: str) -> Response:
        query = self._query(request, state)
        limit = whole_number(request, "limit", default=PAGE, least=1, most=MAX_PAGE)
        async with self._searches:
            try:
                page = await self._server.operator.find(query, limit=limit)
            except ValueError as exc:
                raise HTTPException(HTTPStatus.BAD_REQUEST, "after: expected what the page before gave") from exc
        after = base64.urlsafe_b64encode(page.after).decode().rstrip("=") or None
        clock = self._clock()
        rows = [job_value(job, clock) for job in page.jobs]
        return json_answer({"jobs": rows, "after": after, "looked_at": page.looked_at})

    def _query(self, request: Request, state: str) -> JobQuery:
        given = request.query_params
        priority = given.get("priority", "")
        unique = given.get("unique", "")
        if state not in _STATES and not (state == "any" and unique and not unique.endswith("*")):
            raise HTTPException(
                HTTPStatus.BAD_REQUEST,
                f"state: expected queued, running or scheduled, or any with a whole unique ID, got {state[:50]!r}",
            )
        if priority and priority not in PRIORITIES:
            raise HTTPException(
                HTTPStatus.BAD_REQUEST, f"priority: expected {', '.join(PRIORITIES)}, got {priority[:50]!r}"
            )
        older = whole_number(request, "older", default=0, least=0, most=10**9)
        return JobQuery(
            "" if state == "any" else state,
            function=name_bytes(self._server, given["function"]) if given.get("function") else None,
            priority=priority,
            unique=unique.removesuffix("*").encode("utf-8", "surrogateescape"),
            prefix=unique.endswith("*"),
            before=trio.current_time() - older if older else inf,
            after=_cursor(given.get("after", "")),
        )


def job_value(job: JobStatistics, clock: float) -> dict[str, Any]:
    """One job; ``progress`` is a share from 0 to 1, or None where its worker has told none.

    Args:
        job: which.
        clock: epoch seconds minus monotonic seconds.
    """
    return {
        "handle": text(job.handle),
        "function": text(job.function),
        "unique": text(job.unique),
        "priority": job.priority,
        "state": job.state,
        "background": job.background,
        "attempts": job.attempts,
        "run_at": job.run_at or None,
        "created_at": round(clock + job.created_at, 3),
        "since": round(clock + job.since, 3),
        "reducer": text(job.reducer),
        "workload_bytes": job.workload_bytes,
        "clients": job.clients,
        "stored": job.stored,
        "spilled": job.spilled,
        "worker": {"connection": job.worker, "address": job.worker_address, "client_id": text(job.worker_id)}
        if job.worker
        else None,
        "time_limit": job.time_limit,
        "numerator": text(job.numerator),
        "denominator": text(job.denominator),
        "progress": _progress(job.numerator, job.denominator),
    }


def preview(workload: bytes, size: int) -> dict[str, Any]:
    """The beginning of a workload as what it looks like: ``json``, ``text``, or ``hex``, sixteen bytes a line.

    Args:
        workload: the beginning.
        size: how long all of it is.
    """
    cut = len(workload) < size
    shown: dict[str, Any] = {"bytes": size, "shown_bytes": len(workload)}
    # A character of several bytes may be cut in two.
    for end in range(len(workload), max(-1, len(workload) - (4 if cut else 1)), -1):
        try:
            words = workload[:end].decode()
        except UnicodeDecodeError:
            continue
        if all(character.isprintable() or character in "\t\r\n" for character in words):
            return {**shown, "kind": "json" if not cut and _is_json(words) else "text", "text": words}
        break
    lines = [
        f"{start:08x}  {workload[start : start + 16].hex(' '):47}  {_ascii(workload[start : start + 16])}"
        for start in range(0, len(workload), 16)
    ]
    return {**shown, "kind": "hex", "text": "\n".join(lines)}


def find_handle(request: Request) -> bytes:
    """The handle in a path, as the server has it."""
    handle: str = request.path_params["handle"]
    return handle.encode("utf-8", "surrogateescape")


def name_bytes(server: Server, name: str) -> bytes:
    r"""The function that is shown under a name; those that are no UTF-8 are shown with ``\xff``."""
    if "\\x" in name:
        for function in server.statistics().functions:
            if text(function.name) == name:
                return function.name
    return name.encode("utf-8", "surrogateescape")


def _timeline(job: JobStatistics, clock: float) -> list[dict[str, Any]]:
    """What has happened to a job, and what is to come, with epoch seconds where they are known."""
    events: list[dict[str, Any]] = [{"what": "submitted", "time": round(clock + job.created_at, 3)}]
    if job.run_at:
        events.append({"what": "to be run", "time": job.run_at})
    before = job.attempts - 1 if job.state == "running" else job.attempts
    if before:
        what = "once, without an end" if before == 1 else f"{before} times, without an end"
        events.append({"what": f"given to a worker {what}", "time": None})
    if job.state == "running":
        events.append({"what": f"attempt {job.attempts} began", "time": round(clock + job.since, 3)})
    elif job.state != "scheduled":
        events.append({"what": f"{job.state}", "time": round(clock + job.since, 3)})
    return events


def _last_words(failure: Failure, clock: float) -> list[dict[str, Any]]:
    """The end of a job that failed."""
    ended = clock + failure.ended_at
    end = {"what": f"ended: {failure.outcome.replace('_', ' ')}", "time": round(ended, 3)}
    if failure.ran is None:
        # No worker had it.
        return [end]
    return [{"what": f"attempt {failure.attempts} began", "time": round(ended - failure.ran, 3)}, end]


def _progress(numerator: bytes, denominator: bytes) -> float | None:
    try:
        done, whole = float(numerator), float(denominator)
        return min(1.0, max(0.0, done / whole))
    except (ValueError, ZeroDivisionError):
        return None


def _cursor(after: str) -> bytes:
    try:
        return base64.b64decode(after + "=" * (-len(after) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as exc:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "after: expected what the page before gave") from exc


def _is_json(words: str) -> bool:
    if not words.lstrip().startswith(("{", "[")):
        return False
    try:
        json.loads(words)
    except (ValueError, RecursionError):
        return False
    return True


def _ascii(data: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data)
