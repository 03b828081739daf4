"""Which of several job servers gets a job.

Each server has a connector of its own.  A server that failed is passed over, at no delay: once its back-off is over, a
job that would have gone there makes the client try it again, but goes elsewhere itself.  Only where no server is known
to be good do jobs wait, for whichever answers first.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

import trio

from ..errors import ConfigError, ServersUnavailable
from ..transport import Address
from .connector import Connection, Connector
from .health import HealthTable
from .ketama import Ring

__all__ = ["Router", "Routing", "check_routing", "router_for"]


class Routing(StrEnum):
    """How jobs are spread over several servers; each is equal to its name as a string."""

    FAILOVER = "failover"
    ROUND_ROBIN = "round-robin"
    KETAMA = "ketama"


class _Order(Protocol):
    """The order in which servers are asked to take a job."""

    def order(self, unique: bytes) -> Sequence[int]:
        """The indexes of all servers, the preferred one first."""
        ...

    def chose(self, index: int) -> None:
        """Note which server got it."""
        ...


class _RoundRobin:
    """Each server in turn. The mutable state is whose turn it is."""

    def __init__(self, count: int) -> None:
        self._orders = [[*range(first, count), *range(first)] for first in range(count)]
        self._turn = 0

    def order(self, unique: bytes) -> Sequence[int]:
        return self._orders[self._turn]

    def chose(self, index: int) -> None:
        # Not simply the next number: the one after a server that is down would get twice as much.
        self._turn = (index + 1) % len(self._orders)


class _Ketama:
    """The owner of the unique ID; without one, the servers as they stand."""

    def __init__(self, servers: Sequence[Address]) -> None:
        self._ring = Ring(servers)
        self._as_given = range(len(servers))

    def order(self, unique: bytes) -> Sequence[int]:
        return self._ring.order(unique) if unique else self._as_given

    def chose(self, index: int) -> None:
        pass


class Router:
    """Finds a connection for each job.

    Attributes:
        connectors: one for each server, in the client's order.
    """

    def __init__(self, connectors: Sequence[Connector], health: HealthTable, order: _Order) -> None:
        self.connectors = tuple(connectors)
        self._health = health
        self._order = order

    def any_connection(self) -> Connection | None:
        """The first connection, by the order of the servers, that is usable now."""
        return next((found for each in self.connectors if (found := each.connection) is not None), None)

    def connection_now(self, unique: bytes) -> Connection | None:
        """The connection that `connection` would give without waiting; ``None`` where it would wait."""
        for index in self._order.order(unique):
            connector = self.connectors[index]
            connection = connector.connection
            if connection is not None:
                self._order.chose(index)
                return connection
            if self._health[connector.server].failures == 0:
                return None
            self._try_again(connector)
        return None

    async def connection(self, unique: bytes) -> Connection:
        """Wait for a connection to the server that a job with this unique ID should go to.

        Raises:
            ServersUnavailable: no server could be reached, or the client is closed.
        """
        order = self._order.order(unique)
        for index in order:
            connection = await self._known_good(self.connectors[index])
            if connection is not None:
                self._order.chose(index)
                return connection
        return await self._first_to_answer([self.connectors[index] for index in order])

    async def question_connection(self) -> Connection:
        """Wait for a connection to the first server that answers, for a question that is not about a unique ID.

        Raises:
            ServersUnavailable: as for `connection`.
        """
        for connector in self.connectors:
            connection = await self._known_good(connector)
            if connection is not None:
                return connection
        return await self._first_to_answer(self.connectors)

    async def _known_good(self, connector: Connector) -> Connection | None:
        connection = connector.connection
        if connection is not None:
            return connection
        if self._health[connector.server].failures == 0:
            try:
                return await connector.connected()
            except ServersUnavailable:
                return None
        self._try_again(connector)
        return None

    def _try_again(self, connector: Connector) -> None:
        """Have a server that failed tried beside the jobs, if its back-off is over."""
        if self._health[connector.server].due:
            connector.want()

    async def _first_to_answer(self, connectors: Sequence[Connector]) -> Connection:
        """Try all at once, whatever their back-off."""
        found: list[Connection] = []
        causes: dict[Connector, tuple[str, ...]] = {}

        async def ask(connector: Connector, scope: trio.CancelScope) -> None:
            try:
                found.append(connector.connection or await connector.connected())
            except ServersUnavailable as exc:
                causes[connector] = exc.causes
            else:
                scope.cancel()

        async with trio.open_nursery() as nursery:
            for connector in connectors:
                nursery.start_soon(ask, connector, nursery.cancel_scope)
        if found:
            return found[0]
        raise ServersUnavailable([cause for each in connectors for cause in causes[each]])


def router_for(routing: str, connectors: Sequence[Connector], health: HealthTable) -> Router:
    """The router of ``"round-robin"`` or ``"ketama"``."""
    order: _Order
    if routing == Routing.KETAMA:
        order = _Ketama([connector.server for connector in connectors])
    else:
        order = _RoundRobin(len(connectors))
    return Router(connectors, health, order)


def check_routing(routing: str) -> Routing:
    """Raise `ConfigError` where there is no such routing."""
    try:
        return Routing(routing)
    except ValueError:
        known = ", ".join(repr(str(each)) for each in Routing)
        raise ConfigError(f"routing: expected one of {known}, got {routing!r}") from None
