"""Our client and worker beside those of other Python libraries, over the same gearmand.

Where a client is measured, the worker is the load generator's, and the other way round, so that they are not.  The
generator is measured as a client too: no library can be faster with this job server on this machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median

import attrs

from .environments import LIBRARIES, python_with
from .generator import generate, serve_command
from .processes import HOST, open_process, open_server, working_directory
from .rounds import median_ratio, run_rounds
from .tables import Table, number, ratio

__all__ = ["compare_clients", "compare_workers"]

_FUNCTION = "benchmark"
_OURS = "gearman_trio"
_DRIVERS = {"pygearman": "python_gearman", "gearman3": "python_gearman", "gear": "gear"}
_CEILING = "generator (C)"

#: A client that takes longer hangs.
_PATIENCE_SECONDS = 900.0


@attrs.frozen(kw_only=True)
class _Way:
    """One way to use one library.

    Attributes:
        package: the name of the library.
        way: how it is used.
        depth: how many jobs are in flight at once.
        driver: the command that does it, up to its arguments.
        extra: arguments after the usual ones.
        share: the part of the jobs that it gets, where all of them would take too long.
    """

    package: str
    way: str
    depth: int
    driver: Sequence[str] = ()
    extra: Sequence[str] = ()
    share: float = 1.0

    @property
    def name(self) -> str:
        return f"{self.package}, {self.way}"

    @property
    def group(self) -> str:
        """What it may be compared with: one job at a time, or many."""
        return "one at a time" if self.depth == 1 else "many at once"


@attrs.frozen(kw_only=True)
class _Sample:
    jobs_per_second: float
    cpu_us: float


def compare_clients(rounds: int, jobs: int, depth: int, *, progress: Callable[[str], None]) -> Table:
    """Compare clients that run small foreground jobs.

    Args:
        rounds: how often each is measured.
        jobs: how many jobs each runs in a round.
        depth: how many jobs are in flight at once, where many are.
        progress: told what is being done.

    Raises:
        Missing: gearmand, a library or the C compiler is not there.
    """
    ours = [sys.executable, "-m", "benchmarks.drivers.gearman_trio_client"]
    ways = [
        _Way(package=_CEILING, way="many at once", depth=depth),
        _Way(package=_OURS, way="map", depth=depth, driver=ours, extra=["map"]),
        _Way(package=_OURS, way="run in tasks", depth=depth, driver=ours, extra=["tasks"]),
    ]
    for library in LIBRARIES:
        ways.append(_Way(package=library, way="many at once", depth=depth, driver=_foreign(library, "client")))
    ways += [
        _Way(package=_CEILING, way="one at a time", depth=1),
        _Way(package=_OURS, way="run", depth=1, driver=ours, extra=["sequential"]),
        _Way(package=_OURS, way="blocking run", depth=1, driver=ours, extra=["blocking"]),
    ]
    for library in LIBRARIES:
        ways.append(_Way(package=library, way="one at a time", depth=1, driver=_foreign(library, "client")))
    cases = {way.name: partial(_client_sample, way, jobs) for way in ways}
    title = f"Clients: {jobs:,} foreground jobs of 32 bytes, at most {depth} at once"
    return _table(title, ways, run_rounds(cases, rounds, progress=progress))


def compare_workers(rounds: int, jobs: int, depth: int, *, progress: Callable[[str], None]) -> Table:
    """Compare workers that give small workloads back; arguments and errors are those of `compare_clients`."""
    ours = [sys.executable, "-m", "benchmarks.drivers.gearman_trio_worker"]
    ways = [
        _Way(package=_CEILING, way="a job at a time", depth=1),
        _Way(package=_OURS, way="concurrency 1", depth=1, driver=ours),
        _Way(package=_OURS, way="concurrency 10", depth=10, driver=ours),
        _Way(package=_OURS, way="concurrency 50", depth=50, driver=ours),
    ]
    for library in LIBRARIES:
        # gear's worker sends two small packets for each job without TCP_NODELAY, so it does some twenty jobs a second.
        share = 0.01 if library == "gear" else 1.0
        driver = _foreign(library, "worker")
        ways.append(_Way(package=library, way="a job at a time", depth=1, driver=driver, share=share))
    ways.append(_Way(package="gear", way="10 threads", depth=10, driver=_foreign("gear", "worker"), share=0.01))
    cases = {way.name: partial(_worker_sample, way, max(1, int(jobs * way.share)), depth) for way in ways}
    title = f"Workers: {jobs:,} foreground jobs of 32 bytes from a client with {depth} at once"
    return _table(title, ways, run_rounds(cases, rounds, progress=progress), grouped=False)


def _foreign(library: str, side: str) -> list[str]:
    return [python_with(library), "-m", f"benchmarks.drivers.{_DRIVERS[library]}_{side}"]


def _client_sample(way: _Way, jobs: int) -> _Sample:
    with open_server("gearmand") as server, open_process(serve_command(server.port, function=_FUNCTION)):
        if not way.driver:
            report = generate("run", server.port, function=_FUNCTION, jobs=jobs, depth=way.depth, workers=0)
            return _Sample(jobs_per_second=report.jobs_per_second, cpu_us=0.0)
        arguments = [HOST, str(server.port), _FUNCTION, str(jobs), str(way.depth), *way.extra]
        done = subprocess.run(
            [*way.driver, *arguments],
            cwd=working_directory(),
            check=False,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS,
        )
        if done.returncode:
            raise RuntimeError(f"{way.name}: exit status {done.returncode}: {done.stderr.strip()}")
        read = json.loads(done.stdout)
        return _Sample(jobs_per_second=read["jobs"] / read["seconds"], cpu_us=read["cpu_seconds"] / read["jobs"] * 1e6)


def _worker_sample(way: _Way, jobs: int, depth: int) -> _Sample:
    with open_server("gearmand") as server:
        arguments = [HOST, str(server.port), _FUNCTION, str(way.depth)]
        command = [*way.driver, *arguments] if way.driver else serve_command(server.port, function=_FUNCTION)
        with open_process(command) as worker:
            # It comes back when the worker is at work.
            generate("run", server.port, function=_FUNCTION, jobs=1, workers=0)
            report = generate("run", server.port, watched=worker, function=_FUNCTION, jobs=jobs, depth=depth, workers=0)
    return _Sample(jobs_per_second=report.jobs_per_second, cpu_us=report.cpu_us_per_job)


def _table(
    title: str, ways: Sequence[_Way], samples: Mapping[str, Sequence[_Sample]], *, grouped: bool = True
) -> Table:
    """Compare each with the best other library of its round, and of its group where there are groups."""
    table = Table(
        title, ["library", "used as", "jobs/s", "CPU us/job", "speed by best other", "best other CPU by it"], 2
    )
    speeds = {name: [sample.jobs_per_second for sample in each] for name, each in samples.items()}
    costs = {name: [sample.cpu_us for sample in each] for name, each in samples.items()}
    for way in ways:
        others = [o.name for o in ways if o.package in LIBRARIES and (not grouped or o.group == way.group)]
        best_speeds = [max(each) for each in zip(*(speeds[name] for name in others), strict=True)]
        best_costs = [min(each) for each in zip(*(costs[name] for name in others), strict=True)]
        compared = way.package not in LIBRARIES
        cost = median(costs[way.name])
        table.add(
            way.package,
            way.way,
            number(median(speeds[way.name])),
            number(cost) if cost else "",
            ratio(median_ratio(speeds[way.name], best_speeds)) if compared else "",
            ratio(median_ratio(best_costs, costs[way.name])) if compared and cost else "",
        )
    return table
