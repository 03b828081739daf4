"""Foreground jobs that are watched while they run, by a thread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from .. import client as _async
from ..client import JobData, JobStatus, JobWarning
from ..names import JobHandle, UniqueId
from .loop import Loop

__all__ = ["ForegroundJob", "TypedJob"]

_Event = TypeVar("_Event")
_Result = TypeVar("_Result")


class TypedJob(Generic[_Event, _Result]):
    """A foreground job of a decorated function while it is watched; `gearman_trio.blocking.Client.stream` gives it.

    Iterating gives an event for what the worker sends, in order, until the job ends, and how it ends is raised: both as
    by `gearman_trio.TypedJob`.  Several threads may iterate; each event goes to one of them.
    """

    def __init__(self, job: _async.TypedJob[_Event, _Result] | _async.ForegroundJob, loop: Loop[_async.Client]) -> None:
        # A `ForegroundJob` is one of `JobEvent` and bytes, which no type says.
        self._job: _async.TypedJob[_Event, _Result] = job  # type: ignore[assignment]
        self._loop = loop

    def __repr__(self) -> str:
        return repr(self._job)

    @property
    def handle(self) -> JobHandle:
        """The job handle that the server gave."""
        return self._job.handle

    @property
    def unique(self) -> UniqueId:
        """The unique ID as it was sent; empty where there was none."""
        return self._job.unique

    def __iter__(self) -> Iterator[_Event]:
        """Give the events without a limit on the time."""
        return self.events()

    def events(self, *, timeout: float | None = None) -> Iterator[_Event]:
        """Give the events as they come.

        Args:
            timeout: the seconds that each of them may take.

        Raises:
            TimeoutError: the next event did not come in time; no event is lost, and one may go on with a new iterator.
            JobFailed, JobRaised, JobLost, JobError: how the job ended, after its last event.
            SerializationError: an item cannot be read; those after it can be, with a new iterator.
            ServersUnavailable: the client was closed.
        """
        while True:
            try:
                event = self._loop.call(lambda _: self._job.__anext__(), timeout)
            except StopAsyncIteration:
                return
            yield event

    def result(self, *, timeout: float | None = None) -> _Result:
        """Wait for the job's end and give its result: the last part only, without the events.

        Raises:
            TimeoutError: it did not end in time; the job goes on, and one may wait again.
            JobFailed, JobRaised, JobLost, JobError: how the job ended.
            SerializationError: the result cannot be read.
            ServersUnavailable: the client was closed.
        """
        return self._loop.call(lambda _: self._job.result(), timeout)


class ForegroundJob(TypedJob[JobData | JobWarning | JobStatus, bytes]):
    """A foreground job that was called by name while it is watched; `gearman_trio.blocking.Client.stream` gives it.

    Iterating gives a `JobData`, `JobWarning` or `JobStatus` for what the worker sends, in order, until the job ends;
    how it ends is raised as by `gearman_trio.ForegroundJob`.  Several threads may iterate; each event goes to one of
    them.  The result is the payload of WORK_COMPLETE.
    """
