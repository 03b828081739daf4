"""A job server, a worker and a client in one program: JOBS, and DEPTH jobs in flight at once, as arguments."""

from __future__ import annotations

import sys

import trio

import gearman_trio

from .gearman_trio_client import run_sequential, run_tasks
from .measure import Settings, Stopwatch, check

_FUNCTION = "benchmark"


async def measure(jobs: int, depth: int) -> None:
    """Run the jobs one after the other where `depth` is 1, else in so many tasks."""
    abilities = gearman_trio.Abilities()

    @abilities.function(name=_FUNCTION)
    async def same(workload: bytes) -> bytes:
        return workload

    run = run_sequential if depth == 1 else run_tasks
    async with (
        gearman_trio.open_server(port=0) as server,
        gearman_trio.open_worker(abilities, server.url, concurrency=depth),
        gearman_trio.open_client(server.url) as client,
    ):
        settings = Settings("", 0, _FUNCTION, jobs, depth)
        # The worker has registered, and knows how many jobs there are at once.
        await run(client, Settings("", 0, _FUNCTION, max(depth, 100), depth))
        watch = Stopwatch()
        watch.start()
        results = await run(client, settings)
        watch.stop(len(results))
        check(results, jobs)


if __name__ == "__main__":
    trio.run(measure, int(sys.argv[1]), int(sys.argv[2]))
