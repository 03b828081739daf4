"""Calling functions, by their names or as they were decorated: in the foreground and in the background.

A call by name takes a workload and its options as keyword arguments.  A call of a decorated function takes the
arguments of that function and nothing else, so its options come from `Client.with_options`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar, overload

import trio

from ..errors import JobLost, ServersUnavailable
from ..names import JobHandle, UniqueId
from ..protocol import PacketType
from ..signature import Injected, Signature, signature_of
from .call import Call, ResultCall, RunCall
from .connector import Connection, Connector
from .events import ItemEvent, JobEvent
from .job import ForegroundJob, JobFeed, TypedJob
from .options import CallOptions, RunAt
from .routing import Router
from .session import Request
from .submission import Priority, Workload

__all__ = ["Caller"]

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Call = TypeVar("_Call", bound=Call)

# The first parameter of a function that is its job.  A variable, because type checkers take a function for one that
# accepts the bound itself otherwise.
_Job = TypeVar("_Job", bound=Injected)


class Caller:
    """Submits jobs over one connector.

    Nothing here changes but what the connector keeps, so any number of callers may share one.

    Args:
        connector: has the connection that calls use.
        options: of all calls.
        router: gives the connection instead, where jobs are spread over several servers.
        servers: how many servers there are.
    """

    def __init__(
        self, connector: Connector, options: CallOptions, *, router: Router | None = None, servers: int = 1
    ) -> None:
        self._connector = connector
        self._options = options
        self._router = router
        self._servers = servers

    # The order matters: type checkers take the first that fits, and a function whose first parameter is its job fits
    # all that follow, too.
    @overload
    async def run(
        self,
        /,
        function: str | bytes,
        workload: Workload = b"",
        *,
        priority: Priority | str | None = None,
        unique: str | bytes | None = None,
    ) -> bytes: ...
    @overload
    async def run(
        self, function: Callable[Concatenate[_Job, _P], AsyncIterator[_T]], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> list[_T]: ...
    @overload
    async def run(
        self, function: Callable[Concatenate[_Job, _P], Awaitable[_T]], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> _T: ...
    @overload
    async def run(
        self, function: Callable[Concatenate[_Job, _P], _T], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> _T: ...
    @overload
    async def run(
        self, function: Callable[_P, AsyncIterator[_T]], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> list[_T]: ...
    @overload
    async def run(self, function: Callable[_P, Awaitable[_T]], /, *args: _P.args, **kwargs: _P.kwargs) -> _T: ...
    @overload
    async def run(self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T: ...
    async def run(self, /, *args: Any, **kwargs: Any) -> Any:
        """Run a job in the foreground and give its result.

        ::

            result: bytes = await client.run("reverse", b"abc", priority="high")
            words: int = await client.run(word_count, "some text")

        By name, the result is all WORK_DATA in order, then the payload of WORK_COMPLETE.  Of a decorated function, it
        is what the function returned, or the list of the items that it yielded.  Warnings and status are passed over,
        and the whole result is kept in memory; `stream` does otherwise.

        Args:
            args: what is called: a name, at most 512 bytes, or a function that was decorated with
                `Abilities.function`.  After a name, the workload: opaque bytes, at most 4 GiB less the names.  After a
                function, its arguments, without its job.
            kwargs: for a name, ``workload``, ``priority`` and ``unique``, which `Client.with_options` describes.  For a
                function, its arguments.

        Raises:
            JobFailed: the worker or the job server failed the job.
            JobRaised: the worker sent an exception; needs the option ``"exceptions"``, which is on by default.
            JobLost: the connection ended before the job did, or the client was closed.
            ServerError: the job server refused the job.
            ServersUnavailable: no job server could be reached.
            SerializationError: an argument does not fit the function's serializer, and nothing was sent; or the result
                cannot be read by it.
            ConfigError: a name or an option cannot be used.
            TypeError: the workload is not bytes-like, the function takes other arguments, or it was not decorated.

        Source: PROTOCOL, SUBMIT_JOB, SUBMIT_JOB_HIGH, SUBMIT_JOB_LOW.
        """
        if not args or not callable(args[0]):
            packet = self._options.foreground(*args, **kwargs)
            return await self._outcome(packet, self._options.unique_of(kwargs), RunCall, RunCall.wait_result)
        signature, workload = self._typed(*args, **kwargs)
        packet = self._options.foreground(signature.name, workload)
        unique = self._options.unique_of({})
        if signature.streams:
            parts = await self._outcome(packet, unique, RunCall, RunCall.wait_parts)
            return [signature.read_result(part) for part in parts]
        # What came before the end of one value made of others is no part of that value.
        kind = ResultCall if signature.serializer.structured else RunCall
        return signature.read_result(await self._outcome(packet, unique, kind, kind.wait_result))

    @overload
    def stream(
        self,
        /,
        function: str | bytes,
        workload: Workload = b"",
        *,
        priority: Priority | str | None = None,
        unique: str | bytes | None = None,
        max_unread_bytes: int | None = None,
    ) -> AbstractAsyncContextManager[ForegroundJob]: ...
    @overload
    def stream(  # type: ignore[overload-overlap]  # an iterator is a result, too; the first that fits is meant
        self, function: Callable[Concatenate[_Job, _P], AsyncIterator[_T]], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> AbstractAsyncContextManager[TypedJob[ItemEvent[_T], None]]: ...
    @overload
    def stream(
        self, function: Callable[Concatenate[_Job, _P], Awaitable[_T]], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> AbstractAsyncContextManager[TypedJob[JobEvent, _T]]: ...
    @overload
    def stream(
        self, function: Callable[Concatenate[_Job, _P], _T], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> AbstractAsyncContextManager[TypedJob[JobEvent, _T]]: ...
    @overload
    def stream(  # type: ignore[overload-overlap]  # as above
        self, function: Callable[_P, AsyncIterator[_T]], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> AbstractAsyncContextManager[TypedJob[ItemEvent[_T], None]]: ...
    @overload
    def stream(
        self, function: Callable[_P, Awaitable[_T]], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> AbstractAsyncContextManager[TypedJob[JobEvent, _T]]: ...
    @overload
    def stream(
        self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> AbstractAsyncContextManager[TypedJob[JobEvent, _T]]: ...
    @asynccontextmanager
    async def stream(self, /, *args: Any, **kwargs: Any) -> AsyncGenerator[Any]:
        """Run a job in the foreground and watch it.

        ::

            async with client.stream(squares, 10) as job:
                async for event in job:
                    ...

        The block is entered when the job server has given the job its handle.  Leaving it before the job's end means
        that nothing more of it is kept; the job itself goes on, since a job server cannot be told that its client lost
        interest.

        By name this gives a `ForegroundJob`, of a decorated function a `TypedJob`.

        Args:
            args: as for `run`.
            kwargs: as for `run`; for a name, also ``max_unread_bytes``.

        Raises:
            ServerError, ServersUnavailable, JobLost, SerializationError, ConfigError, TypeError: as for `run`, on
                entering.
        """
        options = self._options
        signature: Signature | None = None
        if args and callable(args[0]):
            signature, workload = self._typed(*args, **kwargs)
            packet = options.foreground(signature.name, workload)
            sent, most = options.unique_of({}), options.max_unread_bytes
        else:
            most = kwargs.pop("max_unread_bytes", None) or options.max_unread_bytes
            packet = options.foreground(*args, **kwargs)
            sent = options.unique_of(kwargs)
        feed = JobFeed(most)
        try:
            await self._send(packet, feed, sent)
            await feed.wait_created()
            yield ForegroundJob(feed, sent) if signature is None else TypedJob[Any, Any](feed, sent, signature)
        finally:
            feed.leave()

    @overload
    async def submit(
        self,
        /,
        function: str | bytes,
        workload: Workload = b"",
        *,
        priority: Priority | str | None = None,
        unique: str | bytes | None = None,
        run_at: RunAt | None = None,
        delay: float | None = None,
    ) -> JobHandle: ...
    @overload
    async def submit(
        self, function: Callable[Concatenate[_Job, _P], Any], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> JobHandle: ...
    @overload
    async def submit(self, function: Callable[_P, Any], /, *args: _P.args, **kwargs: _P.kwargs) -> JobHandle: ...
    async def submit(self, /, *args: Any, **kwargs: Any) -> JobHandle:
        """Leave a job with the job server, to run in the background, and give its handle.

        Args:
            args: as for `run`.
            kwargs: as for `run`; for a name, also ``run_at`` and ``delay``.

        Raises:
            JobLost: the connection ended before the job server answered; the job may have been taken.
            ServerError: the job server refused the job.
            ServersUnavailable: no job server could be reached.
            SerializationError, ConfigError, TypeError: as for `run`.

        Source: PROTOCOL, SUBMIT_JOB_BG, SUBMIT_JOB_HIGH_BG, SUBMIT_JOB_LOW_BG, SUBMIT_JOB_EPOCH.
        """
        if args and callable(args[0]):
            signature, workload = self._typed(*args, **kwargs)
            packet, unique = self._options.background(signature.name, workload), self._options.unique_of({})
        else:
            packet, unique = self._options.background(*args, **kwargs), self._options.unique_of(kwargs)
        call = Call(PacketType.JOB_CREATED)
        await self._send(packet, call, unique)
        await call.wait()
        (handle,) = call.fields
        return JobHandle(handle)

    def _typed(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> tuple[Signature, bytes]:
        """What a decorated function is called by, and the workload of a call."""
        signature = signature_of(function, self._options.name)
        return signature, signature.write_call(args, kwargs)

    async def _outcome(
        self,
        packet: bytes,
        unique: UniqueId,
        kind: Callable[[], _Call],
        wait: Callable[[_Call], Awaitable[_T]],
    ) -> _T:
        """Submit a foreground job, again where that was asked for and its server is lost, and wait for its end."""
        # One that takes its server down with it must not go round for ever.
        tries_left = self._servers if unique and self._options.resubmit == "if-unique" else 0
        lost: JobLost | None = None
        while True:
            call = kind()
            try:
                await self._send(packet, call, unique)
            except ServersUnavailable as exc:
                if lost is None:
                    raise
                raise lost from exc
            try:
                return await wait(call)
            except JobLost as exc:
                if tries_left == 0:
                    raise
                tries_left -= 1
                # Its traceback holds this frame: with it the two would keep each other alive.
                lost = exc.with_traceback(None)

    async def _ask(self, packet: bytes, expected: PacketType, unique: bytes | None = None) -> list[bytes]:
        """Send a request and give the fields of its answer."""
        call = Call(expected)
        await self._send(packet, call, unique)
        await call.wait()
        return call.fields

    async def _send(self, packet: bytes, request: Request, unique: bytes | None = None) -> None:
        """Queue a packet on a usable connection that is not too far behind; nothing is queued where this raises.

        Args:
            packet: what is sent.
            request: waits for the answer.
            unique: the unique ID of the job that it submits or asks for; ``None`` where there is no such job.
        """
        connection = await self._writable(unique)
        connection.request(packet, request)

    def _connection_now(self, unique: bytes) -> Connection | None:
        """A connection on which a job can be submitted without waiting; ``None`` where there is none."""
        connection = self._connector.connection if self._router is None else self._router.connection_now(unique)
        return connection if connection is not None and connection.link.writable else None

    async def _writable(self, unique: bytes | None) -> Connection:
        """Wait for a usable connection that is not too far behind."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while True:
            if self._router is None:
                connection = self._connector.connection or await self._connector.connected()
            elif unique is None:
                connection = await self._router.question_connection()
            else:
                connection = await self._router.connection(unique)
            await connection.link.wait_writable()
            if not connection.link.ended:
                return connection
