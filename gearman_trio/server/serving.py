"""Ways to run a job server: until it is drained or cancelled, or for the length of a block."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import trio

from ..storage import Store
from ..transport import DEFAULT_PORT, Address, Tls
from .journal import open_store
from .listening import Listen, close_listeners, open_listeners
from .options import ServerOptions
from .server import Server

__all__ = ["open_server", "serve"]


async def serve(
    *,
    host: str | Sequence[str] | None = "127.0.0.1",
    port: int = DEFAULT_PORT,
    listen: Sequence[Listen | Address | str] | None = None,
    listeners: Sequence[trio.abc.Listener[trio.abc.Stream]] | None = None,
    ssl_context: Tls | None = None,
    backlog: int | None = None,
    options: ServerOptions | None = None,
    store: Store | str | None = None,
    epoch_clock: Callable[[], float] = time.time,
    on_open: Callable[[Server], None] | None = None,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run a job server until it is drained or cancelled; ``await nursery.start(serve)`` gives the `Server`.

    Args:
        host: address or addresses to listen on; ``None`` for all of the machine's. IPv4 and IPv6 get a socket each.
        port: TCP port; 0 for a free one, which `Server.addresses` tells.
        listen: where to listen instead, any number of places of any kind; what is not a `Listen` is its address.
        listeners: Trio listeners to serve instead of opening any; they are closed when the server ends.
        ssl_context: speak TLS on the listeners that are opened for `host` and `port`, and for addresses of `listen`.
        backlog: of listen(2); Trio's default where it is ``None``.
        options: everything else.
        store: where background jobs are kept: a URL such as ``"sqlite:jobs.db"``, or an object that is a
            `gearman_trio.storage.Store`; in memory where it is ``None``. It is closed when the server ends.
        epoch_clock: tells epoch seconds, for jobs with a time to run at; tests put a mocked clock here.
        on_open: called with the `Server` when its store is open: before jobs come back from there, which may take long,
            and before anybody is served. For who wants to watch it meanwhile.
        task_status: for ``nursery.start``: started with the `Server` when the listeners are open.

    Raises:
        OSError: an address cannot be listened on.
        ConfigError: an address or the store's URL cannot be read, or a file of TLS cannot be used.
        StorageError: the store cannot be opened. Where what it holds cannot be read, this comes in a group.

    Cancellation: hard stop; connections are closed, jobs are lost but for those that are stored.
    """
    options = options or ServerOptions()
    server: Server | None = None
    try:
        server = Server(options, epoch_clock, await open_store(store, options.handle_prefix))
        if on_open is not None:
            on_open(server)
        if listeners is None:
            if listen is None:
                listen = [
                    Address(one or "*", port) for one in ([host] if host is None or isinstance(host, str) else host)
                ]
            places = [one if isinstance(one, Listen) else Listen(one, tls=ssl_context) for one in listen]
            listeners = await open_listeners(places, backlog=backlog)
        await server._run(listeners, lambda: task_status.started(server))
    finally:
        await close_listeners(listeners or ())
        if server is not None:
            await server._close()


@asynccontextmanager
async def open_server(
    *,
    host: str | Sequence[str] | None = "127.0.0.1",
    port: int = DEFAULT_PORT,
    listen: Sequence[Listen | Address | str] | None = None,
    listeners: Sequence[trio.abc.Listener[trio.abc.Stream]] | None = None,
    ssl_context: Tls | None = None,
    options: ServerOptions | None = None,
    store: Store | str | None = None,
    epoch_clock: Callable[[], float] = time.time,
    drain_seconds: float = 30.0,
) -> AsyncIterator[Server]:
    """A job server for the length of a block; the arguments are those of `serve`.

    When the block ends normally the server drains, for at most `drain_seconds`; when the block raises or is cancelled,
    the server stops hard, and an exception comes out as the block raised it, not in a group.
    """
    arguments = partial(
        serve,
        host=host,
        port=port,
        listen=listen,
        listeners=listeners,
        ssl_context=ssl_context,
        options=options,
        store=store,
        epoch_clock=epoch_clock,
    )
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        try:
            server: Server = await nursery.start(arguments)
            yield server
        except Exception as exc:  # noqa: BLE001 - raised again outside of the nursery, which would wrap it
            failure = exc
            nursery.cancel_scope.cancel(reason="the block of open_server raised")
        else:
            await server.drain(drain_seconds)
    if failure is not None:
        raise failure
