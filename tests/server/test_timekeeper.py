"""Time: what is due happens when it is due, and one moving deadline is enough for it."""

from __future__ import annotations

from functools import partial
from math import inf

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gearman_trio.protocol import PacketType
from gearman_trio.server import Server, ServerOptions, serve

from .raw import RawPeer, join, open_memory_server

P = PacketType

#: The wall clock at the start, in `open_memory_server`.
START = 2_000_000_000


async def submit_at(client: RawPeer, function: bytes, epoch: str) -> bytes:
    """Submit a job with a time to run at; give its handle."""
    await client.send(P.SUBMIT_JOB_EPOCH, function, b"", epoch.encode(), b"")
    kind, (handle,) = await client.receive()
    assert P.JOB_CREATED == kind
    return handle


async def sleeper(server: Server, nursery: trio.Nursery, *functions: bytes) -> RawPeer:
    """A worker that can do these functions and sleeps."""
    worker = join(server, nursery)
    for function in functions:
        await worker.can_do(function)
    await worker.sleep()
    return worker


@pytest.mark.parametrize(
    ("epoch", "due"), [(f"{START + 10}", 10), (f"{START + 2}.345", 2.345), (f"{START}.001", 0.001)]
)
async def test_sleeping_worker_is_woken_when_a_job_is_due(autojump_clock: MockClock, epoch: str, due: float) -> None:
    async with open_memory_server() as (server, nursery):
        client, worker = join(server, nursery), await sleeper(server, nursery, b"f")
        handle = await submit_at(client, b"f", epoch)
        await worker.expect(P.NOOP)
        woken_at = trio.current_time()

        assert pytest.approx(due, abs=0.0005) == woken_at
        assert handle == (await worker.grab())[0]


async def test_job_is_not_given_out_before_it_is_due(autojump_clock: MockClock) -> None:
    async with open_memory_server() as (server, nursery):
        client, worker = join(server, nursery), join(server, nursery)
        await worker.can_do(b"f")
        handle = await submit_at(client, b"f", f"{START + 10}")
        await trio.sleep(9.999)
        await worker.send(P.GRAB_JOB)
        await worker.expect(P.NO_JOB)
        await trio.sleep(0.002)

        assert handle == (await worker.grab())[0]


async def test_job_whose_time_has_passed_is_due_at_once(autojump_clock: MockClock) -> None:
    async with open_memory_server() as (server, nursery):
        client, worker = join(server, nursery), await sleeper(server, nursery, b"f")
        await submit_at(client, b"f", f"{START - 1}")
        await worker.expect(P.NOOP)

        assert 0 == trio.current_time()


async def test_earlier_job_that_comes_later_moves_the_deadline_forward(autojump_clock: MockClock) -> None:
    async with open_memory_server() as (server, nursery):
        client, worker = join(server, nursery), await sleeper(server, nursery, b"f")
        due = {}
        for seconds in (300, 20, 100, 5):
            due[await submit_at(client, b"f", f"{START + seconds}")] = seconds
            await wait_all_tasks_blocked()
        woken = []
        for _ in range(4):
            await worker.expect(P.NOOP)
            handle, _ = await worker.grab()
            woken.append((due[handle], round(trio.current_time(), 3)))
            await worker.send(P.WORK_COMPLETE, handle, b"")
            await worker.sleep()

        assert [(5, 5), (20, 20), (100, 100), (300, 300)] == woken


async def test_wall_clock_set_forward_is_noticed(autojump_clock: MockClock) -> None:
    """Nothing tells a process that its clock was set, so the clock is looked at every 30 seconds."""
    async with trio.open_nursery() as nursery:
        epoch = [float(START)]
        server: Server = await nursery.start(
            partial(serve, listeners=[], epoch_clock=lambda: epoch[0] + trio.current_time())
        )
        client, worker = join(server, nursery), await sleeper(server, nursery, b"f")
        await submit_at(client, b"f", f"{START + 7200}")
        await trio.sleep(100)
        epoch[0] += 7200
        await worker.expect(P.NOOP)

        assert 100 <= trio.current_time() <= 130
        nursery.cancel_scope.cancel()


