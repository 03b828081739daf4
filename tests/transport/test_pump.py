"""The pump moves bytes: all of them, in order, fairly, without turning round for nothing."""

from __future__ import annotations

import os
import select
import socket
import struct
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import pytest
import trio
import trio.lowlevel
from trio.testing import wait_all_tasks_blocked

from gearman_trio.transport.pump import _IN, _OUT, Pump, PumpedSocket, pump_available

from ..patience import PATIENCE

pytestmark = pytest.mark.skipif(not pump_available, reason="there is no epoll")


class Owner:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.data = b""
        self.reads = 0
        self.reasons: list[str] = []
        self.times_all_sent = 0
        self.place: bytearray | None = None
        self.filled_bytes = 0
        self.on_received: Callable[[bytes], None] = lambda data: None

    def received(self, data: bytes) -> None:
        self.data += data
        self.reads += 1
        self.on_received(data)

    def room(self) -> memoryview | None:
        return None if self.place is None else memoryview(self.place)[self.filled_bytes :]

    def filled(self, count: int) -> None:
        assert self.place is not None
        self.filled_bytes += count
        if self.filled_bytes == len(self.place):
            self.received(bytes(self.place))
            self.place = None

    def ended(self, reason: str) -> None:
        self.reasons.append(reason)

    def sent_all(self) -> None:
        self.times_all_sent += 1


class Rig:
    """A pump that runs, and its rounds counted."""

    def __init__(self) -> None:
        self.rounds = 0
        self.rests = 0
        self.pump = Pump(self._count, self._count_rest)

    def _count(self) -> None:
        self.rounds += 1

    def _count_rest(self) -> None:
        self.rests += 1

    @contextmanager
    def pumped(
        self, *, kind: socket.AddressFamily = socket.AF_UNIX
    ) -> Generator[tuple[PumpedSocket, Owner, socket.socket]]:
        """A socket in the pump, its owner, and the other end of it."""
        ours, theirs = socket.socketpair() if kind == socket.AF_UNIX else tcp_pair()
        with ours, theirs:
            ours.setblocking(False)
            theirs.setblocking(False)
            owner = Owner()
            pumped = PumpedSocket(self.pump, ours.fileno(), owner)
            self.pump.add(pumped)
            try:
                yield pumped, owner, theirs
            finally:
                self.pump.remove(pumped)


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    return ours, theirs


@asynccontextmanager
async def open_rig() -> AsyncGenerator[Rig]:
    """A pump that runs for the length of a block."""
    rig = Rig()
    try:
        with trio.fail_after(PATIENCE):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(rig.pump.run)
                yield rig
                nursery.cancel_scope.cancel()
    finally:
        rig.pump.close()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - what is looked at has no event
        await trio.sleep(0.0005)


async def read(sock: socket.socket, count: int) -> bytes:
    """Read so many bytes from the other end."""
    data = bytearray()
    while len(data) < count:
        await trio.lowlevel.wait_readable(sock)
        data += sock.recv(min(65536, count - len(data)))
    return bytes(data)


def fill(pumped: PumpedSocket) -> bytes:
    """Send more than the socket takes; give what was sent."""
    data = bytes(range(256)) * 16384
    assert not pumped.send(data)
    assert pumped.unsent_bytes
    return data


async def test_what_comes_is_given_to_the_owner_and_what_is_given_goes_out() -> None:
    async with open_rig() as rig:
        with rig.pumped() as (pumped, owner, theirs):
            theirs.send(b"hello")
            await until(lambda: owner.data == b"hello")
            all_sent = pumped.send(b"world")

            assert (True, 0, b"world") == (all_sent, pumped.unsent_bytes, theirs.recv(100))


@pytest.mark.parametrize("kind", [socket.AF_UNIX, socket.AF_INET])
async def test_what_does_not_fit_is_sent_later_and_in_order(kind: socket.AddressFamily) -> None:
    async with open_rig() as rig:
        with rig.pumped(kind=kind) as (pumped, owner, theirs):
            sent = fill(pumped)
            # Small pieces are joined, the large one goes by itself, and so does what comes after it.
            for piece in [b"a", b"b" * 1000, b"c" * 3_000_000, b"d", b"e" * 200_000, b"f" * 200_000, b"g"]:
                assert not pumped.send(piece)
                sent += piece
            waiting = pumped.unsent_bytes

            received = await read(theirs, len(sent))

            assert sent == received
            await until(lambda: owner.times_all_sent == 1)
            assert (True, 0) == (waiting > 3_400_000, pumped.unsent_bytes)
            assert pumped.send(b"again")
            assert b"again" == await read(theirs, 5)


