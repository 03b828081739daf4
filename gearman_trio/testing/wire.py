"""Connections in memory that can be stalled, delayed, cut in the middle of a packet, and lost.

A wire is a pair of Trio streams.  Unlike `trio.testing.memory_stream_pair` it holds a bounded number of bytes, so that
a peer that does not read makes the other one wait, and it does to the bytes what its `Faults` say.  Time is Trio's, so
a mocked clock rules over delays.
"""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Callable
from enum import Enum, StrEnum
from functools import partial
from typing import Final, Protocol

import attrs
import trio

__all__ = ["Direction", "Faults", "Pipe", "Watcher", "Wire", "WireEnd"]

#: How many bytes are on their way in one direction before the sender has to wait: about what a socket holds.
BUFFER_BYTES: Final = 65536

_LOST: Final = "the test broke the connection"


class Direction(StrEnum):
    """Which way bytes go, seen from the client or worker; each is equal to its name as a string."""

    SENT = "sent"
    RECEIVED = "received"


@attrs.define(eq=False)
class Faults:
    """What is wrong with every wire of one client or worker.

    Attributes:
        stalled: nothing arrives, in either direction, and no connection is made.
        refusing: no connection is made, and whoever tries is told so.
        delay: the seconds that bytes take to arrive, in either direction.
        cuts: after how many more bytes in a direction the connection is lost.
    """

    stalled: bool = False
    refusing: bool = False
    delay: float = 0.0
    cuts: dict[Direction, int] = attrs.field(factory=dict)

    def pass_on(self, direction: Direction, size: int) -> int | None:
        """Count bytes towards the cut of a direction; give how many of them still pass if this is where it comes."""
        left = self.cuts.get(direction)
        if left is None:
            return None
        if size >= left:
            del self.cuts[direction]
            return left
        self.cuts[direction] = left - size
        return None


class _End(Enum):
    OPEN = "open"
    FINISHED = "finished"
    BROKEN = "broken"


class Pipe:
    """One direction of a wire.

    The mutable state is the bytes on their way, in pieces with the times at which they arrive; and how it ended.
    """

    def __init__(
        self,
        direction: Direction,
        faults: Faults,
        *,
        on_put: Callable[[bytes, int], None],
        on_taken: Callable[[bytes], None],
        on_cut: Callable[[Pipe], None],
    ) -> None:
        self._direction = direction
        self._faults = faults
        self._on_put = on_put
        self._on_taken = on_taken
        self._on_cut = on_cut
        self._pieces: deque[tuple[float, bytes]] = deque()
        # Invariant: the bytes of all pieces.
        self._size = 0
        self._end = _End.OPEN
        # Whoever waits here, reader and writer, looks again at everything.
        self._changed = trio.lowlevel.ParkingLot()

    @property
    def moving(self) -> bool:
        """Whether bytes are on their way that will arrive by themselves."""
        return bool(self._pieces) and not self._faults.stalled

    def wake(self) -> None:
        """The faults have changed."""
        self._changed.unpark_all()

    def finish(self) -> None:
        """Let the reader see the end of the stream after what is on its way."""
        if self._end is _End.OPEN:
            self._end = _End.FINISHED
            self.wake()

    def break_(self, *, keep: bool) -> None:
        """Let both sides see that the connection is lost, the reader at once or (`keep`) after what is on its way."""
        self._end = _End.BROKEN
        if not keep:
            self._pieces.clear()
            self._size = 0
        self.wake()

    async def send(self, data: bytes) -> None:
        """Put bytes on their way, waiting while too many are.

        Raises:
            trio.BrokenResourceError: the connection is lost, or the reader has closed it.
            trio.ClosedResourceError: the writer closed it meanwhile.

        Cancellation: a part of the data may have been sent.
        """
        position = 0
        while True:
            if self._end is _End.BROKEN:
                raise trio.BrokenResourceError(_LOST)
            if self._end is _End.FINISHED:
                raise trio.ClosedResourceError
            if position == len(data):
                return
            if self._size < BUFFER_BYTES:
                piece = data[position : position + BUFFER_BYTES - self._size]
                position += len(piece)
                self._put(piece)
                if position == len(data):
                    return
            else:
                await self._changed.park()

    async def wait_room(self) -> None:
        """Wait until `send` would not have to.

        Raises:
            trio.ClosedResourceError: the writer closed it meanwhile.
        """
        while self._size >= BUFFER_BYTES and self._end is _End.OPEN:
            await self._changed.park()
        if self._end is _End.FINISHED:
            raise trio.ClosedResourceError

    async def receive(self, max_bytes: int) -> bytes:
        """Wait for bytes and take those that have arrived; empty at the end of the stream.

        Raises:
            trio.BrokenResourceError: the connection is lost.

        Cancellation: nothing is lost.
        """
        while True:
            due = trio.current_time() if not self._pieces else self._pieces[0][0]
            if self._end is _End.BROKEN and not self._pieces:
                raise trio.BrokenResourceError(_LOST)
            if self._faults.stalled:
                await self._changed.park()
            elif self._pieces and due <= trio.current_time():
                return self._take(max_bytes)
            elif self._pieces:
                with trio.CancelScope(deadline=due):
                    await self._changed.park()
            elif self._end is _End.FINISHED:
                return b""
            else:
                await self._changed.park()

    def _put(self, piece: bytes) -> None:
        before_cut = self._faults.pass_on(self._direction, len(piece))
        passing = piece if before_cut is None else piece[:before_cut]
        self._on_put(piece, len(passing))
        if passing:
            self._pieces.append((trio.current_time() + self._faults.delay, passing))
            self._size += len(passing)
            self.wake()
        if before_cut is not None:
            self._on_cut(self)

    def _take(self, max_bytes: int) -> bytes:
        now = trio.current_time()
        taken = bytearray()
        while self._pieces and len(taken) < max_bytes:
            due, piece = self._pieces[0]
            if due > now:
                break
            room = max_bytes - len(taken)
            taken += piece[:room]
            if len(piece) > room:
                self._pieces[0] = (due, piece[room:])
            else:
                self._pieces.popleft()
        self._size -= len(taken)
        data = bytes(taken)
        self._on_taken(data)
        self.wake()
        return data


