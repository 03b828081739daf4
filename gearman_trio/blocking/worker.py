"""The worker for programs without an event loop."""

from __future__ import annotations

import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from types import FrameType, TracebackType
from typing import Any, Final

import trio

from .. import worker as _async
from ..errors import ServersUnavailable
from ..transport import Address, Connect, Tls
from ..worker import Abilities, WorkerStatistics, run_worker
from .loop import Loop
from .portal import Portal

__all__ = ["Worker"]

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

#: How often the main thread wakes while it waits.  A signal may reach the process in another thread, and Python
#: handles it in the main thread only, at the next moment that this one runs.
_LOOK_SECONDS: Final = 0.5


class _Running:
    """A worker while it runs in the loop; where it reports that it is ready, which may be never.

    Attributes:
        worker: the worker, once at least one server knows its abilities.
        failure: what it ended with, if that was an error.
    """

    def __init__(self) -> None:
        self.worker: _async.Worker | None = None
        self.failure: Exception | None = None
        self._ready = trio.Event()
        self._ended = trio.Event()
        self._scope = trio.CancelScope()

    def started(self, value: Any = None) -> None:
        """Keep the worker; for `run_worker`, to which this is the task status."""
        self.worker = value
        self._ready.set()

    async def serve(self, run: Callable[..., Any], on_end: Callable[[], None]) -> None:
        """Run the worker to its end."""
        try:
            with self._scope:
                await run(task_status=self)
        except Exception as exc:  # noqa: BLE001 - raised again by whoever waits for the worker
            self.failure = exc
        finally:
            self._ended.set()
            on_end()

    async def wait_ready(self) -> None:
        await self._ready.wait()
        assert self.worker is not None
        await self.worker.wait_ready()

    async def drain(self) -> None:
        """Let the running jobs end, then end the worker."""
        if self.worker is None:
            self._scope.cancel(reason="the worker was stopped before it was connected")
        else:
            await self.worker.drain()
        await self._ended.wait()

    def statistics(self) -> WorkerStatistics:
        if self.worker is None:
            return WorkerStatistics(running=0, done=0, failed=0, lost=0, connected=())
        return self.worker.statistics()


@asynccontextmanager
async def _open(
    loop: Loop[_Running], abilities: Abilities, servers: tuple[str | Address, ...], options: dict[str, Any]
) -> AsyncIterator[_Running]:
    connect = loop.watching(options.pop("connect"))
    running = _Running()
    async with trio.open_nursery() as nursery:
        run = partial(run_worker, abilities, *servers, connect=connect, **options)
        nursery.start_soon(running.serve, run, loop.stop)
        # The worker checks its arguments in its first step, which is done when this task has its next turn but one.
        await trio.lowlevel.checkpoint()
        await trio.lowlevel.checkpoint()
        if running.failure is None:
            yield running
        nursery.cancel_scope.cancel(reason="the worker was stopped")
    if running.failure is not None:
        raise running.failure


