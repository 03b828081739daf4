"""Slow readers: what waits for them is bounded, they harm nobody, and what they do read is right."""

from __future__ import annotations

import os
import random
import socket

import pytest
import trio
from trio.testing import MockClock, lockstep_stream_pair, wait_all_tasks_blocked

from gearman_trio.protocol import PacketType, encode_request
from gearman_trio.protocol.codec import HEADER_BYTES
from gearman_trio.server import Server, ServerOptions

from .raw import (
    RawPeer,
    closing_lines,
    connect,
    join,
    open_bystanders,
    open_memory_server,
    open_tcp_server,
    reset_on_close,
    until,
)

P = PacketType

PAUSE = 64 * 1024
LIMIT = 1024 * 1024
OPTIONS = ServerOptions(outbox_pause_bytes=PAUSE, outbox_limit_bytes=LIMIT)


def waiting(server: Server, number: int) -> int:
    """How much waits to be sent to the connection of this number; -1 where it has ended."""
    return next((peer.outbox_bytes for peer in server.statistics().peers if peer.number == number), -1)


async def run_job(client: RawPeer, worker: RawPeer) -> bytes:
    """Have a job run; give its handle."""
    await worker.can_do(b"f")
    handle = await client.submit(b"f", b"")
    await worker.grab()
    return handle


