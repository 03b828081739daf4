"""The connectors of one client: the one that all calls use, and those to servers that were chosen by address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import trio

from ..errors import ConfigError
from ..transport import Address, parse_address
from .connector import Connector
from .health import HealthTable, ServerHealth
from .routing import Router, Routing, router_for

__all__ = ["Connectors", "known_server"]


class MakeConnector(Protocol):
    """Makes a connector to the first server in a sequence that can be reached."""

    def __call__(self, servers: Sequence[Address], *, health: HealthTable) -> Connector: ...


class Connectors:
    """Makes a connector for a server when it is first chosen, and runs all of them.

    The mutable state is the connectors that were made.

    Attributes:
        any: connects to whichever server can be reached.
        router: spreads jobs over the servers; ``None`` where all go by `any`.
    """

    def __init__(
        self, servers: Sequence[Address], make: MakeConnector, nursery: trio.Nursery, *, routing: Routing
    ) -> None:
        """Make the first connector, to whichever server can be reached.

        Args:
            servers: those that may be chosen.
            make: makes a connector to the first server in a sequence that can be reached.
            nursery: runs the connectors; whoever owns it cancels it after `close`.
            routing: how jobs are spread over the servers.
        """
        self._servers = tuple(dict.fromkeys(servers))
        self._health = HealthTable(self._servers)
        self._make = make
        self._nursery = nursery
        self._chosen: dict[Address, Connector] = {}
        self.any = self._start(self._servers)
        self.router: Router | None = None
        if len(self._servers) == 1:
            self._chosen[self._servers[0]] = self.any
        elif routing is not Routing.FAILOVER:
            self.router = router_for(routing, [self.at(server) for server in self._servers], self._health)

    @property
    def crashed(self) -> bool:
        """Whether one of them ended by an error that no caller can be told."""
        return any(connector.crashed for connector in self._all())

    def at(self, server: str | Address) -> Connector:
        """The connector to one server.

        Raises:
            ConfigError: it is not among the servers of this client.
        """
        address = known_server(server, self._servers)
        connector = self._chosen.get(address)
        if connector is None:
            connector = self._chosen[address] = self._start([address])
            connector.options[:] = self.any.options
        return connector

    @property
    def server_count(self) -> int:
        """How many servers there are."""
        return len(self._servers)

    def report(self) -> tuple[ServerHealth, ...]:
        """What is known of each server now."""
        connections = [connector.connection for connector in self._all()]
        return self._health.report({each.address for each in connections if each is not None})

    def close(self) -> None:
        """End every call that still waits, with an error; later calls get one at once."""
        for connector in self._all():
            connector.close()

    def _start(self, servers: Sequence[Address]) -> Connector:
        connector = self._make(servers, health=self._health)
        self._nursery.start_soon(connector.keep)
        return connector

    def _all(self) -> list[Connector]:
        return [self.any, *self._chosen.values()]


def known_server(server: str | Address, servers: Sequence[Address]) -> Address:
    """The address of a server that is among those of a client.

    Raises:
        ConfigError: it is not.
    """
    address = parse_address(server) if isinstance(server, str) else server
    if address not in servers:
        known = ", ".join(map(str, servers))
        raise ConfigError(f"server: expected one of {known}, got {address}")
    return address
