"""Jobs of a partition: their parts go to the reducer as jobs, and what comes back becomes the result.

The worker is a client then, of the job server that the job came from.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from typing import Any

import trio

from ..client import Client, open_client
from ..signature import Partition
from .ability import Ability
from .job import Job, printable
from .options import WorkerOptions
from .parameters import Kind, kind_of

__all__ = ["open_own_client", "reduce_parts"]


def open_own_client(options: WorkerOptions) -> AbstractAsyncContextManager[Client | None]:
    """A client of all servers of a worker, for the length of a block, if the worker has partitions.

    It connects when the first part is submitted.
    """
    if not any(ability.partition is not None for ability in options.abilities.values()):
        return nullcontext()
    return open_client(*options.servers, client_id=options.client_id.decode("ascii"), connect=options.connect)


async def reduce_parts(
    ability: Ability, partition: Partition[..., Any, Any, Any], job: Job, limiter: trio.CapacityLimiter
) -> bytes:
    """Run a job of a partition whose client named a reducer; give its result.

    Args:
        ability: what to run.
        partition: its function.
        job: what to run it with.
        limiter: where a plain aggregator gets its thread.

    Raises:
        JobError, ServerError, ServersUnavailable: a part came to no result.
        SerializationError: a part, what the reducer gave for one, or the result does not fit the serializer.
        Exception: what the function or the aggregator raised.

    Cancellation: parts that are with the reducer are abandoned; the job server drops those that no worker has begun
    only when the worker's connection ends.
    """
    client, signature = job._client, ability.signature
    assert client is not None, "a connection of a worker with partitions has one"
    async with (
        aclosing(ability.bind(job)()) as parts,
        aclosing(_written(ability, parts)) as workloads,
        client.map(job.reducer, workloads, concurrency=partition.concurrency, ordered=True) as results,
    ):
        reduced = [signature.read_result(result) async for result in results]
    if kind_of(partition.aggregate, None, f"the aggregator of function {printable(ability.name)!r}") is Kind.ASYNC:
        value = await partition.aggregate(reduced)
    else:
        value = await trio.to_thread.run_sync(partition.aggregate, reduced, limiter=limiter, abandon_on_cancel=True)
    return signature.write_result(value)


async def _written(ability: Ability, parts: AsyncIterator[Any]) -> AsyncGenerator[bytes]:
    async for part in parts:
        yield ability.signature.write_result(part, "yielded")
