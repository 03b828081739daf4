"""What can be changed over HTTP, by whom, and that it is logged."""

from __future__ import annotations

import json
import logging

import pytest
import trio

from gearman_trio import Abilities, JobFailed, ServerError, open_worker

from ..patience import PATIENCE
from .conftest import AUTHORIZATION, Answer, Site

ACTIONS = [
    "/api/v1/jobs/H:x:1/cancel",
    "/api/v1/jobs/H:x:1/requeue",
    "/api/v1/failed/H:x:1/requeue",
    "/api/v1/functions/f/pause",
    "/api/v1/functions/f/resume",
    "/api/v1/functions/f/purge",
    "/api/v1/functions/f/maxqueue",
]


async def post(site: Site, path: str, body: bytes = b"") -> Answer:
    return await site.ask(path, "POST", AUTHORIZATION, body=body)


async def submit(site: Site, *names: str | bytes) -> list[str]:
    async with site.server.open_client() as client:
        return [(await client.submit(name, b"")).decode() for name in names]


async def function(site: Site, name: str) -> dict[str, object]:
    value: dict[str, object] = (await site.ask(f"/api/v1/functions/{name}")).json
    return value


# ---- who may ----


@pytest.mark.parametrize("path", [*ACTIONS, "/api/v1/token"])
async def test_nothing_is_changed_without_the_token(site: Site, path: str) -> None:
    await submit(site, "f")

    missing = await site.ask(path, "POST")
    wrong = await site.ask(path, "POST", "Authorization: Bearer wrong\r\n")

    assert (401, 401) == (missing.status, wrong.status)
    assert "expected the header 'Authorization: Bearer TOKEN'" == missing.json["detail"]
    assert "the token is wrong" == wrong.json["detail"]
    assert wrong.headers["www-authenticate"].startswith("Bearer")
    value = await function(site, "f")
    assert (1, False) == (value["queued"], value["paused"])


@pytest.mark.parametrize("token", [None])
@pytest.mark.parametrize("path", [*ACTIONS, "/api/v1/token"])
async def test_server_without_a_token_is_shown_only(site: Site, path: str) -> None:
    answer = await post(site, path)

    assert (403, "this server is shown only: it was started without --web-token") == (
        answer.status,
        answer.json["detail"],
    )
    assert {"read_only": True} == (await site.ask("/api/v1/token")).json


@pytest.mark.parametrize("path", ACTIONS)
async def test_action_is_never_a_get(site: Site, path: str) -> None:
    answer = await site.ask(path, headers=AUTHORIZATION)

    assert answer.status in {404, 405}


async def test_token_can_be_tried(site: Site) -> None:
    assert {"read_only": False} == (await post(site, "/api/v1/token")).json
    assert {"read_only": False} == (await site.ask("/api/v1/token")).json


# ---- jobs ----


