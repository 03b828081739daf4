"""The life of jobs between foreign programs and ours: status, progress, coalescing, priorities, times."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import trio

from gearman_trio.client import open_client
from gearman_trio.server import Server
from gearman_trio.worker import Abilities, Job, open_worker

from ..patience import PATIENCE
from ..peers import open_gearmand
from .clients import CLIENTS, ForeignClient, OurClient, Outcome, Submission, open_client_of
from .conftest import open_server_of
from .programs import wait_status, wait_until
from .workers import WORKERS, open_worker_of, our_abilities

pytestmark = pytest.mark.interop

HALVES = [
    *(("our server", client, "ours") for client in CLIENTS),
    *(("our server", "ours", worker) for worker in WORKERS[:-1]),
    ("our server", "php", "perl"),
    ("our server", "perl", "pygearman"),
    ("our server", "pygearman", "php"),
    ("gearmand", "ours", "ours"),
]


@pytest.mark.parametrize(("kind", "client", "worker"), HALVES)
async def test_a_background_job_is_known_by_its_handle_until_it_is_done(
    kind: str, client: str, worker: str, tmp_path: Path
) -> None:
    release = tmp_path / "release"

    async with open_server_of(kind) as port, open_client_of(client, port) as peer:
        handle = await peer.submit(Submission("hold", bytes(release)))
        queued = await peer.status(handle)
        async with open_worker_of(worker, port):
            await wait_for_status(peer, handle, [1, 1, 1, 2])
            release.touch()
            await wait_for_status(peer, handle, [0, 0, 0, 0])

    assert [1, 0, 0, 0] == queued


async def wait_for_status(peer: ForeignClient | OurClient, handle: str, status: list[int]) -> None:
    """Ask until the answer is this; every answer before it would be a state on the way."""
    with trio.fail_after(PATIENCE):
        while await peer.status(handle) != status:  # noqa: ASYNC110 a foreign client can only ask again
            await trio.sleep(0.01)


async def test_php_asks_for_the_status_by_unique_id(port: int, tmp_path: Path) -> None:
    release = tmp_path / "release"

    async with open_client_of("php", port) as php, open_client(f"127.0.0.1:{port}") as ours:
        assert isinstance(php, ForeignClient)
        unknown = await php.ask("status_by_unique", unique="u")
        async with ours.stream("hold", bytes(release), unique="u") as job:
            queued = await php.ask("status_by_unique", unique="u")
            async with open_worker(our_abilities(), f"127.0.0.1:{port}"):
                await anext(job)
                running = await php.ask("status_by_unique", unique="u")
                release.touch()
                await job.result()

    assert [0, 0, 0, 0] == unknown
    assert [1, 0, 0, 0] == queued
    assert [1, 1, 1, 2] == running


async def test_clients_of_all_kinds_share_one_job(server: Server, port: int) -> None:
    submission = Submission("chunks", b".", unique="shared")
    outcomes: dict[str, list[Outcome]] = {}

    async def run(kind: str) -> None:
        async with open_client_of(kind, port) as peer:
            outcomes[kind] = await peer.run(submission)

    async with open_client(f"127.0.0.1:{port}") as ours, trio.open_nursery() as nursery:
        for kind in CLIENTS:
            nursery.start_soon(run, kind)
        with trio.fail_after(PATIENCE):
            while (await ours.status_by_unique("shared")).clients != len(CLIENTS):  # noqa: ASYNC110 foreign processes
                await trio.sleep(0.01)
        await wait_status(port, b"chunks 1 0 0")
        nursery.start_soon(serve_one_job, port, server)

    expected = Outcome("complete", b"end", data=(b"one\0", b"two\n", b""))
    assert {kind: [expected] for kind in CLIENTS} == outcomes
    assert 1 == server.statistics().counters.completed


async def serve_one_job(port: int, server: Server) -> None:
    """Run our worker until the server has seen a job through; leaving the block drains it."""
    async with open_worker(our_abilities(), f"127.0.0.1:{port}"):
        await wait_until(lambda: server.statistics().counters.completed > 0)


@pytest.mark.parametrize("kind", CLIENTS)
async def test_priorities_of_every_client(port: int, kind: str) -> None:
    """Queued before there is a worker, in the wrong order."""
    abilities = Abilities()
    done: list[tuple[str, bytes]] = []

    @abilities.function
    async def note(job: Job) -> None:
        done.append((job.unique.decode(), job.workload))

    async with open_client_of(kind, port) as peer:
        for priority in ("low", "normal", "high"):
            await peer.submit(Submission("note", priority.encode(), unique=priority, priority=priority))
        async with open_worker(abilities, f"127.0.0.1:{port}"):
            await wait_status(port, b"note 0 0 1")

    assert [("high", b"high"), ("normal", b"normal"), ("low", b"low")] == done


@pytest.mark.parametrize(("kind", "client", "worker"), HALVES)
async def test_a_hundred_jobs_at_once(kind: str, client: str, worker: str) -> None:
    submissions = [Submission("reverse", b"%03d" % number) for number in range(100)]

    async with (
        open_server_of(kind) as port,
        open_worker_of(worker, port),
        open_worker_of(worker, port),
        open_client_of(client, port) as peer,
    ):
        outcomes = await peer.run(*submissions)

    assert [Outcome("complete", submission.workload[::-1]) for submission in submissions] == outcomes


@pytest.mark.parametrize("worker", WORKERS)
async def test_a_job_for_later_wakes_every_kind_of_worker(server: Server, port: int, worker: str) -> None:
    """And no job is early: one that is due in an hour stays where it is."""
    async with open_worker_of(worker, port), open_client(f"127.0.0.1:{port}") as client:
        await wait_status(port, b"reverse 0 0 1")
        much_later = await client.submit("reverse", b"abc", run_at=time.time() + 3600)
        due = time.time() + 0.4
        soon = await client.submit("reverse", b"abc", run_at=due)
        await wait_until(lambda: server.statistics().counters.completed > 0)
        done_at = time.time()
        known = [(await client.status(handle)).known for handle in (soon, much_later)]

    assert [False, True] == known
    assert due <= done_at


async def test_a_job_for_later_over_gearmand() -> None:
    """Version 1.1.20 wakes nobody when a job becomes due, so the worker has to look from time to time."""
    abilities = Abilities()
    ran: list[float] = []

    @abilities.function
    async def note() -> None:
        ran.append(time.time())

    async with (
        open_gearmand() as gearmand,
        open_worker(abilities, f"127.0.0.1:{gearmand.port}", poll_interval=0.1),
        open_client(f"127.0.0.1:{gearmand.port}") as client,
    ):
        due = int(time.time()) + 2
        await client.submit("note", run_at=due)
        await wait_until(lambda: bool(ran))

    assert due <= ran[0]
