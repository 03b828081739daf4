"""The clients of gearman_trio: ``map``, ``tasks``, ``sequential`` or ``blocking`` as the last argument."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable

import trio

import gearman_trio
from gearman_trio.blocking import Client as BlockingClient

from .measure import WORKLOAD, Settings, Stopwatch, check, client_settings

_Run = Callable[[gearman_trio.Client, Settings], Awaitable[list[bytes]]]


async def run_map(client: gearman_trio.Client, settings: Settings) -> list[bytes]:
    """Run the jobs by `Client.map`."""
    items = (WORKLOAD for _ in range(settings.jobs))
    async with client.map(settings.function, items, concurrency=settings.depth) as results:
        return [result async for result in results]


async def run_tasks(client: gearman_trio.Client, settings: Settings) -> list[bytes]:
    """Run the jobs in tasks, each of which runs one after the other."""
    left = iter(range(settings.jobs))
    results: list[bytes] = []

    async def run_some() -> None:
        for _ in left:
            results.append(await client.run(settings.function, WORKLOAD))

    async with trio.open_nursery() as nursery:
        for _ in range(settings.depth):
            nursery.start_soon(run_some)
    return results


async def run_sequential(client: gearman_trio.Client, settings: Settings) -> list[bytes]:
    """Run the jobs one after the other."""
    return [await client.run(settings.function, WORKLOAD) for _ in range(settings.jobs)]


async def measure(run: _Run, settings: Settings) -> None:
    """Run the jobs over one connection."""
    async with gearman_trio.open_client(f"{settings.host}:{settings.port}") as client:
        await client.run(settings.function, WORKLOAD)
        watch = Stopwatch()
        watch.start()
        results = await run(client, settings)
        watch.stop(len(results))
    check(results, settings.jobs)


def measure_blocking(settings: Settings) -> None:
    """Run the jobs one after the other from the main thread."""
    with BlockingClient(f"{settings.host}:{settings.port}") as client:
        client.run(settings.function, WORKLOAD)
        watch = Stopwatch()
        watch.start()
        results = [client.run(settings.function, WORKLOAD) for _ in range(settings.jobs)]
        watch.stop(len(results))
    check(results, settings.jobs)


def main() -> None:
    """Submit the jobs in the way that the last argument names."""
    runs: dict[str, _Run] = {"map": run_map, "tasks": run_tasks, "sequential": run_sequential}
    settings, way = client_settings(), sys.argv[6]
    if way == "blocking":
        measure_blocking(settings)
    else:
        trio.run(measure, runs[way], settings)


if __name__ == "__main__":
    main()
