"""Calling functions from any thread, by their names or as they were decorated."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar, overload

from .. import client as _async
from ..client import ItemEvent, JobEvent, Priority
from ..names import JobHandle
from ..signature import Injected
from .job import ForegroundJob, TypedJob
from .portal import Portal

__all__ = ["Caller", "Workload"]

Workload = bytes | bytearray | memoryview

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Job = TypeVar("_Job", bound=Injected)


class Caller:
    """Submits jobs through a portal.

    Nothing here changes, so views with other options share the portal.
    """

    _portal: Portal[_async.Client]
    #: Gives the client with the options of this view; called in the background thread.
    _view: Callable[[_async.Client], _async.Client]
    #: The seconds that each call may take, where it does not say otherwise.
    _timeout: float | None

    # The order matters, as for the async client.
    @overload
    def run(
        self,
        /,
        function: str | bytes,
        workload: Workload = b"",
        *,
        priority: Priority | str | None = None,
        unique: str | bytes | None = None,
        timeout: float | None = None,
    ) -> bytes: ...
    @overload
    def run(
        self, function: Callable[Concatenate[_Job, _P], AsyncIterator[_T]], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> list[_T]: ...
    @overload
    def run(
        self, function: Callable[Concatenate[_Job, _P], Awaitable[_T]], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> _T: ...
    @overload
    def run(self, function: Callable[Concatenate[_Job, _P], _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T: ...
    @overload
    def run(self, function: Callable[_P, AsyncIterator[_T]], /, *args: _P.args, **kwargs: _P.kwargs) -> list[_T]: ...
    @overload
    def run(self, function: Callable[_P, Awaitable[_T]], /, *args: _P.args, **kwargs: _P.kwargs) -> _T: ...
    @overload
    def run(self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T: ...
    def run(self, /, *args: Any, **kwargs: Any) -> Any:
        """Run a job in the foreground and give its result, as `gearman_trio.Client.run`.

        Args:
            args: as there: a name and the workload, or a decorated function and its arguments.
            kwargs: as there; for a name, also ``timeout``.

        Raises:
            TimeoutError: the result did not come within `timeout` seconds.
            JobFailed, JobRaised, JobLost, ServerError, ServersUnavailable, SerializationError, ConfigError, TypeError:
                as there.
        """
        timeout = self._taken_timeout(args, kwargs)
        return self._portal.call(lambda client: self._view(client).run(*args, **kwargs), timeout)

    @overload
    def stream(
        self,
        /,
        function: str | bytes,
        workload: Workload = b"",
        *,
        priority: Priority | str | None = None,
        unique: str | bytes | None = None,
        max_unread_bytes: int | None = None,
        timeout: float | None = None,
    ) -> AbstractContextManager[ForegroundJob]: ...
    @overload
    def stream(  # type: ignore[overload-overlap]  # an iterator is a result, too; the first that fits is meant
        self, function: Callable[Concatenate[_Job, _P], AsyncIterator[_T]], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> AbstractContextManager[TypedJob[ItemEvent[_T], None]]: ...
    @overload
    def stream(
        self, function: Callable[Concatenate[_Job, _P], Awaitable[_T]], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> AbstractContextManager[TypedJob[JobEvent, _T]]: ...
    @overload
    def stream(
        self, function: Callable[Concatenate[_Job, _P], _T], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> AbstractContextManager[TypedJob[JobEvent, _T]]: ...
    @overload
    def stream(  # type: ignore[overload-overlap]  # as above
        self, function: Callable[_P, AsyncIterator[_T]], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> AbstractContextManager[TypedJob[ItemEvent[_T], None]]: ...
    @overload
    def stream(
        self, function: Callable[_P, Awaitable[_T]], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> AbstractContextManager[TypedJob[JobEvent, _T]]: ...
    @overload
    def stream(
        self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> AbstractContextManager[TypedJob[JobEvent, _T]]: ...
    @contextmanager
    def stream(self, /, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Run a job in the foreground and watch it, as `gearman_trio.Client.stream`.

        ::

            with client.stream("resize", image, timeout=5) as job:
                for event in job:
                    ...
                job.result()

        By name this gives a `ForegroundJob`, of a decorated function a `TypedJob`.

        Args:
            args: as there.
            kwargs: as there; for a name, also ``timeout``, the seconds until the job has its handle; the methods of
                the job have a limit of their own.

        Raises:
            TimeoutError: the job server gave no handle in time.
            JobLost, ServerError, ServersUnavailable, SerializationError, ConfigError, TypeError: as there, on entering.
        """
        timeout = self._taken_timeout(args, kwargs)
        loop = self._portal.loop()
        held = loop.hold(lambda client: self._view(client).stream(*args, **kwargs), timeout)
        watched: _async.ForegroundJob | _async.TypedJob[Any, Any] = held.value
        try:
            if isinstance(watched, _async.TypedJob):
                yield TypedJob(watched, loop)
            else:
                yield ForegroundJob(watched, loop)
        finally:
            loop.post(held.leave)

    @overload
    def submit(
        self,
        /,
        function: str | bytes,
        workload: Workload = b"",
        *,
        priority: Priority | str | None = None,
        unique: str | bytes | None = None,
        run_at: float | datetime.datetime | None = None,
        delay: float | None = None,
        timeout: float | None = None,
    ) -> JobHandle: ...
    @overload
    def submit(
        self, function: Callable[Concatenate[_Job, _P], Any], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> JobHandle: ...
    @overload
    def submit(self, function: Callable[_P, Any], /, *args: _P.args, **kwargs: _P.kwargs) -> JobHandle: ...
    def submit(self, /, *args: Any, **kwargs: Any) -> JobHandle:
        """Leave a job with the job server, to run in the background, and give its handle: `gearman_trio.Client.submit`.

        Args:
            args: as there.
            kwargs: as there; for a name, also ``timeout``.

        Raises:
            TimeoutError: the handle did not come within `timeout` seconds; the job may have been taken.
            JobLost, ServerError, ServersUnavailable, SerializationError, ConfigError, TypeError: as there.
        """
        timeout = self._taken_timeout(args, kwargs)
        return self._portal.call(lambda client: self._view(client).submit(*args, **kwargs), timeout)

    def _limit(self, timeout: float | None) -> float | None:
        return self._timeout if timeout is None else timeout

    def _taken_timeout(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> float | None:
        """The time limit of a call; taken out of the arguments, where they are not those of a function."""
        return self._limit(None if args and callable(args[0]) else kwargs.pop("timeout", None))
