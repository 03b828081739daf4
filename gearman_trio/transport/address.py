"""Addresses of job servers as people write them."""

from __future__ import annotations

import os
from typing import Final

import attrs

from ..errors import ConfigError

__all__ = ["DEFAULT_PORT", "IN_PROCESS", "Address", "parse_address"]

#: The port that IANA assigned to Gearman.
DEFAULT_PORT: Final = 4730


#: The longest path that the address of a unix socket has room for, on every system (Linux has room for 107 bytes).
_MAX_PATH_BYTES: Final = 103


@attrs.frozen
class Address:
    """Where a job server listens.

    Attributes:
        host: a name or an IPv4 or IPv6 address, without brackets; empty for a unix socket.
        port: a TCP port.
        path: the file of a unix socket, else empty.
    """

    host: str
    port: int = DEFAULT_PORT
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


#: That of the server which a client shares a process with; it is only a name.
IN_PROCESS: Final = Address("in-process")


def parse_address(text: str, *, default_host: str = "127.0.0.1", default_port: int = DEFAULT_PORT) -> Address:
    """Read ``host``, ``host:port``, ``:port``, ``[::1]:port``, ``unix:/path``, or one of them after ``gearman://``.

    A bare IPv6 address, without brackets, is taken whole as a host.

    Raises:
        ConfigError: the port is not a number from 0 to 65535, a bracket is not closed, or a path is empty or too long.
    """
    rest = text.strip().removeprefix("gearman://").rstrip("/")
    if rest.startswith("unix:"):
        path = rest.removeprefix("unix:")
        if not path or "\0" in path or len(os.fsencode(path)) > _MAX_PATH_BYTES:
            raise ConfigError(f"address {text!r}: expected unix: and a path of 1 to {_MAX_PATH_BYTES} bytes")
        return Address("", 0, path)
    if rest.startswith("["):
        host, bracket, port = rest[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            raise ConfigError(f"address {text!r}: expected [host]:port")
        port = port[1:]
    elif rest.count(":") > 1:
        host, port = rest, ""
    else:
        host, _, port = rest.partition(":")
    if port and not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ConfigError(f"address {text!r}: the port must be a number from 0 to 65535, got {port!r}")
    return Address(host or default_host, int(port) if port else default_port)
