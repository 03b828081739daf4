"""Moves the bytes of many sockets with few calls: one task, one epoll.

Why: a Trio task that waits for its socket costs an ``epoll_ctl`` and a pass of the scheduler for every read.  The pump
waits for one file descriptor, that of an epoll of its own, reads every socket that is ready, and then lets its owner
send what those reads brought about.  It only moves bytes: who serves a socket, and when that ends, is decided by the
task that added it.

Fairness: a visit to a socket reads once, a round visits every ready socket once, and when its time is up the pump
yields to Trio, also in the middle of a round, so that neither a connection nor the embedding program is starved.

Within a round those come last of which their owners want it: what they ask for may be among what the others bring.
"""

from __future__ import annotations

import os
import select
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Final, Protocol

import trio

__all__ = ["Pump", "PumpedSocket", "SocketOwner", "pump_available"]

#: How much is read from one socket in one visit.
_RECEIVE_BYTES: Final = 131072

#: The same where it goes right into the large packet that it belongs to: nothing else comes of that, so it takes no
#: longer than to deal with the many packets that the other kind of read may hold.
_ROOM_BYTES: Final = 524288

#: A read of so many bytes may have begun a large packet: its owner is asked whether it has room for the rest.
_MANY_BYTES: Final = 32768

#: How many sockets are visited in one round.
_EVENTS: Final = 256

#: How many rounds there are before Trio's other tasks get their turn, and after how many seconds they get it earlier.
#: One visit may take as long again: 128 KiB hold ten thousand small packets.
_ROUNDS: Final = 8

#: The same where busy polling says that there are no other tasks to speak of; a turn's time is limited all the same.
_BUSY_ROUNDS: Final = 64
_TURN_SECONDS: Final = 0.01

#: What waits to be sent is joined up to this size: small pieces share a system call, large ones are not copied.
_JOIN_BYTES: Final = 262144

#: How many pieces one call may send: the least that Linux and the BSDs take.
_MAX_PIECES: Final = 1024

pump_available: Final = hasattr(select, "epoll")

#: No view of what was sent: that would keep it in memory.
_NOTHING: Final = memoryview(b"")

# The values of Linux's headers; the names are missing from `select` where there is no epoll.
_IN: Final = 0x001
_OUT: Final = 0x004


class SocketOwner(Protocol):
    """Who is told what happens to a socket. None of these may wait."""

    def received(self, data: bytes) -> None:
        """Bytes have come."""

    def room(self) -> memoryview | None:
        """Where the next bytes are to be written, where a large packet is under way; it is let go of at once."""

    def filled(self, count: int) -> None:
        """So many bytes were written into `room`."""

    def ended(self, reason: str) -> None:
        """Nothing more will come: end of file, or an error. The socket is not looked at for reading any more."""

    def sent_all(self) -> None:
        """What did not fit into the socket earlier has now been sent."""


