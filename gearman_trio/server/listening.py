"""Where a job server listens: TCP and unix sockets, plain and TLS, for everybody and for administrators."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import stat
from collections.abc import Sequence
from typing import Final

import attrs
import trio

from ..transport import Address, Tls, TlsOptions, parse_address, server_context

__all__ = ["Listen", "ServerListener", "close_listeners", "listening_addresses", "open_listeners"]

#: How many connections may wait to be accepted; the kernel takes less where it has a limit of its own.
_BACKLOG: Final = 0xFFFF


def _address(value: str | Address) -> Address:
    return value if isinstance(value, Address) else parse_address(value)


@attrs.frozen
class Listen:
    """One place to listen at.

    Attributes:
        address: a host and a port, or ``unix:/path``; text is read by `parse_address`. The host ``*`` is all addresses
            of the machine, IPv4 and IPv6; port 0 is a free one. A host with several addresses gets a socket for each.
        tls: speak TLS; options are read again by `Server.reload_tls`.
        admin: whether connections may give the commands of Perl's job server too: ``jobs``, ``clients``, ``shutdown``.
        mode: of the file of a unix socket: who may connect.
    """

    address: Address = attrs.field(converter=_address)
    tls: Tls | None = attrs.field(default=None, kw_only=True)
    admin: bool = attrs.field(default=False, kw_only=True)
    mode: int = attrs.field(default=0o660, kw_only=True)


class ServerListener(trio.abc.Listener[trio.abc.Stream]):
    """A listening socket of a job server. Its mutable state is the TLS context that new connections get.

    Attributes:
        listen: what it was opened for.
        address: where it listens, with the real port.
    """

    def __init__(self, listen: Listen, inner: trio.SocketListener, context: ssl.SSLContext | None) -> None:
        self.listen = listen
        self._inner = inner
        self._context = context
        self.address = _name(inner.socket)
        # The file, and which one it is: another server may have put its own in its place.
        self._file = self.address.path
        self._identity = _identity(self._file) if self._file else None

    def new_context(self) -> ssl.SSLContext | None:
        """A context from the files as they are now; ``None`` where the listener has no options for one.

        Raises:
            ConfigError: a file cannot be used.
        """
        return self.listen.tls.server_context() if isinstance(self.listen.tls, TlsOptions) else None

    def use(self, context: ssl.SSLContext) -> None:
        """Give new connections this context; those that there are keep theirs."""
        self._context = context

    async def accept(self) -> trio.abc.Stream:
        """Take one connection; with TLS, its handshake is still to come."""
        stream = await self._inner.accept()
        return stream if self._context is None else trio.SSLStream(stream, self._context, server_side=True)

    async def aclose(self) -> None:
        """Stop listening, and take the file of a unix socket away if it still is this one's."""
        if self._identity is not None and _identity(self._file) == self._identity:
            os.unlink(self._file)
        self._identity = None
        await self._inner.aclose()


async def open_listeners(listens: Sequence[Listen], *, backlog: int | None = None) -> list[ServerListener]:
    """Open sockets for all these places, or for none.

    The file of a unix socket to which nobody listens any more is replaced.

    Raises:
        ConfigError: a file of TLS cannot be used.
        OSError: a place cannot be listened at, because another process does, for example.

    Resource handling: the listeners are closed by who gets them; `serve` closes those that it is given.
    """
    opened: list[ServerListener] = []
    try:
        for listen in listens:
            context = None if listen.tls is None else server_context(listen.tls)
            if listen.address.path:
                inner = [_open_unix(listen, backlog)]
            else:
                host = None if listen.address.host == "*" else listen.address.host
                inner = await trio.open_tcp_listeners(listen.address.port, host=host, backlog=backlog)
            opened += [ServerListener(listen, one, context) for one in inner]
    except BaseException:
        await close_listeners(opened)
        raise
    return opened


async def close_listeners(listeners: Sequence[trio.abc.Listener[trio.abc.Stream]]) -> None:
    """Close them all, also in a task that is cancelled."""
    # Shielded though nothing waits here: in a cancelled task each close ends with Cancelled, and the next must follow.
    with trio.CancelScope(shield=True):
        for listener in listeners:
            await trio.aclose_forcefully(listener)


def listening_addresses(listeners: Sequence[trio.abc.Listener[trio.abc.Stream]]) -> list[Address]:
    """Where the listeners that have sockets listen."""
    found = []
    for listener in listeners:
        inner = listener.transport_listener if isinstance(listener, trio.SSLListener) else listener
        if isinstance(inner, ServerListener):
            found.append(inner.address)
        elif isinstance(inner, trio.SocketListener):
            found.append(_name(inner.socket))
    return found


def _name(sock: trio.socket.SocketType) -> Address:
    name = sock.getsockname()
    return Address(name[0], name[1]) if isinstance(name, tuple) else Address("", 0, os.fsdecode(name))


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _open_unix(listen: Listen, backlog: int | None) -> trio.SocketListener:
    path = listen.address.path
    _clear(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        try:
            sock.bind(path)
            # Before anyone can connect.
            os.chmod(path, listen.mode)
        except OSError as exc:
            raise OSError(exc.errno, exc.strerror, path) from exc
        sock.listen(backlog or _BACKLOG)
        return trio.SocketListener(trio.socket.from_stdlib_socket(sock))
    except BaseException:
        sock.close()
        raise


def _clear(path: str) -> None:
    """Remove the file of a socket to which nobody listens any more.

    Raises:
        OSError: somebody does, or the file is none of a socket.
    """
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, "something that is no socket is in the way", path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        # Not to wait where the other one's backlog is full; then there is another one.
        probe.settimeout(0)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except BlockingIOError:
            pass
    raise OSError(errno.EADDRINUSE, "another process listens there", path)
