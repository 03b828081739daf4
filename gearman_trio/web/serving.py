"""The application served over HTTP, in the nurseries of the program that runs the job server.

Hypercorn speaks HTTP on each connection.  Accepting, the limits of connections and their end are here: its own serving
sends under a shield without a time limit, so one reader that does not read could keep a server from ending.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final, cast

import attrs
import trio
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ASGIFramework, ConnectionState
from hypercorn.utils import wrap_app
from starlette.types import ASGIApp

from ..server import Server
from ..transport import Address
from .app import make_app
from .door import JobLimits
from .gateway import make_gateway
from .history import History
from .results import Results

__all__ = ["WebLimits", "serve_gateway", "serve_web"]

logger = logging.getLogger(__name__)

#: The longest head of a request. Browsers send about one kilobyte.
_HEAD_BYTES: Final = 16 * 1024

#: How long a connection may be without a request, or take to send the head of one.
_IDLE_SECONDS: Final = 10.0

#: How long a peer may take nothing of what is sent to it, or be gone without a word.
_STALLED_MS: Final = 20_000


@attrs.frozen(kw_only=True)
class WebLimits:
    """What the web interface may take from the job server beside it.

    Attributes:
        connections: how many there may be; who comes then is turned away. Each takes a file descriptor, as clients and
            workers do.
        event_streams: how many pages may be kept up to date at once; a page takes one connection for that.
        metric_functions: how many functions have metrics of their own.
        jobs: what jobs that come over HTTP may take.
    """

    connections: int = 200
    event_streams: int = 100
    metric_functions: int = 500
    jobs: JobLimits = attrs.field(factory=JobLimits)


async def serve_web(
    server: Server,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    listeners: Sequence[trio.SocketListener] | None = None,
    limits: WebLimits | None = None,
    token: str | None = None,
    hosts: Iterable[str] = (),
    hide_workloads: bool = False,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Show a job server over HTTP until cancelled.

    Whoever can reach the address can read everything that is shown, so it is this machine alone unless `host` says
    otherwise.

    Args:
        server: what is shown. That it ends does not end this.
        host: the address to listen on; a name may stand for several.
        port: TCP port; 0 for a free one.
        listeners: Trio listeners to serve instead of opening any; they are closed at the end.
        limits: what it may take.
        token: lets people who have it submit and cancel jobs, and more; without one, nothing can be changed.
        hosts: names by which browsers may ask, besides those of this machine, `host`, and IP addresses.
        hide_workloads: whether workloads stay unseen.
        task_status: for ``nursery.start``: started with the URLs when the listeners are open.

    Raises:
        OSError: the address cannot be listened on.
        ConfigError: the token is too short.

    Cancellation: at once; connections are closed.
    """
    limits = limits or WebLimits()
    history = History(server)
    results = Results(server, limits.jobs)
    app = make_app(
        server,
        history=history,
        results=results,
        token=token,
        hosts=[host, socket.gethostname(), *hosts],
        hide_workloads=hide_workloads,
        max_event_streams=limits.event_streams,
        max_metric_functions=limits.metric_functions,
    )
    if listeners is None:
        listeners = await trio.open_tcp_listeners(port, host=host)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(history.run)
        nursery.start_soon(results.run)
        task_status.started(await nursery.start(_serve, app, listeners, limits.connections))


async def serve_gateway(
    server: Server,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    listeners: Sequence[trio.SocketListener] | None = None,
    limits: WebLimits | None = None,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run jobs for whoever asks by gearmand's protocol over HTTP, until cancelled.

    Whoever can reach the address can submit jobs, as at the job server's own port.

    Args:
        server: runs the jobs. That it ends does not end this.
        host: the address to listen on; a name may stand for several.
        port: TCP port; 0 for a free one.
        listeners: Trio listeners to serve instead of opening any; they are closed at the end.
        limits: what it may take.
        task_status: for ``nursery.start``: started with the URLs when the listeners are open.

    Raises:
        OSError: the address cannot be listened on.

    Cancellation: at once; connections are closed, and jobs lose the clients that waited there.
    """
    limits = limits or WebLimits()
    if listeners is None:
        listeners = await trio.open_tcp_listeners(port, host=host)
    await _serve(make_gateway(server, limits=limits.jobs), listeners, limits.connections, task_status=task_status)


async def _serve(
    app: ASGIApp,
    listeners: Sequence[trio.SocketListener],
    most: int,
    *,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve an application on at most so many connections."""
    urls = [f"http://{Address(*listener.socket.getsockname()[:2])}/" for listener in listeners]
    connections = _Connections(wrap_app(cast(ASGIFramework, app), 0, "asgi"), most)
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(trio.serve_listeners, connections.serve, list(listeners)))
        task_status.started(urls)


class _Tcp(TCPServer):
    """A connection that ends when its peer has left, and does not wait until it has been idle for long enough."""

    async def _read_data(self) -> None:
        await super()._read_data()
        await self.idle_task.stop()


class _Connections:
    """Those that are open, of which there are at most `most`."""

    def __init__(self, app: AppWrapper, most: int) -> None:
        self._app = app
        self._most = most
        self._config = Config()
        self._config.h11_max_incomplete_size = _HEAD_BYTES
        self._config.keep_alive_timeout = _IDLE_SECONDS
        self._config.include_server_header = False
        # A defect of the application is logged there; what peers do wrong is not worth a line.
        self._config.errorlog = None
        self._context = WorkerContext(None)
        self._count = 0

    async def serve(self, stream: trio.SocketStream) -> None:
        if self._count >= self._most:
            await trio.aclose_forcefully(stream)
            return
        self._count += 1
        try:
            _cut_when_stalled(stream)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_close_when_cancelled, stream)
                await _Tcp(self._app, self._config, self._context, ConnectionState({}), cast(Any, stream))
                nursery.cancel_scope.cancel(reason="the connection has ended")
        except* Exception:
            # One connection's failure reaches no other, whatever peers bring Hypercorn to.
            logger.info("an HTTP connection ended with an error", exc_info=True)
        finally:
            self._count -= 1


async def _close_when_cancelled(stream: trio.SocketStream) -> None:
    """Let go of a peer that does not read: a shielded send ends when its socket is closed."""
    try:
        await trio.sleep_forever()
    finally:
        stream.socket.close()


def _cut_when_stalled(stream: trio.SocketStream) -> None:
    # Linux alone has it; elsewhere such a peer keeps its connection, and no more than that.
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None:
        stream.setsockopt(socket.IPPROTO_TCP, option, _STALLED_MS)
