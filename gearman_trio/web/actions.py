"""What people with the token can change: jobs and functions, by the broker's own operations, each with a log line."""

from __future__ import annotations

import json
import logging
from contextlib import aclosing
from http import HTTPStatus
from typing import Any, Final

import trio
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..core import PRIORITIES
from ..errors import GearmanError
from ..server import Server
from .answers import json_answer
from .failed import FailedJobs
from .guard import Keeper
from .jobs import find_handle, name_bytes
from .snapshot import text

__all__ = ["action_routes"]

logger = logging.getLogger(__name__)

#: The longest body of a request, of which the largest that makes sense is three numbers.
_BODY_BYTES: Final = 4096

#: How long a body may take to come.
_BODY_SECONDS: Final = 10.0

#: No queue is as long as the largest number that gearmand takes.
_MAX_LIMIT: Final = 10**18 - 1


def action_routes(server: Server, failed: FailedJobs, keeper: Keeper) -> list[Route]:
    """Where something is changed."""
    actions = _Actions(server, failed, keeper)
    return [
        Route("/api/v1/token", actions.token, methods=["GET", "POST"]),
        Route("/api/v1/jobs/{handle:path}/cancel", actions.cancel, methods=["POST"]),
        Route("/api/v1/jobs/{handle:path}/requeue", actions.requeue, methods=["POST"]),
        Route("/api/v1/failed/{handle:path}/requeue", actions.submit_again, methods=["POST"]),
        Route("/api/v1/functions/{name:path}/pause", actions.pause, methods=["POST"]),
        Route("/api/v1/functions/{name:path}/resume", actions.resume, methods=["POST"]),
        Route("/api/v1/functions/{name:path}/purge", actions.purge, methods=["POST"]),
        Route("/api/v1/functions/{name:path}/maxqueue", actions.maxqueue, methods=["POST"]),
    ]


class _Actions:
    """The actions."""

    def __init__(self, server: Server, failed: FailedJobs, keeper: Keeper) -> None:
        self._server = server
        self._failed = failed
        self._operator = server.operator
        self._keeper = keeper

    async def token(self, request: Request) -> Response:
        """GET: whether there is one; POST: whether it is this one."""
        if request.method == "POST":
            self._keeper.admit(request)
        return json_answer({"read_only": self._keeper.read_only})

    async def cancel(self, request: Request) -> Response:
        self._keeper.admit(request)
        handle = find_handle(request)
        if not self._operator.cancel(handle):
            raise _no_job(handle)
        return _done(request, "cancelled job", text(handle))

    async def requeue(self, request: Request) -> Response:
        self._keeper.admit(request)
        handle = find_handle(request)
        if self._operator.job(handle) is None:
            raise _no_job(handle)
        objection = self._operator.requeue(handle)
        if objection:
            raise HTTPException(HTTPStatus.CONFLICT, objection)
        return _done(request, "requeued job", text(handle))

    async def submit_again(self, request: Request) -> Response:
        self._keeper.admit(request)
        handle = find_handle(request)
        failure = self._failed.find(handle)
        if failure is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, f"{text(handle)[:100]!r} is none of the last jobs that failed")
        try:
            again = await self._failed.submit_again(failure)
        except ValueError as exc:
            raise HTTPException(HTTPStatus.CONFLICT, str(exc)) from exc
        except (GearmanError, OSError, trio.TooSlowError) as exc:
            reason = f"the server does not take the job: {str(exc) or 'it does not answer'}"
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, reason) from exc
        return _done(request, "submitted again", text(handle), handle=text(again))

    async def pause(self, request: Request) -> Response:
        self._keeper.admit(request)
        name = self._function(request)
        if not self._operator.pause(name):
            raise _no_function(name)
        return _done(request, "paused function", text(name))

    async def resume(self, request: Request) -> Response:
        self._keeper.admit(request)
        name = self._function(request)
        if not self._operator.resume(name):
            raise _no_function(name)
        return _done(request, "resumed function", text(name))

    async def purge(self, request: Request) -> Response:
        self._keeper.admit(request)
        name = self._function(request)
        ended = await self._operator.purge(name)
        if ended is None:
            raise _no_function(name)
        return _done(request, "purged function", text(name), jobs=ended)

    async def maxqueue(self, request: Request) -> Response:
        self._keeper.admit(request)
        name = self._function(request)
        limits = _limits(await _json_body(request))
        if not self._operator.limit(name, **limits):
            raise _no_function(name)
        return _done(request, "limited function", text(name), **limits)

    def _function(self, request: Request) -> bytes:
        return name_bytes(self._server, request.path_params["name"])


def _done(request: Request, what: str, name: str, **details: int | str) -> Response:
    # A warning, so that it is there whatever else is logged: somebody will ask who did it.
    address = "an unknown address" if request.client is None else request.client.host
    more = "".join(f", {key}: {value}" for key, value in details.items())
    logger.warning("web: somebody at %s %s %r%s", address, what, name, more)
    return json_answer({"done": f"{what} {name}", **details})


def _limits(body: Any) -> dict[str, int]:
    """A limit for each priority."""
    limits = dict.fromkeys(PRIORITIES, 0)
    if not isinstance(body, dict) or not body.keys() <= limits.keys():
        raise HTTPException(
            HTTPStatus.BAD_REQUEST, 'expected a JSON object such as {"high": 0, "normal": 1000, "low": 1000}'
        )
    for name, given in body.items():
        # 5.0 is a whole number to JSON.
        value = int(given) if isinstance(given, float) and given.is_integer() else given
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MAX_LIMIT:
            raise HTTPException(
                HTTPStatus.BAD_REQUEST, f"{name}: expected a number of jobs, 0 for no limit, got {str(value)[:50]!r}"
            )
        limits[name] = value
    return limits


async def _json_body(request: Request) -> Any:
    body = b""
    with trio.move_on_after(_BODY_SECONDS) as scope:
        async with aclosing(request.stream()) as chunks:
            async for chunk in chunks:
                body += chunk
                if len(body) > _BODY_BYTES:
                    raise HTTPException(
                        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected a body of at most {_BODY_BYTES} bytes"
                    )
    if scope.cancelled_caught:
        raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, f"the body did not come within {_BODY_SECONDS:g} seconds")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"the body is no JSON: {exc}") from exc


def _no_job(handle: bytes) -> HTTPException:
    return HTTPException(HTTPStatus.NOT_FOUND, f"no live job {text(handle)[:100]!r}")


def _no_function(name: bytes) -> HTTPException:
    return HTTPException(HTTPStatus.NOT_FOUND, f"no function {text(name)[:100]!r}")
