"""What the other end of a stream is called, in limits, tables and logs."""

from __future__ import annotations

import trio

__all__ = ["describe", "remote_host"]


def remote_host(stream: trio.abc.Stream) -> str:
    """The IP address of the other end; empty where it has none, or has left."""
    inner = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
    try:
        name = inner.socket.getpeername() if isinstance(inner, trio.SocketStream) else None
    except OSError:
        return ""
    return str(name[0]) if isinstance(name, tuple) else ""


def describe(stream: trio.abc.Stream) -> tuple[str, str]:
    """The other end's address as tables show it, and as logs do."""
    inner = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
    if isinstance(inner, trio.SocketStream):
        try:
            name = inner.socket.getpeername()
        except OSError:
            return "-", "a peer that has left"
        if isinstance(name, tuple):
            host, port = str(name[0]), name[1]
            return host, f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return "unix", "a unix socket"
    return "in-process", "in-process"