@pytest.mark.parametrize("kind", [socket.AF_UNIX, socket.AF_INET])
async def test_pieces_that_do_not_fit_are_sent_later_and_in_order(kind: socket.AddressFamily) -> None:
    pieces = [b"a" * 100_000, b"b", b"c" * 3_000_000, b"d" * 70_000, b"e" * 20_000_000, b"f"]
    async with open_rig() as rig:
        with rig.pumped(kind=kind) as (pumped, owner, theirs):
            at_once = [pumped.send_pieces(pieces, 23_170_002), pumped.send_pieces([b"g", b"h"], 2)]
            waiting = pumped.unsent_bytes

            received = await read(theirs, 23_170_004)

            assert b"".join([*pieces, b"gh"]) == received
            await until(lambda: owner.times_all_sent == 1)
            assert ([False, False], True, 0) == (at_once, waiting > 0, pumped.unsent_bytes)


async def test_what_was_sent_late_is_not_kept() -> None:
    large = bytes(20_000_000)
    references = sys.getrefcount(large)
    async with open_rig() as rig:
        with rig.pumped(kind=socket.AF_INET) as (pumped, owner, theirs):
            pumped.send_pieces([b"head", large], 20_000_004)
            while_it_waits = sys.getrefcount(large)
            await read(theirs, 20_000_004)
            await until(lambda: owner.times_all_sent == 1)

            assert (True, references) == (while_it_waits > references, sys.getrefcount(large))


async def test_pieces_that_fit_are_sent_at_once_however_many() -> None:
    async with open_rig() as rig:
        with rig.pumped() as (pumped, _, theirs):
            assert pumped.send_pieces([b"ab", b"cd"], 4)
            assert b"abcd" == await read(theirs, 4)
            # More than one call takes.
            pumped.send_pieces([b"x", b"y"] * 2000, 4000)

            assert b"xy" * 2000 == await read(theirs, 4000)


async def test_pieces_to_a_peer_that_has_left_are_thrown_away() -> None:
    async with open_rig() as rig:
        with rig.pumped() as (pumped, owner, theirs):
            theirs.close()

            assert pumped.send_pieces([b"a", b"b"], 2)
            await until(lambda: bool(owner.reasons))
            assert 0 == pumped.unsent_bytes


async def test_rest_of_a_large_packet_is_received_where_the_owner_has_room() -> None:
    """And what follows it is read as usual."""
    async with open_rig() as rig:
        with rig.pumped(kind=socket.AF_INET) as (_, owner, theirs):

            def begun(data: bytes) -> None:
                if owner.reads == 1:
                    owner.place = bytearray(400_000)

            owner.on_received = begun
            theirs.setblocking(True)
            head, body, tail = b"h" * 100_000, bytes(range(250)) * 1600, b"t" * 10
            await trio.to_thread.run_sync(theirs.sendall, head)
            await until(lambda: len(owner.data) == len(head))
            owner.place = owner.place or bytearray(400_000)
            place = owner.place
            await trio.to_thread.run_sync(theirs.sendall, body + tail)
            await until(lambda: len(owner.data) == 500_010)

            assert head + body + tail == owner.data
            assert body == place


async def test_owner_that_pauses_for_want_of_room_is_given_nothing() -> None:
    async with open_rig() as rig:
        with rig.pumped() as (pumped, owner, theirs):
            asked = 0

            def no_room() -> None:
                nonlocal asked
                asked += 1
                pumped.pause()

            theirs.setblocking(True)
            await trio.to_thread.run_sync(theirs.sendall, b"x" * 50_000)
            await until(lambda: len(owner.data) == 50_000)
            owner.room = no_room  # type: ignore[method-assign] # what it gives then is None
            theirs.send(b"y")
            await until(lambda: asked == 1)
            await trio.sleep(0.01)

            assert b"x" * 50_000 == owner.data


