"""HTTP connections: limits, peers that do wrong, and the end."""

from __future__ import annotations

import socket
from contextlib import AsyncExitStack
from functools import partial

import pytest
import trio
import trio.testing

from gearman_trio import open_server
from gearman_trio.web import WebLimits, serve_web

from ..patience import PATIENCE
from .conftest import Site


async def test_listens_on_this_machine_alone_unless_told(site: Site) -> None:
    assert site.url.startswith("http://127.0.0.1:")


async def test_address_in_use_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        async with open_server(listeners=[]) as server:
            with pytest.raises(OSError, match="in use"):
                await serve_web(server, port=other.getsockname()[1])


@pytest.mark.parametrize(
    "request_", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", b"\x16\x03\x01\x00"]
)
async def test_malformed_request_harms_nobody_else(site: Site, request_: bytes) -> None:
    async with await site.connect() as stream:
        await stream.send_all(request_)
        with trio.move_on_after(PATIENCE):
            await stream.send_eof()
            async for _ in stream:
                pass

    assert 200 == (await site.ask("/healthz")).status


@pytest.mark.parametrize("limits", [WebLimits(connections=2)])
async def test_connections_are_limited(site: Site) -> None:
    async with await site.connect() as one, await site.connect() as two:
        await (await site.events(one)).next()
        await (await site.events(two)).next()

        assert b"" == await site.send(b"")


@pytest.mark.slow
async def test_reader_that_does_not_read_does_not_keep_the_server_from_ending() -> None:
    async with open_server(listeners=[], drain_seconds=0) as server, server.open_client() as client:
        for number in range(1000):
            await client.submit("x" * 500 + str(number), b"")
        async with AsyncExitStack() as stack, trio.open_nursery() as nursery:
            (url,) = await nursery.start(partial(serve_web, server))
            # Outlives what serves it.
            stream = await stack.enter_async_context(await Site(server, url).connect())
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            # More than the buffers of both sides take.
            await stream.send_all(b"GET /api/v1/functions?limit=1000 HTTP/1.1\r\nHost: h\r\n\r\n" * 40)
            await trio.testing.wait_all_tasks_blocked(0.2)
            nursery.cancel_scope.cancel()

        # Reached at once, or never.
        assert nursery.cancel_scope.cancelled_caught
