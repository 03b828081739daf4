"""A worker that ends because it has nothing to do."""

from __future__ import annotations

from typing import cast

import pytest
import trio
from trio.testing import MockClock

from gearman_trio import Job, Server
from gearman_trio.cli.idleness import Idleness

from .commands import invoke, open_command

#: Nobody looks at it.
JOB = cast("Job", None)


async def run_job(idleness: Idleness, after: float, lasts: float) -> None:
    async def call_next() -> bytes:
        await trio.sleep(lasts)
        return b"x"

    await trio.sleep(after)
    assert b"x" == await idleness.watch(JOB, call_next)


@pytest.mark.parametrize(
    ("jobs", "ends"),
    [
        ([], 5),
        ([(2, 1)], 8),
        ([(2, 20), (4, 3), (25, 1)], 31),
        ([(4.5, 0), (9, 0), (20, 1)], 14),
    ],
)
async def test_no_time_counts_while_a_job_runs(
    jobs: list[tuple[float, float]], ends: float, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    began = trio.current_time()
    idleness = Idleness(5)
    for after, lasts in jobs:
        nursery.start_soon(run_job, idleness, after, lasts)
    idleness.begin()

    await idleness.wait()

    assert ends == pytest.approx(trio.current_time() - began)
    nursery.cancel_scope.cancel()


async def test_time_does_not_count_before_the_beginning(autojump_clock: MockClock) -> None:
    idleness = Idleness(5)
    with trio.move_on_after(1000) as waiting:
        await idleness.wait()

    assert waiting.cancelled_caught


async def test_worker_without_jobs_ends(server: Server) -> None:
    line = ["worker", "f", "--exec", "cat", "--idle-timeout", "0.05", "-s", server.url]
    async with open_command(*line) as command:
        assert 0 == await command.wait_ended()

    assert "there was no job for 0.05 s\n" in command.stderr.text


@pytest.mark.parametrize("option", ["--processes=2", "--reload"])
async def test_supervisors_replace_processes_that_end(option: str) -> None:
    result = await invoke("worker", "m:o", "--idle-timeout", "5", option)

    assert 2 == result.exit_code
    assert "--idle-timeout: with --processes or --reload, a process that ends is replaced" in result.stderr
