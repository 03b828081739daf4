"""Probes by the kernel, so that a peer whose machine or line has died is noticed although nothing is sent to it."""

from __future__ import annotations

import socket
from typing import Final

import attrs
import trio

__all__ = ["KeepAlive", "keep_alive"]


@attrs.frozen(kw_only=True)
class KeepAlive:
    """How a silent peer is probed; -1 anywhere for the kernel's own value, which is usually two hours in all.

    The defaults give a dead peer up after two minutes, for so long a job may stay with a worker that is no more.

    Attributes:
        idle_seconds: how long a peer may be silent before it is probed.
        interval_seconds: how long after a probe the next one follows.
        count: after how many probes without an answer the connection is closed.
    """

    idle_seconds: int = 60
    interval_seconds: int = 20
    count: int = 3


_DEFAULT: Final = KeepAlive()


def keep_alive(stream: trio.abc.Stream, probes: KeepAlive = _DEFAULT) -> None:
    """Turn the probes on for a TCP connection, plain or under TLS; other streams stay as they are."""
    inner = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
    if not isinstance(inner, trio.SocketStream) or inner.socket.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    # By the names of `socket`, where the platform has them.
    values = {
        "TCP_KEEPIDLE": probes.idle_seconds,
        "TCP_KEEPINTVL": probes.interval_seconds,
        "TCP_KEEPCNT": probes.count,
    }
    try:
        inner.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in values.items():
            if value >= 0 and hasattr(socket, name):
                inner.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    except OSError:
        # The peer has left already, which whoever reads next will see.
        return
