"""Under full load neither the tasks of the program around the server nor any connection waits long.

How long is counted, not timed: in rounds of the pump, in reads, and in jobs.
"""

from __future__ import annotations

import socket
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from itertools import pairwise

import pytest
import trio

from gearman_trio.protocol import PacketType, encode_request
from gearman_trio.server import Server
from gearman_trio.transport.pump import _EVENTS, _RECEIVE_BYTES, _ROUNDS, Pump, PumpedSocket, pump_available

from ..patience import PATIENCE
from .raw import open_tcp_server

pytestmark = pytest.mark.skipif(not pump_available, reason="there is no epoll")

JOB = encode_request(PacketType.SUBMIT_JOB_BG, b"nobody", b"", b"x" * 30)


class Flooded:
    """The owner of a socket that always has more to read: whatever is taken out of it is put in again."""

    def __init__(self, theirs: socket.socket) -> None:
        self.theirs = theirs
        self.reads = 0
        self.largest = 0

    def received(self, data: bytes) -> None:
        self.reads += 1
        self.largest = max(self.largest, len(data))
        self.theirs.send(data)

    def room(self) -> memoryview | None:
        return None

    def filled(self, count: int) -> None:
        raise AssertionError("there is no room")

    def ended(self, reason: str) -> None:
        raise AssertionError(reason)

    def sent_all(self) -> None:
        raise AssertionError("nothing is sent")


@contextmanager
def flooded(pump: Pump) -> Generator[Flooded]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        theirs.send(b"x" * 65536)
        owner = Flooded(theirs)
        pumped = PumpedSocket(pump, ours.fileno(), owner)
        pump.add(pumped)
        try:
            yield owner
        finally:
            pump.remove(pumped)


async def test_other_tasks_wait_for_a_few_rounds_and_each_socket_is_read_once_in_each() -> None:
    rounds = 0

    def after_round() -> None:
        nonlocal rounds
        rounds += 1

    # A turn ends by its rounds and not by its time, so that the bound is exact also on a machine that is busy.
    pump = Pump(after_round, lambda: None, turn_seconds=60.0)
    at_ticks = []
    with trio.fail_after(PATIENCE), ExitStack() as stack:
        stack.callback(pump.close)
        owners = [stack.enter_context(flooded(pump)) for _ in range(20)]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pump.run)
            for _ in range(50):
                await trio.lowlevel.checkpoint()
                at_ticks.append(rounds)
            nursery.cancel_scope.cancel()

    # Trio lets every task that can run have one turn in each pass, in any order: one may have its turn at the end of a
    # pass and the beginning of the next, so there are at most two turns of the pump between two of another task.
    assert max(after - before for before, after in pairwise(at_ticks)) <= 2 * _ROUNDS
    assert rounds <= _ROUNDS * (len(at_ticks) + 1)
    assert [rounds] * 20 == [owner.reads for owner in owners]
    assert 20 <= _EVENTS
    assert max(owner.largest for owner in owners) <= _RECEIVE_BYTES


class Flood:
    """Connections that submit as fast as the server takes it, from one task of the same program."""

    def __init__(self, server: Server, count: int) -> None:
        host, port = server.addresses[0].host, server.addresses[0].port
        self.sockets = [socket.create_connection((host, port)) for _ in range(count)]
        # What a socket did not take of the jobs that it was given.
        self._rests = [b""] * count
        for sock in self.sockets:
            sock.setblocking(False)

    def go_on(self) -> None:
        """Fill every socket, and throw away the answers."""
        for index, sock in enumerate(self.sockets):
            data = self._rests[index] or JOB * 500
            try:
                while True:
                    data = data[sock.send(data) :] or JOB * 500
            except BlockingIOError:
                self._rests[index] = data
            try:
                while sock.recv(1_000_000):
                    pass
            except BlockingIOError:
                pass

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()


@pytest.mark.slow
async def test_tasks_of_the_program_go_on_while_connections_flood_the_server() -> None:
    submitted = [0]
    async with open_tcp_server() as server:
        with ExitStack() as stack:
            flood = Flood(server, 4)
            stack.callback(flood.close)
            while submitted[-1] < 5_000:
                flood.go_on()
                await trio.lowlevel.checkpoint()
                submitted.append(server.statistics().counters.submitted)

    # Two turns, as above. A visit may find the rest of one job besides what it reads.
    most = 2 * _ROUNDS * 4 * (_RECEIVE_BYTES // len(JOB) + 1)
    assert max(after - before for before, after in pairwise(submitted)) <= most
