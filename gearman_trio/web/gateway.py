"""gearmand's protocol over HTTP: the path is a function, the body a workload, and headers tell the rest.

| header of the request | value |
|---|---|
| `X-Gearman-Unique` | the unique ID |
| `X-Gearman-Priority` | `high`, `normal` or `low` |
| `X-Gearman-Background` | `true` or `false` |
| `Prefer` | `wait=SECONDS`, for how long to wait for the result (RFC 7240) |

The answer has the job handle in `X-Gearman-Job-Handle` and the name of the packet that ended the request in
`X-Gearman-Command`; its body is the result.  Where gearmand's own answers are of no use, and what is answered instead,
is in docs/how-to/call-over-http.md.

Source: gearmand 1.1.20 and 2.0, libgearman-server/plugins/protocol/http.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ..client import Priority
from ..errors import ConfigError, GearmanError, JobError, JobFailed, JobRaised
from ..server import Server
from .answers import NO_STORE
from .asking import path_bytes, wait_seconds
from .door import Door, JobLimits, Submission
from .problems import defect, problem_of
from .snapshot import package_version

__all__ = ["gateway_app", "make_gateway"]

_METHODS: Final = ("GET", "HEAD", "POST", "PUT")

#: As gearmand writes them, for programs that compare them letter by letter. ASGI has them in small letters.
_AS_WRITTEN: Final = {
    name.lower().encode(): name.encode()
    for name in ("X-Gearman-Job-Handle", "X-Gearman-Command", "Content-Length", "Content-Type", "Server")
}


def make_gateway(server: Server, *, limits: JobLimits | None = None) -> Starlette:
    """An ASGI application that runs jobs for whoever can reach it, by gearmand's protocol over HTTP.

    It has no life of its own, and belongs into the Trio event loop of the job server.

    Args:
        server: runs the jobs.
        limits: what these jobs may take.
    """
    return gateway_app(Door(server, limits or JobLimits()), refuse_browsers)


def gateway_app(door: Door, admit: Callable[[Request], None]) -> Starlette:
    """The application, to take jobs through a door from requests that are admitted."""
    gateway = _Gateway(door, admit)
    return Starlette(
        routes=[Route("/{function:path}", gateway, methods=list(_METHODS))],
        exception_handlers={HTTPException: gateway.refuse, Exception: defect},
    )


class _Gateway:
    def __init__(self, door: Door, admit: Callable[[Request], None]) -> None:
        self._door = door
        self._admit = admit
        self._headers = {**NO_STORE, "Server": f"Gearman/{package_version()}"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._door.request():
            response = await self._respond(Request(scope, receive, send))
            await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        """Run the job that a request asks for."""
        try:
            self._admit(request)
            async with self._door.body(request) as body:
                submission = _submission(request, body)
                if submission.background:
                    handle = await self._door.leave(submission, request)
                    return self._answer(request, "JOB_CREATED", handle, b"")
                outcome = await self._door.run(
                    submission, request, wait_seconds=wait_seconds(request, self._door.limits.wait_seconds)
                )
                return self._answer(request, "WORK_COMPLETE", outcome.handle, outcome.result)
        except JobFailed as exc:
            return self._answer(request, "WORK_FAIL", exc.handle, b"", HTTPStatus.BAD_GATEWAY)
        except JobRaised as exc:
            return self._answer(request, "WORK_EXCEPTION", exc.handle, exc.data, HTTPStatus.BAD_GATEWAY)
        except (GearmanError, HTTPException) as exc:
            return self._refusal(request, exc)
        except ClientDisconnect:
            # Nobody reads it.
            return Response(status_code=HTTPStatus.BAD_REQUEST)

    async def refuse(self, request: Request, exc: Exception) -> Response:
        """Answer what comes to no function."""
        assert isinstance(exc, HTTPException)
        if exc.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            allowed = ", ".join(_METHODS)
            exc = HTTPException(
                exc.status_code, f"expected one of {allowed}, got {request.method[:20]!r}", {"Allow": allowed}
            )
        return self._refusal(request, exc)

    def _refusal(self, request: Request, exc: GearmanError | HTTPException) -> Response:
        response = problem_of(exc)
        handle = exc.handle if isinstance(exc, JobError) else None
        return self._named(request, response, "ERROR", handle)

    def _answer(
        self,
        request: Request,
        command: str,
        handle: bytes | None,
        body: bytes,
        status: int = HTTPStatus.OK,
    ) -> Response:
        # Opaque bytes: no browser may take them for a page.
        response = Response(body, status, media_type="application/octet-stream")
        return self._named(request, response, command, handle)

    def _named(self, request: Request, response: Response, command: str, handle: bytes | None) -> Response:
        response.headers.update(self._headers)
        response.headers["X-Gearman-Command"] = command
        if handle is not None:
            response.headers["X-Gearman-Job-Handle"] = handle.decode("latin-1")
        if request.scope["http_version"].startswith("1"):
            response.raw_headers = [(_AS_WRITTEN.get(name, name), value) for name, value in response.raw_headers]
        return response


def refuse_browsers(request: Request) -> None:
    """Refuse what a page of somebody else has a browser send; programs send neither of these headers.

    Raises:
        HTTPException: that is what it is.
    """
    site = request.headers.get("sec-fetch-site", "none")
    if "origin" in request.headers or site not in {"none", "same-origin"}:
        raise HTTPException(HTTPStatus.FORBIDDEN, "pages in browsers may not run jobs here")


def _submission(request: Request, body: bytes) -> Submission:
    if request.url.query:
        raise HTTPException(
            HTTPStatus.BAD_REQUEST, "expected no query; a question mark in a function's name is written %3F"
        )
    return Submission(
        function=_function(request),
        workload=body,
        unique=request.headers.get("x-gearman-unique", "").encode("latin-1"),
        priority=_choice(request, "X-Gearman-Priority", Priority.NORMAL, *Priority),
        background=_choice(request, "X-Gearman-Background", "false", "true") == "true",
    )


def _function(request: Request) -> bytes:
    """The name of the function, byte for byte.

    Raises:
        HTTPException: there is none.
    """
    # Leading slashes are none of the name (gearmand).
    name = path_bytes(request).lstrip(b"/")
    if not name:
        raise HTTPException(HTTPStatus.NOT_FOUND, "expected the name of a function as the path, got none")
    return name


def _choice(request: Request, header: str, *allowed: str) -> str:
    """The value of a header in small letters; the first that is allowed where it is not there."""
    given = request.headers.get(header)
    value = allowed[0] if given is None else given.strip().lower()
    if value not in allowed:
        choices = ", ".join(dict.fromkeys(allowed))
        raise ConfigError(f"{header}: expected one of {choices}, got {given!r:.60}")
    return value
