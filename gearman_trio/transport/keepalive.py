"""Probes by the kernel, so that a peer whose machine or line has died is noticed although nothing is sent to it."""

from __future__ import annotations

import socket
from typing import Final

import trio

__all__ = ["keep_alive"]

#: By the names of `socket`, where the platform has them. A dead peer is given up after two minutes; the usual default
#: of the kernel is two hours, for which a job would stay with a worker that is no more.
_PROBES: Final = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 20, "TCP_KEEPCNT": 3}


def keep_alive(stream: trio.abc.Stream) -> None:
    """Turn the probes on for a TCP connection, plain or under TLS; other streams stay as they are."""
    inner = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
    if not isinstance(inner, trio.SocketStream) or inner.socket.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    try:
        inner.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _PROBES.items():
            if hasattr(socket, name):
                inner.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    except OSError:
        # The peer has left already, which whoever reads next will see.
        return
