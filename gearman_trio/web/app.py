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
| `/api/v1/jobs`, `/api/v1/jobs/HANDLE`, `/api/v1/scheduled`, `/api/v1/failed` | single jobs: see `jobs` |
| `POST /api/v1/...` | what can be changed: see `actions` |
| `POST /api/v1/functions/NAME/jobs` | jobs, and their results: see `api`, which also has a description of all |
| `/gearman/NAME` | jobs by gearmand's protocol: see `gateway` |
| `/api/v1/history` | the last hour, column by column |
| `/api/v1/events` | server-sent events: what changes, once a second |

Every error is problem details, JSON: ``{"type": "about:blank", "title": "Not Found", "status": 404, "detail": "..."}``.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from http import HTTPStatus
from typing import Any, Final

import attrs
import trio
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from ..core import FunctionStatistics
from ..server import Server
from .actions import action_routes
from .answers import NO_STORE, json_answer, page_answer, whole_number
from .api import Api
from .failed import FailedJobs
from .gateway import gateway_app
from .guard import Guard, Keeper
from .history import History, Sample
from .jobs import job_routes
from .live import Live
from .metrics import Metrics
from .page import make_page
from .problems import defect, problem
from .results import Results
from .snapshot import function_value, server_value, text, worker_value

__all__ = ["make_app"]


#: What `/api/v1/server` tells of `ServerOptions`; 0 is for no limit.
_LIMITS: Final = (
    "max_connections",
    "max_connections_per_address",
    "max_jobs",
    "max_jobs_per_function",
    "max_held_bytes",
    "max_held_bytes_per_function",
    "max_packet_bytes",
    "max_attempts",
    "outbox_limit_bytes",
)


def make_app(
    server: Server,
    *,
    history: History | None = None,
    results: Results | None = None,
    token: str | None = None,
    hosts: Iterable[str] | None = None,
    hide_workloads: bool = False,
    max_event_streams: int = 100,
    max_metric_functions: int = 500,
) -> Starlette:
    """An ASGI application that shows a job server. It has no life of its own: no start-up, no background task.

    It belongs into the same Trio event loop as the server, so an ASGI server that hosts it has to run on Trio. It may
    be mounted at any path.

    Args:
        server: what is shown; it may be draining, or have ended.
        history: what `/api/v1/history` tells; whoever gives it runs it. Without one that is empty.
        results: takes jobs, and keeps the results of those that go on without their requests; whoever gives it runs
            it. Without one, none of them does.
        token: lets people who have it submit and cancel jobs, and more; without one, nothing can be changed.
        hosts: names by which browsers may ask, besides IP addresses and ``localhost``; ``None`` for any.
        hide_workloads: whether workloads stay unseen.
        max_event_streams: how many readers `/api/v1/events` has at once; more are answered with 503.
        max_metric_functions: how many functions have label values of their own in `/metrics`.

    Raises:
        ConfigError: the token is too short.
    """
    site = _Site(server, history or History(server), max_event_streams, max_metric_functions)
    results = results or Results(server)
    failed = FailedJobs(server)
    keeper = Keeper(token)
    return Starlette(
        routes=[
            Route("/", site.page),
            Route("/healthz", site.healthz),
            Route("/readyz", site.readyz),
            Route("/metrics", site.metrics),
            Route("/api/v1/server", site.server),
            Route("/api/v1/functions", site.functions),
            *Api(results, keeper.admit).routes(),
            *action_routes(server, failed, keeper),
            *job_routes(server, failed, hide_workloads=hide_workloads),
            Route("/api/v1/functions/{name:path}", site.function),
            Route("/api/v1/workers", site.workers),
            Route("/api/v1/history", site.history),
            Route("/api/v1/events", site.events),
            Mount("/gearman", gateway_app(results.door, keeper.admit)),
        ],
        middleware=[Middleware(Guard, hosts=hosts)],
        exception_handlers={HTTPException: _refusal, Exception: defect},
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
        return json_answer({"alive": True})

    async def readyz(self, request: Request) -> Response:
        reason = self._server.why_not_ready()
        if reason:
            return json_answer({"ready": False, "reason": reason}, HTTPStatus.SERVICE_UNAVAILABLE)
        return json_answer({"ready": True})

    async def metrics(self, request: Request) -> Response:
        # In a thread, because it takes tens of milliseconds where there are many functions, and jobs must not wait.
        body = await trio.to_thread.run_sync(
            self._metrics.exposition,
            self._server.statistics(peers=False),
            self._history.lag,
            limiter=self._one_exposition,
        )
        return Response(body, headers={**NO_STORE, "Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    async def server(self, request: Request) -> Response:
        statistics = self._server.statistics(peers=False)
        limits = {name: getattr(self._server.operator.options, name) for name in _LIMITS}
        value = server_value(self._server, statistics)
        return json_answer({**value, "lag_seconds": self._history.lag, "limits": limits})

    async def functions(self, request: Request) -> Response:
        return page_answer(request, "functions", self._server.functions(), self._function_value)

    async def function(self, request: Request) -> Response:
        name = request.path_params["name"]
        for function in self._server.functions():
            if text(function.name) == name:
                return json_answer(self._function_value(function))
        raise HTTPException(HTTPStatus.NOT_FOUND, f"no function {name!r}")

    async def workers(self, request: Request) -> Response:
        statistics = self._server.statistics()
        able = [peer for peer in statistics.peers if peer.abilities]
        return page_answer(request, "workers", able, partial(worker_value, clock=statistics.epoch - statistics.time))

    async def history(self, request: Request) -> Response:
        count = whole_number(request, "samples", default=3600, least=1, most=3600)
        samples = list(self._history.samples)[-count:]
        names = [field.name for field in attrs.fields(Sample)]
        columns = {name: [getattr(sample, name) for sample in samples] for name in names}
        lengths = self._history.lengths.value()
        return json_answer({"interval_seconds": self._history.interval_seconds, **columns, "functions_queued": lengths})

    def _function_value(self, function: FunctionStatistics) -> dict[str, Any]:
        now = trio.current_time()
        return function_value(function, self._history.recent.rates(function, now), self._server.epoch() - now)

    async def events(self, request: Request) -> Response:
        if len(self._open_streams) >= self._max_event_streams:
            raise HTTPException(
                HTTPStatus.SERVICE_UNAVAILABLE, f"{self._max_event_streams} event streams are open, which is the limit"
            )
        # X-Accel-Buffering: or nginx would collect events before it hands them on.
        headers = {**NO_STORE, "X-Accel-Buffering": "no", "Content-Type": "text/event-stream"}
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


async def _refusal(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    message, headers = exc.detail, dict(exc.headers or {})
    if exc.status_code == HTTPStatus.NOT_FOUND and message == HTTPStatus.NOT_FOUND.phrase:
        message = f"there is nothing at {request.url.path[:200]!r}"
    elif exc.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        # Starlette gives them in no order.
        headers["Allow"] = ", ".join(sorted(headers["Allow"].split(", ")))
        message = f"expected one of {headers['Allow']}, got {request.method[:20]!r}"
    return problem(exc.status_code, message, headers=headers)
