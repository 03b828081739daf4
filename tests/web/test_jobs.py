"""Single jobs over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio

from gearman_trio import Abilities, Job, JobError, ServerOptions, open_server, open_worker
from gearman_trio.testing import MemoryStore
from gearman_trio.web import serve_web
from gearman_trio.web.jobs import preview

from ..patience import PATIENCE
from .conftest import AUTHORIZATION, Site

abilities = Abilities()


async def rows(site: Site, query: str) -> list[Any]:
    found: list[Any] = (await site.ask(f"/api/v1/jobs?{query}")).json["jobs"]
    return found


async def test_queue_is_browsed_in_pages(site: Site) -> None:
    async with site.server.open_client() as client:
        handles = [(await client.submit("f", b"")).decode() for _ in range(5)]
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        page = (await site.ask(f"/api/v1/jobs?limit=2&after={after}")).json
        seen += [job["handle"] for job in page["jobs"]]
        after = page["after"]

    assert handles == seen


async def test_jobs_are_filtered(site: Site) -> None:
    async with site.server.open_client() as client:
        one = (await client.submit("f", b"", unique="order-1", priority="high")).decode()
        two = (await client.submit("g", b"", unique="order-2")).decode()
        await client.submit("g", b"", unique="other")

    assert [one, two] == [job["handle"] for job in await rows(site, "unique=order-*")]
    assert [two] == [job["handle"] for job in await rows(site, "unique=order-*&function=g")]
    assert [one] == [job["handle"] for job in await rows(site, "priority=high")]
    assert [two] == [job["handle"] for job in await rows(site, "state=any&unique=order-2")]
    assert [] == await rows(site, "function=unknown") + await rows(site, "state=running")


async def test_running_job_tells_its_worker_and_progress(site: Site) -> None:
    abilities, told = Abilities(), trio.Event()

    @abilities.function
    async def count(workload: bytes, job: Job) -> None:
        await job.status(1, 4)
        told.set()
        await trio.sleep_forever()

    async with open_worker(abilities, site.server.url, client_id="w1", drain_seconds=0):
        async with site.server.open_client() as client:
            handle = (await client.submit("count", b"")).decode()
        with trio.fail_after(PATIENCE):
            await told.wait()
        answer = await site.ask_until(f"/api/v1/jobs/{handle}", lambda answer: answer.json["progress"])
        (row,) = await rows(site, "state=running")

    assert ("running", 0.25, 1, "w1") == (
        answer.json["state"],
        answer.json["progress"],
        answer.json["attempts"],
        answer.json["worker"]["client_id"],
    )
    # Times come of two clocks, which are not read at one moment.
    exact = row.keys() - {"created_at", "since"}
    assert {key: answer.json[key] for key in exact} == {key: row[key] for key in exact}
    assert ["submitted", "attempt 1 began"] == [event["what"] for event in answer.json["timeline"]]
    assert answer.json["live"]


async def test_scheduled_jobs(site: Site) -> None:
    async with site.server.open_client() as client:
        later = (await client.submit("f", b"", run_at=4_000_000_002)).decode()
        sooner = (await client.submit("f", b"", run_at=4_000_000_001)).decode()

    page = (await site.ask("/api/v1/scheduled")).json

    assert [(sooner, 4_000_000_001.0), (later, 4_000_000_002.0)] == [
        (job["handle"], job["run_at"]) for job in page["jobs"]
    ]


async def test_workload_is_shown(site: Site) -> None:
    async with site.server.open_client() as client:
        handle = (await client.submit("f", b'{"a": 1}')).decode()

    job = (await site.ask(f"/api/v1/jobs/{handle}")).json

    assert {"bytes": 8, "shown_bytes": 8, "kind": "json", "text": '{"a": 1}'} == job["workload"]


async def test_workload_that_is_in_the_store_alone(tmp_path: Path) -> None:
    options = ServerOptions(spill_bytes=10)
    store = f"sqlite:{tmp_path / 'jobs.db'}"
    async with (
        open_server(port=0, options=options, store=store, drain_seconds=0) as server,
        server.open_client() as client,
        trio.open_nursery() as nursery,
    ):
        (url,) = await nursery.start(serve_web, server)
        handle = (await client.submit("f", b"x" * 100)).decode()
        # The answer comes before the workload is let go of, or after it.
        path = f"/api/v1/jobs/{handle}"
        answer = await Site(server, url).ask_until(path, lambda answer: answer.json["spilled"])
        nursery.cancel_scope.cancel()

    assert (None, 100, True) == (answer.json["workload"], answer.json["workload_bytes"], answer.json["stored"])


@pytest.mark.parametrize("hide_workloads", [True])
async def test_workload_is_hidden_where_asked(site: Site) -> None:
    async with site.server.open_client() as client:
        handle = (await client.submit("f", b"secret")).decode()

    job = (await site.ask(f"/api/v1/jobs/{handle}")).json

    assert (None, 6) == (job["workload"], job["workload_bytes"])


@pytest.mark.parametrize("store", [MemoryStore()])
async def test_workload_in_the_store_alone_is_told_to_be_there(site: Site) -> None:
    async with site.server.open_client() as client:
        handle = (await client.submit("f", b"w" * 101)).decode()

    job = (await site.ask(f"/api/v1/jobs/{handle}")).json

    assert (None, True, 101) == (job["workload"], job["spilled"], job["workload_bytes"])


async def test_jobs_that_have_waited_long(site: Site) -> None:
    async with site.server.open_client() as client:
        await client.submit("f", b"")

    assert [1, 0] == [len(await rows(site, f"older={seconds}")) for seconds in (0, 100_000)]


@abilities.function
async def fail(workload: bytes) -> None:
    raise ValueError("no such picture")


async def test_failed_jobs_are_told_latest_first(site: Site) -> None:
    async with open_worker(abilities, site.server.url, client_id="w1"), site.server.open_client() as client:
        for unique in ("one", "two"):
            with pytest.raises(JobError):
                await client.run("fail", b"picture", unique=unique)

    failures = (await site.ask("/api/v1/failed")).json
    one = (await site.ask(f"/api/v1/jobs/{failures['failed'][1]['handle']}")).json

    assert (["two", "one"], 2) == ([each["unique"] for each in failures["failed"]], failures["total"])
    assert [] == (await site.ask("/api/v1/failed?function=other")).json["failed"]
    assert (False, "one", "w1", "picture") == (
        one["live"],
        one["unique"],
        one["worker"]["client_id"],
        one["workload"]["text"],
    )
    assert one["requeueable"]
    assert 2 == len(one["timeline"])


async def test_failed_job_is_submitted_again_once(site: Site) -> None:
    async with open_worker(abilities, site.server.url), site.server.open_client() as client:
        with pytest.raises(JobError):
            await client.run("fail", b"picture", unique="u", priority="high")
    (failure,) = (await site.ask("/api/v1/failed")).json["failed"]
    path = f"/api/v1/failed/{failure['handle']}/requeue"

    answer = await site.ask(path, "POST", AUTHORIZATION)
    again = await site.ask(path, "POST", AUTHORIZATION)

    (job,) = await rows(site, "")
    assert (200, job["handle"]) == (answer.status, answer.json["handle"])
    assert ("fail", "u", "high", True) == (job["function"], job["unique"], job["priority"], job["background"])
    assert (409, f"the job was submitted again, as {job['handle']}") == (again.status, again.json["detail"])
    (failure,) = (await site.ask("/api/v1/failed")).json["failed"]
    assert (job["handle"], False) == (failure["requeued_as"], failure["requeueable"])
    assert 404 == (await site.ask("/api/v1/failed/H:x:1/requeue", "POST", AUTHORIZATION)).status


async def test_failed_job_whose_workload_was_too_long(site: Site) -> None:
    async with open_worker(abilities, site.server.url), site.server.open_client() as client:
        with pytest.raises(JobError):
            await client.run("fail", b"x" * 100_000)
    (failure,) = (await site.ask("/api/v1/failed")).json["failed"]

    answer = await site.ask(f"/api/v1/failed/{failure['handle']}/requeue", "POST", AUTHORIZATION)

    assert not failure["requeueable"]
    assert (409, "the workload of 100000 bytes was not kept, for it is too long") == (
        answer.status,
        answer.json["detail"],
    )


@pytest.mark.parametrize("store", [MemoryStore()])
async def test_failed_job_whose_workload_was_in_the_store_alone(site: Site) -> None:
    async with open_worker(abilities, site.server.url), site.server.open_client() as client:
        await client.submit("fail", b"x" * 101)
        answer = await site.ask_until("/api/v1/failed", lambda answer: answer.json["failed"])
    (failure,) = answer.json["failed"]

    refused = await site.ask(f"/api/v1/failed/{failure['handle']}/requeue", "POST", AUTHORIZATION)
    job = (await site.ask(f"/api/v1/jobs/{failure['handle']}")).json

    assert (409, "the workload of 101 bytes was not kept, for it was in the store alone") == (
        refused.status,
        refused.json["detail"],
    )
    assert (None, True) == (job["workload"], job["spilled"])


LOST_STORE = MemoryStore()


@pytest.mark.parametrize("store", [LOST_STORE])
async def test_job_that_was_lost_with_its_workload_is_among_the_failed(site: Site) -> None:
    async with site.server.open_client() as client:
        handle = (await client.submit("fail", b"x" * 101)).decode()
    LOST_STORE.content.clear()
    async with open_worker(abilities, site.server.url):
        answer = await site.ask_until("/api/v1/failed", lambda answer: answer.json["failed"])
    (failure,) = answer.json["failed"]
    job = (await site.ask(f"/api/v1/jobs/{handle}")).json

    assert (handle, "lost", "its workload is not in the store any more", None) == (
        failure["handle"],
        failure["outcome"],
        failure["reason"],
        failure["ran_seconds"],
    )
    assert (["ended: lost"], None) == ([event["what"] for event in job["timeline"]], job["worker"])


async def test_failed_job_that_the_server_refuses_may_be_tried_again(site: Site) -> None:
    async with open_worker(abilities, site.server.url), site.server.open_client() as client:
        with pytest.raises(JobError):
            await client.run("fail", b"")
    (failure,) = (await site.ask("/api/v1/failed")).json["failed"]
    path = f"/api/v1/failed/{failure['handle']}/requeue"
    site.server.operator.limit(b"fail", high=1, normal=1, low=1)
    async with site.server.open_client() as client:
        await client.submit("fail", b"")

    refused = await site.ask(path, "POST", AUTHORIZATION)
    site.server.operator.limit(b"fail", high=0, normal=0, low=0)

    assert 503 == refused.status
    assert "the server does not take the job: " in refused.json["detail"]
    assert 200 == (await site.ask(path, "POST", AUTHORIZATION)).status


@pytest.mark.parametrize(
    ("workload", "size", "kind", "shown"),
    [
        (b"", 0, "text", ""),
        (b"caf\xc3\xa9\n", 6, "text", "café\n"),
        (b"[1]", 3, "json", "[1]"),
        (b"[1", 2, "text", "[1"),
        (b"12", 2, "text", "12"),
        (b'{"a": "caf\xc3', 99, "text", '{"a": "caf'),
        (b"\xf0\x9f\x98", 99, "text", ""),
        (b"caf\xc3", 4, "hex", "00000000  63 61 66 c3" + " " * 36 + "  caf."),
        (b"a\0b", 3, "hex", "00000000  61 00 62" + " " * 39 + "  a.b"),
        (b"\x1b[31m", 5, "hex", "00000000  1b 5b 33 31 6d" + " " * 33 + "  .[31m"),
    ],
)
def test_preview_is_what_it_looks_like(workload: bytes, size: int, kind: str, shown: str) -> None:
    value = preview(workload, size)

    assert (kind, shown, size, len(workload)) == (value["kind"], value["text"], value["bytes"], value["shown_bytes"])


def test_hex_has_sixteen_bytes_a_line() -> None:
    lines = preview(bytes(range(40)), 40)["text"].split("\n")

    assert ["00000000", "00000010", "00000020"] == [line.split("  ")[0] for line in lines]


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/api/v1/jobs?state=done", 400, "state: expected queued, running or scheduled, or any with a whole unique ID"),
        ("/api/v1/jobs?state=any", 400, "state: expected"),
        ("/api/v1/jobs?state=any&unique=a*", 400, "state: expected"),
        ("/api/v1/jobs?priority=top", 400, "priority: expected high, normal, low, got 'top'"),
        ("/api/v1/jobs?after=!", 400, "after: expected what the page before gave"),
        ("/api/v1/jobs?after=é", 400, "after: expected what the page before gave"),
        ("/api/v1/jobs?after=YQ", 400, "after: expected what the page before gave"),
        ("/api/v1/jobs?limit=1001", 400, "limit: expected a whole number from 1 to 1000"),
        ("/api/v1/jobs/H:x:1", 404, "no live job 'H:x:1'"),
    ],
)
async def test_question_that_cannot_be_answered(site: Site, path: str, status: int, message: str) -> None:
    answer = await site.ask(path)

    assert status == answer.status
    assert answer.json["detail"].startswith(message)
