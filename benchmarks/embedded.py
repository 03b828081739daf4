"""A job server, a worker and a client in one program: how fast `Client.run` is there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from statistics import median
from typing import Any

from .processes import working_directory
from .tables import Table, number

__all__ = ["measure_embedded"]

_WAYS = {"one after the other": 1, "100 at once": 100}


def measure_embedded(rounds: int, jobs: int, *, progress: Callable[[str], None]) -> Table:
    """Measure jobs that a client, a job server and a worker in the same Trio program run.

    Args:
        rounds: how often each way is measured.
        jobs: how many jobs are run each time.
        progress: told of each run before it begins.
    """
    title = f"Client, job server and worker in one program, medians of {rounds} rounds"
    table = Table(title, ["jobs", "jobs/s", "CPU us/job"])
    samples: dict[str, list[dict[str, Any]]] = {way: [] for way in _WAYS}
    for number_of_round in range(1, rounds + 1):
        for way, depth in _WAYS.items():
            progress(f"embedded, round {number_of_round} of {rounds}: {way}")
            samples[way].append(_run(jobs, depth))
    for way, read in samples.items():
        speed = median(sample["jobs"] / sample["seconds"] for sample in read)
        cost = median(sample["cpu_seconds"] / sample["jobs"] * 1e6 for sample in read)
        table.add(way, number(speed), number(cost))
    return table


def _run(jobs: int, depth: int) -> Any:
    command = [sys.executable, "-m", "benchmarks.drivers.embedded", str(jobs), str(depth)]
    done = subprocess.run(command, cwd=working_directory(), check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit status {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)
