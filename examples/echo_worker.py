"""A worker with two functions, and a client that calls them.

It starts a job server of its own.  To use one that is there already, give its address:
    python echo_worker.py localhost:4730

Try: stop giving `concurrency`, so that one job runs at a time, and see how much longer it takes; add a function.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

import gearman_trio

abilities = gearman_trio.Abilities()


@abilities.function
async def echo(workload: bytes) -> bytes:
    return workload


@abilities.function(name="slow_echo", timeout=5)
async def echo_after_a_while(workload: bytes) -> bytes:
    await trio.sleep(0.1)
    return workload


@asynccontextmanager
async def job_server() -> AsyncIterator[str]:
    if len(sys.argv) > 1:
        yield sys.argv[1]
    else:
        async with gearman_trio.open_server(port=0) as server:
            yield server.url


async def call(client: gearman_trio.Client, number: int) -> None:
    print(await client.run("slow_echo", b"job %d" % number))


async def main() -> None:
    async with (
        job_server() as address,
        gearman_trio.open_worker(abilities, address, concurrency=10),
        gearman_trio.open_client(address) as client,
    ):
        print(await client.run("echo", b"hello"))
        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(call, client, number)


trio.run(main)
