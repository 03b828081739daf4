"""The client: submits jobs to a job server and learns how they go."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import attrs
import trio

from ..errors import ConfigError
from ..names import client_id as check_client_id
from ..protocol import MAX_PACKET_BYTES, PacketType, encode_request
from ..transport import Address, Connect, Tls, dialer, parse_address
from .call import Call
from .connector import Connection, Connector, encode_option
from .connectors import Connectors
from .events import JobState, parse_state
from .health import ServerHealth
from .many import ManyCaller
from .options import CallOptions, Resubmit, RunAt
from .routing import Router, check_routing
from .submission import Priority, Workload, workload_bytes

__all__ = ["Client", "ClientStatistics", "open_client"]

#: gearmand does not answer a question about a longer handle or unique ID at all (server.cc), and the next answer
#: would be taken for this one's.
_MAX_QUESTION_BYTES = 63


@attrs.frozen(kw_only=True)
class ClientStatistics:
    """What a client is doing.

    Attributes:
        connected: whether there is a connection now.
        servers: what is known of each server, in the order in which they were given.
        jobs: foreground jobs that have a handle and are waited for.
        abandoned_jobs: foreground jobs that nobody waits for any longer and whose end has not come.
        pending_replies: requests that the job server has not answered, abandoned ones included.
        unsent_bytes: bytes that wait to be sent.
        reconnects: how many connections were made after the first one to each server.
    """

    connected: bool
    servers: tuple[ServerHealth, ...]
    jobs: int
    abandoned_jobs: int
    pending_replies: int
    unsent_bytes: int
    reconnects: int


class Client(ManyCaller):
    """A client of one or several job servers; `open_client` gives it.

    Any number of tasks may use it at once, over the one connection that it keeps, or over one to each server where jobs
    are spread.  It connects when a call needs it, and again after a loss; what was under way at a loss is not repeated,
    because it may have been done, unless ``resubmit`` says so.

    Where jobs are spread, questions go to the first server that answers, but for `status_by_unique`, which goes where a
    job with that unique ID does.  Handles mean something to the server only that gave them, so ask about them through
    ``with_options(server=...)``.

    Cancellation, for every method: a call that is cancelled before its packet is queued has no effect.  After that the
    request stays with the job server, which cannot be told: the job may run, and what comes for it is dropped.  The
    connection stays usable either way.
    """

    def __init__(
        self, connectors: Connectors, connector: Connector, options: CallOptions, *, router: Router | None = None
    ) -> None:
        super().__init__(connector, options, router=router, servers=connectors.server_count)
        self._connectors = connectors
        self._mine = (connector,) if router is None else router.connectors

    @property
    def server(self) -> Address | None:
        """The job server that this client is connected to now; the first of them, where jobs are spread."""
        return next((connection.address for connection in self._connections()), None)

    def statistics(self) -> ClientStatistics:
        """What this client is doing now; looks at every job under way."""
        connections = self._connections()
        counts = [connection.session.count_jobs() for connection in connections]
        return ClientStatistics(
            connected=bool(connections),
            servers=self._connectors.report(),
            jobs=sum(jobs for jobs, _ in counts),
            abandoned_jobs=sum(abandoned for _, abandoned in counts),
            pending_replies=sum(connection.session.pending_replies for connection in connections),
            unsent_bytes=sum(connection.link.unsent_bytes for connection in connections),
            reconnects=sum(max(0, connector.connections - 1) for connector in self._mine),
        )

    def with_options(
        self,
        *,
        priority: Priority | str | None = None,
        unique: str | bytes | None = None,
        run_at: RunAt | None = None,
        delay: float | None = None,
        server: str | Address | None = None,
        name: str | bytes | None = None,
        max_unread_bytes: int | None = None,
        resubmit: Resubmit | None = None,
    ) -> Client:
        """This client with other options for its calls: ``await client.with_options(priority="high").run(...)``.

        It is a view, made in a moment: it lives on the connection of this client and is closed with it.  An option that
        is not given is as it is here.

        Args:
            priority: ``"high"``, ``"normal"`` or ``"low"``.
            unique: jobs of one function with the same unique ID, at most 64 bytes, are one job; ``"-"`` means that the
                workload itself is the unique ID.  Without one, a job is always one of its own.
            run_at: when a job may start at the earliest: seconds since 1970, UTC, or a datetime with a time zone.  A
                fraction is sent as milliseconds, which gearman_trio's server keeps; gearmand reads the whole seconds
                only, so there the job may start up to a second too early.  For `submit` only, and for the normal
                priority, because the packet cannot carry another.
            delay: as ``run_at``, in seconds from the time of the call.
            server: one of the servers that the client was opened with; this view has a connection of its own to it, if
                there are several.  Handles mean something to the server only that gave them.
            name: what decorated functions are called, where they have several names or another one there.
            max_unread_bytes: for `stream`: how much may come before it is read, each event counted with 128 bytes more
                than its data.  Above that the job ends with a `JobError`; what came before stays readable, other jobs
                go on.  The connection is shared, so a slow reader cannot make the worker wait.  64 MiB by default.
            resubmit: ``"if-unique"`` sends a foreground job that has a unique ID and whose server is lost to the next
                server, at most as often as there are servers; it may run twice.  Else, and by default with ``"never"``,
                `JobLost` is raised.  Not for `stream`, of which a part may have been read.

        Raises:
            ConfigError: an option cannot be used, or the server is none of this client's.
        """
        options = self._options.changed(
            priority=priority,
            unique=unique,
            run_at=run_at,
            delay=delay,
            name=name,
            max_unread_bytes=max_unread_bytes,
            resubmit=resubmit,
        )
        if server is None:
            return Client(self._connectors, self._connector, options, router=self._router)
        return Client(self._connectors, self._connectors.at(server), options)

    async def status(self, handle: str | bytes) -> JobState:
        """Ask how far a job is, by the handle that this job server gave it.

        Raises:
            ServersUnavailable: no job server could be reached, or the connection ended before the answer.
            ServerError: the job server refused to answer.
            RemoteProtocolError: the answer made no sense; the connection goes on.
            ConfigError: the handle is empty, holds a NUL, or is over 63 bytes long.

        Source: PROTOCOL, GET_STATUS.
        """
        packet = encode_request(PacketType.GET_STATUS, _question("job handle", handle))
        return parse_state(await self._ask(packet, PacketType.STATUS_RES))

    async def status_by_unique(self, unique: str | bytes) -> JobState:
        """Ask how far a job is, by its unique ID, and how many clients wait for it.

        gearmand looks at all functions and answers for the first job that has the unique ID.

        Raises:
            ServersUnavailable, ServerError, RemoteProtocolError: as for `status`.
            ConfigError: the unique ID is empty, holds a NUL, or is over 63 bytes long.

        Source: libgearman 1.1, GEARMAN_COMMAND_GET_STATUS_UNIQUE; not in the protocol document.
        """
        packet = encode_request(PacketType.GET_STATUS_UNIQUE, _question("unique ID", unique))
        asked = unique.encode("utf-8") if isinstance(unique, str) else unique
        return parse_state(await self._ask(packet, PacketType.STATUS_RES_UNIQUE, asked))

    async def echo(self, workload: Workload) -> bytes:
        """Have the job server send bytes back, which shows that it is there and has read everything before them.

        Raises:
            ServersUnavailable: no job server could be reached, or the connection ended before the answer.
            ServerError: the job server refused to answer.
            TypeError: the workload is not bytes-like.

        Source: PROTOCOL, ECHO_REQ.
        """
        packet = encode_request(PacketType.ECHO_REQ, workload_bytes(workload))
        (answer,) = await self._ask(packet, PacketType.ECHO_RES)
        return answer

    async def set_option(self, name: str) -> None:
        """Ask the job server for an option, now and on every later connection of this client.

        Where jobs are spread, each server that is connected now is asked in turn.

        Raises:
            ServersUnavailable: no job server could be reached, or the connection ended before the answer.
            ServerError: the job server does not know the option; it is not asked for again.
            ConfigError: the name is empty or holds a NUL.

        Source: PROTOCOL, OPTION_REQ.
        """
        packet = encode_option(name)
        connections = self._connections() or [await self._writable(None)]
        for connection in connections:
            call = Call(PacketType.OPTION_RES)
            await connection.link.wait_writable()
            if not connection.link.ended:
                connection.request(packet, call)
                await call.wait()
        for connector in self._mine:
            if name not in connector.options:
                connector.options.append(name)

    def _connections(self) -> list[Connection]:
        """Those that are usable now."""
        return [found for connector in self._mine if (found := connector.connection) is not None]


@asynccontextmanager
async def open_client(
    *servers: str | Address,
    routing: str = "failover",
    resubmit: Resubmit = "never",
    client_id: str | None = None,
    options: Sequence[str] = ("exceptions",),
    max_packet_bytes: int = MAX_PACKET_BYTES,
    ssl_context: Tls | None = None,
    connect: Connect | None = None,
    epoch_clock: Callable[[], float] = time.time,
) -> AsyncGenerator[Client]:
    """Open a client for the length of a block.

    It connects when a call first needs it: to the first of the servers, in their order, that can be reached and agrees
    to every option within ten seconds.  After a loss servers are tried in that order again, but those that failed a
    moment ago, the lost one among them, come last until their back-off is over: a time that doubles up to 30 seconds,
    and is drawn by lot from its upper half.

    Args:
        servers: ``"host:port"``, ``"host"``, ``"[::1]:port"`` or addresses; none means ``127.0.0.1:4730``.
        routing: which server gets a job.  With ``"failover"`` all use one connection, as said above.  With
            ``"round-robin"`` each server gets one in turn; with ``"ketama"`` the unique ID of a job says which, so that
            equal jobs of all clients meet (the consistent hashing of libgearman 2.2, as its source has it), and a job
            without one goes to the first.  There a server that is down is passed over without waiting, except for the
            first time, and is tried again beside the jobs, not before them.
        resubmit: as for `Client.with_options`.
        client_id: how the job server calls this client in its tables; printable ASCII without blanks.
        options: asked for on each new connection, before anything else.  Without ``"exceptions"`` a worker's exception
            comes as `JobFailed`.  A server that answers OPTION_REQ with nothing at all needs ``()``.
        max_packet_bytes: the largest body that is taken from a job server; a larger one ends the connection.
        ssl_context: makes every connection a TLS one, with the server's host as the name to be proved; a context, or
            `TlsOptions`.
        connect: gives the stream to an address instead of TCP; it may raise `OSError` or Trio's resource errors.
        epoch_clock: gives the seconds since 1970, from which the option ``delay`` counts.

    Raises:
        ConfigError: an address, the client ID or an option cannot be used.

    Resource handling: leaving the block closes the connection at once.  Calls that still wait in other tasks get
    `JobLost` or `ServersUnavailable`; later calls get `ServersUnavailable`.
    """
    if isinstance(options, str):
        raise ConfigError(f"options: expected a sequence of names, got {options!r}")
    for option in options:
        encode_option(option)
    call_options = CallOptions(epoch_clock=epoch_clock).changed(resubmit=resubmit)
    spread = check_routing(routing)
    addresses = [parse_address(server) if isinstance(server, str) else server for server in servers or ("127.0.0.1",)]
    make = partial(
        Connector,
        connect=dialer(connect, ssl_context),
        client_id=None if client_id is None else check_client_id(client_id),
        options=options,
        max_packet_bytes=max_packet_bytes,
    )
    failure: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            connectors = Connectors(addresses, make, nursery, routing=spread)
            try:
                yield Client(connectors, connectors.any, call_options, router=connectors.router)
            except BaseException as exc:
                failure = exc
                raise
            finally:
                connectors.close()
                nursery.cancel_scope.cancel()
    except BaseExceptionGroup:
        # The nursery is this function's own affair: what the block raised must come out as the block raised it.  Not by
        # looking into the group, because Trio rebuilds groups when it takes its Cancelled out of them.
        if failure is None or connectors.crashed:
            raise
    if failure is not None:
        raise failure


def _question(what: str, value: str | bytes) -> bytes:
    """A handle or unique ID to ask about."""
    value = value.encode("utf-8") if isinstance(value, str) else value
    if not value or len(value) > _MAX_QUESTION_BYTES or b"\0" in value:
        raise ConfigError(f"{what}: expected 1 to {_MAX_QUESTION_BYTES} bytes without NUL, got {value!r}")
    return value
