"""Servers to test, and peers that speak to them packet by packet, or not even that."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import memory_stream_pair

from gearman_trio.protocol import Decoder, PacketType, encode_request, split_arguments
from gearman_trio.server import Server, ServerOptions, serve

from ..patience import PATIENCE

__all__ = [
    "Bystanders",
    "RawPeer",
    "closing_lines",
    "connect",
    "join",
    "open_bystanders",
    "open_descriptors",
    "open_memory_server",
    "open_tcp_server",
    "reset_on_close",
    "until",
]

P = PacketType

#: What a server has that is not given options: what is left when a connection ends may take its time, too.
_OPTIONS = ServerOptions(close_seconds=PATIENCE)


class RawPeer:
    """The other end of one connection to a server."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self._decoder = Decoder(responses=True)
        self._packets: list[tuple[int, bytes]] = []

    async def send(self, kind: PacketType, *fields: bytes) -> None:
        await self.stream.send_all(encode_request(kind, *fields))

    async def receive(self) -> tuple[PacketType, list[bytes]]:
        """The next packet, as (type, fields)."""
        while not self._packets:
            data = await self.stream.receive_some(65536)
            assert data, "the server closed the connection"
            self._packets += self._decoder.feed(bytes(data))
            assert self._decoder.failure is None
        kind, body = self._packets.pop(0)
        return P(kind), split_arguments(kind, body)

    async def expect(self, kind: PacketType, *fields: bytes) -> None:
        """Read one packet, which must be this one."""
        assert (kind, [*fields]) == await self.receive()

    async def receive_all(self) -> bytes:
        """Everything until the server closes the connection, which it may do with a reset."""
        received = bytearray()
        try:
            async for data in self.stream:
                received += data
        except trio.BrokenResourceError:
            pass
        return bytes(received)

    async def synchronize(self) -> None:
        """Return when the server has dealt with everything that was sent before."""
        await self.send(P.ECHO_REQ, b"are you there")
        await self.expect(P.ECHO_RES, b"are you there")

    async def submit(self, function: bytes, workload: bytes, unique: bytes = b"") -> bytes:
        """Submit a foreground job; give its handle."""
        await self.send(P.SUBMIT_JOB, function, unique, workload)
        kind, (handle,) = await self.receive()
        assert P.JOB_CREATED == kind
        return handle

    async def submit_background(self, function: bytes, workload: bytes) -> bytes:
        """Submit a background job; give its handle."""
        await self.send(P.SUBMIT_JOB_BG, function, b"", workload)
        kind, (handle,) = await self.receive()
        assert P.JOB_CREATED == kind
        return handle

    async def grab(self) -> tuple[bytes, bytes]:
        """Grab a job, which must be there; give its handle and workload."""
        await self.send(P.GRAB_JOB)
        kind, fields = await self.receive()
        assert P.JOB_ASSIGN == kind
        return fields[0], fields[2]

    async def can_do(self, function: bytes) -> None:
        await self.send(P.CAN_DO, function)
        await self.synchronize()

    async def sleep(self) -> None:
        await self.send(P.PRE_SLEEP)
        await self.synchronize()

    async def ask(self, line: bytes) -> bytes:
        """An administrative command whose answer is one line or one table; nothing else may be on its way."""
        await self.stream.send_all(line + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            answer += await self.stream.receive_some(65536)
        return answer


@asynccontextmanager
async def open_tcp_server(
    options: ServerOptions | None = None, *, host: str | Sequence[str] = "127.0.0.1", **more: Any
) -> AsyncGenerator[Server]:
    """A server on a free port for the length of a block, then stopped hard; `more` is for `serve`."""
    start = partial(serve, host=host, port=0, options=options or _OPTIONS, **more)
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            server: Server = await nursery.start(start)
            yield server
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_memory_server(
    options: ServerOptions | None = None, *, start: float = 2_000_000_000.0
) -> AsyncGenerator[tuple[Server, trio.Nursery]]:
    """A server without listeners, whose wall clock follows Trio's, and a nursery for the tasks of a test.

    It is stopped hard at the end of the block.
    """
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(
            partial(serve, listeners=[], options=options, epoch_clock=lambda: start + trio.current_time())
        )
        yield server, nursery
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def connect(server: Server, *, index: int = 0) -> AsyncGenerator[RawPeer]:
    """A peer over TCP."""
    address = server.addresses[index]
    stream = await trio.open_tcp_stream(address.host, address.port)
    try:
        yield RawPeer(stream)
    finally:
        await trio.aclose_forcefully(stream)


def join(server: Server, nursery: trio.Nursery, *, admin: bool = False) -> RawPeer:
    """A peer over memory streams."""
    ours, theirs = memory_stream_pair()
    nursery.start_soon(partial(server.handle_stream, theirs, admin=admin))
    return RawPeer(ours)


def reset_on_close(peer: RawPeer) -> None:
    """Make the coming close of a socket a reset instead of an end of file."""
    assert isinstance(peer.stream, trio.SocketStream)
    peer.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def until(condition: Callable[[], bool]) -> None:
    """Let the kernel and other tasks go on until something is so; fail if it takes too long."""
    with trio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is looked at has no event
            await trio.sleep(0.001)


def closing_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged of connections that ended."""
    return [message for message in caplog.messages if " closed: " in message]


def open_descriptors() -> set[str]:
    """The file descriptors of this process and what they are."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{name} {os.readlink(f'/proc/self/fd/{name}')}")
        except FileNotFoundError:
            # The one by which the directory was read.
            continue
    return found


class Bystanders:
    """A client and a worker that must not be disturbed by what other peers do."""

    def __init__(self, client: RawPeer, worker: RawPeer) -> None:
        self._client = client
        self._worker = worker
        self._jobs = 0

    async def work(self) -> None:
        """Do one job from end to end."""
        self._jobs += 1
        workload = b"job\0%d\n" % self._jobs
        handle = await self._client.submit(b"bystander", workload)
        await self._worker.expect(P.NOOP)
        assert (handle, workload) == await self._worker.grab()
        await self._worker.send(P.WORK_COMPLETE, handle, workload[::-1])
        await self._client.expect(P.WORK_COMPLETE, handle, workload[::-1])
        await self._worker.sleep()


@asynccontextmanager
async def open_bystanders(server: Server) -> AsyncGenerator[Bystanders]:
    """A client and a sleeping worker over TCP, with whom a job went well before the block and goes well after it."""
    async with connect(server) as client, connect(server) as worker:
        await worker.can_do(b"bystander")
        await worker.sleep()
        pair = Bystanders(client, worker)
        await pair.work()
        yield pair
        await pair.work()
