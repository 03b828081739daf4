"""Faults on the way to the job server, and what clients and workers see of them."""

from __future__ import annotations

import math
from collections.abc import Awaitable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gearman_trio import Abilities, ConfigError, JobLost, ServersUnavailable, open_worker
from gearman_trio.protocol import PacketType, encode_request
from gearman_trio.testing import Direction, Gearman

P = PacketType


async def expect_loss(running: Awaitable[object], *, may_have_run: bool) -> None:
    with pytest.raises(JobLost) as caught:
        await running

    assert may_have_run is caught.value.may_have_run


# ---- drop --------------------------------------------------------------------------------------------------------


async def test_dropped_client_loses_its_calls_and_connects_again(
    gearman: Gearman, abilities: Abilities, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async with gearman.worker(abilities) as worker, gearman.client() as client:
        nursery.start_soon(lambda: expect_loss(client.run("grow", b"100"), may_have_run=True))
        await wait_all_tasks_blocked()
        await gearman.drop(client)
        connected = client.statistics().connected

        assert not connected
        assert b"cba" == await client.run("reverse", b"abc")
        assert 1 == client.statistics().reconnects
        await gearman.run_until_empty()
        assert (2, 0) == (worker.statistics().done, worker.statistics().lost)


async def test_question_on_a_dropped_connection_is_unanswered(
    gearman: Gearman, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async def ask() -> None:
        with pytest.raises(ServersUnavailable, match="the test broke the connection"):
            await client.echo(b"anyone there?")

    async with gearman.client() as client:
        await client.echo(b"connected")
        gearman.stall(client)
        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        await gearman.drop(client)


async def test_dropped_worker_loses_its_job_and_does_it_again(
    gearman: Gearman, abilities: Abilities, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    results: list[bytes] = []

    async def run() -> None:
        results.append(await client.run("grow", b"100"))

    async with gearman.worker(abilities) as worker, gearman.client() as client:
        nursery.start_soon(run)
        await wait_all_tasks_blocked()
        await gearman.drop(worker)
        after = worker.ready, worker.statistics().lost
        await gearman.run_until_empty()

        assert ((False, 1), [b"grown"]) == (after, results)
        assert 1 == gearman.server.statistics().counters.requeued
        # After the first wait before it connects again, a tenth of a second at most.
        assert math.isclose(100.1, trio.current_time(), abs_tol=0.1)


async def test_drop_without_a_connection_is_nothing(gearman: Gearman) -> None:
    async with gearman.client() as client:
        await gearman.drop(client)

        assert b"abc" == await client.echo(b"abc")


# ---- refuse ------------------------------------------------------------------------------------------------------


async def test_refused_client_cannot_connect_until_resumed(gearman: Gearman) -> None:
    async with gearman.client() as client:
        gearman.refuse(client)
        with pytest.raises(ServersUnavailable, match="refuses the connection"):
            await client.echo(b"abc")
        gearman.resume(client)

        assert b"abc" == await client.echo(b"abc")


async def test_refused_worker_tries_again(gearman: Gearman, abilities: Abilities, autojump_clock: MockClock) -> None:
    async with gearman.worker(abilities) as worker:
        gearman.refuse(worker)
        await gearman.drop(worker)
        await trio.sleep(3600)
        ready = worker.ready
        gearman.resume(worker)
        await worker.wait_ready()

        assert not ready
        assert trio.current_time() <= 3630


async def test_leaving_the_block_ends_what_is_wrong(
    gearman: Gearman, abilities: Abilities, autojump_clock: MockClock
) -> None:
    """Or else a worker that is stalled could never drain."""
    async with gearman.client() as client:
        async with gearman.worker(abilities) as worker:
            await client.submit("grow", b"5")
            await wait_all_tasks_blocked()
            gearman.stall(worker)
            await trio.sleep(100)

        assert 1 == worker.statistics().done
        assert 1 == gearman.server.statistics().counters.completed


# ---- stall, delay ------------------------------------------------------------------------------------------------


async def test_stalled_client_waits(gearman: Gearman, abilities: Abilities, autojump_clock: MockClock) -> None:
    async with gearman.worker(abilities), gearman.client() as client:
        await client.echo(b"connected")
        gearman.stall(client)
        with trio.move_on_after(1000) as scope:
            await client.run("reverse", b"abc")
        taken = len(gearman.submitted)
        gearman.resume(client)
        await gearman.run_until_empty()

        assert scope.cancelled_caught
        assert (0, 1) == (taken, len(gearman.submitted))


async def test_stalled_connection_is_not_made(gearman: Gearman, autojump_clock: MockClock) -> None:
    async with gearman.client() as client:
        gearman.stall(client)
        with pytest.raises(ServersUnavailable, match="no answer within 10 seconds"):
            await client.echo(b"abc")

        assert 10.0 == trio.current_time()


async def test_stalled_worker_keeps_its_job(
    gearman: Gearman, abilities: Abilities, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    ended: list[float] = []

    async def run() -> None:
        await client.run("grow", b"10")
        ended.append(trio.current_time())

    async with gearman.worker(abilities) as worker, gearman.client() as client:
        nursery.start_soon(run)
        await wait_all_tasks_blocked()
        gearman.stall(worker)
        await trio.sleep(50)
        (grow,) = [each for each in gearman.server.statistics().functions if each.name == b"grow"]
        running = grow.running
        gearman.resume(worker)
        await gearman.run_until_empty()

        assert (1, [50.0]) == (running, ended)


async def test_delay_is_felt_both_ways(gearman: Gearman, abilities: Abilities, autojump_clock: MockClock) -> None:
    async with gearman.client() as client:
        await client.echo(b"connected")
        gearman.delay(client, 2.5)
        await client.echo(b"abc")
        slow = trio.current_time()
        gearman.resume(client)
        await client.echo(b"abc")

        assert (5.0, 5.0) == (slow, trio.current_time())


async def test_delay_is_felt_by_who_connects(gearman: Gearman, autojump_clock: MockClock) -> None:
    line = gearman.line("slow")
    line.delay(3)
    async with await line.connect():
        assert 3.0 == trio.current_time()


# ---- cut ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after_bytes", [0, 1, 11, 12, 20])
async def test_half_a_submission_is_no_job(
    gearman: Gearman, nursery: trio.Nursery, autojump_clock: MockClock, after_bytes: int
) -> None:
    async with gearman.client() as client:
        await client.echo(b"connected")
        gearman.cut(client, after_bytes=after_bytes)
        await expect_loss(client.submit("f", b"some workload"), may_have_run=True)

        assert () == gearman.submitted
        assert 0 == gearman.server.statistics().counters.submitted


async def test_whole_submission_without_its_answer_is_a_job(gearman: Gearman, autojump_clock: MockClock) -> None:
    packet = encode_request(P.SUBMIT_JOB_BG, b"f", b"", b"some workload")
    async with gearman.client() as client:
        await client.echo(b"connected")
        gearman.cut(client, after_bytes=len(packet))
        await expect_loss(client.submit("f", b"some workload"), may_have_run=True)
        await wait_all_tasks_blocked()

        assert 1 == gearman.server.statistics().counters.submitted


@pytest.mark.parametrize("after_bytes", [0, 1, 15])
async def test_half_an_answer_is_a_loss_of_a_job_that_was_taken(
    gearman: Gearman, autojump_clock: MockClock, after_bytes: int
) -> None:
    async with gearman.client() as client:
        await client.echo(b"connected")
        gearman.cut(client, after_bytes=after_bytes, direction="received")
        await expect_loss(client.submit("f", b"some workload", unique="u1"), may_have_run=True)

        gearman.assert_submitted("f", workload=b"some workload", unique="u1", count=1)


async def test_half_a_result_is_a_job_that_runs_again(
    gearman: Gearman, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    abilities = Abilities()
    runs: list[float] = []

    @abilities.function
    async def measure() -> bytes:
        runs.append(trio.current_time())
        return b"done"

    async with gearman.worker(abilities) as worker, gearman.client() as client:
        # GRAB_JOB_UNIQ has twelve bytes; the rest is of the result.
        gearman.cut(worker, after_bytes=12 + 20)

        assert b"done" == await client.run("measure")
        assert (2, 0.0) == (len(runs), runs[0])
        assert "part" not in [packet.name for packet in gearman.tap(worker) if packet.direction is None]


async def test_cut_waits_for_the_next_connection(gearman: Gearman, autojump_clock: MockClock) -> None:
    line = gearman.line("greeting")
    line.cut(after_bytes=10)
    abilities = Abilities()

    @abilities.function
    async def f() -> None: ...

    async with open_worker(abilities, connect=line.connect) as worker:
        assert worker.ready
        assert ["connected", "part", "lost", "connected"] == [
            packet.name for packet in line.tap if packet.direction is None or packet.name == "part"
        ]


async def test_cut_that_was_taken_back_does_not_happen(gearman: Gearman) -> None:
    async with gearman.client() as client:
        gearman.cut(client, after_bytes=100)
        gearman.resume(client)

        assert b"a" * 200 == await client.echo(b"a" * 200)


# ---- arguments ---------------------------------------------------------------------------------------------------


async def test_bad_arguments_are_refused(gearman: Gearman) -> None:
    line = gearman.line("x")
    with pytest.raises(ConfigError, match="after_bytes"):
        gearman.cut(line, after_bytes=-1)
    with pytest.raises(ConfigError, match="'sent' or 'received', got 'up'"):
        gearman.cut(line, after_bytes=1, direction="up")
    for seconds in (-1.0, math.nan, math.inf):
        with pytest.raises(ConfigError, match="delay"):
            gearman.delay(line, seconds)


def test_directions_are_their_names() -> None:
    assert ["sent", "received"] == [*Direction]