async def test_nothing_is_read_while_paused() -> None:
    async with open_rig() as rig:
        with rig.pumped() as (pumped, owner, theirs):
            pumped.pause()
            theirs.send(b"wait")
            await wait_all_tasks_blocked()
            await trio.sleep(0.01)
            while_paused = (owner.data, rig.rounds)
            pumped.resume()
            await until(lambda: owner.data == b"wait")

            assert (b"", 0) == while_paused


async def test_paused_socket_still_sends() -> None:
    async with open_rig() as rig:
        with rig.pumped() as (pumped, owner, theirs):
            sent = fill(pumped)
            pumped.pause()
            theirs.send(b"not now")

            assert sent == await read(theirs, len(sent))
            await until(lambda: owner.times_all_sent == 1)
            assert b"" == owner.data


async def test_reading_goes_on_while_something_waits_to_be_sent() -> None:
    async with open_rig() as rig:
        with rig.pumped() as (pumped, owner, theirs):
            fill(pumped)
            theirs.send(b"hello")

            await until(lambda: owner.data == b"hello")


async def test_end_of_file_comes_after_the_last_bytes() -> None:
    async with open_rig() as rig:
        with rig.pumped() as (_, owner, theirs):
            theirs.send(b"last words")
            theirs.shutdown(socket.SHUT_WR)
            await until(lambda: bool(owner.reasons))

            assert (b"last words", ["the peer closed it"]) == (owner.data, owner.reasons)


async def test_after_end_of_file_the_rest_is_still_sent() -> None:
    async with open_rig() as rig:
        with rig.pumped() as (pumped, owner, theirs):
            sent = fill(pumped)
            theirs.shutdown(socket.SHUT_WR)
            await until(lambda: bool(owner.reasons))

            assert sent == await read(theirs, len(sent))
            await until(lambda: owner.times_all_sent == 1)


async def test_reset_is_an_end_with_its_reason() -> None:
    async with open_rig() as rig:
        with rig.pumped(kind=socket.AF_INET) as (_, owner, theirs):
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            theirs.close()
            await until(lambda: bool(owner.reasons))

            assert ["broken: [Errno 104] Connection reset by peer"] == owner.reasons


async def test_bytes_before_a_reset_are_read() -> None:
    async with open_rig() as rig:
        with rig.pumped(kind=socket.AF_INET) as (_, owner, theirs):
            theirs.send(b"done")
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            theirs.close()
            await until(lambda: bool(owner.reasons))

            assert (b"done", 1) == (owner.data, len(owner.reasons))


@pytest.mark.parametrize("kind", [socket.AF_UNIX, socket.AF_INET])
async def test_peer_that_leaves_while_paused_is_read_to_the_end(kind: socket.AddressFamily) -> None:
    """Reading is paused for what waits to be sent; when nobody is left to send it to, there is no reason to wait."""
    async with open_rig() as rig:
        with rig.pumped(kind=kind) as (pumped, owner, theirs):
            fill(pumped)
            pumped.pause()
            owner.sent_all = pumped.resume  # type: ignore[method-assign] # as a connection does
            theirs.send(b"done")
            theirs.close()
            await until(lambda: bool(owner.reasons))

            assert (b"done", 1, 0) == (owner.data, len(owner.reasons), pumped.unsent_bytes)


@pytest.mark.parametrize("kind", [socket.AF_UNIX, socket.AF_INET])
async def test_hang_up_is_reported_once(kind: socket.AddressFamily) -> None:
    """Epoll reports a hang-up for as long as the socket is registered, asked for or not."""
    async with open_rig() as rig:
        with rig.pumped(kind=kind) as (pumped, owner, theirs):
            fill(pumped)
            theirs.close()
            await until(lambda: bool(owner.reasons) and not pumped.unsent_bytes)
            rounds = rig.rounds
            await trio.sleep(0.01)

            assert (0, 1) == (rig.rounds - rounds, len(owner.reasons))


@pytest.mark.parametrize("kind", [socket.AF_UNIX, socket.AF_INET])
async def test_hang_up_while_paused_does_not_turn_the_loop(kind: socket.AddressFamily) -> None:
    async with open_rig() as rig:
        with rig.pumped(kind=kind) as (pumped, _, theirs):
            pumped.pause()
            theirs.close()
            await trio.sleep(0.01)
            idle_rounds = rig.rounds
            pumped.resume()
            fill_after_end = pumped.send(b"nobody reads this")
            await until(lambda: rig.rounds > 0)
            rounds = rig.rounds
            await trio.sleep(0.01)

            assert (0, True, 0) == (idle_rounds, fill_after_end, rig.rounds - rounds)


