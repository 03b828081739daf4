"""The memory of our client and worker: for each job in flight, after very many jobs, and for each function."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

from .generator import serve_command
from .processes import HOST, open_process, open_server, working_directory
from .tables import Table, number

__all__ = ["measure_abilities", "measure_flight", "measure_growth"]

_FUNCTION = "benchmark"
_MIB = 1024**2


def measure_flight(counts: Sequence[int], *, progress: Callable[[str], None]) -> Table:
    """Measure the resident memory that jobs in flight take, by their number.

    Args:
        counts: how many jobs are in flight.
        progress: told of each measurement before it is made.
    """
    table = Table("Memory of the client for jobs in flight", ["used as", "jobs in flight", "MiB", "bytes/job"])
    for way in ("map", "tasks"):
        for count in counts:
            progress(f"{count:,} jobs in flight, {way}")
            with open_server("gearman_trio") as server:
                read = _driver("flight_client", "flight", HOST, str(server.port), _FUNCTION, str(count), way)
            taken = read["during"] - read["before"]
            table.add(way, f"{count:,}", number(taken / _MIB), f"{taken / count:,.0f}")
    return table


def measure_growth(jobs: int, *, progress: Callable[[str], None]) -> Table:
    """Measure the resident memory of one client while it runs many jobs, after each tenth of them.

    Args:
        jobs: how many jobs it runs.
        progress: told of it before.

    Raises:
        Missing: there is no C compiler for the worker.
    """
    progress(f"a client that runs {jobs:,} jobs")
    table = Table("Memory of a client that goes on", ["jobs run", "MiB"])
    with (
        open_server("gearman_trio") as server,
        open_process(serve_command(server.port, function=_FUNCTION)),
    ):
        samples = _driver("flight_client", "growth", HOST, str(server.port), _FUNCTION, str(jobs))["samples"]
    for number_of_sample, sample in enumerate(samples, 1):
        table.add(f"{jobs // len(samples) * number_of_sample:,}", number(sample / _MIB))
    return table


def measure_abilities(workers: Sequence[int], functions: int, *, progress: Callable[[str], None]) -> Table:
    """Measure the resident memory of workers that are ready for jobs, all of them in one process, by their number.

    Args:
        workers: how many workers there are.
        functions: how many functions each of them has.
        progress: told of each measurement before it is made.
    """
    table = Table("Memory of workers in one process", ["workers", "functions", "MiB", "bytes/function"])
    for count in workers:
        progress(f"{count:,} workers with {functions:,} functions each")
        with open_server("gearman_trio") as server:
            read = _driver("flight_worker", HOST, str(server.port), str(count), str(functions))
        taken = read["during"] - read["before"]
        table.add(f"{count:,}", f"{count * functions:,}", number(taken / _MIB), f"{taken / count / functions:,.0f}")
    return table


def _driver(name: str, *arguments: str) -> Any:
    command = [sys.executable, "-m", f"benchmarks.drivers.{name}", *arguments]
    done = subprocess.run(command, cwd=working_directory(), check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit status {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)
