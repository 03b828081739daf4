"""The link over memory streams and sockets: what goes out, what comes in, and how it ends."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
import trio
from trio.testing import (
    MemoryReceiveStream,
    MemorySendStream,
    MockClock,
    lockstep_stream_pair,
    memory_stream_pair,
    wait_all_tasks_blocked,
)

from gearman_trio.errors import RemoteProtocolError
from gearman_trio.protocol import PacketType, encode_request, encode_response
from gearman_trio.protocol.codec import OPAQUE, argument_patterns
from gearman_trio.transport import PacketLink

NOOP = encode_response(PacketType.NOOP)
ECHO = encode_response(PacketType.ECHO_RES, b"hello")
GRAB = encode_request(PacketType.GRAB_JOB)


class Running:
    """A link that runs in a nursery, and what came of it."""

    def __init__(self, link: PacketLink) -> None:
        self.link = link
        self.packets: list[tuple[int, bytes]] = []
        self.batches = 0
        self.reason = ""

    async def run(self) -> None:
        self.reason = await self.link.run(self.receive)

    def receive(self, packets: list[tuple[int, bytes]]) -> None:
        assert packets
        self.batches += 1
        self.packets += packets


@pytest.mark.parametrize("size", [1, 3, 11, 13, 1000])
async def test_packets_come_whole_whatever_the_pieces(size: int) -> None:
    ours, theirs = memory_stream_pair()
    running = Running(PacketLink(ours))
    stream = NOOP + ECHO + NOOP
    async with trio.open_nursery() as nursery:
        nursery.start_soon(running.run)
        for start in range(0, len(stream), size):
            await theirs.send_all(stream[start : start + size])
            await wait_all_tasks_blocked()
        await theirs.send_eof()

    assert [(6, b""), (17, b"hello"), (6, b"")] == running.packets
    assert "the job server closed the connection" == running.reason
    assert running.link.ended


async def test_end_of_the_stream_in_the_middle_of_a_packet() -> None:
    ours, theirs = memory_stream_pair()
    running = Running(PacketLink(ours))
    await theirs.send_all(NOOP + ECHO[:-1])
    await theirs.send_eof()
    await running.run()

    assert [(6, b"")] == running.packets
    assert "the job server closed the connection in the middle of a packet" == running.reason


async def test_garbage_ends_the_link_after_the_packets_before_it() -> None:
    ours, theirs = memory_stream_pair()
    running = Running(PacketLink(ours))
    await theirs.send_all(ECHO + b"HTTP/1.1 200 OK\r\n")
    await running.run()

    assert [(17, b"hello")] == running.packets
    assert running.reason.startswith("the job server broke the protocol: expected a packet, got b'HTTP")
    assert not await theirs.receive_some(1)


async def test_a_packet_over_the_limit_ends_the_link() -> None:
    ours, theirs = memory_stream_pair()
    running = Running(PacketLink(ours, max_packet_bytes=4))
    await theirs.send_all(ECHO)
    await running.run()

    assert [] == running.packets
    assert "at most 4 are taken" in running.reason


async def test_a_protocol_error_of_the_receiver_ends_the_link() -> None:
    def receive(packets: list[tuple[int, bytes]]) -> None:
        raise RemoteProtocolError("that was not asked for")

    ours, theirs = memory_stream_pair()
    await theirs.send_all(ECHO)
    reason = await PacketLink(ours).run(receive)

    assert "the job server broke the protocol: that was not asked for" == reason


async def test_small_packets_go_out_together_and_in_order() -> None:
    ours, theirs = memory_stream_pair()
    link = PacketLink(ours)
    link.send(b"1")
    link.send(b"2", b"3")
    link.send()
    assert (3, 3, 0) == (link.unsent_bytes, link.packets_queued, link.packets_begun)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.run, print)
        assert b"123" == await theirs.receive_some()
        await wait_all_tasks_blocked()
        assert (0, 3, 3) == (link.unsent_bytes, link.packets_queued, link.packets_begun)
        link.send(b"4")
        assert b"4" == await theirs.receive_some()
        await theirs.aclose()


async def test_large_packets_go_out_in_order_between_small_ones() -> None:
    packets = [b"a", b"b" * 300_000, b"c", b"d" * 200_000, b"e" * 100_000, b"f"]
    ours, theirs = memory_stream_pair()
    link = PacketLink(ours)
    link.send(*packets)
    received = b""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.run, print)
        while len(received) < 600_003:
            received += await theirs.receive_some()
        await wait_all_tasks_blocked()
        assert (0, 6) == (link.unsent_bytes, link.packets_begun)
        await theirs.aclose()

    assert b"".join(packets) == received


async def receive_bytes(stream: trio.abc.ReceiveStream, count: int) -> None:
    while count:
        count -= len(await stream.receive_some(count))


async def test_a_slow_writer_makes_senders_wait() -> None:
    ours, theirs = lockstep_stream_pair()
    link = PacketLink(ours)
    order: list[str] = []

    async def send(name: str, packet: bytes) -> None:
        await link.wait_writable()
        order.append(name)
        link.send(packet)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.run, print)
        await send("first", b"x" * 600_000)
        await send("second", b"y" * 600_000)
        nursery.start_soon(send, "third", b"z")
        await wait_all_tasks_blocked()
        assert ["first", "second"] == order
        assert (1_200_000, 1) == (link.unsent_bytes, link.packets_begun)
        await receive_bytes(theirs, 600_000)
        await wait_all_tasks_blocked()
        assert ["first", "second", "third"] == order
        nursery.cancel_scope.cancel()


async def test_a_cancelled_wait_for_room_leaves_the_link_as_it_was() -> None:
    ours, theirs = lockstep_stream_pair()
    link = PacketLink(ours)
    link.send(b"x" * 2_000_000)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.run, print)
        with trio.CancelScope() as scope:
            nursery.start_soon(wait_then_cancel, scope)
            await link.wait_writable()
        assert scope.cancelled_caught
        nursery.start_soon(receive_bytes, theirs, 2_000_000)
        await link.wait_writable()
        nursery.cancel_scope.cancel()


async def wait_then_cancel(scope: trio.CancelScope) -> None:
    await wait_all_tasks_blocked()
    scope.cancel()


async def test_the_end_frees_whoever_waits_for_room_and_keeps_nothing() -> None:
    ours, theirs = lockstep_stream_pair()
    link = PacketLink(ours)
    link.send(b"x" * 2_000_000, b"y")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.run, print)
        nursery.start_soon(link.wait_writable)
        await wait_all_tasks_blocked()
        await theirs.aclose()

    link.send(GRAB)
    await link.wait_writable()
    assert (0, 2, 1) == (link.unsent_bytes, link.packets_queued, link.packets_begun)


async def test_a_broken_write_leaves_the_reader_the_last_word() -> None:
    ours, theirs = memory_stream_pair()
    running = Running(PacketLink(ours))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(running.run)
        await wait_all_tasks_blocked()
        close_reading_half(theirs)
        running.link.send(GRAB)
        await wait_all_tasks_blocked()
        await theirs.send_all(ECHO)
        await theirs.send_eof()

    assert [(17, b"hello")] == running.packets
    assert "the job server closed the connection" == running.reason


async def test_a_peer_that_only_stops_reading_ends_the_link_after_a_second(autojump_clock: MockClock) -> None:
    ours, theirs = memory_stream_pair()
    running = Running(PacketLink(ours))
    close_reading_half(theirs)
    running.link.send(GRAB)
    await running.run()

    assert running.reason.startswith("the connection broke")
    assert 1 == pytest.approx(trio.current_time())


def close_reading_half(stream: trio.StapledStream[MemorySendStream, MemoryReceiveStream]) -> None:
    stream.receive_stream.close()


async def test_a_broken_read_ends_the_link() -> None:
    ours, _ = memory_stream_pair()
    running = Running(PacketLink(ours))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(running.run)
        await wait_all_tasks_blocked()
        ours.receive_stream.close()

    assert running.reason.startswith("the connection broke")


async def test_a_cancelled_link_closes_its_stream() -> None:
    ours, theirs = memory_stream_pair()
    running = Running(PacketLink(ours))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(running.run)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()

    assert running.link.ended
    assert not await theirs.receive_some(1)


async def test_writable_up_to_a_megabyte_and_not_after_the_end() -> None:
    ours, theirs = memory_stream_pair()
    link = PacketLink(ours)

    link.send(b"x" * 1024 * 1024)
    found = [link.writable]
    link.send(b"x")
    found.append(link.writable)

    assert [True, False] == found

    running = Running(PacketLink(ours))
    await theirs.aclose()
    await running.run()
    assert not running.link.writable


# ---- over sockets, which the link asks directly ------------------------------------------------------------------


def socket_streams() -> tuple[trio.SocketStream, trio.SocketStream]:
    ours, theirs = trio.socket.socketpair()
    return trio.SocketStream(ours), trio.SocketStream(theirs)


async def test_packets_cross_a_socket_both_ways() -> None:
    ours, theirs = socket_streams()
    running = Running(PacketLink(ours))
    async with theirs, trio.open_nursery() as nursery:
        nursery.start_soon(running.run)
        for number in range(3):
            running.link.send(GRAB)
            assert GRAB == await theirs.receive_some()
            await theirs.send_all(ECHO[:5])
            await wait_all_tasks_blocked()
            await theirs.send_all(ECHO[5:])
            await wait_all_tasks_blocked()
            assert number + 1 == len(running.packets)
        await theirs.send_eof()

    assert ([(17, b"hello")] * 3, 3 * len(ECHO + GRAB)) == (running.packets, running.link.moved_bytes)
    assert "the job server closed the connection" == running.reason


@pytest.mark.parametrize("streams", [socket_streams, memory_stream_pair])
async def test_large_last_field_comes_apart(
    streams: Callable[[], tuple[trio.abc.Stream, trio.abc.Stream]],
) -> None:
    result = bytes(range(256)) * 10_000
    data = encode_response(PacketType.WORK_COMPLETE, b"H:x:1", result) + ECHO
    ours, theirs = streams()
    running = Running(PacketLink(ours, apart=argument_patterns([PacketType.WORK_COMPLETE])))
    async with theirs, trio.open_nursery() as nursery:
        nursery.start_soon(running.run)
        await theirs.send_all(data)
        await wait_all_tasks_blocked()
        await theirs.aclose()

    assert [(OPAQUE, result), (PacketType.WORK_COMPLETE, b"H:x:1\0"), (17, b"hello")] == running.packets
    assert len(data) == running.link.moved_bytes
    assert "the job server closed the connection" == running.reason


async def test_end_of_a_socket_in_the_middle_of_a_large_packet() -> None:
    ours, theirs = socket_streams()
    running = Running(PacketLink(ours))
    async with theirs, trio.open_nursery() as nursery:
        nursery.start_soon(running.run)
        await theirs.send_all(encode_response(PacketType.ECHO_RES, bytes(200_000))[:-1])
        await theirs.aclose()

    assert [] == running.packets
    assert "the job server closed the connection in the middle of a packet" == running.reason


async def test_what_a_socket_does_not_take_at_once_follows() -> None:
    ours, theirs = socket_streams()
    running = Running(PacketLink(ours))
    packets = [encode_request(PacketType.ECHO_REQ, b"%d" % number * size) for number, size in enumerate([5, 10**6, 7])]
    async with theirs, trio.open_nursery() as nursery:
        nursery.start_soon(running.run)
        running.link.send(*packets)
        await wait_all_tasks_blocked()
        waited = running.link.unsent_bytes
        moved = [running.link.moved_bytes]
        received = bytearray()
        while len(received) < sum(map(len, packets)):
            received += await theirs.receive_some()
            await wait_all_tasks_blocked()
            moved.append(running.link.moved_bytes)
        running.link.send(GRAB)

        assert GRAB == await theirs.receive_some()
        assert 0 < waited <= sum(map(len, packets))
        # It shows that a large packet gets on, and not only when it is through.
        assert 2 < len(set(moved))
        assert 0 == running.link.unsent_bytes
        assert b"".join(packets) == received
        nursery.cancel_scope.cancel()


def readable_now(stream: trio.SocketStream) -> bytes:
    """What can be read without waiting."""
    try:
        return os.read(stream.socket.fileno(), 2**20)
    except BlockingIOError:
        return b""


async def test_over_a_socket_what_answers_something_is_written_at_once_and_together() -> None:
    ours, theirs = socket_streams()
    link = PacketLink(ours)
    written_meanwhile: list[bytes] = []

    def receive(packets: list[tuple[int, bytes]]) -> None:
        for number in range(len(packets)):
            link.send(b"%d" % number)
        with link.together():
            link.send(b"a")
        written_meanwhile.append(readable_now(theirs))

    async with theirs, trio.open_nursery() as nursery:
        nursery.start_soon(link.run, receive)
        await theirs.send_all(ECHO * 3)
        await wait_all_tasks_blocked()

        assert [b""] == written_meanwhile
        assert b"012a" == readable_now(theirs)
        # One write without a turn of the task; then the task writes.
        link.send(b"b")
        assert b"b" == readable_now(theirs)
        link.send(b"c")
        link.send(b"d")
        assert b"" == readable_now(theirs)
        await wait_all_tasks_blocked()
        assert b"cd" == readable_now(theirs)
        assert (0, 7, 7) == (link.unsent_bytes, link.packets_queued, link.packets_begun)
        nursery.cancel_scope.cancel()


async def test_over_a_socket_what_is_sent_together_is_one_write() -> None:
    ours, theirs = socket_streams()
    running = Running(PacketLink(ours))
    async with theirs, trio.open_nursery() as nursery:
        nursery.start_soon(running.run)
        await theirs.send_all(ECHO)
        await wait_all_tasks_blocked()
        with running.link.together():
            running.link.send(b"1")
            with running.link.together():
                running.link.send(b"2")
            assert b"" == readable_now(theirs)

        assert b"12" == readable_now(theirs)
        nursery.cancel_scope.cancel()


async def test_what_is_written_at_once_and_does_not_fit_comes_before_what_is_sent_later() -> None:
    ours, theirs = socket_streams()
    running = Running(PacketLink(ours))
    large = bytes(range(251)) * 100_000
    async with theirs, trio.open_nursery() as nursery:
        nursery.start_soon(running.run)
        await theirs.send_all(ECHO)
        await wait_all_tasks_blocked()
        running.link.send(large, b"1")
        part = running.link.moved_bytes - len(ECHO)
        running.link.send(b"2")

        assert 0 < part < len(large)
        assert (len(large) + 2 - part, 1) == (running.link.unsent_bytes, running.link.packets_begun)
        received = bytearray()
        while len(received) < len(large) + 2:
            received += await theirs.receive_some()
        assert large + b"12" == received
        await wait_all_tasks_blocked()
        assert 0 == running.link.unsent_bytes
        nursery.cancel_scope.cancel()


async def test_socket_that_was_reset_ends_the_link() -> None:
    ours, theirs = socket_streams()
    running = Running(PacketLink(ours))
    await theirs.send_all(ECHO)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(running.run)
        running.link.send(GRAB)
        await wait_all_tasks_blocked()
        # Bytes that nobody has read make the end a reset.
        await theirs.aclose()

    assert [(17, b"hello")] == running.packets
    assert "the connection broke: ConnectionResetError" in running.reason


async def test_write_to_a_socket_that_is_gone_leaves_the_reader_the_last_word() -> None:
    ours, theirs = socket_streams()
    await theirs.send_all(ECHO)
    await theirs.aclose()
    running = Running(PacketLink(ours))
    running.link.send(GRAB)
    await running.run()

    assert [(17, b"hello")] == running.packets
    assert "the job server closed the connection" == running.reason


async def test_socket_that_this_side_closes_ends_the_link_and_no_other_file_is_written_to() -> None:
    ours, theirs = socket_streams()
    running = Running(PacketLink(ours))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(running.run)
        await wait_all_tasks_blocked()
        number = ours.socket.fileno()
        ours.socket.close()
        other, peer = socket_streams()
        # The system gives the lowest number that is free.
        assert number in {other.socket.fileno(), peer.socket.fileno()}
        running.link.send(GRAB)

    assert "the connection broke" in running.reason
    for one, another in [(other, peer), (peer, other)]:
        await one.send_eof()
        assert b"" == await another.receive_some()
    for stream in (other, peer, theirs):
        await stream.aclose()


async def test_cancelled_link_closes_its_socket() -> None:
    ours, theirs = socket_streams()
    async with theirs, trio.open_nursery() as nursery:
        nursery.start_soon(Running(PacketLink(ours)).run)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()

    assert -1 == ours.socket.fileno()
