"""Whether a worker is alive and ready, told over HTTP: what orchestrators and load balancers ask.

Two resources, GET or HEAD, each with a status and a small JSON object:

    /healthz    200 as long as it is alive, else 503
    /readyz     200 when it takes jobs, which means that a job server knows its abilities, else 503

One request per connection.  Every limit is far above what a probe needs, and far below what could hurt the worker,
which goes on with its jobs beside this.  h11 reads and writes HTTP; it comes with the extra ``health``.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from importlib import import_module
from typing import TYPE_CHECKING, Final

import attrs
import trio

from ..errors import ConfigError

if TYPE_CHECKING:
    import h11

__all__ = ["Health", "check_available", "serve_health"]

#: How long a whole exchange may take, from the connection to its end; probes give up sooner.
_EXCHANGE_SECONDS: Final = 5.0

#: The longest request line with all headers. Browsers send about one kilobyte.
_REQUEST_BYTES: Final = 16 * 1024

#: So many may be connected at once; who comes then is turned away unheard.
_CONNECTIONS: Final = 50

#: After the answer, so much of what is still coming is thrown away: closing before that would reset the connection, and
#: the answer could be lost on its way.
_LEFTOVER_BYTES: Final = 1024 * 1024

_RECEIVE_BYTES: Final = 16 * 1024


@attrs.frozen(kw_only=True)
class Health:
    """How a worker is.

    Attributes:
        alive: whether it works as a program; one that is not should be started anew.
        ready: whether it takes jobs.
        details: more for people to read: what JSON can hold.
    """

    alive: bool
    ready: bool
    details: Mapping[str, object]


@attrs.frozen
class _Answer:
    status: int
    body: bytes


def check_available() -> None:
    """Check that what this needs is installed.

    Raises:
        ConfigError: it is not; the message names the extra.
    """
    try:
        import_module("h11")
    except ModuleNotFoundError as exc:
        raise ConfigError("health over HTTP needs h11: pip install 'gearman-trio[health]'") from exc


async def serve_health(
    check: Callable[[], Awaitable[Health]],
    listeners: list[trio.SocketListener],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer ``/healthz`` and ``/readyz`` until cancelled.

    Args:
        check: how it is; called for each question, and cancelled where that takes more than five seconds.
        listeners: where questions come in, as `trio.open_tcp_listeners` gives them.
        task_status: for ``nursery.start``.

    Raises:
        ConfigError: h11 is not installed.

    Resource handling: the listeners are closed at the end.

    Cancellation: at once; who was about to get an answer gets none.
    """
    check_available()
    connected = 0

    async def handle(stream: trio.SocketStream) -> None:
        nonlocal connected
        if connected >= _CONNECTIONS:
            return
        connected += 1
        try:
            with trio.move_on_after(_EXCHANGE_SECONDS):
                await _exchange(stream, check)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            # Whoever asked has gone.
            pass
        finally:
            connected -= 1

    await trio.serve_listeners(handle, listeners, task_status=task_status)  # type: ignore[arg-type] # gives the listeners


async def _exchange(stream: trio.SocketStream, check: Callable[[], Awaitable[Health]]) -> None:
    """Read one request, answer it, and see to it that the answer arrives."""
    import h11  # noqa: PLC0415 an extra

    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_REQUEST_BYTES)
    try:
        request = await _read_request(stream, connection)
        if request is None:
            return
        answer = await _answer(request, check)
    except h11.RemoteProtocolError as exc:
        request = None
        answer = _Answer(exc.error_status_hint, _encoded({"error": str(exc)}))
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(answer.body))),
        ("Cache-Control", "no-store"),
        ("Connection", "close"),
        *([("Allow", "GET, HEAD")] if answer.status == 405 else []),
    ]
    reason = HTTPStatus(answer.status).phrase
    data = connection.send(h11.Response(status_code=answer.status, headers=headers, reason=reason)) or b""
    if request is None or request.method != b"HEAD":
        data += connection.send(h11.Data(data=answer.body)) or b""
    await stream.send_all(data)
    await stream.send_eof()
    thrown_away = 0
    while thrown_away < _LEFTOVER_BYTES and (more := await stream.receive_some(_RECEIVE_BYTES)):
        thrown_away += len(more)


async def _read_request(stream: trio.SocketStream, connection: h11.Connection) -> h11.Request | None:
    """Read up to the end of the headers; ``None`` if nothing is asked."""
    import h11  # noqa: PLC0415 an extra

    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            return event
        if event is not h11.NEED_DATA:
            return None
        connection.receive_data(bytes(await stream.receive_some(_RECEIVE_BYTES)))


async def _answer(request: h11.Request, check: Callable[[], Awaitable[Health]]) -> _Answer:
    path = request.target.partition(b"?")[0]
    if path not in {b"/healthz", b"/readyz"}:
        return _Answer(404, _encoded({"error": "expected /healthz or /readyz"}))
    if request.method not in {b"GET", b"HEAD"}:
        return _Answer(405, _encoded({"error": "expected GET or HEAD"}))
    health = await check()
    good = health.alive if path == b"/healthz" else health.ready
    return _Answer(200 if good else 503, _encoded({"alive": health.alive, "ready": health.ready, **health.details}))


def _encoded(content: Mapping[str, object]) -> bytes:
    return json.dumps(content).encode() + b"\n"
