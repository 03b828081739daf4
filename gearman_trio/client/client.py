"""The client: submits jobs to a job server and learns how they go."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import attrs
import trio

from ..errors import ConfigError
from ..names import JobHandle, unique_id
from ..names import client_id as check_client_id
from ..protocol import MAX_PACKET_BYTES, PacketType, encode_request
from ..transport import Address, Connect, dialer, parse_address
from .call import Call, RunCall
from .connector import Connector, encode_option
from .events import JobState, parse_state
from .job import DEFAULT_MAX_UNREAD_BYTES, ForegroundJob, JobFeed
from .session import Request
from .submission import Priority, Workload, encode_background, encode_epoch, encode_foreground, workload_bytes

__all__ = ["Client", "ClientStatistics", "open_client"]

#: gearmand does not answer a question about a longer handle or unique ID at all (server.cc), and the next answer
#: would be taken for this one's.
_MAX_QUESTION_BYTES = 63


@attrs.frozen(kw_only=True)
class ClientStatistics:
    """What a client is doing.

    Attributes:
        connected: whether there is a connection now.
        jobs: foreground jobs that have a handle and are waited for.
        abandoned_jobs: foreground jobs that nobody waits for any longer and whose end has not come.
        pending_replies: requests that the job server has not answered, abandoned ones included.
        unsent_bytes: bytes that wait to be sent.
        reconnects: how many connections were made after the first one.
    """

    connected: bool
    jobs: int
    abandoned_jobs: int
    pending_replies: int
    unsent_bytes: int
    reconnects: int


class Client:
    """A client of a job server; `open_client` gives it.

    Any number of tasks may use it at once, over the one connection that it keeps.  It connects when a call needs it,
    and again after a loss; what was under way at a loss is not repeated, because it may have been done.

    Cancellation, for every method: a call that is cancelled before its packet is queued has no effect.  After that the
    request stays with the job server, which cannot be told: the job may run, and what comes for it is dropped.  The
    connection stays usable either way.
    """

    def __init__(self, connector: Connector) -> None:
        self._connector = connector

    @property
    def server(self) -> Address | None:
        """The job server that this client is connected to now."""
        connection = self._connector.connection
        return None if connection is None else connection.address

    def statistics(self) -> ClientStatistics:
        """What this client is doing now; looks at every job under way."""
        connection = self._connector.connection
        jobs, abandoned = (0, 0) if connection is None else connection.session.count_jobs()
        return ClientStatistics(
            connected=connection is not None,
            jobs=jobs,
            abandoned_jobs=abandoned,
            pending_replies=0 if connection is None else connection.session.pending_replies,
            unsent_bytes=0 if connection is None else connection.link.unsent_bytes,
            reconnects=max(0, self._connector.connections - 1),
        )

    async def run(
        self,
        function: str | bytes,
        workload: Workload = b"",
        *,
        priority: Priority | str = Priority.NORMAL,
        unique: str | bytes | None = None,
    ) -> bytes:
        """Run a job in the foreground and give its result: all WORK_DATA in order, then the payload of WORK_COMPLETE.

        Warnings and status are passed over, and the whole result is kept in memory; `stream` does otherwise.

        Args:
            function: what is called, at most 512 bytes.
            workload: opaque bytes, at most 4 GiB less the names.
            priority: ``"high"``, ``"normal"`` or ``"low"``.
            unique: jobs of one function with the same unique ID, at most 64 bytes, are one job; ``"-"`` means that the
                workload itself is the unique ID; ``None``, that the job is always one of its own.

        Raises:
            JobFailed: the worker or the job server failed the job.
            JobRaised: the worker sent an exception; needs the option ``"exceptions"``, which is on by default.
            JobLost: the connection ended before the job did, or the client was closed.
            ServerError: the job server refused the job.
            ServersUnavailable: no job server could be reached.
            ConfigError: a name or the priority cannot be used.
            TypeError: the workload is not bytes-like.

        Source: PROTOCOL, SUBMIT_JOB, SUBMIT_JOB_HIGH, SUBMIT_JOB_LOW.
        """
        packet = encode_foreground(function, workload, priority, unique)
        call = RunCall()
        await self._send(packet, call)
        return await call.wait_result()

    @asynccontextmanager
    async def stream(
        self,
        function: str | bytes,
        workload: Workload = b"",
        *,
        priority: Priority | str = Priority.NORMAL,
        unique: str | bytes | None = None,
        max_unread_bytes: int = DEFAULT_MAX_UNREAD_BYTES,
    ) -> AsyncGenerator[ForegroundJob]:
        """Run a job in the foreground and watch it: ``async with client.stream(...) as job: ...``.

        The block is entered when the job server has given the job its handle.  Leaving it before the job's end means
        that nothing more of it is kept; the job itself goes on, since a job server cannot be told that its client lost
        interest.

        Args:
            function: as for `run`.
            workload: as for `run`.
            priority: as for `run`.
            unique: as for `run`.
            max_unread_bytes: how much may come before it is read, each event counted with 128 bytes more than its data.
                Above that this job ends with a `JobError`; what came before stays readable, other jobs go on.  The
                connection is shared, so a slow reader cannot make the worker wait.

        Raises:
            ServerError, ServersUnavailable, JobLost, ConfigError, TypeError: as for `run`, on entering.
        """
        packet = encode_foreground(function, workload, priority, unique)
        feed = JobFeed(max_unread_bytes)
        try:
            await self._send(packet, feed)
            await feed.wait_created()
            yield ForegroundJob(feed, unique_id(unique))
        finally:
            feed.leave()

    async def submit(
        self,
        function: str | bytes,
        workload: Workload = b"",
        *,
        priority: Priority | str = Priority.NORMAL,
        unique: str | bytes | None = None,
        run_at: float | datetime.datetime | None = None,
    ) -> JobHandle:
        """Leave a job with the job server, to run in the background, and give its handle.

        Args:
            function: as for `run`.
            workload: as for `run`.
            priority: as for `run`.
            unique: as for `run`.
            run_at: when the job may start at the earliest: seconds since 1970, UTC, or a datetime with a time zone.  A
                fraction is sent as milliseconds, which gearman_trio's server keeps; gearmand reads the whole seconds
                only, so there the job may start up to a second too early.  Needs the normal priority, because
                the packet cannot carry another.

        Raises:
            JobLost: the connection ended before the job server answered; the job may have been taken.
            ServerError: the job server refused the job.
            ServersUnavailable: no job server could be reached.
            ConfigError: a name, the priority or the time cannot be used.
            TypeError: the workload is not bytes-like.

        Source: PROTOCOL, SUBMIT_JOB_BG, SUBMIT_JOB_HIGH_BG, SUBMIT_JOB_LOW_BG, SUBMIT_JOB_EPOCH.
        """
        if run_at is None:
            packet = encode_background(function, workload, priority, unique)
        elif priority == Priority.NORMAL:
            packet = encode_epoch(function, workload, run_at, unique)
        else:
            raise ConfigError(f"priority: a job with run_at has the normal priority, got {priority!r}")
        (handle,) = await self._ask(packet, PacketType.JOB_CREATED)
        return JobHandle(handle)

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
        return parse_state(await self._ask(packet, PacketType.STATUS_RES_UNIQUE))

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

        Raises:
            ServersUnavailable: no job server could be reached, or the connection ended before the answer.
            ServerError: the job server does not know the option; it is not asked for again.
            ConfigError: the name is empty or holds a NUL.

        Source: PROTOCOL, OPTION_REQ.
        """
        await self._ask(encode_option(name), PacketType.OPTION_RES)
        if name not in self._connector.options:
            self._connector.options.append(name)

    async def _ask(self, packet: bytes, expected: PacketType) -> list[bytes]:
        """Send a request and give the fields of its answer."""
        call = Call(expected)
        await self._send(packet, call)
        await call.wait()
        return call.fields

    async def _send(self, packet: bytes, request: Request) -> None:
        """Queue a packet on a usable connection that is not too far behind; nothing is queued where this raises."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while True:
            connection = self._connector.connection or await self._connector.connected()
            await connection.link.wait_writable()
            if not connection.link.ended:
                break
        connection.request(packet, request)


@asynccontextmanager
async def open_client(
    *servers: str | Address,
    client_id: str | None = None,
    options: Sequence[str] = ("exceptions",),
    max_packet_bytes: int = MAX_PACKET_BYTES,
    ssl_context: ssl.SSLContext | None = None,
    connect: Connect | None = None,
) -> AsyncGenerator[Client]:
    """Open a client for the length of a block.

    It connects when a call first needs it: to the first of the servers, in their order, that can be reached and agrees
    to every option within ten seconds.  Servers are tried in that order again after a loss.

    Args:
        servers: ``"host:port"``, ``"host"``, ``"[::1]:port"`` or addresses; none means ``127.0.0.1:4730``.
        client_id: how the job server calls this client in its tables; printable ASCII without blanks.
        options: asked for on each new connection, before anything else.  Without ``"exceptions"`` a worker's exception
            comes as `JobFailed`.  A server that answers OPTION_REQ with nothing at all needs ``()``.
        max_packet_bytes: the largest body that is taken from a job server; a larger one ends the connection.
        ssl_context: makes every connection a TLS one, with the server's host as the name to be proved.
        connect: gives the stream to an address instead of TCP; it may raise `OSError` or Trio's resource errors.

    Raises:
        ConfigError: an address, the client ID or an option cannot be used.

    Resource handling: leaving the block closes the connection at once.  Calls that still wait in other tasks get
    `JobLost` or `ServersUnavailable`; later calls get `ServersUnavailable`.
    """
    if isinstance(options, str):
        raise ConfigError(f"options: expected a sequence of names, got {options!r}")
    for option in options:
        encode_option(option)
    connector = Connector(
        [parse_address(server) if isinstance(server, str) else server for server in servers or ("127.0.0.1",)],
        dialer(connect, ssl_context),
        client_id=None if client_id is None else check_client_id(client_id),
        options=options,
        max_packet_bytes=max_packet_bytes,
    )
    failure: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connector.keep)
            try:
                yield Client(connector)
            except BaseException as exc:
                failure = exc
                raise
            finally:
                connector.close()
                nursery.cancel_scope.cancel()
    except BaseExceptionGroup:
        # The nursery is this function's own affair: what the block raised must come out as the block raised it.  Not by
        # looking into the group, because Trio rebuilds groups when it takes its Cancelled out of them.
        if failure is None or connector.crashed:
            raise
    if failure is not None:
        raise failure


def _question(what: str, value: str | bytes) -> bytes:
    """A handle or unique ID to ask about."""
    value = value.encode("utf-8") if isinstance(value, str) else value
    if not value or len(value) > _MAX_QUESTION_BYTES or b"\0" in value:
        raise ConfigError(f"{what}: expected 1 to {_MAX_QUESTION_BYTES} bytes without NUL, got {value!r}")
    return value
