"""A job that must not begin before a given time.

It starts a job server of its own.  To use one that is there already, give its address:
    python epoch.py localhost:4730

gearmand reads whole seconds only, so there the job may begin up to a second early.  gearmand 1.1 wakes no worker when
the time has come, so this one asks every half second (`poll_interval`).

Try: `run_at=datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc)`, and `gearman-trio admin status`.
"""

import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

import gearman_trio

abilities = gearman_trio.Abilities()
rang = trio.Event()


@abilities.function
async def ring(workload: bytes) -> None:
    print("ring:", workload)
    rang.set()


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
        gearman_trio.open_worker(abilities, address, poll_interval=0.5),
        gearman_trio.open_client(address) as client,
    ):
        began = time.time()
        await client.submit("ring", b"the bread is done", run_at=began + 0.5)
        await rang.wait()
        print(f"after {time.time() - began:.1f} s")


trio.run(main)
