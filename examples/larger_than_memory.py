"""A queue that is larger than memory: long workloads stay in the store until a worker gets the job.

Try: leave out `spill_bytes`, and look at how much the server holds; submit more.
"""

import tempfile
from pathlib import Path

import trio

import gearman_trio

JOBS = 50
MEGABYTE = 1_000_000

abilities = gearman_trio.Abilities()
send_done, done = trio.open_memory_channel[int](JOBS)


@abilities.function
async def measure(image: bytes) -> None:
    await send_done.send(len(image))


async def main() -> None:
    options = gearman_trio.ServerOptions(spill_bytes=4096)
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:{Path(folder) / 'jobs.db'}"
        async with gearman_trio.open_server(port=0, store=url, options=options) as server:
            async with server.open_client() as client:
                for _ in range(JOBS):
                    await client.submit("measure", bytes(MEGABYTE))

            statistics = server.statistics().store
            assert statistics is not None
            print(statistics.spilled, "jobs,", statistics.spilled_bytes // MEGABYTE, "MB in the store alone")

            async with gearman_trio.open_worker(abilities, server.url):
                print(sum([await done.receive() for _ in range(JOBS)]) // MEGABYTE, "MB came back")


trio.run(main)
