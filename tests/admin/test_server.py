"""The administrative client with our job server, over memory streams."""

from __future__ import annotations

import math
import os
import time
from collections.abc import AsyncIterator
from importlib.metadata import version
from typing import Any

import attrs
import pytest
import trio
from trio.testing import memory_stream_pair

from gearman_trio import (
    Abilities,
    Address,
    AdminClient,
    Client,
    ConfigError,
    Job,
    JobFailed,
    Server,
    ServerError,
    ServersUnavailable,
    open_admin,
    open_server,
    open_worker,
)
from gearman_trio.admin import FunctionJobRow, FunctionRow, JobRow, LimitRow, PriorityRow

from ..patience import PATIENCE


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with open_server(listeners=[], drain_seconds=0) as running:
        yield running


@pytest.fixture
async def admin(server: Server, nursery: trio.Nursery) -> AsyncIterator[AdminClient]:
    async with open_admin(connect=lambda address: connect(server, nursery)) as opened:
        yield opened


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Client]:
    async with server.open_client() as opened:
        yield opened


async def connect(server: Server, nursery: trio.Nursery) -> trio.abc.Stream:
    ours, theirs = memory_stream_pair()
    nursery.start_soon(server.handle_stream, theirs)
    await trio.lowlevel.checkpoint()
    return ours


async def test_new_server_has_nothing_but_us(admin: AdminClient) -> None:
    assert [] == await admin.status()
    assert [] == await admin.priority_status()
    assert [] == await admin.jobs()
    assert [] == await admin.unique_jobs()
    (ourselves,) = await admin.workers()
    assert ("-", ()) == (ourselves.client_id, ourselves.functions)


async def test_queued_jobs(admin: AdminClient, client: Client) -> None:
    submitted = [
        await client.submit("a", unique="x y", priority="high"),
        await client.submit("a", priority="low"),
        await client.submit(b"b\tc", unique=".x"),
    ]
    handles = [handle.decode() for handle in submitted]

    assert [FunctionRow("a", 2, 0, 0), FunctionRow("b\\x09c", 1, 0, 0)] == await admin.status()
    assert [PriorityRow("a", 1, 0, 1, 0), PriorityRow("b\\x09c", 0, 1, 0, 0)] == await admin.priority_status()
    assert [JobRow(handle, 0, False, True) for handle in handles] == await admin.jobs()
    assert ["x y", "", ".x"] == await admin.unique_jobs()


async def test_worker_and_its_running_job(
    admin: AdminClient, server: Server, client: Client, nursery: trio.Nursery
) -> None:
    abilities, running = Abilities(), trio.Event()

    @abilities.function(name="wait")
    async def wait() -> None:
        running.set()
        await trio.sleep_forever()

    async def dial(address: Address) -> trio.abc.Stream:
        return await connect(server, nursery)

    with trio.CancelScope() as scope:
        async with open_worker(abilities, client_id="me", connect=dial):
            await client.submit("wait")
            await running.wait()
            assert [FunctionRow("wait", 1, 1, 1)] == await admin.status()
            assert ("me", ("wait",)) in [(row.client_id, row.functions) for row in await admin.workers()]
            scope.cancel()


async def test_cancel_fails_the_job_once(admin: AdminClient, client: Client) -> None:
    async with client.stream("a") as job:
        assert job.handle is not None
        await admin.cancel(job.handle)
        with pytest.raises(JobFailed):
            await job.result()
        with pytest.raises(ServerError) as caught:
            await admin.cancel(job.handle)

    assert "UNKNOWN_JOB" == caught.value.code


async def test_functions_come_and_go(admin: AdminClient, client: Client) -> None:
    await admin.create_function("a")
    await admin.create_function(b"\xff")
    listed = await admin.status()
    await client.submit("a")
    with pytest.raises(ServerError) as in_use:
        await admin.drop_function("a")
    await admin.drop_function(b"\xff")
    with pytest.raises(ServerError) as unknown:
        await admin.drop_function(b"\xff")

    assert ["a", "\\xff"] == [row.function for row in listed]
    assert ["a"] == [row.function for row in await admin.status()]
    assert "there are still connected workers or executing clients" == in_use.value.text
    assert ("ERR", "function not found") == (unknown.value.code, unknown.value.text)


async def test_maxqueue_refuses_more_jobs(admin: AdminClient, client: Client) -> None:
    await admin.maxqueue("a", 1)
    await client.submit("a")
    with pytest.raises(ServerError) as caught:
        await client.submit("a")
    await admin.maxqueue("a")
    await client.submit("a")

    assert "QUEUE_ERROR" == caught.value.code
    assert [FunctionRow("a", 2, 0, 0)] == await admin.status()


async def test_limits_can_be_read(admin: AdminClient) -> None:
    await admin.maxqueue("a", 1)
    await admin.maxqueue("b", 1, 2, 3)

    assert [LimitRow("a", 1, 1, 1), LimitRow("b", 1, 2, 3)] == await admin.limits()
    assert [LimitRow("b", 1, 2, 3)] == await admin.limits("b")
    with pytest.raises(ServerError, match="function not found"):
        await admin.limits("c")


