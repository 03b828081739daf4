"""Hostile HTTP at the gateway: the job server next door does not notice, and nothing of it stays."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial

import httpx
import pytest
import trio

from gearman_trio import Abilities, Job, Server, ServerOptions, open_client, open_server, open_worker
from gearman_trio.web import JobLimits, WebLimits, serve_gateway

from ..patience import PATIENCE
from .conftest import Site

#: Small ones, so that reaching them takes no time.
LIMITS = WebLimits(
    connections=20, jobs=JobLimits(workload_bytes=100_000, result_bytes=300_000, body_bytes=200_000, waiting=10)
)

abilities = Abilities()


@abilities.function
async def echo(workload: bytes) -> bytes:
    return workload


@abilities.function
async def flood(job: Job) -> None:
    for _ in range(100):
        await job.data(bytes(65536))


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    options = ServerOptions(max_packet_bytes=1_000_000)
    async with open_server(port=0, options=options, drain_seconds=0) as server, trio.open_nursery() as nursery:
        (url,) = await nursery.start(partial(serve_gateway, server, port=0, limits=LIMITS))
        async with open_worker(abilities, server.url):
            yield Site(server, url)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def neighbours(server: Server) -> AsyncIterator[None]:
    """Whoever is served over Gearman's own protocol meanwhile: job after job, each with its result."""
    stop = trio.Event()

    async def work() -> None:
        async with open_client(server.url) as client:
            number = 0
            while not stop.is_set() or number < 10:
                number += 1
                with trio.fail_after(PATIENCE):
                    assert b"%d" % number == await client.run("echo", b"%d" % number)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(work)
        yield
        stop.set()


async def wait_queued(server: Server) -> None:
    with trio.fail_after(PATIENCE):
        while True:
            if any(function.queued for function in server.statistics().functions):
                return
            await trio.sleep(0.01)


async def assert_nothing_is_left(site: Site) -> None:
    """No job, and no connection but the worker's."""
    with trio.fail_after(PATIENCE):
        while True:
            statistics = site.server.statistics()
            jobs = sum(f.queued + f.running + f.scheduled for f in statistics.functions)
            if not jobs and [True] == [bool(peer.abilities) for peer in statistics.peers]:
                break
            await trio.sleep(0.01)
        # Connections that have ended may count until that is noticed.
        while not (answer := await site.send(b"GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")):
            pass
    assert b"WORK_COMPLETE" in answer


POST = b"POST /echo HTTP/1.1\r\nHost: localhost\r\n"

MALFORMED = [
    b"\r\n" * 1000,
    b"nonsense\r\n\r\n",
    b"\0REQ\0\0\0\x07\0\0\0\0",
    b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(500),
    b"POST /echo\r\n\r\n",
    b"POST /echo HTTP/9.9\r\n\r\n",
    b"POST /echo HTTP/1.1\r\n\r\n",
    b"POST \xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"POST http://elsewhere.example/echo HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=0\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"CONNECT h:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    POST + b"Content-Length: -1\r\n\r\n",
    POST + b"Content-Length: x\r\n\r\n",
    POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
    POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\nabc",
    POST + b"Transfer-Encoding: chunked\r\n\r\n3;" + b"x" * 100_000,
    POST + b"X: a\r\n b\r\n\r\n",
    POST + b"X : a\r\n\r\n",
    POST + b"X: " + b"x" * 100_000 + b"\r\n\r\n",
    POST + b"X: y\r\n" * 20_000 + b"\r\n",
    b"POST /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 1000,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0" + b"\0\x0f\xff\x01\x05\0\0\0\x01" + bytes(4095),
]


