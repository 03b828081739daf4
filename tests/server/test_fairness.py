"""One connection that sends as fast as it can starves neither the others nor the program around the server."""

from __future__ import annotations

from time import process_time

import pytest
import trio

from gearman_trio.protocol import PacketType, encode_request
from gearman_trio.server import Server

from .raw import connect, open_bystanders, open_tcp_server

P = PacketType

#: The smallest packets there are, so that each read costs the most.
_BLOCK = encode_request(P.ECHO_REQ, b"") * 5000

#: Without turns it would be seconds.
_LONGEST_GAP_SECONDS = 0.25


async def flood(server: Server, blocks: int) -> None:
    """Send many packets and read as many answers."""
    async with connect(server) as peer, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def ask() -> None:
            for _ in range(blocks):
                await peer.stream.send_all(_BLOCK)

        left = blocks * len(_BLOCK)
        while left:
            left -= len(await peer.stream.receive_some(65536))


class Ticker:
    """A task of the program around the server, which notes how long others ran before it was its turn again.

    Counted in seconds of this process, so that other programs on the machine do not matter.
    """

    def __init__(self) -> None:
        self.longest = 0.0

    async def run(self) -> None:
        last = process_time()
        while True:
            await trio.sleep(0.002)
            now = process_time()
            self.longest = max(self.longest, now - last)
            last = now


async def watch(server: Server, floods: int, blocks: int) -> tuple[float, int]:
    """The longest gap of a ticker, and how many jobs bystanders got done, until the floods were answered."""
    ticker = Ticker()
    jobs = 0
    async with open_bystanders(server) as bystanders, trio.open_nursery() as nursery:
        nursery.start_soon(ticker.run)
        async with trio.open_nursery() as flooding:
            for _ in range(floods):
                flooding.start_soon(flood, server, blocks)
            while flooding.child_tasks:
                await bystanders.work()
                jobs += 1
        nursery.cancel_scope.cancel()
    return ticker.longest, jobs


@pytest.mark.slow
async def test_flood_of_small_packets_leaves_time_for_everyone(driver: str) -> None:
    async with open_tcp_server() as server:
        longest, jobs = await watch(server, 1, 20)

    assert longest < _LONGEST_GAP_SECONDS
    assert jobs > 2


@pytest.mark.slow
async def test_many_floods_leave_time_for_everyone() -> None:
    """Each visit of the pump costs 10 ms here; a turn of eight rounds of all of them would last a second."""
    async with open_tcp_server() as server:
        longest, jobs = await watch(server, 15, 3)

    assert longest < _LONGEST_GAP_SECONDS
    assert jobs > 0
