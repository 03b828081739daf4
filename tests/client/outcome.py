"""Calls in other tasks, and what became of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio
from trio.testing import wait_all_tasks_blocked

from gearman_trio.errors import GearmanError, JobLost

__all__ = ["Outcome"]


class Outcome:
    """What became of a call in another task.

    Attributes:
        value: what the call returned.
        error: the error of ours that it raised.
        scope: cancels the call.
    """

    def __init__(self) -> None:
        self.value: object = None
        self.error: GearmanError | None = None
        self.scope = trio.CancelScope()

    async def catch(self, call: Callable[[], Awaitable[Any]]) -> None:
        """Make the call and note what comes of it."""
        with self.scope:
            try:
                self.value = await call()
            except GearmanError as exc:
                self.error = exc

    async def start(self, nursery: trio.Nursery, call: Callable[[], Awaitable[Any]]) -> None:
        """Make the call in another task, and wait until everything waits."""
        nursery.start_soon(self.catch, call)
        await wait_all_tasks_blocked()

    @property
    def lost(self) -> JobLost:
        """The error, which must be this one."""
        assert isinstance(self.error, JobLost)
        return self.error
