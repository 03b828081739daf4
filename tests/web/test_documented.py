"""The console lines of the documentation: run as they stand, they print what it says."""

from __future__ import annotations

import re
import subprocess
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio

from gearman_trio import Abilities, Job, ServerOptions, open_server, open_worker
from gearman_trio.web import serve_gateway, serve_web

from ..patience import PATIENCE
from ..peers import require

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "call-over-http.md").read_text(encoding="utf-8")

abilities = Abilities()


@abilities.function
async def reverse(workload: bytes) -> bytes:
    return workload[::-1]


@abilities.function
async def count(job: Job) -> bytes:
    await job.data(b"one ")
    await job.status(1, 3)
    await job.data(b"two ")
    return b"three"


@attrs.frozen
class Ports:
    """Where the documentation's server listens for HTTP."""

    gateway: int
    web: int


def commands(heading: str) -> list[tuple[str, str]]:
    """The commands of a section, each with what it prints."""
    (section,) = [part for part in re.split(r"^## ", PAGE, flags=re.MULTILINE) if part.startswith(f"{heading}\n")]
    blocks = re.findall(r"^```console\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    lines = re.split(r"^\$ ", "".join(blocks), flags=re.MULTILINE)[1:]
    return [(command, output) for command, _, output in (line.partition("\n") for line in lines)]


@pytest.fixture
async def ports() -> AsyncIterator[Ports]:
    options = ServerOptions(handle_prefix="H:here")
    async with open_server(port=0, options=options, drain_seconds=0) as server, trio.open_nursery() as nursery:
        (gateway,) = await nursery.start(partial(serve_gateway, server, port=0))
        (web,) = await nursery.start(partial(serve_web, server, token="a-token-of-your-own"))
        async with open_worker(abilities, server.url):
            yield Ports(*(int(url.rstrip("/").rpartition(":")[2]) for url in (gateway, web)))
        nursery.cancel_scope.cancel()


async def shell(command: str) -> str:
    """What a command prints."""
    require("curl")
    with trio.fail_after(PATIENCE):
        done = await trio.run_process(["sh", "-c", command], capture_stdout=True, stderr=subprocess.STDOUT)
    return done.stdout.decode()


def in_general(output: str) -> list[str]:
    """Lines without what differs from run to run: the numbers of handles, and how lines end."""
    return [re.sub(r"(H:here:|H%3Ahere%3A)\d+", r"\1N", line.rstrip()) for line in output.splitlines()]


async def test_gearmand_protocol(ports: Ports) -> None:
    given = commands("gearmand's protocol")

    assert 5 == len(given)
    for command, output in given:
        assert in_general(output) == in_general(await shell(command.replace(":8080", f":{ports.gateway}"))), command


async def test_json_interface(ports: Ports) -> None:
    (setting, nothing), *given = commands("The JSON interface")
    handle = ""

    assert "" == nothing
    assert 8 == len(given)
    for command, output in given:
        # What a reader would copy from the answer before.
        asked = re.sub(r"H%3Ahere%3A\d+", handle, command).replace(":8080", f":{ports.web}")
        got = await shell(f"{setting}\n{asked}")
        found = re.search(r"H%3Ahere%3A\d+", got)
        handle = found[0] if found else handle
        assert in_general(output) == in_general(got), command
