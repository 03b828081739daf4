"""Ours and gearmand under the same loads, in turn.

Each load is a small script for the generator: what it does with a fresh job server, and the figures it gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median

import attrs

from .generator import Report, generate
from .processes import SERVERS, Running, open_server
from .rounds import median_ratio, run_rounds
from .tables import Table, number, ratio

__all__ = ["LOADS", "Load", "measure_loads"]

#: The fewest jobs that a load is scaled down to.
_FEWEST = 100


@attrs.frozen
class Load:
    """A load.

    Attributes:
        about: what it is, in a few words, with ``{jobs:,}`` for how many jobs there are where that says something.
        phases: the generator's runs, one after the other, over the same job server: what the figures are called, the
            mode, and its options.
    """

    about: str
    phases: Sequence[tuple[str, str, Mapping[str, int]]]


def _one(about: str, mode: str, **options: int) -> Load:
    return Load(about, [("", mode, options)])


_MILLION = 1_000_000

#: The loads by name, in the order of the table.
LOADS: Mapping[str, Load] = {
    "deep": _one("1 client, 100 jobs in flight, 1 worker", "run", jobs=50_000, depth=100),
    "wide": _one("10 clients, 10 in flight each, 10 workers", "run", jobs=50_000, clients=10, depth=10, workers=10),
    "alone": _one("1 client, 1 in flight, 1 worker", "run", jobs=5_000, depth=1),
    "many": _one("50 clients, 1 in flight each, 50 workers", "run", jobs=10_000, clients=50, depth=1, workers=50),
    "background": _one("background jobs, 1 worker beside", "spread", jobs=50_000, depth=100),
    "queue": Load(
        "{jobs:,} background jobs, then 1 worker",
        [("enqueue", "enqueue", {"jobs": 200_000}), ("drain", "drain", {"jobs": 200_000})],
    ),
    "large": _one("1 MB, 4 clients and 4 workers", "run", jobs=1_000, clients=4, depth=4, workers=4, size=1_000_000),
    "unique": Load(
        "{jobs:,} jobs with unique IDs",
        [("enqueue", "enqueue", {"jobs": _MILLION, "unique": 1}), ("drain", "drain", {"jobs": _MILLION})],
    ),
    "herd": _one("500 other workers sleep", "run", jobs=5_000, depth=1, sleepers=500),
    "idle": _one(
        "wide, beside 2,000 idle connections", "run", jobs=50_000, clients=10, depth=10, workers=10, idlers=2_000
    ),
    "memory": Load("a million queued jobs", [("", "enqueue", {"jobs": _MILLION})]),
}


@attrs.frozen
class _Sample:
    """The figures of one run of a load: a report for each phase, and the memory that the jobs took."""

    reports: Mapping[str, Report]
    memory_kib: int


def measure_loads(
    names: Sequence[str], rounds: int, scale: float, *, most: int = _MILLION, progress: Callable[[str], None]
) -> tuple[Table, Table]:
    """Put gearmand and gearman_trio under loads, in turn.

    Args:
        names: the loads, of `LOADS`.
        rounds: how often each is measured.
        scale: by which the numbers of jobs are multiplied.
        most: how many jobs a load may have.
        progress: told of each run before it begins.

    Returns:
        The table of speed and cost, and that of memory.

    Raises:
        Missing: gearmand or the C compiler is not there.
        RuntimeError: a job was lost, or came twice, or in the wrong order, or with another result.
    """
    speed = Table(
        f"gearman_trio beside gearmand, medians of {rounds} rounds",
        ["load", "what it is", "gearmand jobs/s", "ours", "ratio", "gearmand CPU us/job", "ours", "p99 by gearmand's"],
        2,
    )
    memory = Table("Memory of the job server", ["queued jobs", "gearmand MiB", "ours", "ours by gearmand's"])
    for name in names:
        load = LOADS[name]
        cases = {server: partial(_sample, server, load, scale, most) for server in SERVERS}
        samples = run_rounds(cases, rounds, progress=partial(_named, progress, name))
        if name == "memory":
            _add_memory(memory, samples)
            continue
        for phase, _, _ in load.phases:
            jobs = samples[SERVERS[0]][0].reports[phase].jobs
            _add_speed(speed, f"{name} {phase}".strip(), load.about.format(jobs=jobs), phase, samples)
    return speed, memory


def _named(progress: Callable[[str], None], load: str, message: str) -> None:
    progress(f"{load}, {message}")


def _sample(kind: str, load: Load, scale: float, most: int) -> _Sample:
    with open_server(kind) as server:
        before = _resident_kib(server)
        reports = {phase: _run(server, mode, options, scale, most) for phase, mode, options in load.phases}
    return _Sample(reports, next(reversed(reports.values())).resident_kib - before)


def _run(server: Running, mode: str, options: Mapping[str, int], scale: float, most: int) -> Report:
    jobs = min(most, max(_FEWEST, int(options["jobs"] * scale)))
    return generate(mode, server.port, watched=server, **{**options, "jobs": jobs})


def _resident_kib(server: Running) -> int:
    return generate("enqueue", server.port, watched=server, function="nothing", jobs=0).resident_kib


def _add_speed(table: Table, name: str, about: str, phase: str, samples: Mapping[str, Sequence[_Sample]]) -> None:
    def figures(server: str, figure: Callable[[Report], float]) -> list[float]:
        return [figure(sample.reports[phase]) for sample in samples[server]]

    theirs, ours = (figures(server, lambda report: report.jobs_per_second) for server in SERVERS)
    their_cost, our_cost = (figures(server, lambda report: report.cpu_us_per_job) for server in SERVERS)
    their_wait, our_wait = (figures(server, lambda report: report.p99_us) for server in SERVERS)
    table.add(
        name,
        about,
        number(median(theirs)),
        number(median(ours)),
        ratio(median_ratio(ours, theirs)),
        number(median(their_cost)),
        number(median(our_cost)),
        ratio(median_ratio(our_wait, their_wait)) if all(their_wait) else "",
    )


def _add_memory(table: Table, samples: Mapping[str, Sequence[_Sample]]) -> None:
    theirs, ours = ([sample.memory_kib / 1024 for sample in samples[server]] for server in SERVERS)
    jobs = next(iter(samples[SERVERS[0]][0].reports.values())).jobs
    table.add(f"{jobs:,}", number(median(theirs)), number(median(ours)), ratio(median_ratio(ours, theirs)))
