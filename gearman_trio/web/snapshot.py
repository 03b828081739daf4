"""A job server at one moment as what JSON can hold.

Names are bytes to the server.  Here they are text: UTF-8, with other bytes written ``\\xff``.  Times are epoch seconds,
whole ones where they are of rows, so that a row stays the same as long as what it tells does.
"""

from __future__ import annotations

import os
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from ..core import OUTCOMES, Failure, FunctionStatistics, Histogram, PeerStatistics
from ..server import Server, ServerStatistics, StoreStatistics
from .recent import Rates

__all__ = [
    "COUNTERS",
    "failure_value",
    "function_value",
    "memory_bytes",
    "package_version",
    "server_value",
    "store_value",
    "text",
    "worker_value",
]

#: Every count of `Counters`, in the order of its documentation.
COUNTERS: Final = (
    "connections",
    "submitted",
    "restored",
    "coalesced",
    "rejected",
    "refused",
    "assigned",
    "completed",
    "failed",
    "raised",
    "timed_out",
    "expired",
    "lost",
    "requeued",
    "cancelled",
    "abandoned",
    "received_bytes",
    "sent_bytes",
)


def text(name: bytes) -> str:
    """A name to show."""
    return name.decode("utf-8", "backslashreplace")


def function_value(function: FunctionStatistics, rates: Rates, clock: float) -> dict[str, Any]:
    """One function; ``stalled`` says that jobs are queued and no worker has the ability.

    Args:
        function: which.
        rates: how it has done lately.
        clock: epoch seconds minus monotonic seconds.
    """
    waiting_since = function.waiting_since
    return {
        "function": text(function.name),
        "high": function.high,
        "normal": function.normal,
        "low": function.low,
        "queued": function.queued,
        "scheduled": function.scheduled,
        "committing": function.committing,
        "fetching": function.fetching,
        "running": function.running,
        "workers": function.workers,
        "sleeping": function.sleeping,
        "paused": function.paused,
        "stalled": function.stalled,
        "waiting_since": None if waiting_since is None else round(clock + waiting_since),
        "in_per_second": None if rates.submitted is None else round(rates.submitted, 2),
        "out_per_second": None if rates.ended is None else round(rates.ended, 2),
        "wait_seconds": _quantiles(rates.waited),
        "run_seconds": _quantiles(rates.ran),
        "submitted": function.submitted,
        "coalesced": function.coalesced,
        "started": function.started,
        "requeued": function.requeued,
        "ended": dict(zip(OUTCOMES, function.ended, strict=True)),
        "failed": function.failed,
        "max_queue": list(function.limits),
        "held_bytes": function.held_bytes,
    }


def worker_value(peer: PeerStatistics, clock: float) -> dict[str, Any]:
    """One connection with abilities; `clock` is epoch seconds minus monotonic seconds."""
    return {
        "connection": peer.number,
        "address": peer.address,
        "client_id": text(peer.client_id),
        "abilities": [text(name) for name in peer.abilities],
        "running": peer.running,
        "sleeping": peer.sleeping,
        "outbox_bytes": peer.outbox_bytes,
        "received_bytes": peer.received_bytes,
        "sent_bytes": peer.sent_bytes,
        "connected_at": round(clock + peer.connected_at),
        "heard_at": round(clock + peer.heard_at),
    }


def failure_value(failure: Failure, clock: float) -> dict[str, Any]:
    """One job that failed; `clock` is epoch seconds minus monotonic seconds."""
    return {
        "handle": text(failure.handle),
        "function": text(failure.function),
        "unique": text(failure.unique),
        "outcome": failure.outcome,
        "reason": text(failure.reason),
        "client_id": text(failure.worker),
        "address": failure.address,
        "attempts": failure.attempts,
        "background": failure.background,
        "workload_bytes": failure.workload_bytes,
        "ran_seconds": None if failure.ran is None else round(failure.ran, 6),
        "ended_at": round(clock + failure.ended_at, 3),
    }


def store_value(store: StoreStatistics | None) -> dict[str, Any] | None:
    """Where jobs are stored."""
    if store is None:
        return None
    return {
        "name": store.name,
        "failure": store.failure,
        "refusing": store.refusing,
        "replaying": store.replaying,
        "commits": store.commits,
        "commit_seconds": _quantiles(store.committing),
        "lag_seconds": round(store.lag, 6),
        "added": store.added,
        "removed": store.removed,
        "restored": store.restored,
        "quarantined": store.quarantined,
    }


def server_value(server: Server, statistics: ServerStatistics) -> dict[str, Any]:
    """The server as a whole."""
    totals = statistics.totals
    return {
        "version": package_version(),
        "accepting": server.accepting,
        "replaying": server.replaying,
        "started_at": round(statistics.epoch - statistics.time + statistics.started_at),
        "addresses": [str(address) for address in server.addresses],
        "functions": totals.functions,
        "stalled": totals.stalled,
        "queued": totals.queued,
        "scheduled": totals.scheduled,
        "committing": totals.committing,
        "fetching": totals.fetching,
        "running": totals.running,
        "connections": totals.connections,
        "workers": totals.workers,
        "sleeping": totals.sleeping,
        "outbox_bytes": totals.outbox_bytes,
        "memory_bytes": memory_bytes(),
        "counters": {name: getattr(statistics.counters, name) for name in COUNTERS},
        "store": store_value(statistics.store),
    }


def memory_bytes() -> int | None:
    """How much memory this process has in use; ``None`` where the system does not say."""
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


@cache
def package_version() -> str:
    """Of gearman_trio; ``"0"`` where it is not installed."""
    try:
        return version("gearman-trio")
    except PackageNotFoundError:
        return "0"


def _quantiles(histogram: Histogram) -> dict[str, float | None]:
    """About how long half of them took at most, and all but a twentieth, in seconds; nothing where there are none."""
    if not histogram.counts:
        return {"p50": None, "p95": None}
    return {"p50": _rounded(histogram.quantile(0.5)), "p95": _rounded(histogram.quantile(0.95))}


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else float(f"{seconds:.3g}")
