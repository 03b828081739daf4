"""Many jobs by one call."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, Literal, TypeVar, overload

from ..signature import Injected
from .caller import Caller
from .mapped import MappedFunction, MappedJob
from .mapping import Begin, OnError, Place, open_mapping
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
