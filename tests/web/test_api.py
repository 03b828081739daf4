"""Jobs through the JSON interface: every form of a submission, every form of an answer, and every refusal."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import trio

from gearman_trio import Abilities, Fail, Job, open_worker
from gearman_trio.web import JobLimits, WebLimits

from ..patience import PATIENCE
from .conftest import TOKEN, Site

BINARY = bytes(range(256))

abilities = Abilities()


@abilities.function
async def echo(workload: bytes) -> bytes:
    return workload


@abilities.function(name="a/b c?")
async def odd(workload: bytes) -> bytes:
    return b"odd"


@abilities.function
async def fail(workload: bytes) -> bytes:
    raise Fail


@abilities.function
async def crash(workload: bytes) -> bytes:
    raise ValueError("no good")


@abilities.function
async def talk(job: Job) -> bytes:
    await job.data(b"one ")
    await job.status(1, 2)
    await job.warning(b"careful")
    await job.data(b"\xff")
    return job.workload


@pytest.fixture
async def http(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {TOKEN}", "Host": "localhost"}
    # Without TLS there is nothing to verify, and reading the certificates takes a while.
    async with httpx.AsyncClient(base_url=site.url, headers=headers, timeout=PATIENCE, verify=False) as http:
        yield http


@pytest.fixture
async def worker(site: Site) -> AsyncIterator[None]:
    async with open_worker(abilities, site.server.url):
        yield


@asynccontextmanager
async def open_late_worker(site: Site) -> AsyncIterator[None]:
    async with open_worker(abilities, site.server.url):
        yield


def path(function: str) -> str:
    return f"/api/v1/functions/{function}/jobs"


def only_function(site: Site) -> Any:
    (function,) = site.server.statistics().functions
    return function


async def test_accepted_request_writes_no_more_than_a_line_for_those_who_look_closely(
    http: httpx.AsyncClient, site: Site, worker: None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "gearman_trio"):
        await http.post(path("echo"), json={"workload": "abc"})
        await http.post(f"{path('echo')}?background=true", json={"workload": "abc"})
        await site.ask_until("/api/v1/server", lambda answer: answer.json["connections"] == 1)

    # The worker is of this process by chance.
    records = [record for record in caplog.records if not record.name.startswith("gearman_trio.worker")]
    assert [(logging.DEBUG, "gearman_trio.server.connection")] * 2 == [(each.levelno, each.name) for each in records]


# ---- workloads ----


@pytest.mark.parametrize(
    "body",
    [
        {"workload": "grüß\0e"},
        {"workload_base64": base64.b64encode("grüß\0e".encode()).decode()},
    ],
)
async def test_workload_in_json(http: httpx.AsyncClient, worker: None, body: dict[str, str]) -> None:
    answer = await http.post(path("echo"), json=body)

    handle = answer.headers["x-gearman-job-handle"]
    assert 200 == answer.status_code
    assert {"handle": handle, "status": None, "warnings": [], "result": "grüß\0e"} == answer.json()


@pytest.mark.parametrize("media_type", ["application/octet-stream", "text/plain", "application/x-www-form-urlencoded"])
async def test_workload_as_it_is(http: httpx.AsyncClient, worker: None, media_type: str) -> None:
    answer = await http.post(path("echo"), content=BINARY, headers={"Content-Type": media_type})

    assert base64.b64encode(BINARY).decode() == answer.json()["result_base64"]
    assert "result" not in answer.json()


async def test_no_workload(http: httpx.AsyncClient, worker: None) -> None:
    assert "" == (await http.post(path("echo"))).json()["result"]
    assert "" == (await http.post(path("echo"), json={})).json()["result"]


async def test_name_is_percent_encoded(http: httpx.AsyncClient, worker: None) -> None:
    assert "odd" == (await http.post(path("a%2Fb%20c%3F"))).json()["result"]


async def test_long_result_comes_in_pieces(http: httpx.AsyncClient, worker: None) -> None:
    words, bytes_ = "grüß\n" * 200_000, BINARY * 4000
    answers = [await http.post(path("echo"), content=content) for content in (words.encode(), bytes_)]

    assert words == answers[0].json()["result"]
    assert bytes_ == base64.b64decode(answers[1].json()["result_base64"])


# ---- options ----


async def test_options_in_json(http: httpx.AsyncClient, site: Site) -> None:
    options = {"unique": "u", "priority": "high", "background": True}

    answers = [await http.post(path("later"), json={"workload": "x", **options}) for _ in range(2)]

    handle = answers[0].json()["handle"]
    assert [202, 202] == [answer.status_code for answer in answers]
    assert {"handle": handle, "background": True} == answers[1].json()
    assert f"/api/v1/jobs/{handle}" == answers[0].headers["location"].replace("%3A", ":")
    assert (b"later", 1, 1) == (only_function(site).name, only_function(site).high, only_function(site).queued)
    assert "queued" == (await http.get(answers[0].headers["location"])).json()["state"]


async def test_options_in_the_query(http: httpx.AsyncClient, site: Site) -> None:
    answer = await http.post(path("later"), params={"priority": "low", "background": "true"}, content=b"x")

    assert 202 == answer.status_code
    assert 1 == only_function(site).low


async def test_what_json_says_counts(http: httpx.AsyncClient, site: Site) -> None:
    params = {"priority": "low", "background": "true"}

    assert 202 == (await http.post(path("later"), params=params, json={"priority": "high"})).status_code
    assert 1 == only_function(site).high


@pytest.mark.parametrize("when", [{"run_at": 4_000_000_000}, {"run_at": 4_000_000_000.5}, {"delay": 3600}])
async def test_job_for_later(http: httpx.AsyncClient, site: Site, when: dict[str, float]) -> None:
    assert 202 == (await http.post(path("later"), json={"background": True, **when})).status_code
    assert 1 == only_function(site).scheduled


# ---- answers ----


async def test_result_as_it_is(http: httpx.AsyncClient, worker: None) -> None:
    answer = await http.post(path("talk"), content=b"three", headers={"Accept": "application/octet-stream"})

    assert b"one \xffthree" == answer.content
    assert "application/octet-stream" == answer.headers["content-type"]
    assert answer.headers["x-gearman-job-handle"].startswith("H:")


async def test_result_with_what_the_worker_told(http: httpx.AsyncClient, worker: None) -> None:
    answer = (await http.post(path("talk"), content=b"three")).json()

    assert {"numerator": 1, "denominator": 2} == answer["status"]
    assert [{"warning": "careful"}] == answer["warnings"]
    assert b"one \xffthree" == base64.b64decode(answer["result_base64"])


async def test_failed_job(http: httpx.AsyncClient, worker: None) -> None:
    answer = await http.post(path("fail"))

    assert (502, "fail") == (answer.status_code, answer.json()["outcome"])
    assert answer.json()["handle"].startswith("H:")


async def test_job_that_raised(http: httpx.AsyncClient, worker: None) -> None:
    answer = await http.post(path("crash"))

    assert (502, "exception") == (answer.status_code, answer.json()["outcome"])
    assert "no good" in answer.json()["exception"]


EVENTS: list[tuple[str, dict[str, Any]]] = [
    ("data", {"data": "one "}),
    ("status", {"numerator": 1, "denominator": 2}),
    ("warning", {"warning": "careful"}),
    ("data", {"data_base64": "/w=="}),
    ("complete", {"result": "three"}),
]


async def events(http: httpx.AsyncClient, function: str, media_type: str, **given: Any) -> list[tuple[str, Any]]:
    """What comes of a job after its creation."""
    headers = {"Accept": media_type, **given.pop("headers", {})}
    async with http.stream("POST", path(function), headers=headers, **given) as answer:
        assert 200 == answer.status_code
        assert media_type in answer.headers["content-type"]
        lines = [line async for line in answer.aiter_lines()]
    if media_type == "application/x-ndjson":
        told = [json.loads(line) for line in lines]
        found = [(each.pop("event"), each) for each in told]
    else:
        assert [""] == lines[2::3][:1]
        names = [line.removeprefix("event: ") for line in lines[::3]]
        found = list(zip(names, [json.loads(line.removeprefix("data: ")) for line in lines[1::3]], strict=True))
    assert ("created", {"handle": answer.headers["x-gearman-job-handle"]}) == found[0]
    return found[1:]


@pytest.mark.parametrize("media_type", ["text/event-stream", "application/x-ndjson"])
class TestStream:
    async def test_whole_job(self, http: httpx.AsyncClient, worker: None, media_type: str) -> None:
        assert EVENTS == await events(http, "talk", media_type, content=b"three")

    async def test_failed_job(self, http: httpx.AsyncClient, worker: None, media_type: str) -> None:
        assert [("fail", {})] == await events(http, "fail", media_type)

    async def test_job_that_raised(self, http: httpx.AsyncClient, worker: None, media_type: str) -> None:
        ((name, told),) = await events(http, "crash", media_type)

        assert ("exception", True) == (name, "no good" in told["exception"])

    async def test_job_that_is_not_done_in_time(self, http: httpx.AsyncClient, media_type: str) -> None:
        ((name, told),) = await events(http, "nobody", media_type, headers={"Prefer": "wait=1"})

        assert ("error", True) == (name, "1 seconds" in told["detail"])

    async def test_server_that_ends(self, http: httpx.AsyncClient, site: Site, media_type: str) -> None:
        async with http.stream("POST", path("nobody"), headers={"Accept": media_type}) as answer:
            assert 200 == answer.status_code
            await site.server.drain(0)
            words = "".join([words async for words in answer.aiter_text()])

        assert "error" in words
        assert "lost" in words

    @pytest.mark.parametrize("limits", [WebLimits(jobs=JobLimits(waiting=0))])
    async def test_refusal_is_no_stream(self, http: httpx.AsyncClient, media_type: str) -> None:
        answer = await http.post(path("f"), headers={"Accept": media_type})

        assert (503, "application/problem+json") == (answer.status_code, answer.headers["content-type"])


async def test_peer_that_leaves_a_stream_takes_its_queued_job_with_it(http: httpx.AsyncClient, site: Site) -> None:
    async with http.stream("POST", path("nobody"), headers={"Accept": "text/event-stream"}):
        assert 1 == only_function(site).queued

    with trio.fail_after(PATIENCE):
        while True:
            if not only_function(site).queued:
                break
            await trio.sleep(0.01)
    assert 1 == site.server.statistics().counters.abandoned


# ---- results for later ----


async def test_result_for_later(http: httpx.AsyncClient, site: Site) -> None:
    created = await http.post(path("echo"), content=b"x", headers={"Prefer": "respond-async"})
    where = created.headers["location"]
    early = await http.get(where)
    async with open_late_worker(site):
        result = await http.get(where, headers={"Prefer": "wait=60"})
    again = await http.get(where, headers={"Accept": "application/octet-stream"})

    handle = created.json()["handle"]
    assert (202, False) == (created.status_code, created.json()["background"])
    assert (202, {"handle": handle}) == (early.status_code, early.json())
    assert (200, handle, "x") == (result.status_code, result.json()["handle"], result.json()["result"])
    assert b"x" == again.content


async def test_job_that_ends_in_time_is_answered_at_once(http: httpx.AsyncClient, worker: None) -> None:
    answer = await http.post(path("echo"), content=b"x", headers={"Prefer": "respond-async, wait=60"})

    assert (200, "x") == (answer.status_code, answer.json()["result"])


@pytest.mark.parametrize(("function", "outcome"), [("fail", "fail"), ("crash", "exception")])
async def test_job_that_failed_is_told_later(http: httpx.AsyncClient, site: Site, function: str, outcome: str) -> None:
    created = await http.post(path(function), headers={"Prefer": "respond-async"})
    async with open_late_worker(site):
        answers = [await http.get(created.headers["location"], headers={"Prefer": "wait=60"}) for _ in range(2)]

    assert [502, 502] == [answer.status_code for answer in answers]
    assert outcome == answers[1].json()["outcome"]


async def test_two_that_share_a_job_both_get_the_result(http: httpx.AsyncClient, site: Site) -> None:
    given: dict[str, Any] = {"params": {"unique": "u"}, "content": b"x", "headers": {"Prefer": "respond-async"}}
    created = [await http.post(path("echo"), **given) for _ in range(2)]
    async with open_late_worker(site):
        answers = [await http.get(each.headers["location"], headers={"Prefer": "wait=60"}) for each in created]

    assert created[0].json() == created[1].json()
    assert ["x", "x"] == [answer.json()["result"] for answer in answers]


@pytest.mark.parametrize("limits", [WebLimits(jobs=JobLimits(kept_bytes=3000))])
async def test_oldest_results_go_where_there_are_too_many(http: httpx.AsyncClient, worker: None) -> None:
    places = [
        (await http.post(path("echo"), content=b"%d" % number, headers={"Prefer": "respond-async"})).headers.get(
            "location"
        )
        for number in range(4)
    ]
    statuses = [(await http.get(place, headers={"Prefer": "wait=60"})).status_code for place in places if place]

    assert 404 in statuses or None in places
    assert {200, 404} >= set(statuses)


async def test_result_that_is_not_kept(http: httpx.AsyncClient, worker: None) -> None:
    answer = await http.get("/api/v1/jobs/H:here:1/result")

    assert (404, True) == (answer.status_code, "respond-async" in answer.json()["detail"])


async def test_refused_job_is_refused_at_once(http: httpx.AsyncClient, site: Site) -> None:
    await site.server.drain(0)

    assert 503 == (await http.post(path("f"), headers={"Prefer": "respond-async"})).status_code


# ---- refusals ----


@pytest.mark.parametrize(
    ("given", "status", "detail"),
    [
        ({"json": []}, 400, "object of JSON, got list"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 400, "expected JSON"),
        ({"content": b"[" * 100_000, "headers": {"Content-Type": "application/json"}}, 400, "expected JSON"),
        ({"json": {"workload": 1}}, 400, "workload: expected a string, got int"),
        ({"json": {"workload": None}}, 400, "workload: expected a string, got NoneType"),
        ({"json": {"workload_base64": "a"}}, 400, "workload_base64: expected base64"),
        ({"json": {"workload_base64": []}}, 400, "workload_base64: expected a string, got list"),
        ({"json": {"workload": "a", "workload_base64": "YQ=="}}, 400, "got both"),
        ({"content": b'{"workload": "\\ud800"}', "headers": {"Content-Type": "application/json"}}, 400, "surrogate"),
        ({"content": b'{"unique": "\\ud800"}', "headers": {"Content-Type": "application/json"}}, 400, "surrogate"),
        ({"json": {"payload": "a"}}, 400, "got 'payload'"),
        ({"params": {"payload": "a"}}, 400, "got 'payload'"),
        ({"params": [("unique", "a"), ("unique", "b")]}, 400, "unique: expected it once"),
        ({"json": {"unique": 7}}, 400, "unique: expected a string, got int"),
        ({"json": {"unique": "u" * 65}}, 400, "at most 64 characters of ASCII, or 16 of any kind, got 65"),
        ({"json": {"unique": "ü" * 17}}, 400, "at most 64 characters of ASCII, or 16 of any kind, got 17"),
        ({"json": {"unique": "a\0b"}}, 400, "unique ID: a NUL byte"),
        ({"json": {"priority": "urgent"}}, 400, "priority: expected 'high', 'normal' or 'low', got 'urgent'"),
        ({"json": {"priority": None}}, 400, "priority: expected a string"),
        ({"json": {"background": "yes"}}, 400, "background: expected true or false, got 'yes'"),
        ({"params": {"background": "1"}}, 400, "background: expected true or false, got '1'"),
        ({"json": {"delay": 5}}, 400, "only a job in the background can start later"),
        ({"json": {"background": True, "delay": -1}}, 400, "delay: expected seconds from 0 on"),
        ({"json": {"background": True, "delay": "5"}}, 400, "delay: expected a number of seconds, got '5'"),
        ({"params": {"background": "true", "delay": "soon"}}, 400, "delay: expected a number of seconds, got 'soon'"),
        ({"params": {"background": "true", "delay": "nan"}}, 400, "delay: expected a number of seconds, got nan"),
        ({"json": {"background": True, "run_at": True}}, 400, "run_at: expected a number of seconds, got True"),
        ({"json": {"background": True, "run_at": 10**400}}, 400, "run_at: expected a number of seconds"),
        ({"json": {"background": True, "run_at": 1, "delay": 1}}, 400, "give one of them"),
        ({"json": {"background": True, "delay": 1, "priority": "low"}}, 400, "normal priority"),
        ({"params": {"priority": "urgent"}, "json": {"priority": "high"}}, 400, "got 'urgent'"),
        ({"headers": {"Prefer": "wait=soon"}}, 400, "Prefer: expected wait with a whole number of seconds"),
        ({"headers": {"Accept": "image/png"}}, 406, "Accept: expected one of application/json"),
        ({"headers": {"Prefer": "wait=0"}}, 504, "0 seconds"),
        ({"headers": {"Authorization": ""}}, 401, "Authorization: Bearer"),
        ({"headers": {"Authorization": "Bearer wrong"}}, 401, "wrong"),
        ({"headers": {"Origin": "http://elsewhere.example"}}, 403, "elsewhere"),
        ({"headers": {"Host": "elsewhere.example"}}, 403, "elsewhere"),
    ],
)
async def test_refusal_says_what_was_expected(
    http: httpx.AsyncClient, site: Site, given: dict[str, Any], status: int, detail: str
) -> None:
    answer = await http.post(path("f"), **given)

    assert (status, "application/problem+json") == (answer.status_code, answer.headers["content-type"])
    assert detail in answer.json()["detail"]
    assert status == 504 or not site.server.statistics().counters.submitted


async def test_name_that_is_too_long(http: httpx.AsyncClient) -> None:
    answer = await http.post(path("f" * 513))

    assert (400, True) == (answer.status_code, "at most 512 bytes" in answer.json()["detail"])


@pytest.mark.parametrize("limits", [WebLimits(jobs=JobLimits(json_bytes=100, workload_bytes=1000))])
async def test_long_bodies(http: httpx.AsyncClient, worker: None) -> None:
    answers = [
        await http.post(path("echo"), json={"workload": "x" * 100}),
        await http.post(path("echo"), content=b"x" * 1000),
        await http.post(path("echo"), content=b"x" * 1001),
    ]

    assert [413, 200, 413] == [answer.status_code for answer in answers]
    assert "octet-stream" in answers[0].json()["detail"]


@pytest.mark.parametrize("token", [None])
async def test_server_without_a_token_takes_no_jobs(http: httpx.AsyncClient, site: Site) -> None:
    asked = [
        await http.post(path("f")),
        await http.get("/api/v1/jobs/H:x:1/result"),
        await http.post("/gearman/f"),
    ]

    assert [403] * 3 == [answer.status_code for answer in asked]
    assert "--web-token" in asked[0].json()["detail"]
    assert not site.server.statistics().counters.submitted


async def test_gearmand_protocol_with_the_token(http: httpx.AsyncClient, worker: None) -> None:
    answer = await http.post("/gearman/a%2Fb%20c%3F")

    assert (200, b"odd", "WORK_COMPLETE") == (answer.status_code, answer.content, answer.headers["x-gearman-command"])


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_other_methods(http: httpx.AsyncClient, method: str) -> None:
    answer = await http.request(method, path("f"))

    # GET asks for a function of that name, which there is not.
    assert (404 if method == "GET" else 405) == answer.status_code
