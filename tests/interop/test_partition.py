"""Map and reduce with libgearman: its client with our partition, our client with its partition, over both servers."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from gearman_trio.client import Client, open_client
from gearman_trio.errors import JobFailed
from gearman_trio.worker import Abilities, open_worker

from ..patience import PATIENCE
from ..peers import require_libgearman_program
from .conftest import open_server_of
from .programs import PEERS, open_program
from .test_grab_all import GRABS, open_relay

pytestmark = pytest.mark.interop

SERVERS = ["our server", "gearmand"]

abilities = Abilities()


async def join(parts: list[bytes]) -> bytes:
    return b"+".join(parts)


@abilities.partition(aggregate=join, name="our_words")
async def words(text: bytes) -> AsyncIterator[bytes]:
    for word in text.split():
        yield word


@abilities.function
async def upper(word: bytes) -> bytes:
    if word == b"bad":
        raise ValueError("bad")
    return word.upper()


@pytest.fixture(scope="module")
def partition(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of the program of libgearman's side."""
    return require_libgearman_program(PEERS / "partition.c", tmp_path_factory.mktemp("partition") / "partition")


@asynccontextmanager
async def open_sides(partition: str, server: str) -> AsyncGenerator[tuple[int, Client]]:
    """Our worker and libgearman's on one server, and a client of ours; gives the port, too.

    Exceptions are off for gearmand's sake, which does not tell libgearman of them in a way that it understands.
    """
    async with (
        open_server_of(server) as port,
        open_worker(abilities, f"127.0.0.1:{port}", concurrency=10, exceptions=False),
        open_program(partition, "worker", str(port)),
        open_client(f"127.0.0.1:{port}") as client,
    ):
        with trio.fail_after(PATIENCE):
            yield port, client


async def ask(partition: str, port: int, mapper: str, workload: str) -> subprocess.CompletedProcess[bytes]:
    command = [partition, "client", str(port), mapper, "upper", workload]
    return await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)


@pytest.mark.parametrize("server", SERVERS)
async def test_libgearmans_client_and_our_partition(partition: str, server: str) -> None:
    async with open_sides(partition, server) as (port, _):
        good = await ask(partition, port, "our_words", "one two three")
        bad = await ask(partition, port, "our_words", "one bad three")

    assert (0, b"ONE+TWO+THREE") == (good.returncode, good.stdout)
    assert (2, b"GEARMAN_WORK_FAIL\n") == (bad.returncode, bad.stderr)


@pytest.mark.parametrize("server", SERVERS)
async def test_our_client_and_libgearmans_partition(partition: str, server: str) -> None:
    """Libgearman's aggregator sees the parts in whatever order its client keeps them."""
    async with open_sides(partition, server) as (_, client):
        result = await client.map_reduce("words", "upper", b"one two three")
        with pytest.raises(JobFailed):
            await client.map_reduce("words", "upper", b"one bad three")

    assert [b"ONE", b"THREE", b"TWO"] == sorted(result.split(b"+"))


@pytest.mark.parametrize("server", SERVERS)
async def test_our_client_and_our_partition(server: str) -> None:
    text = b" ".join(b"word%d" % number for number in range(500))
    async with (
        open_server_of(server) as port,
        open_worker(abilities, f"127.0.0.1:{port}", concurrency=10),
        open_client(f"127.0.0.1:{port}") as client,
    ):
        with trio.fail_after(PATIENCE):
            assert text.upper().replace(b" ", b"+") == await client.map_reduce(words, upper, text)


@pytest.mark.parametrize(
    ("server", "assigned"), [("our server", {"JOB_ASSIGN_ALL"}), ("gearmand", {"JOB_ASSIGN_ALL", "JOB_ASSIGN_UNIQ"})]
)
async def test_the_grab_and_its_answers(server: str, assigned: set[str]) -> None:
    """Gearmand answers GRAB_JOB_ALL by another packet where the job has no reducer."""
    heard: set[str] = set()

    async with (
        open_server_of(server) as port,
        open_relay(port, heard) as relay,
        open_worker(abilities, f"127.0.0.1:{relay}", concurrency=10),
        open_client(f"127.0.0.1:{port}") as client,
    ):
        with trio.fail_after(PATIENCE):
            assert b"A+B" == await client.map_reduce(words, upper, b"a b")
            assert b"A" == await client.run(upper, b"a")
            assert [b"a", b"b"] == await client.run(words, b"a b")

    assert {"GRAB_JOB_ALL"} | assigned == heard & GRABS


async def test_what_goes_over_the_wire() -> None:
    """Without gearmand: the submission as libgearman makes it, an empty field between reducer and workload."""
    streams: list[bytes] = []
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")

    async def serve(stream: trio.SocketStream) -> None:
        streams.append(bytes(await stream.receive_some()))
        await stream.send_all(b"\0RES" + bytes([0, 0, 0, 8, 0, 0, 0, 3]) + b"H:1")
        await stream.send_all(b"\0RES" + bytes([0, 0, 0, 13, 0, 0, 0, 5]) + b"H:1\0r")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        async with open_client(f"127.0.0.1:{listener.socket.getsockname()[1]}", options=()) as client:
            with trio.fail_after(PATIENCE):
                assert b"r" == await client.map_reduce("map", "reduce", b"work\0load", unique="u")
        nursery.cancel_scope.cancel()

    assert [b"\0REQ" + bytes([0, 0, 0, 37, 0, 0, 0, 23]) + b"map\0u\0reduce\0\0work\0load"] == streams
