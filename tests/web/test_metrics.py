"""The metrics, read as Prometheus reads them."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gearman_trio import open_admin, open_server
from gearman_trio.web import WebLimits
from gearman_trio.web.metrics import OTHER_FUNCTIONS, Metrics

from .conftest import Site

Labels = frozenset[tuple[str, str]]


def read(exposition: bytes) -> dict[tuple[str, Labels], float]:
    """Each sample by its name and its labels."""
    samples = [s for family in text_string_to_metric_families(exposition.decode()) for s in family.samples]
    found = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
    assert len(samples) == len(found)
    return found


def labels(**given: str) -> Labels:
    return frozenset(given.items())


async def test_established_names_are_there(site: Site) -> None:
    async with site.server.open_client() as client:
        await client.submit("resize", b"")
        await client.submit("resize", b"", priority="high")

    answer = await site.ask("/metrics")

    found = read(answer.body)
    assert "text/plain; version=0.0.4; charset=utf-8" == answer.headers["content-type"]
    assert 1 == found["gearman_up", labels()]
    assert 1 == found["gearman_version_info", labels(version="0.1.0")]
    resize = labels(function="resize")
    names = ("gearman_jobs", "gearman_jobs_running", "gearman_jobs_waiting", "gearman_workers")
    assert [2, 0, 2, 0] == [found[name, resize] for name in names]
    assert 1 == found["gearman_jobs_queued", labels(function="resize", priority="high")]
    assert 2 == found["gearman_jobs_submitted_total", labels()]
    assert 1 == found["gearman_connections_accepted_total", labels()]


async def test_how_jobs_ended_is_told(site: Site) -> None:
    async with site.server.open_client() as client, open_admin(site.server.addresses[0]) as admin:
        await admin.cancel(await client.submit("resize", b""))

    found = read((await site.ask("/metrics")).body)

    outcomes = {
        dict(key[1])["outcome"]: value for key, value in found.items() if key[0] == "gearman_jobs_completed_total"
    }
    others = ("complete", "fail", "exception", "timed_out", "lost", "abandoned")
    assert {"cancelled": 1, **dict.fromkeys(others, 0)} == outcomes


@pytest.mark.parametrize("limits", [WebLimits(metric_functions=2)])
async def test_label_values_are_limited(site: Site) -> None:
    """And the sums stay right, also where a function is called as the rest is."""
    async with site.server.open_client() as client:
        for name in (OTHER_FUNCTIONS, "a", "b", "c"):
            await client.submit(name, b"")

    found = read((await site.ask("/metrics")).body)

    jobs = {dict(key[1])["function"]: value for key, value in found.items() if key[0] == "gearman_jobs"}
    assert {OTHER_FUNCTIONS: 3, "a": 1} == jobs
    assert 4 == found["gearman_functions", labels()]


async def test_any_name_is_a_label_value() -> None:
    names = [b'quote"', b"back\\slash", b"line\nend", b"\xff", "日本".encode()]
    async with open_server(listeners=[], drain_seconds=0) as server, server.open_client() as client:
        for name in names:
            await client.submit(name, b"")
        found = read(Metrics(functions=10).exposition(server.statistics()))

    jobs = {dict(key[1])["function"] for key in found if key[0] == "gearman_jobs"}
    assert {'quote"', "back\\slash", "line\nend", "\\xff", "日本"} == jobs