class PumpedSocket:
    """One non-blocking socket. Its mutable state is what could not be sent yet, and what epoll watches it for.

    Attributes:
        fd: its file descriptor.
        owner: who is told what happens to it.
        last: whether it is visited after the other ones of a round.
        unsent_bytes: how much of what was given to `send` has not gone into the socket.
        late_bytes: how much went into the socket later than it was given to `send`.
    """

    __slots__ = (
        "_in_place",
        "_pump",
        "_queued",
        "_reading",
        "_unsent",
        "_watched",
        "fd",
        "last",
        "late_bytes",
        "owner",
        "unsent_bytes",
    )

    def __init__(self, pump: Pump, fd: int, owner: SocketOwner) -> None:
        self._pump = pump
        self.fd = fd
        self.owner = owner
        self.last = False
        self.unsent_bytes = 0
        self.late_bytes = 0
        self._reading = True
        # Whether the owner may have room for what comes next.
        self._in_place = False
        # Invariant: where the first is empty the second is too, and together they are `unsent_bytes` long.
        self._unsent = _NOTHING
        self._queued: deque[bytes] = deque()
        self._watched = _IN

    def send(self, data: bytes) -> bool:
        """Send now what fits, and the rest, in order, when there is room. Say whether nothing waits."""
        if self._unsent:
            self._queued.append(data)
            self.unsent_bytes += len(data)
            return False
        try:
            count = os.write(self.fd, data)
        except BlockingIOError:
            count = 0
        except OSError:
            # The peer is gone for writing; reading brings the end, after what it sent before.
            return True
        if count == len(data):
            return True
        self._unsent = memoryview(data)[count:]
        self.unsent_bytes = len(data) - count
        self._watch()
        return False

    def send_pieces(self, pieces: list[bytes], size: int) -> bool:
        """As `send`, for pieces that are `size` bytes together; they are not joined, so large ones are not copied."""
        if self._unsent:
            self._queued.extend(pieces)
            self.unsent_bytes += size
            return False
        try:
            count = os.writev(self.fd, pieces[:_MAX_PIECES])
        except BlockingIOError:
            count = 0
        except OSError:
            # As in `send`.
            return True
        if count == size:
            return True
        self.unsent_bytes = size - count
        first = 0
        while count >= len(pieces[first]):
            count -= len(pieces[first])
            first += 1
        self._unsent = memoryview(pieces[first])[count:]
        self._queued.extend(pieces[first + 1 :])
        self._watch()
        return False

    def pause(self) -> None:
        """Stop reading (back-pressure)."""
        if self._reading:
            self._reading = False
            self._watch()

    def resume(self) -> None:
        """Read again after `pause`."""
        if not self._reading:
            self._reading = True
            self._watch()

    def on_events(self, events: int) -> None:
        """Write what can be written and read once."""
        # Also for a hang-up: writing fails then, nothing is left that reading would have to wait for, and what the peer
        # sent before it left is read.
        if self._unsent and events & ~_IN:
            self._send_rest()
        if self._reading and events & ~_OUT:
            room = self.owner.room() if self._in_place else None
            if not self._watched & _IN:
                # Its owner has ended it, for want of room.
                return
            data = b""
            try:
                if room is None:
                    data = os.read(self.fd, _RECEIVE_BYTES)
                    count = len(data)
                else:
                    count = os.readv(self.fd, [room[:_ROOM_BYTES]])
            except BlockingIOError:
                return
            except OSError as exc:
                self._end(f"broken: {exc}")
                return
            if not count:
                self._end("the peer closed it")
            elif room is None:
                self._in_place = count >= _MANY_BYTES
                self.owner.received(data)
            else:
                # The owner cannot hand the memory on while somebody looks into it.
                del room
                self.owner.filled(count)

    def _end(self, reason: str) -> None:
        self.pause()
        self.owner.ended(reason)

    def _send_rest(self) -> None:
        try:
            count = os.write(self.fd, self._unsent)
        except BlockingIOError:
            return
        except OSError:
            self._queued.clear()
            count = len(self._unsent)
            self.unsent_bytes = count
        self.unsent_bytes -= count
        self.late_bytes += count
        if count < len(self._unsent):
            self._unsent = self._unsent[count:]
        elif self._queued:
            self._unsent = memoryview(self._take_queued())
        else:
            self._unsent = _NOTHING
            self._watch()
            self.owner.sent_all()

    def _take_queued(self) -> bytes:
        queued = self._queued
        pieces = [queued.popleft()]
        size = len(pieces[0])
        while queued and size + len(queued[0]) <= _JOIN_BYTES:
            size += len(queued[0])
            pieces.append(queued.popleft())
        # Joining a list of one gives that one, without a copy.
        return b"".join(pieces)

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
    """The task that moves the bytes. Its mutable state is the table of sockets by file descriptor.

    Attributes:
        patient: whether busy polling sleeps instead, until something comes: what is awaited is the answer of a thread
            of this process, which cannot work while this one holds Python's lock on the interpreter.
    """

    def __init__(
        self,
        after_round: Callable[[], None],
        at_rest: Callable[[], None],
        *,
        busy_poll_seconds: float = 0.0,
        turn_seconds: float = _TURN_SECONDS,
    ) -> None:
        """Make a pump.

        Args:
            after_round: called when every ready socket has been read once. It may leave something for later.
            at_rest: called when that time has come: nothing is ready to be read, or Trio's other tasks get their turn.
            busy_poll_seconds: how long to look for more, after something came, before Trio waits. A peer that answers
                within that time is spared a pass of the scheduler and the kernel's putting the processor to sleep and
                waking it. Only for a process in which nothing else runs: other tasks wait for so long, too.
            turn_seconds: after how long Trio's other tasks get their turn, if not after a number of rounds.
        """
        self.patient = False
        self._turn_seconds = turn_seconds
        self._busy_poll_seconds = busy_poll_seconds
        self._epoll = select.epoll()
        self._sockets: dict[int, PumpedSocket] = {}
        self._registered: set[int] = set()
        self._after_round = after_round
        self._at_rest = at_rest

    def add(self, pumped: PumpedSocket) -> None:
        """Begin to read a socket.

        Raises:
            OSError: the system has no room for it.
        """
        self.watch(pumped)
        self._sockets[pumped.fd] = pumped

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
                self._epoll.register(fd, pumped.watched)
                self._registered.add(fd)
        elif pumped.watched:
            self._epoll.modify(fd, pumped.watched)
        else:
            self._registered.discard(fd)
            self._epoll.unregister(fd)

    def close(self) -> None:
        """Free the file descriptor, also where `run` never ran. Every socket must have been removed."""
        self._epoll.close()

    def _in_order(self, events: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """What a round visits, and in which order."""
        if len(events) <= 1:
            return events
        sockets = self._sockets
        first: list[tuple[int, int]] = []
        last: list[tuple[int, int]] = []
        for event in events:
            # Bytes never remove a socket: owners end in tasks of their own, which only run between two turns.
            # By then a descriptor may be another socket's, for which a read or write too many is harmless.
            pumped = sockets.get(event[0])
            if pumped is not None:
                if pumped.last:
                    last.append(event)
                else:
                    first.append(event)
        return first + last

    def _look_again(self) -> list[tuple[int, int]]:
        """Poll until something comes or the time for that is over."""
        poll = self._epoll.poll
        if self.patient:
            # Python makes whole milliseconds of it, at least one.
            return poll(self._busy_poll_seconds, _EVENTS)
        until = perf_counter() + self._busy_poll_seconds
        while perf_counter() < until:
            events = poll(0, _EVENTS)
            if events:
                return events
        return []

    async def run(self) -> None:
        """Move bytes until cancelled. A checkpoint before anything is read, and again after each turn."""
        poll = self._epoll.poll
        sockets = self._sockets
        # What a turn that ended early did not visit. It comes first in the next one: epoll would give the same order.
        unvisited: list[tuple[int, int]] = []
        while True:
            if unvisited:
                await trio.lowlevel.checkpoint()
            else:
                await trio.lowlevel.wait_readable(self._epoll.fileno())
            until = perf_counter() + self._turn_seconds
            for rounds in range(_BUSY_ROUNDS if self._busy_poll_seconds else _ROUNDS):
                if unvisited:
                    events, unvisited = unvisited, []
                else:
                    events = self._in_order(poll(0, _EVENTS))
                if not events and rounds and self._busy_poll_seconds:
                    self._at_rest()
                    events = self._in_order(self._look_again())
                if not events:
                    break
                for visited, (fd, mask) in enumerate(events, 1):
                    pumped = sockets.get(fd)
                    if pumped is not None:
                        pumped.on_events(mask)
                    if perf_counter() > until:
                        unvisited = events[visited:]
                        break
                self._after_round()
                if perf_counter() > until:
                    break
            self._at_rest()
