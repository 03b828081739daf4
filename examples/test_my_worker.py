"""Tests of a worker, with pytest, pytest-trio and the fixture `gearman`: no server to start, no port, no waiting.

Put tests like these beside your own and run `pytest`.  Run as a program, as every example here, it runs its own tests.

Try: make a test fail, and read the packets that went over each connection.
"""

import subprocess
import sys

import pytest
import trio
from trio.testing import MockClock

from gearman_trio import JSON, Abilities, Client, Job, JobFailed
from gearman_trio.testing import Gearman, call

abilities = Abilities(serializer=JSON)


@abilities.function(timeout=600)
async def resize(job: Job, name: str, width: int) -> str:
    await job.status(0, 1)
    await trio.sleep(width)
    return f"{name} with {width} pixels"


async def order_sizes(client: Client, name: str) -> None:
    for width in (100, 500):
        await client.with_options(priority="high").submit(resize, name, width)


async def test_function_alone() -> None:
    report = await call(resize, "cat", width=0)

    assert report.result == "cat with 0 pixels"
    assert len(report.status) == 1


async def test_through_a_job_server(gearman: Gearman, autojump_clock: MockClock) -> None:
    async with gearman.worker(abilities), gearman.client() as client:
        assert await client.run(resize, "cat", 300) == "cat with 300 pixels"
        with pytest.raises(JobFailed):
            await client.run(resize, "cat", 601)


async def test_what_a_program_submits(gearman: Gearman, autojump_clock: MockClock) -> None:
    async with gearman.client() as client:
        await order_sizes(client, "cat")
        gearman.assert_submitted(resize, arguments=("cat", 500), priority="high", count=1)

        async with gearman.worker(abilities, concurrency=2) as worker:
            await gearman.run_until_empty()
            assert worker.statistics().done == 2


if __name__ == "__main__":
    options = ["-q", "-o", "trio_mode=true", "-p", "no:cacheprovider"]
    raise SystemExit(subprocess.call([sys.executable, "-m", "pytest", *options, __file__]))