# ---- over sockets ------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_reading_pauses_until_the_answers_are_read(driver: str) -> None:
    count, size = 400, 50_000
    async with open_tcp_server(OPTIONS) as server, connect(server) as peer, open_bystanders(server) as bystanders:
        sent = []

        async def ask() -> None:
            for number in range(count):
                sent.append(number)
                await peer.send(P.ECHO_REQ, number.to_bytes(4, "big") * (size // 4))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await until(lambda: waiting(server, 1) > PAUSE)
            await bystanders.work()
            most = waiting(server, 1)
            unsent = count - len(sent)
            for number in range(count):
                await peer.expect(P.ECHO_RES, number.to_bytes(4, "big") * (size // 4))
        await peer.synchronize()

        # What is read at once is added to what made it pause.
        assert most < PAUSE + 3 * 131072
        assert unsent > 0


@pytest.mark.slow
async def test_peer_that_does_not_read_is_disconnected_at_the_limit(
    driver: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        open_tcp_server(OPTIONS) as server,
        connect(server) as deaf,
        connect(server) as worker,
        open_bystanders(server) as bystanders,
    ):
        handle = await run_job(deaf, worker)
        most = 0
        for _ in range(500):
            await worker.send(P.WORK_DATA, handle, bytes(50_000))
            await worker.synchronize()
            most = max(most, waiting(server, 1))
            if waiting(server, 1) < 0:
                break
        await bystanders.work()
        await worker.send(P.WORK_COMPLETE, handle, b"nobody hears it")
        await worker.synchronize()

        assert PAUSE < most <= LIMIT + 131072
        (line,) = closing_lines(caplog)
        assert line.startswith("conn=1 closed: ")
        assert line.endswith(" bytes wait to be sent, and the peer does not read")
        assert 3 == len(server.statistics().peers)


@pytest.mark.slow
async def test_single_result_over_the_limit_passes(driver: str) -> None:
    result = os.urandom(1_000_000) * 20
    async with open_tcp_server(OPTIONS) as server, connect(server) as client, connect(server) as worker:
        handle = await run_job(client, worker)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(worker.send, P.WORK_COMPLETE, handle, result)
            kind, fields = await client.receive()

        assert (P.WORK_COMPLETE, handle, True) == (kind, fields[0], fields[1] == result)
        await client.synchronize()


@pytest.mark.slow
async def test_slow_reader_gets_everything_in_order(driver: str) -> None:
    """Sends of all sizes, most of them in parts."""
    dice = random.Random(1)
    pieces = [dice.randbytes(dice.choice([1, 100, 10_000, 200_000])) for _ in range(40)]
    async with open_tcp_server() as server, connect(server) as worker:
        stream = await slow_stream(server)
        client = RawPeer(stream)
        handle = await run_job(client, worker)
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def work() -> None:
                for piece in pieces:
                    await worker.send(P.WORK_DATA, handle, piece)
                await worker.send(P.WORK_COMPLETE, handle, b"end")

            await until(lambda: waiting(server, 2) > 0)
            received = bytearray()
            expected = sum(map(len, pieces)) + 41 * (HEADER_BYTES + len(handle) + 1) + 3
            while len(received) < expected:
                received += await stream.receive_some(dice.randrange(1, 50_000))
        wire = b"".join(encode_request(P.WORK_DATA, handle, piece) for piece in pieces)
        wire += encode_request(P.WORK_COMPLETE, handle, b"end")

        # The body of each packet is forwarded as it came; only the magic differs.
        assert (
            wire.replace(b"\0REQ\0\0\0\x1c", b"\0RES\0\0\0\x1c").replace(b"\0REQ\0\0\0\r", b"\0RES\0\0\0\r") == received
        )
        await stream.aclose()


async def slow_stream(server: Server) -> trio.SocketStream:
    """A connection whose receive buffer is as small as the system allows."""
    sock = trio.socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    await sock.connect(("127.0.0.1", server.addresses[0].port))
    return trio.SocketStream(sock)


async def test_peer_that_closes_its_half_after_asking_gets_its_answer(driver: str) -> None:
    """``printf 'status\\n' | nc -N localhost 4730``."""
    async with open_tcp_server() as server, connect(server) as peer:
        await peer.stream.send_all(b"version\nstatus\n")
        assert isinstance(peer.stream, trio.SocketStream)
        await peer.stream.send_eof()
        answer = await peer.receive_all()

        assert (True, True) == (answer.startswith(b"OK "), answer.endswith(b"\n.\n"))


@pytest.mark.slow
async def test_peer_that_closes_its_half_gets_a_large_answer_whole(driver: str) -> None:
    async with open_tcp_server() as server, connect(server) as peer:
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def ask() -> None:
                await peer.send(P.ECHO_REQ, bytes(12_000_000))
                assert isinstance(peer.stream, trio.SocketStream)
                await peer.stream.send_eof()

            answer = await peer.receive_all()

        assert HEADER_BYTES + 12_000_000 == len(answer)


async def test_peer_that_closes_its_half_and_does_not_read_is_waited_for_a_limited_time(
    driver: str, caplog: pytest.LogCaptureFixture
) -> None:
    options = ServerOptions(close_seconds=0.05, outbox_pause_bytes=100_000_000)
    async with open_tcp_server(options) as server, connect(server) as peer:
        await peer.send(P.ECHO_REQ, bytes(12_000_000))
        assert isinstance(peer.stream, trio.SocketStream)
        await peer.stream.send_eof()
        await until(lambda: bool(closing_lines(caplog)))

        assert [] == server.statistics().peers


@pytest.mark.parametrize("by_reset", [False, True])
async def test_result_of_a_worker_that_leaves_at_once_reaches_the_client(driver: str, by_reset: bool) -> None:
    async with open_tcp_server() as server, connect(server) as client:
        async with connect(server) as worker:
            handle = await run_job(client, worker)
            await worker.send(P.WORK_COMPLETE, handle, b"last words")
            if by_reset:
                reset_on_close(worker)

        await client.expect(P.WORK_COMPLETE, handle, b"last words")
        await until(lambda: len(server.statistics().peers) == 1)
        assert 0 == server.statistics().counters.requeued


async def test_result_of_a_worker_that_leaves_with_unread_packets_reaches_the_client(driver: str) -> None:
    """Its system answers them with a reset, which must not overtake what it had sent."""
    async with open_tcp_server() as server, connect(server) as client:
        async with connect(server) as worker:
            handle = await run_job(client, worker)
            for _ in range(10):
                await worker.send(P.ECHO_REQ, bytes(10_000))
            await worker.send(P.WORK_COMPLETE, handle, b"last words")

        await client.expect(P.WORK_COMPLETE, handle, b"last words")


# ---- over streams that hold nothing: exact -----------------------------------------------------------------


async def test_reading_of_a_stream_pauses_above_the_mark_and_goes_on_when_all_is_sent(
    autojump_clock: MockClock,
) -> None:
    async with open_memory_server(OPTIONS) as (server, nursery):
        ours, theirs = lockstep_stream_pair()
        nursery.start_soon(server.handle_stream, theirs)
        peer = RawPeer(ours)
        sent = []

        @nursery.start_soon
        async def ask() -> None:
            for number in range(10):
                await peer.send(P.ECHO_REQ, bytes(PAUSE // 4))
                sent.append(number)

        await wait_all_tasks_blocked()
        paused = (len(sent), waiting(server, 1))
        for _ in range(10):
            await peer.expect(P.ECHO_RES, bytes(PAUSE // 4))
        await wait_all_tasks_blocked()

        assert (4, 4 * (HEADER_BYTES + PAUSE // 4)) == paused
        assert (10, 0) == (len(sent), waiting(server, 1))


async def test_peer_of_a_stream_is_disconnected_above_the_limit_and_not_at_it(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_memory_server(OPTIONS) as (server, nursery):
        ours, theirs = lockstep_stream_pair()
        nursery.start_soon(server.handle_stream, theirs)
        await wait_all_tasks_blocked()
        deaf, worker = RawPeer(ours), join(server, nursery)
        handle = await run_job(deaf, worker)
        overhead = HEADER_BYTES + len(handle) + 1
        await worker.send(P.WORK_DATA, handle, bytes(LIMIT // 2 - overhead))
        await worker.synchronize()
        await worker.send(P.WORK_DATA, handle, bytes(LIMIT // 2 - overhead))
        await worker.synchronize()
        at_limit = (waiting(server, 1), closing_lines(caplog))
        await worker.send(P.WORK_STATUS, handle, b"1", b"2")
        await worker.synchronize()
        await wait_all_tasks_blocked()

        assert (LIMIT, []) == at_limit
        assert [
            f"conn=1 closed: {LIMIT + overhead + 3} bytes wait to be sent, and the peer does not read"
        ] == closing_lines(caplog)
        assert -1 == waiting(server, 1)


async def test_what_waits_for_a_peer_that_cannot_be_written_to_any_more_is_thrown_away(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Its last words still count."""
    async with open_memory_server(OPTIONS) as (server, nursery):
        worker_stream, theirs = trio.testing.memory_stream_pair()

        async def cut() -> None:
            raise trio.BrokenResourceError

        theirs.send_stream.send_all_hook = cut
        nursery.start_soon(server.handle_stream, theirs)
        await wait_all_tasks_blocked()
        client, worker = join(server, nursery), RawPeer(worker_stream)
        await worker.stream.send_all(encode_request(P.CAN_DO, b"f") + encode_request(P.ECHO_REQ, b""))
        await wait_all_tasks_blocked()
        handle = await client.submit(b"f", b"")
        await worker.stream.send_all(encode_request(P.GRAB_JOB))
        await worker.stream.send_all(encode_request(P.WORK_COMPLETE, handle, b"last words"))
        await client.expect(P.WORK_COMPLETE, handle, b"last words")
        at = trio.current_time()
        unsent = waiting(server, 1)
        await wait_all_tasks_blocked()
        await worker.stream.aclose()
        await wait_all_tasks_blocked()

        assert (0, 0, 0) == (unsent, at, trio.current_time())
        assert ["conn=1 closed: the peer closed it"] == closing_lines(caplog)


async def test_stream_that_breaks_for_writing_alone_ends_soon(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_memory_server(ServerOptions(close_seconds=2)) as (server, _):
        ours, theirs = trio.testing.memory_stream_pair()

        async def cut() -> None:
            raise trio.BrokenResourceError

        theirs.send_stream.send_all_hook = cut
        async with trio.open_nursery() as handling:
            handling.start_soon(server.handle_stream, theirs)
            await ours.send_all(encode_request(P.ECHO_REQ, b""))

        assert (2, []) == (trio.current_time(), server.statistics().peers)
        assert ["conn=1 closed: broken: "] == closing_lines(caplog)
