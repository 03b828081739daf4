"""A job server that does what the test says, over memory streams."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio
from trio.testing import lockstep_stream_pair, memory_stream_pair

from gearman_trio.client import Client, open_client
from gearman_trio.protocol import Decoder, PacketType, encode_response, split_arguments
from gearman_trio.transport import Address

__all__ = ["ScriptedConnection", "ScriptedServer", "open_pair"]


class ScriptedConnection:
    """The job server's end of one connection."""

    def __init__(self, address: Address, stream: trio.abc.Stream) -> None:
        self.address = address
        self.stream = stream
        self._decoder = Decoder()
        self._packets: list[tuple[int, bytes]] = []

    async def receive(self) -> tuple[PacketType, list[bytes]]:
        """The next packet of the client, as (type, fields)."""
        while not self._packets:
            data = await self.stream.receive_some(65536)
            assert data, "the client closed the connection"
            self._packets += self._decoder.feed(bytes(data))
        kind, body = self._packets.pop(0)
        return PacketType(kind), split_arguments(kind, body)

    async def expect(self, kind: PacketType, *fields: bytes) -> None:
        """Read one packet, which must be this one."""
        assert (kind, [*fields]) == await self.receive()

    async def send(self, kind: PacketType, *fields: bytes) -> None:
        """Send one packet."""
        await self.stream.send_all(encode_response(kind, *fields))

    async def create(self, handle: bytes, kind: PacketType = PacketType.SUBMIT_JOB) -> list[bytes]:
        """Read a submission and answer it; gives its fields."""
        received, fields = await self.receive()
        assert kind == received
        await self.send(PacketType.JOB_CREATED, handle)
        return fields

    async def wait_closed(self) -> None:
        """Wait until the client has closed the connection."""
        assert not await self.stream.receive_some(1)


class ScriptedServer:
    """Where `open_client` connects to: `connect` is its argument, `accept` gives the other end.

    Attributes:
        slow: whether the client's writes wait until they are read, byte for byte.
        down: the addresses that refuse connections.
        addresses: every address that the client tried, in order.
    """

    def __init__(self, *, slow: bool = False) -> None:
        self.slow = slow
        self.down: set[Address] = set()
        self.addresses: list[Address] = []
        self._send, self._receive = trio.open_memory_channel[ScriptedConnection](100)

    async def connect(self, address: Address) -> trio.abc.Stream:
        """What the client calls for a stream."""
        await trio.lowlevel.checkpoint()
        self.addresses.append(address)
        if address in self.down:
            raise ConnectionRefusedError("nobody listens")
        ours, theirs = lockstep_stream_pair() if self.slow else memory_stream_pair()
        self._send.send_nowait(ScriptedConnection(address, ours))
        return theirs

    async def accept(self) -> ScriptedConnection:
        """The next connection, as it comes: nothing of it is read."""
        return await self._receive.receive()


@asynccontextmanager
async def open_pair(*, slow: bool = False) -> AsyncGenerator[tuple[Client, ScriptedConnection]]:
    """A client without options and the job server's end of its connection, which is there already."""
    server = ScriptedServer(slow=slow)
    async with open_client(connect=server.connect, options=()) as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.echo, b"")
            connection = await server.accept()
            await connection.expect(PacketType.ECHO_REQ, b"")
            await connection.send(PacketType.ECHO_RES, b"")
        yield client, connection
