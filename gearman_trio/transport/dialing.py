"""Streams to job servers: TCP, unix sockets, or whatever the caller brings, and TLS over each."""

from __future__ import annotations

import os
import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import trio

from .address import Address
from .keepalive import keep_alive
from .tls import Tls, client_context

__all__ = ["UNREACHABLE", "Connect", "connect_socket", "connect_tcp", "dialer", "why_unreachable"]

#: Opens a stream to a job server; raises one of `UNREACHABLE` where it cannot.
Connect = Callable[[Address], Awaitable[trio.abc.Stream]]

#: What a connection that cannot be made raises.
UNREACHABLE: Final = (OSError, trio.BrokenResourceError, trio.ClosedResourceError)


async def connect_socket(address: Address) -> trio.SocketStream:
    """Connect to a unix socket or over TCP, as the address says.

    Raises:
        OSError: no connection could be made.
    """
    if address.path:
        return await trio.open_unix_socket(address.path)
    return await connect_tcp(address)


async def connect_tcp(address: Address) -> trio.SocketStream:
    """Connect over TCP, with the kernel's probes on, so that a server that vanished is noticed some time.

    Raises:
        OSError: no connection could be made.
    """
    try:
        stream = await trio.open_tcp_stream(address.host, address.port)
    except UnicodeError as exc:
        # The resolver's word for a label that is empty or over 63 characters.
        raise OSError(f"{address.host!r} is not the name of a host: {exc}") from exc
    keep_alive(stream)
    return stream


def dialer(connect: Connect | None, tls: Tls | None) -> Connect:
    """How to get a stream: by `connect`, or over a socket without one; inside TLS where that is asked for.

    Raises:
        ConfigError: a file of TLS cannot be used.
    """
    connect = connect or connect_socket
    return connect if tls is None else partial(_connect_tls, connect, client_context(tls))


def why_unreachable(exc: BaseException) -> str:
    """Why a connection could not be made, in the system's own words where Trio put its own around them.

    Args:
        exc: one of `UNREACHABLE`.  That of `connect_tcp` says only that all attempts failed, and has them behind it; a
            reason that several addresses of a host share is given once.
    """
    cause = exc.__cause__
    if isinstance(cause, BaseExceptionGroup):
        return "; ".join(dict.fromkeys(_reason(inner) for inner in cause.exceptions))
    return _reason(cause or exc)


def _reason(exc: BaseException) -> str:
    if not isinstance(exc, OSError) or not exc.strerror:
        return str(exc) or repr(exc)
    if exc.errno is not None and exc.strerror.startswith("Error connecting to "):
        return os.strerror(exc.errno)
    return exc.strerror


async def _connect_tls(connect: Connect, ssl_context: ssl.SSLContext, address: Address) -> trio.abc.Stream:
    """Shake hands before anything is sent, so that a refused certificate counts as no connection."""
    stream = await connect(address)
    # gearmand closes TLS connections without a farewell, as many HTTPS servers do.
    tls = trio.SSLStream(stream, ssl_context, server_hostname=address.host or "localhost", https_compatible=True)
    try:
        await tls.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return tls
