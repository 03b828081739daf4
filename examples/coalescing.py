"""Three clients ask for the same thing at the same time: one job runs, and all three get its result.

It starts a job server of its own.  To use one that is there already, give its address:
    python coalescing.py localhost:4730

Try: leave out `unique`, and the report is made three times; take `unique="-"`, and equal workloads are one job.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

import gearman_trio

abilities = gearman_trio.Abilities()
made: list[bytes] = []


@abilities.function
async def make_report(workload: bytes) -> bytes:
    made.append(workload)
    await trio.sleep(0.3)
    return b"report for " + workload


@asynccontextmanager
async def job_server() -> AsyncIterator[str]:
    if len(sys.argv) > 1:
        yield sys.argv[1]
    else:
        async with gearman_trio.open_server(port=0) as server:
            yield server.url


async def ask(address: str, name: str) -> None:
    async with gearman_trio.open_client(address) as client:
        result = await client.run("make_report", b"May", unique="report-May")
    print(name, "got", result)


async def main() -> None:
    async with (
        job_server() as address,
        gearman_trio.open_worker(abilities, address, concurrency=3),
        trio.open_nursery() as nursery,
    ):
        for name in ("Ada", "Ben", "Cleo"):
            nursery.start_soon(ask, address, name)
    print("reports made:", len(made))


trio.run(main)
