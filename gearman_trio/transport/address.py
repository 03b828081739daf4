"""Addresses of job servers as people write them."""

from __future__ import annotations

from typing import Final

import attrs

from ..errors import ConfigError

__all__ = ["DEFAULT_PORT", "Address", "parse_address"]

#: The port that IANA assigned to Gearman.
DEFAULT_PORT: Final = 4730


@attrs.frozen
class Address:
    """Where a job server listens.

    Attributes:
        host: a name or an IPv4 or IPv6 address, without brackets.
        port: a TCP port.
    """

    host: str
    port: int = DEFAULT_PORT

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str, *, default_host: str = "127.0.0.1", default_port: int = DEFAULT_PORT) -> Address:
    """Read ``host``, ``host:port``, ``:port``, ``[::1]:port`` or ``gearman://host:port``.

    A bare IPv6 address, without brackets, is taken whole as a host.

    Raises:
        ConfigError: the port is not a number from 0 to 65535, or a bracket is not closed.
    """
    rest = text.strip().removeprefix("gearman://").rstrip("/")
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
