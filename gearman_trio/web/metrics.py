"""Metrics for Prometheus, under the names that exporters for gearmand have established, and the counts of this server.

| established | is |
|---|---|
| `gearman_up` | 1 |
| `gearman_version_info{version}` | 1 |
| `gearman_jobs{function}` | all live jobs |
| `gearman_jobs_running{function}` | those that workers hold |
| `gearman_jobs_waiting{function}` | the others |
| `gearman_workers{function}` | connections with the ability |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import attrs
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ..core import Counters, FunctionStatistics
from ..server import ServerStatistics
from .snapshot import package_version, text

__all__ = ["OTHER_FUNCTIONS", "Metrics"]

#: The value of the label ``function`` for all functions together that have none of their own.
OTHER_FUNCTIONS: Final = "__other__"

_FUNCTION_GAUGES: Final[list[tuple[str, str, Callable[[FunctionStatistics], int]]]] = [
    ("gearman_jobs", "Live jobs of a function.", lambda f: f.queued + f.scheduled + f.running),
    ("gearman_jobs_running", "Jobs that workers hold.", lambda f: f.running),
    (
        "gearman_jobs_waiting",
        "Jobs that no worker holds: queued ones and scheduled ones.",
        lambda f: f.queued + f.scheduled,
    ),
    ("gearman_jobs_scheduled", "Jobs that wait for their time.", lambda f: f.scheduled),
    ("gearman_workers", "Connections that have the ability.", lambda f: f.workers),
    ("gearman_workers_sleeping", "Connections with the ability that sleep.", lambda f: f.sleeping),
    ("gearman_function_paused", "Whether the function is paused.", lambda f: f.paused),
]

_COUNTERS: Final[list[tuple[str, str, Callable[[Counters], int]]]] = [
    ("gearman_connections_accepted", "Connections since the start.", lambda c: c.connections),
    ("gearman_jobs_submitted", "New jobs.", lambda c: c.submitted),
    ("gearman_jobs_coalesced", "Submissions that joined a live job.", lambda c: c.coalesced),
    ("gearman_jobs_rejected", "Submissions answered with ERROR.", lambda c: c.rejected),
    ("gearman_jobs_started", "Jobs given to workers, each attempt counted.", lambda c: c.assigned),
    (
        "gearman_jobs_retried",
        "Jobs queued again after their worker was lost or their time was out.",
        lambda c: c.requeued,
    ),
    ("gearman_jobs_timed_out", "Jobs whose CAN_DO_TIMEOUT passed.", lambda c: c.timed_out),
]

_OUTCOMES: Final[list[tuple[str, Callable[[Counters], int]]]] = [
    ("complete", lambda c: c.completed),
    ("fail", lambda c: c.failed),
    ("exception", lambda c: c.raised),
    ("timed_out", lambda c: c.expired),
    ("lost", lambda c: c.lost),
    ("cancelled", lambda c: c.cancelled),
    ("abandoned", lambda c: c.abandoned),
]


@attrs.frozen(eq=False)
class _Values(Collector):
    """Metrics that are there already."""

    metrics: Iterable[Metric]

    def collect(self) -> Iterable[Metric]:
        return self.metrics


class Metrics:
    """The metrics of a server as text.

    Args:
        functions: how many functions have label values of their own, those heard of first. Each is kept by Prometheus
            for as long as it keeps anything, so a program that makes up function names must not fill it. The rest is
            added up under `OTHER_FUNCTIONS`.
    """

    def __init__(self, *, functions: int) -> None:
        self._functions = functions

    def exposition(self, statistics: ServerStatistics) -> bytes:
        """Everything, in Prometheus' text format 0.0.4. With many functions this takes long: run it in a thread."""
        registry = CollectorRegistry()
        registry.register(_Values(list(self._metrics(statistics))))
        return generate_latest(registry)

    def _metrics(self, statistics: ServerStatistics) -> Iterator[Metric]:
        yield GaugeMetricFamily("gearman_up", "Whether the job server answers.", value=1)
        about = GaugeMetricFamily("gearman_version_info", "The version of the job server.", labels=["version"])
        about.add_metric([package_version()], 1)
        yield about
        yield from self._of_functions(statistics.functions)
        peers = statistics.peers
        yield GaugeMetricFamily("gearman_functions", "Functions that are known.", value=len(statistics.functions))
        yield GaugeMetricFamily("gearman_connections", "Connections.", value=len(peers))
        unsent = sum(peer.outbox_bytes for peer in peers)
        yield GaugeMetricFamily("gearman_outbox_bytes", "What waits to be sent to all connections.", value=unsent)
        for name, meaning, count in _COUNTERS:
            yield CounterMetricFamily(name, meaning, value=count(statistics.counters))
        outcomes = CounterMetricFamily("gearman_jobs_completed", "Jobs that ended, by outcome.", labels=["outcome"])
        for outcome, count in _OUTCOMES:
            outcomes.add_metric([outcome], count(statistics.counters))
        yield outcomes

    def _of_functions(self, functions: list[FunctionStatistics]) -> Iterator[Metric]:
        labels = [self._label(place, function) for place, function in enumerate(functions)]
        for name, meaning, value in _FUNCTION_GAUGES:
            sums = dict.fromkeys(labels, 0)
            for label, function in zip(labels, functions, strict=True):
                sums[label] += value(function)
            yield _family(name, meaning, ["function"], ((label, total) for label, total in sums.items()))
        queued: dict[tuple[str, str], int] = {}
        for label, function in zip(labels, functions, strict=True):
            for priority in ("high", "normal", "low"):
                queued[label, priority] = queued.get((label, priority), 0) + getattr(function, priority)
        rows = ((label, priority, total) for (label, priority), total in queued.items())
        yield _family("gearman_jobs_queued", "Queued jobs by priority.", ["function", "priority"], rows)

    def _label(self, place: int, function: FunctionStatistics) -> str:
        return text(function.name) if place < self._functions else OTHER_FUNCTIONS


def _family(name: str, meaning: str, labels: list[str], rows: Iterable[Sequence[str | int]]) -> Metric:
    """A gauge with a value for each row, which is its label values and then the value."""
    family = GaugeMetricFamily(name, meaning, labels=labels)
    for *values, value in rows:
        family.add_metric([str(each) for each in values], float(value))
    return family
