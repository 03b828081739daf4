"""Peers that do wrong over HTTP: they harm neither each other nor the job server next door."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio

from gearman_trio import Abilities, open_worker
from gearman_trio.web import WebLimits

from ..patience import PATIENCE
from .conftest import Site

pytestmark = pytest.mark.slow

abilities = Abilities()


@abilities.function
async def reverse(workload: bytes) -> bytes:
    return workload[::-1]


@asynccontextmanager
async def working(site: Site) -> AsyncIterator[Callable[[], int]]:
    """Jobs are run one after another all the while; what is given tells how many have been."""
    done = 0
    async with (
        open_worker(abilities, site.server.url, drain_seconds=0),
        site.server.open_client() as client,
        trio.open_nursery() as nursery,
    ):

        async def work() -> None:
            nonlocal done
            while True:
                with trio.fail_after(PATIENCE):
                    assert b"cba" == await client.run("reverse", b"abc")
                done += 1

        nursery.start_soon(work)
        yield lambda: done
        nursery.cancel_scope.cancel()


async def until_more(done: Callable[[], int], jobs: int = 20) -> None:
    """Wait until more jobs have been run."""
    wanted = done() + jobs
    with trio.fail_after(PATIENCE):
        while done() < wanted:  # noqa: ASYNC110 it has no event of its own
            await trio.sleep(0.01)


async def read_to_the_end(stream: trio.SocketStream) -> bytes:
    received = bytearray()
    with trio.fail_after(PATIENCE):
        try:
            async for data in stream:
                received += data
        except trio.BrokenResourceError:
            pass
    return bytes(received)


async def in_parallel(many: int, do: Callable[[], Awaitable[None]]) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(many):
            nursery.start_soon(do)


@pytest.mark.parametrize("limits", [WebLimits(connections=60, event_streams=40)])
async def test_a_thousand_event_streams(site: Site) -> None:
    first: list[bytes] = []
    all_there = trio.Event()

    async def watch() -> None:
        async with await site.connect() as stream:
            await stream.send_all(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            try:
                first.append(bytes(await stream.receive_some())[:12])
            except trio.BrokenResourceError:
                first.append(b"")
            if len(first) == 1000:
                all_there.set()
            # A stream stays open, and so takes its place from others.
            await all_there.wait()

    async with working(site) as done:
        with trio.fail_after(PATIENCE * 2):
            await in_parallel(1000, watch)
        await until_more(done)

    assert 40 == first.count(b"HTTP/1.1 200")
    assert {b"HTTP/1.1 200", b"HTTP/1.1 503", b""} == {*first, b""}
    # There is room again when they have gone.
    await site.ask_until("/api/v1/events", lambda answer: answer.status == 200, "HEAD")


async def test_head_that_comes_slowly_is_not_waited_for(site: Site) -> None:
    async with working(site) as done, await site.connect() as stream, trio.open_nursery() as nursery:

        async def drip() -> None:
            try:
                await stream.send_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ")
                while True:
                    await trio.sleep(1)
                    await stream.send_all(b"x")
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass

        nursery.start_soon(drip)
        assert b"HTTP/1.1 200" not in await read_to_the_end(stream)
        await until_more(done)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 10000000000\r\n",
        b"Transfer-Encoding: chunked\r\n",
    ],
)
async def test_body_without_end_is_not_kept(site: Site, head: bytes) -> None:
    """It is neither asked for nor waited for: what is answered does not need it."""
    sent = 0
    async with working(site) as done, await site.connect() as stream, trio.open_nursery() as nursery:

        async def pour() -> None:
            nonlocal sent
            piece = b"x" * 65536 if b"Length" in head else b"10000\r\n" + b"x" * 65536 + b"\r\n"
            try:
                while True:
                    await stream.send_all(piece)
                    sent += len(piece)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass

        await stream.send_all(b"POST /api/v1/functions/f/pause HTTP/1.1\r\nHost: localhost\r\n" + head + b"\r\n")
        nursery.start_soon(pour)
        answer = await read_to_the_end(stream)
        nursery.cancel_scope.cancel()
        await until_more(done)

    assert answer.startswith(b"HTTP/1.1 401") or not answer
    # What both sides' sockets hold, and no more.
    assert sent < 64 * 1024 * 1024


@pytest.mark.parametrize(
    "request_",
    [
        b"\0" * 1000,
        b"GET",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n",
        b"GET http://localhost/api/v1/server HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET /%ff%00%2e%2e HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /api/v1/jobs/%ff%fe HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /api/v1/jobs?function=%ff&unique=%ff%2a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /" + b"a" * 15_000 + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + b"a: b\r\n" * 2000 + b"\r\n",
        b"POST /api/v1/token HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/v1/token HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST /api/v1/token HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \xff\r\nConnection: close\r\n\r\n",
        b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 1000,
    ],
)
async def test_malformed_request_is_answered_or_cut_off(
    site: Site, request_: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with working(site) as done:
        async with await site.connect() as stream:
            await stream.send_all(request_)
            await stream.send_eof()
            answer = await read_to_the_end(stream)
        await until_more(done)

    # A coding that is not known is answered with 501.
    assert not answer.startswith((b"HTTP/1.1 500", b"HTTP/1.1 503"))
    assert 200 == (await site.ask("/healthz")).status
    assert [] == [record.getMessage() for record in caplog.records if "should not happen" in record.getMessage()]


async def test_searches_of_many_do_not_hold_up_jobs(site: Site) -> None:
    async with site.server.open_client() as client:
        for number in range(3000):
            await client.submit("other", b"", unique=f"u-{number}")

    async def search() -> None:
        answer = await site.ask("/api/v1/jobs?unique=nothing*&limit=1000")
        assert (200, []) == (answer.status, answer.json["jobs"])

    async with working(site) as done:
        with trio.fail_after(PATIENCE * 2):
            await in_parallel(100, search)
        await until_more(done)
