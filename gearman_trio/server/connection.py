"""One connection: its task, its cancel scope, its clean-up.

Two drivers, one life.  A plain socket is read and written by the pump, while its task only waits for its end; any
other Trio stream (TLS, memory, a tunnel) is read by its task and written by a child of it.  Whatever ends a connection
(end of file, a broken protocol, a peer that does not read, shutdown) ends in the same `finally`: the broker forgets the
peer, without waiting.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import deque
from contextlib import suppress
from typing import Final

import trio

from ..protocol.codec import encode_response
from ..protocol.table import PacketType
from ..transport.gathering import PIECE_BYTES, gather
from ..transport.pump import Pump, PumpedSocket
from .accepting import linger
from .hub import Hub
from .names import describe
from .options import ServerOptions
from .patience import Patience

__all__ = ["Connection", "SocketConnection", "StreamConnection"]

logger = logging.getLogger(__name__)

#: How much is read from a stream at once.
_RECEIVE_BYTES: Final = 131072

#: How much is sent over a stream at once.
_SEND_BYTES: Final = 262144

_NO_MEMORY: Final = "there is no memory for the packet that it sends"


class Connection(ABC):
    """The life of one connection; subclasses move its bytes."""

    def __init__(self, hub: Hub, stream: trio.abc.Stream, options: ServerOptions, *, admin: bool) -> None:
        self._hub = hub
        self._stream = stream
        self._options = options
        self._reason = ""
        self._farewell_seconds = options.close_seconds
        self._scope = trio.CancelScope()
        address, self._name = describe(stream)
        self._peer = hub.connect(self, address, admin=admin)
        self._left = False
        # Whether the program itself opened it, for a request over HTTP perhaps: there may be thousands a second.
        self.passing = False
        # Whether the peer was told why the connection ends, and may not have read it yet.
        self._lingers = False
        self._patience = Patience(options, trio.current_time())

    async def run(self) -> None:
        """Serve until the peer or the server ends the connection. The stream is closed when this returns.

        Cancellation: as if the peer had left; closing still takes up to `ServerOptions.close_seconds` with TLS.
        """
        number = self._peer.number
        try:
            if not self.passing:
                logger.info("conn=%d opened from %s", number, self._name)
            with self._scope:
                await self._serve()
                self._leave()
                if self._lingers:
                    with trio.move_on_after(self._options.close_seconds):
                        await self._linger()
        finally:
            self._leave()
            level = logging.DEBUG if self.passing else logging.INFO
            logger.log(level, "conn=%d closed: %s", number, self._reason or "the server stopped")
            # For a socket this is at once; TLS says good-bye, which a peer that does not read could hold up, and some
            # streams say that nobody heard it.
            with trio.move_on_after(self._farewell_seconds, shield=True), suppress(trio.BrokenResourceError):
                await self._stream.aclose()

    def close(self, reason: str) -> None:
        """End the connection, whatever it is doing; `run` returns soon after."""
        self._note(reason)
        self._scope.cancel(reason=reason)

    def check(self, now: float) -> bool:
        """See `patience.Watched`."""
        patience, unsent = self._patience, self.unsent_bytes
        reason = patience.with_reading(unsent, self.late_bytes, now) or patience.with_silence(self._peer, unsent, now)
        if reason:
            self.close(reason)
            return False
        reason = patience.with_packet(self._peer, unsent, now)
        if reason:
            self._peer.send(encode_response(PacketType.ERROR, b"INVALID_PACKET", reason.encode()))
            self._hub.flush()
            self._lingers = True
            self.finish(reason)
        waits: bool = patience.waits(self._peer, unsent)
        return waits

    def received(self, data: bytes) -> None:
        """Bytes have come; see `transport.pump.SocketOwner`."""
        try:
            self._hub.receive(self._peer, data)
        except MemoryError:
            self.close(_NO_MEMORY)
        except Exception:
            # A defect of ours, not of the peer: it must not reach other connections, nor stay unseen.
            logger.exception("conn=%d ends by an error that should not happen", self._peer.number)
            self.close("an error of the server")
        if self._peer.failure:
            self._lingers = True
            self.finish(self._peer.failure)

    @abstractmethod
    def flush(self) -> None:
        """See `hub.Outlet`."""

    @abstractmethod
    def finish(self, reason: str) -> None:
        """See `hub.Outlet`."""

    @property
    @abstractmethod
    def unsent_bytes(self) -> int:
        """See `hub.Outlet`."""

    @property
    @abstractmethod
    def late_bytes(self) -> int:
        """How many of the bytes that could not be sent at once were sent since the beginning."""

    async def _linger(self) -> None:
        """Wait for the peer to close its end, so that the last bytes for it are not lost by a reset."""
        if isinstance(self._stream, trio.SocketStream):
            await linger(self._stream)
        elif isinstance(self._stream, trio.SSLStream):
            # TLS cannot close one direction only; the peer has been told, and leaves, or its time is over.
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                while await self._stream.receive_some(_RECEIVE_BYTES):
                    pass

    def _leave(self) -> None:
        """Let the broker forget the connection, if it has not yet."""
        if not self._left:
            self._left = True
            self._hub.disconnect(self._peer)

    @abstractmethod
    async def _serve(self) -> None:
        """Move bytes until the peer has closed its end, and the answers to what it sent are sent."""

    def _note(self, reason: str) -> None:
        """Keep the reason why the connection ends; what follows from the first one is not told."""
        self._reason = self._reason or reason

    def _check_unsent(self) -> None:
        """Disconnect a peer that has let too much pile up behind a packet that is being sent."""
        if self.unsent_bytes > self._options.outbox_limit_bytes:
            self.close(f"{self.unsent_bytes} bytes wait to be sent, and the peer does not read")


class SocketConnection(Connection):
    """A plain socket, in the pump."""

    def __init__(self, hub: Hub, stream: trio.SocketStream, options: ServerOptions, pump: Pump, *, admin: bool) -> None:
        super().__init__(hub, stream, options, admin=admin)
        self._pump = pump
        self._pumped = PumpedSocket(pump, stream.socket.fileno(), self)
        # Whether nothing is read because too much waits to be stored.
        self._held_back = False
        self._finished = trio.Event()
        self._all_sent = trio.Event()

    @property
    def unsent_bytes(self) -> int:
        """See `hub.Outlet`."""
        return self._pumped.unsent_bytes

    @property
    def late_bytes(self) -> int:
        """See `Connection.late_bytes`."""
        return self._pumped.late_bytes

    def flush(self) -> None:
        """See `hub.Outlet`."""
        pumped = self._pumped
        size = self._peer.outbox_bytes
        outbox = self._peer.take_outbox()
        behind = pumped.unsent_bytes
        if size < PIECE_BYTES:
            sent = pumped.send(outbox[0] if len(outbox) == 1 else b"".join(outbox))
        else:
            sent = pumped.send_pieces(gather(outbox), size)
        if not sent:
            if pumped.unsent_bytes > self._options.outbox_pause_bytes:
                pumped.pause()
            if behind:
                self._check_unsent()
        if self._held_back:
            self._release()

    def received(self, data: bytes) -> None:
        """See `transport.pump.SocketOwner`."""
        super().received(data)
        # A worker's grab then finds the jobs that clients submit in the same round.
        self._pumped.last = bool(self._peer.abilities)
        if self._peer.held_bytes > self._options.outbox_pause_bytes and not self._held_back:
            # What is submitted faster than it is stored would pile up here.
            self._held_back = True
            self._pumped.pause()

    def room(self) -> memoryview | None:
        """See `transport.pump.SocketOwner`."""
        try:
            return self._peer.decoder.room()
        except MemoryError:
            self.close(_NO_MEMORY)
            return None

    def filled(self, count: int) -> None:
        """See `transport.pump.SocketOwner`."""
        self._peer.count_received(count)
        if self._peer.decoder.filled(count):
            self.received(b"")

    def close(self, reason: str) -> None:
        """End the connection, whatever it is doing; nothing more is read."""
        self._pumped.pause()
        super().close(reason)

    def finish(self, reason: str) -> None:
        """See `hub.Outlet`."""
        self._pumped.pause()
        self.ended(reason)

    def ended(self, reason: str) -> None:
        """See `transport.pump.SocketOwner`."""
        self._note(reason)
        self._finished.set()

    def sent_all(self) -> None:
        """See `transport.pump.SocketOwner`."""
        self._all_sent.set()
        if not self._finished.is_set() and not self._held_back:
            self._pumped.resume()

    def _release(self) -> None:
        """Some of what was held back has been released."""
        if self._peer.held_bytes > self._options.outbox_pause_bytes:
            return
        self._held_back = False
        if not self._pumped.unsent_bytes:
            self.sent_all()

    async def _serve(self) -> None:
        self._pump.add(self._pumped)
        try:
            await self._finished.wait()
            with trio.move_on_after(self._options.close_seconds):
                while self._pumped.unsent_bytes or self._peer.held_bytes:
                    # So that `flush` notices when the last answers, which wait for the store, have gone.
                    self._held_back = True
                    self._all_sent = trio.Event()
                    await self._all_sent.wait()
        finally:
            self._pump.remove(self._pumped)


class StreamConnection(Connection):
    """Any other stream. Its mutable state is what waits to be sent."""

    def __init__(self, hub: Hub, stream: trio.abc.Stream, options: ServerOptions, *, admin: bool) -> None:
        super().__init__(hub, stream, options, admin=admin)
        self._unsent: list[bytes] = []
        # Invariant: the bytes of `_unsent`, and of what is being sent.
        self._unsent_bytes = 0
        self._late_bytes = 0
        self._reading = trio.CancelScope()
        # Each has at most one task in it.
        self._writer = trio.lowlevel.ParkingLot()
        self._reader = trio.lowlevel.ParkingLot()

    @property
    def unsent_bytes(self) -> int:
        """See `hub.Outlet`."""
        return self._unsent_bytes

    @property
    def late_bytes(self) -> int:
        """See `Connection.late_bytes`."""
        return self._late_bytes

    def flush(self) -> None:
        """See `hub.Outlet`."""
        behind = self._unsent_bytes
        self._unsent_bytes += self._peer.outbox_bytes
        self._unsent += self._peer.take_outbox()
        if behind:
            self._check_unsent()
        self._writer.unpark()

    def finish(self, reason: str) -> None:
        """See `hub.Outlet`."""
        self._note(reason)
        self._reading.cancel(reason=reason)

    async def _serve(self) -> None:
        async with trio.open_nursery() as nursery:
            with self._reading:
                if await self._shake_hands():
                    nursery.start_soon(self._write)
                    await self._read()
            # Answers to what came before the end of file, or the ERROR that says why the connection is closed.
            with trio.move_on_after(self._options.close_seconds):
                while self._unsent_bytes or self._peer.held_bytes:
                    await self._reader.park()
            nursery.cancel_scope.cancel()

    async def _shake_hands(self) -> bool:
        if not isinstance(self._stream, trio.SSLStream):
            return True
        # Without a handshake there is no good-bye either: aclose() would wait for the one to say the other.
        self._farewell_seconds = 0
        try:
            with trio.fail_after(self._options.handshake_seconds):
                await self._stream.do_handshake()
        except trio.TooSlowError:
            self._note(f"no TLS handshake within {self._options.handshake_seconds} seconds")
            return False
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            self._note(f"TLS handshake failed: {exc.__cause__ or exc}")
            return False
        self._farewell_seconds = self._options.close_seconds
        return True

    async def _read(self) -> None:
        pause = self._options.outbox_pause_bytes
        receive_some = self._stream.receive_some
        while True:
            try:
                data = await receive_some(_RECEIVE_BYTES)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
                self._note(f"broken: {exc.__cause__ or exc}")
                return
            if not data:
                self._note("the peer closed it")
                return
            self.received(bytes(data))
            self._hub.flush()
            while self._unsent_bytes > pause or self._peer.held_bytes > pause:
                await self._reader.park()

    async def _write(self) -> None:
        try:
            while True:
                while not self._unsent:
                    await self._writer.park()
                pieces = deque(gather(self._unsent))
                self._unsent.clear()
                # Each is let go of when it is sent.
                while pieces:
                    await self._send(pieces.popleft())
                if not self._unsent_bytes:
                    self._reader.unpark()
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            # What the peer sent before it went away still counts, so the reader may go on to the end of it.
            reason = f"broken: {exc.__cause__ or exc}"
            with trio.move_on_after(self._options.close_seconds):
                await self._discard()
            self.close(reason)

    async def _send(self, data: bytes) -> None:
        """Send in pieces, so that it shows whether the peer takes any of it."""
        for start in range(0, len(data), _SEND_BYTES):
            piece = data if len(data) <= _SEND_BYTES else memoryview(data)[start : start + _SEND_BYTES]
            await self._stream.send_all(piece)
            self._unsent_bytes -= len(piece)
            self._late_bytes += len(piece)

    async def _discard(self) -> None:
        """Stand in for a writer that has nobody to write to."""
        while True:
            self._unsent.clear()
            self._unsent_bytes = 0
            self._reader.unpark()
            await self._writer.park()
