"""What the interface answers, over real HTTP."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest
import trio
from starlette.applications import Starlette
from starlette.routing import Mount

from gearman_trio import Abilities, Server, ServerError, ServerOptions, open_server, open_worker, serve
from gearman_trio.core import OUTCOMES, BadRow, SpilledJob, StoredJob
from gearman_trio.testing import MemoryStore
from gearman_trio.web import History, make_app, serve_web

from ..patience import PATIENCE
from .conftest import Site

abilities = Abilities()


@abilities.function
async def reverse(workload: bytes) -> bytes:
    return workload[::-1]


async def queue(site: Site, name: str | bytes, count: int = 1) -> None:
    async with site.server.open_client() as client:
        for number in range(count):
            await client.submit(name, b"%d" % number)


async def test_health_of_a_server_that_runs(site: Site) -> None:
    healthy, ready = await site.ask("/healthz"), await site.ask("/readyz")

    assert (200, {"alive": True}) == (healthy.status, healthy.json)
    assert (200, {"ready": True}) == (ready.status, ready.json)
    assert "no-store" == ready.headers["cache-control"]


async def test_server_that_has_ended_is_alive_and_not_ready(site: Site) -> None:
    with trio.fail_after(PATIENCE):
        await site.server.drain(0)

    healthy, ready = await site.ask("/healthz"), await site.ask("/readyz")

    assert (200, 503) == (healthy.status, ready.status)
    assert {"ready": False, "reason": "the server has ended"} == ready.json


async def test_server_that_drains_is_not_ready(site: Site) -> None:
    going_on = trio.Event()
    holding = Abilities()

    @holding.function
    async def hold(workload: bytes) -> bytes:
        await going_on.wait()
        return b""

    async with open_worker(holding, site.server.url), trio.open_nursery() as nursery:
        await queue(site, "hold")
        await site.ask_until("/api/v1/functions/hold", lambda answer: answer.json["running"])
        nursery.start_soon(site.server.drain)
        ready = await site.ask_until("/readyz", lambda answer: answer.status == 503)
        going_on.set()

    assert {"ready": False, "reason": "the server drains"} == ready.json


class SlowReplay(MemoryStore):
    """A store whose jobs come back when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.may_come = threading.Event()

    def replay(self, spill_bytes: int = 0) -> Iterator[list[StoredJob | SpilledJob | BadRow]]:
        self.may_come.wait(PATIENCE)
        yield from super().replay(spill_bytes)


async def test_server_is_alive_and_not_ready_while_jobs_come_back() -> None:
    store = SlowReplay()
    send, receive = trio.open_memory_channel[Server](1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(serve, port=0, store=store, on_open=send.send_nowait))
        with trio.fail_after(PATIENCE):
            server = await receive.receive()
        (url,) = await nursery.start(serve_web, server)
        site = Site(server, url)
        healthy, starting = await site.ask("/healthz"), await site.ask("/readyz")
        store.may_come.set()
        ready = await site.ask_until("/readyz", lambda answer: answer.status == 200)
        nursery.cancel_scope.cancel()

    assert (200, 503, {"ready": True}) == (healthy.status, starting.status, ready.json)
    reason = "the server starts: jobs of earlier runs are coming back from the store"
    assert {"ready": False, "reason": reason} == starting.json


async def test_server_that_cannot_store_jobs_is_not_ready() -> None:
    store = MemoryStore()
    options = ServerOptions(store_timeout=0.05)
    async with open_server(port=0, store=store, options=options) as server, trio.open_nursery() as nursery:
        (url,) = await nursery.start(serve_web, server)
        site = Site(server, url)
        store.failure = "the disk is full"
        with pytest.raises(ServerError, match="the disk is full"):
            await queue(site, "f")
        refusing = await site.ask("/readyz")
        told = (await site.ask("/api/v1/server")).json["store"]
        store.failure = ""
        ready = await site.ask_until("/readyz", lambda answer: answer.status == 200)
        nursery.cancel_scope.cancel()

    assert {"ready": False, "reason": "background jobs cannot be stored"} == refusing.json
    assert ("a store in memory", True) == (told["name"], told["refusing"])
    assert "the disk is full" in told["failure"]
    assert {"ready": True} == ready.json


async def test_jobs_that_no_worker_can_take_are_told(site: Site) -> None:
    await queue(site, "résumé/1", 3)

    one = await site.ask("/api/v1/functions/résumé/1")
    (listed,) = (await site.ask("/api/v1/functions")).json["functions"]

    assert 200 == one.status
    # What changes from second to second is another test's.
    changing = {"waiting_since", "in_per_second", "out_per_second"}
    assert {
        "function": "résumé/1",
        "high": 0,
        "normal": 3,
        "low": 0,
        "queued": 3,
        "scheduled": 0,
        "committing": 0,
        "fetching": 0,
        "running": 0,
        "workers": 0,
        "sleeping": 0,
        "paused": False,
        "stalled": True,
        "wait_seconds": {"p50": None, "p95": None},
        "run_seconds": {"p50": None, "p95": None},
        "submitted": 3,
        "coalesced": 0,
        "started": 0,
        "requeued": 0,
        "ended": dict.fromkeys(OUTCOMES, 0),
        "failed": 0,
        "max_queue": [0, 0, 0],
        "held_bytes": 3,
    } == {name: value for name, value in one.json.items() if name not in changing}
    assert set(one.json) == set(listed)
    assert abs(time.time() - one.json["waiting_since"]) < PATIENCE


