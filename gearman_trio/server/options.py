"""Every option of the job server, once, with its unit, its default and the reason of that default."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable
from datetime import tzinfo
from math import inf
from typing import Any, Final, Literal

import attrs

from ..core.policy import Policy
from ..errors import ConfigError
from ..protocol import MAX_PACKET_BYTES
from ..protocol.codec import MAX_LINE_BYTES
from ..storage import StoreState

__all__ = ["ServerOptions", "default_handle_prefix"]


#: Of gearmand's ``--verbose``, spelled as its command ``verbose`` answers.
_VERBOSITIES: Final = ("FATAL", "ALERT", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG")


def _seconds(least: float) -> Callable[[object, attrs.Attribute[Any], Any], None]:
    def check(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        # Put this way round, it refuses NaN too.
        if isinstance(value, bool) or not isinstance(value, int | float) or not value >= least:
            raise ConfigError(f"{attribute.name}: expected a number of at least {least}, got {value!r}")

    return check


def _whole(least: int, most: float = inf) -> Callable[[object, attrs.Attribute[Any], Any], None]:
    allowed = f"of at least {least}" if most == inf else f"from {least} to {most}"

    def check(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ConfigError(f"{attribute.name}: expected a whole number {allowed}, got {value!r}")

    return check


def _probes(most: int) -> Callable[[object, attrs.Attribute[Any], Any], None]:
    # Linux takes 1 to 32767 seconds and 1 to 127 probes, and refuses the rest.
    def check(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or (value != -1 and not 1 <= value <= most):
            raise ConfigError(f"{attribute.name}: expected -1 or a whole number from 1 to {most}, got {value!r}")

    return check


def _prefix(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    # The handle is at most 64 bytes with its NUL in libgearman; the number and its colon take up to 20 of them.
    if not isinstance(value, str) or not re.fullmatch("[!-~]{1,43}", value):
        raise ConfigError(
            f"{attribute.name}: expected 1 to 43 printable ASCII characters without blanks, got {value!r}"
        )


def _verbosity(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value not in _VERBOSITIES:
        names = f"{', '.join(_VERBOSITIES[:-1])} or {_VERBOSITIES[-1]}"
        raise ConfigError(f"{attribute.name}: expected {names}, got {value!r}")


def _replay(instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if value not in {"first", "online"}:
        raise ConfigError(f"{attribute.name}: expected first or online, got {value!r}")


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
        requeue_on_cant_do: whether CANT_DO and RESET_ABILITIES take the worker's running jobs of the function from it
            and queue them again, as gearmand does; else they go on.
        unique_jobs_with_handles: whether the administrative command ``show unique jobs`` gives each job's handle before
            its unique ID, as gearmand does since 2.2; else the unique ID alone.
        exceptions: whether every client gets WORK_EXCEPTION without asking for it.
        max_packet_bytes: the largest packet body; the default is what the protocol can announce.
        max_function_bytes: the longest function name; the default is libgearman's limit.
        max_unique_bytes: the longest unique ID; the default is gearmand's limit.
        max_client_id_bytes: the longest client ID; the default is libgearman's limit.
        max_jobs: how many jobs there may be, queued, scheduled and running; more are refused with ERROR QUEUE_ERROR, as
            for the next three. 0 for no limit, as in gearmand, whose users keep millions.
        max_jobs_per_function: likewise of each function, besides what ``maxqueue`` says of it.
        max_held_bytes: how long the workloads of all jobs may be together; 0 for no limit. A job takes about a
            kilobyte more than its workload.
        max_held_bytes_per_function: likewise of each function.
        max_connections: how many connections the listeners may have accepted at a time; a further one gets ERROR
            TOO_MANY_CONNECTIONS and is closed. 0 for as many as there are file descriptors.
        max_connections_per_address: likewise from each IP address, and not over unix sockets; 0 for no limit, because
            many clients may share an address.
        packet_seconds: how long a packet that has begun may go without ending and without 64 KiB more of it; then its
            connection is closed. Infinity for no limit.
        unread_seconds: how long output may wait without the peer taking any of it; then its connection is closed, also
            where nothing is read from it because of `outbox_pause_bytes`. Infinity for no limit.
        idle_seconds: how long a connection that has no abilities, no jobs and waits for none may be silent; then it is
            closed. Infinity, the default, for no limit, because clients may keep connections that they seldom use.
        outbox_pause_bytes: when more waits to be sent to a peer, nothing is read from it until it has caught up.
        outbox_limit_bytes: when more waits to be sent to a peer, it is disconnected. The default lets a client that
            is slow for a while have a thousand results of 256 KiB. A single larger packet is always let through.
        handshake_seconds: how long a TLS handshake may take.
        busy_poll_seconds: how long to look for further packets, after some came, before the process sleeps. The tasks
            of an embedding program would wait for so long, so it is 0 here; ``gearman-trio serve`` uses 0.0001.
        close_seconds: how long what is left in an outbox may take to be sent when its connection is closed.
        keepalive: whether the kernel probes silent TCP peers, so that dead ones are noticed.
        keepalive_idle_seconds: how long a peer may be silent before it is probed; -1 here and below for the kernel's
            own value. As they are, the defaults give a dead peer up after two minutes.
        keepalive_interval_seconds: how long after a probe the next one follows.
        keepalive_count: after how many probes without an answer a peer is dead.
        handle_prefix: job handles are this, a colon and a number.
        store_timeout: after how many seconds without a commit those who submit jobs that are to be stored are refused;
            it only matters with a store. Ten are more than a disk takes, and less than clients usually wait.
        store_foreground: whether foreground jobs are stored, too. They come back as background jobs.
        spill_bytes: workloads longer than this are in memory only while they are being stored or given to a worker, so
            that a queue may be larger than memory; 0 for none, which is faster. It only matters with a store.
        replay: whether jobs that were stored come back before the server takes connections (``"first"``), or while it
            serves (``"online"``), behind what is submitted meanwhile.
        verbosity: the answer to the administrative command ``verbose``, one of gearmand's level names.
        time_zone: in which SUBMIT_JOB_SCHED is read; ``None`` for the local zone.
    """

    max_attempts: int = attrs.field(default=0, validator=_whole(0))
    round_robin: bool = True
    global_priority: bool = True
    worker_wakeup: int = attrs.field(default=1, validator=_whole(0))
    wake_seconds: float = attrs.field(default=0.1, validator=_seconds(0.001))
    requeue_on_timeout: bool = False
    requeue_on_cant_do: bool = False
    unique_jobs_with_handles: bool = False
    exceptions: bool = False
    max_packet_bytes: int = attrs.field(default=MAX_PACKET_BYTES, validator=_whole(1, MAX_PACKET_BYTES))
    max_function_bytes: int = attrs.field(default=512, validator=_whole(1, MAX_LINE_BYTES))
    max_unique_bytes: int = attrs.field(default=64, validator=_whole(1, MAX_LINE_BYTES))
    max_client_id_bytes: int = attrs.field(default=254, validator=_whole(1, MAX_LINE_BYTES))
    max_jobs: int = attrs.field(default=0, validator=_whole(0))
    max_jobs_per_function: int = attrs.field(default=0, validator=_whole(0))
    max_held_bytes: int = attrs.field(default=0, validator=_whole(0))
    max_held_bytes_per_function: int = attrs.field(default=0, validator=_whole(0))
    max_connections: int = attrs.field(default=0, validator=_whole(0))
    max_connections_per_address: int = attrs.field(default=0, validator=_whole(0))
    packet_seconds: float = attrs.field(default=60.0, validator=_seconds(0.001))
    unread_seconds: float = attrs.field(default=300.0, validator=_seconds(0.001))
    idle_seconds: float = attrs.field(default=inf, validator=_seconds(0.001))
    outbox_pause_bytes: int = attrs.field(default=1024 * 1024, validator=_whole(1))
    outbox_limit_bytes: int = attrs.field(default=256 * 1024 * 1024, validator=_whole(1))
    handshake_seconds: float = attrs.field(default=10.0, validator=_seconds(0.001))
    busy_poll_seconds: float = attrs.field(default=0.0, validator=_seconds(0))
    close_seconds: float = attrs.field(default=1.0, validator=_seconds(0))
    keepalive: bool = True
    keepalive_idle_seconds: int = attrs.field(default=60, validator=_probes(32767))
    keepalive_interval_seconds: int = attrs.field(default=20, validator=_probes(32767))
    keepalive_count: int = attrs.field(default=3, validator=_probes(127))
    handle_prefix: str = attrs.field(factory=default_handle_prefix, validator=_prefix)
    store_timeout: float = attrs.field(default=10.0, validator=_seconds(0.001))
    store_foreground: bool = False
    spill_bytes: int = attrs.field(default=0, validator=_whole(0))
    replay: Literal["first", "online"] = attrs.field(default="first", validator=_replay)
    verbosity: str = attrs.field(default="ERROR", validator=_verbosity)
    time_zone: tzinfo | None = None

    def policy(self, *, version: str, first_handle: int, state: StoreState | None = None) -> Policy:
        """The part of the options that the broker goes by; `state` is that of the store, where there is one."""
        return Policy(
            handle_prefix=self.handle_prefix.encode("ascii"),
            first_handle=first_handle,
            version=version,
            process_id=os.getpid(),
            verbosity=self.verbosity,
            max_attempts=self.max_attempts,
            max_packet_bytes=self.max_packet_bytes,
            max_function_bytes=self.max_function_bytes,
            max_unique_bytes=self.max_unique_bytes,
            max_client_id_bytes=self.max_client_id_bytes,
            max_jobs=self.max_jobs,
            max_jobs_per_function=self.max_jobs_per_function,
            max_held_bytes=self.max_held_bytes,
            max_held_bytes_per_function=self.max_held_bytes_per_function,
            round_robin=self.round_robin,
            global_priority=self.global_priority,
            worker_wakeup=self.worker_wakeup,
            wake_seconds=self.wake_seconds,
            requeue_on_timeout=self.requeue_on_timeout,
            requeue_on_cant_do=self.requeue_on_cant_do,
            unique_jobs_with_handles=self.unique_jobs_with_handles,
            exceptions=self.exceptions,
            durable=state is not None,
            store_foreground=self.store_foreground,
            first_row=1 if state is None else state.next_row,
            spill_bytes=0 if state is None else self.spill_bytes,
            max_stored_bytes=MAX_PACKET_BYTES if state is None else state.max_workload_bytes,
            time_zone=self.time_zone,
        )
