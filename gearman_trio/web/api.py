"""Jobs through the JSON interface: submitted in the background or the foreground, streamed, and asked for later.

| path | does |
|---|---|
| `POST /api/v1/functions/NAME/jobs` | submits a job |
| `GET /api/v1/jobs/HANDLE/result` | tells how a job has ended that was submitted with ``Prefer: respond-async`` |
| `GET /api/v1/openapi.json` | describes the interface (OpenAPI 3.1) |
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from http import HTTPStatus
from importlib.resources import files
from typing import Any, Final
from urllib.parse import quote_from_bytes

import trio
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ..client import JobStatus, Priority
from ..errors import ConfigError, GearmanError
from ..names import function_name, unique_id
from .answers import NO_STORE
from .asking import accepted_type, path_bytes, prefers, wait_seconds
from .content import content_member, gather_pieces, json_pieces, read_content
from .door import Door, JobLimits, Outcome, Submission, while_there
from .problems import problem_of
from .results import Kept, Results
from .snapshot import package_version, text
from .streamed import EVENT_STREAM, NDJSON, stream_job

__all__ = ["Api"]

_JSON: Final = "application/json"
_BYTES: Final = "application/octet-stream"

#: What may be said of a job, in the query or in an object of JSON.
_OPTIONS: Final = ("unique", "priority", "background", "run_at", "delay")

#: As words in a query.
_FLAGS: Final = {"true": True, "false": False}

#: A result that is so short is made into JSON at once.
_AT_ONCE_BYTES: Final = 65536

#: What a job server can be told, and more than anybody wants to wait.
_MAX_SECONDS: Final = 1e15

_FUNCTIONS: Final = b"/api/v1/functions/"
_JOBS: Final = b"/jobs"


class Api:
    """The routes.

    Args:
        results: takes the jobs. Unless somebody runs it, a request with ``respond-async`` waits as others do.
        admit: returns if a request may submit jobs, and raises `HTTPException` if it may not.
    """

    def __init__(self, results: Results, admit: Callable[[Request], None]) -> None:
        self._results = results
        self._door = results.door
        self._admit = admit
        self._description = _description()

    def routes(self) -> list[Route]:
        """They come before others that begin as they do."""
        return [
            Route("/api/v1/openapi.json", self._describe),
            Route("/api/v1/functions/{name:path}/jobs", _Endpoint(self._door, self._submit), methods=["POST"]),
            Route("/api/v1/jobs/{handle:path}/result", _Endpoint(self._door, self._result), methods=["GET"]),
        ]

    async def _describe(self, request: Request) -> Response:
        root = request.scope.get("root_path", "")
        return JSONResponse({**self._description, "servers": [{"url": root or "/"}]}, headers=NO_STORE)

    async def _submit(self, request: Request, send: Send) -> Response | None:
        self._admit(request)
        media_type = accepted_type(request, (_JSON, _BYTES, EVENT_STREAM, NDJSON))
        wait = wait_seconds(request, self._door.limits.wait_seconds)
        async with self._door.body(request) as body:
            submission = _read(request, body, self._door.limits)
            if submission.background:
                handle = await self._door.leave(submission, request)
                return _created(request, submission, handle, "")
            if media_type in {EVENT_STREAM, NDJSON}:
                await stream_job(self._door, submission, request, send, media_type=media_type, wait_seconds=wait)
                return None
            if prefers(request, "respond-async") and self._results.kept:
                kept = await while_there(request.receive, lambda: self._start(submission, request, wait))
                if not kept.ended.is_set():
                    assert kept.handle is not None
                    return _created(request, submission, kept.handle, "/result")
                outcome = kept.outcome()
            else:
                outcome = await self._door.run(submission, request, wait_seconds=wait)
            return _Result(outcome, media_type)

    async def _start(self, submission: Submission, request: Request, wait: float) -> Kept:
        kept = await self._results.start(submission, request)
        # Who does not say how long wants to know the handle, not to wait.
        with trio.move_on_after(wait if prefers(request, "wait") else 0):
            await kept.ended.wait()
        return kept

    async def _result(self, request: Request, send: Send) -> Response | None:
        self._admit(request)
        media_type = accepted_type(request, (_JSON, _BYTES))
        wait = wait_seconds(request, self._door.limits.wait_seconds) if prefers(request, "wait") else 0.0
        handle: str = request.path_params["handle"]
        kept = self._results.find(handle.encode())
        if kept is None:
            raise HTTPException(
                HTTPStatus.NOT_FOUND,
                f"no result of {handle[:100]!r} is kept; those of jobs with 'Prefer: respond-async' are, "
                f"for {self._door.limits.kept_seconds:g} seconds",
            )
        # Read to its end, as `while_there` expects.
        async with self._door.body(request):
            await while_there(request.receive, lambda: _wait_ended(kept, wait))
        if not kept.ended.is_set():
            return JSONResponse({"handle": handle}, HTTPStatus.ACCEPTED, headers={**NO_STORE, "Retry-After": "1"})
        return _Result(kept.outcome(), media_type)


class _Endpoint:
    """An ASGI application that answers with a response, or has sent one itself; errors become problem details."""

    def __init__(self, door: Door, answer: Callable[[Request, Send], Awaitable[Response | None]]) -> None:
        self._door = door
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._door.request():
            response = await self._respond(Request(scope, receive, send), send)
            if response is not None:
                await response(scope, receive, send)

    async def _respond(self, request: Request, send: Send) -> Response | None:
        try:
            return await self._answer(request, send)
        except (GearmanError, HTTPException) as exc:
            return problem_of(exc)
        except ClientDisconnect:
            return None


class _Result(Response):
    """The result of a job; a long one as JSON in pieces, which are made as they are sent."""

    def __init__(self, outcome: Outcome, media_type: str) -> None:
        handle = {"X-Gearman-Job-Handle": outcome.handle.decode("latin-1")}
        self._pieces: Iterator[bytes] | None = None
        body = outcome.result
        if media_type == _JSON:
            members = {
                "handle": text(outcome.handle),
                "status": _status(outcome.status),
                "warnings": [content_member("warning", warning) for warning in outcome.warnings],
            }
            self._pieces = json_pieces(members, "result", outcome.result)
            body = b""
            if len(outcome.result) <= _AT_ONCE_BYTES:
                body, self._pieces = b"".join(self._pieces), None
        super().__init__(body, headers={**NO_STORE, **handle}, media_type=media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._pieces is None:
            await super().__call__(scope, receive, send)
            return
        headers = [(name, value) for name, value in self.raw_headers if name != b"content-length"]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})

        async def write(data: bytes) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": True})

        await gather_pieces(write, self._pieces)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _status(status: JobStatus | None) -> dict[str, int] | None:
    return None if status is None else {"numerator": status.numerator, "denominator": status.denominator}


async def _wait_ended(kept: Kept, seconds: float) -> None:
    with trio.move_on_after(seconds):
        await kept.ended.wait()


def _created(request: Request, submission: Submission, handle: bytes, more: str) -> Response:
    """A job is there, and its end is not waited for."""
    root = request.scope.get("root_path", "")
    return JSONResponse(
        {"handle": text(handle), "background": submission.background},
        HTTPStatus.ACCEPTED,
        headers={**NO_STORE, "Location": f"{root}/api/v1/jobs/{quote_from_bytes(handle)}{more}"},
    )


def _read(request: Request, body: bytes, limits: JobLimits) -> Submission:
    """What a request wants to submit.

    Raises:
        HTTPException, ConfigError: it does not say that.
    """
    name = path_bytes(request).removeprefix(_FUNCTIONS).removesuffix(_JOBS)
    options = _query_options(request)
    # Also where an object of JSON says something else, which counts: it must make sense.
    submission = _submission(function_name(name), body, options)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == _JSON:
        content = _read_object(body, limits)
        try:
            workload = read_content(content, "workload")
        except ValueError as exc:
            raise ConfigError(str(exc)) from exc
        submission = _submission(submission.function, workload, options | content)
    if not submission.background and (submission.run_at is not None or submission.delay is not None):
        raise ConfigError("run_at and delay: only a job in the background can start later")
    return submission


def _submission(function: bytes, workload: bytes, options: dict[str, Any]) -> Submission:
    """What is said of a job, checked one by one and together.

    Raises:
        ConfigError: it cannot be said.
    """
    unknown = options.keys() - set(_OPTIONS)
    if unknown:
        raise ConfigError(f"expected {', '.join(_OPTIONS)}, workload or workload_base64, got {min(unknown)[:50]!r}")
    submission = Submission(
        function=function,
        workload=workload,
        unique=_unique(options),
        priority=_text(options, "priority", Priority.NORMAL),
        background=options.get("background", False),
        run_at=_seconds(options, "run_at"),
        delay=_seconds(options, "delay"),
    )
    if not isinstance(submission.background, bool):
        raise ConfigError(f"background: expected true or false, got {submission.background!r:.50}")
    if submission.priority not in set(Priority):
        raise ConfigError(f"priority: expected 'high', 'normal' or 'low', got {submission.priority[:50]!r}")
    return submission


def _read_object(body: bytes, limits: JobLimits) -> dict[str, Any]:
    if len(body) > limits.json_bytes:
        raise HTTPException(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"a body of JSON: at most {limits.json_bytes} bytes; larger workloads are sent as they are, as {_BYTES}",
        )
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise ConfigError(f"the body: expected JSON, got something else: {exc}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"the body: expected an object of JSON, got {type(content).__name__}")
    return content


def _query_options(request: Request) -> dict[str, Any]:
    """Options as they stand in the query, read as JSON would have them."""
    options: dict[str, Any] = {}
    for name, given in request.query_params.multi_items():
        if name in options:
            raise ConfigError(f"{name[:50]}: expected it once")
        options[name] = given
        if name == "background":
            options[name] = _FLAGS.get(given, given)
        elif name in {"run_at", "delay"}:
            try:
                options[name] = float(given)
            except ValueError:
                raise ConfigError(f"{name}: expected a number of seconds, got {given[:50]!r}") from None
    return options


def _text(options: dict[str, Any], name: str, default: str) -> str:
    given = options.get(name, default)
    if not isinstance(given, str):
        raise ConfigError(f"{name}: expected a string, got {type(given).__name__}")
    try:
        given.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{name}: expected text, got half a surrogate pair") from None
    return given


def _unique(options: dict[str, Any]) -> bytes:
    """The unique ID: 64 bytes, told in characters, for a description can count nothing else."""
    unique = _text(options, "unique", "")
    if len(unique) > (64 if unique.isascii() else 16):
        raise ConfigError(
            f"unique: expected at most 64 characters of ASCII, or 16 of any kind, got {len(unique)}: {unique[:20]!r}..."
        )
    return unique_id(unique)


def _seconds(options: dict[str, Any], name: str) -> float | None:
    if name not in options:
        return None
    given = options[name]
    if isinstance(given, bool) or not isinstance(given, int | float) or not -_MAX_SECONDS < given < _MAX_SECONDS:
        raise ConfigError(f"{name}: expected a number of seconds, got {given!r:.50}")
    return given


def _description() -> dict[str, Any]:
    """The description in OpenAPI's words."""
    words = files(__package__).joinpath("openapi.json").read_text(encoding="utf-8")
    description: dict[str, Any] = json.loads(words)
    description["info"]["version"] = package_version()
    return description
