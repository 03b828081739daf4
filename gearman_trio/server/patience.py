"""How long the server waits for a peer that has left something half done: a packet, its reading, or everything.

Nothing of this is on the way of a packet: every few seconds one task looks at all connections and compares what it sees
with what it saw.  So a limit may be passed by a quarter of the shortest one before it is noticed.  Where a look finds
nobody to wait for, the task rests until something happens, so that a server at rest does not wake its program.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from math import inf
from typing import Final, Protocol

import trio

from ..core import Peer
from .options import ServerOptions

__all__ = ["Patience", "Watched", "watch"]

#: A packet that has grown by so much since it was last looked at is on its way, however long it takes.
_PROGRESS_BYTES: Final = 65536

#: How often connections are looked at, at most and at least, in seconds.
_SHORTEST_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 15.0

#: How many connections are looked at before other tasks get their turn.
_AT_ONCE: Final = 500


class Watched(Protocol):
    """A connection as the watch sees it."""

    def check(self, now: float) -> bool:
        """Close the connection if it has kept the server waiting for too long; say whether the server waits for it."""


class Patience:
    """What the watch remembers of one connection from one look to the next.

    The mutable state is, of the packet and of the output that the peer keeps waiting, a mark that changes when there is
    progress, and the time since when it has not changed.
    """

    __slots__ = ("_buffered", "_late", "_options", "_packet", "_packet_since", "_since", "_unread_since")

    def __init__(self, options: ServerOptions, now: float) -> None:
        self._options = options
        self._since = now
        self._packet = -1
        self._buffered = 0
        self._packet_since = now
        self._late = -1
        self._unread_since = now

    def waits(self, peer: Peer, unsent: int) -> bool:
        """Whether there is something that one of the limits is about."""
        return unsent > 0 or peer.decoder.buffered > 0 or self._options.idle_seconds != inf

    def with_reading(self, unsent: int, late: int, now: float) -> str:
        """Why a peer that does not read must be disconnected, or nothing.

        Args:
            unsent: how many bytes wait to be sent to it.
            late: how many of those that had to wait were sent since the beginning.
            now: monotonic seconds.
        """
        if not unsent:
            self._late = -1
        elif late != self._late:
            self._late = late
            self._unread_since = now
        elif now - self._unread_since >= self._options.unread_seconds:
            return (
                f"{unsent} bytes wait to be sent, and the peer took none for {self._options.unread_seconds:g} seconds"
            )
        return ""

    def with_packet(self, peer: Peer, unsent: int, now: float) -> str:
        """Why a peer that has sent half a packet must be disconnected, or nothing."""
        buffered = peer.decoder.buffered
        if not buffered:
            self._packet = -1
        elif unsent or peer.held or peer.decoder.begun != self._packet or buffered - self._buffered >= _PROGRESS_BYTES:
            # With output waiting, to be sent or to be stored, it may be the server that does not read.
            self._packet = peer.decoder.begun
            self._buffered = buffered
            self._packet_since = now
        elif now - self._packet_since >= self._options.packet_seconds:
            return f"{buffered} bytes of a packet came, and no more for {self._options.packet_seconds:g} seconds"
        return ""

    def with_silence(self, peer: Peer, unsent: int, now: float) -> str:
        """Why a peer that has nothing to do and says nothing must be disconnected, or nothing."""
        # A packet that is on its way has a limit of its own.
        served = peer.abilities or peer.attached or peer.running or peer.sleeping
        if (
            not (unsent or peer.held or peer.decoder.buffered or served)
            and now - max(self._since, peer.heard_at) >= self._options.idle_seconds
        ):
            return f"nothing came for {self._options.idle_seconds:g} seconds"
        return ""


async def watch(
    options: ServerOptions,
    connections: Callable[[], Iterable[Watched]],
    wait_active: Callable[[], Awaitable[None]],
) -> None:
    """Look at all connections every now and then, until cancelled; return at once where no time is limited.

    Args:
        options: have the limits.
        connections: gives those that there are.
        wait_active: returns when a connection has come, or anything was received or sent, since it was called.
    """
    shortest = min(options.packet_seconds, options.unread_seconds, options.idle_seconds)
    if shortest == inf:
        return
    pause = min(max(shortest / 4, _SHORTEST_PAUSE), _LONGEST_PAUSE)
    waiting = False
    while True:
        if not waiting:
            await wait_active()
        await trio.sleep(pause)
        waiting = False
        for number, connection in enumerate(list(connections()), 1):
            waiting |= connection.check(trio.current_time())
            if number % _AT_ONCE == 0:
                await trio.lowlevel.checkpoint()
