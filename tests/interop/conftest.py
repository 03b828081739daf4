"""Servers for the interoperation tests."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from gearman_trio.server import Server, ServerOptions, open_server

from ..peers import open_gearmand


@asynccontextmanager
async def open_server_of(kind: str, options: ServerOptions | None = None) -> AsyncGenerator[int]:
    """Our job server or the C one on a free port for a block; gives the port."""
    if kind == "gearmand":
        async with open_gearmand() as gearmand:
            yield gearmand.port
    else:
        async with open_server(port=0, options=options, drain_seconds=0) as server:
            yield server.addresses[0].port


@pytest.fixture
async def server() -> AsyncGenerator[Server]:
    async with open_server(port=0, drain_seconds=0) as server:
        yield server


@pytest.fixture
async def port(server: Server) -> int:
    return server.addresses[0].port
