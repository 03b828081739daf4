"""A foreground job that is watched while it runs."""

from __future__ import annotations

from collections import deque
from typing import Any, Final, Generic, TypeVar, cast

import trio

from ..errors import GearmanError, JobError
from ..names import JobHandle, UniqueId
from ..protocol import PacketType
from ..signature import Signature
from .events import JobData, JobEvent, JobItem, JobStatus, JobWarning, parse_status
from .session import ForegroundRequest

__all__ = ["DEFAULT_MAX_UNREAD_BYTES", "ForegroundJob", "JobFeed", "TypedJob"]

_Event = TypeVar("_Event")
_Result = TypeVar("_Result")

#: As much as a few of the largest results that people send in parts, and still nothing to a machine's memory.
DEFAULT_MAX_UNREAD_BYTES: Final = 64 * 1024 * 1024

#: What an unread event counts besides its data, about the memory of its object: empty ones must not be free.
_EVENT_BYTES: Final = 128


class _Slot:
    """The place of an unread status among the unread events; a newer status takes the same place."""

    __slots__ = ("status",)

    def __init__(self, status: JobStatus) -> None:
        self.status = status


class JobFeed(ForegroundRequest):
    """Keeps what came for one watched job until somebody reads it, and wakes whoever waits.

    The mutable state: the handle, the unread events, and how the job ended.
    """

    __slots__ = ("_changed", "_error", "_events", "_max_unread", "_over", "_slot", "_unread", "handle", "result")

    def __init__(self, max_unread_bytes: int) -> None:
        super().__init__(PacketType.JOB_CREATED)
        self.handle: bytes | None = None
        self.result = b""
        self._error: GearmanError | None = None
        self._over = False
        self._events: deque[JobData | JobWarning | _Slot] = deque()
        # Invariant: the one slot among the events, if there is one.
        self._slot: _Slot | None = None
        self._unread = 0
        self._max_unread = max_unread_bytes
        # There only while a task waits.
        self._changed: trio.Event | None = None

    def answered(self, fields: list[bytes]) -> None:
        """Keep the handle."""
        self.handle = fields[0]
        self._wake()

    def progressed(self, kind: int, payload: bytes) -> None:
        """Keep an event, within the limit."""
        if kind == PacketType.WORK_STATUS:
            status = parse_status(payload)
            if status is not None:
                self._keep_status(status)
            return
        self._unread += len(payload) + _EVENT_BYTES
        if self._unread > self._max_unread:
            message = f"has over {self._max_unread} bytes that were not read; its client reads no further"
            self.failed(JobError(self.handle, message))
            self.abandoned = True
            return
        self._events.append(JobData(payload) if kind == PacketType.WORK_DATA else JobWarning(payload))
        self._wake()

    def completed(self, result: bytes) -> None:
        """Keep the result."""
        self.result = result
        self._over = True
        self._wake()

    def failed(self, error: GearmanError) -> None:
        """Keep the error."""
        self._error = error
        self._over = True
        self._wake()

    def leave(self) -> None:
        """Stop watching: nothing that comes is kept, and whoever still waits gets an error."""
        if not self._over:
            self._events.clear()
            self.failed(JobError(self.handle, "was left before it ended"))
            self.abandoned = True

    async def wait_created(self) -> None:
        """Wait until the job has a handle, or raise why it got none."""
        while self.handle is None:
            if self._over:
                self._raise()
            await self._wait()

    async def wait_result(self) -> bytes:
        """Wait until the job is over, and give the payload of its WORK_COMPLETE."""
        if self._over:
            await trio.lowlevel.checkpoint()
        while not self._over:
            await self._wait()
        self._raise()
        return self.result

    async def next_event(self) -> JobEvent:
        """Wait for the next event; raise `StopAsyncIteration` or the job's error after the last one."""
        # Whatever is waited for, it is waited for before an event is taken: cancelled here, none is lost.
        if self._events or self._over:
            await trio.lowlevel.checkpoint()
        while not self._events:
            if self._over:
                self._raise()
                raise StopAsyncIteration
            await self._wait()
        event = self._events.popleft()
        if isinstance(event, _Slot):
            self._slot = None
            return event.status
        self._unread -= len(event.data) + _EVENT_BYTES
        return event

    def _keep_status(self, status: JobStatus) -> None:
        if self._slot is None:
            self._slot = _Slot(status)
            self._events.append(self._slot)
            self._wake()
        else:
            self._slot.status = status

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    async def _wait(self) -> None:
        if self._changed is None:
            self._changed = trio.Event()
        await self._changed.wait()

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None


