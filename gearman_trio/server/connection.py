"""One connection: its task, its cancel scope, its clean-up.

Two drivers, one life.  A plain socket is read and written by the pump, while its task only waits for its end; any other
Trio stream (TLS, memory, a tunnel) is read by its task and written by a child of it.  Whatever ends a connection (end
of file, a broken protocol, a peer that does not read, shutdown) ends in the same `finally`: the broker forgets the peer,
without waiting.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from typing import Final

import trio

from ..transport import Pump
from .hub import Hub
from .options import ServerOptions

__all__ = ["Connection", "SocketConnection", "StreamConnection"]

logger = logging.getLogger(__name__)

#: How much is read from a stream at once.
_RECEIVE_BYTES: Final = 131072


class Connection(ABC):
    """The life of one connection; subclasses move its bytes."""

    def __init__(self, hub: Hub, stream: trio.abc.Stream, options: ServerOptions) -> None:
        self._hub = hub
        self._stream = stream
        self._options = options
        self._reason = "closed by the server"
        self._scope = trio.CancelScope()
        address, self._name = _describe(stream)
        self._peer = hub.connect(self, address)

    async def run(self) -> None:
        """Serve until the peer or the server ends the connection. The stream is closed when this returns."""
        number = self._peer.number
        try:
            logger.info("conn=%d opened from %s", number, self._name)
            with self._scope:
                await self._serve()
        finally:
            self._hub.disconnect(self._peer)
            logger.info("conn=%d closed: %s", number, self._reason)
            # For a socket this is at once; TLS says good-bye, which a peer that does not read could hold up.
            with trio.move_on_after(self._options.close_seconds, shield=True):
                await self._stream.aclose()

    def close(self, reason: str) -> None:
        """End the connection, whatever it is doing; `run` returns soon after."""
        self._reason = reason
        self._scope.cancel(reason=reason)

    @abstractmethod
    def flush(self) -> None:
        """See `hub.Outlet`."""

    @abstractmethod
    async def _serve(self) -> None:
        """Move bytes until the peer has closed its end, and the answers to what it sent are sent."""

    def _check_outbox(self, waiting: int) -> None:
        """Disconnect a peer that has let too much pile up behind a packet that is being sent; `waiting` counts both."""
        if waiting > self._options.outbox_limit_bytes:
            self.close(f"{waiting} bytes wait to be sent, and the peer does not read")


class SocketConnection(Connection):
    """A plain socket, in the pump."""

    def __init__(self, hub: Hub, stream: trio.SocketStream, options: ServerOptions, pump: Pump) -> None:
        super().__init__(hub, stream, options)
        self._pump = pump
        self._fd = stream.socket.fileno()
        self._finished = trio.Event()
        self._all_sent = trio.Event()

    def flush(self) -> None:
        pumped = self._pumped
        if pumped.unsent_bytes:
            waiting = pumped.unsent_bytes + self._peer.outbox_bytes
            if waiting > self._options.outbox_pause_bytes:
                pumped.set_reading(False)
            self._check_outbox(waiting)
            return
        outbox = self._peer.take_outbox()
        pumped.send(outbox[0] if len(outbox) == 1 else b"".join(outbox))

    def received(self, data: bytes) -> None:
        """See `transport.pump.SocketOwner`."""
        self._hub.receive(self._peer, data)
        if self._peer.failure:
            self._pumped.set_reading(False)
            self.ended(self._peer.failure)

    def ended(self, reason: str) -> None:
        """See `transport.pump.SocketOwner`."""
        self._reason = reason
        self._finished.set()

    def sent_all(self) -> None:
        """See `transport.pump.SocketOwner`."""
        if self._peer.outbox:
            self.flush()
        if not self._pumped.unsent_bytes:
            self._all_sent.set()
            if not self._finished.is_set():
                self._pumped.set_reading(True)

    async def _serve(self) -> None:
        self._pumped = self._pump.add(self._fd, self)
        try:
            await self._finished.wait()
            with trio.move_on_after(self._options.close_seconds):
                while self._pumped.unsent_bytes:
                    self._all_sent = trio.Event()
                    await self._all_sent.wait()
        finally:
            self._pump.remove(self._pumped)


class StreamConnection(Connection):
    """Any other stream. Its mutable state is the count of bytes being sent."""

    def __init__(self, hub: Hub, stream: trio.abc.Stream, options: ServerOptions) -> None:
        super().__init__(hub, stream, options)
        self._sending_bytes = 0
        self._writer = trio.lowlevel.ParkingLot()
        self._reader = trio.lowlevel.ParkingLot()

    def flush(self) -> None:
        if self._sending_bytes:
            self._check_outbox(self._sending_bytes + self._peer.outbox_bytes)
        self._writer.unpark()

    async def _serve(self) -> None:
        if not await self._shake_hands():
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._write)
            await self._read()
            # Answers to what came before the end of file, or the ERROR that says why the connection is closed.
            with trio.move_on_after(self._options.close_seconds):
                while self._peer.outbox or self._sending_bytes:
                    await self._reader.park()
            nursery.cancel_scope.cancel()

    async def _shake_hands(self) -> bool:
        if not isinstance(self._stream, trio.SSLStream):
            return True
        with trio.move_on_after(self._options.handshake_seconds):
            try:
                await self._stream.do_handshake()
            except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
                self._reason = f"TLS handshake failed: {exc.__cause__ or exc}"
                return False
            return True
        self._reason = f"TLS handshake took over {self._options.handshake_seconds} seconds"
        return False

    async def _read(self) -> None:
        hub = self._hub
        peer = self._peer
        pause = self._options.outbox_pause_bytes
        receive_some = self._stream.receive_some
        while True:
            try:
                data = await receive_some(_RECEIVE_BYTES)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
                self._reason = f"broken: {exc.__cause__ or exc}"
                return
            if not data:
                self._reason = "the peer closed it"
                return
            hub.receive(peer, bytes(data))
            hub.flush()
            if peer.failure:
                self._reason = peer.failure
                return
            while peer.outbox_bytes + self._sending_bytes > pause:
                await self._reader.park()

    async def _write(self) -> None:
        peer = self._peer
        try:
            while True:
                if not peer.outbox:
                    self._sending_bytes = 0
                    self._reader.unpark()
                    await self._writer.park()
                    continue
                self._sending_bytes = peer.outbox_bytes
                await self._stream.send_all(b"".join(peer.take_outbox()))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
            # What the peer sent before it went away still counts, so the reader may go on to the end of it.
            self._reason = f"broken: {exc.__cause__ or exc}"
            await trio.sleep(self._options.close_seconds)
            self.close(self._reason)


def _describe(stream: trio.abc.Stream) -> tuple[str, str]:
    """The other end's address as tables show it, and as logs do."""
    inner = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
    if isinstance(inner, trio.SocketStream):
        try:
            name = inner.socket.getpeername()
        except OSError:
            return "-", "a peer that has left"
        if isinstance(name, tuple):
            host, port = str(name[0]), name[1]
            return host, f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return "unix", "a unix socket"
    return "in-process", "in-process"
