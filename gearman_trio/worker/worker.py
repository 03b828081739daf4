"""A worker: its servers, its slots, its jobs, and the two ways to run it."""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import attrs
import trio

from ..errors import ConfigError
from ..names import MAX_CLIENT_ID_BYTES, ClientId, FunctionName
from ..names import client_id as checked_client_id
from ..transport import Address, Connect, dialer, parse_address
from .abilities import Abilities, Ability
from .connection import Crew
from .execution import End, Executor, open_executor
from .grabbing import Slots
from .link import ServerLink

__all__ = ["Worker", "WorkerStatistics", "open_worker", "run_worker"]

#: Where a worker looks for a job server if it is told of none.
DEFAULT_SERVER: Final = "127.0.0.1:4730"

#: A lost NOOP makes a job wait so long at the most; a grab in vain costs a server next to nothing at this
#: rate.
POLL_INTERVAL_SECONDS: Final = 30.0


@attrs.frozen(kw_only=True)
class WorkerStatistics:
    """What a worker has done so far.

    Attributes:
        running: jobs that run now.
        done: jobs that ended with a result.
        failed: jobs whose function raised, ran into its timeout, or cancelled itself.
        lost: jobs whose connection ended before they did; the server gives them to another worker.
        connected: the servers that know the worker's abilities now.
    """

    running: int
    done: int
    failed: int
    lost: int
    connected: tuple[Address, ...]


@attrs.frozen(kw_only=True)
class _Options:
    """The checked arguments of `open_worker` and `run_worker`."""

    abilities: Mapping[FunctionName, Ability]
    servers: tuple[Address, ...]
    concurrency: int
    client_id: ClientId
    exceptions: bool
    connect: Connect
    poll_interval: float


class Worker:
    """A running worker, as `open_worker` and `run_worker` give it; it is not made by hand.

    The mutable state is that of its parts, and whether it is ready or has ended.
    """

    def __init__(self, options: _Options, executor: Executor, ended: trio.Event) -> None:
        self._slots = Slots(options.concurrency)
        self._executor = executor
        crew = Crew(
            abilities=options.abilities,
            client_id=options.client_id,
            poll_interval=options.poll_interval,
            executor=executor,
            slots=self._slots,
        )
        self._links = [
            ServerLink(crew, address, options.connect, on_change=self._link_changed) for address in options.servers
        ]
        self._is_ready = trio.Event()
        self._ended = ended

    @property
    def ready(self) -> bool:
        """Whether at least one server knows the worker's abilities now."""
        return self._is_ready.is_set()

    async def wait_ready(self) -> None:
        """Wait until `ready`. A checkpoint; waits for ever if the worker has ended."""
        await self._is_ready.wait()

    async def drain(self) -> None:
        """Grab no more jobs, wait for the running ones, then end the worker.

        A job counts as running until its server has confirmed that it got the result.

        There is no limit on the time; callers who need one use a cancel scope.  Do not call it from a job,
        which would wait for itself.

        Cancellation: the worker goes on draining, only nobody waits for it here.
        """
        self._slots.drain()
        for link in self._links:
            link.drain()
        await self._ended.wait()

    def statistics(self) -> WorkerStatistics:
        """What the worker has done so far."""
        ended = self._executor.ended
        return WorkerStatistics(
            running=self._executor.running,
            done=ended[End.DONE],
            failed=ended[End.FAILED],
            lost=ended[End.LOST],
            connected=tuple(link.address for link in self._links if link.connected),
        )

    def _link_changed(self) -> None:
        if any(link.connected for link in self._links):
            self._is_ready.set()
        elif self.ready:
            self._is_ready = trio.Event()

    async def _serve(self) -> None:
        """Be connected to every server until `drain`."""
        async with trio.open_nursery() as nursery:
            for link in self._links:
                nursery.start_soon(link.run)


