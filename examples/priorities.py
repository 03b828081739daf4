"""Jobs that wait are taken by priority first, and in the order of their submission within a priority.

It starts a job server of its own.  To use one that is there already, give its address:
    python priorities.py localhost:4730

Try: `concurrency=3`; all three jobs run at once then, and the order means little.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import trio

import gearman_trio

abilities = gearman_trio.Abilities()
order: list[bytes] = []


@abilities.function
async def treat(workload: bytes) -> None:
    order.append(workload)


@asynccontextmanager
async def job_server() -> AsyncIterator[str]:
    if len(sys.argv) > 1:
        yield sys.argv[1]
    else:
        async with gearman_trio.open_server(port=0) as server:
            yield server.url


async def main() -> None:
    async with job_server() as address, gearman_trio.open_client(address) as client, AsyncExitStack() as stack:
        # Each is queued when its block is entered; there is no worker yet.
        jobs = [
            await stack.enter_async_context(client.stream("treat", b"a cold", priority="low")),
            await stack.enter_async_context(client.stream("treat", b"a broken arm")),
            await stack.enter_async_context(client.stream("treat", b"a heart attack", priority="high")),
        ]
        async with gearman_trio.open_worker(abilities, address, concurrency=1):
            for job in jobs:
                await job.result()
    print(order)


trio.run(main)
