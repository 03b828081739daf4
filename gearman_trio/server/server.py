"""The life of a job server, as nested nurseries: services around connections around listeners.  `serving` begins it.

    serve()
    └─ services           timekeeper, pump, journal: shielded, ended only when everything inside has ended
       └─ connections     one child task per connection, owning its stream, its scope and its clean-up
          └─ listeners    accept loops

| what happens | scope | then |
|---|---|---|
| a peer leaves, breaks the protocol, does not read | that connection's | the broker forgets it, its jobs are requeued |
| `Server.drain` | the listeners' | running jobs end, then each connection ends once all it was told is sent |
| `serve` is cancelled | all but the services' | connections end first, the broker sees each of them leave |
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from math import inf
from typing import Final

import attrs
import trio

from ..client import Client, open_client
from ..core import Counters, Failure, FunctionStatistics, PeerStatistics, Totals
from ..transport import IN_PROCESS, Address, KeepAlive, Pump, keep_alive, pump_available
from .accepting import Doorman, accept_all
from .connection import Connection, SocketConnection, StreamConnection
from .hub import Hub
from .journal import Journal, OpenStore, StoreStatistics
from .listening import ServerListener, listening_addresses
from .names import remote_host
from .operating import Operator
from .options import ServerOptions
from .patience import watch

__all__ = ["Server", "ServerStatistics"]

logger = logging.getLogger(__name__)

#: 2026-01-01, in epoch seconds.
_HANDLE_EPOCH: Final = 1_767_225_600

#: How many handles a second between the starts of two servers are sure to differ.
_HANDLES_PER_SECOND: Final = 100_000


@attrs.frozen(kw_only=True)
class ServerStatistics:
    """A job server at one moment.

    Attributes:
        time: when, in monotonic seconds, which are those of the times in what follows.
        epoch: when, in epoch seconds.
        started_at: when it began, in monotonic seconds.
        counters: what it has done since it started.
        totals: what it holds, all functions and connections together.
        functions: each function that it knows, in the order in which they were first heard of.
        peers: each connection.
        failures: the last jobs that failed, at most 500 of them, the oldest first.
        store: where jobs are stored, ``None`` for nowhere.
    """

    time: float
    epoch: float
    started_at: float
    counters: Counters
    totals: Totals
    functions: list[FunctionStatistics]
    peers: list[PeerStatistics]
    failures: list[Failure]
    store: StoreStatistics | None = None


class Server:
    """A running job server; `serve` and `open_server` make it."""

    def __init__(self, options: ServerOptions, epoch_clock: Callable[[], float], opened: OpenStore | None) -> None:
        self._options = options
        self._probes = _probes(options)
        state = None if opened is None else opened.state
        first_handle = max(1, int((epoch_clock() - _HANDLE_EPOCH) * _HANDLES_PER_SECOND))
        if state is not None:
            # The clock may have been set back.
            first_handle = max(first_handle, state.last_handle + 1)
        policy = options.policy(version=_version(), first_handle=first_handle, state=state)
        self._hub = Hub(policy, epoch_clock, self._shut_down)
        self._started_at = trio.current_time()
        self._journal: Journal | None = None
        if opened is not None:
            self._journal = Journal(opened.store, self._hub, options.store_timeout, options.spill_bytes)
        self._pump = (
            Pump(self._hub.flush_round, self._hub.flush_waiting, busy_poll_seconds=options.busy_poll_seconds)
            if pump_available
            else None
        )
        self._connections: trio.Nursery | None = None
        self._listeners: Sequence[trio.abc.Listener[trio.abc.Stream]] = ()
        self._addresses: tuple[Address, ...] = ()
        self._stop_requested = trio.Event()
        # In which running jobs may go on after `drain`; its deadline is only ever brought forward.
        self._grace = trio.CancelScope()
        self._ended = trio.Event()
        self._doorman = Doorman(options)

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where it listens, with real port numbers also where port 0 was asked for."""
        return self._addresses

    @property
    def url(self) -> str:
        """The first address as ``gearman://host:port`` or ``gearman://unix:/path``, for clients and workers.

        Raises:
            RuntimeError: the server does not listen on a socket.
        """
        if not self._addresses:
            raise RuntimeError("the server has no listening socket, so it has no URL")
        return f"gearman://{self._addresses[0]}"

    @property
    def replaying(self) -> bool:
        """Whether jobs of earlier runs are still coming back from the store, while new ones are taken."""
        return self._journal is not None and self._journal.replaying

    @property
    def accepting(self) -> bool:
        """Whether it takes connections and new jobs: it neither drains nor has ended."""
        return self._connections is not None and not self._stop_requested.is_set()

    def why_not_ready(self) -> str:
        """Why new jobs are not taken at present, or ``""`` where they are."""
        if self._ended.is_set():
            return "the server has ended"
        if self._stop_requested.is_set():
            return "the server drains"
        if self._connections is None:
            return "the server starts: jobs of earlier runs are coming back from the store"
        if self._journal is not None and self._journal.refusing:
            return "background jobs cannot be stored"
        return ""

    def counters(self) -> Counters:
        """What the server has done since it started, without a look at functions and connections."""
        return self._hub.counters()

    def epoch(self) -> float:
        """What the server takes for the time of day, in epoch seconds."""
        return self._hub.epoch()

    def totals(self) -> Totals:
        """What the server holds now, in all. Cheap enough to be asked for once a second, with thousands connected."""
        return self._hub.totals()

    def functions(self) -> list[FunctionStatistics]:
        """What each function has now, in the order in which they were first heard of."""
        return self._hub.functions()

    def statistics(self, *, peers: bool = True) -> ServerStatistics:
        """What the server has done and what it holds now.

        Args:
            peers: whether to tell of each connection, of which there may be thousands.
        """
        hub = self._hub
        return ServerStatistics(
            time=trio.current_time(),
            epoch=hub.epoch(),
            started_at=self._started_at,
            counters=hub.counters(),
            totals=hub.totals(),
            functions=hub.functions(),
            peers=hub.peers() if peers else [],
            failures=hub.failures(),
            store=None if self._journal is None else self._journal.statistics(),
        )

    @property
    def operator(self) -> Operator:
        """Looks at single jobs, and steers jobs and functions."""
        return Operator(self._hub, self._options)

    def reload_tls(self) -> None:
        """Read the files of `TlsOptions` again, for the connections to come: certificates are renewed now and then.

        Raises:
            ConfigError: a file cannot be used; then every listener goes on with what it has.
        """
        listeners = [listener for listener in self._listeners if isinstance(listener, ServerListener)]
        contexts = [(listener, listener.new_context()) for listener in listeners]
        for listener, context in contexts:
            if context is not None:
                listener.use(context)

    async def drain(self, timeout: float = inf) -> None:  # noqa: ASYNC109 - a grace period, not the caller's patience
        """Stop gracefully; return when `serve` has let go of everything.

        Listeners close at once and new jobs are refused with ERROR; jobs that are running, and queued jobs for which a
        worker is connected, go on to their end, for at most `timeout` seconds; then the connections are closed. What is
        left is lost where it is not stored, and a log line says how many jobs that are.

        Cancellation: the server goes on draining; call again to wait, or to shorten the time.
        """
        self._grace.deadline = min(self._grace.deadline, trio.current_time() + timeout)
        self._stop_requested.set()
        await self._ended.wait()

    async def wait_ended(self) -> None:
        """Wait until the server has ended, for whatever reason."""
        await self._ended.wait()

    async def handle_stream(self, stream: trio.abc.Stream, *, admin: bool = False) -> None:
        """Serve one more connection over a stream of your own until it ends; `admin` is that of `Listen`.

        Cancellation: the connection is closed, as if the peer had left.
        Resource handling: the stream is closed when this returns.
        """
        nursery = self._connections
        if nursery is None:
            await trio.aclose_forcefully(stream)
            raise RuntimeError("the server is not running")
        connection = self._connection(stream, admin=admin)
        done = trio.Event()

        async def serve_it() -> None:
            try:
                await self._serve_connection(connection)
            finally:
                done.set()

        nursery.start_soon(serve_it)
        try:
            await done.wait()
        except trio.Cancelled:
            connection.close("the caller of handle_stream was cancelled")
            # At once, but for the good-bye of TLS, which has a time limit of its own.
            with trio.CancelScope(shield=True):
                await done.wait()
            raise

    @asynccontextmanager
    async def open_client(self, *, client_id: str | None = None) -> AsyncIterator[Client]:
        """A client in this process, over memory streams: the same protocol without a socket."""

        async def connect(address: Address) -> trio.abc.Stream:
            # Here, because it brings in pytest where that is installed.
            from trio.testing import memory_stream_pair  # noqa: PLC0415

            # First, for nobody would close a stream that was made and, being cancelled, not returned.
            await trio.lowlevel.checkpoint()
            if self._connections is None:
                raise OSError("the server is not running")
            ours, theirs = memory_stream_pair()
            connection = self._connection(ours, admin=False)
            connection.passing = True
            self._connections.start_soon(self._serve_connection, connection)
            return theirs

        async with open_client(IN_PROCESS, client_id=client_id, connect=connect) as client:
            yield client

    def _shut_down(self, how: str) -> None:
        """An administrator wants the server to end."""
        if not self._stop_requested.is_set():
            logger.info("an administrator asked to shut down, %s", how)
        if how == "now":
            self._grace.deadline = min(self._grace.deadline, trio.current_time())
        self._stop_requested.set()

    def _connection(self, stream: trio.abc.Stream, *, admin: bool) -> Connection:
        # A closed socket has no descriptor to watch; the other driver finds that out by reading.
        if self._pump is not None and isinstance(stream, trio.SocketStream) and stream.socket.fileno() >= 0:
            return SocketConnection(self._hub, stream, self._options, self._pump, admin=admin)
        return StreamConnection(self._hub, stream, self._options, admin=admin)

    async def _close(self) -> None:
        """Let go of everything; nothing may run any more. `serving` calls this."""
        if self._pump is not None:
            self._pump.close()
        try:
            if self._journal is not None:
                await self._journal.close()
        finally:
            self._hub.close()
            self._ended.set()

    async def _serve_connection(self, connection: Connection) -> None:
        try:
            await connection.run()
        except Exception:
            # A defect of ours, not of the peer: it must not reach other connections, nor stay unseen.
            logger.exception("a connection ended with an error that should not happen")

    async def _serve_accepted(self, listener: trio.abc.Listener[trio.abc.Stream], stream: trio.abc.Stream) -> None:
        host = remote_host(stream)
        objection = self._doorman.objection(host)
        if objection:
            await self._doorman.refuse(stream, objection)
            return
        self._doorman.enter(host)
        try:
            if self._probes is not None:
                keep_alive(stream, self._probes)
            admin = isinstance(listener, ServerListener) and listener.listen.admin
            await self._serve_connection(self._connection(stream, admin=admin))
        finally:
            self._doorman.leave(host)

    async def _run(self, listeners: Sequence[trio.abc.Listener[trio.abc.Stream]], started: Callable[[], None]) -> None:
        """Serve until drained or cancelled; `serving` calls this."""
        self._listeners = listeners
        self._addresses = tuple(listening_addresses(listeners))
        serving = trio.CancelScope(shield=True)
        async with trio.open_nursery() as services:
            services.start_soon(self._serve_services, serving)
            try:
                if self._journal is not None and self._options.replay == "first":
                    await self._journal.replay()
                async with trio.open_nursery() as connections:
                    await self._accept(listeners, connections, started)
                    # Each ends when the last that it was told is sent. One that does not end in time is cut.
                    self._hub.finish("the server has drained")
                    connections.cancel_scope.deadline = trio.current_time() + self._options.close_seconds
            finally:
                if self._journal is not None:
                    await self._journal.flush(self._options.store_timeout)
                serving.cancel(reason="no connection is left")

    async def _accept(
        self,
        listeners: Sequence[trio.abc.Listener[trio.abc.Stream]],
        connections: trio.Nursery,
        started: Callable[[], None],
    ) -> None:
        """Take connections until told to stop, then wait for the running jobs."""
        self._connections = connections
        try:
            async with trio.open_nursery() as accepting:
                for listener in listeners:
                    handler = partial(self._serve_accepted, listener)
                    accepting.start_soon(accept_all, listener, handler, connections, self._doorman.complaints)
                if self._journal is not None and self._options.replay == "online":
                    accepting.start_soon(self._journal.replay)
                started()
                await self._stop_requested.wait()
                accepting.cancel_scope.cancel(reason="the server drains")
            await self._finish_jobs()
        finally:
            # Before the nursery closes: a stream that came later would find nobody to serve it.
            self._connections = None

    async def _serve_services(self, serving: trio.CancelScope) -> None:
        with serving:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._hub.keep_time)
                nursery.start_soon(self._hub.keep_answering)
                nursery.start_soon(watch, self._options, self._hub.outlets, self._hub.wait_active)
                if self._pump is not None:
                    nursery.start_soon(self._pump.run)
                if self._journal is not None:
                    nursery.start_soon(self._journal.run, self._pump)

    async def _finish_jobs(self) -> None:
        self._hub.drain()
        with self._grace:
            await self._hub.wait_idle()
        left = [f for f in self._hub.functions() if f.queued or f.running or f.scheduled]
        if left:
            stored = self._journal is not None
            logger.log(
                logging.INFO if stored else logging.WARNING,
                "stopping with %d queued, %d scheduled and %d running jobs in memory, %s",
                sum(f.queued for f in left),
                sum(f.scheduled for f in left),
                sum(f.running for f in left),
                "of which background jobs stay in the store" if stored else "which are lost",
            )


def _probes(options: ServerOptions) -> KeepAlive | None:
    """How silent TCP peers are probed; ``None`` if they are not."""
    if not options.keepalive:
        return None
    return KeepAlive(
        idle_seconds=options.keepalive_idle_seconds,
        interval_seconds=options.keepalive_interval_seconds,
        count=options.keepalive_count,
    )


def _version() -> str:
    try:
        return version("gearman-trio")
    except PackageNotFoundError:
        return "0"
