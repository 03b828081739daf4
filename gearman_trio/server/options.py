"""Every option of the job server, once, with its unit, its default and the reason of that default."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from datetime import tzinfo
from typing import Any

import attrs

from ..core.policy import Policy
from ..errors import ConfigError
from ..protocol import MAX_PACKET_BYTES

__all__ = ["ServerOptions", "default_handle_prefix"]


def _at_least(least: float) -> Callable[[object, attrs.Attribute[Any], Any], None]:
    def check(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float) or value < least:
            raise ConfigError(f"{attribute.name}: expected a number of at least {least}, got {value!r}")

    return check


def _packet_size(instance: object, attribute: attrs.Attribute[int], value: int) -> None:
    if not 1 <= value <= MAX_PACKET_BYTES:
        raise ConfigError(f"{attribute.name}: expected 1 to {MAX_PACKET_BYTES} bytes, got {value!r}")


def _prefix(instance: object, attribute: attrs.Attribute[str], value: str) -> None:
    # The handle is at most 64 bytes with its NUL in libgearman; the number and its colon take up to 20 of them.
    if not value or len(value) > 43 or not value.isascii() or not value.isprintable() or " " in value:
        raise ConfigError(f"{attribute.name}: expected 1 to 43 printable ASCII characters without blanks, got {value!r}")


def default_handle_prefix() -> str:
    """``H:`` and the name of this machine, as gearmand has it."""
    # Existing clients look for H:, the host name and a number.
    return "H:" + "".join(c if c.isascii() and c.isprintable() and c != " " else "_" for c in socket.gethostname())[:41]


@attrs.frozen(kw_only=True)
class ServerOptions:
    """What an operator may decide about a job server.

    Attributes:
        max_attempts: a background job, or one whose client still waits, is assigned at most so often when its workers
            keep getting lost; then it fails. 0 for no limit, gearmand's default.
        round_robin: whether the functions of a worker take turns (gearmand 2.x); else the ability that was registered
            last comes first (1.1).
        global_priority: whether a worker gets high-priority jobs of all its functions first (gearmand 2.x); else
            priorities hold within each function (1.1).
        worker_wakeup: how many sleeping workers are woken for each job; 0 for all of them. One is enough: the next is
            woken if it does not grab.
        wake_seconds: how long a woken worker may take to grab before the next one is woken.
        requeue_on_timeout: whether a job that outlives its ability's CAN_DO_TIMEOUT is queued again, as gearmand does;
            else it fails, as the protocol document says.
        exceptions: whether every client gets WORK_EXCEPTION without asking for it.
        max_packet_bytes: the largest packet body; the default is what the protocol can announce.
        outbox_pause_bytes: when so much waits to be sent to a peer, nothing more is read from it until it has caught up.
        outbox_limit_bytes: when so much waits to be sent to a peer, it is disconnected. The default lets a client that
            is slow for a while have a thousand results of 256 KiB. A single larger packet is always let through.
        handshake_seconds: how long a TLS handshake may take.
        close_seconds: how long what is left in an outbox may take to be sent when its connection is closed.
        handle_prefix: job handles are this, a colon and a number.
        verbosity: the answer to the administrative command ``verbose``, one of gearmand's level names.
        time_zone: in which SUBMIT_JOB_SCHED is read; ``None`` for the local zone.
    """

    max_attempts: int = attrs.field(default=0, validator=_at_least(0))
    round_robin: bool = True
    global_priority: bool = True
    worker_wakeup: int = attrs.field(default=1, validator=_at_least(0))
    wake_seconds: float = attrs.field(default=0.1, validator=_at_least(0.001))
    requeue_on_timeout: bool = False
    exceptions: bool = False
    max_packet_bytes: int = attrs.field(default=MAX_PACKET_BYTES, validator=_packet_size)
    outbox_pause_bytes: int = attrs.field(default=1024 * 1024, validator=_at_least(1))
    outbox_limit_bytes: int = attrs.field(default=256 * 1024 * 1024, validator=_at_least(1))
    handshake_seconds: float = attrs.field(default=10.0, validator=_at_least(0.001))
    close_seconds: float = attrs.field(default=1.0, validator=_at_least(0))
    handle_prefix: str = attrs.field(factory=default_handle_prefix, validator=_prefix)
    verbosity: str = "ERROR"
    time_zone: tzinfo | None = None

    def policy(self, *, version: str, first_handle: int) -> Policy:
        """The part of the options that the broker goes by."""
        return Policy(
            handle_prefix=self.handle_prefix.encode("ascii"),
            first_handle=first_handle,
            version=version,
            process_id=os.getpid(),
            verbosity=self.verbosity,
            max_attempts=self.max_attempts,
            max_packet_bytes=self.max_packet_bytes,
            round_robin=self.round_robin,
            global_priority=self.global_priority,
            worker_wakeup=self.worker_wakeup,
            wake_seconds=self.wake_seconds,
            requeue_on_timeout=self.requeue_on_timeout,
            exceptions=self.exceptions,
            time_zone=self.time_zone,
        )
