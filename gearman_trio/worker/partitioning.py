"""The decorator of functions that split their jobs for a reducer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, ParamSpec, Protocol, TypeVar, overload

from ..errors import ConfigError
from ..serializers import Serializer
from ..signature import Partition
from .parameters import Kind, kind_of

__all__ = ["Partitioning"]

_P = ParamSpec("_P")
_Part = TypeVar("_Part")
_Reduced = TypeVar("_Reduced")
_Result = TypeVar("_Result")


class _Decorates(Protocol):
    """What adds functions to a set."""

    def function(
        self, /, *, name: str | bytes | None, timeout: float | None, serializer: Serializer | None
    ) -> Callable[[Any], Any]: ...


class Partitioning:
    """What `Abilities` have besides their plain decorator."""

    @overload
    def partition(
        self: _Decorates,
        *,
        aggregate: Callable[[list[_Reduced]], Awaitable[_Result]],
        name: str | bytes | None = None,
        timeout: float | None = None,
        serializer: Serializer | None = None,
        concurrency: int = 10,
    ) -> Callable[[Callable[_P, AsyncIterator[_Part]]], Partition[_P, _Part, _Reduced, _Result]]: ...

    @overload
    def partition(
        self: _Decorates,
        *,
        aggregate: Callable[[list[_Reduced]], _Result],
        name: str | bytes | None = None,
        timeout: float | None = None,
        serializer: Serializer | None = None,
        concurrency: int = 10,
    ) -> Callable[[Callable[_P, AsyncIterator[_Part]]], Partition[_P, _Part, _Reduced, _Result]]: ...

    def partition(
        self: _Decorates,
        *,
        aggregate: Callable[[list[Any]], Any],
        name: str | bytes | None = None,
        timeout: float | None = None,
        serializer: Serializer | None = None,
        concurrency: int = 10,
    ) -> Callable[[Callable[..., AsyncIterator[Any]]], Partition[..., Any, Any, Any]]:
        """Add a function that splits its jobs into parts for another function; as a decorator.

        ::

            def total(lengths: list[int]) -> int:
                return sum(lengths)

            @abilities.partition(aggregate=total, serializer=JSON)
            async def total_length(text: str) -> AsyncIterator[str]:
                for line in text.splitlines():
                    yield line

            characters: int = await client.map_reduce(total_length, length, text)

        The client names the other function, the reducer.  What the function yields, the parts, are submitted as jobs
        of the reducer, to the job server that the job came from; its workers, this one perhaps, do them.  When all have
        ended, the aggregator is given their results, in the order of the parts, and what it returns is the result of
        the job.  If one of them fails, so does the job.

        Workload, parts, reduced parts and result all go by the one serializer; so the reducer must have the same one.

        For a client that names no reducer, as with `Client.run`, it is an ordinary function that yields.

        A job that waits for its parts keeps its place among the worker's ``concurrency``.  A worker that does both
        needs places for its reducers beside those, or else another worker must do them: where every place is taken by
        a job that waits, none ever ends.

        Args:
            aggregate: gives the result, out of the list of all reduced parts; an async function, or a plain one, which
                runs in a thread.
            name: as for `function`.
            timeout: as for `function`, for all of it together.
            serializer: as for `function`.
            concurrency: how many parts of one job are with the reducer at once.  So many, and as many again whose
                results wait, are taken from the function ahead; the reduced ones are all kept for the aggregator.

        Raises:
            ConfigError: as for `function`; or the function does not yield, the aggregator does, or the concurrency is
                not at least 1.

        Source: libgearman-1.0/function.h, gearman_function_create_partition; PROTOCOL, JOB_ASSIGN_ALL.
        """

        def decorate(function: Callable[..., AsyncIterator[Any]]) -> Partition[..., Any, Any, Any]:
            given: Any = aggregate
            if not callable(given) or kind_of(given, None, "aggregate") is Kind.GENERATOR:
                raise ConfigError(f"aggregate: expected a function that gives one result, got {given!r}")
            partition = Partition(function, aggregate, concurrency=concurrency)
            self.function(name=name, timeout=timeout, serializer=serializer)(partition)
            return partition

        return decorate