async def test_function_tells_how_long_its_jobs_took(site: Site) -> None:
    async with open_worker(abilities, site.server.url), site.server.open_client() as client:
        await client.run("reverse", b"abc")

    function = (await site.ask("/api/v1/functions/reverse")).json

    assert (1, 1, 1) == (function["submitted"], function["started"], function["ended"]["complete"])
    assert 0 < function["run_seconds"]["p50"] <= function["run_seconds"]["p95"] <= 3600
    assert 0 < function["wait_seconds"]["p50"] <= 3600
    assert None is function["waiting_since"]


async def test_name_that_is_no_text_is_shown(site: Site) -> None:
    await queue(site, b"\xffx")

    assert ["\\xffx"] == [row["function"] for row in (await site.ask("/api/v1/functions")).json["functions"]]


async def test_tables_come_in_pages(site: Site) -> None:
    for name in "abcde":
        await queue(site, name)

    page = (await site.ask("/api/v1/functions?limit=2&offset=3")).json
    beyond = (await site.ask("/api/v1/functions?offset=9")).json

    assert (["d", "e"], 5, 3) == ([row["function"] for row in page["functions"]], page["total"], page["offset"])
    assert ([], 5) == (beyond["functions"], beyond["total"])


async def test_workers_and_the_server_as_a_whole(site: Site) -> None:
    async with open_worker(abilities, site.server.url, client_id="w1"), site.server.open_client() as client:
        assert b"cba" == await client.run("reverse", b"abc")

        workers = (await site.ask("/api/v1/workers")).json
        server = (await site.ask("/api/v1/server")).json

    (worker,) = workers["workers"]
    assert ("w1", ["reverse"], 0) == (worker["client_id"], worker["abilities"], worker["running"])
    assert 1 == workers["total"]
    assert (2, 1, 1, 0) == tuple(server[name] for name in ("connections", "workers", "functions", "stalled"))
    assert (1, 1) == (server["counters"]["submitted"], server["counters"]["completed"])
    assert [str(address) for address in site.server.addresses] == server["addresses"]
    assert server["accepting"]
    assert (0, 256 * 1024 * 1024) == (server["limits"]["max_jobs"], server["limits"]["outbox_limit_bytes"])


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/nothing", 404, "there is nothing at '/nothing'"),
        ("/api/v1/functions/nothing", 404, "no function 'nothing'"),
        ("/api/v1/functions?limit=0", 400, "limit: expected a whole number from 1 to 1000, got '0'"),
        ("/api/v1/workers?offset=-1", 400, f"offset: expected a whole number from 0 to {2**63}, got '-1'"),
        ("/api/v1/history?samples=x", 400, "samples: expected a whole number from 1 to 3600, got 'x'"),
        (
            "/api/v1/workers?limit=" + "9" * 5000,
            400,
            f"limit: expected a whole number from 1 to 1000, got '{'9' * 50}'",
        ),
    ],
)
async def test_error_is_json_and_says_what_was_expected(site: Site, path: str, status: int, message: str) -> None:
    answer = await site.ask(path)

    assert status == answer.status
    assert (status, message) == (answer.json["status"], answer.json["detail"])
    assert "application/problem+json" == answer.headers["content-type"]


async def test_wrong_method_is_told_which_are_right(site: Site) -> None:
    answer = await site.ask("/healthz", "DELETE")

    assert (405, "GET, HEAD") == (answer.status, answer.headers["allow"])
    assert "expected one of GET, HEAD, got 'DELETE'" == answer.json["detail"]


async def test_history_tells_columns(site: Site) -> None:
    history = (await site.ask_until("/api/v1/history?samples=1", lambda answer: answer.json["time"])).json

    assert 1.0 == history["interval_seconds"]
    assert ([0], [0], 1) == (history["queued"], history["submitted"], len(history["lag"]))


async def test_sample_each_second_for_an_hour(mock_clock: trio.testing.MockClock) -> None:
    """Older ones go."""
    mock_clock.autojump_threshold = 0
    async with open_server(listeners=[]) as server, trio.open_nursery() as nursery:
        history = History(server, epoch_clock=lambda: 1000.0 + trio.current_time())
        nursery.start_soon(history.run)
        await trio.sleep(3700.5)
        nursery.cancel_scope.cancel()

    assert (3600, 1101.0, 4700.0) == (len(history.samples), history.samples[0].time, history.samples[-1].time)
    assert {0.0} == {sample.lag for sample in history.samples}


async def test_loop_that_was_held_up_is_sampled_late_and_not_often(mock_clock: trio.testing.MockClock) -> None:
    async with open_server(listeners=[]) as server, trio.open_nursery() as nursery:
        history = History(server, epoch_clock=trio.current_time)
        nursery.start_soon(history.run)
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(5.0)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()

    assert [(0.0, 0.0), (5.0, 4.0)] == [(sample.time, sample.lag) for sample in history.samples]


async def test_application_is_mounted_in_another() -> None:
    """Asked as an ASGI server asks; nothing had to be started."""
    sent: list[dict[str, object]] = []

    async def send(message: object) -> None:
        assert isinstance(message, dict)
        sent.append(message)

    async with open_server(listeners=[]) as server:
        app = Starlette(routes=[Mount("/gearman", make_app(server))])
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/gearman/readyz",
            "root_path": "",
            "query_string": b"",
            "headers": [],
        }
        await app(scope, partial(trio.sleep, 0), send)  # type: ignore[arg-type] # never asked for a body

    assert 200 == sent[0]["status"]
    assert b'{"ready":true}' == sent[1]["body"]
