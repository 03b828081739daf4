"""Metrics for Prometheus, under the names that exporters for gearmand have established, and the counts of this server.

| established | is |
|---|---|
| `gearman_up` | 1 |
| `gearman_version_info{version}` | 1 |
| `gearman_jobs{function}` | all live jobs |
| `gearman_jobs_running{function}` | those that workers hold |
| `gearman_jobs_waiting{function}` | the others |
| `gearman_workers{function}` | connections with the ability |

The others are in `docs/how-to/watch-over-http.md`, and a test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Final

import attrs
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from ..core import BOUNDS, OUTCOMES, Counters, FunctionStatistics, Histogram
from ..server import ServerStatistics, StoreStatistics
from .snapshot import package_version, text

__all__ = ["OTHER_FUNCTIONS", "Metrics"]

#: The value of the label ``function`` for all functions together that have none of their own.
OTHER_FUNCTIONS: Final = "__other__"

_FUNCTION_GAUGES: Final[list[tuple[str, str, Callable[[FunctionStatistics], int]]]] = [
    (
        "gearman_jobs",
        "Live jobs of a function.",
        lambda f: f.queued + f.scheduled + f.committing + f.running,
    ),
    ("gearman_jobs_running", "Jobs that workers hold.", lambda f: f.running),
    (
        "gearman_jobs_waiting",
        "Jobs that no worker holds: queued and scheduled ones, and those that are being stored.",
        lambda f: f.queued + f.scheduled + f.committing,
    ),
    ("gearman_jobs_scheduled", "Jobs that wait for their time.", lambda f: f.scheduled),
    ("gearman_jobs_committing", "Jobs that wait to be stored.", lambda f: f.committing),
    (
        "gearman_jobs_fetching",
        "Queued jobs that a worker has grabbed, and that wait for their workload from the store.",
        lambda f: f.fetching,
    ),
    ("gearman_jobs_held_bytes", "How long the workloads of all live jobs are.", lambda f: f.held_bytes),
    ("gearman_workers", "Connections that have the ability.", lambda f: f.workers),
    ("gearman_workers_sleeping", "Connections with the ability that sleep.", lambda f: f.sleeping),
    ("gearman_function_paused", "Whether the function is paused.", lambda f: f.paused),
]

#: Of each function, and of all functions together: those that the server has forgotten are among the others.
_FUNCTION_COUNTERS: Final[list[tuple[str, str, Callable[[FunctionStatistics], int], Callable[[Counters], int]]]] = [
    ("gearman_jobs_submitted", "New jobs.", lambda f: f.submitted, lambda c: c.submitted),
    (
        "gearman_jobs_coalesced",
        "Submissions that joined a live job.",
        lambda f: f.coalesced,
        lambda c: c.coalesced,
    ),
    (
        "gearman_jobs_started",
        "Jobs given to workers, each attempt counted.",
        lambda f: f.started,
        lambda c: c.assigned,
    ),
    (
        "gearman_jobs_retried",
        "Jobs queued again after their worker was lost or their time was out.",
        lambda f: f.requeued,
        lambda c: c.requeued,
    ),
]

#: In the order of `OUTCOMES`.
_OUTCOMES: Final[list[Callable[[Counters], int]]] = [
    lambda c: c.completed,
    lambda c: c.failed,
    lambda c: c.raised,
    lambda c: c.expired,
    lambda c: c.lost,
    lambda c: c.cancelled,
    lambda c: c.abandoned,
    lambda c: c.refused,
]

_COUNTERS: Final[list[tuple[str, str, Callable[[Counters], int]]]] = [
    ("gearman_connections_accepted", "Connections since the start.", lambda c: c.connections),
    ("gearman_jobs_rejected", "Submissions answered with ERROR.", lambda c: c.rejected),
    ("gearman_jobs_restored", "Jobs of an earlier run that came back from the store.", lambda c: c.restored),
    ("gearman_jobs_timed_out", "Jobs whose CAN_DO_TIMEOUT passed.", lambda c: c.timed_out),
    ("gearman_received_bytes", "Bytes from all connections.", lambda c: c.received_bytes),
    ("gearman_sent_bytes", "Bytes to all connections.", lambda c: c.sent_bytes),
]

_HISTOGRAMS: Final[list[tuple[str, str, Callable[[FunctionStatistics], Histogram]]]] = [
    (
        "gearman_job_wait_seconds",
        "How long jobs were queued before a worker got them, each attempt counted.",
        lambda f: f.waited,
    ),
    ("gearman_job_run_seconds", "How long workers had the jobs that ended while they ran.", lambda f: f.ran),
]

#: The upper bounds of `Histogram` as Prometheus writes them.
_LIMITS: Final = [*map(str, BOUNDS), "+Inf"]


@attrs.frozen(eq=False)
class _Values(Collector):
    """Metrics that are there already."""

    metrics: Iterable[Metric]

    def collect(self) -> Iterable[Metric]:
        return self.metrics


class Metrics:
    """The metrics of a server as text. One exposition at a time.

    Args:
        functions: how many functions have label values of their own, those heard of first. Each is kept by Prometheus
            for as long as it keeps anything, so a program that makes up function names must not fill it. The rest is
            added up under `OTHER_FUNCTIONS`.
    """

    def __init__(self, *, functions: int) -> None:
        self._most = functions
        # The functions that have a label value of their own, and keep it: a count that went over from the others would
        # look as if all of theirs had begun anew.
        self._labels: dict[bytes, str] = {}
        self._process = ProcessCollector(registry=None)

    def exposition(self, statistics: ServerStatistics, lag: float | None = None) -> bytes:
        """Everything, in Prometheus' text format 0.0.4. With many functions this takes long: run it in a thread.

        Args:
            statistics: of the server; of its connections nothing is used.
            lag: that of `History.lag`.
        """
        registry = CollectorRegistry()
        registry.register(_Values(list(self._metrics(statistics, lag))))
        registry.register(self._process)
        return generate_latest(registry)

    def _metrics(self, statistics: ServerStatistics, lag: float | None) -> Iterator[Metric]:
        yield GaugeMetricFamily("gearman_up", "Whether the job server answers.", value=1)
        about = GaugeMetricFamily("gearman_version_info", "The version of the job server.", labels=["version"])
        about.add_metric([package_version()], 1)
        yield about
        labels = [self._label(function.name) for function in statistics.functions]
        yield from _function_gauges(statistics, labels)
        yield from _function_counters(statistics, labels)
        yield from _function_histograms(statistics.functions, labels)
        totals = statistics.totals
        yield GaugeMetricFamily("gearman_functions", "Functions that are known.", value=totals.functions)
        yield GaugeMetricFamily("gearman_connections", "Connections.", value=totals.connections)
        yield GaugeMetricFamily(
            "gearman_outbox_bytes", "What waits to be sent to all connections.", value=totals.outbox_bytes
        )
        for name, meaning, count in _COUNTERS:
            yield CounterMetricFamily(name, meaning, value=count(statistics.counters))
        if lag is not None:
            yield GaugeMetricFamily(
                "gearman_loop_lag_seconds", "How late the event loop was at most in the last minute.", value=lag
            )
        if statistics.store is not None:
            yield from _of_store(statistics.store)

    def _label(self, name: bytes) -> str:
        label = self._labels.get(name)
        if label is None:
            if len(self._labels) >= self._most:
                return OTHER_FUNCTIONS
            label = self._labels[name] = text(name)
        return label


def _function_gauges(statistics: ServerStatistics, labels: list[str]) -> Iterator[Metric]:
    functions = statistics.functions
    for name, meaning, value in _FUNCTION_GAUGES:
        yield _family(GaugeMetricFamily(name, meaning, labels=["function"]), _sums(labels, map(value, functions)))
    queued: dict[tuple[str, ...], int] = {}
    for label, function in zip(labels, functions, strict=True):
        for priority in ("high", "normal", "low"):
            queued[label, priority] = queued.get((label, priority), 0) + getattr(function, priority)
    yield _family(
        GaugeMetricFamily("gearman_jobs_queued", "Queued jobs by priority.", labels=["function", "priority"]), queued
    )
    oldest: dict[tuple[str, ...], float] = {(label,): 0.0 for label in labels}
    for label, function in zip(labels, functions, strict=True):
        if function.waiting_since is not None:
            oldest[label,] = max(oldest[label,], statistics.time - function.waiting_since)
    yield _family(
        GaugeMetricFamily(
            "gearman_queue_oldest_seconds", "How long the job waits that has waited longest.", labels=["function"]
        ),
        oldest,
    )


def _function_counters(statistics: ServerStatistics, labels: list[str]) -> Iterator[Metric]:
    functions, counters = statistics.functions, statistics.counters
    for name, meaning, of_function, of_all in _FUNCTION_COUNTERS:
        sums = _sums(labels, map(of_function, functions))
        _balance(sums, of_all(counters))
        yield _family(CounterMetricFamily(name, meaning, labels=["function"]), sums)
    ended: dict[tuple[str, ...], int] = {}
    for place, (outcome, count) in enumerate(zip(OUTCOMES, _OUTCOMES, strict=True)):
        sums = _sums(labels, (function.ended[place] for function in functions))
        _balance(sums, count(counters))
        ended.update({(label, outcome): total for (label,), total in sums.items()})
    completed = CounterMetricFamily(
        "gearman_jobs_completed", "Jobs that ended, by outcome.", labels=["function", "outcome"]
    )
    yield _family(completed, ended)


def _function_histograms(functions: Sequence[FunctionStatistics], labels: list[str]) -> Iterator[Metric]:
    for name, meaning, value in _HISTOGRAMS:
        sums: dict[str, tuple[list[int], float]] = {}
        for label, function in zip(labels, functions, strict=True):
            histogram = value(function)
            if histogram.counts:
                counts, seconds = sums.get(label, ([0] * len(_LIMITS), 0.0))
                added = [one + other for one, other in zip(counts, histogram.counts, strict=True)]
                sums[label] = (added, seconds + histogram.seconds)
        family = HistogramMetricFamily(name, meaning, labels=["function"])
        for label, (counts, seconds) in sums.items():
            family.add_metric([label], _buckets(counts), seconds)
        yield family


def _of_store(store: StoreStatistics) -> Iterator[Metric]:
    yield GaugeMetricFamily("gearman_store_up", "Whether the last commit succeeded.", value=not store.failure)
    yield GaugeMetricFamily(
        "gearman_store_refusing", "Whether jobs that are to be stored are refused.", value=store.refusing
    )
    yield GaugeMetricFamily(
        "gearman_store_replaying", "Whether jobs of earlier runs are to come.", value=store.replaying
    )
    yield GaugeMetricFamily(
        "gearman_store_lag_seconds", "How long something waits to be stored since the last commit.", value=store.lag
    )
    yield CounterMetricFamily("gearman_store_jobs_added", "Jobs that commits added.", value=store.added)
    yield CounterMetricFamily("gearman_store_jobs_removed", "Jobs that commits removed.", value=store.removed)
    yield CounterMetricFamily("gearman_store_rows_quarantined", "Rows that were no jobs.", value=store.quarantined)
    counts = store.committing.counts or [0] * len(_LIMITS)
    yield HistogramMetricFamily(
        "gearman_store_commit_seconds",
        "How long commits took, each of a batch of jobs.",
        buckets=_buckets(counts),
        sum_value=store.committing.seconds,
    )


def _sums(labels: list[str], values: Iterable[int]) -> dict[tuple[str, ...], int]:
    """The sum of the values of each label."""
    sums: dict[tuple[str, ...], int] = {}
    for label, value in zip(labels, values, strict=True):
        sums[label,] = sums.get((label,), 0) + value
    return sums


def _balance(sums: dict[tuple[str, ...], int], total: int) -> None:
    """Put what is missing of all functions among the others, since functions are forgotten and counts are not."""
    named = sum(sums.values()) - sums.get((OTHER_FUNCTIONS,), 0)
    if total > named or (OTHER_FUNCTIONS,) in sums:
        sums[OTHER_FUNCTIONS,] = max(total - named, 0)


def _family(
    family: GaugeMetricFamily | CounterMetricFamily, rows: dict[tuple[str, ...], int] | dict[tuple[str, ...], float]
) -> Metric:
    """A family with a value for each row of label values."""
    for values, value in rows.items():
        family.add_metric(list(values), float(value))
    return family


def _buckets(counts: list[int]) -> list[tuple[str, float]]:
    return list(zip(_LIMITS, map(float, accumulate(counts)), strict=True))
