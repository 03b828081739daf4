"""Taking connections: how many there may be, what one too many is told, and what happens when descriptors run out."""

from __future__ import annotations

import errno
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import trio

from ..protocol import PacketType, encode_response
from ..transport import Backoff
from .options import ServerOptions

__all__ = ["REFUSED", "Complaints", "Doorman", "accept_all", "linger"]

logger = logging.getLogger(__name__)

#: The code of the ERROR that a connection too many is told.
REFUSED: Final = b"TOO_MANY_CONNECTIONS"

#: What accept(2) says where the process or the system has no room for another connection.
_NO_ROOM: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))

#: The longest wait between two attempts to accept then, in seconds; the first one is a tenth of it.
_LONGEST_WAIT: Final = 1.0

#: One line about refusals, or about missing descriptors, in so many seconds.
_LOG_SECONDS: Final = 10.0

#: How many refused connections are kept open at a time, so that their ERROR arrives; each has a descriptor.
_MOST_FAREWELLS: Final = 64

_DISCARD_BYTES: Final = 65536


class Complaints:
    """Log lines that could come by the thousand: one in so many seconds, and how many were left out in between."""

    def __init__(self) -> None:
        self._silent_until: dict[str, float] = {}
        self._left_out: Counter[str] = Counter()

    def warn(self, what: str, why: str) -> None:
        """Log what happened and why, unless the same happened a moment ago."""
        now = trio.current_time()
        if now < self._silent_until.get(what, now):
            self._left_out[what] += 1
            return
        self._silent_until[what] = now + _LOG_SECONDS
        left_out = self._left_out.pop(what, 0)
        logger.warning("%s: %s%s", what, why, f" ({left_out} more since the last line)" if left_out else "")


class Doorman:
    """Counts the accepted connections, and turns away what would be one too many.

    The mutable state is the number of connections, in total and by IP address, and that of farewells under way.
    """

    def __init__(self, options: ServerOptions) -> None:
        self._options = options
        self._total = 0
        self._by_host: Counter[str] = Counter()
        self._farewells = 0
        self.complaints = Complaints()

    def objection(self, host: str) -> str:
        """Why a connection from an IP address, empty for a unix socket, cannot be served; or nothing."""
        options = self._options
        if options.max_connections and self._total >= options.max_connections:
            return f"the job server has {self._total} connections, and may have {options.max_connections}"
        most = options.max_connections_per_address
        if most and host and self._by_host[host] >= most:
            return f"{host} has {self._by_host[host]} connections, and may have {most}"
        return ""

    def enter(self, host: str) -> None:
        """A connection is served from now on."""
        self._total += 1
        if host:
            self._by_host[host] += 1

    def leave(self, host: str) -> None:
        """Undo `enter`."""
        self._total -= 1
        if host:
            self._by_host[host] -= 1
            if not self._by_host[host]:
                del self._by_host[host]

    async def refuse(self, stream: trio.abc.Stream, objection: str) -> None:
        """Say why, where the stream can carry it without a handshake and few others are being told, and close it."""
        self.complaints.warn("refused a connection", objection)
        try:
            if isinstance(stream, trio.SocketStream) and self._farewells < _MOST_FAREWELLS:
                self._farewells += 1
                try:
                    with trio.move_on_after(self._options.close_seconds), suppress(trio.BrokenResourceError):
                        await stream.send_all(encode_response(PacketType.ERROR, REFUSED, objection.encode()))
                        await linger(stream)
                finally:
                    self._farewells -= 1
        finally:
            await trio.aclose_forcefully(stream)


async def linger(stream: trio.SocketStream) -> None:
    """Say that nothing more comes, and wait until the peer says so too.

    To close a socket in which something has not been read makes the kernel reset the connection, and a reset takes with
    it what the peer has not read yet: the ERROR that was the point.
    """
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        await stream.send_eof()
        while await stream.receive_some(_DISCARD_BYTES):
            pass


async def accept_all(
    listener: trio.abc.Listener[trio.abc.Stream],
    serve: Callable[[trio.abc.Stream], Awaitable[None]],
    nursery: trio.Nursery,
    complaints: Complaints,
) -> None:
    """Accept connections and serve each in the nursery, until cancelled.

    Where no descriptor is left, accepting pauses, for longer and longer up to a second, until one is.

    Resource handling: the listener is closed when this ends.
    """
    backoff = Backoff(first=_LONGEST_WAIT / 10, cap=_LONGEST_WAIT)
    async with listener:
        while True:
            try:
                stream = await listener.accept()
            except OSError as exc:
                if exc.errno not in _NO_ROOM:
                    raise
                complaints.warn("cannot accept connections for a while", exc.strerror or str(exc))
                await trio.sleep(backoff.next_wait())
            else:
                backoff.reset()
                nursery.start_soon(serve, stream)