class WireEnd(trio.abc.Stream):
    """One of the two streams of a wire. Its mutable state is whether it is closed, and whether it is in use."""

    def __init__(self, outgoing: Pipe, incoming: Pipe, on_closed: Callable[[], None]) -> None:
        self._outgoing = outgoing
        self._incoming = incoming
        self._on_closed = on_closed
        self._closed = False
        self._sending = _Turn("sending")
        self._receiving = _Turn("receiving")

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """See `trio.abc.SendStream`."""
        with self._sending:
            await self._check_open()
            await self._outgoing.send(bytes(data))

    async def wait_send_all_might_not_block(self) -> None:
        """See `trio.abc.SendStream`."""
        with self._sending:
            await self._check_open()
            await self._outgoing.wait_room()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """See `trio.abc.ReceiveStream`."""
        if max_bytes is not None and operator.index(max_bytes) < 1:
            raise ValueError(f"max_bytes: expected a number from 1 on, got {max_bytes!r}")
        with self._receiving:
            await self._check_open()
            try:
                return await self._incoming.receive(BUFFER_BYTES if max_bytes is None else max_bytes)
            except trio.BrokenResourceError:
                if self._closed:
                    raise trio.ClosedResourceError from None
                raise

    async def aclose(self) -> None:
        """See `trio.abc.AsyncResource`; the other end sees the end of the stream."""
        if not self._closed:
            self._closed = True
            self._outgoing.finish()
            # Nobody will read what is still to come, and whoever sends it must not wait for ever.
            self._incoming.break_(keep=False)
            self._on_closed()
        await trio.lowlevel.checkpoint()

    async def _check_open(self) -> None:
        await trio.lowlevel.checkpoint()
        if self._closed:
            raise trio.ClosedResourceError


class _Turn:
    """Lets one task at a time do something on a stream, as streams of Trio do."""

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._taken = False

    def __enter__(self) -> None:
        if self._taken:
            raise trio.BusyResourceError(f"another task is {self._doing} on this stream")
        self._taken = True

    def __exit__(self, *exc_info: object) -> None:
        self._taken = False


class Watcher(Protocol):
    """Sees the bytes of a wire as they pass one of its ends."""

    def sent(self, data: bytes) -> None:
        """Bytes from the client or worker."""

    def received(self, data: bytes) -> None:
        """Bytes from the job server."""

    def ended(self, *, lost: bool) -> None:
        """This end was closed, after the connection was lost or without that."""


class Wire:
    """Two streams, each the other end of the other one.

    Attributes:
        near: the stream of the client or worker.
        far: the stream of the job server.
    """

    def __init__(self, faults: Faults, near: Watcher, far: Watcher, on_end: Callable[[Wire], None]) -> None:
        """Make a wire.

        Args:
            faults: what is wrong with it; call `wake` after a change.
            near: sees what the client or worker sends, but for what a cut keeps back, and what arrives there.
            far: sees what arrives at the job server, and all that it sends.
            on_end: called when both ends are closed.
        """
        self._on_end = on_end
        self._lost = False
        self._open_ends = 2

        def sent(data: bytes, passing: int) -> None:
            near.sent(data[:passing])

        def answered(data: bytes, passing: int) -> None:
            # All of it: what the server has answered is so, even if nobody will ever know.
            far.received(data)

        self._sent = Pipe(Direction.SENT, faults, on_put=sent, on_taken=far.sent, on_cut=self._cut)
        self._received = Pipe(Direction.RECEIVED, faults, on_put=answered, on_taken=near.received, on_cut=self._cut)
        self.near = WireEnd(self._sent, self._received, partial(self._closed, near))
        self.far = WireEnd(self._received, self._sent, partial(self._closed, far))

    @property
    def moving(self) -> bool:
        """Whether bytes are on their way that will arrive by themselves."""
        return self._sent.moving or self._received.moving

    def wake(self) -> None:
        """The faults have changed."""
        self._sent.wake()
        self._received.wake()

    def lose(self) -> None:
        """Lose the connection, and what is on its way in both directions; both ends see it."""
        self._cut(None)

    def _cut(self, pipe: Pipe | None) -> None:
        """Lose the connection, but not what is on its way in one pipe."""
        self._lost = True
        for each in (self._sent, self._received):
            each.break_(keep=each is pipe)

    def _closed(self, watcher: Watcher) -> None:
        watcher.ended(lost=self._lost)
        self._open_ends -= 1
        if not self._open_ends:
            self._on_end(self)