class Worker:
    """Does jobs in background threads of a program without an event loop, or as the whole of one.

    ::

        Worker(abilities, "host:4730", concurrency=4).run()

    Abilities are those of `gearman_trio.Abilities`: plain functions run in threads, ``concurrency`` of them at once,
    and ``async def`` functions as Trio tasks of the worker's own thread.  Connections, losses and errors are handled
    as by `gearman_trio.run_worker`.

    A worker that ended can be started again.  After a fork the parent's worker goes on, and the child's is one that
    was not started.  One that is forgotten, or running when the interpreter exits, stops at once, as `stop` does with
    a timeout of 0.
    """

    def __init__(
        self,
        abilities: Abilities,
        *servers: str | Address,
        concurrency: int = 1,
        client_id: str | bytes | None = None,
        exceptions: bool = True,
        ssl_context: Tls | None = None,
        connect: Connect | None = None,
    ) -> None:
        """Make a worker that does nothing yet; the arguments are those of `gearman_trio.run_worker`.

        They are checked by `start` and `run`.
        """
        options: dict[str, Any] = {
            "concurrency": concurrency,
            "client_id": client_id,
            "exceptions": exceptions,
            "ssl_context": ssl_context,
            "connect": connect,
        }
        # With the abilities and options of the moment when it starts.
        self._open = lambda loop: _open(loop, abilities, servers, dict(options))
        # Guards the portal against two threads that start or stop.
        self._lock = threading.Lock()
        self._portal: Portal[_Running] | None = None

    def __enter__(self) -> Worker:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """Whether the worker was started and has not ended."""
        portal = self._portal
        return portal is not None and portal.open

    @property
    def ready(self) -> bool:
        """Whether at least one server knows the worker's abilities now."""
        return self.running and bool(self.statistics().connected)

    def start(self) -> None:
        """Begin to do jobs, in the background. Does not wait for a connection; `wait_ready` does.

        Raises:
            ConfigError: an argument has a value that cannot be used.
            RuntimeError: the worker runs already.
        """
        self._start()

    def wait_ready(self, *, timeout: float | None = None) -> None:
        """Wait until `ready`.

        Raises:
            TimeoutError: no server was reached in time; the worker goes on trying.
            ServersUnavailable: the worker was stopped.
            RuntimeError: the worker was not started.
        """
        self._started().call(lambda running: running.wait_ready(), timeout)

    def stop(self, *, timeout: float | None = None) -> None:
        """Grab no more jobs, wait for the running ones, and end the worker; may be called at any time, and again.

        Jobs that still run after the timeout are given up, and the servers give them to other workers; a thread
        cannot be stopped, so plain functions go on, and their results are dropped.

        Not from a job, which would wait for itself: see `request_stop`.

        Args:
            timeout: the seconds that running jobs may take; ``None`` is without limit.
        """
        portal = self._portal
        if portal is None:
            return
        try:
            if portal.open:
                portal.loop().call(lambda running: running.drain(), timeout)
        except (TimeoutError, ServersUnavailable):
            # Out of time, or it ended meanwhile.
            pass
        finally:
            portal.close()

    def request_stop(self) -> None:
        """Begin to stop, and return at once; for jobs and signal handlers. Running jobs go on to their end."""
        portal = self._portal
        if portal is not None and portal.open:
            _drain_soon(portal.loop())

    def run(self) -> None:
        """Do jobs in this thread's time: `start`, and wait until the worker has ended.

        It ends by `stop` or `request_stop` from elsewhere.  In the main thread it also ends by SIGINT or SIGTERM: the
        first one waits for the running jobs, the second one gives them up.  Both come back to their old handlers
        afterwards.

        Raises:
            ConfigError, RuntimeError: as `start`.
            Exception: what the worker ended with, if that was an error.
        """
        portal = self._start()
        loop = portal.loop()
        seen: list[int] = []

        def stop(number: int, frame: FrameType | None) -> None:
            seen.append(number)
            if len(seen) == 1:
                _drain_soon(loop)
            else:
                loop.stop()

        try:
            with _handling(stop):
                while not loop.join(_LOOK_SECONDS):
                    pass
        finally:
            portal.close()
        if loop.error is not None:
            raise loop.error

    def statistics(self) -> WorkerStatistics:
        """What the worker has done since it was started.

        Raises:
            RuntimeError: the worker does not run.
        """

        async def ask(running: _Running) -> WorkerStatistics:
            return running.statistics()

        return self._started().call(ask)

    def _start(self) -> Portal[_Running]:
        with self._lock:
            if self.running:
                raise RuntimeError("the worker runs already")
            portal = self._portal = Portal(self._open, "worker")
            portal.loop()
            return portal

    def _started(self) -> Loop[_Running]:
        portal = self._portal
        if portal is None or not portal.open:
            raise RuntimeError("the worker does not run; start it first")
        return portal.loop()


def _drain_soon(loop: Loop[_Running]) -> None:
    """Begin to drain; never waits."""
    loop.spawn(lambda running: running.drain())


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Have the signals go to a handler, where that is possible: in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, old in before.items():
            # None stands for a handler that was not set from Python.
            signal.signal(number, signal.SIG_DFL if old is None else old)
