"""The listeners of a job server's process: opened here, or by the service manager."""

from __future__ import annotations

from collections.abc import Sequence
from socket import AF_UNIX, socket

import trio

from ..server import Listen, ServerListener, open_listeners
from ..transport import Address, server_context
from .launch import Launch

__all__ = ["open_all", "open_gateway", "open_web"]


async def open_all(launch: Launch, inherited: Sequence[socket]) -> list[trio.abc.Listener[trio.abc.Stream]]:
    """Open what a process shall listen on.

    Args:
        launch: tells the places.
        inherited: sockets that listen already. They take the place of the default, which is all addresses of this
            machine; places that are asked for are opened besides.

    Raises:
        ConfigError: a file of TLS cannot be used.
        OSError: a place cannot be listened at; its text is a message for people. Nothing is left open then.
    """
    opened: list[trio.abc.Listener[trio.abc.Stream]] = [_taken_over(launch.everywhere, one) for one in inherited]
    # A place for administrators is none for clients and workers.
    public = bool(inherited) or any(not listen.admin for listen in launch.listens)
    listens = launch.listens if public else (launch.everywhere, *launch.listens)
    try:
        for listen in listens:
            opened += await open_listeners([listen], backlog=launch.backlog)
    except BaseException as exc:
        for listener in opened:
            await trio.aclose_forcefully(listener)
        if isinstance(exc, OSError):
            raise OSError(exc.errno, f"cannot listen on {_place(listen)}: {exc.strerror or exc}") from exc
        raise
    return opened


async def open_web(launch: Launch) -> list[trio.SocketListener]:
    """Open what a process shall answer HTTP on.

    Raises:
        OSError: it cannot be listened on; its text is a message for people.
    """
    return [] if launch.web is None else await _open_tcp("--web", launch.web)


async def open_gateway(launch: Launch) -> list[trio.SocketListener]:
    """Open what a process shall run jobs at for requests over HTTP.

    Raises:
        OSError: a place cannot be listened at; its text is a message for people. Nothing is left open then.
    """
    opened: list[trio.SocketListener] = []
    try:
        for address in launch.gateway:
            opened += await _open_tcp("--http-port", address)
    except BaseException:
        for listener in opened:
            await trio.aclose_forcefully(listener)
        raise
    return opened


async def _open_tcp(option: str, address: Address) -> list[trio.SocketListener]:
    try:
        return await trio.open_tcp_listeners(address.port, host=None if address.host == "*" else address.host)
    except OSError as exc:
        raise OSError(exc.errno, f"{option}: cannot listen on {address}: {exc.strerror or exc}") from exc


def _taken_over(everywhere: Listen, inherited: socket) -> trio.abc.Listener[trio.abc.Stream]:
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(inherited))
    if inherited.family == AF_UNIX:
        # Its file is not ours to remove.
        return listener
    return ServerListener(everywhere, listener, server_context(everywhere.tls) if everywhere.tls else None)


def _place(listen: Listen) -> str:
    address = listen.address
    if address.path:
        return str(address)
    return f"{'any address' if address.host == '*' else address.host}, port {address.port}"
