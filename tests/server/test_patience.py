"""Time limits on what peers leave half done, with a clock that jumps; and that a server at rest does not wake up."""

from __future__ import annotations

from math import inf

import pytest
import trio
from trio.testing import MockClock, lockstep_stream_pair, wait_all_tasks_blocked

from gearman_trio.protocol import PacketType, encode_request
from gearman_trio.server import ServerOptions

from .raw import RawPeer, closing_lines, connect, join, open_memory_server, open_tcp_server

P = PacketType

ECHO = encode_request(P.ECHO_REQ, bytes(1_000_000))
NEVER = ServerOptions(packet_seconds=inf, unread_seconds=inf)


async def told(peer: RawPeer) -> bytes:
    """The text of the ERROR that is the last the peer hears."""
    kind, (code, text) = await peer.receive()
    assert (P.ERROR, b"INVALID_PACKET", b"") == (kind, code, await peer.receive_all())
    return text


# ---- half a packet -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("half", [b"\0", b"\0REQ", ECHO[:11], ECHO[:100], b"stat"])
async def test_half_packet_that_does_not_go_on_ends_the_connection(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, half: bytes
) -> None:
    async with open_memory_server() as (server, nursery):
        peer = join(server, nursery)
        await peer.stream.send_all(half)
        start = trio.current_time()
        text = await told(peer)

        assert 60 <= trio.current_time() - start <= 60 + 3 * 15
        assert b"%d bytes of a packet came, and no more for 60 seconds" % len(half) == text
        (line,) = closing_lines(caplog)
        assert line.endswith(text.decode())


async def test_packet_that_comes_drop_by_drop_ends_the_connection(autojump_clock: MockClock) -> None:
    async with open_memory_server() as (server, nursery):
        peer = join(server, nursery)
        with pytest.raises(trio.BrokenResourceError):  # noqa: PT012 - one of many sends finds the other end closed
            for byte in ECHO:
                await peer.stream.send_all(bytes([byte]))
                await trio.sleep(1)

        assert trio.current_time() < 400
        assert b"no more for 60 seconds" in await peer.receive_all()


async def test_large_packet_may_take_long_as_long_as_it_grows(autojump_clock: MockClock) -> None:
    async with open_memory_server() as (server, nursery):
        peer = join(server, nursery)
        for start in range(0, len(ECHO), 70_000):
            await peer.stream.send_all(ECHO[start : start + 70_000])
            await trio.sleep(50)
        await peer.expect(P.ECHO_RES, bytes(1_000_000))


async def test_packets_that_always_come_in_pieces_are_different_packets(autojump_clock: MockClock) -> None:
    one = encode_request(P.ECHO_REQ, b"0123456789")
    async with open_memory_server() as (server, nursery):
        peer = join(server, nursery)
        await peer.stream.send_all(one[:5])
        for _ in range(100):
            await trio.sleep(10)
            await peer.stream.send_all(one[5:] + one[:5])
            await peer.expect(P.ECHO_RES, b"0123456789")


async def test_a_large_packet_ends_and_another_begins(autojump_clock: MockClock) -> None:
    """The last piece of one holds the first of the next, behind which nothing comes for a while."""
    async with open_memory_server() as (server, nursery):
        peer = join(server, nursery)
        await peer.stream.send_all(ECHO + ECHO[:5])
        await peer.expect(P.ECHO_RES, bytes(1_000_000))
        await trio.sleep(50)
        await peer.stream.send_all(ECHO[5:] + ECHO[:5])
        await peer.expect(P.ECHO_RES, bytes(1_000_000))
        await trio.sleep(50)
        await peer.stream.send_all(ECHO[5:])
        await peer.expect(P.ECHO_RES, bytes(1_000_000))


# ---- output that is not read -------------------------------------------------------------------------------


