"""Stored jobs: ours and gearmand with the same databases, how soon they come back, and queues larger than memory."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import attrs

from gearman_trio.core import Batch
from gearman_trio.storage import make_store

from .databases import Backend, open_backend
from .drivers.commits import stored_job
from .generator import Report, generate
from .processes import HOST, SERVERS, Running, open_process, open_server
from .rounds import median_ratio, run_rounds
from .tables import Table, number, ratio

__all__ = ["compare_stores", "measure_foreground", "measure_replay", "measure_spilling"]

#: gearmand commits once for each job, so it gets fewer, and figures that are jobs per second all the same.
_FEWER = 200

#: Jobs to a batch where a store is filled.
_FILL = 10_000

_WORKLOAD_BYTES = 32

#: Background jobs a second beside the foreground jobs.
_RATE = 1_000

_KIB = 1024
_MEGABYTE = 1_000_000

_Tell = Callable[[str], None]


@attrs.frozen
class _Figures:
    """One job server with one database: jobs that come by one client and by sixteen, that go, and that come alone."""

    one: Report
    many: Report
    drain: Report
    single: Report


def compare_stores(names: Sequence[str], rounds: int, jobs: int, *, progress: _Tell) -> Table:
    """Background jobs stored by gearmand and by gearman_trio in the same database, in turn.

    Args:
        names: of `databases.BACKENDS`.
        rounds: how often each is measured.
        jobs: how many of each kind ours stores; gearmand stores a 200th of it.
        progress: told of each run before it begins.

    Raises:
        Missing: a program is not installed.
        RuntimeError: a job was lost, or came twice, or in the wrong order.
    """
    table = Table(
        f"Stored jobs, full durability, medians of {rounds} rounds",
        ["database", "what", "gearmand", "ours", "ratio", "ours, CPU us/job"],
        2,
    )
    for name in names:
        with open_backend(name) as backend:
            cases = {server: partial(_figures, server, backend, jobs) for server in SERVERS}
            samples = run_rounds(cases, rounds, progress=partial(_named, progress, name))
        theirs, ours = samples[SERVERS[0]], samples[SERVERS[1]]
        for what, phase in _PHASES:
            speeds = [[phase(each).jobs_per_second for each in side] for side in (theirs, ours)]
            cost = median([phase(each).cpu_us_per_job for each in ours])
            factor = ratio(median_ratio(speeds[1], speeds[0]))
            table.add(
                name, f"{what}, jobs/s", number(median(speeds[0])), number(median(speeds[1])), factor, number(cost)
            )
        for what, wait in _WAITS:
            waits = [[wait(each) for each in side] for side in (theirs, ours)]
            factor = ratio(median_ratio(waits[1], waits[0]))
            table.add(name, f"a single job, {what} ms", number(median(waits[0])), number(median(waits[1])), factor, "")
    return table


_PHASES: Sequence[tuple[str, Callable[[_Figures], Report]]] = [
    ("enqueue, 1 client, 100 in flight", lambda figures: figures.one),
    ("enqueue, 16 clients, 100 in flight each", lambda figures: figures.many),
    ("drain, 1 worker", lambda figures: figures.drain),
]

_WAITS: Sequence[tuple[str, Callable[[_Figures], float]]] = [
    ("p50", lambda figures: figures.single.p50_us / 1000),
    ("p99", lambda figures: figures.single.p99_us / 1000),
]


def _named(progress: _Tell, name: str, message: str) -> None:
    progress(f"{name}, {message}")


def _figures(kind: str, backend: Backend, jobs: int) -> _Figures:
    ours = kind == "gearman_trio"
    options = ["--store", backend.url] if ours else backend.gearmand
    count = jobs if ours else max(100, jobs // _FEWER)
    with open_server(kind, *options) as server:
        one, drain = (
            generate(mode, server.port, watched=server, function="one", jobs=count, depth=100, unique=1)
            for mode in ("enqueue", "drain")
        )
        many, _ = (
            generate(mode, server.port, watched=server, function="many", jobs=count, clients=16, depth=100, unique=1)
            for mode in ("enqueue", "drain")
        )
        single, _ = (
            generate(mode, server.port, watched=server, function="single", jobs=200, depth=1, unique=1)
            for mode in ("enqueue", "drain")
        )
    return _Figures(one, many, drain, single)


def measure_foreground(rounds: int, jobs: int, *, progress: _Tell) -> Table:
    """Foreground jobs, one after the other, beside background jobs at a steady rate that are stored, or are not.

    That the disk and the processors are busy costs everybody, so it is measured too with the jobs in memory, and
    another program that stores as many.
    """
    table = Table(
        f"Foreground jobs beside {_RATE:,} background jobs/s, medians of {rounds} rounds",
        ["background jobs", "p50 us", "p99 us", "p99 by that in memory"],
    )
    with TemporaryDirectory(prefix="gearman-benchmark-") as folder:
        cases = {
            "none": partial(_foreground, "memory:", 0, jobs),
            "in memory": partial(_foreground, "memory:", _RATE, jobs),
            "in memory, and as many stored by another program": partial(
                _foreground, "memory:", _RATE, jobs, beside=f"sqlite:{folder}/others.db"
            ),
            "in SQLite": partial(_foreground, f"sqlite:{folder}/jobs.db", _RATE, jobs),
        }
        samples = run_rounds(cases, rounds, progress=progress)
    for name, reports in samples.items():
        others = [report.p99_us for report in samples["in memory"]]
        waits = [report.p99_us for report in reports]
        halves = median([report.p50_us for report in reports])
        table.add(name, number(halves), number(median(waits)), ratio(median_ratio(waits, others)))
    return table


def _foreground(url: str, rate: int, jobs: int, *, beside: str = "") -> Report:
    with ExitStack() as stack:
        server = stack.enter_context(open_server("gearman_trio", "--store", url))
        if rate:
            stack.enter_context(open_process(_driver("steady", HOST, server.port, rate)))
            _wait_for_jobs(server)
        if beside:
            stack.enter_context(open_process(_driver("commits", beside, rate), speaks=True))
        return generate("run", server.port, watched=server, jobs=jobs, depth=1)


def _driver(name: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.drivers.{name}", *map(str, arguments)]


def _wait_for_jobs(server: Running) -> None:
    """Until the steady jobs come."""
    while b"steady" not in _ask(server, b"status"):
        time.sleep(0.02)


def _ask(server: Running, command: bytes) -> bytes:
    """The answer to an administrative command; a server that has just started gives it when its jobs are back."""
    with socket.create_connection((HOST, server.port)) as connection:
        connection.sendall(command + b"\n")
        return connection.recv(65536)


def measure_replay(names: Sequence[str], jobs: int, *, progress: _Tell) -> Table:
    """How long a server takes to start with jobs in its store, and what memory they take."""
    table = Table(
        f"A start with {jobs:,} stored jobs of {_WORKLOAD_BYTES} bytes",
        ["database", "seconds", "jobs/s", "bytes a job"],
    )
    for name in names:
        with open_backend(name) as backend:
            progress(f"{name}: an empty one")
            empty, seconds_empty = _start(backend.url)
            progress(f"{name}: filling it")
            _fill(backend.url, jobs, bytes(_WORKLOAD_BYTES))
            progress(f"{name}: starting with it")
            full, seconds = _start(backend.url)
        seconds -= seconds_empty
        table.add(name, number(seconds), number(jobs / seconds), number((full - empty) * _KIB / jobs))
    return table


def _start(url: str, *options: str) -> tuple[int, float]:
    """The resident memory of a server that has just started, in KiB, and how many seconds that took."""
    begun = time.monotonic()
    with open_server("gearman_trio", "--store", url, *options) as server:
        _ask(server, b"version")
        return _memory_kib(server, "VmRSS"), time.monotonic() - begun


def _memory_kib(server: Running, field: str) -> int:
    lines = Path(f"/proc/{server.pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def _fill(url: str, jobs: int, workload: bytes) -> None:
    store = make_store(url)
    assert store is not None
    row = store.open("benchmark").next_row
    for start in range(0, jobs, _FILL):
        batch = Batch(1)
        batch.adds = [stored_job(row + index, workload) for index in range(start, min(start + _FILL, jobs))]
        store.commit(batch)
    store.close()


def measure_spilling(megabytes: int, *, progress: _Tell) -> Table:
    """A queue of workloads of a megabyte, with and without ``--spill-bytes``, in SQLite: speed and memory."""
    table = Table(
        f"A queue of {megabytes:,} MB in SQLite",
        ["--spill-bytes", "enqueue MB/s", "MiB then", "start s", "MiB then", "drain MB/s", "most MiB"],
    )
    for option, shown in (("0", "none"), ("4096", "4,096")):
        progress(f"--spill-bytes {option}")
        with TemporaryDirectory(prefix="gearman-benchmark-") as folder:
            arguments = ["--store", f"sqlite:{folder}/jobs.db", "--spill-bytes", option]
            with open_server("gearman_trio", *arguments) as server:
                coming = _megabytes(server, "enqueue", megabytes)
                most = _memory_kib(server, "VmHWM")
            begun = time.monotonic()
            with open_server("gearman_trio", *arguments) as server:
                _ask(server, b"version")
                seconds = time.monotonic() - begun
                after = _memory_kib(server, "VmRSS")
                going = _megabytes(server, "drain", megabytes)
                most = max(most, _memory_kib(server, "VmHWM"))
        table.add(
            shown,
            number(coming.jobs_per_second),
            number(coming.resident_kib / _KIB),
            number(seconds),
            number(after / _KIB),
            number(going.jobs_per_second),
            number(most / _KIB),
        )
    return table


def _megabytes(server: Running, mode: str, count: int) -> Report:
    return generate(mode, server.port, watched=server, jobs=count, clients=4, depth=4, workers=2, size=_MEGABYTE)
