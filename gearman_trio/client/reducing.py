"""Jobs that a mapper splits and a reducer does, part by part."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Concatenate, ParamSpec, TypeVar, overload

from ..errors import ConfigError
from ..names import FunctionName, function_name
from ..signature import Injected, Partition, Signature, signature_of
from .call import ResultCall, RunCall
from .many import ManyCaller
from .submission import Workload

__all__ = ["ReducingCaller"]

_P = ParamSpec("_P")
_Job = TypeVar("_Job", bound=Injected)
_OtherJob = TypeVar("_OtherJob", bound=Injected)
_Part = TypeVar("_Part")
_Reduced = TypeVar("_Reduced")
_T = TypeVar("_T")

#: What reduces a part: any function of one value, in every form that `Abilities.function` takes but that which yields.
_Reducer = (
    Callable[[_OtherJob, _Part], Awaitable[_Reduced]]
    | Callable[[_Part], Awaitable[_Reduced]]
    | Callable[[_OtherJob, _Part], _Reduced]
    | Callable[[_Part], _Reduced]
)


class ReducingCaller(ManyCaller):
    """Submits jobs with a reducer over one connector."""

    # The order matters, as in `Caller`.
    @overload
    async def map_reduce(
        self,
        mapper: str | bytes,
        reducer: str | bytes,
        /,
        workload: Workload = b"",
        *,
        unique: str | bytes | None = None,
    ) -> bytes: ...
    @overload
    async def map_reduce(
        self,
        mapper: Partition[Concatenate[_Job, _P], _Part, _Reduced, _T],
        reducer: str | bytes | _Reducer[_OtherJob, _Part, _Reduced],
        /,
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> _T: ...
    @overload
    async def map_reduce(
        self,
        mapper: Partition[_P, _Part, _Reduced, _T],
        reducer: str | bytes | _Reducer[_OtherJob, _Part, _Reduced],
        /,
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> _T: ...
    async def map_reduce(self, mapper: Any, reducer: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Run a job whose worker splits it into parts, has another function do them, and puts the results together.

        ::

            summary: bytes = await client.map_reduce("split_log", "count_errors", log)
            total: int = await client.map_reduce(total_length, length, text)

        Only the names travel: the worker that has the mapper submits the parts.  In Python it is decorated with
        `Abilities.partition`, in C it has a gearman_function_create_partition.

        Args:
            mapper: the name of a function that splits its jobs, or one decorated with `Abilities.partition`.
            reducer: what each part is a job of: a name, or a decorated function of one value, whose serializer is that
                of the mapper.  gearmand takes names of up to 64 bytes here.
            args: for names, the workload; for decorated functions, the arguments of the mapper.
            kwargs: for names, ``workload`` and ``unique``; for decorated functions, the arguments of the mapper.

        Raises:
            JobFailed, JobRaised, JobLost, ServerError, ServersUnavailable, SerializationError: as for `run`; the job
                fails if one of its parts does.
            ConfigError: as for `run`; or the two functions have different serializers, the reducer yields, or the
                options say another priority than the normal one, which the packet cannot carry.
            TypeError: as for `run`; or the mapper does not split its jobs.

        Source: libgearman, gearman_execute_by_partition; PROTOCOL, SUBMIT_REDUCE_JOB.
        """
        if not callable(mapper):
            packet = self._options.reduction(mapper, _reducer_name(reducer, None), *args, **kwargs)
            return await self._outcome(packet, self._options.unique_of(kwargs), RunCall, RunCall.wait_result)
        signature, workload = self._typed(mapper, *args, **kwargs)
        if not isinstance(mapper, Partition):
            raise TypeError(f"mapper: expected a function decorated with @abilities.partition, got {mapper!r}")
        packet = self._options.reduction(signature.name, _reducer_name(reducer, signature), workload)
        kind = ResultCall if signature.serializer.structured else RunCall
        unique = self._options.unique_of({})
        return signature.read_result(await self._outcome(packet, unique, kind, kind.wait_result))


def _reducer_name(reducer: str | bytes | Callable[..., Any], mapper: Signature | None) -> FunctionName:
    """What the reducer is called over the wire; raises `ConfigError` and `TypeError` where it cannot be one."""
    if not callable(reducer):
        return function_name(reducer)
    signature = signature_of(reducer)
    if signature.streams:
        raise ConfigError(f"reducer: {signature} yields; expected one that gives one result for each part")
    if mapper is not None and signature.serializer is not mapper.serializer:
        raise ConfigError(
            f"reducer: {signature} has the serializer {signature.serializer!r}, "
            f"but the parts of {mapper} go by {mapper.serializer!r}"
        )
    return signature.name
