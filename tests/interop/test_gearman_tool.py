"""Debian's ``gearman`` on both sides of our server, and our worker and client with it over the C server."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path

import pytest
import trio

from gearman_trio.client import JobData, open_client
from gearman_trio.errors import JobFailed
from gearman_trio.server import Server
from gearman_trio.worker import Abilities, open_worker

from ..patience import PATIENCE
from ..peers import require
from .clients import Outcome, Submission, open_client_of, pattern, shown
from .conftest import open_server_of
from .programs import Program, open_program, run_program, wait_status, wait_until
from .workers import open_worker_of, our_abilities

pytestmark = pytest.mark.interop

EVERY_BYTE = pattern(256)
LARGE = pattern(10 * 1024 * 1024)


async def gearman(port: int, *arguments: str, stdin: bytes = b"", returncode: int = 0) -> bytes:
    """Run the tool as a client."""
    command = [require("gearman"), "-h", "127.0.0.1", "-p", str(port), *arguments]
    return await run_program(*command, stdin=stdin, returncode=returncode)


@asynccontextmanager
async def open_gearman(port: int, *arguments: str) -> AsyncGenerator[Program]:
    """Run the tool as a worker for a block."""
    async with open_program(require("gearman"), "-w", "-h", "127.0.0.1", "-p", str(port), *arguments) as program:
        yield program


async def test_the_tool_with_itself_over_our_server(port: int) -> None:
    """The two terminals of the README; the worker takes the JOB_ASSIGN_ALL that answers its GRAB_JOB_ALL."""
    async with open_gearman(port, "-f", "wc", "--", "wc", "-c"):
        counted = await gearman(port, "-f", "wc", stdin=EVERY_BYTE)
        empty = await gearman(port, "-f", "wc", "-s")

    assert b"256\n" == counted
    assert b"0\n" == empty


async def test_the_tool_as_client_of_our_worker(port: int) -> None:
    async with open_worker(our_abilities(), f"127.0.0.1:{port}"):
        binary = await gearman(port, "-f", "reverse", stdin=EVERY_BYTE)
        empty = await gearman(port, "-f", "echo", "-s")
        chunks = await gearman(port, "-f", "chunks", "-s")
        lines = await gearman(port, "-f", "reverse", "-N", stdin=b"abc\ndef\n")
        several = await gearman(port, "-P", "-f", "reverse", "-f", "echo", "abc")
        unique = await gearman(port, "-f", "unique", "-u", "chosen", "w")
        high = await gearman(port, "-I", "-f", "echo", "high")
        low = await gearman(port, "-L", "-f", "echo", "low")
        progress = await gearman(port, "-v", "-f", "progress", "w")

    assert [EVERY_BYTE[::-1], b"", b"one\0two\nend"] == [binary, empty, chunks]
    assert b"cbafed" == lines
    assert b"echo: abcreverse: cba" == several
    assert [b"chosen", b"high", b"low"] == [unique, high, low]
    assert b"100% Complete" in progress


@pytest.mark.parametrize("function", ["fail", "raise"])
async def test_the_tool_as_client_of_a_failing_job(port: int, function: str) -> None:
    async with open_worker(our_abilities(), f"127.0.0.1:{port}"):
        output = await gearman(port, "-f", function, "w", returncode=1)

    assert b"" == output


async def test_the_tool_submits_background_jobs(server: Server, port: int) -> None:
    for priority in ("-I", "-L", None):
        await gearman(port, "-b", *([priority] if priority else []), "-f", "reverse", "w")
    await wait_status(port, b"reverse 3 0 0")

    async with open_worker(our_abilities(), f"127.0.0.1:{port}"):
        await wait_until(lambda: server.statistics().counters.completed == 3)


@pytest.mark.parametrize("kind", ["our server", "gearmand"])
async def test_our_client_with_the_tool_as_worker(kind: str) -> None:
    async with (
        open_server_of(kind) as port,
        open_gearman(port, "-f", "cat", "--", "cat"),
        open_gearman(port, "-f", "false", "--", "false"),
        open_gearman(port, "-n", "-f", "lines", "--", "cat"),
        open_client(f"127.0.0.1:{port}") as client,
    ):
        with trio.fail_after(PATIENCE):
            results = [await client.run("cat", workload) for workload in (EVERY_BYTE, b"\0\n\0", b"")]
            with pytest.raises(JobFailed):
                await client.run("false", b"w")
            async with client.stream("lines", b"one\ntwo\n") as job:
                chunks = [event.data async for event in job if isinstance(event, JobData)]

    assert [EVERY_BYTE, b"\0\n\0", b""] == results
    # With -n the tool does not empty its buffer between lines, over gearmand neither.
    assert [b"one\n", b"one\ntwo\n"] == chunks


@pytest.mark.slow
async def test_ten_megabytes(port: int) -> None:
    """The tool's worker gets them as JOB_ASSIGN_ALL.

    It takes them well; what it reads from its command or its input it copies once for every kilobyte, which for ten
    megabytes takes minutes with any server.
    """
    abilities = Abilities()

    @abilities.function
    async def large() -> bytes:
        return LARGE

    async with (
        open_gearman(port, "-f", "digest", "--", "sha256sum"),
        open_worker(abilities, f"127.0.0.1:{port}"),
        open_client(f"127.0.0.1:{port}") as client,
    ):
        with trio.fail_after(PATIENCE):
            digest = await client.run("digest", LARGE, unique="large")
        result = await gearman(port, "-s", "-f", "large")

    assert sha256(LARGE).hexdigest().encode() == digest.split()[0]
    assert shown(LARGE) == shown(result)


@pytest.mark.slow
async def test_a_megabyte_both_ways(port: int, tmp_path: Path) -> None:
    """The tool's worker writes all of the workload before it reads, so that a command like `cat` would block it."""
    keep = f"cat > {tmp_path}/w; cat {tmp_path}/w"

    async with open_gearman(port, "-f", "keep", "--", "sh", "-c", keep):
        result = await gearman(port, "-f", "keep", stdin=pattern(1024 * 1024))

    assert shown(pattern(1024 * 1024)) == shown(result)


