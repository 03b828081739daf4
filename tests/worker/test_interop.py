"""Our worker with the C job server, gearmand, and the C client, gearman."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator

import pytest
import trio

from gearman_trio.client import open_client
from gearman_trio.worker import Abilities, Job, Retry, ThreadJob, open_worker

from ..patience import PATIENCE
from ..peers import Gearmand, open_gearmand, require

pytestmark = [pytest.mark.interop, pytest.mark.slow]


def make_abilities() -> Abilities:
    abilities = Abilities()

    @abilities.function
    async def reverse(workload: bytes) -> bytes:
        return workload[::-1]

    @abilities.function
    def upper(workload: bytes, job: ThreadJob) -> bytes:
        job.data(b"> ")
        return workload.upper()

    @abilities.function
    async def words(workload: bytes) -> AsyncIterator[bytes]:
        for word in workload.split():
            yield word + b"\n"

    @abilities.function
    async def progress(workload: bytes, job: Job) -> bytes:
        await job.status(1, 4)
        await job.warning("careful\n")
        return b"done"

    @abilities.function
    async def fail(workload: bytes) -> None:
        raise ValueError("no good")

    @abilities.function(timeout=0.2)
    async def stall(workload: bytes) -> None:
        await trio.sleep_forever()

    return abilities


async def gearman(server: Gearmand, function: str, workload: bytes) -> subprocess.CompletedProcess[bytes]:
    """Run one foreground job with the C client."""
    command = [require("gearman"), "-h", "127.0.0.1", "-p", str(server.port), "-f", function]
    with trio.fail_after(PATIENCE):
        return await trio.run_process(command, stdin=workload, capture_stdout=True, capture_stderr=True, check=False)


@pytest.mark.parametrize(
    ("function", "workload", "result"),
    [
        ("reverse", b"abc", b"cba"),
        ("reverse", b"a\0b\nc\xff", b"\xffc\nb\0a"),
        ("reverse", b"", b""),
        # The client's time for reading its input grows with the square of it.
        ("reverse", b"0123456789" * 100_000, b"9876543210" * 100_000),
        ("upper", b"abc", b"> ABC"),
        ("words", b"a bc d", b"a\nbc\nd\n"),
    ],
)
async def test_results_arrive(function: str, workload: bytes, result: bytes) -> None:
    async with open_gearmand() as server, open_worker(make_abilities(), f"127.0.0.1:{server.port}"):
        done = await gearman(server, function, workload)

    assert (0, result) == (done.returncode, done.stdout)


async def test_failures_arrive_and_the_worker_goes_on() -> None:
    async with (
        open_gearmand() as server,
        open_worker(make_abilities(), f"127.0.0.1:{server.port}", exceptions=False) as worker,
    ):
        failed = await gearman(server, "fail", b"x")
        stalled = await gearman(server, "stall", b"x")
        progress = await gearman(server, "progress", b"x")

    assert (True, True, 0) == (failed.returncode != 0, stalled.returncode != 0, progress.returncode)
    assert b"done" in progress.stdout
    assert (1, 2) == (worker.statistics().done, worker.statistics().failed)


async def test_exception_ends_a_job_without_confusing_the_grabbing() -> None:
    """The server answers the WORK_FAIL behind WORK_EXCEPTION with ERROR JOB_NOT_FOUND; the C client never notices."""
    async with open_gearmand() as server, open_worker(make_abilities(), f"127.0.0.1:{server.port}") as worker:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(gearman, server, "fail", b"x")
            with trio.fail_after(PATIENCE):
                while not worker.statistics().failed:
                    await trio.lowlevel.checkpoint()
            # The server tells the client of the exception only, so it goes on waiting.
            nursery.cancel_scope.cancel()
        result = await gearman(server, "reverse", b"abc")

    assert b"cba" == result.stdout
    assert (1, 1) == (worker.statistics().done, worker.statistics().failed)


async def test_many_jobs_at_once_over_one_connection() -> None:
    async with (
        open_gearmand() as server,
        open_worker(make_abilities(), f"127.0.0.1:{server.port}", concurrency=10) as worker,
        trio.open_nursery() as nursery,
    ):
        for number in range(20):
            nursery.start_soon(gearman, server, "upper" if number % 2 else "reverse", b"abc")

    assert 20 == worker.statistics().done


async def test_two_servers_are_served() -> None:
    async with (
        open_gearmand() as one,
        open_gearmand() as two,
        open_worker(make_abilities(), f"127.0.0.1:{one.port}", f"127.0.0.1:{two.port}"),
    ):
        # A job waits in the queue of a server until the worker has come there, too.
        results = [(await gearman(server, "reverse", b"abc")).stdout for server in (one, two, one, two)]

    assert [b"cba"] * 4 == results


async def test_job_of_a_stopped_worker_goes_to_the_next() -> None:
    abilities = make_abilities()
    began = trio.Event()

    @abilities.function
    async def once(workload: bytes) -> bytes:
        if not began.is_set():
            began.set()
            await trio.sleep_forever()
        return b"second time"

    results = []
    answered = trio.Event()

    async def submit(server: Gearmand) -> None:
        results.append((await gearman(server, "once", b"")).stdout)
        answered.set()

    async with open_gearmand() as server, trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            async with open_worker(abilities, f"127.0.0.1:{server.port}"):
                nursery.start_soon(submit, server)
                await began.wait()
                scope.cancel()
        async with open_worker(abilities, f"127.0.0.1:{server.port}"):
            await answered.wait()

    assert [b"second time"] == results


async def test_job_to_be_tried_again_is_given_out_again() -> None:
    abilities = make_abilities()
    tries: list[bytes] = []

    @abilities.function
    async def second_time(workload: bytes) -> bytes:
        tries.append(workload)
        if len(tries) == 1:
            raise Retry(after=0.1)
        return b"%d" % len(tries)

    async with open_gearmand() as server, open_worker(abilities, f"127.0.0.1:{server.port}") as worker:
        done = await gearman(server, "second_time", b"w")

        assert (0, b"2") == (done.returncode, done.stdout)
        assert (1, 1) == (worker.statistics().retried, worker.statistics().done)


async def test_many_grabs_at_a_time_are_answered_in_order() -> None:
    async with (
        open_gearmand() as server,
        open_worker(make_abilities(), f"127.0.0.1:{server.port}", concurrency=50) as worker,
        open_client(f"127.0.0.1:{server.port}") as client,
    ):
        results: dict[bytes, bytes] = {}

        async def run(workload: bytes) -> None:
            results[workload] = await client.run("reverse", workload)

        async with trio.open_nursery() as nursery:
            for number in range(1000):
                nursery.start_soon(run, b"%04d" % number)

        assert all(result == workload[::-1] for workload, result in results.items())
        assert 1000 == len(results) == worker.statistics().done


async def test_server_that_was_killed_and_started_again_has_its_worker_back() -> None:
    """Whatever the worker was about: it ran one job, and slept otherwise."""
    abilities = make_abilities()
    began = trio.Event()
    reasons = []

    @abilities.function(max_running=1)
    async def held(workload: bytes) -> None:
        began.set()
        try:
            await trio.sleep_forever()
        except trio.Cancelled as exc:
            reasons.append(exc.reason)
            raise

    async with open_gearmand() as first, open_worker(abilities, f"127.0.0.1:{first.port}", concurrency=3) as worker:
        async with open_client(f"127.0.0.1:{first.port}") as client, client.stream("held"):
            await began.wait()
            first.process.kill()
            await first.process.wait()
        while worker.ready:
            await trio.lowlevel.checkpoint()
        async with open_gearmand(port=first.port) as second:
            with trio.fail_after(PATIENCE):
                await worker.wait_ready()
                done = await gearman(second, "reverse", b"abc")

            assert b"cba" == done.stdout
            statistics = worker.statistics()
            assert (1, 1, 0) == (statistics.done, statistics.lost, statistics.running)
            assert ["the connection to the job server was lost"] == reasons
            await worker.drain()