@pytest.mark.parametrize("request_", MALFORMED, ids=range(len(MALFORMED)))
async def test_malformed_request_is_refused_and_forgotten(site: Site, request_: bytes) -> None:
    async with neighbours(site.server), await site.connect() as stream:
        with suppress(trio.BrokenResourceError), trio.fail_after(PATIENCE):
            await stream.send_all(request_)
            await stream.send_eof()
            answer = b"".join([bytes(chunk) async for chunk in stream])
            assert b" 200" not in answer.partition(b"\r\n")[0]

    await assert_nothing_is_left(site)


async def test_request_that_is_cut_off_anywhere(site: Site) -> None:
    whole = POST + b"Content-Length: 5\r\nX-Gearman-Priority: high\r\n\r\nhello"
    async with neighbours(site.server):
        for end in range(1, len(whole), 7):
            async with await site.connect() as stream:
                await stream.send_all(whole[:end])

    await assert_nothing_is_left(site)


async def test_peers_that_leave_while_their_jobs_run(site: Site) -> None:
    async with neighbours(site.server):
        for number in range(30):
            async with await site.connect() as stream:
                await stream.send_all(
                    b"POST /nobody%d HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx" % number
                )
                # For the others it is left to chance how far the request has come.
                if number % 2:
                    await wait_queued(site.server)

    await assert_nothing_is_left(site)


async def test_slow_requests_do_not_add_up(site: Site) -> None:
    async with neighbours(site.server), AsyncExitStack() as stack:
        for number in range(LIMITS.connections + 5):
            stream = await stack.enter_async_context(await site.connect())
            with suppress(trio.BrokenResourceError):
                await stream.send_all(POST + b"Content-Length: 90000\r\n\r\n" + bytes(1000 * number))

    await assert_nothing_is_left(site)


async def test_pipelined_requests_wait_for_each_other(site: Site) -> None:
    count = 200
    request = POST + b"Content-Length: 3\r\n\r\nabc"
    async with neighbours(site.server):
        data = await site.send(request * count + b"GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")

    assert count == data.count(b"\r\n\r\nabc")
    await assert_nothing_is_left(site)


async def test_many_requests_at_once_over_one_connection(site: Site) -> None:
    """HTTP/2: more than may wait at once; each is answered, or told that there are too many."""
    statuses: list[int] = []

    async def ask(http: httpx.AsyncClient) -> None:
        answer = await http.post("/nobody", headers={"Prefer": "wait=1"})
        statuses.append(answer.status_code)

    async with (
        neighbours(site.server),
        httpx.AsyncClient(base_url=site.url, http1=False, http2=True, verify=False, timeout=PATIENCE) as http,
        trio.open_nursery() as nursery,
    ):
        for _ in range(60):
            nursery.start_soon(ask, http)

    assert {504, 503} == set(statuses)
    assert LIMITS.jobs.waiting <= statuses.count(504)
    await assert_nothing_is_left(site)


async def test_result_that_is_flooded_is_cut(site: Site) -> None:
    async with neighbours(site.server):
        answer = await site.send(b"GET /flood HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")

    assert b" 502 " in answer.partition(b"\r\n")[0]
    await assert_nothing_is_left(site)


@pytest.mark.slow
async def test_memory_is_back_where_it_was(site: Site) -> None:
    async def misbehave() -> None:
        for data in (
            b"nonsense\r\n\r\n",
            POST + b"X: y\r\n" * 20_000,
            POST + b"Content-Length: 90000\r\n\r\n" + bytes(80_000),
        ):
            async with await site.connect() as stream:
                with suppress(trio.BrokenResourceError):
                    await stream.send_all(data)
        with suppress(trio.BrokenResourceError):
            await site.send(POST + b"Connection: close\r\nContent-Length: 90000\r\n\r\n" + bytes(90_000))

    async def measure() -> int:
        await assert_nothing_is_left(site)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        for _ in range(5):
            await misbehave()
        before = await measure()
        for _ in range(20):
            await misbehave()
        after = await measure()
    finally:
        tracemalloc.stop()

    # What was sent meanwhile is 5 MB.
    assert after - before < 500_000
