"""A job server that does only what a test scripts, over memory streams."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import trio
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

from gearman_trio.protocol import Decoder, PacketType, encode_response, split_arguments
from gearman_trio.transport import Address
from gearman_trio.worker import Abilities, Worker, run_worker

#: A packet as tests write it: its type and its fields.
Packet = tuple[Any, ...]

#: What a worker asks a server that is quiet.
PROBE: Packet = (PacketType.ECHO_REQ, b"gearman_trio: still there?")


class Peer:
    """The server's end of one connection.

    Whoever reads from it answers the worker's probes in passing, unless `answers_probes` is turned off.
    """

    def __init__(self) -> None:
        self.answers_probes = True
        self.probes = 0
        self.worker_end, self.stream = memory_stream_pair()
        self.sends = 0
        # The hook that is there already moves the bytes to the other end.
        self._move = self.worker_end.send_stream.send_all_hook
        self.worker_end.send_stream.send_all_hook = self._count_send
        self._decoder = Decoder(text=False)
        self._packets: deque[Packet] = deque()

    async def _count_send(self) -> None:
        self.sends += 1
        assert self._move is not None
        await self._move()

    async def receive(self) -> Packet:
        """Give the next packet of the worker, which must come within ten seconds of the clock."""
        with trio.fail_after(10):
            while not self._packets:
                data = await self.stream.receive_some()
                if not data:
                    raise EOFError
                for kind, body in self._decoder.feed(bytes(data)):
                    packet: Packet = (PacketType(kind), *split_arguments(kind, body))
                    if packet != PROBE:
                        self._packets.append(packet)
                        continue
                    self.probes += 1
                    if self.answers_probes:
                        await self.send(PacketType.ECHO_RES, packet[1])
        return self._packets.popleft()

    async def receive_many(self, count: int) -> list[Packet]:
        return [await self.receive() for _ in range(count)]

    async def send(self, kind: PacketType, *fields: bytes) -> None:
        await self.stream.send_all(encode_response(kind, *fields))

    async def greeting(self) -> list[Packet]:
        """Take the greeting, answer it, and give what it said, ECHO_REQ apart."""
        packets = []
        while (packet := await self.receive())[0] is not PacketType.ECHO_REQ:
            packets.append(packet)
        await self.send(PacketType.ECHO_RES, packet[1])
        return packets

    async def registered(self) -> None:
        """Take the greeting, answer it, and take the first grab."""
        await self.greeting()
        assert await self.receive() == (PacketType.GRAB_JOB_UNIQ,)

    async def sleeping(self) -> None:
        """As `registered`, then send the worker to sleep."""
        await self.registered()
        await self.send(PacketType.NO_JOB)
        assert await self.receive() == (PacketType.PRE_SLEEP,)

    async def assign(self, number: int, function: bytes, workload: bytes = b"") -> None:
        await self.send(PacketType.JOB_ASSIGN_UNIQ, b"H:%d" % number, function, b"", workload)

    async def farewell(self) -> None:
        """Take the farewell of a worker that drains, answer it, and see the connection close."""
        kind, *fields = await self.receive()
        assert kind is PacketType.ECHO_REQ
        await self.send(PacketType.ECHO_RES, *fields)
        await self.closed()

    async def closed(self) -> None:
        with trio.fail_after(10):
            assert b"" == await self.stream.receive_some()

    async def silent(self, seconds: float = 5) -> bool:
        """Tell whether the worker says nothing for so long."""
        with trio.move_on_after(seconds):
            self._packets.appendleft(await self.receive())
            return False
        return True


class FakeServers:
    """Takes the connections of a worker, at any address, and hands them to the test."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[Peer](100)
        self.attempts: list[tuple[float, Address]] = []
        self.failing = 0
        self.worker: Worker | None = None

    async def connect(self, address: Address) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        self.attempts.append((trio.current_time(), address))
        if self.failing:
            self.failing -= 1
            raise ConnectionRefusedError("nobody listens")
        peer = Peer()
        self._send.send_nowait(peer)
        return peer.worker_end

    async def started(self) -> Worker:
        """Give the worker, which has reported started."""
        await wait_all_tasks_blocked()
        assert self.worker is not None
        return self.worker

    async def accept(self) -> Peer:
        with trio.fail_after(1000):
            return await self._receive.receive()


@asynccontextmanager
async def running_worker(abilities: Abilities, *servers: str, **options: Any) -> AsyncIterator[FakeServers]:
    """Run a worker against fake servers for the length of a block, and stop it hard at its end."""
    fake = FakeServers()
    run = partial(run_worker, abilities, *servers, client_id="test", connect=fake.connect)

    async def start(nursery: trio.Nursery) -> None:
        fake.worker = await nursery.start(partial(run, **{"poll_interval": 1e6, **options}))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(start, nursery)
        yield fake
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def ready_worker(abilities: Abilities, **options: Any) -> AsyncIterator[tuple[Worker, Peer, FakeServers]]:
    """Run a worker with one fake server, which has its first grab unanswered."""
    async with running_worker(abilities, **options) as fake:
        peer = await fake.accept()
        await peer.registered()
        yield await fake.started(), peer, fake
