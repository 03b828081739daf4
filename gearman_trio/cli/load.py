"""Both sides of ``gearman-trio bench``: clients that submit as many jobs as they can, and workers that do them."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Final

import attrs
import trio

from ..admin import open_admin
from ..client import Client, Priority, open_client
from ..errors import JobError, ServerError, ServersUnavailable
from ..worker import Abilities, CallNext, Job, Shutdown, Worker, open_worker, run_worker
from .destination import Destination
from .idleness import Idleness
from .measuring import Measurement
from .running import stop_on_signals

__all__ = ["SHUTDOWN", "Load", "Work", "load_abilities", "run_load", "run_workers"]

#: The job that ends a worker; blobslap_worker knows it by this name.
SHUTDOWN: Final = b"shutdown"

#: Likewise, a job that does nothing.
_PING: Final = b"blobslap_worker_ping"

#: How long the worker of this process may take to end; it has no jobs any more unless something went wrong.
_DRAIN_SECONDS: Final = 5.0

#: In how many parts a result is sent, and how often a status is.
_PARTS: Final = 10


@attrs.frozen(kw_only=True)
class Work:
    """What a worker does.

    Attributes:
        functions: their names, which all do the same.
        concurrency: how many jobs it does at once.
        chunk: whether it sends the workload back in parts, else nothing.
        status: whether it tells how far each job is.
        connections: how many workers there are.
        count: after how many jobs they end; ``None`` for never.
        patience: after how many seconds without a job they end.
        client_id: how the job server calls them.
    """

    functions: tuple[bytes, ...]
    concurrency: int = 1
    chunk: bool = False
    status: bool = False
    connections: int = 1
    count: int | None = None
    patience: float = math.inf
    client_id: str | None = None


@attrs.frozen(kw_only=True)
class Load:
    """What clients submit.

    Attributes:
        functions: their names; that of each job is drawn by lot.
        connections: how many clients there are.
        jobs: how many jobs are under way at once, of each client.
        count: how many times that many each client submits.
        min_bytes: the least size of a workload; sizes are drawn by lot.
        max_bytes: the largest.
        seed: what the lot depends on; ``None`` for another one each time.
        background: whether to wait for the handle only.
        priority: of all jobs.
        unique_ids: how many unique IDs there are, drawn by lot; 0 for none.
        worker: what a worker in the same process does, if there is one.
        stop_worker: whether a job tells a worker to end, after all others.
        stop_server: whether the server is told to.
    """

    functions: tuple[bytes, ...]
    connections: int = 1
    jobs: int = 10
    count: int = 1
    min_bytes: int = 0
    max_bytes: int = 1024
    seed: int | None = None
    background: bool = False
    priority: Priority = Priority.NORMAL
    unique_ids: int = 0
    worker: Work | None = None
    stop_worker: bool = False
    stop_server: bool = False

    @property
    def total(self) -> int:
        """How many jobs that are."""
        return self.connections * self.jobs * self.count


async def run_load(load: Load, destination: Destination, measurement: Measurement) -> None:
    """Submit all jobs, and measure them; the time until all clients are connected does not count.

    Raises:
        ServersUnavailable: the server cannot be reached, or went away.
        ServerError: it does not want to be stopped.
        JobError: the job that stops a worker failed.
    """
    async with AsyncExitStack() as stack:
        clients = []
        for _ in range(load.connections):
            clients.append(await stack.enter_async_context(_open_client(destination)))
            # It connects when it has something to send; and nobody would wait for a worker where no server is.
            await clients[-1].echo(b"")
        if load.worker is not None:
            await stack.enter_async_context(
                open_worker(
                    load_abilities(load.worker, Measurement()),
                    destination.address,
                    ssl_context=destination.tls,
                    concurrency=load.worker.concurrency,
                    drain_seconds=_DRAIN_SECONDS,
                )
            )
        measurement.begin()
        await _Submitting(load, measurement).run(clients)
        if load.stop_worker:
            await clients[0].run(SHUTDOWN)
    if load.stop_server:
        async with open_admin(destination.address, ssl_context=destination.tls) as admin:
            await admin.shut_down()


def _open_client(destination: Destination) -> AbstractAsyncContextManager[Client]:
    return open_client(destination.address, ssl_context=destination.tls)


class _Submitting:
    """Submits the jobs of one load. The mutable state is the server's end, if it ended."""

    def __init__(self, load: Load, measurement: Measurement) -> None:
        self._load = load
        self._measurement = measurement
        self._lost: ServersUnavailable | None = None
        self._blob = random.Random(load.seed).randbytes(load.max_bytes)

    async def run(self, clients: list[Client]) -> None:
        async with trio.open_nursery() as nursery:
            for number, client in enumerate(clients):
                view = client.with_options(priority=self._load.priority)
                lot = random.Random(None if self._load.seed is None else self._load.seed + number)
                for _ in range(self._load.jobs):
                    nursery.start_soon(self._submit_all, view, lot, nursery.cancel_scope)
        if self._lost is not None:
            raise self._lost

    async def _submit_all(self, client: Client, lot: random.Random, scope: trio.CancelScope) -> None:
        measurement = self._measurement
        for _ in range(self._load.count):
            workload = self._blob[: lot.randint(self._load.min_bytes, self._load.max_bytes)]
            unique = b"%d" % lot.randrange(self._load.unique_ids) if self._load.unique_ids else None
            function = lot.choice(self._load.functions)
            began = trio.current_time()
            try:
                if self._load.background:
                    await client.submit(function, workload, unique=unique)
                else:
                    await client.run(function, workload, unique=unique)
            except JobError as exc:
                measurement.failed += 1
                measurement.trouble = str(exc)
            except ServerError as exc:
                measurement.refused += 1
                measurement.trouble = str(exc)
            except ServersUnavailable as exc:
                # That of one of many tasks which all get it.
                self._lost = exc
                scope.cancel(reason="the job server went away")
            else:
                measurement.add(len(workload), trio.current_time() - began)


