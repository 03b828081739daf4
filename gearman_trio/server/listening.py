"""Listeners: opened together or not at all, closed together, and asked where they listen."""

from __future__ import annotations

import ssl
from collections.abc import Sequence

import trio

from ..transport import Address

__all__ = ["close_listeners", "listener_addresses", "open_listeners"]


async def open_listeners(
    host: str | Sequence[str] | None, port: int, backlog: int | None, ssl_context: ssl.SSLContext | None
) -> list[trio.abc.Listener[trio.abc.Stream]]:
    """Listen on one or several addresses, with TLS where there is a context; on none where one fails.

    Raises:
        OSError: an address cannot be listened on.
    """
    hosts: Sequence[str | None] = [host] if host is None or isinstance(host, str) else host
    opened: list[trio.abc.Listener[trio.abc.Stream]] = []
    try:
        for one in hosts:
            for plain in await trio.open_tcp_listeners(port, host=one, backlog=backlog):
                opened.append(plain if ssl_context is None else trio.SSLListener(plain, ssl_context))
    except BaseException:
        await close_listeners(opened)
        raise
    return opened


async def close_listeners(listeners: Sequence[trio.abc.Listener[trio.abc.Stream]]) -> None:
    """Close listeners at once, also in a cancelled task."""
    # Shielded though nothing waits here: in a cancelled task each close ends with Cancelled, and the next must follow.
    with trio.CancelScope(shield=True):
        for listener in listeners:
            await trio.aclose_forcefully(listener)


def listener_addresses(listeners: Sequence[trio.abc.Listener[trio.abc.Stream]]) -> list[Address]:
    """Where those listen that are TCP listeners, with or without TLS."""
    found = []
    for listener in listeners:
        inner = listener.transport_listener if isinstance(listener, trio.SSLListener) else listener
        if isinstance(inner, trio.SocketListener):
            name = inner.socket.getsockname()
            if isinstance(name, tuple):
                found.append(Address(name[0], name[1]))
    return found
