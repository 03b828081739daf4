"""Single jobs over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from gearman_trio import Abilities, Job, open_worker
from gearman_trio.web.jobs import preview

from .conftest import PATIENCE, Site


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
    assert row == {key: value for key, value in answer.json.items() if key != "workload"}


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


@pytest.mark.parametrize("hide_workloads", [True])
async def test_workload_is_hidden_where_asked(site: Site) -> None:
    async with site.server.open_client() as client:
        handle = (await client.submit("f", b"secret")).decode()

    job = (await site.ask(f"/api/v1/jobs/{handle}")).json

    assert (None, 6) == (job["workload"], job["workload_bytes"])


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