async def test_wall_clock_set_back_is_noticed(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        epoch = [float(START)]
        server: Server = await nursery.start(
            partial(serve, listeners=[], epoch_clock=lambda: epoch[0] + trio.current_time())
        )
        client, worker = join(server, nursery), await sleeper(server, nursery, b"f")
        await submit_at(client, b"f", f"{START + 200}")
        await trio.sleep(100)
        epoch[0] -= 3600
        await worker.expect(P.NOOP)

        assert 3800 == round(trio.current_time(), 3)
        nursery.cancel_scope.cancel()


async def test_wall_clock_set_while_no_job_was_scheduled_counts_for_the_next_one(autojump_clock: MockClock) -> None:
    """As after a night in which the machine was suspended: the monotonic clock stood still."""
    async with trio.open_nursery() as nursery:
        epoch = [float(START)]
        server: Server = await nursery.start(
            partial(serve, listeners=[], epoch_clock=lambda: epoch[0] + trio.current_time())
        )
        client, worker = join(server, nursery), await sleeper(server, nursery, b"f")
        await trio.sleep(1000)
        epoch[0] += 30_000
        await submit_at(client, b"f", f"{START + 31_005}")
        await worker.expect(P.NOOP)

        assert 1005 == round(trio.current_time(), 3)
        nursery.cancel_scope.cancel()


async def test_job_that_outlives_its_limit_fails_and_its_client_is_told(autojump_clock: MockClock) -> None:
    async with open_memory_server() as (server, nursery):
        client, worker = join(server, nursery), join(server, nursery)
        await worker.send(P.CAN_DO_TIMEOUT, b"f", b"2500")
        handle = await client.submit(b"f", b"")
        await trio.sleep(1)
        await worker.grab()
        await client.expect(P.WORK_FAIL, handle)
        failed_at = trio.current_time()
        await worker.send(P.WORK_COMPLETE, handle, b"too late")

        assert 3.5 == failed_at
        assert P.ERROR == (await worker.receive())[0]
        assert 1 == server.statistics().counters.timed_out


async def test_job_that_ends_in_time_is_left_alone(autojump_clock: MockClock) -> None:
    async with open_memory_server() as (server, nursery):
        client, worker = join(server, nursery), join(server, nursery)
        await worker.send(P.CAN_DO_TIMEOUT, b"f", b"2500")
        handle = await client.submit(b"f", b"")
        await worker.grab()
        await trio.sleep(2.4)
        await worker.send(P.WORK_COMPLETE, handle, b"in time")
        await client.expect(P.WORK_COMPLETE, handle, b"in time")
        await trio.sleep(10)
        await client.synchronize()

        assert 0 == server.statistics().counters.timed_out


async def test_next_sleeper_is_woken_when_the_first_does_not_grab(autojump_clock: MockClock) -> None:
    async with open_memory_server(ServerOptions(wake_seconds=0.25)) as (server, nursery):
        client = join(server, nursery)
        workers = [await sleeper(server, nursery, b"f") for _ in range(3)]
        await client.submit(b"f", b"")
        woken = []
        for worker in workers:
            await worker.expect(P.NOOP)
            woken.append(trio.current_time())

        assert [0, 0.25, 0.5] == woken


async def test_worker_that_grabs_in_time_lets_the_others_sleep(autojump_clock: MockClock) -> None:
    async with open_memory_server() as (server, nursery):
        client = join(server, nursery)
        first, second = [await sleeper(server, nursery, b"f") for _ in range(2)]
        await client.submit(b"f", b"")
        await first.expect(P.NOOP)
        await first.grab()
        await trio.sleep(60)

        # Nothing but the echo has come.
        await second.synchronize()


async def test_timekeeper_sleeps_for_ever_where_nothing_is_due(autojump_clock: MockClock) -> None:
    async with open_memory_server(ServerOptions(packet_seconds=inf, unread_seconds=inf)) as (server, nursery):
        peer = join(server, nursery)
        await peer.synchronize()
        await wait_all_tasks_blocked()

        assert float("inf") == trio.lowlevel.current_statistics().seconds_to_next_deadline
