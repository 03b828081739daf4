"""What the web interface costs the jobs: the same load without it, with it, and while somebody looks at the page."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from http.client import HTTPConnection, HTTPException
from statistics import median

from .generator import Report, generate
from .loads import LOADS
from .processes import HOST, free_port, open_server
from .rounds import median_ratio, run_rounds
from .tables import Table, number, ratio

__all__ = ["measure_web"]

#: How often the page asks for the jobs of the view that is open, besides its stream of events.
_SECONDS = 1.0

_CASES = ("without --web", "with --web", "with the page open", "with the running jobs open")


def measure_web(rounds: int, scale: float, *, progress: Callable[[str], None]) -> Table:
    """Measure the load ``wide`` of `LOADS` in each case, in turn.

    Args:
        rounds: how often each is measured.
        scale: by which the number of jobs is multiplied.
        progress: told of each measurement before it is made.

    Raises:
        Missing: the C compiler is not there.
    """
    table = Table(
        f"The load wide with the web interface, medians of {rounds} rounds",
        ["case", "jobs/s", "by those without", "CPU us/job", "by those without"],
    )
    samples = run_rounds({case: partial(_report, case, scale) for case in _CASES}, rounds, progress=progress)
    speeds = {case: [report.jobs_per_second for report in samples[case]] for case in _CASES}
    costs = {case: [report.cpu_us_per_job for report in samples[case]] for case in _CASES}
    for case in _CASES:
        table.add(
            case,
            number(median(speeds[case])),
            ratio(median_ratio(speeds[case], speeds[_CASES[0]])),
            number(median(costs[case])),
            ratio(median_ratio(costs[case], costs[_CASES[0]])),
        )
    return table


def _report(case: str, scale: float) -> Report:
    ((_, mode, options),) = LOADS["wide"].phases
    web = free_port()
    arguments = [] if case == _CASES[0] else ["--web", f"{HOST}:{web}"]
    jobs = int(options["jobs"] * scale)
    # The port of the web interface is open before that of the jobs.
    with open_server("gearman_trio", *arguments) as server, _readers(case, web):
        return generate(mode, server.port, watched=server, **{**options, "jobs": jobs})


def _readers(case: str, port: int) -> AbstractContextManager[None]:
    return _reading(port, jobs=case == _CASES[3]) if case in _CASES[2:] else nullcontext()


@contextmanager
def _reading(port: int, *, jobs: bool) -> Iterator[None]:
    """Do for the length of a block what a page in a browser does.

    Args:
        port: of the web interface.
        jobs: whether it shows the running jobs, too.
    """
    ended = threading.Event()
    readers = [threading.Thread(target=_read_events, args=(port, ended))]
    if jobs:
        readers.append(threading.Thread(target=_ask_for_jobs, args=(port, ended)))
    for reader in readers:
        reader.start()
    try:
        yield
    finally:
        ended.set()
        for reader in readers:
            reader.join()


def _read_events(port: int, ended: threading.Event) -> None:
    connection = HTTPConnection(HOST, port, timeout=10.0)
    connection.request("GET", "/api/v1/events")
    answer = connection.getresponse()
    assert answer.status == 200, answer.status
    # One comes every second.
    while not ended.is_set() and answer.readline():
        pass
    connection.close()


def _ask_for_jobs(port: int, ended: threading.Event) -> None:
    connection = HTTPConnection(HOST, port, timeout=10.0)
    while not ended.wait(_SECONDS):
        try:
            connection.request("GET", "/api/v1/jobs?state=running&limit=100")
            connection.getresponse().read()
        except (OSError, HTTPException):
            # Idle connections are closed by the server; the next question opens another one.
            connection.close()
    connection.close()
