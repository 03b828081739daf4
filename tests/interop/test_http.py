"""``gearmand -r http`` and ours, asked the same with curl: where gearmand's answer is of use, ours is the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import attrs
import pytest
import trio

from gearman_trio import Abilities, Fail, open_server, open_worker
from gearman_trio.web import serve_gateway

from ..patience import PATIENCE
from ..peers import free_port, open_gearmand, require, wait_listening

pytestmark = [pytest.mark.interop, pytest.mark.slow]

abilities = Abilities()


@abilities.function
async def reverse(workload: bytes) -> bytes:
    return workload[::-1]


@abilities.function
async def fail(workload: bytes) -> bytes:
    raise Fail


@attrs.frozen
class Transcript:
    """What curl printed: the code, the headers that are Gearman's, the body, and its exit code."""

    status: str
    headers: dict[str, str]
    body: bytes
    exit_code: int


async def curl(port: int, *arguments: str) -> Transcript:
    *options, path = arguments
    command = [require("curl"), "-s", "-i", "--max-time", "2", *options, f"http://127.0.0.1:{port}{path}"]
    with trio.fail_after(PATIENCE):
        done = await trio.run_process(command, capture_stdout=True, check=False)
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.partition(": ")[::2] for line in lines)
    ours = {name: value for name, value in headers.items() if name.startswith("X-Gearman") or name == "Content-Length"}
    return Transcript(first[9:12], ours, body, done.returncode)


@pytest.fixture
async def theirs() -> AsyncIterator[int]:
    """The port for HTTP of a gearmand that has a worker."""
    http = free_port()
    async with open_gearmand("-r", "http", f"--http-port={http}") as gearmand:
        with trio.fail_after(PATIENCE):
            await wait_listening(http)
        async with open_worker(abilities, f"127.0.0.1:{gearmand.port}") as worker:
            await worker.wait_ready()
            yield http


@pytest.fixture
async def ours() -> AsyncIterator[int]:
    async with open_server(port=0, drain_seconds=0) as server, trio.open_nursery() as nursery:
        (url,) = await nursery.start(partial(serve_gateway, server, port=0))
        async with open_worker(abilities, server.url):
            yield int(url.rstrip("/").rpartition(":")[2])
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "arguments",
    [
        ("-d", "abc", "/reverse"),
        ("-d", "", "/reverse"),
        ("-X", "PUT", "-d", "abc", "/reverse"),
        ("/reverse",),
        ("--http1.0", "-d", "abc", "/reverse"),
        ("-H", "X-Gearman-Background: true", "-d", "abc", "/reverse"),
        ("-H", "X-Gearman-Priority: high", "-d", "abc", "/reverse"),
        ("-H", "X-Gearman-Priority: low", "-d", "abc", "/reverse"),
        ("-H", "X-Gearman-Unique: u1", "-d", "abc", "/reverse"),
        ("-d", "abc", "//reverse"),
    ],
)
async def test_same_answer(theirs: int, ours: int, arguments: tuple[str, ...]) -> None:
    expected, got = await curl(theirs, *arguments), await curl(ours, *arguments)

    handles = [each.headers.pop("X-Gearman-Job-Handle") for each in (expected, got)]
    assert expected == got
    assert handles[0].rpartition(":")[0] == handles[1].rpartition(":")[0]


@pytest.mark.parametrize(
    ("arguments", "before", "after"),
    [
        (("-d", "abc", "/fail"), ("200", "WORK_FAIL", 0), ("502", "WORK_FAIL", 0)),
        (("-I", "/reverse"), ("200", None, 0), ("200", "WORK_COMPLETE", 0)),
        (("-I", "/"), ("200", None, 0), ("404", "ERROR", 0)),
        (("/",), ("404", None, 0), ("404", "ERROR", 0)),
        (("-X", "DELETE", "/reverse"), ("", None, 52), ("405", "ERROR", 0)),
        (("-X", "TRACE", "/reverse"), ("", None, 28), ("405", "ERROR", 0)),
        (("-H", "Transfer-Encoding: chunked", "-d", "abc", "/reverse"), ("", None, 52), ("200", "WORK_COMPLETE", 0)),
    ],
)
async def test_what_is_repaired(
    theirs: int, ours: int, arguments: tuple[str, ...], before: tuple[str, str | None, int], after: tuple[str, str, int]
) -> None:
    told = [
        (answer.status, answer.headers.get("X-Gearman-Command"), answer.exit_code)
        for answer in (await curl(theirs, *arguments), await curl(ours, *arguments))
    ]

    assert [before, after] == told
