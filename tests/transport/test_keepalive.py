"""Probes by the kernel."""

from __future__ import annotations

import os
import socket

import trio
from trio.testing import memory_stream_pair

from gearman_trio.server import ServerOptions, open_server
from gearman_trio.transport import Address, connect_tcp, keep_alive


async def accepted_by(options: ServerOptions) -> socket.socket:
    """Another descriptor of a socket that a server has accepted."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    accepted: list[socket.socket] = []

    class Listener(trio.abc.Listener[trio.SocketStream]):
        async def accept(self) -> trio.SocketStream:
            stream = await listener.accept()
            accepted.append(socket.socket(fileno=os.dup(stream.socket.fileno())))
            return stream

        async def aclose(self) -> None:
            await listener.aclose()

    address = Address("127.0.0.1", listener.socket.getsockname()[1])
    async with open_server(listeners=[Listener()], options=options), await connect_tcp(address) as stream:
        await stream.send_all(b"version\n")
        await stream.receive_some()
    return accepted[0]


async def test_probes_are_on_at_the_client_end() -> None:
    async with open_server(port=0) as server, await connect_tcp(server.addresses[0]) as stream:
        assert 1 == stream.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert 60 == stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)


async def test_probes_are_on_at_the_accepting_end() -> None:
    with await accepted_by(ServerOptions()) as accepted:
        assert 1 == accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert 60 == accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)


async def test_probes_are_as_the_server_wants_them() -> None:
    options = ServerOptions(keepalive_idle_seconds=30, keepalive_interval_seconds=-1, keepalive_count=5)
    usual = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with usual:
        interval = usual.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL)
    accepted = await accepted_by(options)
    with accepted:
        assert 1 == accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert [30, interval, 5] == [
            accepted.getsockopt(socket.IPPROTO_TCP, name)
            for name in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        ]


async def test_probes_may_be_left_out() -> None:
    with await accepted_by(ServerOptions(keepalive=False)) as accepted:
        assert 0 == accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


async def test_other_streams_stay_as_they_are() -> None:
    ours, theirs = memory_stream_pair()
    left, right = socket.socketpair()
    with left, right:
        unix = trio.SocketStream(trio.socket.from_stdlib_socket(left))
        keep_alive(ours)
        keep_alive(unix)

        assert 0 == left.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)

    await theirs.aclose()


async def test_a_socket_that_is_closed_is_no_error() -> None:
    async with open_server(port=0) as server:
        stream = await connect_tcp(server.addresses[0])
        await stream.aclose()

        keep_alive(stream)