async def test_queued_job_is_cancelled_and_it_is_logged(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    (handle,) = await submit(site, "f")

    with caplog.at_level(logging.WARNING, "gearman_trio.web"):
        answer = await post(site, f"/api/v1/jobs/{handle}/cancel")

    assert (200, {"done": f"cancelled job {handle}"}) == (answer.status, answer.json)
    assert 0 == (await function(site, "f"))["queued"]
    assert [f"web: somebody at 127.0.0.1 cancelled job {handle!r}"] == [
        record.getMessage() for record in caplog.records if record.name == "gearman_trio.web.actions"
    ]
    assert 404 == (await post(site, f"/api/v1/jobs/{handle}/cancel")).status


async def test_running_job_is_cancelled_and_its_client_hears_of_it(site: Site) -> None:
    abilities, begun = Abilities(), trio.Event()

    @abilities.function
    async def wait(workload: bytes) -> None:
        begun.set()
        await trio.sleep_forever()

    async with open_worker(abilities, site.server.url, drain_seconds=0), site.server.open_client() as client:
        with trio.fail_after(PATIENCE):
            async with client.stream("wait", b"") as job:
                await begun.wait()
                await post(site, f"/api/v1/jobs/{job.handle.decode()}/cancel")
                with pytest.raises(JobFailed):
                    await job.result()


async def test_running_job_is_requeued(site: Site) -> None:
    abilities = Abilities()
    send, receive = trio.open_memory_channel[int](10)

    @abilities.function
    async def wait(workload: bytes) -> None:
        send.send_nowait(1)
        await trio.sleep_forever()

    async with open_worker(abilities, site.server.url, concurrency=2, drain_seconds=0):
        (handle,) = await submit(site, "wait")
        with trio.fail_after(PATIENCE):
            await receive.receive()
            answer = await post(site, f"/api/v1/jobs/{handle}/requeue")
            await receive.receive()

    assert {"done": f"requeued job {handle}"} == answer.json


async def test_job_that_does_not_run_is_not_requeued(site: Site) -> None:
    (handle,) = await submit(site, "f")

    answer = await post(site, f"/api/v1/jobs/{handle}/requeue")

    assert (409, "the job is queued, not running") == (answer.status, answer.json["detail"])
    assert 404 == (await post(site, "/api/v1/jobs/H:x:1/requeue")).status


# ---- functions ----


async def test_function_is_paused_and_resumed(site: Site) -> None:
    await submit(site, "f/g h")

    assert 200 == (await post(site, "/api/v1/functions/f/g h/pause")).status
    assert (await function(site, "f/g h"))["paused"]
    assert 200 == (await post(site, "/api/v1/functions/f/g h/resume")).status
    assert not (await function(site, "f/g h"))["paused"]
    assert 404 == (await post(site, "/api/v1/functions/unknown/resume")).status


async def test_function_whose_name_is_no_text(site: Site) -> None:
    await submit(site, b"\xffx")

    assert 200 == (await post(site, "/api/v1/functions/\\xffx/pause")).status
    assert [(b"\xffx", True)] == [(each.name, each.paused) for each in site.server.statistics().functions]


async def test_function_is_purged(site: Site) -> None:
    await submit(site, *["f"] * 2500, "g")

    answer = await post(site, "/api/v1/functions/f/purge")

    assert {"done": "purged function f", "jobs": 2500} == answer.json
    assert [0, 1] == [each.queued for each in site.server.statistics().functions]
    assert 404 == (await post(site, "/api/v1/functions/unknown/purge")).status


async def test_function_is_limited(site: Site) -> None:
    body = {"high": 0, "normal": 1}

    answer = await post(site, "/api/v1/functions/f/maxqueue", json.dumps(body).encode())

    assert {"done": "limited function f", "high": 0, "normal": 1, "low": 0} == answer.json
    async with site.server.open_client() as client:
        await client.submit("f", b"")
        with pytest.raises(ServerError, match="Job queue is full"):
            await client.submit("f", b"")


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"", 400, "the body is no JSON"),
        (b"[" * 4000, 400, "the body is no JSON"),
        (b"[]", 400, "expected a JSON object such as"),
        (b'{"highest": 1}', 400, "expected a JSON object such as"),
        (b'{"high": -1}', 400, "high: expected a number of jobs, 0 for no limit, got '-1'"),
        (b'{"high": true}', 400, "high: expected a number of jobs"),
        (b'{"high": 1.5}', 400, "high: expected a number of jobs"),
        (b'{"high": 1' + b"0" * 30 + b"}", 400, "high: expected a number of jobs"),
        (b" " * 5000, 413, "expected a body of at most 4096 bytes"),
    ],
)
async def test_limits_that_are_none(site: Site, body: bytes, status: int, message: str) -> None:
    answer = await post(site, "/api/v1/functions/f/maxqueue", body)

    assert status == answer.status
    assert answer.json["detail"].startswith(message)


async def test_name_that_no_function_can_have(site: Site) -> None:
    assert 404 == (await post(site, f"/api/v1/functions/{'x' * 600}/pause")).status
