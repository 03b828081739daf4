"""Many jobs by one call, for a thread."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal, TypeVar, overload

from .. import client as _async
from ..client.chunking import DEFAULT_CHUNK_BYTES, Cutter
from ..client.pipeline import OnRefusal
from ..errors import GearmanError
from ..signature import Injected
from .caller import Caller, Workload
from .mapping import PlainSource, open_chunk_results, open_results
from .pipeline import Pipeline

__all__ = ["ManyCaller"]

_A = TypeVar("_A")
_T = TypeVar("_T")
_Job = TypeVar("_Job", bound=Injected)


class ManyCaller(Caller):
    """Submits many jobs through a portal."""

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
        held = loop.hold(lambda client: self._view(client).pipeline(on_error=on_error), None)
        try:
            pipeline = Pipeline(held.value, loop)
            yield pipeline
            pipeline.flush(timeout=self._limit(timeout))
        finally:
            # Leaving the inner block sends what is left, and here nobody would wait for it.
            held.value.clear()
            loop.post(held.leave)

    # The order matters, as in `Caller`.
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
        function: Callable[[_Job, _A], AsyncIterator[_T]],
        items: Iterable[_A],
        /,
        *,
        concurrency: int = 10,
        ordered: bool = False,
        on_error: Literal["raise"] = "raise",
        timeout: float | None = None,
    ) -> AbstractContextManager[Iterator[list[_T]]]: ...
    @overload
    def map(
        self,
        function: Callable[[_Job, _A], Awaitable[_T]],
        items: Iterable[_A],
        /,
        *,
        concurrency: int = 10,
        ordered: bool = False,
        on_error: Literal["raise"] = "raise",
        timeout: float | None = None,
    ) -> AbstractContextManager[Iterator[_T]]: ...
    @overload
    def map(
        self,
        function: Callable[[_Job, _A], _T],
        items: Iterable[_A],
        /,
        *,
        concurrency: int = 10,
        ordered: bool = False,
        on_error: Literal["raise"] = "raise",
        timeout: float | None = None,
    ) -> AbstractContextManager[Iterator[_T]]: ...
    @overload
    def map(
        self,
        function: Callable[[_A], AsyncIterator[_T]],
        items: Iterable[_A],
        /,
        *,
        concurrency: int = 10,
        ordered: bool = False,
        on_error: Literal["raise"] = "raise",
        timeout: float | None = None,
    ) -> AbstractContextManager[Iterator[list[_T]]]: ...
    @overload
    def map(
        self,
        function: Callable[[_A], Awaitable[_T]],
        items: Iterable[_A],
        /,
        *,
        concurrency: int = 10,
        ordered: bool = False,
        on_error: Literal["raise"] = "raise",
        timeout: float | None = None,
    ) -> AbstractContextManager[Iterator[_T]]: ...
    @overload
    def map(
        self,
        function: Callable[[_A], _T],
        items: Iterable[_A],
        /,
        *,
        concurrency: int = 10,
        ordered: bool = False,
        on_error: Literal["raise"] = "raise",
        timeout: float | None = None,
    ) -> AbstractContextManager[Iterator[_T]]: ...
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
    @overload
    def map(
        self,
        function: Callable[..., Any],
        items: Iterable[Any],
        /,
        *,
        concurrency: int = 10,
        ordered: bool = False,
        on_error: Literal["yield"],
        timeout: float | None = None,
    ) -> AbstractContextManager[Iterator[Any]]: ...
    def map(
        self,
        function: str | bytes | Callable[..., Any],
        items: Iterable[Any],
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
            function: as there.
            items: as there, but none that is async.
            concurrency: as there.
            ordered: as there.
            on_error: as there.
            timeout: the seconds that each result may take.

        Raises:
            TimeoutError: a result did not come in time; none is lost, and one may go on.
            JobFailed, JobRaised, JobLost, ServerError, ServersUnavailable, SerializationError, ConfigError, TypeError:
                as there.
        """

        def open_(client: _async.Client, taken: Any) -> Any:
            return self._view(client).map(function, taken, concurrency=concurrency, ordered=ordered, on_error=on_error)

        return open_results(self._portal, open_, items, concurrency=concurrency, timeout=self._limit(timeout))

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
            return self._view(client).map(function, taken, concurrency=concurrency, ordered=True, on_error=on_error)

        cutter = Cutter(chunk_bytes, separator)
        return open_chunk_results(
            self._portal, open_, cutter, source, concurrency=concurrency, timeout=self._limit(timeout)
        )

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
        return self._portal.call(
            lambda client: self._view(client).map_reduce(mapper, reducer, workload, unique=unique), self._limit(timeout)
        )