async def test_peer_that_reads_nothing_at_all_is_disconnected(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Also one that is paused, so that nothing more piles up for it. Memory streams have room for everything."""
    ours, theirs = lockstep_stream_pair()
    async with open_memory_server() as (server, nursery):
        nursery.start_soon(server.handle_stream, theirs)
        await ours.send_all(ECHO)
        await trio.sleep(400)
        (line,) = closing_lines(caplog)

        assert line.endswith("1000012 bytes wait to be sent, and the peer took none for 300 seconds")


async def test_peer_that_reads_slowly_is_waited_for(autojump_clock: MockClock) -> None:
    ours, theirs = lockstep_stream_pair()
    async with open_memory_server() as (server, nursery):
        nursery.start_soon(server.handle_stream, theirs)
        await ours.send_all(ECHO)
        received = bytearray()
        while len(received) < len(ECHO):
            await trio.sleep(20)
            received += await ours.receive_some(50_000)

        assert bytes(1_000_000) == received[12:]
        assert trio.current_time() > 300


# ---- silence -----------------------------------------------------------------------------------------------


async def test_idle_connection_is_closed_where_the_options_say_so(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_memory_server(ServerOptions(idle_seconds=100)) as (server, nursery):
        peer = join(server, nursery)
        await trio.sleep(90)
        await peer.synchronize()
        start = trio.current_time()

        assert b"" == await peer.receive_all()
        assert 100 <= trio.current_time() - start <= 100 + 2 * 15
        (line,) = closing_lines(caplog)
        assert line.endswith("nothing came for 100 seconds")


async def test_peers_that_wait_for_something_are_not_idle(autojump_clock: MockClock) -> None:
    async with open_memory_server(ServerOptions(idle_seconds=100)) as (server, nursery):
        sleeper, client, worker = join(server, nursery), join(server, nursery), join(server, nursery)
        await sleeper.can_do(b"other")
        await sleeper.sleep()
        await worker.can_do(b"f")
        handle = await client.submit(b"f", b"")
        await worker.grab()
        await worker.send(P.RESET_ABILITIES)
        await trio.sleep(1000)

        await worker.send(P.WORK_COMPLETE, handle, b"")
        await client.expect(P.WORK_COMPLETE, handle, b"")
        await sleeper.synchronize()


# ---- the watch itself --------------------------------------------------------------------------------------


async def test_watch_rests_where_there_is_nobody_to_wait_for(autojump_clock: MockClock) -> None:
    async with open_memory_server() as (server, nursery):
        peer = join(server, nursery)
        await peer.synchronize()
        await trio.sleep(30)
        await wait_all_tasks_blocked()

        assert inf == trio.lowlevel.current_statistics().seconds_to_next_deadline

        await peer.stream.send_all(b"\0RE")
        await wait_all_tasks_blocked()

        assert 15 >= trio.lowlevel.current_statistics().seconds_to_next_deadline


async def test_without_limits_nothing_is_watched(autojump_clock: MockClock) -> None:
    async with open_memory_server(NEVER) as (server, nursery):
        peer = join(server, nursery)
        await peer.stream.send_all(ECHO[:100])
        await trio.sleep(80_000)
        await peer.stream.send_all(ECHO[100:])
        await peer.expect(P.ECHO_RES, bytes(1_000_000))


# ---- over sockets ------------------------------------------------------------------------------------------


async def test_half_packet_over_a_socket(driver: str, caplog: pytest.LogCaptureFixture) -> None:
    async with open_tcp_server(ServerOptions(packet_seconds=0.05)) as server, connect(server) as peer:
        await peer.stream.send_all(ECHO[:100])

        assert b"100 bytes of a packet came, and no more for 0.05 seconds" == await told(peer)
        assert 1 == len(closing_lines(caplog)) or not server.statistics().peers


async def test_unread_output_over_a_socket(driver: str, caplog: pytest.LogCaptureFixture) -> None:
    options = ServerOptions(unread_seconds=0.1)
    async with open_tcp_server(options) as server, connect(server) as client, connect(server) as worker:
        await worker.can_do(b"f")
        handle = await client.submit(b"f", b"")
        await worker.grab()
        await worker.send(P.WORK_COMPLETE, handle, bytes(20_000_000))
        while len(server.statistics().peers) > 1:
            await worker.synchronize()

        (line,) = closing_lines(caplog)
        assert line.endswith("the peer took none for 0.1 seconds")