async def test_sending_to_a_peer_that_has_left_is_no_error() -> None:
    async with open_rig() as rig:
        with rig.pumped() as (pumped, owner, theirs):
            theirs.close()

            assert pumped.send(b"hello")
            assert 0 == pumped.unsent_bytes
            await until(lambda: owner.reasons == ["the peer closed it"])


async def test_removed_socket_is_left_alone() -> None:
    async with open_rig() as rig:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            owner = Owner()
            pumped = PumpedSocket(rig.pump, ours.fileno(), owner)
            rig.pump.add(pumped)
            fill(pumped)
            theirs.send(b"never read")
            # Both in this turn: the pump has not looked yet.
            rig.pump.remove(pumped)
            await trio.sleep(0.01)

            assert (b"", [], 0) == (owner.data, owner.reasons, rig.rounds)


async def test_descriptor_is_used_again_at_once() -> None:
    async with open_rig() as rig:
        with rig.pumped() as (first, first_owner, theirs):
            number = first.fd
            theirs.send(b"for nobody")
        with rig.pumped() as (second, second_owner, theirs):
            theirs.send(b"for the second")
            await until(lambda: second_owner.data == b"for the second")

            assert (number, b"") == (second.fd, first_owner.data)


async def test_many_sockets_are_all_served() -> None:
    async with open_rig() as rig:
        with trio.CancelScope(), many(rig, 300) as peers:
            for number, (_, _, theirs) in enumerate(peers):
                theirs.send(b"%d" % number)
            await until(lambda: all(owner.data for _, owner, _ in peers))
            for pumped, owner, _ in peers:
                pumped.send(owner.data * 2)

            assert [b"%d" % number * 2 for number in range(300)] == [theirs.recv(100) for _, _, theirs in peers]


@contextmanager
def many(rig: Rig, count: int) -> Generator[list[tuple[PumpedSocket, Owner, socket.socket]]]:
    if not count:
        yield []
        return
    with rig.pumped() as one, many(rig, count - 1) as others:
        yield [one, *others]


async def test_one_visit_reads_once_so_that_sockets_take_turns() -> None:
    async with open_rig() as rig:
        with rig.pumped() as (_, loud, loud_peer), rig.pumped() as (_, quiet, quiet_peer):
            reads_of_loud: list[int] = []
            quiet.on_received = lambda data: reads_of_loud.append(loud.reads)
            while True:
                try:
                    loud_peer.send(b"x" * 65536)
                except BlockingIOError:
                    break
            quiet_peer.send(b"y")
            await until(lambda: bool(quiet.data))

            assert reads_of_loud <= [1]


async def test_those_that_come_last_are_visited_after_the_others_of_a_round() -> None:
    async with open_rig() as rig:
        with trio.CancelScope(), many(rig, 6) as peers:
            order: list[int] = []
            for number, (pumped, owner, theirs) in enumerate(peers):
                pumped.last = number in {0, 3}
                owner.on_received = lambda _, number=number: order.append(number)  # type: ignore[misc] # its default
                theirs.send(b"x")
            await until(lambda: len(order) == 6)

            assert ([1, 2, 4, 5], [0, 3]) == (sorted(order[:4]), sorted(order[4:]))


async def test_slow_work_gives_way_in_the_middle_of_a_round_and_nobody_is_left_out() -> None:
    """Ten sockets that cost 10 ms each are one round; Trio's other tasks do not wait 100 ms for it."""
    async with open_rig() as rig:
        with many(rig, 10) as peers:
            passes: list[int] = []
            order: list[int] = []

            def busy(number: int) -> Callable[[bytes], None]:
                def work(data: bytes) -> None:
                    order.append(number)
                    until = perf_counter() + 0.011
                    while perf_counter() < until:
                        pass

                return work

            for number, (_, owner, theirs) in enumerate(peers):
                owner.on_received = busy(number)
                theirs.send(b"x")
            while len(order) < 10:
                passes.append(len(order))
                await trio.lowlevel.checkpoint()

            assert sorted(order) == list(range(10))
            assert max(after - before for before, after in pairwise(passes)) <= 2


