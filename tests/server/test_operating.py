"""Operators: they see and steer single jobs, and nobody waits for them."""

from __future__ import annotations

import trio
from trio.testing import MockClock, Sequencer

from gearman_trio.core import JobQuery
from gearman_trio.protocol import PacketType

from .raw import join, open_memory_server

P = PacketType


async def test_others_have_their_turn_during_a_search(autojump_clock: MockClock) -> None:
    async with open_memory_server() as (server, nursery):
        client = join(server, nursery)
        for number in range(3000):
            await client.send(P.SUBMIT_JOB_BG, b"f", b"%d" % number, b"")
            await client.receive()
        turns = 0

        async def take_turns() -> None:
            nonlocal turns
            while True:
                await trio.lowlevel.checkpoint()
                turns += 1

        nursery.start_soon(take_turns)
        page = await server.operator.find(JobQuery("queued", unique=b"299", prefix=True))

        assert [b"299", *(b"299%d" % digit for digit in range(10))] == [job.unique for job in page.jobs]
        assert (3000, b"") == (page.looked_at, page.after)
        assert turns >= 2


async def test_search_ends_after_a_while_and_goes_on(autojump_clock: MockClock) -> None:
    async with open_memory_server() as (server, nursery):
        client = join(server, nursery)
        for number in range(2500):
            await client.send(P.SUBMIT_JOB_BG, b"f", b"%d" % number, b"")
            await client.receive()
        query = JobQuery("queued", unique=b"2499", prefix=True)
        first = await server.operator.find(query, look=1000)
        query.after = first.after
        second = await server.operator.find(query, look=10_000)

        assert ([], True) == (first.jobs, first.looked_at < 2500)
        assert ([b"2499"], b"") == ([job.unique for job in second.jobs], second.after)
        assert 2500 == first.looked_at + second.looked_at


async def test_what_an_operator_does_is_sent_at_once(autojump_clock: MockClock) -> None:
    async with open_memory_server() as (server, nursery):
        client, worker = join(server, nursery), join(server, nursery)
        await worker.can_do(b"f")
        await client.send(P.SUBMIT_JOB, b"f", b"", b"")
        _, (handle,) = await client.receive()
        await worker.grab()
        await worker.sleep()

        assert server.operator.requeue(handle) == ""
        assert P.NOOP == (await worker.receive())[0]
        assert server.operator.cancel(handle)
        assert P.WORK_FAIL == (await client.receive())[0]
        assert server.operator.job(handle) is None


async def test_purge_goes_on_while_jobs_come(autojump_clock: MockClock) -> None:
    """It ends those that there were when it began."""
    async with open_memory_server() as (server, nursery):
        client, sequence = join(server, nursery), Sequencer()
        for _ in range(1500):
            await client.send(P.SUBMIT_JOB_BG, b"f", b"", b"")
            await client.receive()
        ended: list[int | None] = []

        async def purge() -> None:
            async with sequence(0):
                pass
            ended.append(await server.operator.purge(b"f"))

        nursery.start_soon(purge)
        async with sequence(1):
            await client.send(P.SUBMIT_JOB_BG, b"f", b"", b"")
            await client.receive()
        await trio.testing.wait_all_tasks_blocked()

        assert [1500] == ended
        assert [1] == [function.queued for function in server.statistics().functions]
        assert await server.operator.purge(b"unknown") is None
