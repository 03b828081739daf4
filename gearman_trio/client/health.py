"""Which job servers can be expected to answer, as far as a client has learned."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import attrs
import trio

from ..transport import Address, Backoff

__all__ = ["Health", "HealthTable", "ServerHealth"]

#: A server that is being restarted is back within a second; one that is down for long is asked twice a minute.
_FIRST_SECONDS: Final = 0.2
_CAP_SECONDS: Final = 30.0


@attrs.frozen(kw_only=True)
class ServerHealth:
    """What a client knows of one job server.

    Attributes:
        address: the server.
        connected: whether there is a usable connection to it now.
        failures: how often it failed in a row: it could not be reached, or a connection was lost.
        reason: what went wrong last, while there are failures; else empty.
        retry_in: seconds until jobs may make the client try it again; 0 where they may now.
    """

    address: Address
    connected: bool
    failures: int
    reason: str
    retry_in: float


class Health:
    """The failures of one server, and when it is worth another try.

    Times are of Trio's clock. The mutable state is the failures in a row, the last reason, and when to try next.
    """

    __slots__ = ("_backoff", "_retry_at", "failures", "reason")

    def __init__(self) -> None:
        self._backoff = Backoff(first=_FIRST_SECONDS, cap=_CAP_SECONDS)
        self._retry_at = -math.inf
        self.failures = 0
        self.reason = ""

    @property
    def due(self) -> bool:
        """Whether it never failed, or its wait is over."""
        return self.failures == 0 or trio.current_time() >= self._retry_at

    @property
    def retry_in(self) -> float:
        """Seconds until it is due."""
        return 0.0 if self.failures == 0 else max(0.0, self._retry_at - trio.current_time())

    def failed(self, reason: str) -> None:
        """Wait longer than before until the next try."""
        self.failures += 1
        self.reason = reason
        self._retry_at = trio.current_time() + self._backoff.next_wait()

    def succeeded(self) -> None:
        """Forget all failures."""
        self.failures = 0
        self.reason = ""
        self._backoff.reset()


class HealthTable:
    """The health of all servers of one client, which its connectors share."""

    def __init__(self, servers: Iterable[Address]) -> None:
        self._by_server = {server: Health() for server in servers}

    def __getitem__(self, server: Address) -> Health:
        return self._by_server[server]

    def in_order(self, servers: Iterable[Address]) -> list[Address]:
        """Servers in the order in which to try them: those that wait come last, but are tried if no other answers."""
        return sorted(servers, key=lambda server: not self._by_server[server].due)

    def report(self, connected: set[Address]) -> tuple[ServerHealth, ...]:
        """What is known of each server, in the client's order."""
        return tuple(
            ServerHealth(
                address=server,
                connected=server in connected,
                failures=health.failures,
                reason=health.reason,
                retry_in=health.retry_in,
            )
            for server, health in self._by_server.items()
        )
