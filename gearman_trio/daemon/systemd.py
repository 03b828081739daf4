"""What systemd and a service say to each other: readiness, watchdog, sockets that are open already.

Source: the manual pages sd_notify(3), sd_watchdog_enabled(3) and sd_listen_fds(3). Other service managers, s6 and
Kubernetes' shims among them, speak the first of them too.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping, MutableMapping
from contextlib import ExitStack
from typing import Final

import trio

from ..errors import ConfigError

__all__ = ["ServiceManager", "inherited_sockets"]

logger = logging.getLogger(__name__)

#: The first of the descriptors that are handed over: SD_LISTEN_FDS_START.
_FIRST_DESCRIPTOR: Final = 3


class ServiceManager:
    """The service manager that started this process; if none did, nothing happens.

    Args:
        environ: where it says how it wants to be told.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._watchdog_seconds = 0.0
        # Variables that were meant for another process, a parent's perhaps, do not count.
        if environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()):
            self._watchdog_seconds = _microseconds(environ.get("WATCHDOG_USEC", ""))

    def ready(self, status: str) -> None:
        """The service has started, or read its configuration again; `status` is a line for people."""
        self._tell("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """The service reads its configuration again; `ready` follows."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The service is about to end."""
        self._tell("STOPPING=1")

    async def keep_alive(self) -> None:
        """Say that all is well, twice as often as the watchdog wants it, for as long as Trio runs tasks.

        Returns at once where there is no watchdog.
        """
        while self._watchdog_seconds:
            self._tell("WATCHDOG=1")
            await trio.sleep(self._watchdog_seconds / 2)

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        # An @ stands for the NUL of Linux' abstract names.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
                line.settimeout(0)
                line.connect(address)
                line.send("\n".join(lines).encode())
        except OSError as exc:
            logger.warning("the service manager at %r cannot be told %s: %s", self._address, lines[0], exc)


def _microseconds(text: str) -> float:
    """Microseconds as seconds; 0 where there are none."""
    return int(text) / 1e6 if text.isascii() and text.isdigit() else 0.0


def inherited_sockets(environ: MutableMapping[str, str]) -> list[socket.socket]:
    """The listening sockets that the service manager opened for this process, in its order.

    Resource handling: the caller closes them. The variables are taken out of the environment, so that no child takes
    the sockets for its own.

    Raises:
        ConfigError: one of them is no stream socket that listens.
    """
    process, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    environ.pop("LISTEN_FDNAMES", None)
    if process != str(os.getpid()) or not (count.isascii() and count.isdigit()):
        return []
    descriptors = range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + int(count))
    with ExitStack() as opened:
        found = [opened.enter_context(_listening_socket(descriptor)) for descriptor in descriptors]
        opened.pop_all()
    return found


def _listening_socket(descriptor: int) -> socket.socket:
    try:
        inherited = socket.socket(fileno=descriptor)
    except OSError as exc:
        raise ConfigError(f"LISTEN_FDS: descriptor {descriptor} is no socket: {exc.strerror}") from exc
    listening = inherited.type == socket.SOCK_STREAM and inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if not listening:
        inherited.close()
        raise ConfigError(f"LISTEN_FDS: descriptor {descriptor} is no stream socket that listens")
    inherited.set_inheritable(False)
    return inherited