async def test_sockets_removed_while_others_have_their_turn_are_passed_over() -> None:
    async with open_rig() as rig:
        with many(rig, 2) as peers:
            other_peer, other_owner = socket.socketpair()
            with other_peer, other_owner:
                other_owner.setblocking(False)
                owner = Owner()
                pumped = PumpedSocket(rig.pump, other_owner.fileno(), owner)

                def work(data: bytes) -> None:
                    until = perf_counter() + 0.011
                    while perf_counter() < until:
                        pass

                for _, slow, theirs in peers:
                    slow.on_received = work
                    theirs.send(b"x")
                rig.pump.add(pumped)
                other_peer.send(b"x")
                await until(lambda: sum(slow.reads for _, slow, _ in peers) + owner.reads > 0)
                rig.pump.remove(pumped)
                await until(lambda: all(slow.reads for _, slow, _ in peers))

                assert owner.reads <= 1


async def test_cancellation_ends_the_pump_and_close_frees_its_descriptor() -> None:
    pump = Pump(lambda: None, lambda: None)
    with trio.CancelScope() as scope:
        scope.cancel()
        await pump.run()
    pump.close()

    assert scope.cancelled_caught
    with pytest.raises(ValueError, match="closed epoll"):
        pump.watch(PumpedSocket(pump, 0, Owner()))


def test_pump_that_never_ran_frees_its_descriptor() -> None:
    before = len(os.listdir("/proc/self/fd"))
    pump = Pump(lambda: None, lambda: None)
    during = len(os.listdir("/proc/self/fd"))
    pump.close()

    assert (1, 0) == (during - before, len(os.listdir("/proc/self/fd")) - before)


@pytest.fixture
def no_socket() -> Generator[int]:
    """A file descriptor that epoll does not take."""
    with Path(os.devnull).open("rb") as stream:
        yield stream.fileno()


async def test_socket_that_epoll_refuses_leaves_nothing_behind(no_socket: int) -> None:
    """What is no socket stands for a system without room: both are refused with OSError."""
    async with open_rig() as rig:
        with rig.pumped() as (_, owner, theirs):
            refused = PumpedSocket(rig.pump, no_socket, Owner())
            with pytest.raises(OSError, match="Operation not permitted"):
                rig.pump.add(refused)
            theirs.send(b"hello")
            await until(lambda: owner.data == b"hello")


def test_event_bits_are_those_of_the_system() -> None:
    assert (select.EPOLLIN, select.EPOLLOUT) == (_IN, _OUT)


async def test_pump_says_that_it_is_at_rest_before_it_waits() -> None:
    async with open_rig() as rig:
        with rig.pumped() as (_, owner, theirs):
            theirs.send(b"a")
            await until(lambda: owner.data == b"a")
            await wait_all_tasks_blocked()

            assert rig.rests == 1


@pytest.mark.slow
@pytest.mark.parametrize("patient", [False, True], ids=["spinning", "sleeping"])
async def test_busy_polling_serves_what_comes_after_a_rest_in_the_same_turn(
    patient: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = socket.socketpair()
    ticks = 0
    seen: list[tuple[bytes, int]] = []
    # The time is over when both have come, however long the machine takes for that.
    monkeypatch.setattr("gearman_trio.transport.pump.perf_counter", lambda: 0.0 if len(seen) < 2 else 100.0)

    class Noting(Owner):
        def received(self, data: bytes) -> None:
            seen.append((data, ticks))

    def answer() -> None:
        if len(seen) == 1:
            theirs.send(b"b")

    async def tick() -> None:
        nonlocal ticks
        while True:
            await trio.lowlevel.checkpoint()
            ticks += 1

    pump = Pump(lambda: None, answer, busy_poll_seconds=60.0, turn_seconds=60.0)
    pump.patient = patient
    ours.setblocking(False)
    pumped = PumpedSocket(pump, ours.fileno(), Noting())
    pump.add(pumped)
    pump.watch(pumped)
    with ours, theirs, trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tick)
            theirs.send(b"a")
            nursery.start_soon(pump.run)
            await until(lambda: len(seen) == 2)
            nursery.cancel_scope.cancel()
        pump.remove(pumped)
        pump.close()

    assert [b"a", b"b"] == [data for data, _ in seen]
    assert seen[0][1] == seen[1][1]
