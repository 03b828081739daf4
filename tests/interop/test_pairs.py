"""Every client with every worker: what one sends the other gets, over our job server and over the C one."""

from __future__ import annotations

from base64 import b64decode, b64encode
from itertools import product

import pytest
import trio

from .clients import CLIENTS, ForeignClient, Outcome, Submission, open_client_of, pattern, shown
from .conftest import open_server_of
from .workers import RAISED, WORKERS, open_worker_of

pytestmark = pytest.mark.interop

#: Over gearmand only pairs with a half of ours: what the others do there is not our affair.
PAIRS = [
    *(("our server", client, worker) for client, worker in product(CLIENTS, WORKERS)),
    ("gearmand", "ours", "ours"),
    ("gearmand", "ours", "php"),
    ("gearmand", "ours", "pygearman"),
    ("gearmand", "php", "ours"),
    ("gearmand", "perl", "ours"),
    ("gearmand", "pygearman", "ours"),
]
IDS = ["-".join(pair).replace(" ", "_") for pair in PAIRS]

#: Each client and each worker with a half of ours, and the foreign ones in a ring.
LARGE_PAIRS = [
    *(("our server", client, "ours") for client in CLIENTS),
    ("our server", "ours", "php"),
    ("our server", "ours", "perl"),
    ("our server", "ours", "pygearman"),
    ("our server", "php", "perl"),
    ("our server", "perl", "pygearman"),
    ("our server", "pygearman", "php"),
    ("gearmand", "ours", "ours"),
]

EVERY_BYTE = pattern(256)
AWKWARD = b"\0a\n\0\r\n\xff\0"
LARGE = pattern(10 * 1024 * 1024)

#: Jobs and what comes of them whatever the pair; exceptions are apart.
JOBS = {
    Submission("reverse", EVERY_BYTE): Outcome("complete", EVERY_BYTE[::-1]),
    Submission("reverse", AWKWARD): Outcome("complete", AWKWARD[::-1]),
    Submission("echo", AWKWARD): Outcome("complete", AWKWARD),
    Submission("empty", b"workload"): Outcome("complete"),
    Submission("chunks", b"."): Outcome("complete", b"end", data=(b"one\0", b"two\n", b"")),
    Submission("warn", b"."): Outcome("complete", b"warned", warnings=(b"careful\0\n",)),
    Submission("progress", b"."): Outcome("complete", b"done", progress=(4, 4)),
    Submission("fail", b"."): Outcome("fail"),
}


@pytest.mark.parametrize(("kind", "client", "worker"), PAIRS, ids=IDS)
async def test_each_job_alone_and_all_at_once(kind: str, client: str, worker: str) -> None:
    async with (
        open_server_of(kind) as port,
        open_worker_of(worker, port),
        open_client_of(client, port) as peer,
    ):
        alone = [(await peer.run(job))[0] for job in JOBS]
        at_once = await peer.run(*JOBS)

    assert list(JOBS.values()) == alone
    assert list(JOBS.values()) == at_once


@pytest.mark.parametrize("worker", WORKERS)
@pytest.mark.parametrize("client", ["perl", "pygearman", "ours"])
async def test_empty_workloads(port: int, client: str, worker: str) -> None:
    """PHP's extension refuses to send one (GEARMAN_INVALID_ARGUMENT)."""
    async with open_worker_of(worker, port), open_client_of(client, port) as peer:
        outcomes = await peer.run(Submission("echo"), Submission("reverse"), Submission("empty"))

    assert [Outcome("complete")] * 3 == outcomes


@pytest.mark.slow
async def test_ten_megabytes_there_and_back() -> None:
    """Many pairs at the same time: libgearman waits for a delayed acknowledgement with every 64 KiB that it sends.

    Its send buffer holds half of what the loopback puts into one segment. That makes 1.6 MB/s, with any server.
    """
    outcomes: dict[tuple[str, str, str], list[Outcome]] = {}

    async def reverse(kind: str, client: str, worker: str) -> None:
        async with (
            open_server_of(kind) as port,
            open_worker_of(worker, port),
            open_client_of(client, port) as peer,
        ):
            outcomes[kind, client, worker] = await peer.run(Submission("reverse", LARGE))

    async with trio.open_nursery() as nursery:
        for pair in LARGE_PAIRS:
            nursery.start_soon(reverse, *pair)

    assert {pair: [Outcome("complete", shown(LARGE[::-1]))] for pair in LARGE_PAIRS} == outcomes


@pytest.mark.parametrize("worker", WORKERS)
@pytest.mark.parametrize("client", ["php", "perl", "ours"])
async def test_exceptions_reach_clients_with_the_option(port: int, client: str, worker: str) -> None:
    async with open_worker_of(worker, port), open_client_of(client, port) as peer:
        outcomes = await peer.run(Submission("raise", b"."))
        after = await peer.run(Submission("echo", b"still here"))

    assert [Outcome("exception", RAISED[worker])] == outcomes
    assert [Outcome("complete", b"still here")] == after


@pytest.mark.parametrize("worker", WORKERS)
async def test_exceptions_are_failures_to_clients_without_the_option(port: int, worker: str) -> None:
    """The packet to ask for it is one that pygearman does not send."""
    async with open_worker_of(worker, port), open_client_of("pygearman", port) as peer:
        outcomes = await peer.run(Submission("raise", b"."))
        after = await peer.run(Submission("echo", b"still here"))

    assert [Outcome("fail")] == outcomes
    assert [Outcome("complete", b"still here")] == after


@pytest.mark.parametrize("worker", ["php", "pygearman", "ours"])
@pytest.mark.parametrize("client", CLIENTS)
async def test_the_unique_id_reaches_the_worker(port: int, client: str, worker: str) -> None:
    """PHP's worker grabs with GRAB_JOB_ALL, pygearman's with GRAB_JOB_UNIQ."""
    async with open_worker_of(worker, port), open_client_of(client, port) as peer:
        outcomes = await peer.run(
            Submission("unique", EVERY_BYTE, unique="u-1"), Submission("unique", b".", unique="u-2")
        )

    assert [Outcome("complete", b"u-1"), Outcome("complete", b"u-2")] == outcomes


async def test_phps_blocking_call_and_ping(port: int) -> None:
    async with open_worker_of("ours", port), open_client_of("php", port) as php:
        assert isinstance(php, ForeignClient)
        result = await php.ask("do", jobs=[Submission("chunks", b".").as_json()])
        echo = await php.ask("echo", workload=b64encode(EVERY_BYTE).decode())

    assert b"one\0two\nend" == b64decode(result)
    assert echo is True
