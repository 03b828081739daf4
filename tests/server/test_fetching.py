"""A server that leaves long workloads in its store: who waits for them, and what happens when the store fails."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import attrs
import pytest
import trio
import trio.testing

from gearman_trio.protocol import PacketType
from gearman_trio.server import Server, ServerOptions, StoreStatistics
from gearman_trio.storage import SQLiteStore, StoredJob
from gearman_trio.testing import MemoryStore

from ..patience import PATIENCE
from .raw import RawPeer, connect, open_tcp_server, until

P = PacketType
PATIENT = ServerOptions(handle_prefix="H:t", store_timeout=PATIENCE, spill_bytes=100)
LONG = b"x" * 1000


def statistics_of(server: Server) -> StoreStatistics:
    statistics = server.statistics().store
    assert statistics is not None
    return statistics


def fetching(server: Server) -> int:
    return sum(function.fetching for function in server.statistics().functions)


async def complete(worker: RawPeer) -> bytes:
    handle, workload = await worker.grab()
    await worker.send(P.WORK_COMPLETE, handle, b"")
    return workload


def backlog(count: int) -> MemoryStore:
    store = MemoryStore()
    store.content = {
        row: StoredJob(row, b"H:old:%d" % row, b"f", b"", 1, LONG + b"%d" % row, 0.0, b"", 0, 5.0, True, "")
        for row in range(1, count + 1)
    }
    return store


async def test_workloads_are_in_memory_only_when_they_are_needed(driver: str) -> None:
    store = MemoryStore()
    async with open_tcp_server(PATIENT, store=store) as server, connect(server) as client, connect(server) as worker:
        await client.submit_background(b"f", LONG)
        await client.submit_background(b"f", b"short")
        assert (1, 1000) == (statistics_of(server).spilled, statistics_of(server).spilled_bytes)
        await worker.can_do(b"f")
        assert [LONG, b"short"] == [await complete(worker), await complete(worker)]
        await worker.synchronize()
        assert (0, 0, 1) == (
            statistics_of(server).spilled,
            statistics_of(server).spilled_bytes,
            statistics_of(server).fetched,
        )
        await until(lambda: not store.content)
    assert [[1]] == store.fetches


@pytest.mark.parametrize("replay", ["first", "online"])
async def test_jobs_of_an_earlier_run_come_back_without_their_workloads(
    replay: Literal["first", "online"], driver: str
) -> None:
    store = backlog(1000)
    options = attrs.evolve(PATIENT, replay=replay)
    async with open_tcp_server(options, store=store) as server, connect(server) as worker:
        await until(lambda: statistics_of(server).spilled == 1000)
        await worker.can_do(b"f")
        assert [LONG + b"%d" % row for row in range(1, 1001)] == [await complete(worker) for _ in range(1000)]
        await worker.synchronize()
    assert {} == store.content
    # Many at a time, and each once.
    assert list(range(1, 1001)) == [row for rows in store.fetches for row in rows]
    assert len(store.fetches) <= 10


async def test_everything_else_goes_on_while_a_workload_is_fetched(driver: str) -> None:
    store = backlog(1)
    async with open_tcp_server(PATIENT, store=store) as server, connect(server) as worker, connect(server) as other:
        await worker.can_do(b"f")
        store.hold()
        await worker.send(P.GRAB_JOB)
        await until(lambda: fetching(server) == 1)
        await other.can_do(b"g")
        handle = await worker_of(other)
        assert b"H:t:" in handle
        await other.send(P.GET_STATUS, b"H:old:1")
        await other.expect(P.STATUS_RES, b"H:old:1", b"1", b"0", b"0", b"0")
        store.go_on()
        assert P.JOB_ASSIGN == (await worker.receive())[0]


async def worker_of(peer: RawPeer) -> bytes:
    """Submit a foreground job and run it over the same connection; give its handle."""
    handle = await peer.submit(b"g", LONG)
    assert (handle, LONG) == await peer.grab()
    await peer.send(P.WORK_COMPLETE, handle, b"")
    await peer.expect(P.WORK_COMPLETE, handle, b"")
    return handle


async def test_a_worker_that_leaves_while_it_waits_loses_nothing(driver: str) -> None:
    store = backlog(2)
    async with open_tcp_server(PATIENT, store=store) as server, connect(server) as worker:
        store.hold()
        async with connect(server) as first:
            await first.can_do(b"f")
            await first.send(P.GRAB_JOB)
            await until(lambda: fetching(server) == 1)
        await until(lambda: len(server.statistics().peers) == 1)
        store.go_on()
        await worker.can_do(b"f")
        assert [LONG + b"1", LONG + b"2"] == [await complete(worker), await complete(worker)]


async def test_a_store_that_cannot_be_read_lets_workers_wait(caplog: pytest.LogCaptureFixture, driver: str) -> None:
    store = backlog(1)
    async with open_tcp_server(PATIENT, store=store) as server, connect(server) as worker, connect(server) as client:
        await worker.can_do(b"f")
        store.fetch_failure = "the disk is broken"
        await worker.send(P.GRAB_JOB)
        await worker.expect(P.NO_JOB)
        await worker.sleep()
        # What is in memory is done.
        handle = await client.submit(b"f", LONG)
        await worker.expect(P.NOOP)
        assert (handle, LONG) == await worker.grab()
        await worker.send(P.WORK_COMPLETE, handle, b"")
        await client.expect(P.WORK_COMPLETE, handle, b"")
        await worker.sleep()
        store.fetch_failure = ""
        await worker.expect(P.NOOP)
        assert LONG + b"1" == await complete(worker)
    said = [record.getMessage() for record in caplog.records if "in memory" in record.getMessage()]
    assert [
        "a store in memory: all 1 jobs are back",
        "jobs whose workload is in the store alone wait until it can be read: "
        "a store in memory could not be read: the disk is broken",
        "a store in memory: gives workloads again",
    ] == said
    caplog.clear()


async def test_a_store_that_hangs_lets_workers_wait(caplog: pytest.LogCaptureFixture) -> None:
    store = backlog(1)
    options = attrs.evolve(PATIENT, store_timeout=0.2)
    async with open_tcp_server(options, store=store) as server, connect(server) as worker:
        await worker.can_do(b"f")
        store.hold()
        await worker.send(P.GRAB_JOB)
        await worker.expect(P.NO_JOB)
        await worker.sleep()
        store.go_on()
        await worker.expect(P.NOOP)
        assert LONG + b"1" == await complete(worker)
    assert "a store in memory has not given a workload for 0.2 seconds" in caplog.text
    caplog.clear()


async def test_a_job_whose_workload_is_gone_fails(caplog: pytest.LogCaptureFixture) -> None:
    store = backlog(2)
    async with open_tcp_server(PATIENT, store=store) as server, connect(server) as worker:
        del store.content[1]
        await worker.can_do(b"f")
        await worker.send(P.GRAB_JOB)
        await worker.expect(P.NO_JOB)
        assert LONG + b"2" == await complete(worker)
        assert 1 == server.statistics().counters.lost
    assert "a store in memory: job H:old:1 failed: its workload is not there any more" in caplog.messages
    caplog.clear()


async def test_a_hard_stop_does_not_wait_for_a_fetch(caplog: pytest.LogCaptureFixture) -> None:
    store = backlog(1)
    async with open_tcp_server(PATIENT, store=store) as server, connect(server) as worker:
        await worker.can_do(b"f")
        store.hold()
        await worker.send(P.GRAB_JOB)
        await until(lambda: fetching(server) == 1)
        await trio.testing.wait_all_tasks_blocked()
    store.go_on()
    assert [1] == list(store.content)


async def test_draining_ends_when_jobs_that_are_fetched_are_done(driver: str) -> None:
    store = backlog(1)
    async with (
        open_tcp_server(PATIENT, store=store) as server,
        connect(server) as worker,
        trio.open_nursery() as nursery,
    ):
        await worker.can_do(b"f")
        store.hold()
        await worker.send(P.GRAB_JOB)
        await until(lambda: fetching(server) == 1)
        nursery.start_soon(server.drain, 20)
        await trio.testing.wait_all_tasks_blocked()
        store.go_on()
        kind, (handle, _, workload) = await worker.receive()
        assert (P.JOB_ASSIGN, LONG + b"1") == (kind, workload)
        await worker.send(P.WORK_COMPLETE, handle, b"")
    assert {} == store.content


async def test_a_queue_in_a_file_is_not_in_memory(tmp_path: Path) -> None:
    """Megabytes go in and out, over a restart, and never more than what is fetched at once is held."""
    workload = bytes(range(256)) * 4096
    path = f"{tmp_path}/jobs.db"
    async with (
        open_tcp_server(PATIENT, store=SQLiteStore(path)) as server,
        connect(server) as client,
    ):
        for number in range(40):
            await client.submit_background(b"f", b"%d" % number + workload)
        assert 40 == statistics_of(server).spilled
    async with open_tcp_server(PATIENT, store=SQLiteStore(path)) as server, connect(server) as worker:
        assert 40 == statistics_of(server).spilled
        await worker.can_do(b"f")
        for number in range(40):
            assert b"%d" % number + workload == await complete(worker)
            assert statistics_of(server).spilled >= 40 - number - 17
