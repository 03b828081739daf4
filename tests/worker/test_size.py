"""What a worker keeps: as much after many jobs as after few, and as much for each worker as for the one before."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from gearman_trio.client import Client
from gearman_trio.server import open_server
from gearman_trio.worker import Abilities, Worker, open_worker, run_worker

pytestmark = pytest.mark.slow

_COUNTED = ("gearman_trio.worker", "gearman_trio.transport", "gearman_trio.signature", "trio._core._run")


async def kept() -> Counter[str]:
    """Count the objects of workers, their connections and their tasks, once nothing is under way."""
    await wait_all_tasks_blocked(0.05)
    gc.collect()
    types = Counter(map(type, gc.get_objects()))
    names = {f"{each.__module__}.{each.__qualname__}": count for each, count in types.items()}
    return Counter({name: count for name, count in names.items() if name.startswith(_COUNTED)})


def new_function() -> Callable[[bytes], Awaitable[bytes]]:
    async def echo(workload: bytes) -> bytes:
        return workload

    return echo


def many_abilities(count: int, *, limited: int = 0) -> Abilities:
    abilities = Abilities()
    for number in range(count):
        abilities.function(name=f"function{number}", max_running=1 if number < limited else None)(new_function())
    return abilities


async def run_many(client: Client, count: int) -> None:
    async with trio.open_nursery() as nursery:
        for number in range(count):
            nursery.start_soon(client.run, f"function{number}", b"x")


async def test_worker_with_a_thousand_functions_keeps_nothing_of_its_jobs() -> None:
    async with (
        open_server(port=0) as server,
        open_worker(many_abilities(1000, limited=5), server.url, concurrency=20) as worker,
        server.open_client() as client,
    ):
        await run_many(client, 1000)
        before = await kept()
        await run_many(client, 1000)

        assert before == await kept()
        assert 2000 == worker.statistics().done


async def test_each_further_function_costs_as_much_as_the_one_before() -> None:
    first = many_abilities(1000)
    with_one = await kept()
    second = many_abilities(1000)
    with_two = await kept()
    third = many_abilities(1000)
    with_three = await kept()

    assert [1000] * 3 == [len(first), len(second), len(third)]
    assert with_two - with_one == with_three - with_two


async def test_each_further_worker_of_a_server_costs_as_much_as_the_one_before() -> None:
    abilities = many_abilities(3, limited=1)
    async with open_server(port=0) as server, trio.open_nursery() as nursery:
        counts = []
        for _ in range(3):
            for _ in range(20):
                worker: Worker = await nursery.start(partial(run_worker, abilities, server.url, concurrency=2))
                assert worker.ready
            counts.append(await kept())
        nursery.cancel_scope.cancel()

    assert counts[1] - counts[0] == counts[2] - counts[1]
