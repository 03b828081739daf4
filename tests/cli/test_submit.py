"""``gearman-trio submit``: a job for the background, and its handle."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gearman_trio import Server, open_admin, open_client

from .commands import invoke


async def test_handle_is_printed_by_which_the_job_is_known(server: Server) -> None:
    result = await invoke("submit", "later", "x")

    assert (0, "") == (result.exit_code, result.stderr)
    async with open_client(server.url) as client:
        assert (await client.status(result.stdout.removesuffix("\n"))).known


async def test_workload_may_come_from_stdin_or_a_file(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "workload"
    path.write_bytes(b"x")

    results = [
        await invoke("submit", "later", "-", "--unique", "-", stdin=b"x"),
        await invoke("submit", "later", "-f", str(path), "--unique", "-"),
    ]

    # The same workload is the same job.
    assert 1 == len({result.stdout for result in results})
    assert [0, 0] == [result.exit_code for result in results]


async def test_same_unique_id_is_the_same_job(server: Server) -> None:
    one, two, other = [await invoke("submit", "later", unique, "-u", unique) for unique in ("a", "a", "b c")]

    assert one.stdout == two.stdout != other.stdout
    async with open_admin(server.url) as admin:
        assert ["a", "b c"] == sorted(await admin.unique_jobs())


@pytest.mark.parametrize("priority", ["high", "normal", "low"])
async def test_priority_is_the_queue_that_it_waits_in(server: Server, priority: str) -> None:
    await invoke("submit", "later", "x", "--priority", priority)

    async with open_admin(server.url) as admin:
        (row,) = await admin.priority_status()
    assert {"high": 0, "normal": 0, "low": 0, priority: 1} == {"high": row.high, "normal": row.normal, "low": row.low}


async def test_job_with_a_time_waits_for_it(server: Server) -> None:
    result = await invoke("submit", "later", "x", "--run-at", f"{time.time() + 1000:.3f}")

    assert 0 == result.exit_code
    (function,) = server.statistics().functions
    assert (0, 1) == (function.queued, function.scheduled)


@pytest.mark.parametrize("when", ["nan", "inf", "-5"])
async def test_time_that_is_none_is_refused(server: Server, when: str) -> None:
    result = await invoke("submit", "later", "x", "--run-at", when)

    assert 2 == result.exit_code
    (line,) = result.stderr.splitlines()
    assert line.startswith("gearman-trio: run_at: expected seconds from 0 ")
    assert [] == server.statistics().functions
