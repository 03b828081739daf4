"""Monitors that were made for gearmand read our server, unchanged.

Netdata's collector and pygearman's administrator run here.  Those that Debian does not ship are stood in for by what
they send and how they take the answer apart: gearman_top and check_gearman of mod_gearman, and gearman-exporter, which
feeds Prometheus.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from gearman_trio.client import open_client

from ..patience import PATIENCE
from ..peers import open_gearman_worker, require, require_python_package
from .conftest import open_server_of
from .programs import open_program, run_program, wait_status

pytestmark = pytest.mark.interop

BOTH = pytest.mark.parametrize("kind", ["our server", "gearmand"])


#: A command that ends with the worker that runs it, however that ends.
FOR_EVER = ("sh", "-c", "while kill -0 $PPID 2>&-; do sleep 0.1; done")


@asynccontextmanager
async def open_busy_server(kind: str) -> AsyncGenerator[int]:
    """A server with a function of which one of two workers has a job, and one with jobs and no worker."""
    async with (
        open_server_of(kind) as port,
        open_gearman_worker(port, "busy", *FOR_EVER),
        open_client(f"127.0.0.1:{port}") as client,
    ):
        await wait_status(port, b"busy 0 0 1")
        await client.submit("busy")
        await wait_status(port, b"busy 1 1 1")
        async with open_gearman_worker(port, "busy", *FOR_EVER):
            for _ in range(3):
                await client.submit("waiting")
            await wait_status(port, b"busy 1 1 2")
            yield port


@BOTH
async def test_netdata_draws_every_function(kind: str, tmp_path: Path) -> None:
    plugin = require("python.d.plugin")
    (tmp_path / "python.d").mkdir()
    (tmp_path / "python.d.conf").write_text("default_run: no\ngearman: yes\n")
    folders = ("USER_CONFIG", "STOCK_CONFIG", "LIB", "LOCK")
    variables = [f"NETDATA_{folder}_DIR={tmp_path}" for folder in folders]
    seen: dict[str, int] = {}
    async with open_busy_server(kind) as port:
        job = f"local:\n  name: 'local'\n  host: '127.0.0.1'\n  port: {port}\n"
        (tmp_path / "python.d" / "gearman.conf").write_text(job)
        with trio.fail_after(PATIENCE):
            async with open_program("env", *variables, plugin, "gearman", "1") as program:
                # The totals come after the functions.
                while "total_running" not in seen:
                    words = (await program.read_line()).decode().replace("'", "").split()
                    if words[:1] == ["SET"]:
                        seen[words[1]] = int(words[3])

    assert {
        "busy_pending": 0,
        "busy_idle": 1,
        "busy_running": 1,
        "waiting_pending": 3,
        "waiting_idle": 0,
        "waiting_running": 0,
        "total_pending": 3,
        "total_running": 1,
    } == {name: value for name, value in seen.items() if name != "run_time"}


@BOTH
async def test_pygearman_reads_every_table(kind: str) -> None:
    """Datadog's agent reads these through the library that pygearman continues."""
    python = require_python_package("gearman")
    script = (
        "import json, sys, gearman\n"
        "admin = gearman.GearmanAdminClient([sys.argv[1]])\n"
        "rows = admin.get_status()\n"
        "print(json.dumps({row['task']: [row['queued'], row['running'], row['workers']] for row in rows}))\n"
        "print(sorted(task for row in admin.get_workers() for task in row['tasks']))\n"
        "print(admin.ping_server() < 60, bool(admin.get_version()))\n"
    )
    async with open_busy_server(kind) as port:
        output = await run_program(python, "-W", "ignore", "-c", script, f"127.0.0.1:{port}")

    status, workers, alive = output.decode().splitlines()
    assert python == sys.executable
    assert status in {'{"busy": [1, 1, 2], "waiting": [3, 0, 0]}', '{"waiting": [3, 0, 0], "busy": [1, 1, 2]}'}
    assert "['busy', 'busy']" == workers
    assert "True True" == alive


async def ask_once(port: int, question: bytes) -> bytes:
    """What one look at the socket gives, after the answer has come: some monitors look no second time."""
    with trio.fail_after(PATIENCE):
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(question)
            return bytes(await stream.receive_some(65536))


async def test_mod_gearman_finds_the_version_after_the_table() -> None:
    """gearman_top asks for both at once; after the dot it takes the next line for the version."""
    async with open_busy_server("our server") as port:
        answer = await ask_once(port, b"status\nversion\n")

    lines = answer.split(b"\n")
    end = lines.index(b".")
    rows = {name: [int(number) for number in numbers] for name, *numbers in (line.split(b"\t") for line in lines[:end])}
    assert {b"busy": [1, 1, 2], b"waiting": [3, 0, 0]} == rows
    assert lines[end + 1].startswith(b"OK ")
    assert b"" == lines[end + 2]


async def test_gearman_exporter_finds_four_columns() -> None:
    """It takes each line apart at its first three tabs, until a line that is a dot, and the columns for numbers."""
    async with open_busy_server("our server") as port:
        answer = await ask_once(port, b"status\n")

    rows = [line.split(b"\t", 3) for line in answer.split(b"\n")]
    table = rows[: rows.index([b"."])]
    assert {(b"busy", 1.0, 1.0, 2.0), (b"waiting", 3.0, 0.0, 0.0)} == {
        (name, float(total), float(running), float(workers)) for name, total, running, workers in table
    }
