"""A plain function as a job: it runs in a thread, so it may block or compute, and other jobs go on meanwhile.

It starts a job server of its own.  To use one that is there already, give its address:
    python threads.py localhost:4730

Try: give the function `timeout=0.05`; a thread cannot be stopped, but the next `job.status()` in it raises
trio.Cancelled, which ends it, and the client gets JobFailed.
"""

import hashlib
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

import gearman_trio

abilities = gearman_trio.Abilities()


@abilities.function(name="sha256", timeout=30)
def digest(workload: bytes, job: gearman_trio.ThreadJob) -> bytes:
    sha256 = hashlib.sha256()
    for start in range(0, len(workload), 1024):
        sha256.update(workload[start : start + 1024])
        time.sleep(0.03)
        job.status(start + 1024, len(workload))
    return sha256.hexdigest().encode()


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
        # At most four threads.
        gearman_trio.open_worker(abilities, address, concurrency=4),
        gearman_trio.open_client(address) as client,
        client.stream("sha256", bytes(4096)) as job,
    ):
        async for event in job:
            print(event)
        print(await job.result())


trio.run(main)
