"""The description of the JSON interface: it has every route, and schemathesis finds nothing that is not as it says."""

from __future__ import annotations

import json
import re
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from starlette.routing import Route

from gearman_trio import Abilities, Fail, open_server, open_worker
from gearman_trio.web import JobLimits, WebLimits, make_app, serve_web

from .conftest import TOKEN, Site

CONFIG = Path(__file__).with_name("schemathesis.toml")

#: Streams of events without end, which OpenAPI cannot tell of, and the description itself.
NOT_DESCRIBED = {"/api/v1/events", "/api/v1/openapi.json"}

abilities = Abilities()


@abilities.function
async def reverse(workload: bytes) -> bytes:
    return workload[::-1]


@abilities.function(name="0")
async def fail(workload: bytes) -> bytes:
    raise Fail


async def description(site: Site) -> Any:
    return (await site.ask("/api/v1/openapi.json")).json


async def test_every_route_is_described(site: Site) -> None:
    routes = {
        re.sub(r":path}", "}", route.path): (route.methods or set()) - {"HEAD"}
        for route in make_app(site.server).routes
        if isinstance(route, Route) and route.path.startswith("/api/")
    }
    described = {path: {verb.upper() for verb in verbs} for path, verbs in (await description(site))["paths"].items()}

    assert {path: verbs for path, verbs in routes.items() if path not in NOT_DESCRIBED} == described


async def test_names_of_operations_are_unique(site: Site) -> None:
    paths = (await description(site))["paths"]
    names = [operation["operationId"] for verbs in paths.values() for operation in verbs.values()]

    assert len(names) == len(set(names))


async def test_every_part_of_it_is_used(site: Site) -> None:
    content = await description(site)
    parts = {f"#/components/{kind}/{name}" for kind, each in content["components"].items() for name in each}

    used = set(re.findall(r"#/components/[^\"]+", json.dumps(content)))
    assert parts - used == {"#/components/securitySchemes/token"}


@pytest.mark.slow
async def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    limits = WebLimits(jobs=JobLimits(wait_seconds=0.05))
    async with open_server(port=0, drain_seconds=0) as server, trio.open_nursery() as nursery:
        (url,) = await nursery.start(partial(serve_web, server, token=TOKEN, limits=limits))
        async with open_worker(abilities, server.url):
            command = [
                *(sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"),
                *("--config-file", str(CONFIG)),
                *("run", f"{url}api/v1/openapi.json", "--header", f"Authorization: Bearer {TOKEN}"),
                # The same examples every time, and few of them.
                *("--generation-deterministic", "--max-examples", "4", "--no-color"),
            ]
            done = await trio.run_process(command, capture_stdout=True, cwd=tmp_path, check=False)
        nursery.cancel_scope.cancel()

    assert 0 == done.returncode, done.stdout.decode()
    assert re.search(r"Selected: (\d+)/\1\n +Tested: \1\n", done.stdout.decode()), done.stdout.decode()
