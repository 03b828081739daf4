"""A worker: its servers, its slots, its jobs, and the two ways to run it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext

import attrs
import trio

from ..transport import Address, Connect, Tls
from .abilities import Abilities
from .connection import Crew
from .execution import End, Executor, open_executor
from .grabbing import Slots
from .link import ServerLink
from .middleware import Middleware
from .options import POLL_INTERVAL_SECONDS, Lifespan, OnLost, WorkerOptions, check_lifespan, checked_options

__all__ = ["Worker", "WorkerStatistics", "open_worker", "run_worker"]

logger = logging.getLogger(__name__)


@attrs.frozen(kw_only=True)
class WorkerStatistics:
    """What a worker has done so far.

    Attributes:
        running: jobs that run now.
        done: jobs that ended with a result.
        failed: jobs whose function raised, ran into its timeout, or cancelled itself.
        lost: jobs whose connection ended before they did; the server gives them to another worker.
        retried: jobs whose function raised `Retry`.
        connected: the servers that know the worker's abilities now.
    """

    running: int
    done: int
    failed: int
    lost: int
    retried: int = 0
    connected: tuple[Address, ...]


@attrs.frozen
class _End:
    """How the end of a worker is brought about, and told.

    Attributes:
        scope: around all that the worker does, its lifespan apart.
        event: set when everything has ended.
    """

    scope: trio.CancelScope
    event: trio.Event


class Worker:
    """A running worker, as `open_worker` and `run_worker` give it; it is not made by hand.

    The mutable state is that of its parts, and whether it is ready or has ended.
    """

    def __init__(self, options: WorkerOptions, executor: Executor, lifespan: object, end: _End) -> None:
        self._slots = Slots(options.concurrency)
        self._drain_seconds = options.drain_seconds
        self._executor = executor
        self._end = end
        crew = Crew(
            abilities=options.abilities,
            client_id=options.client_id,
            poll_interval=options.poll_interval,
            executor=executor,
            slots=self._slots,
            on_shutdown=self._begin_drain,
            lifespan=lifespan,
            cancel_lost=options.on_lost == "cancel",
        )
        self._links = [
            ServerLink(crew, address, options.connect, on_change=self._link_changed) for address in options.servers
        ]
        self._is_ready = trio.Event()

    @property
    def ready(self) -> bool:
        """Whether at least one server knows the worker's abilities now."""
        return self._is_ready.is_set()

    async def wait_ready(self) -> None:
        """Wait until `ready`. A checkpoint; waits for ever if the worker has ended."""
        await self._is_ready.wait()

    async def wait_ended(self) -> None:
        """Wait until the worker has ended: by `drain`, by a job that asked for it (`Shutdown`), or cancelled."""
        await self._end.event.wait()

    async def drain(self) -> None:
        """Grab no more jobs, wait for the running ones, then end the worker.

        A job counts as running until its server has confirmed that it got the result.

        The worker's ``drain_seconds`` limit the time, from the first call on: what still runs then is cancelled, and
        goes back to its server.  Do not call this from a job, which would wait for itself; raise `Shutdown` there.

        Cancellation: the worker goes on draining, only nobody waits for it here.
        """
        self._begin_drain()
        await self._end.event.wait()

    def statistics(self) -> WorkerStatistics:
        """What the worker has done so far."""
        ended = self._executor.ended
        return WorkerStatistics(
            running=self._executor.running,
            done=ended[End.DONE],
            failed=ended[End.FAILED],
            lost=ended[End.LOST],
            retried=ended[End.RETRIED],
            connected=tuple(link.address for link in self._links if link.connected),
        )

    def _begin_drain(self) -> None:
        if self._slots.draining:
            return
        if self._drain_seconds is not None:
            self._end.scope.deadline = trio.current_time() + self._drain_seconds
        self._slots.drain()
        for link in self._links:
            link.drain()

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
    ssl_context: Tls | None = None,
    poll_interval: float = POLL_INTERVAL_SECONDS,
    on_lost: OnLost = "cancel",
    drain_seconds: float | None = None,
    lifespan: Lifespan | None = None,
    middleware: Sequence[Middleware] = (),
    task_status: trio.TaskStatus[Worker] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run a worker until it is cancelled or drained.

    With ``worker = await nursery.start(partial(run_worker, abilities, "host:4730"))`` it reports started, and
    gives the `Worker`, when at least one server has confirmed that it knows the abilities.  While no server
    can be reached, that does not happen: the worker logs a warning and tries again for ever, so callers who
    want to give up use a cancel scope.

    A connection that is lost is made again, after waits that grow to 30 seconds, and the abilities are
    announced again. The jobs that came over it are cancelled, unless `on_lost` is ``"finish"``, for the server gives
    them to other workers.

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
        ssl_context: for TLS over that stream; a context, or `TlsOptions`.
        poll_interval: the seconds after which a silent server is asked for a job again, in case its wake-up
            was lost.
        on_lost: what becomes of the running jobs of a connection that is lost.  Their results reach nobody, and their
            server gives the jobs to other workers. ``"cancel"`` cancels them; ``"finish"`` lets them run to their
            end, for functions whose work should not stop half way.
        drain_seconds: how long draining may take before the jobs that still run are cancelled and go back to their
            servers; ``None`` means without limit.
        lifespan: called once, before the worker connects: an async context manager that is open until the last job
            has ended.  What it gives goes to each function's parameter that is annotated with a class derived from
            `Injected`, of which it must be an instance, and is `Job.lifespan`.
        middleware: ``async def middleware(job, call_next)``, called for each job, the first one outermost.  It returns
            bytes, mostly those of ``await call_next()``, and sees what the function raises.  It runs within the job's
            scope, before the arguments are read.
        task_status: for ``nursery.start``.

    Raises:
        ConfigError: an argument has a value that cannot be used, or the lifespan gave one.
        Exception: what the lifespan raised.

    Cancellation: a hard stop. Running jobs are cancelled, the connections close, and the servers requeue the
    jobs.
    """
    options = checked_options(
        abilities,
        servers,
        concurrency=concurrency,
        client_id=client_id,
        exceptions=exceptions,
        connect=connect,
        ssl_context=ssl_context,
        poll_interval=poll_interval,
        on_lost=on_lost,
        drain_seconds=drain_seconds,
        lifespan=lifespan,
        middleware=middleware,
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
    ssl_context: Tls | None = None,
    poll_interval: float = POLL_INTERVAL_SECONDS,
    on_lost: OnLost = "cancel",
    drain_seconds: float | None = None,
    lifespan: Lifespan | None = None,
    middleware: Sequence[Middleware] = (),
) -> AsyncIterator[Worker]:
    """Run a worker in the background of a block.

    ::

        async with open_worker(abilities, "host:4730", concurrency=10) as worker:
            ...

    The block is entered when at least one server has confirmed that it knows the abilities; while none can be
    reached, this waits (`run_worker` says more).  Leaving the block drains the worker (`Worker.drain`), for
    as long as that takes, or up to `drain_seconds`; leaving it with an exception stops it hard.  A worker that ends by
    itself (`Shutdown`) does not end the block; `Worker.wait_ended` waits for it.

    Args and errors are those of `run_worker`. An exception of the block comes out as it is, not in a group.

    Cancellation: a hard stop. Running jobs are cancelled, the connections close, and the servers requeue the
    jobs.
    """
    options = checked_options(
        abilities,
        servers,
        concurrency=concurrency,
        client_id=client_id,
        exceptions=exceptions,
        connect=connect,
        ssl_context=ssl_context,
        poll_interval=poll_interval,
        on_lost=on_lost,
        drain_seconds=drain_seconds,
        lifespan=lifespan,
        middleware=middleware,
    )
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        try:
            worker: Worker = await nursery.start(_run, options)
            yield worker
        except Exception as exc:  # noqa: BLE001 raised again outside of the nursery, which would wrap it
            failure = exc
            nursery.cancel_scope.cancel(reason="the block of open_worker raised")
        else:
            await worker.drain()
    if failure is not None:
        raise failure


async def _run(options: WorkerOptions, task_status: trio.TaskStatus[Worker] = trio.TASK_STATUS_IGNORED) -> None:
    ended = trio.Event()
    try:
        async with nullcontext() if options.lifespan is None else options.lifespan() as lifespan:
            check_lifespan(options, lifespan)
            with trio.CancelScope() as scope:
                await _work(options, lifespan, _End(scope, ended), task_status)
            if scope.cancelled_caught:
                logger.warning("draining took more than %g s, running jobs were cancelled", options.drain_seconds)
    finally:
        ended.set()


async def _work(options: WorkerOptions, lifespan: object, end: _End, task_status: trio.TaskStatus[Worker]) -> None:
    async with open_executor(
        options.concurrency, exceptions=options.exceptions, middleware=options.middleware
    ) as executor:
        worker = Worker(options, executor, lifespan, end)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_report_started, worker, task_status)
            await worker._serve()
            nursery.cancel_scope.cancel(reason="the worker drained")


async def _report_started(worker: Worker, task_status: trio.TaskStatus[Worker]) -> None:
    await worker.wait_ready()
    task_status.started(worker)
