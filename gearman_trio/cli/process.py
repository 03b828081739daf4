"""One worker in this process, from its start to its end."""

from __future__ import annotations

import logging
import math
import signal
from collections.abc import Callable
from functools import partial

import attrs
import trio

from ..transport import Address, dialer, parse_address
from ..worker import Worker, log_jobs, run_worker
from ..worker.health import Health, serve_health
from ..worker.options import OnLost
from .destination import Destination
from .exec_worker import Output
from .idleness import Idleness
from .leash import Leash, Report
from .logs import NOTICE
from .running import stop_on_signals
from .target import Target

__all__ = ["WorkerCommand", "work"]

logger = logging.getLogger(__name__)


@attrs.frozen(kw_only=True)
class WorkerCommand:
    """What the command line asked of each worker; `worker_command` describes it."""

    target: str
    lifespan: str | None
    middleware: list[str]
    destination: Destination
    concurrency: int
    client_id: str | None
    exceptions: bool
    on_lost: OnLost
    drain_timeout: float
    verbose: str
    log_file: str
    json_logs: bool
    program: str | None = None
    output: Output = Output.RESULT
    count: int | None = None
    idle_timeout: float = math.inf

    def arguments(self, number: int) -> list[str]:
        """The command line of a worker process that does the same; its client ID has its number."""
        return [
            self.target,
            *self.destination.arguments(),
            *(f"--middleware={name}" for name in self.middleware),
            f"--concurrency={self.concurrency}",
            *([] if self.client_id is None else [f"--client-id={self.client_id}-{number}"]),
            *([] if self.lifespan is None else [f"--lifespan={self.lifespan}"]),
            "--exceptions" if self.exceptions else "--no-exceptions",
            f"--on-lost={self.on_lost}",
            f"--drain-timeout={self.drain_timeout!r}",
            f"--verbose={self.verbose}",
            f"--log-file={self.log_file}",
            *(["--json-logs"] if self.json_logs else []),
            *([] if self.program is None else [f"--exec={self.program}", f"--output={self.output}"]),
        ]


async def work(
    command: WorkerCommand, target: Target, *, leash: Leash | None = None, health: list[trio.SocketListener]
) -> None:
    """Do jobs until a signal, a job or the supervisor ends that.

    Args:
        command: what the command line asked for.
        target: what was found where it points to.
        leash: leads to the supervisor, if there is one.
        health: where to answer whether the worker is ready.

    Raises:
        ConfigError: the functions want something that they are not given.
        Exception: what the lifespan raised.
    """
    names = ", ".join(ability.name.decode("utf-8", "backslashreplace") for ability in target.abilities)
    logger.log(NOTICE, "functions: %s; job servers: %s", names, ", ".join(command.destination.addresses))
    async with trio.open_nursery() as nursery:
        running = _Work(command, target, nursery.cancel_scope)
        await nursery.start(stop_on_signals, running.drain, nursery.cancel_scope)
        if health:
            nursery.start_soon(partial(serve_health, running.health, health))
        if leash is not None:
            # The supervisor heeds it, and tells what is to be done.
            signal.signal(signal.SIGHUP, lambda *_: None)
            nursery.start_soon(partial(leash.obey, running.report, drain=running.drain, stop=running.stop))
        await running.run(leash.report if leash is not None else lambda: None)
        nursery.cancel_scope.cancel(reason="the worker has ended")
    logger.log(NOTICE, "stopped")


class _Work:
    """The worker, also before it has reached a job server.

    The mutable state is the worker once it has been ready, whether it drains, and whether it has looked for a job
    server since anyone asked.
    """

    def __init__(self, command: WorkerCommand, target: Target, scope: trio.CancelScope) -> None:
        self._command = command
        self._target = target
        self._scope = scope
        self._worker: Worker | None = None
        self._draining = False
        self._dial = dialer(None, command.destination.tls)
        self._dialled = trio.Event()
        self._idleness = Idleness(command.idle_timeout)

    async def run(self, on_change: Callable[[], None]) -> None:
        """Do jobs until the worker has ended.

        Args:
            on_change: called when the worker begins to look for job servers, and whenever `report` may have changed.
        """
        command = self._command
        seconds = None if math.isinf(command.drain_timeout) else command.drain_timeout
        logged = [log_jobs] if logging.getLogger("gearman_trio").isEnabledFor(logging.INFO) else []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._follow, on_change)
            nursery.start_soon(self._end_when_idle)
            async with trio.open_nursery() as working:
                self._worker = await working.start(
                    partial(
                        run_worker,
                        self._target.abilities,
                        *command.destination.addresses,
                        concurrency=command.concurrency,
                        client_id=command.client_id,
                        exceptions=command.exceptions,
                        connect=self._connect,
                        on_lost=command.on_lost,
                        drain_seconds=seconds,
                        lifespan=self._target.lifespan,
                        middleware=[self._idleness.watch, *logged, *self._target.middleware],
                    )
                )
                logger.log(NOTICE, "ready")
                self._idleness.begin()
                on_change()
            nursery.cancel_scope.cancel(reason="the worker has ended")

    async def drain(self) -> None:
        """Let what runs finish, and then `run` return; also where no server was reached yet."""
        self._draining = True
        if self._worker is None:
            self.stop()
        else:
            await self._worker.drain()

    async def _end_when_idle(self) -> None:
        await self._idleness.wait()
        logger.log(NOTICE, "there was no job for %g s", self._command.idle_timeout)
        await self.drain()

    def stop(self) -> None:
        """End everything at once."""
        self._scope.cancel(reason="the worker was stopped")

    def report(self) -> Report:
        """How it goes."""
        now = None if self._worker is None else self._worker.statistics()
        connected = () if now is None else now.connected
        addresses = dict.fromkeys(map(parse_address, self._command.destination.addresses))
        return Report(
            ready=bool(connected) and not self._draining,
            running=0 if now is None else now.running,
            servers={str(each): "connected" if each in connected else "not connected" for each in addresses},
        )

    async def health(self) -> Health:
        """The same, for those who ask over HTTP."""
        report = self.report()
        return Health(alive=True, ready=report.ready, details={"running": report.running, "servers": report.servers})

    async def _connect(self, address: Address) -> trio.abc.Stream:
        self._dialled.set()
        return await self._dial(address)

    async def _follow(self, on_change: Callable[[], None]) -> None:
        """Tell of changes: whoever lost a connection dials again, and may be ready after it."""
        while True:
            await self._dialled.wait()
            self._dialled = trio.Event()
            on_change()
            if self._worker is not None:
                await self._worker.wait_ready()
                on_change()
