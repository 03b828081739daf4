"""The drivers of the comparison of libraries do what they are measured for."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from benchmarks.generator import generate, serve_command
from benchmarks.processes import HOST, open_process, open_server, working_directory

from ..patience import PATIENCE
from ..peers import require_python_package

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("compiler")]

CLIENTS = [
    *(pytest.param("gearman_trio", [way], id=way) for way in ("map", "tasks", "sequential", "blocking")),
    pytest.param("python_gearman", [], id="pygearman", marks=pytest.mark.interop),
]
WORKERS = [
    pytest.param("gearman_trio", id="gearman_trio"),
    pytest.param("python_gearman", id="pygearman", marks=pytest.mark.interop),
]


def command(library: str, side: str) -> list[str]:
    if library == "python_gearman":
        require_python_package("gearman")
    return [sys.executable, "-m", f"benchmarks.drivers.{library}_{side}"]


@pytest.mark.parametrize(("library", "extra"), CLIENTS)
def test_a_client_runs_all_jobs_and_prints_its_figures(library: str, extra: list[str]) -> None:
    with open_server("gearman_trio") as server, open_process(serve_command(server.port, function="f")):
        done = subprocess.run(
            [*command(library, "client"), HOST, str(server.port), "f", "103", "10", *extra],
            cwd=working_directory(),
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    assert (0, "") == (done.returncode, done.stderr)
    figures = json.loads(done.stdout)
    assert 103 == figures["jobs"]
    assert figures["seconds"] > 0
    assert figures["cpu_seconds"] > 0


@pytest.mark.parametrize("library", WORKERS)
def test_a_worker_gives_workloads_back(library: str) -> None:
    with (
        open_server("gearman_trio") as server,
        open_process([*command(library, "worker"), HOST, str(server.port), "f", "5"]),
    ):
        assert 103 == generate("run", server.port, function="f", jobs=103, depth=10, workers=0).jobs
