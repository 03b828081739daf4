"""One connection that sends as fast as it can starves neither the others nor the program around the server.

Counted in bytes that the server takes between two turns of the program, so that no machine is too slow for this.
"""

from __future__ import annotations

import socket
from functools import partial
from threading import Thread

import pytest
import trio

from gearman_trio.protocol import PacketType, encode_request
from gearman_trio.server import Server
from gearman_trio.transport import Pump

from .raw import open_bystanders, open_tcp_server, until

P = PacketType

#: The smallest packets there are, so that each read costs the most.
_BLOCK = encode_request(P.ECHO_REQ, b"") * 5000

#: What one look at a socket takes at most.
_VISIT_BYTES = 131072

#: How often a turn of the pump looks at a socket at most, however fast the machine is.
_VISITS = 8

#: More than what the bystanders send meanwhile.
_BYSTANDERS_BYTES = 1000


class Flood:
    """Many packets from one connection, sent and answered until stopped.

    By threads, so that the event loop need not turn for more to come; and bounded, so that they end in any case.
    """

    _BLOCKS = 400

    def __init__(self, port: int) -> None:
        self._port = port
        self._stopped = False

    def run(self) -> None:
        with socket.create_connection(("127.0.0.1", self._port), timeout=120) as peer:
            asking = Thread(target=self._ask, args=[peer])
            asking.start()
            while peer.recv(65536):
                pass
            asking.join()

    def stop(self) -> None:
        self._stopped = True

    def _ask(self, peer: socket.socket) -> None:
        for _ in range(self._BLOCKS):
            if self._stopped:
                break
            peer.sendall(_BLOCK)
        peer.shutdown(socket.SHUT_WR)


class Ticker:
    """A task of the program around the server, always ready to run: how much did the server take between two turns?"""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.most = 0

    async def run(self) -> None:
        last = self._server.counters().received_bytes
        while True:
            await trio.lowlevel.checkpoint()
            now = self._server.counters().received_bytes
            self.most = max(self.most, now - last)
            last = now


async def watch(server: Server, connections: int) -> int:
    """How much the server takes at most between two turns, in bytes, while bystanders do jobs beside floods."""
    ticker = Ticker(server)
    floods = [Flood(server.addresses[0].port) for _ in range(connections)]
    async with open_bystanders(server) as bystanders, trio.open_nursery() as nursery:
        nursery.start_soon(ticker.run)
        async with trio.open_nursery() as flooding:
            for flood in floods:
                flooding.start_soon(trio.to_thread.run_sync, flood.run)
            await until(lambda: server.counters().received_bytes > connections * len(_BLOCK))
            await bystanders.work()
            assert connections == len(flooding.child_tasks), "a flood was over before the job of the others"
            for flood in floods:
                flood.stop()
        nursery.cancel_scope.cancel()
    return ticker.most


@pytest.mark.slow
async def test_flood_of_small_packets_leaves_turns_for_everyone(driver: str) -> None:
    async with open_tcp_server() as server:
        most = await watch(server, 1)

    # Trio runs what is ready in any order, so two turns of the pump can be neighbours.
    assert most <= 2 * _VISITS * _VISIT_BYTES + _BYSTANDERS_BYTES


@pytest.mark.slow
async def test_turn_is_over_when_its_time_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look costs 10 ms on some machines: a turn of eight rounds of a hundred of them would last eight seconds."""
    monkeypatch.setattr("gearman_trio.server.server.Pump", partial(Pump, turn_seconds=0.0))

    async with open_tcp_server() as server:
        most = await watch(server, 4)

    assert most <= 2 * _VISIT_BYTES + _BYSTANDERS_BYTES
