"""Probes by the kernel."""

from __future__ import annotations

import socket

import trio
from trio.testing import memory_stream_pair

from gearman_trio.server import open_server
from gearman_trio.transport import Address, connect_tcp, keep_alive


async def test_probes_are_on_at_the_client_end() -> None:
    async with open_server(port=0) as server, await connect_tcp(server.addresses[0]) as stream:
        assert 1 == stream.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert 60 == stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)


async def test_probes_are_on_at_the_accepting_end() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    accepted: list[trio.SocketStream] = []

    class Listener(trio.abc.Listener[trio.SocketStream]):
        async def accept(self) -> trio.SocketStream:
            stream = await listener.accept()
            accepted.append(stream)
            return stream

        async def aclose(self) -> None:
            await listener.aclose()

    address = Address("127.0.0.1", listener.socket.getsockname()[1])
    async with open_server(listeners=[Listener()]), await connect_tcp(address) as stream:
        await stream.send_all(b"version\n")
        await stream.receive_some()

        assert 1 == accepted[0].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


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