async def test_jobs_of_one_function(admin: AdminClient, client: Client) -> None:
    one = await client.submit("a", b"four", unique="x y", priority="high")
    two = await client.submit("a", run_at=4_000_000_000)
    await client.submit("b", unique="u")
    first = FunctionJobRow(
        handle=one.decode(),
        unique="x y",
        priority="high",
        state="queued",
        attempts=0,
        background=True,
        clients=0,
        workload_bytes=4,
        run_at=0,
        age_ms=0,
    )
    second = attrs.evolve(
        first,
        handle=two.decode(),
        unique="",
        priority="normal",
        state="scheduled",
        workload_bytes=0,
        run_at=4_000_000_000,
    )

    async def listed(**filters: Any) -> list[FunctionJobRow]:
        return [attrs.evolve(row, age_ms=0) for row in await admin.function_jobs("a", **filters)]

    assert [first, second] == await listed()
    assert [first] == await listed(state="queued", priority="high", limit=5)
    assert [second] == await listed(unique="")
    assert [first, second] == await listed(older=0, younger=3600)
    assert [] == await listed(older=3600.5)
    assert [] == await listed(younger=0)
    assert 1 == len(await admin.function_jobs("b", unique="u"))
    assert [] == await admin.function_jobs("a", limit=0)
    with pytest.raises(ServerError, match="function not found"):
        await admin.function_jobs("c")
    for wrong in (-1, math.inf, math.nan):
        with pytest.raises(ConfigError, match="expected a number of seconds from 0 on, got "):
            await admin.function_jobs("a", older=wrong)


async def test_jobs_have_an_age(admin: AdminClient, client: Client) -> None:
    before = time.monotonic()
    await client.submit("a")
    (row,) = await admin.function_jobs("a")

    assert 0 <= row.age_ms <= (time.monotonic() - before) * 1000


async def test_activity(admin: AdminClient, client: Client, server: Server, nursery: trio.Nursery) -> None:
    going_on, begun = trio.Event(), trio.Event()
    abilities = Abilities()

    @abilities.function
    async def build(job: Job) -> bytes:
        await job.status(1, 4)
        begun.set()
        await going_on.wait()
        return b""

    async with open_worker(abilities, client_id="builder-1", connect=lambda address: connect(server, nursery)):
        handle = await client.submit("build", b"", unique="x\ty")
        with trio.fail_after(PATIENCE):
            await begun.wait()
        (running,) = await admin.running_jobs()
        (function,) = await admin.function_activity()
        connections = await admin.connection_activity()
        going_on.set()
        with trio.fail_after(PATIENCE):
            after = function
            while not after.ended:
                await trio.lowlevel.checkpoint()
                (after,) = await admin.function_activity()

    assert (handle.decode(), "build", "x\\x09y") == (running.handle, running.function, running.unique)
    assert ("builder-1", "in-process", 1, "1", "4") == (
        running.client_id,
        running.address,
        running.attempts,
        running.numerator,
        running.denominator,
    )
    assert (1, 1, 1, 0, 0) == (function.running, function.workers, function.submitted, function.queued, function.ended)
    assert (None, None, None) == (function.oldest_ms, function.run_p50_ms, function.run_p95_ms)
    assert function.wait_p50_ms is not None
    assert after.run_p95_ms is not None
    assert (1, 1, 0, 0) == (after.ended, after.completed, after.failed, after.running)
    (worker,) = [row for row in connections if row.functions]
    assert ("builder-1", ("build",), 1, running.connection) == (
        worker.client_id,
        worker.functions,
        worker.running,
        worker.number,
    )
    assert worker.silent_ms <= worker.connected_ms
    assert worker.received_bytes > 0 < worker.sent_bytes


async def test_paused_function(admin: AdminClient, client: Client) -> None:
    await admin.pause_function("a")
    await client.submit("a")

    assert ["a"] == await admin.paused_functions()
    await admin.resume_function("a")
    assert [] == await admin.paused_functions()
    assert 1 == await admin.purge_function("a")
    assert [FunctionRow("a", 0, 0, 0)] == await admin.status()


async def test_only_administrators_shut_down(admin: AdminClient) -> None:
    with pytest.raises(ServerError) as caught:
        await admin.shut_down()

    assert "UNKNOWN_COMMAND" == caught.value.code


async def test_values(admin: AdminClient) -> None:
    assert version("gearman-trio") == await admin.version()
    assert os.getpid() == await admin.process_id()
    assert "ERROR" == await admin.verbosity()


async def test_server_that_drains_ends_the_connection(admin: AdminClient, server: Server) -> None:
    assert [] == await admin.status()
    await server.drain(0)

    with pytest.raises(ServersUnavailable):
        await admin.status()
