"""How many connections there may be, what one too many is told, and what happens when descriptors run out."""

from __future__ import annotations

import errno
from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from gearman_trio.protocol import PacketType
from gearman_trio.server import Server, ServerOptions
from gearman_trio.server.accepting import Complaints, accept_all

from .conftest import Certificate
from .raw import RawPeer, closing_lines, connect, open_bystanders, open_tcp_server, until

P = PacketType

Stream = trio.abc.Stream


async def refused(server: Server, *, index: int = 0) -> bytes:
    """Connect, send something as every peer does, and give the text of the refusal."""
    async with connect(server, index=index) as peer:
        await peer.send(P.ECHO_REQ, bytes(100_000))
        kind, (code, text) = await peer.receive()
        assert (P.ERROR, b"TOO_MANY_CONNECTIONS", b"") == (kind, code, await peer.receive_all())
        return text


async def left(server: Server, connections: int) -> None:
    """Wait until only so many connections are left."""
    await until(lambda: len(server.statistics().peers) == connections)


# ---- limits ------------------------------------------------------------------------------------------------


async def test_connection_over_the_limit_is_told_and_closed(driver: str, caplog: pytest.LogCaptureFixture) -> None:
    async with open_tcp_server(ServerOptions(max_connections=2)) as server, open_bystanders(server):
        assert b"the job server has 2 connections, and may have 2" == await refused(server)
        assert 2 == server.statistics().counters.connections


async def test_there_is_room_again_when_a_connection_ends(driver: str) -> None:
    async with open_tcp_server(ServerOptions(max_connections=1)) as server:
        for _ in range(3):
            async with connect(server) as peer:
                await peer.synchronize()
                await refused(server)
            await left(server, 0)


async def test_one_address_over_its_limit_leaves_room_for_others() -> None:
    options = ServerOptions(max_connections_per_address=1)
    async with open_tcp_server(options, host=["127.0.0.1", "::1"]) as server, connect(server) as peer:
        await peer.synchronize()

        assert b"127.0.0.1 has 1 connections, and may have 1" == await refused(server)
        async with connect(server, index=1) as other:
            await other.synchronize()
            assert b"::1 has 1 connections, and may have 1" == await refused(server, index=1)


async def test_connections_inside_the_process_do_not_count() -> None:
    async with open_tcp_server(ServerOptions(max_connections=1)) as server, connect(server) as peer:
        await peer.synchronize()
        async with server.open_client() as client:
            assert b"hello" == await client.echo(b"hello")


async def test_many_refusals_are_one_log_line(caplog: pytest.LogCaptureFixture) -> None:
    async with open_tcp_server(ServerOptions(max_connections=2)) as server, open_bystanders(server):
        for _ in range(100):
            await refused(server)
        lines = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]

        assert ["refused a connection: the job server has 2 connections, and may have 2"] == lines
        assert [] == closing_lines(caplog)


async def test_who_says_nothing_and_stays_is_let_go_of() -> None:
    options = ServerOptions(max_connections=2, close_seconds=0.01)
    async with open_tcp_server(options) as server, open_bystanders(server), connect(server) as peer:
        await peer.receive()

        assert b"" == await peer.receive_all()


async def test_refused_tls_connection_is_closed(certificate: Certificate) -> None:
    """It could be told nothing without a handshake, which costs more than the refusal saves."""
    options = ServerOptions(max_connections=1)
    listeners = await trio.open_ssl_over_tcp_listeners(0, certificate.server, host="127.0.0.1")
    async with (
        open_tcp_server(options, listeners=listeners) as server,
        connect(server),
        connect(server) as second,
    ):
        assert b"" == await second.receive_all()


# ---- no descriptors ----------------------------------------------------------------------------------------


class FailingListener(trio.abc.Listener[Stream]):
    """Accepts by a plan: an error number, or 0 for a stream."""

    def __init__(self, plan: list[int]) -> None:
        self.plan = plan
        self.calls: list[float] = []
        self.peers: list[RawPeer] = []

    async def accept(self) -> Stream:
        await trio.lowlevel.checkpoint()
        if not self.plan:
            await trio.sleep_forever()
        self.calls.append(trio.current_time())
        number = self.plan.pop(0)
        if number:
            raise OSError(number, "no room")
        ours, theirs = memory_stream_pair()
        self.peers.append(RawPeer(ours))
        return theirs

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


async def count(stream: Stream) -> None:
    await stream.aclose()


async def test_accepting_pauses_for_longer_and_longer_with_one_log_line(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    plan = [errno.EMFILE] * 8 + [0] + [errno.ENFILE, 0]
    listener, complaints = FailingListener(plan), Complaints()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept_all, listener, count, nursery, complaints)
        await trio.sleep(60)
        nursery.cancel_scope.cancel()
    waits = [later - earlier for earlier, later in pairwise(listener.calls)]

    assert 11 == len(listener.calls)
    assert 0.05 <= waits[0] <= 0.1
    assert 0.5 <= waits[7] <= 1.0
    assert all(earlier <= 2.001 * later for earlier, later in pairwise(waits[:8]))
    assert 0.05 <= waits[9] <= 0.1
    assert ["cannot accept connections for a while: no room"] == caplog.messages


async def test_other_errors_of_accept_end_the_server() -> None:
    async with trio.open_nursery() as nursery:
        with pytest.raises(OSError, match="no room"):
            await accept_all(FailingListener([errno.EINVAL]), count, nursery, Complaints())


async def test_complaints_count_what_they_leave_out(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    complaints = Complaints()
    for _ in range(25):
        complaints.warn("a", "because")
        await trio.sleep(1)
    complaints.warn("b", "because")

    assert [
        "a: because",
        "a: because (9 more since the last line)",
        "a: because (9 more since the last line)",
        "b: because",
    ] == caplog.messages
