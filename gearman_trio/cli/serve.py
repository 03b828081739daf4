"""``gearman-trio serve``: the stand-alone job server."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import attrs
import trio
import typer

from ..errors import ConfigError
from ..protocol import MAX_PACKET_BYTES
from ..server import Server, ServerOptions, default_handle_prefix, serve
from ..storage import Durability, Store, make_store
from ..transport import DEFAULT_PORT, parse_address
from .logs import NOTICE, set_up_logging
from .options import LogFileOption, VerboseOption, checked, seconds, server_address, whole_number
from .running import Exit, errors_reported, fail, run_async, stop_on_signals

__all__ = ["serve_command"]

logger = logging.getLogger(__name__)

#: About twice as long as a fast worker or client takes to answer on the same machine.
_BUSY_POLL_SECONDS: Final = 0.0001

#: How long SIGTERM lets running jobs go on; systemd kills after 90 s unless told otherwise.
_DRAIN_SECONDS: Final = 60.0


class PriorityScope(StrEnum):
    """What priorities are compared over."""

    GLOBAL = "global"
    FUNCTION = "function"


class Replay(StrEnum):
    """When stored jobs come back."""

    FIRST = "first"
    ONLINE = "online"


class TimeoutAction(StrEnum):
    """What becomes of a job that outlives CAN_DO_TIMEOUT."""

    FAIL = "fail"
    REQUEUE = "requeue"


@attrs.frozen(kw_only=True)
class _Command:
    """What the command line asked for."""

    options: ServerOptions
    listen: Sequence[str]
    port: int
    backlog: int | None
    pid_file: Path | None
    drain_timeout: float
    store: Store | None


_Port = Annotated[
    int,
    typer.Option(
        "--port",
        "-p",
        metavar="PORT",
        parser=whole_number(0, 65535),
        envvar="GEARMAND_PORT",
        help="TCP port, where --listen does not say; 0 for a free one.",
    ),
]
_Listen = Annotated[
    list[str] | None,
    typer.Option(
        "--listen",
        "-L",
        metavar="HOST[:PORT]",
        help="Address to listen on; may be repeated. Without it: all addresses of this machine.",
        callback=checked(server_address),
    ),
]
_JobRetries = Annotated[
    int,
    typer.Option(
        "--job-retries",
        "-j",
        metavar="N",
        parser=whole_number(-1, 255),
        help="How often a job is tried when its workers get lost: -1 for ever, 0 and 1 once.",
    ),
]
_RoundRobin = Annotated[
    bool,
    typer.Option(
        "--round-robin/--no-round-robin",
        "-R",
        help="Whether a worker's functions take turns; else the one it registered last goes first (1.1).",
    ),
]
_PriorityScope = Annotated[
    PriorityScope,
    typer.Option(help="Whether priorities hold over all functions of a worker, or within each (1.1)."),
]
_WorkerWakeup = Annotated[
    int,
    typer.Option(
        "--worker-wakeup",
        "-w",
        metavar="N",
        parser=whole_number(0),
        help="Sleeping workers woken for each job; 0 for all.",
    ),
]
_TimeoutAction = Annotated[
    TimeoutAction, typer.Option(help="What becomes of a job that takes longer than its worker allowed.")
]
_MaxPacket = Annotated[
    int,
    typer.Option(metavar="BYTES", parser=whole_number(1, MAX_PACKET_BYTES), help="The largest packet that is taken."),
]
_Exceptions = Annotated[bool, typer.Option("--exceptions", help="Send exceptions to every client, asked for or not.")]
_JobHandlePrefix = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help="What job handles begin with.",
        show_default="H:<host name>",
        callback=checked(lambda text: ServerOptions(handle_prefix=text)),
    ),
]
_Backlog = Annotated[
    int | None,
    typer.Option("--backlog", "-b", metavar="N", parser=whole_number(1), help="Backlog of listen(2)."),
]
_DrainTimeout = Annotated[
    float, typer.Option(metavar="SECONDS", parser=seconds, help="How long SIGTERM lets running jobs go on.")
]
_PidFile = Annotated[
    Path | None, typer.Option("--pid-file", "-P", metavar="FILE", help="Holds the process ID while it runs.")
]


# Where background jobs are stored

_Store = Annotated[
    str,
    typer.Option(
        "--store",
        metavar="URL",
        help="Where background jobs are kept: memory:, sqlite:PATH, postgresql:, mysql:, redis: or memcached://...",
        callback=checked(make_store),
    ),
]
_Durability = Annotated[
    Durability | None,
    typer.Option(
        help="What an acknowledged job survives: a power cut (full), a killed server (normal), likewise (off).",
        show_default="full",
    ),
]
_StoreTimeout = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        parser=seconds,
        help="After so long without a commit, submissions that would have to be stored are refused.",
    ),
]
_StoreForeground = Annotated[bool, typer.Option("--store-foreground", help="Store foreground jobs, too.")]
_Replay = Annotated[Replay, typer.Option(help="Whether stored jobs come back before the server serves, or meanwhile.")]


def serve_command(
    *,
    port: _Port = DEFAULT_PORT,
    listen: _Listen = None,
    job_retries: _JobRetries = -1,
    round_robin: _RoundRobin = True,
    priority_scope: _PriorityScope = PriorityScope.GLOBAL,
    worker_wakeup: _WorkerWakeup = 1,
    timeout_action: _TimeoutAction = TimeoutAction.FAIL,
    max_packet: _MaxPacket = MAX_PACKET_BYTES,
    exceptions: _Exceptions = False,
    job_handle_prefix: _JobHandlePrefix = None,
    backlog: _Backlog = None,
    drain_timeout: _DrainTimeout = _DRAIN_SECONDS,
    store: _Store = "memory:",
    durability: _Durability = None,
    store_timeout: _StoreTimeout = 10.0,
    store_foreground: _StoreForeground = False,
    replay: _Replay = Replay.FIRST,
    verbose: VerboseOption = "NOTICE",
    log_file: LogFileOption = "stderr",
    pid_file: _PidFile = None,
) -> None:
    """Run a job server until SIGTERM or Ctrl-C, which lets running jobs finish; a second one stops at once."""
    with errors_reported():
        command = _Command(
            options=ServerOptions(
                max_attempts=0 if job_retries < 0 else max(1, job_retries),
                round_robin=round_robin,
                global_priority=priority_scope is PriorityScope.GLOBAL,
                worker_wakeup=worker_wakeup,
                requeue_on_timeout=timeout_action is TimeoutAction.REQUEUE,
                exceptions=exceptions,
                max_packet_bytes=max_packet,
                verbosity=verbose.upper(),
                store_timeout=store_timeout,
                store_foreground=store_foreground,
                replay=replay.value,
                handle_prefix=job_handle_prefix or default_handle_prefix(),
            ),
            listen=listen or [],
            port=port,
            backlog=backlog,
            pid_file=pid_file,
            drain_timeout=drain_timeout,
            store=make_store(store, durability=durability),
        )
        set_up_logging(verbose, log_file)
    run_async(_serve, command)


async def _serve(command: _Command) -> None:
    listeners = await _open_listeners(command)
    # Nothing else runs in this process that could be kept waiting.
    options = attrs.evolve(command.options, busy_poll_seconds=_BUSY_POLL_SECONDS)
    async with trio.open_nursery() as nursery:
        server: Server = await nursery.start(partial(serve, listeners=listeners, options=options, store=command.store))
        with _pid_file(command.pid_file):
            drain = partial(server.drain, command.drain_timeout)
            if hasattr(signal, "SIGHUP"):
                # Log rotation sends it to gearmand; ours finds out by itself that its log file was moved.
                signal.signal(signal.SIGHUP, signal.SIG_IGN)
            # Before anyone is told that it is ready: who starts it may stop it at once.
            await nursery.start(stop_on_signals, drain, nursery.cancel_scope)
            logger.log(NOTICE, "ready: listening on %s", ", ".join(map(str, server.addresses)))
            await server.wait_ended()
        nursery.cancel_scope.cancel(reason="the server has ended")
    logger.log(NOTICE, "stopped")


async def _open_listeners(command: _Command) -> list[trio.SocketListener]:
    addresses = [parse_address(text, default_port=command.port) for text in command.listen]
    wanted: list[tuple[str | None, int]] = [(address.host, address.port) for address in addresses]
    wanted = wanted or [(None, command.port)]
    listeners: list[trio.SocketListener] = []
    for host, port in wanted:
        try:
            listeners += await trio.open_tcp_listeners(port, host=host, backlog=command.backlog)
        except OSError as exc:
            for listener in listeners:
                await trio.aclose_forcefully(listener)
            fail(Exit.UNREACHABLE, f"cannot listen on {host or 'any address'}, port {port}: {exc.strerror or exc}")
    return listeners


@contextmanager
def _pid_file(path: Path | None) -> Iterator[None]:
    if path is None:
        yield
        return
    try:
        path.write_text(f"{os.getpid()}\n")
    except OSError as exc:
        raise ConfigError(f"--pid-file: {str(path)!r} cannot be written: {exc.strerror}") from exc
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