@pytest.mark.parametrize("client", ["php", "perl", "pygearman"])
async def test_foreign_clients_with_the_tool_as_worker(port: int, client: str) -> None:
    async with open_gearman(port, "-f", "rev", "--", "rev"), open_client_of(client, port) as peer:
        outcomes = await peer.run(Submission("rev", b"abc\n", unique="u"), Submission("rev", b"de\n", priority="high"))

    assert [Outcome("complete", b"cba\n"), Outcome("complete", b"ed\n")] == outcomes


@pytest.mark.parametrize("worker", ["php", "perl", "pygearman"])
async def test_the_tool_as_client_of_foreign_workers(port: int, worker: str) -> None:
    async with open_worker_of(worker, port):
        result = await gearman(port, "-f", "reverse", stdin=EVERY_BYTE)
        chunks = await gearman(port, "-f", "chunks", "w")
        await gearman(port, "-f", "fail", "w", returncode=1)

    assert [EVERY_BYTE[::-1], b"one\0two\nend"] == [result, chunks]


async def test_a_killed_tools_job_goes_to_another(server: Server, port: int, tmp_path: Path) -> None:
    release = tmp_path / "release"
    wait = f"while [ ! -e {release} ]; do sleep 0.01; done; echo released"

    async with (
        open_gearman(port, "-f", "wait", "--", "sh", "-c", wait) as victim,
        open_client(f"127.0.0.1:{port}") as client,
        client.stream("wait", b"w") as job,
    ):
        await wait_status(port, b"wait 1 1 1")
        async with open_gearman(port, "-f", "wait", "--", "sh", "-c", wait):
            await wait_status(port, b"wait 1 1 2")
            victim.kill()
            await wait_status(port, b"wait 1 1 1")
            release.touch()
            with trio.fail_after(PATIENCE):
                result = await job.result()

    assert b"released\n" == result
    assert 1 == server.statistics().counters.completed