class _WatchedJob:
    """What is known of a watched job from its beginning."""

    __slots__ = ("_feed", "_unique")

    def __init__(self, feed: JobFeed, unique: UniqueId) -> None:
        self._feed = feed
        self._unique = unique

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.handle.decode('ascii', 'backslashreplace')}>"

    @property
    def handle(self) -> JobHandle:
        """The job handle that the server gave; a coalesced job has the same one for all its clients."""
        assert self._feed.handle is not None
        return JobHandle(self._feed.handle)

    @property
    def unique(self) -> UniqueId:
        """The unique ID as it was sent; empty where there was none."""
        return self._unique


class ForegroundJob(_WatchedJob):
    """A foreground job while it is watched; `Client.stream` gives it.

    Iterating gives a `JobData`, `JobWarning` or `JobStatus` for what the worker sends, in order, until the job ends.  A
    status that was not read before the next one came is replaced by it, in its place.  Several tasks may iterate; each
    event goes to one of them.
    """

    __slots__ = ()

    def __aiter__(self) -> ForegroundJob:
        return self

    async def __anext__(self) -> JobEvent:
        """The next event.

        Raises:
            StopAsyncIteration: the job ended with WORK_COMPLETE, and every event before it was read.
            JobFailed: it ended with WORK_FAIL.
            JobRaised: it ended with WORK_EXCEPTION.
            JobLost: its connection ended, or the client was closed.
            JobError: more than ``max_unread_bytes`` were not read, or the block of `Client.stream` was left.

        Cancellation: no event is lost.
        """
        return await self._feed.next_event()

    async def result(self) -> bytes:
        """Wait for the job's end and give the payload of its WORK_COMPLETE.

        This is the last part only: parts that came as WORK_DATA are events, and those not read stay readable.  May be
        called any number of times, also while another task iterates.

        Raises:
            JobFailed, JobRaised, JobLost, JobError: as for iterating, but at once, whatever is still unread.

        Cancellation: nothing is lost.
        """
        return await self._feed.wait_result()


class TypedJob(_WatchedJob, Generic[_Event, _Result]):
    """A foreground job of a decorated function while it is watched; `Client.stream` gives it.

    As `ForegroundJob`, but for what the function's serializer reads.  Where the function yields, iterating gives a
    `JobItem` for each item instead of a `JobData`, and the result is ``None``.  Else the result is what it returned.
    """

    __slots__ = ("_last_item_given", "_signature")

    def __init__(self, feed: JobFeed, unique: UniqueId, signature: Signature) -> None:
        super().__init__(feed, unique)
        self._signature = signature
        self._last_item_given = False

    def __aiter__(self) -> TypedJob[_Event, _Result]:
        return self

    async def __anext__(self) -> _Event:
        """The next event.

        Raises:
            StopAsyncIteration, JobFailed, JobRaised, JobLost, JobError: as for `ForegroundJob`.
            SerializationError: an item cannot be read; those after it can be.

        Cancellation: no event is lost.
        """
        event: JobEvent | JobItem[Any]
        try:
            event = await self._feed.next_event()
        except StopAsyncIteration:
            # Ours end with nothing; workers of other libraries send the last item as they send a last part.
            if not self._signature.streams or not self._feed.result or self._last_item_given:
                raise
            self._last_item_given = True
            event = JobData(self._feed.result)
        if self._signature.streams and isinstance(event, JobData):
            event = JobItem(self._signature.read_result(event.data))
        return cast("_Event", event)

    async def result(self) -> _Result:
        """Wait for the job's end and give what the function returned.

        Raises:
            JobFailed, JobRaised, JobLost, JobError: as for iterating, but at once, whatever is still unread.
            SerializationError: the result cannot be read.

        Cancellation: nothing is lost.
        """
        data = await self._feed.wait_result()
        return cast("_Result", None if self._signature.streams else self._signature.read_result(data))
