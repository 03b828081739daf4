"""Each benchmark with as little to do as possible: it comes to its end and shows what it should."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import isnan
from pathlib import Path

import pytest

from benchmarks.databases import BACKENDS
from benchmarks.durable import compare_stores, measure_foreground, measure_replay, measure_spilling
from benchmarks.embedded import measure_embedded
from benchmarks.flight import measure_abilities, measure_flight, measure_growth
from benchmarks.instructions import count_instructions
from benchmarks.loads import LOADS, measure_loads
from benchmarks.plots import Curve, draw, measure_queue, measure_sleepers
from benchmarks.processes import open_process
from benchmarks.rest import measure_rest
from benchmarks.web import measure_web

from ..peers import require

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("compiler")]

CURVE = Curve(title="Speed", across="sleepers", quantities=[0, 100], figures={"ours": [9.0, 8.0], "other": [9.0, 1.0]})


def told(_: str) -> None:
    pass


@pytest.mark.interop
def test_loads() -> None:
    require("gearmand")
    speed, memory = measure_loads(["queue", "alone", "memory"], 1, 0.0001, progress=told)

    assert ["queue enqueue", "queue drain", "alone"] == [row[0] for row in speed.rows]
    assert all(row[4].endswith("x") for row in speed.rows)
    assert "100 background jobs, then 1 worker" == speed.rows[0][1]
    assert ["100"] == [row[0] for row in memory.rows]


def test_every_load_is_one_that_the_generator_knows() -> None:
    modes = {mode for load in LOADS.values() for _, mode, _ in load.phases}

    assert {"run", "spread", "enqueue", "drain"} == modes
    assert all(load.about for load in LOADS.values())


@pytest.mark.interop
@pytest.mark.parametrize("name", BACKENDS)
def test_stores(name: str) -> None:
    require("gearmand")
    program = {"MariaDB": "mariadbd", "Redis": "redis-server", "PostgreSQL": "postgres"}.get(name, "gearmand")
    # Debian keeps those of PostgreSQL where no PATH looks.
    if not list(Path("/usr/lib/postgresql").glob(f"*/bin/{program}")):
        require(program)
    table = compare_stores([name], 1, 100, progress=told)
    (start,) = measure_replay([name], 100, progress=told).rows

    assert [name] * 5 == [row[0] for row in table.rows]
    assert all(row[4].endswith("x") for row in table.rows)
    assert name == start[0]


def test_foreground_jobs_beside_a_busy_store() -> None:
    rows = measure_foreground(1, 100, progress=told).rows

    beside = "in memory, and as many stored by another program"
    assert ["none", "in memory", beside, "in SQLite"] == [row[0] for row in rows]
    assert "1.00x" == rows[1][3]
    assert all(float(row[1].replace(",", "")) > 0 and row[3].endswith("x") for row in rows)


def test_a_driver_that_cannot_begin_is_told(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.drivers.commits", f"sqlite:{tmp_path}", "100"]
    with (
        pytest.raises(RuntimeError, match=r"drivers\.commits .*: exit status 1; see .*log"),
        open_process(command, speaks=True),
    ):
        pass


def test_a_queue_larger_than_memory() -> None:
    whole, spilled = measure_spilling(8, progress=told).rows

    assert ("none", "4,096") == (whole[0], spilled[0])
    assert all(float(cell.replace(",", "")) > 0 for cell in [*whole[1:], *spilled[1:]])


@pytest.mark.interop
def test_curves() -> None:
    require("gearmand")
    queue = measure_queue([10, 100], 1, progress=told)
    sleepers = measure_sleepers([0, 3], 1, 50, progress=told)

    assert {"gearmand enqueue", "gearmand drain", "gearman_trio enqueue", "gearman_trio drain"} == set(queue.figures)
    assert {"gearmand", "gearman_trio"} == set(sleepers.figures)
    assert all(len(line) == 2 and min(line) > 0 for line in [*queue.figures.values(), *sleepers.figures.values()])


@pytest.mark.interop
def test_a_server_that_takes_too_long_is_not_measured_any_further() -> None:
    require("gearmand")
    queue = measure_queue([10, 100], 1, patience=0.0, progress=told)

    assert all(line[0] > 0 and isnan(line[1]) for line in queue.figures.values())
    assert ("100", "", "", "", "") == queue.table().rows[1]


def test_a_curve_as_a_table_and_as_a_picture(tmp_path: Path) -> None:
    assert [("0", "9.00", "9.00"), ("100", "8.00", "1.00")] == CURVE.table().rows

    first, second = (draw(CURVE, name, tmp_path).read_text(encoding="utf-8") for name in ("a", "b"))
    assert first.startswith("<?xml")
    assert "ours" in first
    assert len(first) == len(second)


def test_memory_of_jobs_in_flight_and_of_a_client_that_goes_on() -> None:
    flight = measure_flight([100], progress=told)
    growth = measure_growth(100, progress=told)

    assert [("map", "100"), ("tasks", "100")] == [(row[0], row[1]) for row in flight.rows]
    assert [f"{10 * tenth}" for tenth in range(1, 11)] == [row[0] for row in growth.rows]
    assert all(float(row[1]) > 1 for row in growth.rows)


def test_memory_of_workers() -> None:
    table = measure_abilities([2, 20], 5, progress=told)

    assert [("2", "10"), ("20", "100")] == [(row[0], row[1]) for row in table.rows]
    assert float(table.rows[1][2]) > 0


@pytest.mark.interop
def test_instructions() -> None:
    """More work takes more instructions, and nothing else differs much."""
    require("valgrind")
    with ThreadPoolExecutor(2) as pool:
        few, many = pool.map(partial(count_instructions, "encode"), (10, 1_000))

    assert 1_000 < (many - few) / 990 < 100_000


def test_the_web_interface_beside_a_load() -> None:
    table = measure_web(1, 0.02, progress=told)

    assert ["without --web", "with --web", "with the page open", "with the running jobs open"] == [
        row[0] for row in table.rows
    ]
    assert "1.00x" == table.rows[0][2]


@pytest.mark.interop
def test_connections_at_rest() -> None:
    require("gearmand")
    (row,) = measure_rest(1, 20, 0.05, progress=told).rows

    assert "20" == row[0]
    assert all(float(cost) >= 0 for cost in row[1:])


def test_client_server_and_worker_in_one_program() -> None:
    rows = measure_embedded(1, 200, progress=told).rows

    assert ["one after the other", "100 at once"] == [row[0] for row in rows]
    assert all(float(figure.replace(",", "")) > 0 for row in rows for figure in row[1:])
