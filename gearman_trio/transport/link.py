"""One connection to a job server as clients and workers use it: packets in, packets out, over any Trio stream."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import trio

from ..errors import RemoteProtocolError
from ..protocol import MAX_PACKET_BYTES, Decoder

__all__ = ["PacketLink"]

#: How much is asked of the stream at once: the usual size of a socket's buffer.
_RECEIVE_BYTES: Final = 65536

#: The same where it goes straight into the place of a large packet.
_RECEIVE_LARGE_BYTES: Final = 1024 * 1024

#: Above so many unsent bytes `PacketLink.wait_writable` waits.
_HIGH_WATER_BYTES: Final = 1024 * 1024

#: Packets are joined up to this size, so that small ones share a system call and large ones are not copied.
_JOIN_BYTES: Final = 256 * 1024

#: How long the reader may go on after a write has failed: the peer's last packets may still be on their way.
_LAST_WORDS_SECONDS: Final = 1.0

_BROKEN: Final = (trio.BrokenResourceError, trio.ClosedResourceError)


class PacketLink:
    """Carries packets over one stream: one task reads, one task writes, anyone may `send` at any time.

    The mutable state is the queue of packets to send, the counts of its bytes and packets and of all bytes that
    moved, and whether the link has ended.  Because a task of the link's own writes, a caller that is cancelled never
    leaves half a packet behind.

    Over a plain socket what answers something that came is written at once, as far as it fits, which spares two
    passes of the scheduler: all that was sent from `receive`, and the first that is sent after it.  What follows is
    left to the task, so that what many tasks send in their turns still leaves together.
    """

    def __init__(
        self,
        stream: trio.abc.Stream,
        *,
        max_packet_bytes: int = MAX_PACKET_BYTES,
        apart: dict[int, re.Pattern[bytes]] | None = None,
    ) -> None:
        """Make a link that does nothing before `run`, but takes packets to be sent.

        Args:
            stream: the stream; `run` closes it.
            max_packet_bytes: the largest body that is taken.
            apart: which packets' large last fields are received apart; see `Decoder`.
        """
        self._stream = stream
        # Where it is a plain one, the system is asked directly: a packet more often fits than not, and what comes is
        # waited for, so the turns that Trio's streams take before and after each call would be for nothing.  A worker
        # with one job at a time does with two thirds of the processor time.
        self._socket = stream.socket if isinstance(stream, trio.SocketStream) else None
        self._decoder = Decoder(responses=True, max_packet_bytes=max_packet_bytes, text=False, apart=apart)
        self._outbox: deque[bytes] = deque()
        # Invariant: the bytes of the outbox and of the batch that is being written.
        self._unsent_bytes = 0
        self._packets_queued = 0
        self._packets_begun = 0
        self._moved_bytes = 0
        # What did not fit in when it was written at once.  Invariant: it comes before the outbox.
        self._rest: memoryview = memoryview(b"")
        # Whether the task is in the middle of a write.
        self._writing = False
        # Whether something came since something was last written at once.
        self._may_write = False
        # How many callers are to send more before anything is written.
        self._holders = 0
        # Each is there only while a task waits for it.
        self._work: trio.Event | None = None
        self._drained: trio.Event | None = None
        self._ended = False
        self._reason = "the connection was closed by this side"

    @property
    def ended(self) -> bool:
        """Whether nothing more will be sent or received."""
        return self._ended

    @property
    def unsent_bytes(self) -> int:
        """How many bytes have not been written; those of a write that is under way count until it is done."""
        return self._unsent_bytes

    @property
    def packets_queued(self) -> int:
        """How many packets `send` has taken since the beginning: after a `send`, the number of its last packet."""
        return self._packets_queued

    @property
    def packets_begun(self) -> int:
        """The number of the last packet of which a byte may have been written; also after the link's end."""
        return self._packets_begun

    @property
    def moved_bytes(self) -> int:
        """How many bytes have come in or gone out since the beginning, those of unfinished packets too."""
        return self._moved_bytes

    def send(self, *packets: bytes) -> None:
        """Queue packets to be sent in this order; never waits. After the link's end they are thrown away.

        A large one may come in two parts, each of which counts as a packet.
        """
        if self._ended:
            return
        self._outbox.extend(packets)
        self._packets_queued += len(packets)
        for packet in packets:
            self._unsent_bytes += len(packet)
        if self._outbox and not self._holders:
            self._get_written()

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is sent in this block, which must not wait, leaves in one write if it can."""
        self._holders += 1
        try:
            yield
        finally:
            self._release()

    @property
    def writable(self) -> bool:
        """Whether packets can be sent, and not too many bytes wait for that already."""
        return not self._ended and self._unsent_bytes <= _HIGH_WATER_BYTES

    async def wait_writable(self) -> None:
        """Wait while more than a megabyte waits to be sent; returns at once after the link's end."""
        while self._unsent_bytes > _HIGH_WATER_BYTES and not self._ended:
            if self._drained is None:
                self._drained = trio.Event()
            await self._drained.wait()

    async def run(self, receive: Callable[[list[tuple[int, bytes]]], None]) -> str:
        """Read and write until the connection ends; give the reason why it did.

        Args:
            receive: called with each batch of packets, (type, body) in order; it must not wait.
                A `RemoteProtocolError` from it ends the connection as bytes do that cannot be decoded.

        Resource handling: the stream is closed, without waiting for the peer, when this returns or is cancelled.
        """
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write, nursery.cancel_scope)
                self._reason = await self._read(receive)
                self._end()
                nursery.cancel_scope.cancel()
        finally:
            self._end()
            # Not plain aclose(): that of a TLS stream waits for the peer's farewell, which may never come.
            await trio.aclose_forcefully(self._stream)
        return self._reason

    def _release(self) -> None:
        self._holders -= 1
        if self._outbox and not self._holders:
            self._get_written()

    def _get_written(self) -> None:
        """Write what is in the outbox, or let the task do it."""
        if self._may_write and not self._writing and not self._rest and self._socket is not None:
            self._may_write = False
            batch = self._take_batch()
            try:
                count = os.write(self._socket.fileno(), batch)
            except OSError:
                # It is full, or the task meets the same error.
                count = 0
            self._note_sent(count)
            self._moved_bytes += count
            if count < len(batch):
                self._rest = memoryview(batch)[count:]
            elif not self._outbox:
                return
        if self._work is not None:
            self._work.set()
            self._work = None

    def _note_sent(self, count: int) -> None:
        self._unsent_bytes -= count
        if self._drained is not None and self._unsent_bytes <= _HIGH_WATER_BYTES:
            self._drained.set()
            self._drained = None

    def _end(self) -> None:
        self._ended = True
        self._outbox.clear()
        self._rest = memoryview(b"")
        self._unsent_bytes = 0
        if self._drained is not None:
            self._drained.set()
            self._drained = None

    async def _read(self, receive: Callable[[list[tuple[int, bytes]]], None]) -> str:
        decoder = self._decoder
        while True:
            try:
                packets = await self._receive_packets()
            except _BROKEN as exc:
                return f"the connection broke: {exc.__cause__ or exc!r}"
            if packets is None:
                middle = " in the middle of a packet" if decoder.buffered else ""
                return f"the job server closed the connection{middle}"
            try:
                if packets:
                    self._may_write = True
                    self._holders += 1
                    try:
                        receive(packets)
                    finally:
                        self._release()
                    self._may_write = True
            except RemoteProtocolError as exc:
                return f"the job server broke the protocol: {exc}"
            if decoder.failure is not None:
                return f"the job server broke the protocol: {decoder.failure}"
            # Nothing that came stays here while nothing comes.
            del packets

    async def _write(self, scope: trio.CancelScope) -> None:
        try:
            while True:
                if not self._outbox and not self._rest:
                    self._work = trio.Event()
                    await self._work.wait()
                    continue
                batch = self._rest or memoryview(self._take_batch())
                self._rest = memoryview(b"")
                self._writing = True
                await self._send_all(batch)
                self._writing = False
                if self._ended:
                    return
                self._note_sent(len(batch))
                # Nor does what was sent stay here until there is something else.
                del batch
        except _BROKEN as exc:
            # The reader sees the same break, or the end of the stream, and what was sent before it; leave it the last
            # word unless the peer only closed its reading half.
            self._reason = f"the connection broke: {exc.__cause__ or exc!r}"
            await trio.sleep(_LAST_WORDS_SECONDS)
            scope.cancel()

    async def _receive_packets(self) -> list[tuple[int, bytes]] | None:
        """Receive once; give the packets that are whole then, or `None` at the end of the stream."""
        decoder = self._decoder
        if self._socket is None:
            data = bytes(await self._stream.receive_some(_RECEIVE_BYTES))
            self._moved_bytes += len(data)
            return decoder.feed(data) if data else None
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            room = decoder.room()
            try:
                # The number is asked for each time, for once the socket is closed it may be that of another file.
                if room is None:
                    data = os.read(self._socket.fileno(), _RECEIVE_BYTES)
                    self._moved_bytes += len(data)
                    return decoder.feed(data) if data else None
                count = os.readv(self._socket.fileno(), [room[:_RECEIVE_LARGE_BYTES]])
            except BlockingIOError:
                continue
            except OSError as exc:
                raise trio.BrokenResourceError from exc
            # The decoder cannot give the memory away while somebody looks into it.
            del room
            self._moved_bytes += count
            if not count:
                return None
            return decoder.feed(b"") if decoder.filled(count) else []

    async def _send_all(self, rest: memoryview) -> None:
        while rest:
            count = await self._send_some(rest)
            self._moved_bytes += count
            rest = rest[count:]

    async def _send_some(self, data: memoryview) -> int:
        if self._socket is None:
            # In pieces, so that it shows when a large packet gets on.
            piece = data[:_JOIN_BYTES]
            await self._stream.send_all(piece)
            return len(piece)
        while True:
            try:
                return os.write(self._socket.fileno(), data)
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self._socket)
            except OSError as exc:
                raise trio.BrokenResourceError from exc

    def _take_batch(self) -> bytes:
        """Take packets off the outbox: all of them where they are small, a large one by itself."""
        outbox = self._outbox
        if self._unsent_bytes <= _JOIN_BYTES:
            self._packets_begun = self._packets_queued
            batch = b"".join(outbox)
            outbox.clear()
            return batch
        pieces = [outbox.popleft()]
        size = len(pieces[0])
        while outbox and size + len(outbox[0]) <= _JOIN_BYTES:
            size += len(outbox[0])
            pieces.append(outbox.popleft())
        self._packets_begun += len(pieces)
        # Joining a list of one gives that one, without a copy.
        return b"".join(pieces)
