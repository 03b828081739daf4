"""The listeners of a job server's process: opened here, or by the service manager."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from socket import socket

import trio

from .launch import Launch

__all__ = ["open_listeners"]

_Listener = trio.SocketListener | trio.SSLListener[trio.SocketStream]


async def open_listeners(
    launch: Launch, inherited: Sequence[socket], context: ssl.SSLContext | None
) -> list[_Listener]:
    """Open what a process shall listen on.

    Args:
        launch: tells the addresses.
        inherited: sockets that listen already. They take the place of the default, which is all addresses of this
            machine; addresses that are given are opened besides.
        context: for TLS on all of them.

    Raises:
        OSError: an address cannot be listened on; its text is a message for people. Nothing is left open then.
    """
    wanted: list[tuple[str | None, int]] = [(address.host, address.port) for address in launch.addresses]
    if not wanted and not inherited:
        wanted = [(None, launch.port)]
    opened = [trio.SocketListener(trio.socket.from_stdlib_socket(one)) for one in inherited]
    for host, port in wanted:
        try:
            opened += await trio.open_tcp_listeners(port, host=host, backlog=launch.backlog)
        except OSError as exc:
            for listener in opened:
                await trio.aclose_forcefully(listener)
            place = f"{host or 'any address'}, port {port}"
            raise OSError(exc.errno, f"cannot listen on {place}: {exc.strerror or exc}") from exc
    return list(opened) if context is None else [trio.SSLListener(listener, context) for listener in opened]
