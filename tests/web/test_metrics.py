"""The metrics, read as Prometheus reads them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from gearman_trio import Abilities, open_admin, open_server, open_worker
from gearman_trio.core import BOUNDS, OUTCOMES
from gearman_trio.web import WebLimits
from gearman_trio.web.metrics import OTHER_FUNCTIONS, Metrics

from .conftest import Site

DOCS = Path(__file__).parents[2] / "docs"
REFERENCE = DOCS / "reference" / "metrics.md"
DASHBOARD = DOCS / "how-to" / "grafana-dashboard.json"

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
    assert 2 == found["gearman_jobs_submitted_total", resize]
    assert 0 < found["gearman_queue_oldest_seconds", resize] < 1000
    assert 0 < found["gearman_received_bytes_total", labels()]
    assert 1_000_000 < found["process_resident_memory_bytes", labels()]
    assert 1 == found["gearman_connections_accepted_total", labels()]


async def test_how_jobs_ended_is_told(site: Site) -> None:
    async with site.server.open_client() as client, open_admin(site.server.addresses[0]) as admin:
        await admin.cancel(await client.submit("resize", b""))

    found = read((await site.ask("/metrics")).body)

    outcomes = {key[1]: value for key, value in found.items() if key[0] == "gearman_jobs_completed_total"}
    assert {labels(function="resize", outcome=outcome): (outcome == "cancelled") for outcome in OUTCOMES} == outcomes


async def test_histograms_tell_how_long_jobs_waited_and_ran(site: Site) -> None:
    abilities = Abilities()

    @abilities.function
    async def resize(workload: bytes) -> bytes:
        return workload

    async with open_worker(abilities, site.server.url), site.server.open_client() as client:
        for _ in range(3):
            await client.run("resize", b"")

    found = read((await site.ask("/metrics")).body)

    for name in ("gearman_job_wait_seconds", "gearman_job_run_seconds"):
        buckets = {dict(key[1])["le"]: value for key, value in found.items() if key[0] == f"{name}_bucket"}
        assert [*map(str, BOUNDS), "+Inf"] == list(buckets)
        assert sorted(buckets.values()) == list(buckets.values())
        assert 3 == buckets["+Inf"] == found[f"{name}_count", labels(function="resize")]
        assert 0 < found[f"{name}_sum", labels(function="resize")]


async def test_store_is_told_of_where_there_is_one(tmp_path: Path) -> None:
    async with open_server(listeners=[], store=f"sqlite:{tmp_path}/jobs.db") as server, server.open_client() as client:
        await client.submit("f", b"")
        found = read(Metrics(functions=10).exposition(server.statistics(), 0.25))

    assert [1, 0, 0, 0, 1, 0, 0] == [
        found[f"gearman_store_{name}", labels()]
        for name in (
            "up",
            "refusing",
            "replaying",
            "lag_seconds",
            "jobs_added_total",
            "jobs_removed_total",
            "rows_quarantined_total",
        )
    ]
    assert 1 <= found["gearman_store_commit_seconds_count", labels()]
    assert 0.25 == found["gearman_loop_lag_seconds", labels()]


async def test_counts_of_a_function_that_was_forgotten_go_to_the_others() -> None:
    """So that no sum ever falls, and none of what is left seems to begin anew."""
    async with open_server(port=0) as server, server.open_client() as client, open_admin(*server.addresses) as admin:
        metrics = Metrics(functions=2)
        for name in ("a", "b", "c", "c"):
            await admin.cancel(await client.submit(name, b""))
        before = read(metrics.exposition(server.statistics()))
        await admin.drop_function("a")
        after = read(metrics.exposition(server.statistics()))
        await client.submit("a", b"")
        again = read(metrics.exposition(server.statistics()))

    def submitted(found: dict[tuple[str, Labels], float]) -> dict[str, float]:
        return {dict(key[1])["function"]: n for key, n in found.items() if key[0] == "gearman_jobs_submitted_total"}

    assert {"a": 1, "b": 1, OTHER_FUNCTIONS: 2} == submitted(before)
    assert {"b": 1, OTHER_FUNCTIONS: 3} == submitted(after)
    assert {"a": 1, "b": 1, OTHER_FUNCTIONS: 3} == submitted(again)


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


# ---- what is written of them ----


async def every_metric(tmp_path: Path) -> list[Metric]:
    """Those of a server that has a store, a function, and jobs that ran."""
    abilities = Abilities()

    @abilities.function
    async def resize(workload: bytes) -> bytes:
        return workload

    async with (
        open_server(port=0, store=f"sqlite:{tmp_path}/jobs.db") as server,
        open_worker(abilities, server.url),
        server.open_client() as client,
    ):
        await client.run("resize", b"")
        exposition = Metrics(functions=10).exposition(server.statistics(), 0.0)
    return list(text_string_to_metric_families(exposition.decode()))


def label_names(family: Metric) -> list[str]:
    return sorted({name for sample in family.samples for name in sample.labels} - {"le"})


async def test_each_is_documented_with_its_type_and_labels(tmp_path: Path) -> None:
    rows = re.findall(r"^\| `(gearman_\w+)` \| (\w+) \| (.*?) ?\| .+ \|$", REFERENCE.read_text(), re.MULTILINE)
    documented = {
        (name.removesuffix("_total"), kind, tuple(sorted(re.findall(r"\w+", labels)))) for name, kind, labels in rows
    }

    metrics = [family for family in await every_metric(tmp_path) if not family.name.startswith("process_")]

    assert {(family.name, family.type, tuple(label_names(family))) for family in metrics} == documented
    assert len(rows) == len(documented)


async def test_dashboard_asks_for_what_there_is(tmp_path: Path) -> None:
    board = json.loads(DASHBOARD.read_text())
    variables = [variable["query"]["query"] for variable in board["templating"]["list"] if variable["type"] == "query"]
    expressions = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    asked = {name for text in expressions + variables for name in re.findall(r"\b(?:gearman|process)_\w+", text)}

    families = await every_metric(tmp_path)

    assert asked <= {sample.name for family in families for sample in family.samples}
    # And for nearly everything of it.
    assert len(asked) > 20


async def test_dashboard_filters_by_labels_that_there_are(tmp_path: Path) -> None:
    labels = {
        sample.name: {*label_names(family), "le", "instance"}
        for family in await every_metric(tmp_path)
        for sample in family.samples
    }
    board = json.loads(DASHBOARD.read_text())
    for panel in board["panels"]:
        for target in panel["targets"]:
            for name, selector in re.findall(r"(\w+)\{([^}]*)\}", target["expr"]):
                assert set(re.findall(r"(\w+)=", selector)) <= labels[name], target["expr"]


def test_panels_of_the_dashboard_do_not_overlap() -> None:
    board = json.loads(DASHBOARD.read_text())
    cells = [
        (x, y)
        for at in (panel["gridPos"] for panel in board["panels"])
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]

    assert len(cells) == len(set(cells))
    assert 24 > max(x for x, _ in cells)
    assert len(board["panels"]) == len({panel["id"] for panel in board["panels"]})
