"""The jobs of `Client.map` that no task waits for: what they cost, their results, and servers that come and go."""

from __future__ import annotations

import gc
import weakref
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gearman_trio.client import open_client
from gearman_trio.errors import ConfigError, JobFailed, JobLost, JobRaised, ServerError
from gearman_trio.protocol import PacketType
from gearman_trio.testing import Gearman

from .farm import Farm
from .scripted_server import open_pair

P = PacketType


async def read(results: AsyncIterator[Any]) -> list[Any]:
    return [result async for result in results]


async def test_a_job_needs_no_task(nursery: trio.Nursery) -> None:
    farm = Farm(nursery)
    farm.held = {"a"}
    async with open_client("a", connect=farm.connect) as client:
        await client.echo(b"")
        await wait_all_tasks_blocked()
        before = trio.lowlevel.current_statistics().tasks_living
        async with client.map("f", [b""] * 5000, concurrency=1000):
            await wait_all_tasks_blocked()
            # Whoever feeds.
            assert 1 == trio.lowlevel.current_statistics().tasks_living - before
            assert 1000 == client.statistics().jobs


async def test_results_in_parts_are_put_together() -> None:
    async with open_pair() as (client, server), client.map("f", [b"w"]) as results:
        assert [b"f", b"", b"w"] == await server.create(b"H:1")
        await server.send(P.WORK_DATA, b"H:1", b"a")
        await server.send(P.WORK_STATUS, b"H:1", b"1", b"2")
        await server.send(P.WORK_WARNING, b"H:1", b"careful")
        await server.send(P.WORK_DATA, b"H:1", b"b")
        await server.send(P.WORK_COMPLETE, b"H:1", b"c")

        assert [b"abc"] == await read(results)


async def test_options_are_those_of_the_client() -> None:
    async with (
        open_pair() as (client, server),
        client.with_options(priority="high", unique="u").map("f", [b"w"]) as results,
    ):
        assert [b"f", b"u", b"w"] == await server.create(b"H:1", P.SUBMIT_JOB_HIGH)
        await server.send(P.WORK_COMPLETE, b"H:1", b"")
        assert [b""] == await read(results)

        with pytest.raises(ConfigError, match="delay"):
            async with client.with_options(delay=1).map("f", [b"w"]) as none:
                await read(none)


async def test_every_way_to_fail() -> None:
    async with open_pair() as (client, server), client.map("f", [b""] * 5, ordered=True, on_error="yield") as results:
        for handle in (b"H:1", b"H:2", b"H:3"):
            await server.create(handle)
        await server.expect(P.SUBMIT_JOB, b"f", b"", b"")
        await server.send(P.ERROR, b"QUEUE_ERROR", b"full")
        await server.send(P.WORK_FAIL, b"H:1")
        await server.send(P.WORK_EXCEPTION, b"H:2", b"boom")
        await wait_all_tasks_blocked()
        await server.stream.aclose()
        found = await read(results)

    assert [JobFailed, JobRaised, JobLost, ServerError, JobLost] == [type(each) for each in found]
    assert [b"H:3", None] == [each.handle for each in found if isinstance(each, JobLost)]


async def test_what_comes_for_jobs_that_were_left_is_dropped() -> None:
    async with open_pair() as (client, server):
        async with client.map("f", [b""] * 2):
            await server.create(b"H:1")
            await wait_all_tasks_blocked()
        assert (0, 1, 1) == (
            client.statistics().jobs,
            client.statistics().abandoned_jobs,
            client.statistics().pending_replies,
        )
        await server.create(b"H:2")
        await server.send(P.WORK_COMPLETE, b"H:1", b"")
        await server.send(P.WORK_FAIL, b"H:2")
        await wait_all_tasks_blocked()

        assert (True, 0) == (client.statistics().connected, client.statistics().abandoned_jobs)


async def test_items_wait_while_the_connection_is_far_behind() -> None:
    workload = b"x" * 700_000
    async with open_pair(slow=True) as (client, server), client.map("f", [workload] * 6) as results:
        await wait_all_tasks_blocked()
        # The first that goes above a megabyte is the last that goes at once; tasks wait to submit the others.
        assert 2 == client.statistics().pending_replies
        for number in range(6):
            await server.create(b"H:%d" % number)
            await server.send(P.WORK_COMPLETE, b"H:%d" % number, b"done")

        assert [b"done"] * 6 == await read(results)


async def test_jobs_take_turns_between_servers(nursery: trio.Nursery) -> None:
    farm = Farm(nursery)
    async with open_client("a", "b", "c", routing="round-robin", connect=farm.connect) as client:
        for _ in range(3):
            await client.run("f")
        async with client.map("f", [b""] * 6, ordered=True) as results:
            assert [b"a:", b"b:", b"c:"] * 2 == await read(results)


async def test_a_lost_server_is_passed_over_and_tried_again_beside_the_jobs(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    farm = Farm(nursery)
    async with open_client("a", "b", routing="round-robin", connect=farm.connect) as client:
        for _ in range(2):
            await client.run("f")
        await farm.kill("a")
        await wait_all_tasks_blocked()
        async with client.map("f", [b""] * 3) as results:
            assert [b"b:"] * 3 == await read(results)

        farm.down.clear()
        await trio.sleep(1)
        async with client.map("f", [b""]) as results:
            assert [b"b:"] == await read(results)
        await wait_all_tasks_blocked()
        async with client.map("f", [b""] * 2) as results:
            assert [b"a:", b"b:"] == sorted(await read(results))


async def test_jobs_that_may_be_submitted_again_are(nursery: trio.Nursery) -> None:
    farm = Farm(nursery)
    farm.held = {"a"}
    async with open_client("a", "b", connect=farm.connect, resubmit="if-unique") as client:
        await client.echo(b"")
        async with client.with_options(unique="u").map("f", [b"w"]) as results:
            await wait_all_tasks_blocked()
            await farm.kill("a")
            assert [b"b:w"] == await read(results)


@pytest.mark.parametrize("connected", [False, True])
async def test_errors_leave_nothing_to_the_collector(gearman: Gearman, connected: bool) -> None:
    """An error that holds its own traceback's frames would keep results alive until a collection."""
    gc.collect()
    gc.disable()
    try:
        async with gearman.client() as client:
            if connected:
                await client.echo(b"")
            async with client.map("", [b""]) as results:
                with pytest.raises(ConfigError) as caught:
                    await read(results)
            error = weakref.ref(caught.value)
            del caught
            assert error() is None
    finally:
        gc.enable()
