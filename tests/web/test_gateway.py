"""gearmand's protocol over HTTP: methods, headers, every way in which a job ends, and every refusal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import pytest
import trio
import trio.testing

from gearman_trio import Abilities, Fail, Job, Server, ServerOptions, open_server, open_worker, run_worker, serve
from gearman_trio.web import JobLimits, WebLimits, serve_gateway

from ..patience import PATIENCE
from .conftest import Answer, Site

abilities = Abilities()


@abilities.function
async def reverse(workload: bytes) -> bytes:
    return workload[::-1]


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
    await job.data(b"two ")
    return job.workload


@abilities.function(name=b"caf\xe9/s p")
async def odd(workload: bytes) -> bytes:
    return b"odd"


@pytest.fixture
def limits() -> JobLimits:
    return JobLimits()


@pytest.fixture
async def site(limits: JobLimits) -> AsyncIterator[Site]:
    options = ServerOptions(max_jobs_per_function=2)
    async with open_server(port=0, options=options, drain_seconds=0) as server, trio.open_nursery() as nursery:
        start = partial(serve_gateway, server, port=0, limits=WebLimits(jobs=limits))
        (url,) = await nursery.start(start)
        yield Site(server, url)
        nursery.cancel_scope.cancel()


@pytest.fixture
async def worker(site: Site) -> AsyncIterator[None]:
    async with open_worker(abilities, site.server.url):
        yield


async def send(site: Site, method: str, path: str, body: bytes = b"", headers: str = "") -> Answer:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", f"Content-Length: {len(body)}"]
    head = "\r\n".join([*lines, headers, ""])
    return Answer.parse(await site.send(head.encode("latin-1") + body))


async def wait_queued(server: Server, count: int) -> None:
    with trio.fail_after(PATIENCE):
        while True:
            if count == sum(function.queued for function in server.statistics().functions):
                return
            await trio.sleep(0.01)


@pytest.mark.parametrize("method", ["POST", "PUT", "GET"])
async def test_path_is_a_function_and_body_a_workload(site: Site, worker: None, method: str) -> None:
    answer = await send(site, method, "/reverse", b"abc")

    assert (200, b"cba") == (answer.status, answer.body)
    assert "WORK_COMPLETE" == answer.headers["x-gearman-command"]
    assert answer.headers["x-gearman-job-handle"].startswith("H:")
    assert answer.headers["server"].startswith("Gearman/")
    assert "application/octet-stream" == answer.headers["content-type"]


async def test_head_runs_the_job_and_keeps_the_result_to_itself(site: Site, worker: None) -> None:
    answer = await send(site, "HEAD", "/reverse", b"abc")

    assert (200, b"", "3") == (answer.status, answer.body, answer.headers["content-length"])
    assert "WORK_COMPLETE" == answer.headers["x-gearman-command"]


async def test_headers_are_written_as_gearmand_does(site: Site, worker: None) -> None:
    data = await site.send(b"POST /reverse HTTP/1.0\r\nContent-Length: 1\r\n\r\nx")

    for name in (b"X-Gearman-Job-Handle: ", b"X-Gearman-Command: ", b"Content-Length: ", b"Server: "):
        assert name in data


async def test_chunked_body_and_several_requests_on_a_connection(site: Site, worker: None) -> None:
    chunked = (
        b"POST /reverse HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    )
    last = b"GET /reverse HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

    data = await site.send(chunked * 3 + last)

    assert 4 == data.count(b"HTTP/1.1 200")
    assert 3 == data.count(b"\r\n\r\ncba")


@pytest.mark.parametrize("path", ["/caf%E9/s%20p", "///caf%e9%2fs%20p"])
async def test_name_is_taken_byte_for_byte(site: Site, worker: None, path: str) -> None:
    assert b"odd" == (await send(site, "GET", path)).body


async def test_failed_job(site: Site, worker: None) -> None:
    answer = await send(site, "POST", "/fail", b"abc")

    assert (502, "WORK_FAIL", b"") == (answer.status, answer.headers["x-gearman-command"], answer.body)
    assert answer.headers["x-gearman-job-handle"].rpartition(":")[2].isdigit()


async def test_job_that_raised(site: Site, worker: None) -> None:
    answer = await send(site, "POST", "/crash", b"abc")

    assert (502, "WORK_EXCEPTION") == (answer.status, answer.headers["x-gearman-command"])
    assert b"no good" in answer.body


async def test_result_in_parts_is_put_together(site: Site, worker: None) -> None:
    answer = await send(site, "POST", "/talk", b"three")

    assert (200, b"one two three") == (answer.status, answer.body)


@pytest.mark.parametrize("limits", [JobLimits(result_bytes=200)])
async def test_result_in_too_many_parts(site: Site, worker: None) -> None:
    answer = await send(site, "POST", "/talk", b"three")

    assert (502, "ERROR") == (answer.status, answer.headers["x-gearman-command"])
    assert "200 bytes" in answer.json["detail"]


async def test_background_job_outlives_its_request(site: Site) -> None:
    answer = await send(site, "POST", "/later", b"abc", "X-Gearman-Background: true\r\n")

    (function,) = site.server.statistics().functions
    assert (200, "JOB_CREATED", b"") == (answer.status, answer.headers["x-gearman-command"], answer.body)
    assert (b"later", 1, 0) == (function.name, function.normal, function.running)


@pytest.mark.parametrize("priority", ["high", "normal", "low", "HIGH"])
async def test_priority(site: Site, priority: str) -> None:
    headers = f"X-Gearman-Background: True\r\nX-Gearman-Priority: {priority}\r\n"

    assert 200 == (await send(site, "POST", "/later", b"", headers)).status
    (function,) = site.server.statistics().functions
    assert 1 == getattr(function, priority.lower())


async def test_unique_id_shares_a_job_and_no_unique_id_does_not(site: Site) -> None:
    background = "X-Gearman-Background: true\r\n"
    handles = [
        (await send(site, "POST", "/later", b"same", background + unique)).headers["x-gearman-job-handle"]
        for unique in ("X-Gearman-Unique: u\r\n", "X-Gearman-Unique: u\r\n", "")
    ]

    assert 2 == len(set(handles))
    assert handles[0] == handles[1]


async def test_full_queue(site: Site) -> None:
    background = "X-Gearman-Background: true\r\n"
    for _ in range(2):
        await send(site, "POST", "/later", b"", background)

    answer = await send(site, "POST", "/later", b"", background)

    assert (503, "ERROR") == (answer.status, answer.headers["x-gearman-command"])
    assert "QUEUE_ERROR" == answer.json["code"]
    assert "1" == answer.headers["retry-after"]


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "detail"),
    [
        ("GET", "/", "", 404, "name of a function"),
        ("HEAD", "//", "", 404, None),
        ("TRACE", "/f", "", 405, "GET, HEAD, POST, PUT"),
        ("DELETE", "/f", "", 405, "'DELETE'"),
        ("PATCH", "/", "", 405, "'PATCH'"),
        ("GET", "/f?x=1", "", 400, "query"),
        ("GET", "/" + "f" * 513, "", 400, "512"),
        ("GET", "/f%00g", "", 400, "NUL"),
        ("POST", "/f", "X-Gearman-Unique: " + "u" * 65 + "\r\n", 400, "64"),
        ("POST", "/f", "X-Gearman-Priority: urgent\r\n", 400, "expected one of normal, high, low, got 'urgent'"),
        ("POST", "/f", "X-Gearman-Background: perhaps\r\n", 400, "expected one of false, true, got 'perhaps'"),
        ("POST", "/f", "Prefer: wait=soon\r\n", 400, "whole number of seconds, got 'soon'"),
        ("POST", "/f", "Prefer: wait=0\r\n", 504, "0 seconds"),
        ("POST", "/f", "Origin: http://localhost\r\n", 403, "pages in browsers may not"),
        ("POST", "/f", "Sec-Fetch-Site: same-site\r\n", 403, "pages in browsers may not"),
    ],
)
async def test_refusal_says_what_was_expected(
    site: Site, method: str, path: str, headers: str, status: int, detail: str | None
) -> None:
    answer = await send(site, method, path, b"", headers)

    assert (status, "ERROR") == (answer.status, answer.headers["x-gearman-command"])
    assert "application/problem+json" == answer.headers["content-type"]
    if detail is not None:
        assert status == answer.json["status"]
        assert detail in answer.json["detail"]
    assert not site.server.statistics().counters.submitted or status == 504


async def test_name_that_leads_to_this_machine_is_none_of_it(site: Site) -> None:
    data = b"GET /f HTTP/1.1\r\nHost: elsewhere.example\r\nConnection: close\r\n\r\n"
    answer = Answer.parse(await site.send(data))

    assert (403, True) == (answer.status, "not known as 'elsewhere.example'" in answer.json["detail"])
    assert not site.server.statistics().counters.submitted


async def test_job_that_is_not_done_in_time_is_let_go(site: Site) -> None:
    answer = await send(site, "POST", "/nobody", b"", "Prefer: respond-async, wait=1\r\n")

    assert 504 == answer.status
    assert answer.json["handle"] == answer.headers["x-gearman-job-handle"]
    await wait_queued(site.server, 0)
    assert 1 == site.server.statistics().counters.abandoned


@pytest.mark.parametrize("limits", [JobLimits(wait_seconds=0.1)])
async def test_nobody_waits_longer_than_allowed(site: Site) -> None:
    answer = await send(site, "POST", "/nobody", b"", "Prefer: wait=1000\r\n")

    assert (504, True) == (answer.status, "0.1 seconds" in answer.json["detail"])


async def test_peer_that_leaves_takes_its_queued_job_with_it(site: Site) -> None:
    async with await site.connect() as stream:
        await stream.send_all(b"POST /nobody HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        await wait_queued(site.server, 1)

    await wait_queued(site.server, 0)
    assert 1 == site.server.statistics().counters.abandoned


@pytest.mark.parametrize("limits", [JobLimits(waiting=1)])
async def test_waiting_requests_are_limited(site: Site) -> None:
    async with await site.connect() as stream:
        await stream.send_all(b"POST /nobody HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        await wait_queued(site.server, 1)
        answer = await send(site, "POST", "/f")
    await wait_queued(site.server, 0)

    assert (503, True) == (answer.status, "1 requests wait" in answer.json["detail"])
    assert 504 == (await send(site, "POST", "/f", b"", "Prefer: wait=0\r\n")).status


@pytest.mark.parametrize("limits", [JobLimits(workload_bytes=1000)])
@pytest.mark.parametrize(
    "request_",
    [
        b"Content-Length: 1001\r\n\r\n",
        b"Content-Length: 99999999999999999999\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001 + b"\r\n",
    ],
)
async def test_body_that_is_too_long_is_not_read(site: Site, request_: bytes) -> None:
    answer = Answer.parse(await site.send(b"POST /f HTTP/1.1\r\nHost: localhost\r\n" + request_))

    assert (413, True) == (answer.status, "1000 bytes" in answer.json["detail"])


@pytest.mark.parametrize("limits", [JobLimits(body_bytes=1000, body_seconds=60)])
async def test_bodies_are_limited_together(site: Site) -> None:
    async with await site.connect() as stream:
        await stream.send_all(b"POST /f HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n" + b"x" * 900)
        with trio.fail_after(PATIENCE):
            # Until what the other one sent has been read.
            while 503 != (answer := await send(site, "POST", "/f", b"x" * 101, "Prefer: wait=0\r\n")).status:
                assert 504 == answer.status

    with trio.fail_after(PATIENCE):
        # Until it has been noticed that the other one has left.
        while 504 != (await send(site, "POST", "/f", b"x" * 101, "Prefer: wait=0\r\n")).status:
            pass


@pytest.mark.parametrize("limits", [JobLimits(body_seconds=0.1)])
async def test_body_that_does_not_come(site: Site) -> None:
    answer = Answer.parse(await site.send(b"POST /f HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc"))

    assert (408, True) == (answer.status, "3 bytes of the body came" in answer.json["detail"])


async def test_job_that_ends_while_the_server_drains_is_answered() -> None:
    running, go, answered = trio.Event(), trio.Event(), trio.Event()
    holding = Abilities()
    answers: list[Answer] = []

    @holding.function
    async def hold(workload: bytes) -> bytes:
        running.set()
        await go.wait()
        return workload

    async def ask(site: Site) -> None:
        answers.append(await send(site, "POST", "/hold", b"abc"))
        answered.set()

    async with trio.open_nursery() as asking, trio.open_nursery() as process:
        server: Server = await process.start(partial(serve, port=0))
        (url,) = await process.start(partial(serve_gateway, server, port=0))
        asking.start_soon(partial(run_worker, holding, server.url))
        asking.start_soon(ask, Site(server, url))
        await running.wait()
        asking.start_soon(server.drain)
        await trio.testing.wait_all_tasks_blocked()
        go.set()
        await server.wait_ended()
        # As the command does.
        process.cancel_scope.cancel()
        with trio.CancelScope(shield=True), trio.fail_after(PATIENCE):
            await answered.wait()
        asking.cancel_scope.cancel()

    assert [(200, b"abc")] == [(answer.status, answer.body) for answer in answers]


async def test_draining_server_takes_no_job(site: Site) -> None:
    async with trio.open_nursery() as nursery, site.server.open_client():
        nursery.start_soon(site.server.drain)
        await site.server.wait_ended()

    answer = await send(site, "POST", "/f", b"", "X-Gearman-Background: true\r\n")

    assert (503, "ERROR") == (answer.status, answer.headers["x-gearman-command"])
