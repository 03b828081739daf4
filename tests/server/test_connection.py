"""One connection, cancelled at each place where it waits: the broker forgets the peer, the stream is closed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock, lockstep_stream_pair, memory_stream_pair, wait_all_tasks_blocked

from gearman_trio.protocol import PacketType, encode_request
from gearman_trio.server import Server, ServerOptions

from .conftest import Certificate
from .raw import RawPeer, closing_lines, join, open_memory_server, until

P = PacketType

CANCELLED = "closed: the caller of handle_stream was cancelled"


class Handling:
    """A call of `Server.handle_stream` in a task that can be cancelled."""

    def __init__(self, server: Server, stream: trio.abc.Stream) -> None:
        self.scope = trio.CancelScope()
        self.ended = trio.Event()
        self._server = server
        self._stream = stream

    async def run(self) -> None:
        try:
            with self.scope:
                await self._server.handle_stream(self._stream)
        finally:
            self.ended.set()


@asynccontextmanager
async def handled(
    server: Server, stream: trio.abc.Stream, *, cancel_when: Callable[[], bool] = lambda: True
) -> AsyncGenerator[None]:
    """Serve a stream; after the block, when the state is reached, cancel, and see that nothing is left of it."""
    async with trio.open_nursery() as nursery:
        handling = Handling(server, stream)
        nursery.start_soon(handling.run)
        yield
        await until(cancel_when)
        await wait_all_tasks_blocked()
        assert not handling.ended.is_set()
        handling.scope.cancel()
        await handling.ended.wait()
        assert [] == server.statistics().peers
        assert not any(function.workers or function.running for function in server.statistics().functions)
        with pytest.raises(trio.ClosedResourceError):
            await stream.receive_some(1)


def socket_pair() -> tuple[trio.SocketStream, trio.SocketStream]:
    ours, theirs = trio.socket.socketpair()
    return trio.SocketStream(ours), trio.SocketStream(theirs)


def outbox_bytes(server: Server) -> int:
    return sum(peer.outbox_bytes for peer in server.statistics().peers)


# ---- a socket in the pump ----------------------------------------------------------------------------------


async def test_cancelled_while_it_waits_for_the_end(caplog: pytest.LogCaptureFixture) -> None:
    async with open_memory_server() as (server, _):
        ours, theirs = socket_pair()
        async with ours, handled(server, theirs):
            worker = RawPeer(ours)
            await worker.can_do(b"f")
            await worker.submit_background(b"f", b"")
            await worker.grab()

        assert 1 == server.statistics().counters.requeued
        assert [f"conn=1 {CANCELLED}"] == closing_lines(caplog)


async def test_cancelled_while_reading_is_paused(caplog: pytest.LogCaptureFixture) -> None:
    async with open_memory_server(ServerOptions(outbox_pause_bytes=1)) as (server, _):
        ours, theirs = socket_pair()
        async with ours, handled(server, theirs, cancel_when=lambda: outbox_bytes(server) > 0):
            await ours.send_all(encode_request(P.ECHO_REQ, bytes(5_000_000)))

        assert [f"conn=1 {CANCELLED}"] == closing_lines(caplog)


async def test_cancelled_while_the_last_answer_is_sent(caplog: pytest.LogCaptureFixture) -> None:
    async with open_memory_server(ServerOptions(close_seconds=60, outbox_pause_bytes=100_000_000)) as (server, _):
        ours, theirs = socket_pair()
        async with ours, handled(server, theirs, cancel_when=lambda: outbox_bytes(server) > 0):
            await ours.send_all(encode_request(P.ECHO_REQ, bytes(5_000_000)))
            await ours.send_eof()
            await until(lambda: outbox_bytes(server) > 0)
            await trio.sleep(0.01)

        # The peer had closed it before.
        assert ["conn=1 closed: the peer closed it"] == closing_lines(caplog)


# ---- any other stream --------------------------------------------------------------------------------------


async def test_stream_cancelled_while_it_reads_and_its_writer_sleeps(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_memory_server() as (server, _):
        ours, theirs = memory_stream_pair()
        async with handled(server, theirs):
            worker = RawPeer(ours)
            await worker.can_do(b"f")
            await worker.submit_background(b"f", b"")
            await worker.grab()

        assert 1 == server.statistics().counters.requeued
        assert [f"conn=1 {CANCELLED}"] == closing_lines(caplog)


async def test_stream_cancelled_while_it_writes(autojump_clock: MockClock) -> None:
    async with open_memory_server() as (server, _):
        ours, theirs = lockstep_stream_pair()
        async with handled(server, theirs, cancel_when=lambda: outbox_bytes(server) == 13):
            await ours.send_all(encode_request(P.ECHO_REQ, b"x"))


async def test_stream_cancelled_while_reading_is_paused(autojump_clock: MockClock) -> None:
    async with open_memory_server(ServerOptions(outbox_pause_bytes=1)) as (server, nursery):
        ours, theirs = lockstep_stream_pair()
        async with handled(server, theirs, cancel_when=lambda: outbox_bytes(server) == 13):
            await ours.send_all(encode_request(P.ECHO_REQ, b"x"))
            nursery.start_soon(send_in_vain, ours)


async def send_in_vain(stream: trio.abc.Stream) -> None:
    """What is sent while nobody reads breaks when the other side goes away."""
    with pytest.raises(trio.BrokenResourceError):
        await stream.send_all(encode_request(P.ECHO_REQ, b"never read"))


async def test_stream_cancelled_while_the_last_answer_is_sent(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_memory_server(ServerOptions(close_seconds=60)) as (server, _):
        ours, theirs = lockstep_stream_pair()
        async with handled(server, theirs, cancel_when=lambda: outbox_bytes(server) == 13):
            await ours.send_all(encode_request(P.ECHO_REQ, b"x"))
            await ours.send_eof()

        assert ["conn=1 closed: the peer closed it"] == closing_lines(caplog)
        assert trio.current_time() < 60


async def test_stream_cancelled_after_writing_broke(autojump_clock: MockClock) -> None:
    async with open_memory_server(ServerOptions(close_seconds=60)) as (server, _):
        ours, theirs = memory_stream_pair()
        theirs.send_stream.send_all_hook = broken
        async with handled(server, theirs):
            await ours.send_all(encode_request(P.ECHO_REQ, b"x"))
            await wait_all_tasks_blocked()

        assert trio.current_time() < 60


async def broken() -> None:
    raise trio.BrokenResourceError


async def test_tls_cancelled_during_the_handshake(
    autojump_clock: MockClock, certificate: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_memory_server() as (server, _):
        ours, theirs = memory_stream_pair()
        secure = trio.SSLStream(theirs, certificate.server, server_side=True)
        async with handled(server, secure):
            await ours.send_all(b"\x16\x03\x01")

        assert 0.1 > trio.current_time()
        assert [f"conn=1 {CANCELLED}"] == closing_lines(caplog)


async def test_tls_cancelled_while_it_says_good_bye(autojump_clock: MockClock, certificate: Certificate) -> None:
    """Its peer does not read, and the good-bye has its own short time, whoever cancels."""
    async with open_memory_server(ServerOptions(close_seconds=5)) as (server, _):
        ours, theirs = lockstep_stream_pair()
        secure = trio.SSLStream(theirs, certificate.server, server_side=True)
        client = trio.SSLStream(ours, certificate.client, server_hostname="127.0.0.1")
        async with handled(server, secure):
            await RawPeer(client).synchronize()
        # The lockstep stream takes nothing that is not read: the good-bye waited in vain.

        assert pytest.approx(5, abs=0.2) == trio.current_time()


async def test_stream_that_ends_while_nothing_is_sent_ends_at_once(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_memory_server() as (server, nursery):
        peer = join(server, nursery)
        await peer.synchronize()
        await peer.stream.aclose()
        await wait_all_tasks_blocked()

        assert (0, ["conn=1 closed: the peer closed it"]) == (trio.current_time(), closing_lines(caplog))


async def test_stream_that_breaks_for_reading_ends_at_once(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_memory_server() as (server, nursery):
        ours, theirs = memory_stream_pair()
        theirs.receive_stream.receive_some_hook = broken
        nursery.start_soon(server.handle_stream, theirs)
        await wait_all_tasks_blocked()

        assert (0, ["conn=1 closed: broken: "]) == (trio.current_time(), closing_lines(caplog))
        assert ours is not None
