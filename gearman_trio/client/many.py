"""Many jobs by one call."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, Literal, TypeVar, overload

from ..signature import Injected
from .caller import Caller
from .chunking import DEFAULT_CHUNK_BYTES, ChunkSource, open_chunks
from .mapped import MappedFunction, MappedJob
from .mapping import Begin, OnError, Place, open_mapping
from .pipeline import OnRefusal, Pipeline
from .submission import Workload

__all__ = ["ManyCaller"]

_A = TypeVar("_A")
_T = TypeVar("_T")
_Job = TypeVar("_Job", bound=Injected)

#: Where items come from.
_Items = Iterable[_A] | AsyncIterable[_A]

#: What gives results: a block, and in it an async iterator.
_Results = AbstractAsyncContextManager[AsyncIterator[_T]]


class ManyCaller(Caller):
    """Submits many jobs over one connector."""

    # The order matters, as in `Caller`.
    @overload
    def map(
        self,
        function: str | bytes,
        items: _Items[Workload],
        /,
        *,
        concurrency: int = 10,
        ordered: bool = False,
        on_error: Literal["raise"] = "raise",
    ) -> _Results[bytes]: ...
    @overload
    def map(
        self,
        function: Callable[[_Job, _A], AsyncIterator[_T]],
        items: _Items[_A],
        /,
        *,
        concurrency: int = 10,
        ordered: bool = False,
        on_error: Literal["raise"] = "raise",
    ) -> _Results[list[_T]]: ...
    @overload
    def map(
        self,
        function: Callable[[_Job, _A], Awaitable[_T]],
        items: _Items[_A],
        /,
        *,
        concurrency: int = 10,
        ordered: bool = False,
        on_error: Literal["raise"] = "raise",
    ) -> _Results[_T]: ...
    @overload
    def map(
        self,
        function: Callable[[_Job, _A], _T],
        items: _Items[_A],
        /,
        *,
        concurrency: int = 10,
        ordered: bool = False,
        on_error: Literal["raise"] = "raise",
    ) -> _Results[_T]: ...
    @overload
    def map(
        self,
        function: Callable[[_A], AsyncIterator[_T]],
        items: _Items[_A],
        /,
        *,
        concurrency: int = 10,
        ordered: bool = False,
        on_error: Literal["raise"] = "raise",
    ) -> _Results[list[_T]]: ...
    @overload
    def map(
        self,
        function: Callable[[_A], Awaitable[_T]],
        items: _Items[_A],
        /,
        *,
        concurrency: int = 10,
        ordered: bool = False,
        on_error: Literal["raise"] = "raise",
    ) -> _Results[_T]: ...
    @overload
    def map(
        self,
        function: Callable[[_A], _T],
        items: _Items[_A],
        /,
        *,
        concurrency: int = 10,
        ordered: bool = False,
        on_error: Literal["raise"] = "raise",
    ) -> _Results[_T]: ...
    @overload
    def map(
        self,
        function: str | bytes | Callable[..., Any],
        items: _Items[Any],
        /,
        *,
        concurrency: int = 10,
        ordered: bool = False,
        on_error: Literal["yield"],
    ) -> _Results[Any]: ...
    def map(
        self,
        function: str | bytes | Callable[..., Any],
        items: _Items[Any],
        /,
        *,
        concurrency: int = 10,
        ordered: bool = False,
        on_error: OnError = "raise",
    ) -> _Results[Any]:
        """Run a job for each item, some at a time, and give their results as they come.

        ::

            async with client.map("resize", pictures, concurrency=20) as results:
                async for small in results:
                    ...

        It is a block because a task of its own submits the jobs: it ends with the block, however it is left.  Only what
        there is room for is taken from the items: ``concurrency`` jobs are under way, and at most as many again have
        been started whose results were not read; so the items may be endless.  Results that are there are given without
        a pass of Trio's scheduler.

        Args:
            function: what is called, as for `run`: by name with each item as the workload, or decorated, with each item
                as its one argument (`with_options` says more about a job, such as its priority).
            items: any iterable, or an async one.  Taking an item should not block.
            concurrency: how many jobs run at once.
            ordered: whether results come in the order of the items, not as jobs end.
            on_error: what an item does that fails: with ``"raise"``, its error is raised where its result would have
                come, and nothing more is submitted; with ``"yield"`` the error, a `GearmanError`, comes as its result.
                A `ConfigError`, a `TypeError`, and what the items raise are raised in any case.

        Raises:
            JobFailed, JobRaised, JobLost, ServerError, ServersUnavailable, SerializationError, ConfigError, TypeError:
                as for `run`, from the iterator.

        Cancellation: leaving the block early abandons the jobs under way; the job servers still run them.
        """
        return open_mapping(
            partial(self.run, function),
            items,
            begin=self._beginner(function),
            concurrency=concurrency,
            ordered=ordered,
            on_error=on_error,
        )

    @overload
    def run_chunks(
        self,
        function: str | bytes,
        source: ChunkSource,
        /,
        *,
        chunk_bytes: int = DEFAULT_CHUNK_BYTES,
        separator: bytes | None = None,
        concurrency: int = 10,
        on_error: Literal["raise"] = "raise",
    ) -> _Results[bytes]: ...
    @overload
    def run_chunks(
        self,
        function: Callable[[_Job, bytes], AsyncIterator[_T]],
        source: ChunkSource,
        /,
        *,
        chunk_bytes: int = DEFAULT_CHUNK_BYTES,
        separator: bytes | None = None,
        concurrency: int = 10,
        on_error: Literal["raise"] = "raise",
    ) -> _Results[list[_T]]: ...
    @overload
    def run_chunks(
        self,
        function: Callable[[_Job, bytes], Awaitable[_T]],
        source: ChunkSource,
        /,
        *,
        chunk_bytes: int = DEFAULT_CHUNK_BYTES,
        separator: bytes | None = None,
        concurrency: int = 10,
        on_error: Literal["raise"] = "raise",
    ) -> _Results[_T]: ...
    @overload
    def run_chunks(
        self,
        function: Callable[[_Job, bytes], _T],
        source: ChunkSource,
        /,
        *,
        chunk_bytes: int = DEFAULT_CHUNK_BYTES,
        separator: bytes | None = None,
        concurrency: int = 10,
        on_error: Literal["raise"] = "raise",
    ) -> _Results[_T]: ...
    @overload
    def run_chunks(
        self,
        function: Callable[[bytes], AsyncIterator[_T]],
        source: ChunkSource,
        /,
        *,
        chunk_bytes: int = DEFAULT_CHUNK_BYTES,
        separator: bytes | None = None,
        concurrency: int = 10,
        on_error: Literal["raise"] = "raise",
    ) -> _Results[list[_T]]: ...
    @overload
    def run_chunks(
        self,
        function: Callable[[bytes], Awaitable[_T]],
        source: ChunkSource,
        /,
        *,
        chunk_bytes: int = DEFAULT_CHUNK_BYTES,
        separator: bytes | None = None,
        concurrency: int = 10,
        on_error: Literal["raise"] = "raise",
    ) -> _Results[_T]: ...
    @overload
    def run_chunks(
        self,
        function: Callable[[bytes], _T],
        source: ChunkSource,
        /,
        *,
        chunk_bytes: int = DEFAULT_CHUNK_BYTES,
        separator: bytes | None = None,
        concurrency: int = 10,
        on_error: Literal["raise"] = "raise",
    ) -> _Results[_T]: ...
    @overload
    def run_chunks(
        self,
        function: str | bytes | Callable[..., Any],
        source: ChunkSource,
        /,
        *,
        chunk_bytes: int = DEFAULT_CHUNK_BYTES,
        separator: bytes | None = None,
        concurrency: int = 10,
        on_error: Literal["yield"],
    ) -> _Results[Any]: ...
    @asynccontextmanager
    async def run_chunks(
        self,
        function: str | bytes | Callable[..., Any],
        source: ChunkSource,
        /,
        *,
        chunk_bytes: int = DEFAULT_CHUNK_BYTES,
        separator: bytes | None = None,
        concurrency: int = 10,
        on_error: OnError = "raise",
    ) -> AsyncGenerator[AsyncIterator[Any]]:
        """Run a job for each chunk of something large, some at a time, and give their results in its order.

        ::

            async with client.run_chunks("compress", "access.log", separator=b"\\n") as results:
                async for compressed in results:
                    await archive.write(compressed)

        So a file, or a stream, may be of any size, and so may the results together.  At most ``2 * concurrency`` chunks
        and their results are in memory, and of the source what was read for one more.

        Args:
            function: what is called, as for `map`: by name, or decorated, with one parameter that takes bytes.
            source: the path of a file, as text or as a path; a file that is open for reading bytes, which is read in
                threads; bytes; a `trio.abc.ReceiveStream`; or an iterable of pieces of any size, async or not.
            chunk_bytes: how large a chunk is; the last one may be smaller.
            separator: where to cut, ``b"\\n"`` for lines: then a chunk ends with the last separator that it has room
                for.  What is larger than a chunk and has no separator within makes a chunk of its own, of any size.
            concurrency: how many jobs run at once.
            on_error: as for `map`.

        Raises:
            OSError: the file cannot be opened, on entering, or read, from the iterator.
            ConfigError: the size or the separator cannot be used, on entering; or as for `map`.
            TypeError: the source, or a piece of it, cannot be cut; or as for `map`.
            JobFailed, JobRaised, JobLost, ServerError, ServersUnavailable, SerializationError: as for `map`.

        Resource handling: a file that is given by its path is closed with the block; any other source is the caller's,
        and may have been read further than the results say.

        Cancellation: leaving the block early abandons the jobs under way; the job servers still run them.
        """
        async with (
            open_chunks(source, chunk_bytes=chunk_bytes, separator=separator) as chunks,
            open_mapping(
                partial(self.run, function),
                chunks,
                begin=self._beginner(function),
                concurrency=concurrency,
                ordered=True,
                on_error=on_error,
            ) as results,
        ):
            yield results

    @asynccontextmanager
    async def pipeline(self, *, on_error: OnRefusal = "raise") -> AsyncGenerator[Pipeline]:
        """Submit many background jobs together: one write, as far as that goes, and one wait for all of them.

        ::

            async with client.pipeline() as pipeline:
                entries = [pipeline.submit("resize", picture) for picture in pictures]
            print(entries[0].handle)

        `Pipeline.submit` takes what `submit` takes, but waits for nothing and sends nothing.  Leaving the block sends
        everything together and waits until each submission was answered; then each entry has its ``handle`` or its
        ``error``.  A block that raises sends nothing, but for what `Pipeline.flush` has sent before.

        Submissions go to the servers that `submit` would send them to, in their order.  What was not yet sent when a
        connection is lost goes to the next one; what may have been sent is not repeated, and fails with `JobLost`.

        Memory: all packets are kept until they are sent.  Call `Pipeline.flush` now and then where there are many.

        Args:
            on_error: with ``"raise"``, submissions that fail are raised together, when all are answered; with
                ``"keep"`` each error stays with its entry alone.

        Raises:
            PipelineError: an exception group; one or more submissions failed.
            ConfigError: there is no such way to treat errors.

        Cancellation: as for `Pipeline.flush`.
        """
        pipeline = Pipeline(self._options, self._writable, on_error=on_error, tries=self._servers)
        try:
            yield pipeline
            await pipeline.flush()
        finally:
            pipeline._end()

    def _beginner(self, function: str | bytes | Callable[..., Any]) -> Begin | None:
        """How to begin a job without a task of its own; ``None`` where it may have to be submitted again."""
        unique = self._options.unique_of({})
        if unique and self._options.resubmit == "if-unique":
            return None
        launcher = MappedFunction(function, self._options)

        def begin(item: Any, on_end: Callable[[Place[Any]], None]) -> MappedJob | None:
            connection = self._connection_now(unique)
            return None if connection is None else launcher.begin(connection, item, on_end)

        return begin
