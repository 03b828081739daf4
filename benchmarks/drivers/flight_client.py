"""What jobs in flight cost a client, and whether one that has run many jobs has grown.

``flight`` HOST PORT FUNCTION JOBS WAY prints the resident memory before and while so many jobs are in flight, which no
worker takes; ``growth`` HOST PORT FUNCTION JOBS prints it ten times while so many jobs are run.  WAY is ``map`` or
``tasks``.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path

import trio

import gearman_trio

from .measure import WORKLOAD

#: At once, where jobs are run.
_CONCURRENCY = 100

_SAMPLES = 10


def resident_bytes() -> int:
    """The memory that this process has now, after a collection."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGESIZE")


async def wait_in_flight(client: gearman_trio.Client, jobs: int) -> None:
    """Wait until so many jobs have their handles."""
    while client.statistics().jobs < jobs:
        await client.echo(b"")


async def flight(server: str, function: str, jobs: int, way: str) -> None:
    """Have so many jobs in flight."""
    async with gearman_trio.open_client(server) as client, trio.open_nursery() as nursery:
        await client.echo(b"")
        before = resident_bytes()
        if way == "map":
            items = (WORKLOAD for _ in range(jobs))
            async with client.map(function, items, concurrency=jobs):
                await wait_in_flight(client, jobs)
                during = resident_bytes()
        else:
            for _ in range(jobs):
                nursery.start_soon(client.run, function, WORKLOAD)
            await wait_in_flight(client, jobs)
            during = resident_bytes()
            nursery.cancel_scope.cancel()
    print(json.dumps({"before": before, "during": during}))


async def growth(server: str, function: str, jobs: int) -> None:
    """Run so many jobs, and look at the memory after each tenth."""
    samples = []
    async with gearman_trio.open_client(server) as client:
        for _ in range(_SAMPLES):
            items = (WORKLOAD for _ in range(jobs // _SAMPLES))
            async with client.map(function, items, concurrency=_CONCURRENCY) as results:
                async for _ in results:
                    pass
            samples.append(resident_bytes())
    print(json.dumps({"samples": samples}))


def main() -> None:
    """Measure what the first argument says."""
    what, host, port, function, jobs, *way = sys.argv[1:]
    server = f"{host}:{port}"
    if what == "flight":
        trio.run(flight, server, function, int(jobs), way[0])
    else:
        trio.run(growth, server, function, int(jobs))


if __name__ == "__main__":
    main()
