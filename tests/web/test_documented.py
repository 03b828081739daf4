"""The console lines of the documentation: run as they stand, they print what it says."""

from __future__ import annotations

import re
import subprocess
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import trio

from gearman_trio import Abilities, ServerOptions, open_server, open_worker
from gearman_trio.web import serve_gateway

from ..peers import require
from .conftest import PATIENCE

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "call-over-http.md").read_text(encoding="utf-8")

abilities = Abilities()


@abilities.function
async def reverse(workload: bytes) -> bytes:
    return workload[::-1]


def commands(heading: str) -> list[tuple[str, str]]:
    """The commands of a section, each with what it prints."""
    (section,) = [part for part in re.split(r"^## ", PAGE, flags=re.MULTILINE) if part.startswith(f"{heading}\n")]
    blocks = re.findall(r"^```console\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    lines = re.split(r"^\$ ", "".join(blocks), flags=re.MULTILINE)[1:]
    return [(command, output) for command, _, output in (line.partition("\n") for line in lines)]


@pytest.fixture
async def port() -> AsyncIterator[int]:
    options = ServerOptions(handle_prefix="H:here")
    async with open_server(port=0, options=options, drain_seconds=0) as server, trio.open_nursery() as nursery:
        (url,) = await nursery.start(partial(serve_gateway, server, port=0))
        async with open_worker(abilities, server.url):
            yield int(url.rstrip("/").rpartition(":")[2])
        nursery.cancel_scope.cancel()


async def shell(command: str) -> str:
    """What a command prints."""
    require("curl")
    with trio.fail_after(PATIENCE):
        done = await trio.run_process(["sh", "-c", command], capture_stdout=True, stderr=subprocess.STDOUT)
    return done.stdout.decode()


def in_general(output: str) -> list[str]:
    """Lines without what differs from run to run: the numbers of handles, and how lines end."""
    return [re.sub(r"H:here:\d+", "H:here:N", line.rstrip()) for line in output.splitlines()]


async def test_gearmand_protocol(port: int) -> None:
    given = commands("gearmand's protocol")

    assert 5 == len(given)
    for command, output in given:
        assert in_general(output) == in_general(await shell(command.replace(":8080", f":{port}"))), command
