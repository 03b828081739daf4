"""Moves the bytes of many sockets with few calls: one task, one epoll.

Why: a Trio task that waits for its socket costs an ``epoll_ctl`` and a pass of the scheduler for every read.  The pump
waits for one file descriptor, that of an epoll of its own, reads every socket that is ready, and then lets its owner send
what those reads brought about.  It only moves bytes: who serves a socket, and when that ends, is decided by the task that
added it.

Fairness: a visit to a socket reads once, a round visits every ready socket once, and after a few rounds the pump
yields to Trio, so that neither a connection nor the embedding program is starved.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from typing import Final, Protocol

import trio

__all__ = ["Pump", "PumpedSocket", "SocketOwner", "pump_available"]

#: How much is read from one socket in one visit.
_RECEIVE_BYTES: Final = 131072

#: How many rounds there are before Trio's other tasks get their turn.
_ROUNDS: Final = 8

#: How many sockets are visited in one round.
_EVENTS: Final = 256

pump_available: Final = hasattr(select, "epoll")

# The values of Linux's headers; the names are missing from `select` where there is no epoll.
_IN: Final = 0x001
_OUT: Final = 0x004


class SocketOwner(Protocol):
    """Who is told what happens to a socket. None of these may wait."""

    def received(self, data: bytes) -> None:
        """Bytes have come."""

    def ended(self, reason: str) -> None:
        """Nothing more will come: end of file, or an error. The socket is not looked at for reading any more."""

    def sent_all(self) -> None:
        """What did not fit into the socket earlier has now been sent."""


class PumpedSocket:
    """One socket in the pump. Its mutable state is what could not be sent yet, and what epoll watches it for."""

    __slots__ = ("_pump", "_reading", "_unsent", "_watched", "fd", "owner")

    def __init__(self, pump: Pump, fd: int, owner: SocketOwner) -> None:
        self._pump = pump
        self.fd = fd
        self.owner = owner
        self._reading = True
        self._unsent = memoryview(b"")
        self._watched = _IN

    @property
    def unsent_bytes(self) -> int:
        """How much of what was given to `send` has not gone into the socket."""
        return len(self._unsent)

    def send(self, data: bytes) -> None:
        """Send now what fits, and the rest when there is room. Only to be called while `unsent_bytes` is 0."""
        try:
            count = os.write(self.fd, data)
        except BlockingIOError:
            count = 0
        except OSError:
            # The peer is gone for writing; reading brings the end, after what it sent before.
            return
        if count < len(data):
            self._unsent = memoryview(data)[count:]
            self._watch()

    def set_reading(self, reading: bool) -> None:
        """Stop reading for a while (back-pressure), or go on."""
        if self._reading is not reading:
            self._reading = reading
            self._watch()

    def on_events(self, events: int) -> None:
        """Read once and write what can be written."""
        if events & _OUT and self._unsent:
            self._send_rest()
        if self._reading and events & ~_OUT:
            try:
                data = os.read(self.fd, _RECEIVE_BYTES)
            except BlockingIOError:
                return
            except OSError as exc:
                self._end(f"broken: {exc}")
                return
            if data:
                self.owner.received(data)
            else:
                self._end("the peer closed it")
        elif events & ~(_IN | _OUT):
            # An error or hang-up while reading is paused: nobody is left to read what waits to be sent.
            self._end("broken while it was not reading")

    def _end(self, reason: str) -> None:
        self._reading = False
        self._watch()
        self.owner.ended(reason)

    def _send_rest(self) -> None:
        try:
            self._unsent = self._unsent[os.write(self.fd, self._unsent) :]
        except BlockingIOError:
            return
        except OSError:
            self._unsent = memoryview(b"")
        if not self._unsent:
            self._watch()
            self.owner.sent_all()

    def _watch(self) -> None:
        watched = (_IN if self._reading else 0) | (_OUT if self._unsent else 0)
        if watched != self._watched:
            self._watched = watched
            self._pump.watch(self)

    @property
    def watched(self) -> int:
        """What epoll is to watch it for; 0 for nothing."""
        return self._watched


class Pump:
    """The task that moves the bytes. Its mutable state is the table of sockets by file descriptor."""

    def __init__(self, after_round: Callable[[], None]) -> None:
        """Make a pump; `after_round` is called when every ready socket has been read once."""
        self._epoll = select.epoll()
        self._sockets: dict[int, PumpedSocket] = {}
        self._registered: set[int] = set()
        self._after_round = after_round

    def add(self, fd: int, owner: SocketOwner) -> PumpedSocket:
        """Begin to read a non-blocking socket."""
        pumped = PumpedSocket(self, fd, owner)
        self._sockets[fd] = pumped
        self.watch(pumped)
        return pumped

    def remove(self, pumped: PumpedSocket) -> None:
        """Let go of a socket; it may be closed afterwards, not before."""
        del self._sockets[pumped.fd]
        if pumped.fd in self._registered:
            self._registered.discard(pumped.fd)
            self._epoll.unregister(pumped.fd)

    def watch(self, pumped: PumpedSocket) -> None:
        """Bring epoll up to date with what a socket is to be watched for.

        One that is watched for nothing is taken out: epoll would still report its hang-up, over and over.
        """
        fd = pumped.fd
        if fd not in self._registered:
            if pumped.watched:
                self._registered.add(fd)
                self._epoll.register(fd, pumped.watched)
        elif pumped.watched:
            self._epoll.modify(fd, pumped.watched)
        else:
            self._registered.discard(fd)
            self._epoll.unregister(fd)

    async def run(self) -> None:
        """Move bytes until cancelled."""
        poll = self._epoll.poll
        sockets = self._sockets
        try:
            while True:
                await trio.lowlevel.wait_readable(self._epoll.fileno())
                for _ in range(_ROUNDS):
                    events = poll(0, _EVENTS)
                    if not events:
                        break
                    for fd, mask in events:
                        # One socket's bytes never remove another from the table: owners end in tasks of their own.
                        sockets[fd].on_events(mask)
                    self._after_round()
        finally:
            self._epoll.close()
