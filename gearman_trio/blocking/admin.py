"""The administrative client for threads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Literal, TypeVar

from .. import admin as _async
from ..admin import (
    ConnectionActivityRow,
    ConnectionRow,
    FunctionActivityRow,
    FunctionJobRow,
    FunctionRow,
    JobRow,
    LimitRow,
    PriorityRow,
    RunningJobRow,
    open_admin,
)
from ..transport import Address, Connect, Tls, parse_address
from .loop import Loop
from .portal import Portal

__all__ = ["AdminClient"]

_T = TypeVar("_T")

_Open = Callable[[], AbstractAsyncContextManager[_async.AdminClient]]


@asynccontextmanager
async def _opener(
    loop: Loop[_Open], *, server: Address, ssl_context: Tls | None, connect: Connect | None
) -> AsyncIterator[_Open]:
    yield partial(open_admin, server, ssl_context=ssl_context, connect=loop.watching(connect))


class AdminClient:
    """Asks one job server as plain calls, from any number of threads at once.

    ::

        with AdminClient("host:4730") as admin:
            for row in admin.status(timeout=5):
                print(row.function, row.total)

    Each question has a connection of its own, so a slow answer holds up nobody else, a question that ran into its
    timeout spoils nothing, and a job server that was started again is found at the next question.

    The methods, and what they raise, are those of `gearman_trio.AdminClient`; besides, each raises
    `ServersUnavailable` where the server cannot be reached, and `TimeoutError` where it takes longer than ``timeout``
    seconds.  Forks and resources are handled as by `gearman_trio.blocking.Client`.
    """

    def __init__(
        self,
        server: str | Address = "127.0.0.1:4730",
        *,
        ssl_context: Tls | None = None,
        connect: Connect | None = None,
    ) -> None:
        """Make a client that connects when it is first used; the arguments are those of `gearman_trio.open_admin`.

        Raises:
            ConfigError: the address cannot be read.
        """
        address = server if isinstance(server, Address) else parse_address(server)
        opener = partial(_opener, server=address, ssl_context=ssl_context, connect=connect)
        self._portal: Portal[_Open] = Portal(opener, "administrative client")

    def __enter__(self) -> AdminClient:
        self._portal.loop()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the thread; questions that still wait get `ServersUnavailable`. May be called again."""
        self._portal.close()

    def status(self, *, timeout: float | None = None) -> list[FunctionRow]:
        """Jobs and workers of each function."""
        return self._ask(lambda admin: admin.status(), timeout)

    def priority_status(self, *, timeout: float | None = None) -> list[PriorityRow]:
        """Queued jobs of each function, by priority."""
        return self._ask(lambda admin: admin.priority_status(), timeout)

    def workers(self, *, timeout: float | None = None) -> list[ConnectionRow]:
        """Every connection of the server, this one too."""
        return self._ask(lambda admin: admin.workers(), timeout)

    def jobs(self, *, timeout: float | None = None) -> list[JobRow]:
        """Every live job."""
        return self._ask(lambda admin: admin.jobs(), timeout)

    def unique_jobs(self, *, timeout: float | None = None) -> list[str]:
        """The unique ID of every live job, empty ones too."""
        return self._ask(lambda admin: admin.unique_jobs(), timeout)

    def cancel(self, handle: str | bytes, *, timeout: float | None = None) -> None:
        """End a job; its clients hear WORK_FAIL."""
        self._ask(lambda admin: admin.cancel(handle), timeout)

    def create_function(self, name: str | bytes, *, timeout: float | None = None) -> None:
        """List a function although it has neither jobs nor workers."""
        self._ask(lambda admin: admin.create_function(name), timeout)

    def drop_function(self, name: str | bytes, *, timeout: float | None = None) -> None:
        """Forget a function that has neither jobs nor workers."""
        self._ask(lambda admin: admin.drop_function(name), timeout)

    def maxqueue(self, name: str | bytes, *sizes: int, timeout: float | None = None) -> None:
        """Limit a function's queue: no size for no limit, one for all priorities, or three for high, normal, low."""
        self._ask(lambda admin: admin.maxqueue(name, *sizes), timeout)

    def limits(self, name: str | bytes | None = None, *, timeout: float | None = None) -> list[LimitRow]:
        """What `maxqueue` said, of one function or of all that have a limit."""
        return self._ask(lambda admin: admin.limits(name), timeout)

    def function_jobs(
        self,
        name: str | bytes,
        *,
        state: Literal["committing", "fetching", "queued", "running", "scheduled"] | None = None,
        priority: Literal["high", "normal", "low"] | None = None,
        unique: str | bytes | None = None,
        older: float | None = None,
        younger: float | None = None,
        limit: int | None = None,
        timeout: float | None = None,
    ) -> list[FunctionJobRow]:
        """The jobs of a function in the order of their handles."""
        return self._ask(
            lambda admin: admin.function_jobs(
                name, state=state, priority=priority, unique=unique, older=older, younger=younger, limit=limit
            ),
            timeout,
        )

    def function_activity(self, *, timeout: float | None = None) -> list[FunctionActivityRow]:
        """What each function has, and what became of its jobs."""
        return self._ask(lambda admin: admin.function_activity(), timeout)

    def running_jobs(self, *, timeout: float | None = None) -> list[RunningJobRow]:
        """Every job that a worker holds."""
        return self._ask(lambda admin: admin.running_jobs(), timeout)

    def connection_activity(self, *, timeout: float | None = None) -> list[ConnectionActivityRow]:
        """Every connection of the server with what it does."""
        return self._ask(lambda admin: admin.connection_activity(), timeout)

    def pause_function(self, name: str | bytes, *, timeout: float | None = None) -> None:
        """Give no worker a job of a function any more."""
        self._ask(lambda admin: admin.pause_function(name), timeout)

    def resume_function(self, name: str | bytes, *, timeout: float | None = None) -> None:
        """Undo `pause_function`."""
        self._ask(lambda admin: admin.resume_function(name), timeout)

    def paused_functions(self, *, timeout: float | None = None) -> list[str]:
        """The functions that are paused."""
        return self._ask(lambda admin: admin.paused_functions(), timeout)

    def purge_function(self, name: str | bytes, *, timeout: float | None = None) -> int:
        """End every queued and scheduled job of a function; give how many that were."""
        return self._ask(lambda admin: admin.purge_function(name), timeout)

    def shut_down(self, *, graceful: bool = True, timeout: float | None = None) -> None:
        """Stop the server; only over an administrators' listener."""
        self._ask(lambda admin: admin.shut_down(graceful=graceful), timeout)

    def version(self, *, timeout: float | None = None) -> str:
        """The server's version."""
        return self._ask(lambda admin: admin.version(), timeout)

    def process_id(self, *, timeout: float | None = None) -> int:
        """The process ID of the server, on its machine."""
        return self._ask(lambda admin: admin.process_id(), timeout)

    def verbosity(self, *, timeout: float | None = None) -> str:
        """What the server logs, one of gearmand's level names."""
        return self._ask(lambda admin: admin.verbosity(), timeout)

    def _ask(self, question: Callable[[_async.AdminClient], Awaitable[_T]], timeout: float | None) -> _T:
        async def ask(open_: _Open) -> _T:
            async with open_() as admin:
                return await question(admin)

        return self._portal.call(ask, timeout)
