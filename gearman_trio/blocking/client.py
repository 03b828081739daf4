"""The client for threads."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from types import TracebackType

from .. import client as _async
from ..client import ClientStatistics, JobState, Priority, open_client
from ..names import JobHandle
from ..names import client_id as check_client_id
from ..protocol import MAX_PACKET_BYTES
from ..transport import Address, Connect, Tls, parse_address
from .job import ForegroundJob
from .loop import Loop
from .portal import Portal

__all__ = ["Client"]

Workload = bytes | bytearray | memoryview


class Client:
    """A client of a job server as plain calls, for any number of threads at once.

    ::

        with Client("host:4730") as client:
            client.run("reverse", b"!dlrow olleH", timeout=10)

    All threads share one connection, which the first call makes, and a background thread that runs Trio.  The methods
    are those of `gearman_trio.Client`: the same arguments, results and errors.

    Timeouts: each method takes ``timeout``, the seconds that the call may take, connecting included; ``None`` is
    without limit.  After them it raises `TimeoutError`.  What was sent stays with the job server: a job goes on, and
    what comes for it is dropped.  The client and its connection stay usable.  A `KeyboardInterrupt` in the calling
    thread does the same.

    Forks: the parent's client goes on.  In the child the same object makes a thread and a connection of its own at
    its first call; a job that was being watched is not watched there.

    Resource handling: `close`, or the end of the ``with`` block, ends the connection and the thread.  A client that is
    forgotten does so when it is collected or the interpreter exits; neither waits for anything.  Once closed it stays
    closed.
    """

    def __init__(
        self,
        *servers: str | Address,
        client_id: str | None = None,
        options: Sequence[str] = ("exceptions",),
        max_packet_bytes: int = MAX_PACKET_BYTES,
        ssl_context: Tls | None = None,
        connect: Connect | None = None,
    ) -> None:
        """Make a client that connects when it is first used; the arguments are those of `gearman_trio.open_client`.

        Raises:
            ConfigError: an address or the client ID cannot be used. An option that cannot be sent is found at the
            first use.
        """
        addresses = [parse_address(server) if isinstance(server, str) else server for server in servers]
        if client_id is not None:
            check_client_id(client_id)
        options = options if isinstance(options, str) else tuple(options)

        def open_(loop: Loop[_async.Client]) -> AbstractAsyncContextManager[_async.Client]:
            return open_client(
                *addresses,
                client_id=client_id,
                options=options,
                max_packet_bytes=max_packet_bytes,
                ssl_context=ssl_context,
                connect=loop.watching(connect),
            )

        self._portal = Portal(open_, "client")

    def __enter__(self) -> Client:
        self._portal.loop()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection and the thread; may be called again.

        Calls that still wait in other threads get `JobLost` or `ServersUnavailable`, later calls `ServersUnavailable`.
        """
        self._portal.close()

    @property
    def server(self) -> Address | None:
        """The job server that this client is connected to now."""

        async def ask(client: _async.Client) -> Address | None:
            return client.server

        return self._portal.call(ask) if self._portal.open else None

    def statistics(self) -> ClientStatistics:
        """What this client is doing now; looks at every job under way."""

        async def ask(client: _async.Client) -> ClientStatistics:
            return client.statistics()

        return self._portal.call(ask)

    def run(
        self,
        function: str | bytes,
        workload: Workload = b"",
        *,
        priority: Priority | str = Priority.NORMAL,
        unique: str | bytes | None = None,
        timeout: float | None = None,
    ) -> bytes:
        """Run a job in the foreground and give its result, as `gearman_trio.Client.run`.

        Raises:
            TimeoutError: the result did not come within `timeout` seconds.
            JobFailed, JobRaised, JobLost, ServerError, ServersUnavailable, ConfigError, TypeError: as there.
        """
        return self._portal.call(
            lambda client: client.run(function, workload, priority=priority, unique=unique), timeout
        )

    @contextmanager
    def stream(
        self,
        function: str | bytes,
        workload: Workload = b"",
        *,
        priority: Priority | str = Priority.NORMAL,
        unique: str | bytes | None = None,
        timeout: float | None = None,
    ) -> Iterator[ForegroundJob]:
        """Run a job in the foreground and watch it, as `gearman_trio.Client.stream`.

        ::

            with client.stream("resize", image, timeout=5) as job:
                for event in job:
                    ...
                job.result()

        Args:
            function: as there.
            workload: as there.
            priority: as there.
            unique: as there.
            timeout: the seconds until the job has its handle; the methods of the job have a limit of their own.

        Raises:
            TimeoutError: the job server gave no handle in time.
            JobLost, ServerError, ServersUnavailable, ConfigError, TypeError: as there, on entering.
        """
        loop = self._portal.loop()
        held = loop.hold(
            lambda client: client.stream(function, workload, priority=priority, unique=unique),
            timeout,
        )
        try:
            yield ForegroundJob(held.value, loop)
        finally:
            loop.post(held.leave)

    def submit(
        self,
        function: str | bytes,
        workload: Workload = b"",
        *,
        priority: Priority | str = Priority.NORMAL,
        unique: str | bytes | None = None,
        run_at: float | datetime.datetime | None = None,
        timeout: float | None = None,
    ) -> JobHandle:
        """Leave a job with the job server, to run in the background, and give its handle: `gearman_trio.Client.submit`.

        Raises:
            TimeoutError: the handle did not come within `timeout` seconds; the job may have been taken.
            JobLost, ServerError, ServersUnavailable, ConfigError, TypeError: as there.
        """
        return self._portal.call(
            lambda client: client.submit(function, workload, priority=priority, unique=unique, run_at=run_at), timeout
        )

    def status(self, handle: str | bytes, *, timeout: float | None = None) -> JobState:
        """Ask how far a job is, by its handle. Raises as `gearman_trio.Client.status`."""
        return self._portal.call(lambda client: client.status(handle), timeout)

    def status_by_unique(self, unique: str | bytes, *, timeout: float | None = None) -> JobState:
        """Ask how far a job is, by its unique ID. Raises as `gearman_trio.Client.status_by_unique`."""
        return self._portal.call(lambda client: client.status_by_unique(unique), timeout)

    def echo(self, workload: Workload, *, timeout: float | None = None) -> bytes:
        """Have the job server send bytes back. Raises as `gearman_trio.Client.echo`."""
        return self._portal.call(lambda client: client.echo(workload), timeout)

    def set_option(self, name: str, *, timeout: float | None = None) -> None:
        """Ask the job server for an option. Raises as `gearman_trio.Client.set_option`."""
        self._portal.call(lambda client: client.set_option(name), timeout)
