"""A server from its start to its end: where it listens, what it takes, and what is left of it afterwards."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import memory_stream_pair

from gearman_trio.client import open_client
from gearman_trio.core import Peer
from gearman_trio.errors import ServersUnavailable
from gearman_trio.protocol import TEXT, PacketType, encode_request, encode_response
from gearman_trio.server import Server, ServerOptions, open_server, serve
from gearman_trio.transport import Address
from gearman_trio.worker import Abilities, open_worker

from ..patience import PATIENCE
from .conftest import Certificate
from .raw import (
    RawPeer,
    closing_lines,
    connect,
    join,
    open_bystanders,
    open_descriptors,
    open_memory_server,
    open_tcp_server,
    until,
)

P = PacketType


async def echo_over(stream: trio.abc.Stream) -> None:
    """Show that a stream leads to a server."""
    await RawPeer(stream).synchronize()


# ---- start -------------------------------------------------------------------------------------------------


async def test_start_gives_a_server_that_listens(nursery: trio.Nursery) -> None:
    server = await nursery.start(partial(serve, port=0))
    (address,) = server.addresses

    assert isinstance(server, Server)
    assert ("127.0.0.1", True) == (address.host, address.port > 0)
    assert f"gearman://127.0.0.1:{address.port}" == server.url
    async with connect(server) as peer:
        await peer.synchronize()


async def test_every_host_gets_a_socket(nursery: trio.Nursery) -> None:
    server = await nursery.start(partial(serve, host=["127.0.0.1", "::1", "127.0.0.2"], port=0))

    assert ["127.0.0.1", "::1", "127.0.0.2"] == [address.host for address in server.addresses]
    for index in range(3):
        async with connect(server, index=index) as peer:
            await peer.synchronize()
    assert "gearman://127.0.0.1:" in server.url


async def test_ipv6_address_is_written_with_brackets(nursery: trio.Nursery, caplog: pytest.LogCaptureFixture) -> None:
    server = await nursery.start(partial(serve, host="::1", port=0))
    port = server.addresses[0].port
    async with open_client(server.url) as client:
        answer = await client.echo(b"six")

    assert (f"gearman://[::1]:{port}", b"six") == (server.url, answer)
    await until(lambda: len(closing_lines(caplog)) == 1)
    assert "opened from [::1]:" in caplog.text


async def test_none_means_every_address_of_the_machine(nursery: trio.Nursery) -> None:
    server = await nursery.start(partial(serve, host=None, port=0))

    assert {"0.0.0.0", "::"} == {address.host for address in server.addresses}
    for address in server.addresses:
        stream = await trio.open_tcp_stream("::1" if ":" in address.host else "127.0.0.1", address.port)
        async with stream:
            await echo_over(stream)


async def test_listeners_of_ones_own_are_served_and_closed(tmp_path: Path) -> None:
    path = tmp_path / "gearman"
    unix = trio.socket.socket(socket.AF_UNIX)
    await unix.bind(os.fspath(path))
    unix.listen()
    listeners = [*await trio.open_tcp_listeners(0, host="127.0.0.1"), trio.SocketListener(unix)]
    async with open_server(listeners=listeners) as server:
        over_tcp = await trio.open_tcp_stream("127.0.0.1", server.addresses[0].port)
        over_unix = await trio.open_unix_socket(path)
        async with over_tcp, over_unix:
            await echo_over(over_tcp)
            await echo_over(over_unix)
            addresses = [peer.address for peer in server.statistics().peers]

    assert [f"unix:{path}"] == [str(address) for address in server.addresses[1:]]
    assert ["127.0.0.1", "unix"] == addresses
    assert [-1, -1] == [listener.socket.fileno() for listener in listeners]


async def test_server_without_a_listening_socket_has_no_url() -> None:
    async with open_memory_server() as (server, _):
        assert () == server.addresses
        with pytest.raises(RuntimeError, match="no listening socket"):
            _ = server.url


async def test_port_in_use_is_an_oserror_and_leaks_nothing() -> None:
    (taken,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with taken:
        port = taken.socket.getsockname()[1]
        before = open_descriptors()
        with pytest.raises(OSError, match="in use"):
            await serve(host=["127.0.0.2", "127.0.0.1"], port=port)
        with pytest.raises(OSError, match="in use"):
            async with open_server(port=port):
                raise AssertionError

        assert before == open_descriptors()


async def test_server_cancelled_before_it_runs_leaks_nothing() -> None:
    before = open_descriptors()
    with trio.CancelScope() as scope:
        scope.cancel()
        await serve(port=0)

    assert scope.cancelled_caught
    assert before == open_descriptors()


async def test_server_cancelled_before_it_runs_closes_the_listeners_it_was_given() -> None:
    before = open_descriptors()
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    with trio.CancelScope() as scope:
        scope.cancel()
        await serve(listeners=listeners)

    assert before == open_descriptors()


async def test_two_servers_in_one_nursery_are_two(nursery: trio.Nursery) -> None:
    first: Server = await nursery.start(partial(serve, port=0))
    second: Server = await nursery.start(partial(serve, port=0))
    async with connect(first) as client, connect(second) as worker:
        handle = await client.submit_background(b"f", b"")
        await worker.can_do(b"f")
        await worker.send(P.GRAB_JOB)
        await worker.expect(P.NO_JOB)
        await worker.send(P.GET_STATUS, handle)
        await worker.expect(P.STATUS_RES, handle, b"0", b"0", b"0", b"0")
        await first.drain()
        await worker.synchronize()

    assert first.addresses != second.addresses


async def test_handles_of_servers_started_after_each_other_differ(nursery: trio.Nursery) -> None:
    handles = []
    for second in (2_000_000_000.0, 2_000_000_001.0):
        server = await nursery.start(partial(serve, listeners=[], epoch_clock=partial(float, second)))
        peer = join(server, nursery)
        handles += [await peer.submit_background(b"f", b"") for _ in range(3)]
        await server.drain()
        await peer.receive_all()

    assert 6 == len(set(handles))


# ---- end ---------------------------------------------------------------------------------------------------


async def test_block_that_ends_drains_the_server() -> None:
    async with open_server(port=0) as server:
        pass

    await server.wait_ended()
    with pytest.raises(OSError, match="all attempts to connect"):
        await trio.open_tcp_stream("127.0.0.1", server.addresses[0].port)


async def test_block_that_raises_stops_the_server_hard_and_its_exception_comes_out_as_it_is() -> None:
    async with trio.open_nursery() as nursery:
        with pytest.raises(ZeroDivisionError):  # noqa: PT012 - it is the block that must raise
            async with open_server(listeners=[]) as server:
                worker = join(server, nursery)
                await worker.can_do(b"f")
                await worker.submit_background(b"f", b"")
                await worker.grab()
                _ = 1 / 0

        assert b"" == await worker.receive_all()
    assert [] == server.statistics().peers


async def test_block_that_is_cancelled_stops_the_server_hard() -> None:
    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            async with open_server(listeners=[]) as server:
                worker = join(server, nursery)
                await worker.can_do(b"f")
                await worker.submit_background(b"f", b"")
                await worker.grab()
                scope.cancel()
                await trio.sleep_forever()

        assert scope.cancelled_caught
        assert b"" == await worker.receive_all()


async def test_hard_stop_lets_the_broker_see_every_connection_leave(
    driver: str, certificate: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    before = open_descriptors()
    async with trio.open_nursery() as nursery, trio.open_nursery() as serving:
        plain: Server = await serving.start(partial(serve, port=0))
        async with connect(plain) as client, connect(plain) as worker:
            memory = join(plain, nursery)
            await memory.synchronize()
            await worker.can_do(b"f")
            await client.submit(b"f", b"foreground")
            await client.submit_background(b"f", b"background")
            await client.submit_background(b"g", b"queued")
            await worker.grab()
            await worker.grab()
            serving.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                await plain.wait_ended()
                assert b"" == await client.receive_all()
                assert b"" == await worker.receive_all()
                assert b"" == await memory.receive_all()

    statistics = plain.statistics()
    assert [] == statistics.peers
    assert [(1, 0, 0), (1, 0, 0)] == [(f.queued, f.running, f.workers) for f in statistics.functions]
    assert 1 == statistics.counters.abandoned
    assert ["the server stopped"] * 3 == [line.partition(" closed: ")[2] for line in closing_lines(caplog)]
    assert before == open_descriptors()


async def test_server_and_its_connections_leave_no_descriptor(driver: str, certificate: Certificate) -> None:
    before = open_descriptors()
    async with open_server(port=0) as plain, open_server(port=0, ssl_context=certificate.server) as secure:
        for _ in range(5):
            async with connect(plain) as peer:
                await peer.synchronize()
            async with tls_stream(secure, certificate) as stream:
                await echo_over(stream)

    assert before == open_descriptors()


async def test_server_leaves_no_task(driver: str) -> None:
    before = count_tasks()
    async with open_server(port=0) as server, connect(server) as peer, server.open_client() as client:
        await peer.synchronize()
        await client.echo(b"")

    assert before == count_tasks()


def count_tasks() -> int:
    return trio.lowlevel.current_statistics().tasks_living


# ---- streams of one's own ----------------------------------------------------------------------------------


async def test_stream_is_served_until_its_peer_leaves() -> None:
    async with open_memory_server() as (server, _):
        ours, theirs = memory_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.handle_stream, theirs)
            peer = RawPeer(ours)
            await peer.synchronize()
            address = server.statistics().peers[0].address
            await ours.send_eof()
            assert b"" == await peer.receive_all()

        assert ("in-process", []) == (address, server.statistics().peers)
        with pytest.raises(trio.ClosedResourceError):
            await theirs.receive_some(1)


async def test_cancelled_caller_of_handle_stream_has_its_stream_closed_first() -> None:
    async with open_memory_server() as (server, _):
        ours, theirs = memory_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.handle_stream, theirs)
            await RawPeer(ours).synchronize()
            nursery.cancel_scope.cancel()

        assert [] == server.statistics().peers
        with pytest.raises(trio.ClosedResourceError):
            await theirs.receive_some(1)


async def test_caller_of_handle_stream_cancelled_before_it_runs_has_its_stream_closed() -> None:
    async with open_memory_server() as (server, _):
        _, theirs = memory_stream_pair()
        with trio.CancelScope() as scope:
            scope.cancel()
            await server.handle_stream(theirs)

        assert scope.cancelled_caught
        assert [] == server.statistics().peers
        with pytest.raises(trio.ClosedResourceError):
            await theirs.receive_some(1)


async def test_stream_for_a_server_that_has_ended_is_closed() -> None:
    async with open_memory_server() as (server, _):
        await server.drain()
        _, theirs = memory_stream_pair()
        with pytest.raises(RuntimeError, match="not running"):
            await server.handle_stream(theirs)

    with pytest.raises(trio.ClosedResourceError):
        await theirs.receive_some(1)


async def test_streams_that_come_while_the_server_ends_are_closed_one_way_or_the_other() -> None:
    """There is no moment at which a stream is taken and then forgotten."""
    async with open_memory_server() as (server, nursery):
        pairs = []
        done = trio.Event()

        async def offer(stream: trio.abc.Stream) -> None:
            try:
                await server.handle_stream(stream)
            except RuntimeError:
                done.set()

        nursery.start_soon(server.drain)
        while not done.is_set():
            ours, theirs = memory_stream_pair()
            pairs.append(ours)
            nursery.start_soon(offer, theirs)
            await trio.lowlevel.checkpoint()
        with trio.fail_after(PATIENCE):
            received = [await RawPeer(ours).receive_all() for ours in pairs]

        assert {b""} == set(received)
        assert [] == server.statistics().peers


async def test_socket_that_was_closed_already_is_no_disaster(caplog: pytest.LogCaptureFixture) -> None:
    async with open_tcp_server() as server:
        stream = await trio.open_tcp_stream("127.0.0.1", server.addresses[0].port)
        await trio.aclose_forcefully(stream)
        await until(lambda: len(closing_lines(caplog)) == 1)
        await server.handle_stream(stream)
        async with open_bystanders(server):
            pass


async def test_socket_of_ones_own_goes_through_the_pump(driver: str) -> None:
    async with open_tcp_server() as server, open_bystanders(server):
        ours, theirs = trio.socket.socketpair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.handle_stream, trio.SocketStream(theirs))
            async with trio.SocketStream(ours) as stream:
                await echo_over(stream)

        assert -1 == theirs.fileno()


# ---- a client in the same process --------------------------------------------------------------------------


async def test_client_and_worker_in_process_do_a_job_without_a_socket() -> None:
    abilities = Abilities()

    @abilities.function
    async def reverse(workload: bytes) -> bytes:
        return workload[::-1]

    async with open_memory_server() as (server, nursery):

        async def dial(address: Address) -> trio.abc.Stream:
            ours, theirs = memory_stream_pair()
            nursery.start_soon(server.handle_stream, theirs)
            await trio.lowlevel.checkpoint()
            return ours

        async with open_worker(abilities, connect=dial), server.open_client(client_id="me") as client:
            result = await client.run("reverse", b"abc")
            names = [peer.client_id for peer in server.statistics().peers if peer.client_id == b"me"]

    assert (b"cba", [b"me"]) == (result, names)


async def test_client_in_process_after_the_end_is_refused() -> None:
    async with open_memory_server() as (server, _):
        await server.drain()
        async with server.open_client() as client:
            with pytest.raises(ServersUnavailable, match="the server is not running"):
                await client.echo(b"")


async def test_client_in_process_that_is_cancelled_while_it_connects_leaves_no_connection() -> None:
    async with open_memory_server() as (server, _):
        for steps in range(6):
            with trio.CancelScope() as scope:
                async with server.open_client() as client, trio.open_nursery() as nursery:
                    nursery.start_soon(client.echo, b"")
                    for _ in range(steps):
                        await trio.lowlevel.checkpoint()
                    scope.cancel()
            assert scope.cancelled_caught
            await trio.testing.wait_all_tasks_blocked()

            assert [] == server.statistics().peers


# ---- TLS ---------------------------------------------------------------------------------------------------


def tls_stream(server: Server, certificate: Certificate) -> TlsConnection:
    return TlsConnection(server, certificate)


class TlsConnection:
    """``async with`` gives a TLS stream to a server."""

    def __init__(self, server: Server, certificate: Certificate) -> None:
        self._server = server
        self._certificate = certificate

    async def __aenter__(self) -> trio.SSLStream[trio.SocketStream]:
        self._stream = await trio.open_ssl_over_tcp_stream(
            "127.0.0.1", self._server.addresses[0].port, ssl_context=self._certificate.client
        )
        await self._stream.do_handshake()
        return self._stream

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stream.aclose()


@pytest.mark.slow
async def test_jobs_over_tls(certificate: Certificate) -> None:
    abilities = Abilities()

    @abilities.function
    async def reverse(workload: bytes) -> bytes:
        return workload[::-1]

    workload = os.urandom(3_000_000)
    async with (
        open_server(port=0, ssl_context=certificate.server) as server,
        open_worker(abilities, str(server.addresses[0]), ssl_context=certificate.client),
        open_client(str(server.addresses[0]), ssl_context=certificate.client) as client,
    ):
        result = await client.run("reverse", workload)

    assert workload[::-1] == result


async def test_plain_text_at_a_tls_port_ends_that_connection_alone(
    certificate: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        open_server(port=0, ssl_context=certificate.server) as server,
        tls_stream(server, certificate) as bystander,
        connect(server) as peer,
    ):
        await echo_over(bystander)
        await peer.stream.send_all(encode_request(P.ECHO_REQ, b"in the clear"))
        await peer.receive_all()
        await until(lambda: len(closing_lines(caplog)) == 1)
        await echo_over(bystander)

        assert "TLS handshake failed" in closing_lines(caplog)[0]
        assert 1 == len(server.statistics().peers)


@pytest.mark.slow
async def test_stalled_tls_handshake_ends_that_connection_alone(
    certificate: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    # The bystander has so long for its handshake, too, and the machine may be busy.
    options = ServerOptions(handshake_seconds=1.0, close_seconds=60.0)
    async with (
        open_server(port=0, ssl_context=certificate.server, options=options) as server,
        tls_stream(server, certificate) as bystander,
        connect(server) as peer,
    ):
        await peer.stream.send_all(b"\x16\x03\x01")
        with trio.fail_after(PATIENCE):
            # The close does not wait for a good-bye (close_seconds is 60) from a peer that has not said hello.
            assert b"" == await peer.receive_all()
        await until(lambda: len(closing_lines(caplog)) == 1)
        await echo_over(bystander)

        assert closing_lines(caplog)[0].endswith("no TLS handshake within 1.0 seconds")


#: It would be an hour if something waited for it.
ENDLESS_HANDSHAKE = ServerOptions(handshake_seconds=3600, close_seconds=3600)


async def test_drain_does_not_wait_for_a_stalled_handshake(certificate: Certificate) -> None:
    serving = open_server(port=0, ssl_context=certificate.server, options=ENDLESS_HANDSHAKE)
    async with serving as server, connect(server) as peer:
        await peer.stream.send_all(b"\x16\x03\x01")
        await until(lambda: len(server.statistics().peers) == 1)
        with trio.fail_after(PATIENCE):
            await server.drain()


async def test_hard_stop_does_not_wait_for_a_stalled_handshake(certificate: Certificate) -> None:
    serving = partial(serve, port=0, ssl_context=certificate.server, options=ENDLESS_HANDSHAKE)
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            server: Server = await nursery.start(serving)
            async with connect(server) as peer:
                await peer.stream.send_all(b"\x16\x03\x01")
                await until(lambda: len(server.statistics().peers) == 1)
                nursery.cancel_scope.cancel()


async def test_peer_that_says_good_bye_in_tls_is_no_broken_one(
    certificate: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_server(port=0, ssl_context=certificate.server) as server:
        async with tls_stream(server, certificate) as stream:
            await echo_over(stream)
        await until(lambda: len(closing_lines(caplog)) == 1)

        assert closing_lines(caplog)[0].endswith("closed: the peer closed it")


# ---- defects -----------------------------------------------------------------------------------------------


async def test_defect_of_the_broker_ends_one_connection_and_is_logged_with_its_traceback(
    driver: str, caplog: pytest.LogCaptureFixture
) -> None:
    def defective(peer: Peer, kind: int, body: bytes, now: float) -> None:
        raise ZeroDivisionError

    async with open_tcp_server() as server, open_bystanders(server), connect(server) as peer:
        server._hub._dispatcher._handlers[TEXT] = defective
        await peer.stream.send_all(b"poison\n")
        await peer.receive_all()
        await until(lambda: len(server.statistics().peers) == 2)

    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert [ZeroDivisionError] == [record.exc_info[0] for record in errors if record.exc_info]
    caplog.clear()


async def test_large_packet_without_memory_for_it_ends_its_connection_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class NoMoreBytes(BytesIO):
        def write(self, data: Any) -> int:
            raise MemoryError

    monkeypatch.setattr("gearman_trio.protocol.body.BytesIO", NoMoreBytes)
    packet = encode_request(P.ECHO_REQ, bytes(10_000_000))
    async with open_tcp_server() as server, open_bystanders(server), connect(server) as peer:
        with suppress(trio.BrokenResourceError):
            await peer.stream.send_all(packet)
        await until(lambda: len(server.statistics().peers) == 2)

    assert any("closed: there is no memory for the packet" in line for line in closing_lines(caplog))


def test_encoded_answer_is_what_the_helpers_read() -> None:
    """The helpers decode with the package's own codec; the wire itself is tested by golden bytes elsewhere."""
    assert b"\0RES\0\0\0\x11\0\0\0\x01x" == encode_response(P.ECHO_RES, b"x")
