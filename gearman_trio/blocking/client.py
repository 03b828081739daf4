"""The client for threads."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from types import TracebackType
from typing import Any, Literal, overload

from .. import client as _async
from ..client import ClientStatistics, JobState, Priority, open_client
from ..client.chunking import DEFAULT_CHUNK_BYTES, Cutter
from ..client.pipeline import OnRefusal
from ..errors import GearmanError
from ..names import JobHandle
from ..names import client_id as check_client_id
from ..protocol import MAX_PACKET_BYTES
from ..transport import Address, Connect, Tls, parse_address
from .job import ForegroundJob
from .loop import Loop
from .mapping import PlainSource, open_chunk_results, open_results
from .pipeline import Pipeline
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

    @contextmanager
    def pipeline(self, *, on_error: OnRefusal = "raise", timeout: float | None = None) -> Iterator[Pipeline]:
        """Submit many background jobs together, as `gearman_trio.Client.pipeline`.

        ::

            with client.pipeline(timeout=10) as pipeline:
                entries = [pipeline.submit("resize", picture) for picture in pictures]

        Args:
            on_error: as there.
            timeout: the seconds that the end of the block may take, which sends everything.

        Raises:
            TimeoutError, PipelineError, ServersUnavailable: as `Pipeline.flush`, on leaving.
            ConfigError: as there.
        """
        loop = self._portal.loop()
        held = loop.hold(lambda client: client.pipeline(on_error=on_error), None)
        try:
            pipeline = Pipeline(held.value, loop)
            yield pipeline
            pipeline.flush(timeout=timeout)
        finally:
            # Leaving the inner block sends what is left, and here nobody would wait for it.
            held.value.clear()
            loop.post(held.leave)

    @overload
    def map(
        self,
        function: str | bytes,
        items: Iterable[Workload],
        /,
        *,
        concurrency: int = 10,
        ordered: bool = False,
        on_error: Literal["raise"] = "raise",
        timeout: float | None = None,
    ) -> AbstractContextManager[Iterator[bytes]]: ...
    @overload
    def map(
        self,
        function: str | bytes,
        items: Iterable[Workload],
        /,
        *,
        concurrency: int = 10,
        ordered: bool = False,
        on_error: Literal["yield"],
        timeout: float | None = None,
    ) -> AbstractContextManager[Iterator[bytes | GearmanError]]: ...
    def map(
        self,
        function: str | bytes,
        items: Iterable[Workload],
        /,
        *,
        concurrency: int = 10,
        ordered: bool = False,
        on_error: Any = "raise",
        timeout: float | None = None,
    ) -> AbstractContextManager[Iterator[Any]]:
        """Run a job for each item, some at a time, and give their results as they come: `gearman_trio.Client.map`.

        ::

            with client.map("resize", pictures, concurrency=20) as results:
                for small in results:
                    ...

        The items are taken in the calling thread, each time that a result is asked for, so they may block; then
        nothing is read meanwhile.

        Args:
            function: the name of what is called.
            items: the workloads; they may be endless.
            concurrency: as there.
            ordered: as there.
            on_error: as there.
            timeout: the seconds that each result may take.

        Raises:
            TimeoutError: a result did not come in time; none is lost, and one may go on.
            JobFailed, JobRaised, JobLost, ServerError, ServersUnavailable, ConfigError, TypeError: as there.
        """

        def open_(client: _async.Client, taken: Any) -> Any:
            return client.map(function, taken, concurrency=concurrency, ordered=ordered, on_error=on_error)

        return open_results(self._portal, open_, items, concurrency=concurrency, timeout=timeout)

    @overload
    def run_chunks(
        self,
        function: str | bytes,
        source: PlainSource,
        /,
        *,
        chunk_bytes: int = DEFAULT_CHUNK_BYTES,
        separator: bytes | None = None,
        concurrency: int = 10,
        on_error: Literal["raise"] = "raise",
        timeout: float | None = None,
    ) -> AbstractContextManager[Iterator[bytes]]: ...
    @overload
    def run_chunks(
        self,
        function: str | bytes,
        source: PlainSource,
        /,
        *,
        chunk_bytes: int = DEFAULT_CHUNK_BYTES,
        separator: bytes | None = None,
        concurrency: int = 10,
        on_error: Literal["yield"],
        timeout: float | None = None,
    ) -> AbstractContextManager[Iterator[bytes | GearmanError]]: ...
    def run_chunks(
        self,
        function: str | bytes,
        source: PlainSource,
        /,
        *,
        chunk_bytes: int = DEFAULT_CHUNK_BYTES,
        separator: bytes | None = None,
        concurrency: int = 10,
        on_error: Any = "raise",
        timeout: float | None = None,
    ) -> AbstractContextManager[Iterator[Any]]:
        """Run a job for each chunk of something large, and give their results in order.

        This is `gearman_trio.Client.run_chunks`.

        The source is read in the calling thread, each time that a result is asked for.

        Args:
            function: the name of what is called.
            source: as there, but for what is async.
            chunk_bytes: as there.
            separator: as there.
            concurrency: as there.
            on_error: as there.
            timeout: the seconds that each result may take.

        Raises:
            TimeoutError: as for `map`.
            OSError, JobFailed, JobRaised, JobLost, ServerError, ServersUnavailable, ConfigError, TypeError: as there.
        """

        def open_(client: _async.Client, taken: Any) -> Any:
            return client.map(function, taken, concurrency=concurrency, ordered=True, on_error=on_error)

        cutter = Cutter(chunk_bytes, separator)
        return open_chunk_results(self._portal, open_, cutter, source, concurrency=concurrency, timeout=timeout)

    def map_reduce(
        self,
        mapper: str | bytes,
        reducer: str | bytes,
        /,
        workload: Workload = b"",
        *,
        unique: str | bytes | None = None,
        timeout: float | None = None,
    ) -> bytes:
        """Run a job that its worker splits for a reducer, and give its result: `gearman_trio.Client.map_reduce`.

        Raises:
            TimeoutError: the result did not come within `timeout` seconds.
            JobFailed, JobRaised, JobLost, ServerError, ServersUnavailable, ConfigError, TypeError: as there.
        """
        return self._portal.call(lambda client: client.map_reduce(mapper, reducer, workload, unique=unique), timeout)

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
