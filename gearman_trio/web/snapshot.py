"""A job server at one moment as what JSON can hold.

Names are bytes to the server.  Here they are text: UTF-8, with other bytes written ``\\xff``.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from ..core import FunctionStatistics, PeerStatistics
from ..server import Server, ServerStatistics

__all__ = ["COUNTERS", "function_value", "package_version", "server_value", "text", "worker_value"]

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


def function_value(function: FunctionStatistics) -> dict[str, Any]:
    """One function; ``stalled`` says that jobs are queued and no worker has the ability."""
    return {
        "function": text(function.name),
        "high": function.high,
        "normal": function.normal,
        "low": function.low,
        "queued": function.queued,
        "scheduled": function.scheduled,
        "running": function.running,
        "workers": function.workers,
        "sleeping": function.sleeping,
        "paused": function.paused,
        "stalled": function.queued > 0 and not function.workers,
    }


def worker_value(peer: PeerStatistics) -> dict[str, Any]:
    """One connection with abilities."""
    return {
        "connection": peer.number,
        "address": peer.address,
        "client_id": text(peer.client_id),
        "abilities": [text(name) for name in peer.abilities],
        "running": peer.running,
        "sleeping": peer.sleeping,
        "outbox_bytes": peer.outbox_bytes,
    }


def server_value(server: Server, statistics: ServerStatistics) -> dict[str, Any]:
    """The server as a whole."""
    functions, peers = statistics.functions, statistics.peers
    return {
        "version": package_version(),
        "accepting": server.accepting,
        "addresses": [str(address) for address in server.addresses],
        "functions": len(functions),
        "stalled": sum(1 for function in functions if function.queued and not function.workers),
        "queued": sum(function.queued for function in functions),
        "scheduled": sum(function.scheduled for function in functions),
        "running": sum(function.running for function in functions),
        "connections": len(peers),
        "workers": sum(1 for peer in peers if peer.abilities),
        "sleeping": sum(1 for peer in peers if peer.sleeping),
        "outbox_bytes": sum(peer.outbox_bytes for peer in peers),
        "counters": {name: getattr(statistics.counters, name) for name in COUNTERS},
    }


def package_version() -> str:
    """Of gearman_trio; ``"0"`` where it is not installed."""
    try:
        return version("gearman-trio")
    except PackageNotFoundError:
        return "0"
