"""The life of a job server's process, from its listeners to its end."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Final

import trio

from ..errors import ConfigError
from ..server import Server, serve
from .launch import Launch
from .listening import open_all, open_gateway, open_web
from .logs import NOTICE, reopen_log_files
from .pidfile import PidFile
from .systemd import ServiceManager, inherited_sockets

__all__ = ["run_server"]

logger = logging.getLogger(__name__)

#: How long the thread of a store may keep the interpreter from everything else at a time, in seconds. Python's 0.005 is
#: as long as many commits take: for so long foreground jobs would wait where a batch is written out.
_SWITCH_SECONDS: Final = 0.0001

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)


async def run_server(launch: Launch, ready: Callable[[], None] = lambda: None) -> None:
    """Run a job server until a signal ends it.

    | signal | what it does |
    |---|---|
    | SIGTERM, SIGINT | drains, for at most `Launch.drain_seconds`; the second one stops at once |
    | SIGUSR1 | drains, however long that takes |
    | SIGHUP | opens log files anew, reads certificate and key anew |

    Args:
        launch: what to run.
        ready: called when clients can connect and signals are heeded.

    Raises:
        ConfigError: a file cannot be used.
        OSError: an address cannot be listened on; its text is a message for people.
        StorageError: the store cannot be opened, or its jobs cannot be read.

    Cancellation: hard stop; jobs are lost but for those that are stored.
    """
    with nullcontext() if launch.store is None else _quick_switches():
        await _run(launch, ready)


@contextmanager
def _quick_switches() -> Generator[None]:
    """Let the event loop and the thread of a store take turns more often than Python would."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


async def _run(launch: Launch, ready: Callable[[], None]) -> None:
    pid_file = PidFile(launch.pid_file) if launch.pid_file else None
    if pid_file is not None:
        # A clearer error than that of a port in use.
        pid_file.check()
    web, gateway, listeners = await _open_everything(launch)
    async with trio.open_nursery() as nursery:
        async with trio.open_nursery() as starting:

            def show(server: Server) -> None:
                # At once: whoever asks how the process is must not wait until all jobs have come back.
                if web:
                    starting.start_soon(_start_web, nursery, server, web, launch)

            server: Server = await nursery.start(
                partial(serve, listeners=listeners, options=launch.options, store=launch.store, on_open=show)
            )
        if gateway:
            await _start_gateway(nursery, server, gateway, launch)
        process = _Process(launch, server)
        with pid_file.held() if pid_file else nullcontext():
            # Before anyone is told that it is ready: who starts it may stop it at once.
            await nursery.start(process.heed_signals, nursery.cancel_scope)
            process.tell_ready()
            ready()
            nursery.start_soon(process.manager.keep_alive)
            await server.wait_ended()
        nursery.cancel_scope.cancel(reason="the server has ended")
    logger.log(NOTICE, "stopped")


async def _open_everything(
    launch: Launch,
) -> tuple[list[trio.SocketListener], list[trio.SocketListener], list[trio.abc.Listener[trio.abc.Stream]]]:
    """The listeners for HTTP, for jobs over HTTP, and for clients and workers; all of them or none."""
    web = await open_web(launch)
    gateway: list[trio.SocketListener] = []
    try:
        gateway = await open_gateway(launch)
        return web, gateway, await open_all(launch, inherited_sockets(os.environ))
    except BaseException:
        for each in (*web, *gateway):
            await trio.aclose_forcefully(each)
        raise


async def _start_web(
    nursery: trio.Nursery, server: Server, listeners: list[trio.SocketListener], launch: Launch
) -> None:
    from ..web import serve_web  # noqa: PLC0415 an extra

    assert launch.web is not None
    answering = partial(
        serve_web,
        server,
        host=launch.web.host,
        listeners=listeners,
        token=launch.web_token,
        hosts=launch.web_hosts,
        hide_workloads=launch.web_hide_workloads,
    )
    urls: list[str] = await nursery.start(answering)
    logger.log(NOTICE, "web: %s", ", ".join(urls))


async def _start_gateway(
    nursery: trio.Nursery, server: Server, listeners: list[trio.SocketListener], launch: Launch
) -> None:
    from ..web import serve_gateway  # noqa: PLC0415 an extra

    running_jobs = partial(serve_gateway, server, listeners=listeners, hosts=launch.web_hosts)
    urls: list[str] = await nursery.start(running_jobs)
    logger.log(NOTICE, "http: %s", ", ".join(urls))


class _Process:
    """What signals do to a server that runs, and what the service manager hears of it."""

    def __init__(self, launch: Launch, server: Server) -> None:
        self.manager = ServiceManager(os.environ)
        self._launch = launch
        self._server = server

    def tell_ready(self) -> None:
        logger.log(NOTICE, "ready: %s", self._status())
        self.manager.ready(self._status())

    async def heed_signals(self, scope: trio.CancelScope, task_status: trio.TaskStatus[None]) -> None:
        stopping = False
        async with trio.open_nursery() as nursery:
            with trio.open_signal_receiver(*_SIGNALS) as signals:
                task_status.started()
                async for number in signals:
                    match number:
                        case signal.SIGHUP:
                            self._reload()
                        case signal.SIGUSR1:
                            self._stopping(number, "finishing what runs, however long it takes")
                            nursery.start_soon(self._server.drain)
                        case _ if stopping:
                            scope.cancel(reason="a second signal came")
                        case _:
                            stopping = True
                            self._stopping(number, "finishing what runs; once more to stop at once")
                            nursery.start_soon(self._server.drain, self._launch.drain_seconds)

    def _stopping(self, number: int, how: str) -> None:
        logger.log(NOTICE, "%s: %s", signal.Signals(number).name, how)
        self.manager.stopping()

    def _reload(self) -> None:
        """Read again what may have changed; what cannot be read stays as it was, and the log says so."""
        self.manager.reloading()
        reopen_log_files()
        try:
            self._server.reload_tls()
        except ConfigError as exc:
            logger.error("SIGHUP: %s", exc)
        logger.log(NOTICE, "SIGHUP: what can change while the server runs was read anew")
        self.manager.ready(self._status())

    def _status(self) -> str:
        return f"listening on {', '.join(map(str, self._server.addresses))}"
