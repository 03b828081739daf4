"""Server, workers and clients together when things go wrong: what only the test kit can bring about on purpose."""

from __future__ import annotations

import math

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from gearman_trio import Abilities, Job, JobFailed, JobLost, ServerOptions, ServersUnavailable
from gearman_trio.testing import Gearman, open_gearman


@pytest.fixture
def abilities() -> Abilities:
    made = Abilities()

    @made.function
    async def grow(workload: bytes) -> bytes:
        await trio.sleep(float(workload))
        return b"grown"

    @made.function
    async def flood(workload: bytes, job: Job) -> bytes:
        """Send a megabyte in each second."""
        for _ in range(int(workload)):
            await job.data(bytes(1_000_000))
            await trio.sleep(1)
        return b""

    return made


async def test_worker_that_was_woken_and_does_not_grab_holds_nothing_up(
    gearman: Gearman, abilities: Abilities, autojump_clock: MockClock
) -> None:
    async with gearman.worker(abilities) as dead, gearman.worker(abilities) as alive, gearman.client() as client:
        await client.echo(b"connected")
        gearman.stall(dead)

        assert b"grown" == await client.run("grow", b"0")
        # The second one is woken a tenth of a second after the first.
        assert math.isclose(0.1, trio.current_time(), abs_tol=0.001)
        assert (0, 1) == (dead.statistics().done, alive.statistics().done)


@pytest.mark.parametrize("unread", [1, 20])
async def test_client_that_does_not_read_is_cut_off_at_the_limit(
    abilities: Abilities, nursery: trio.Nursery, autojump_clock: MockClock, unread: int
) -> None:
    outcomes: list[str] = []
    options = ServerOptions(outbox_limit_bytes=5_000_000, handle_prefix="H:test")

    async with open_gearman(options=options) as gearman, gearman.worker(abilities), gearman.client() as client:

        async def run() -> None:
            try:
                outcomes.append(f"{len(await client.run('flood', b'%d' % unread))} bytes")
            except JobLost:
                outcomes.append("lost")

        nursery.start_soon(run)
        await wait_all_tasks_blocked()
        gearman.stall(client)
        await gearman.run_until_empty()
        gearman.resume(client)
        await gearman.run_until_empty()

    assert ["1000000 bytes" if unread == 1 else "lost"] == outcomes


async def test_job_that_kills_its_workers_fails_in_the_end(
    abilities: Abilities, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async def run() -> None:
        with pytest.raises(JobFailed):
            await client.run("grow", b"60")

    async with (
        open_gearman(options=ServerOptions(max_attempts=3)) as gearman,
        gearman.worker(abilities) as worker,
        gearman.client() as client,
    ):
        nursery.start_soon(run)
        for _ in range(3):
            await worker.wait_ready()
            await trio.sleep(30)
            await gearman.drop(worker)
        await gearman.run_until_empty()

        assert 3 == worker.statistics().lost


async def test_clients_of_one_job_hear_its_end_when_one_of_them_is_lost(
    gearman: Gearman, abilities: Abilities, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async def lose() -> None:
        with pytest.raises(JobLost):
            await one.run("grow", b"60", unique="tree")

    async with gearman.worker(abilities) as worker, gearman.client() as one, gearman.client() as other:
        nursery.start_soon(lose)
        await wait_all_tasks_blocked()
        async with other.stream("grow", b"60", unique="tree") as job:
            await gearman.drop(one)

            assert b"grown" == await job.result()
        assert (1, 2) == (worker.statistics().done, len(gearman.submitted))


async def test_foreground_job_in_the_queue_goes_with_its_client(gearman: Gearman, autojump_clock: MockClock) -> None:
    async with gearman.client() as client:
        async with client.stream("nobody", b"") as job:
            await gearman.drop(client)
            with pytest.raises(JobLost):
                await job.result()

        assert 1 == gearman.server.statistics().counters.abandoned
        await gearman.run_until_empty()


async def test_server_that_drains_lets_the_running_job_end(
    abilities: Abilities, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    results: list[bytes] = []

    async def run() -> None:
        results.append(await client.run("grow", b"20"))

    async with open_gearman() as gearman, gearman.client() as client, gearman.worker(abilities) as worker:
        nursery.start_soon(run)
        await wait_all_tasks_blocked()
        await gearman.server.drain(30)

        assert ([b"grown"], 1) == (results, worker.statistics().done)
        assert math.isclose(20.0, trio.current_time(), abs_tol=2)
        with pytest.raises(ServersUnavailable, match="the job server is down"):
            await client.echo(b"anyone there?")
        # The worker goes on looking for it, in vain.
        await trio.sleep(3600)
