"""Where the command answers whether its worker is alive and ready: ``--health``."""

from __future__ import annotations

import logging

import trio

from ..errors import ConfigError
from ..transport import Address, parse_address
from ..worker.health import check_available
from .logs import NOTICE
from .running import Exit, fail

__all__ = ["health_address", "open_health_listeners"]

logger = logging.getLogger(__name__)

#: Stands for a port that was not given; there is no usual one.
_NO_PORT = -1


def health_address(text: str) -> Address:
    """Read ``HOST:PORT``.

    Raises:
        ConfigError: it is not of that form.
    """
    address = parse_address(text, default_port=_NO_PORT)
    if address.path or address.port == _NO_PORT:
        raise ConfigError(f"expected HOST:PORT, for example 127.0.0.1:8080, got {text!r}")
    return address


async def open_health_listeners(text: str | None) -> list[trio.SocketListener]:
    """Open the listeners for an address, and log it; none for ``None``.

    Raises:
        ConfigError: the address is not one, or h11 is not installed.
        typer.Exit: it cannot be listened on, as a line on stderr says.
    """
    if text is None:
        return []
    check_available()
    address = health_address(text)
    try:
        listeners = await trio.open_tcp_listeners(address.port, host=address.host)
    except OSError as exc:
        fail(Exit.UNREACHABLE, f"--health: cannot listen on {address}: {exc.strerror or exc}")
    for listener in listeners:
        host, port = listener.socket.getsockname()[:2]
        logger.log(NOTICE, "health: http://%s/readyz", Address(host, port))
    return listeners
