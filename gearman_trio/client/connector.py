"""The one connection of a client: made when it is first needed, shared by all callers, made again after a loss."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Final

import trio

from ..errors import ConfigError, GearmanError, ServersUnavailable
from ..protocol import PacketType, encode_request
from ..transport import IN_PROCESS, UNREACHABLE, Address, Connect, PacketLink, why_unreachable
from .health import HealthTable
from .session import APART, Request, Session

__all__ = ["Connection", "Connector", "encode_option"]

_log = logging.getLogger(__name__)

#: How long one server may take until it is connected to and has answered the options, before the next one is tried.
#: libgearman has GEARMAN_DEFAULT_CONNECT_TIMEOUT, 4 s, and does not use it; TLS over a bad line takes longer.
_ATTEMPT_SECONDS: Final = 10.0

_CLOSED: Final = "the client was closed"


class Connection:
    """One connection while it lives: packets go out by its link, and what comes in is matched by its session."""

    __slots__ = ("address", "link", "session")

    def __init__(self, address: Address, link: PacketLink) -> None:
        self.address = address
        self.link = link
        self.session = Session(str(address))

    def request(self, packet: bytes, request: Request) -> None:
        """Send a packet that will be answered; never waits."""
        self.session.expect(request)
        self.link.send(packet)
        request.number = self.link.packets_queued

    def lose(self, reason: str) -> None:
        """End everything that still waits on this connection with an error."""
        self.session.lose(reason, self.link.packets_begun)


class _Attempt:
    """One try at all servers, which every caller of that moment waits for."""

    __slots__ = ("causes", "connection", "done")

    def __init__(self) -> None:
        self.done = trio.Event()
        self.connection: Connection | None = None
        self.causes: list[str] = []


class _Greeting:
    """What a new connection begins with, the client ID and the options; it is usable once all options are agreed to."""

    __slots__ = ("_connector", "_open", "_scope", "connection", "refusal")

    def __init__(self, connector: Connector, connection: Connection, scope: trio.CancelScope) -> None:
        self._connector = connector
        self._scope = scope
        # Options without an answer, and one more until everything is sent.
        self._open = 1
        self.connection = connection
        self.refusal = ""

    def send(self, client_id: bytes | None, options: Sequence[str]) -> None:
        # The client ID has no answer, so nothing is learned of it.
        if client_id is not None:
            self.connection.link.send(encode_request(PacketType.SET_CLIENT_ID, client_id))
        for option in options:
            self._open += 1
            self.connection.request(encode_option(option), _Option(self, option))
        self.agree()

    def agree(self) -> None:
        self._open -= 1
        if self._open == 0:
            self._scope.deadline = math.inf
            self._connector._established(self.connection)

    def refuse(self, reason: str) -> None:
        self.refusal = self.refusal or reason
        self._scope.cancel()


class _Option(Request):
    """An option asked for on a new connection, before anything else."""

    __slots__ = ("_greeting", "_option")

    def __init__(self, greeting: _Greeting, option: str) -> None:
        super().__init__(PacketType.OPTION_RES)
        self._greeting = greeting
        self._option = option

    def answered(self, fields: list[bytes]) -> None:
        self._greeting.agree()

    def failed(self, error: GearmanError) -> None:
        self._greeting.refuse(f"option {self._option!r} was refused ({error})")


class Connector:
    """Keeps at most one connection, to the first server that can be reached.

    The mutable state: the connection, the attempt that callers wait for, and the options to ask for.  All of it is
    changed by `keep`, which one task runs, except that callers start an attempt and `close` ends everything.

    Attributes:
        options: asked for on every new connection, in order.
        connections: how many connections were usable since the beginning.
        crashed: whether `keep` ended by an error that no caller can be told: of this package or of ``connect``, or
            `KeyboardInterrupt`.
    """

    def __init__(
        self,
        servers: Sequence[Address],
        connect: Connect,
        *,
        client_id: bytes | None,
        options: Sequence[str],
        max_packet_bytes: int,
        health: HealthTable,
    ) -> None:
        self._servers = tuple(servers)
        self._health = health
        self._connect = connect
        self._client_id = client_id
        self._max_packet_bytes = max_packet_bytes
        self._connection: Connection | None = None
        self._attempt: _Attempt | None = None
        self._wanted = trio.Event()
        # What went wrong with the servers that this attempt has tried.
        self._causes: list[str] = []
        self._closed = False
        self.options = list(options)
        self.connections = 0
        self.crashed = False

    @property
    def connection(self) -> Connection | None:
        """The connection that is usable now."""
        connection = self._connection
        return None if connection is None or connection.link.ended else connection

    @property
    def server(self) -> Address:
        """The first server that it connects to, or the only one."""
        return self._servers[0]

    def want(self) -> None:
        """Have a connection made, where there is none, without waiting for it."""
        if self._attempt is None and not self._closed:
            self._attempt = _Attempt()
            self._wanted.set()

    async def connected(self) -> Connection:
        """Wait for a usable connection, where `connection` is ``None``.

        Raises:
            ServersUnavailable: no server could be reached, or the client is closed.

        Cancellation: the attempt goes on for others, and for the next call.
        """
        if self._closed:
            raise ServersUnavailable([_CLOSED])
        self.want()
        attempt = self._attempt
        assert attempt is not None
        await attempt.done.wait()
        if attempt.connection is None:
            raise ServersUnavailable(attempt.causes)
        if attempt.connection.link.ended:
            # It was lost before this task came to use it.  Not tried again here: a server that takes connections only
            # to drop them would keep the caller for ever.
            raise ServersUnavailable([f"{attempt.connection.address}: the connection was lost at once"])
        return attempt.connection

    async def keep(self) -> None:
        """Make a connection whenever one is wanted; runs until cancelled."""
        try:
            while True:
                await self._wanted.wait()
                self._wanted = trio.Event()
                await self._try_servers()
        except trio.Cancelled:
            raise
        except BaseException:
            # KeyboardInterrupt too: it comes up in whichever task runs.
            self.crashed = True
            raise
        finally:
            # Nobody is left to connect: a call that comes later, from a shielded clean-up perhaps, must not wait.
            self.close()

    def close(self) -> None:
        """End every call that still waits, with an error; later calls get one at once. May be called again."""
        self._closed = True
        if self._connection is not None:
            self._connection.lose(_CLOSED)
            if not self._connection.link.ended:
                _tell(self._connection.address, "closed")
            self._connection = None
        self._conclude(None, [_CLOSED])

    async def _try_servers(self) -> None:
        self._causes = []
        for address in self._health.in_order(self._servers):
            cause = await self._use(address)
            if cause is None:
                return
            self._health[address].failed(cause)
            self._causes.append(f"{address}: {cause}")
        self._conclude(None, self._causes)

    async def _use(self, address: Address) -> str | None:
        """Connect to a server and stay until the connection is lost; give why where it was never usable."""
        greeting: _Greeting | None = None
        reason = f"no answer within {_ATTEMPT_SECONDS:g} seconds"
        try:
            with trio.CancelScope(deadline=trio.current_time() + _ATTEMPT_SECONDS) as scope:
                stream = await self._connect(address)
                connection = Connection(
                    address, PacketLink(stream, max_packet_bytes=self._max_packet_bytes, apart=APART)
                )
                greeting = _Greeting(self, connection, scope)
                greeting.send(self._client_id, self.options)
                reason = await connection.link.run(connection.session.receive)
        except UNREACHABLE as exc:
            return why_unreachable(exc)
        if greeting is None or greeting.connection is not self._connection:
            return greeting.refusal if greeting is not None and greeting.refusal else reason
        self._connection = None
        # A loss counts, so that another server, if there is one, takes what comes next.
        self._health[address].failed(reason)
        _tell(address, f"lost: {reason}")
        greeting.connection.lose(reason)
        return None

    def _established(self, connection: Connection) -> None:
        self._connection = connection
        self._health[connection.address].succeeded()
        self.connections += 1
        _tell(connection.address, f"connected, after {'; '.join(self._causes)}" if self._causes else "connected")
        self._conclude(connection, [])

    def _conclude(self, connection: Connection | None, causes: list[str]) -> None:
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.connection = connection
            attempt.causes = causes
            attempt.done.set()


def _tell(address: Address, what: str) -> None:
    """Log what becomes of a connection; a server in this process tells it of its end."""
    if address != IN_PROCESS:
        _log.info("server=%s %s", address, what)


def encode_option(option: str) -> bytes:
    """The packet that asks for an option.

    Raises:
        ConfigError: the option's name is empty or holds a NUL.
    """
    if not option or "\0" in option:
        raise ConfigError(f"option: expected a name without NUL, got {option!r}")
    return encode_request(PacketType.OPTION_REQ, option.encode("utf-8"))
