"""A request that exactly one task waits for, at the price of one scheduling hop."""

from __future__ import annotations

from typing import Any

import trio

from ..errors import GearmanError
from ..protocol import PacketType
from .session import ForegroundRequest, Request

__all__ = ["Call", "ResultCall", "RunCall"]


class Call(Request):
    """A request whose task sleeps until the session wakes it, instead of watching an event.

    The task must come to `wait` without waiting for anything else after the packet was queued; so it is asleep whenever
    the session has something to tell.

    Cancellation: a task that is cancelled while it waits abandons the request; an answer that came first is not lost.
    """

    __slots__ = ("_error", "_task", "fields")

    def __init__(self, expected: int) -> None:
        super().__init__(expected)
        self._task: trio.lowlevel.Task | None = None
        self._error: GearmanError | None = None
        self.fields: list[bytes] = []

    def answered(self, fields: list[bytes]) -> None:
        """Keep the answer and wake the task."""
        self.fields = fields
        self._wake()

    def failed(self, error: GearmanError) -> None:
        """Keep the error and wake the task."""
        self._error = error
        self._wake()

    async def wait(self) -> None:
        """Wait for the end, and raise what went wrong. To be called once."""
        self._task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._abandon)
        if self._error is not None:
            # The error's traceback holds this frame: without these lines the two would keep each other alive.
            error, self._error = self._error, None
            try:
                raise error
            finally:
                del error

    def _wake(self) -> None:
        assert self._task is not None
        task, self._task = self._task, None
        trio.lowlevel.reschedule(task)

    def _abandon(self, raise_cancel: Any) -> trio.lowlevel.Abort:
        self._task = None
        self.abandoned = True
        return trio.lowlevel.Abort.SUCCEEDED


class ResultCall(Call, ForegroundRequest):
    """A foreground job of which only the payload of its WORK_COMPLETE is wanted."""

    __slots__ = ("_result",)

    def __init__(self) -> None:
        super().__init__(PacketType.JOB_CREATED)
        self._result = b""

    def answered(self, fields: list[bytes]) -> None:
        """The job exists, which is no reason to wake the task."""

    def progressed(self, kind: int, payload: bytes) -> None:
        """Pass over everything."""

    def completed(self, result: bytes) -> None:
        """Keep the result and wake the task."""
        self._result = result
        self._wake()

    async def wait_result(self) -> bytes:
        """Wait for the job's end and give its result."""
        await self.wait()
        return self._result


class RunCall(ResultCall):
    """A foreground job of which only the whole result is wanted: all WORK_DATA, then the last part."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] | None = None

    def progressed(self, kind: int, payload: bytes) -> None:
        """Keep data, pass over the rest."""
        if kind == PacketType.WORK_DATA:
            if self._parts is None:
                self._parts = []
            self._parts.append(payload)

    async def wait_result(self) -> bytes:
        """Wait for the job's end and give its result, put together."""
        await self.wait()
        return self._result if self._parts is None else b"".join([*self._parts, self._result])

    async def wait_parts(self) -> list[bytes]:
        """Wait for the job's end and give its result in the parts that it came in, without an empty last one."""
        await self.wait()
        parts = self._parts or []
        return [*parts, self._result] if self._result else parts
