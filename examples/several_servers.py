"""One worker serves two job servers: its ten slots are shared, and it goes on with one server when the other is gone.

It starts job servers of its own.  To use servers that are there already, give their addresses:
    python several_servers.py localhost:4730 localhost:4731

Try: give the client both addresses; it stays with the first that answers, and takes the next when that one is lost.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

import gearman_trio

abilities = gearman_trio.Abilities()


@abilities.function
async def upper(workload: bytes) -> bytes:
    return workload.upper()


@asynccontextmanager
async def job_servers() -> AsyncIterator[list[str]]:
    if len(sys.argv) > 1:
        yield sys.argv[1:]
    else:
        async with gearman_trio.open_server(port=0) as first, gearman_trio.open_server(port=0) as second:
            yield [first.url, second.url]


async def main() -> None:
    async with job_servers() as addresses, gearman_trio.open_worker(abilities, *addresses, concurrency=10) as worker:
        for number, address in enumerate(addresses, 1):
            async with gearman_trio.open_client(address) as client:
                print(await client.run("upper", b"asked of server %d" % number))
        statistics = worker.statistics()
        print("servers connected:", len(statistics.connected), "jobs done:", statistics.done)


trio.run(main)