async def run_worker(
    abilities: Abilities,
    *servers: str | Address,
    concurrency: int = 1,
    client_id: str | bytes | None = None,
    exceptions: bool = True,
    connect: Connect | None = None,
    ssl_context: ssl.SSLContext | None = None,
    poll_interval: float = POLL_INTERVAL_SECONDS,
    task_status: trio.TaskStatus[Worker] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run a worker until it is cancelled or drained.

    With ``worker = await nursery.start(partial(run_worker, abilities, "host:4730"))`` it reports started, and
    gives the `Worker`, when at least one server has confirmed that it knows the abilities.  While no server
    can be reached, that does not happen: the worker logs a warning and tries again for ever, so callers who
    want to give up use a cancel scope.

    A connection that is lost is made again, after waits that grow to 30 seconds, and the abilities are
    announced again. The jobs that came over it are cancelled, for the server gives them to other workers.

    Args:
        abilities: the functions; later additions do not count.
        servers: where the job servers are: ``"host"``, ``"host:port"``, ``"[::1]:port"``; 127.0.0.1:4730 if
            there are none.
        concurrency: how many jobs may run at once, over all servers.
        client_id: how the worker is called in the servers' tables; ``gearman_trio-<host>-<pid>`` by default.
        exceptions: whether the exception of a function is sent (WORK_EXCEPTION) or only that it failed (WORK_FAIL).
            Turn it off where C or PHP clients that do not ask for exceptions are connected to gearmand: up to 2.0 it
            turns WORK_EXCEPTION into a WORK_FAIL for them that libgearman does not recognise, so they wait for ever.
        connect: opens a stream to a server, instead of TCP; raises `OSError` or `trio.BrokenResourceError` if it
            cannot.
        ssl_context: for TLS over that stream.
        poll_interval: the seconds after which a silent server is asked for a job again, in case its wake-up
            was lost.
        task_status: for ``nursery.start``.

    Raises:
        ConfigError: an argument has a value that cannot be used.

    Cancellation: a hard stop. Running jobs are cancelled, the connections close, and the servers requeue the
    jobs.
    """
    options = _checked(
        abilities,
        servers,
        concurrency=concurrency,
        client_id=client_id,
        exceptions=exceptions,
        connect=connect,
        ssl_context=ssl_context,
        poll_interval=poll_interval,
    )
    await _run(options, task_status)


@asynccontextmanager
async def open_worker(
    abilities: Abilities,
    *servers: str | Address,
    concurrency: int = 1,
    client_id: str | bytes | None = None,
    exceptions: bool = True,
    connect: Connect | None = None,
    ssl_context: ssl.SSLContext | None = None,
    poll_interval: float = POLL_INTERVAL_SECONDS,
) -> AsyncIterator[Worker]:
    """Run a worker in the background of a block.

    ::

        async with open_worker(abilities, "host:4730", concurrency=10) as worker:
            ...

    The block is entered when at least one server has confirmed that it knows the abilities; while none can be
    reached, this waits (`run_worker` says more).  Leaving the block drains the worker (`Worker.drain`), for
    as long as that takes; leaving it with an exception stops it hard.

    Args and errors are those of `run_worker`. An exception of the block comes out as it is, not in a group.

    Cancellation: a hard stop. Running jobs are cancelled, the connections close, and the servers requeue the
    jobs.
    """
    options = _checked(
        abilities,
        servers,
        concurrency=concurrency,
        client_id=client_id,
        exceptions=exceptions,
        connect=connect,
        ssl_context=ssl_context,
        poll_interval=poll_interval,
    )
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        worker = await nursery.start(_run, options)
        try:
            yield worker
        except Exception as exc:  # noqa: BLE001 raised again outside of the nursery, which would wrap it
            failure = exc
            nursery.cancel_scope.cancel(reason="the block of open_worker raised")
        else:
            await worker.drain()
    if failure is not None:
        raise failure


async def _run(options: _Options, task_status: trio.TaskStatus[Worker] = trio.TASK_STATUS_IGNORED) -> None:
    ended = trio.Event()
    try:
        async with open_executor(options.concurrency, exceptions=options.exceptions) as executor:
            worker = Worker(options, executor, ended)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_report_started, worker, task_status)
                await worker._serve()
                nursery.cancel_scope.cancel(reason="the worker drained")
    finally:
        ended.set()


async def _report_started(worker: Worker, task_status: trio.TaskStatus[Worker]) -> None:
    await worker.wait_ready()
    task_status.started(worker)


def _checked(
    abilities: Abilities,
    servers: tuple[str | Address, ...],
    *,
    concurrency: int,
    client_id: str | bytes | None,
    exceptions: bool,
    connect: Connect | None,
    ssl_context: ssl.SSLContext | None,
    poll_interval: float,
) -> _Options:
    if not abilities:
        raise ConfigError("abilities: a worker without functions gets no jobs; add one with @abilities.function")
    if concurrency < 1:
        raise ConfigError(f"concurrency: expected a number from 1 on, got {concurrency!r}")
    if not poll_interval > 0:
        raise ConfigError(f"poll_interval: expected a positive number of seconds, got {poll_interval!r}")
    addresses = [
        server if isinstance(server, Address) else parse_address(server) for server in servers or (DEFAULT_SERVER,)
    ]
    return _Options(
        abilities={ability.name: ability for ability in abilities},
        servers=tuple(dict.fromkeys(addresses)),
        concurrency=concurrency,
        client_id=_default_client_id() if client_id is None else checked_client_id(client_id),
        exceptions=exceptions,
        connect=dialer(connect, ssl_context),
        poll_interval=poll_interval,
    )


def _default_client_id() -> ClientId:
    host = re.sub(r"[^!-~]", "_", socket.gethostname())
    pid = f"-{os.getpid()}"
    return checked_client_id(f"gearman_trio-{host}"[: MAX_CLIENT_ID_BYTES - len(pid)] + pid)
