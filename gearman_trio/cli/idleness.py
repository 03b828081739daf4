"""When a worker has had nothing to do for too long."""

from __future__ import annotations

import math

import trio

from ..worker import CallNext, Job

__all__ = ["Idleness"]


class Idleness:
    """Tells when no job has run for some time. The mutable state is how many run, and until when to wait for one."""

    def __init__(self, patience: float) -> None:
        """Make one that counts no time before `begin`.

        Args:
            patience: for how many seconds there may be no job.
        """
        self._patience = patience
        self._running = 0
        self._waiting = trio.CancelScope()

    def begin(self) -> None:
        """Count the time from now on, unless a job runs."""
        if not self._running:
            self._waiting.deadline = trio.current_time() + self._patience

    async def watch(self, job: Job, call_next: CallNext) -> bytes:
        """Middleware of the worker, or of each of several: no time counts while a job runs."""
        self._running += 1
        self._waiting.deadline = math.inf
        try:
            return await call_next()
        finally:
            self._running -= 1
            self.begin()

    async def wait(self) -> None:
        """Wait until it has been too long; to be called once."""
        with self._waiting:
            await trio.sleep_forever()