def load_abilities(work: Work, measurement: Measurement) -> Abilities:
    """The functions of a worker, which counts its jobs."""
    abilities = Abilities()

    async def slap(job: Job) -> bytes:
        size = math.ceil(len(job.workload) / _PARTS)
        for part in range(_PARTS if work.chunk or work.status else 0):
            if work.chunk:
                await job.data(job.workload[part * size : (part + 1) * size])
            if work.status:
                await job.status(part + 1, _PARTS)
        measurement.add(len(job.workload))
        return b""

    for name in work.functions:
        abilities.function(name=name)(slap)

    @abilities.function(name=SHUTDOWN)
    async def shut_down() -> bytes:
        raise Shutdown

    @abilities.function(name=_PING)
    async def ping() -> bytes:
        return b""

    return abilities


async def run_workers(
    work: Work, destination: Destination, measurement: Measurement, *, ready: Callable[[], None]
) -> None:
    """Do jobs until a signal, a job called ``shutdown``, enough jobs, or too long a time without any.

    Args:
        work: what to do.
        destination: the job server.
        measurement: where the jobs are counted.
        ready: called when all workers are.

    Raises:
        ServersUnavailable: the server cannot be reached at the beginning; later they try again and again.
    """
    async with open_client(destination.address, ssl_context=destination.tls) as client:
        await client.echo(b"")
    async with trio.open_nursery() as nursery:
        await _Working(work, measurement, nursery).run(destination, ready)
        nursery.cancel_scope.cancel(reason="the workers have ended")


class _Working:
    """Several workers that end together. The mutable state is which there are."""

    def __init__(self, work: Work, measurement: Measurement, nursery: trio.Nursery) -> None:
        self._work = work
        self._measurement = measurement
        self._nursery = nursery
        self._workers: list[Worker] = []
        self._idleness = Idleness(work.patience)

    async def run(self, destination: Destination, ready: Callable[[], None]) -> None:
        await self._nursery.start(stop_on_signals, self._drain, self._nursery.cancel_scope)
        self._nursery.start_soon(self._end_when_idle)
        async with trio.open_nursery() as nursery:
            for _ in range(self._work.connections):
                self._workers.append(await nursery.start(self._work_on, destination))
            ready()
            self._measurement.begin()
            self._idleness.begin()

    async def _work_on(self, destination: Destination, task_status: trio.TaskStatus[Worker]) -> None:
        await run_worker(
            load_abilities(self._work, self._measurement),
            destination.address,
            ssl_context=destination.tls,
            concurrency=self._work.concurrency,
            client_id=self._work.client_id,
            middleware=[self._idleness.watch, self._count],
            task_status=task_status,
        )
        # By a job that told it to, or because all do.
        await self._drain()

    async def _count(self, job: Job, call_next: CallNext) -> bytes:
        result = await call_next()
        if self._work.count is not None and self._measurement.jobs >= self._work.count:
            # So that its worker asks for no other job, and then all end.
            raise Shutdown(result)
        return result

    async def _end_when_idle(self) -> None:
        await self._idleness.wait()
        await self._drain()

    async def _drain(self) -> None:
        async with trio.open_nursery() as nursery:
            for worker in self._workers:
                nursery.start_soon(worker.drain)
