"""``gearadmin`` and pygearman's administrative client with our server, ``gearadmin`` also with the C server."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import pytest
import trio

from gearman_trio.client import Client, open_client

from ..patience import PATIENCE
from ..peers import require
from .clients import ForeignClient, open_client_of
from .conftest import open_server_of
from .programs import run_program, wait_status
from .workers import open_foreign_worker

pytestmark = pytest.mark.interop


async def gearadmin(port: int, *arguments: str) -> str:
    command = [require("gearadmin"), "-h", "127.0.0.1", "-p", str(port), *arguments]
    return (await run_program(*command)).decode()


@asynccontextmanager
async def open_busy_client(port: int) -> AsyncGenerator[Client]:
    """A server with a worker that sleeps, two queued jobs, and a function without jobs, for a block."""
    async with (
        open_foreign_worker("php", port, "reverse"),
        open_client(f"127.0.0.1:{port}", client_id="asker") as client,
    ):
        await wait_status(port, b"reverse 0 0 1")
        await client.submit("later", b"w", unique="first", priority="high")
        await client.submit("later", b"w", unique="second", priority="low")
        yield client


async def gathered(port: int) -> dict[str, list[str]]:
    """What gearadmin says of a server, rows in order, without what differs from server to server."""
    answers = {}
    for option in ("--status", "--priority-status", "--workers", "--show-jobs", "--show-unique-jobs"):
        table = re.sub(r"H:[^\t\n]+:\d+", "{handle}", await gearadmin(port, option))
        answers[option] = sorted(re.sub(r"^\d+ ", "{fd} ", row) for row in table.splitlines())
    answers["--server-verbose"] = [await gearadmin(port, "--server-verbose")]
    return answers


async def test_tables_are_those_of_gearmand() -> None:
    answers = []

    for kind in ("gearmand", "our server"):
        async with open_server_of(kind) as port, open_busy_client(port):
            answers.append(await gathered(port))

    theirs, ours = answers
    assert theirs == ours
    assert [".", "{handle}\t0\t0\t1", "{handle}\t0\t0\t1"] == ours["--show-jobs"]
    assert [".", "later\t2\t0\t0", "reverse\t0\t0\t1"] == ours["--status"]
    assert [".", "later\t1\t0\t1\t0", "reverse\t0\t0\t0\t1"] == ours["--priority-status"]
    assert [".", "first", "second"] == ours["--show-unique-jobs"]
    assert ["{fd} 127.0.0.1 php-worker : reverse"] == [row for row in ours["--workers"] if row.endswith("reverse")]


async def test_values_of_our_server(port: int) -> None:
    assert f"{version('gearman-trio')}\n" == await gearadmin(port, "--server-version")
    assert f"{os.getpid()}\n" == await gearadmin(port, "--getpid")
    assert "ERROR\n" == await gearadmin(port, "--server-verbose")


@pytest.mark.parametrize("kind", ["our server", "gearmand"])
async def test_functions_are_created_and_dropped(kind: str) -> None:
    async with open_server_of(kind) as port:
        created = await gearadmin(port, "--create-function", "made")
        with_it = await gearadmin(port, "--status")
        dropped = await gearadmin(port, "--drop-function", "made")
        without_it = await gearadmin(port, "--status")
        again = await gearadmin(port, "--drop-function", "made")

    assert ["OK\n", "made\t0\t0\t0\n.\n", "OK\n", ".\n", ""] == [created, with_it, dropped, without_it, again]


async def test_a_job_is_cancelled(port: int) -> None:
    async with open_busy_client(port) as client:
        handle = await client.submit("later", b"w", unique="third")
        cancelled = await gearadmin(port, "--cancel-job", handle.decode())
        state = await client.status(handle)
        again = await gearadmin(port, "--cancel-job", handle.decode())
        uniques = await gearadmin(port, "--show-unique-jobs")

    assert ["OK\n", ""] == [cancelled, again]
    assert not state.known
    assert "first\nsecond\n.\n" == uniques


async def test_pygearmans_administrative_client(port: int) -> None:
    async with open_busy_client(port) as ours, open_client_of("pygearman", port) as peer:
        assert isinstance(peer, ForeignClient)

        async def admin(call: str, *arguments: object) -> Any:
            return await peer.ask("admin", call=call, arguments=list(arguments))

        status = await admin("get_status")
        workers = await admin("get_workers")
        uniques = await admin("get_unique_jobs")
        server_version = await admin("get_version")
        pid = await admin("get_pid")
        ping = await admin("ping_server")
        handle = (await ours.submit("later", b"w")).decode()
        jobs = await admin("get_jobs")
        cancelled = await admin("cancel_job", handle)

    assert {"task": "later", "queued": 2, "running": 0, "workers": 0} in status
    assert {"ip": "127.0.0.1", "client_id": "php-worker", "tasks": ["reverse"]}.items() <= workers[0].items()
    assert [{"unique": ["first"]}, {"unique": ["second"]}] == uniques
    assert [f"OK {version('gearman-trio')}", f"OK {os.getpid()}"] == [server_version, pid]
    assert 0 < ping < 30
    assert {"handle": handle, "queued": 0, "canceled": 0, "enabled": 1} in jobs
    # It keeps the CR, for which reason it cannot use its own send_maxqueue with any server.
    assert "OK\r" == cancelled


async def test_perls_view_of_the_status(port: int) -> None:
    async with open_busy_client(port), open_client_of("perl", port) as peer:
        assert isinstance(peer, ForeignClient)
        with trio.fail_after(PATIENCE):
            status = await peer.ask("server_status")

    (functions,) = status.values()
    assert {"queued": "2", "running": "0", "capable": "0"} == functions["later"]
    assert {"queued": "0", "running": "0", "capable": "1"} == functions["reverse"]
