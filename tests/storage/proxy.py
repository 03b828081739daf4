"""A network between a store and its server, to be cut."""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress

import attrs

__all__ = ["Network", "network"]


@attrs.define(eq=False)
class _Link:
    client: socket.socket
    server: socket.socket
    missed: bool = True


class Network:
    """Connections to a port of this machine, by another port.

    Attributes:
        port: where it listens, on 127.0.0.1.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._links: list[_Link] = []
        self._mutex = threading.Lock()
        self._whole = True
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_clients(self) -> None:
        """Let clients lose their connections, while the server misses nobody; new ones work."""
        with self._mutex:
            for link in self._links:
                link.missed = False
                _shut(link.client)

    def cut(self) -> None:
        """End all connections on both sides, and every new one at once, until `mend`."""
        with self._mutex:
            self._whole = False
            for link in self._links:
                _shut(link.client)
                _shut(link.server)

    def mend(self) -> None:
        """End `cut`."""
        with self._mutex:
            self._whole = True

    @contextmanager
    def cut_off(self) -> Generator[None]:
        """Cut it for a block."""
        self.cut()
        try:
            yield
        finally:
            self.mend()

    def close(self) -> None:
        """Let go of everything."""
        self.cut()
        _shut(self._listener)
        self._listener.close()
        for link in self._links:
            link.client.close()
            link.server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with self._mutex:
                    if not self._whole:
                        client.close()
                        continue
                    link = _Link(client, socket.create_connection(("127.0.0.1", self._target)))
                    self._links.append(link)
                for source, target in ((link.client, link.server), (link.server, link.client)):
                    threading.Thread(target=_carry, args=(link, source, target), daemon=True).start()


@contextmanager
def network(target: int) -> Generator[Network]:
    """A network to a port, for a block."""
    found = Network(target)
    try:
        yield found
    finally:
        found.close()


def _carry(link: _Link, source: socket.socket, target: socket.socket) -> None:
    """Carry everything that comes, and then the end."""
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    if source is link.server or link.missed:
        _shut(target)


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
