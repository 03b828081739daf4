"""Streams to servers on the loopback interface; besides the interoperation tests, only these open ports."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trustme

from gearman_trio.transport import UNREACHABLE, Address, connect_tcp, dialer, why_unreachable


@asynccontextmanager
async def echo_server(ssl_context: ssl.SSLContext | None = None) -> AsyncIterator[Address]:
    async def echo(stream: trio.abc.Stream) -> None:
        try:
            await stream.send_all(await stream.receive_some(100))
        except trio.BrokenResourceError:
            await trio.aclose_forcefully(stream)

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        listening = listener if ssl_context is None else trio.SSLListener(listener, ssl_context)
        nursery.start_soon(trio.serve_listeners, echo, [listening])
        yield Address("localhost", listener.socket.getsockname()[1])
        nursery.cancel_scope.cancel()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    return context


async def test_tcp_streams_are_probed_by_the_kernel() -> None:
    async with echo_server() as address:
        stream = await connect_tcp(address)
        async with stream:
            await stream.send_all(b"hello")

            assert b"hello" == await stream.receive_some(100)
            assert stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


async def test_tls_checks_the_certificate_and_carries_bytes(authority: trustme.CA) -> None:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with echo_server(server_context(authority)) as address:
        stream = await dialer(None, context)(address)
        async with stream:
            await stream.send_all(b"hello")

            assert b"hello" == await stream.receive_some(100)


async def test_certificate_that_is_not_trusted_is_no_connection(authority: trustme.CA) -> None:
    async with echo_server(server_context(authority)) as address:
        with pytest.raises(trio.BrokenResourceError) as caught:
            await dialer(None, ssl.create_default_context())(address)

    assert "certificate" in str(caught.value.__cause__).lower()


async def test_tcp_that_is_refused_is_an_os_error() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

        with pytest.raises(OSError, match="connect"):
            await connect_tcp(Address("127.0.0.1", port))


@pytest.mark.parametrize("host", ["..", "x" * 70])
async def test_a_name_that_no_host_can_have_is_an_os_error(host: str) -> None:
    with pytest.raises(OSError, match="is not the name of a host"):
        await connect_tcp(Address(host, 4730))


async def test_a_refusal_is_told_in_the_systems_words_once_for_all_addresses() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

        with pytest.raises(UNREACHABLE) as caught:
            await connect_tcp(Address("127.0.0.1", port))

    assert "Connection refused" == why_unreachable(caught.value)


def behind(cause: BaseException) -> OSError:
    error = OSError("all attempts to connect failed")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            behind(ExceptionGroup("", [OSError("refused"), OSError("refused"), OSError("no route")])),
            "refused; no route",
        ),
        (behind(OSError("refused")), "refused"),
        (behind(ConnectionRefusedError(errno.ECONNREFUSED, "Error connecting to x: refused")), "Connection refused"),
        (OSError(errno.EIO, "the line is cut"), "the line is cut"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/run/g.sock"), "No such file or directory"),
        (
            behind(socket.gaierror(socket.EAI_NONAME, "Name or service not known")),
            "Name or service not known",
        ),
        (ssl.SSLError(1, "wrong version number"), "wrong version number"),
        (trio.BrokenResourceError("no handshake"), "no handshake"),
        (trio.ClosedResourceError(), "ClosedResourceError()"),
    ],
)
def test_why_a_connection_could_not_be_made(error: BaseException, reason: str) -> None:
    assert reason == why_unreachable(error)
