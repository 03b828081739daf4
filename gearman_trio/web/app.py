"""The ASGI application.

| path | answers |
|---|---|
| `/` | a page for people |
| `/healthz` | 200 as long as anything is answered |
| `/readyz` | 200 while new jobs are taken, else 503 and why not |
| `/metrics` | Prometheus' text format |
| `/api/v1/server` | the server as a whole, with its counts |
| `/api/v1/functions`, `/api/v1/functions/NAME` | each function, one function |
| `/api/v1/workers` | each connection with abilities |
| `/api/v1/history` | the last hour, column by column |
| `/api/v1/events` | server-sent events: what changes, once a second |

Every error is JSON: ``{"error": {"status": 404, "message": "..."}}``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any, Final, TypeVar

import attrs
import trio
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ..core import FunctionStatistics
from ..server import Server
from .history import History, Sample
from .live import Live
from .metrics import Metrics
from .page import make_page
from .snapshot import function_value, server_value, text, worker_value

__all__ = ["make_app"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: How many rows a page of a table has unless `limit` says otherwise, and how many it may have.
_PAGE: Final = 100
_MAX_PAGE: Final = 1000

_NO_STORE: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def make_app(
    server: Server, *, history: History | None = None, max_event_streams: int = 100, max_metric_functions: int = 500
) -> Starlette:
    """An ASGI application that shows a job server. It has no life of its own: no start-up, no background task.

    It belongs into the same Trio event loop as the server, so an ASGI server that hosts it has to run on Trio.

    Args:
        server: what is shown; it may be draining, or have ended.
        history: what `/api/v1/history` tells; whoever gives it runs it. Without one that is empty.
        max_event_streams: how many readers `/api/v1/events` has at once; more are answered with 503.
        max_metric_functions: how many functions have label values of their own in `/metrics`.
    """
    site = _Site(server, history or History(server), max_event_streams, max_metric_functions)
    return Starlette(
        routes=[
            Route("/", site.page),
            Route("/healthz", site.healthz),
            Route("/readyz", site.readyz),
            Route("/metrics", site.metrics),
            Route("/api/v1/server", site.server),
            Route("/api/v1/functions", site.functions),
            Route("/api/v1/functions/{name:path}", site.function),
            Route("/api/v1/workers", site.workers),
            Route("/api/v1/history", site.history),
            Route("/api/v1/events", site.events),
        ],
        exception_handlers={HTTPException: _refusal, Exception: _defect},
    )


class _Site:
    """The answers."""

    def __init__(self, server: Server, history: History, max_event_streams: int, max_metric_functions: int) -> None:
        self._server = server
        self._history = history
        self._live = Live(server, history)
        self._metrics = Metrics(functions=max_metric_functions)
        self._one_exposition = trio.CapacityLimiter(1)
        self._page = make_page()
        self._max_event_streams = max_event_streams
        # The responses that are being sent.
        self._open_streams: set[_Counted] = set()

    async def page(self, request: Request) -> Response:
        return self._page

    async def healthz(self, request: Request) -> Response:
        return _json({"alive": True})

    async def readyz(self, request: Request) -> Response:
        reason = self._server.why_not_ready()
        if reason:
            return _json({"ready": False, "reason": reason}, HTTPStatus.SERVICE_UNAVAILABLE)
        return _json({"ready": True})

    async def metrics(self, request: Request) -> Response:
        # In a thread, because it takes tens of milliseconds where there are many functions, and jobs must not wait.
        body = await trio.to_thread.run_sync(
            self._metrics.exposition,
            self._server.statistics(peers=False),
            self._history.lag,
            limiter=self._one_exposition,
        )
        return Response(body, headers={**_NO_STORE, "Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    async def server(self, request: Request) -> Response:
        statistics = self._server.statistics(peers=False)
        return _json({**server_value(self._server, statistics), "lag_seconds": self._history.lag})

    async def functions(self, request: Request) -> Response:
        return _page(request, "functions", self._server.functions(), self._function_value)

    async def function(self, request: Request) -> Response:
        name = request.path_params["name"]
        for function in self._server.functions():
            if text(function.name) == name:
                return _json(self._function_value(function))
        raise HTTPException(HTTPStatus.NOT_FOUND, f"no function {name!r}")

    async def workers(self, request: Request) -> Response:
        statistics = self._server.statistics()
        able = [peer for peer in statistics.peers if peer.abilities]
        return _page(request, "workers", able, partial(worker_value, clock=statistics.epoch - statistics.time))

    async def history(self, request: Request) -> Response:
        count = _whole_number(request, "samples", default=3600, least=1, most=3600)
        samples = list(self._history.samples)[-count:]
        names = [field.name for field in attrs.fields(Sample)]
        columns = {name: [getattr(sample, name) for sample in samples] for name in names}
        return _json({"interval_seconds": self._history.interval_seconds, **columns})

    def _function_value(self, function: FunctionStatistics) -> dict[str, Any]:
        now = trio.current_time()
        return function_value(function, self._history.recent.rates(function, now), self._server.epoch() - now)

    async def events(self, request: Request) -> Response:
        if len(self._open_streams) >= self._max_event_streams:
            raise HTTPException(
                HTTPStatus.SERVICE_UNAVAILABLE, f"{self._max_event_streams} event streams are open, which is the limit"
            )
        # X-Accel-Buffering: or nginx would collect events before it hands them on.
        headers = {**_NO_STORE, "X-Accel-Buffering": "no", "Content-Type": "text/event-stream"}
        if request.method == "HEAD":
            return Response(headers=headers)
        return _Counted(self._open_streams, StreamingResponse(self._live.events(), headers=headers))


class _Counted(Response):
    """Another response, which is in a set while it is being sent."""

    def __init__(self, being_sent: set[_Counted], response: Response) -> None:
        self._being_sent = being_sent
        self._response = response
        # Starlette's routing looks at it.
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._being_sent.add(self)
        try:
            await self._response(scope, receive, send)
        finally:
            self._being_sent.discard(self)


def _json(content: Any, status: int = HTTPStatus.OK) -> Response:
    return JSONResponse(content, status, headers=_NO_STORE)


def _page(request: Request, name: str, rows: list[T], value: Callable[[T], dict[str, Any]]) -> Response:
    """Some rows of a table, with how many there are in all."""
    limit = _whole_number(request, "limit", default=_PAGE, least=1, most=_MAX_PAGE)
    offset = _whole_number(request, "offset", default=0, least=0, most=2**63)
    return _json({name: [value(row) for row in rows[offset : offset + limit]], "total": len(rows), "offset": offset})


def _whole_number(request: Request, name: str, *, default: int, least: int, most: int) -> int:
    given = request.query_params.get(name)
    if given is None:
        return default
    # Longer ones are slow to read, and none of them is allowed.
    if not (given.isascii() and given.isdigit() and len(given) < 20) or not least <= int(given) <= most:
        raise HTTPException(
            HTTPStatus.BAD_REQUEST, f"{name}: expected a whole number from {least} to {most}, got {given[:50]!r}"
        )
    return int(given)


async def _refusal(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    message, headers = exc.detail, {**_NO_STORE, **(exc.headers or {})}
    if exc.status_code == HTTPStatus.NOT_FOUND and message == HTTPStatus.NOT_FOUND.phrase:
        message = f"there is nothing at {request.url.path[:200]!r}"
    elif exc.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        # Starlette gives them in no order.
        headers["Allow"] = ", ".join(sorted(headers["Allow"].split(", ")))
        message = f"expected one of {headers['Allow']}, got {request.method[:20]!r}"
    error = {"status": exc.status_code, "message": message}
    return JSONResponse({"error": error}, exc.status_code, headers=headers)


async def _defect(request: Request, exc: Exception) -> Response:
    logger.error("%s %s ended with an error that should not happen", request.method, request.url.path, exc_info=exc)
    error = {"status": 500, "message": "an error that should not happen; the log of the server tells more"}
    return JSONResponse({"error": error}, 500, headers=_NO_STORE)
