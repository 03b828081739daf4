"""Jobs per second against the length of the queue, and against the number of sleeping workers, for both job servers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import inf, isnan, nan
from pathlib import Path
from statistics import median
from time import monotonic

import attrs

from .generator import generate
from .processes import ROOT, SERVERS, Missing, open_server
from .rounds import run_rounds
from .tables import Table, number

__all__ = ["Curve", "draw", "measure_queue", "measure_sleepers"]

#: How many jobs are taken from a queue: enough to measure its beginning, few enough not to shorten it much.
_TAKEN = 1_000


@attrs.frozen(kw_only=True)
class Curve:
    """One figure of both servers by one quantity.

    Attributes:
        title: what it shows.
        across: the quantity's name.
        quantities: its values.
        figures: jobs per second, by the name of the line, in the order of the quantities; NaN where none was taken.
    """

    title: str
    across: str
    quantities: Sequence[int]
    figures: Mapping[str, Sequence[float]]

    def table(self) -> Table:
        """The numbers that are drawn."""
        table = Table(self.title, [self.across, *(f"{name}, jobs/s" for name in self.figures)])
        for index, quantity in enumerate(self.quantities):
            figures = [line[index] for line in self.figures.values()]
            table.add(f"{quantity:,}", *("" if isnan(figure) else number(figure) for figure in figures))
        return table


def measure_queue(
    lengths: Sequence[int], rounds: int, *, patience: float = inf, progress: Callable[[str], None]
) -> Curve:
    """Measure how fast jobs get into and out of a queue that is so long already.

    Args:
        lengths: of the queue, in jobs with unique IDs.
        rounds: how often each length is measured.
        patience: a server that took longer than so many seconds is not measured at greater lengths.
        progress: told of each measurement before it is made.

    Raises:
        Missing: gearmand or the C compiler is not there.
    """
    figures: dict[str, list[float]] = {f"{server} {what}": [] for server in SERVERS for what in ("enqueue", "drain")}
    slow: set[str] = set()
    for length in lengths:
        cases = {server: partial(_queue_speeds, server, length) for server in SERVERS if server not in slow}
        samples = run_rounds(cases, rounds, progress=partial(_said, progress, f"{length:,} queued jobs"))
        for server in SERVERS:
            speeds = samples.get(server, [(nan, nan, 0.0)])
            figures[f"{server} enqueue"].append(median(enqueue for enqueue, _, _ in speeds))
            figures[f"{server} drain"].append(median(drain for _, drain, _ in speeds))
            if max(seconds for _, _, seconds in speeds) > patience:
                slow.add(server)
    return Curve(title="Speed by the length of the queue", across="queued jobs", quantities=lengths, figures=figures)


def measure_sleepers(counts: Sequence[int], rounds: int, jobs: int, *, progress: Callable[[str], None]) -> Curve:
    """Measure jobs one at a time while other workers sleep on the same function.

    Args:
        counts: how many of them there are.
        rounds: how often each number is measured.
        jobs: how many jobs are run each time.
        progress: told of each measurement before it is made.

    Raises:
        Missing: gearmand or the C compiler is not there.
    """
    figures: dict[str, list[float]] = {server: [] for server in SERVERS}
    for count in counts:
        cases = {server: partial(_sleepers_speed, server, count, jobs) for server in SERVERS}
        samples = run_rounds(cases, rounds, progress=partial(_said, progress, f"{count:,} sleepers"))
        for server in SERVERS:
            figures[server].append(median(samples[server]))
    return Curve(title="Speed by sleeping workers", across="sleepers", quantities=counts, figures=figures)


def draw(curve: Curve, name: str, directory: Path = ROOT / "docs" / "_static") -> Path:
    """Draw a curve as a picture of the documentation, and give its path.

    Raises:
        Missing: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 one picture needs it, and the tables do not
    except ImportError:
        raise Missing("matplotlib is not installed: it is part of the extra [bench]") from None
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    for label, line in curve.figures.items():
        axes.plot(curve.quantities, line, marker="o", label=label)
    # Zero sleepers have a place on it, too.
    axes.set_xscale("symlog" if 0 in curve.quantities else "log")
    axes.set_yscale("log")
    axes.set_xlabel(curve.across)
    axes.set_ylabel("jobs/s")
    axes.set_title(curve.title)
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    path = directory / f"performance-{name}.svg"
    # Without a date the same figures give the same picture.
    figure.savefig(path, metadata={"Date": None})
    return path


def _said(progress: Callable[[str], None], what: str, message: str) -> None:
    progress(f"{what}, {message}")


def _queue_speeds(kind: str, length: int) -> tuple[float, float, float]:
    """Jobs per second into the queue and out of it, and how many seconds that took together."""
    with open_server(kind) as server:
        begin = monotonic()
        enqueue = generate("enqueue", server.port, jobs=length, unique=1)
        drain = generate("drain", server.port, jobs=min(length, _TAKEN))
        seconds = monotonic() - begin
    return enqueue.jobs_per_second, drain.jobs_per_second, seconds


def _sleepers_speed(kind: str, count: int, jobs: int) -> float:
    with open_server(kind) as server:
        return generate("run", server.port, jobs=jobs, depth=1, sleepers=count).jobs_per_second
