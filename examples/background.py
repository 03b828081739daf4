"""A job in the background: the client gets its handle and goes on; now and then it asks how far the job is.

It starts a job server of its own.  To use one that is there already, give its address:
    python background.py localhost:4730

Try: submit with `unique="bread-1"` and ask with `client.status_by_unique("bread-1")`; submit that twice and see that
both have the same handle.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

import gearman_trio

abilities = gearman_trio.Abilities()


# Nobody waits for the result of a background job, so its effect must be somewhere else: a file, a database, a list.
baked: list[bytes] = []


@abilities.function
async def bake(workload: bytes, job: gearman_trio.Job) -> None:
    for step in range(5):
        await job.status(step, 5)
        await trio.sleep(0.1)
    baked.append(workload)


@asynccontextmanager
async def job_server() -> AsyncIterator[str]:
    if len(sys.argv) > 1:
        yield sys.argv[1]
    else:
        async with gearman_trio.open_server(port=0) as server:
            yield server.url


async def main() -> None:
    async with (
        job_server() as address,
        gearman_trio.open_worker(abilities, address),
        gearman_trio.open_client(address) as client,
    ):
        handle = await client.submit("bake", b"bread")
        print("submitted", handle)
        # A job that has ended is forgotten: then it is not known any more.
        while (state := await client.status(handle)).known:
            print("running" if state.running else "queued", f"{state.fraction:.0%}")
            await trio.sleep(0.1)
        print("baked", baked)


trio.run(main)
