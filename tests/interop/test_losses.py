"""Workers that die in the middle of a job, and servers that go away and come back."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from gearman_trio.client import open_client
from gearman_trio.server import Server, open_server
from gearman_trio.worker import open_worker

from ..patience import PATIENCE
from ..peers import free_port, open_gearmand
from .conftest import open_server_of
from .programs import wait_status
from .workers import FOREIGN_WORKERS, WORKERS, open_foreign_worker, open_worker_of, our_abilities

pytestmark = pytest.mark.interop


@pytest.mark.parametrize("heir", WORKERS)
@pytest.mark.parametrize("killed", FOREIGN_WORKERS)
async def test_a_killed_workers_job_goes_to_another(
    server: Server, port: int, killed: str, heir: str, tmp_path: Path
) -> None:
    release = tmp_path / "release"

    async with (
        open_foreign_worker(killed, port, "hold") as victim,
        open_client(f"127.0.0.1:{port}") as client,
        client.stream("hold", bytes(release)) as job,
    ):
        await wait_status(port, b"hold 1 1 1")
        async with open_worker_of(heir, port):
            await wait_status(port, b"hold 1 1 2")
            victim.kill()
            await wait_status(port, b"hold 1 1 1")
            release.touch()
            with trio.fail_after(PATIENCE):
                result = await job.result()

    assert b"released" == result
    assert 1 == server.statistics().counters.completed


@pytest.mark.parametrize("kind", ["our server", "gearmand"])
async def test_our_workers_job_goes_to_a_foreign_one(kind: str, tmp_path: Path) -> None:
    release = tmp_path / "release"

    async with (
        open_server_of(kind) as port,
        open_client(f"127.0.0.1:{port}") as client,
        client.stream("hold", bytes(release)) as job,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(hold_worker, port)
        await wait_status(port, b"hold 1 1 1")
        async with open_foreign_worker("php", port, "hold"):
            await wait_status(port, b"hold 1 1 2")
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                await wait_status(port, b"hold 1 1 1")
                release.touch()
                with trio.fail_after(PATIENCE):
                    result = await job.result()

    assert b"released" == result


async def hold_worker(port: int) -> None:
    """Our worker until it is cancelled, which is a hard stop."""
    async with open_worker(our_abilities(), f"127.0.0.1:{port}"):
        await trio.sleep_forever()


@pytest.mark.slow
async def test_workers_come_back_to_our_restarted_server() -> None:
    """All kinds at the same time: Perl's waits ten seconds before it looks again."""
    results: dict[str, list[bytes]] = {}

    async def restart(worker: str) -> None:
        port = free_port()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(keep_worker, worker, port)
            results[worker] = []
            for _ in range(2):
                async with open_server(port=port, drain_seconds=0):
                    results[worker].append(await reverse(port))
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as restarts:
        for worker in WORKERS:
            restarts.start_soon(restart, worker)

    assert {worker: [b"cba", b"cba"] for worker in WORKERS} == results


@pytest.mark.slow
async def test_our_worker_and_client_come_back_to_a_restarted_gearmand() -> None:
    port = free_port()
    results: list[bytes] = []

    async with open_client(f"127.0.0.1:{port}") as client, trio.open_nursery() as nursery:
        nursery.start_soon(keep_worker, "ours", port)
        for _ in range(2):
            async with open_gearmand(port=port):
                await wait_status(port, b"reverse 0 0 1")
                with trio.fail_after(PATIENCE):
                    results.append(await client.run("reverse", b"abc"))
        nursery.cancel_scope.cancel()

    assert [b"cba", b"cba"] == results
    assert 1 == client.statistics().reconnects


async def keep_worker(kind: str, port: int) -> None:
    """A worker of some kind until it is cancelled."""
    async with open_worker_of(kind, port):
        await trio.sleep_forever()


async def reverse(port: int) -> bytes:
    """Run one job with a client of its own."""
    with trio.fail_after(PATIENCE):
        async with open_client(f"127.0.0.1:{port}") as client:
            return await client.run("reverse", b"abc")
