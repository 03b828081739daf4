"""Foreground jobs that go on without the requests that submitted them, and for a while how they ended.

A Gearman server gives a result to the clients that wait, and then forgets it.  Here the client that waits is this one,
so it is a foreground job to the broker: it is not stored, and goes with the server.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import trio
from starlette.exceptions import HTTPException
from starlette.requests import Request

from ..errors import GearmanError, JobRaised
from ..server import Server
from .door import Door, JobLimits, JobNotDone, Outcome, Submission

__all__ = ["Kept", "Results"]

#: How often results that are too old are looked for, in seconds.
_SWEEP_SECONDS: Final = 10.0

#: What a result counts besides its bytes.
_RESULT_BYTES: Final = 1024


class Kept:
    """A job whose result is for later.

    Attributes:
        handle: of the job, once there is one.
        ended_at: when it ended, monotonic seconds; infinity before that.
        size: what the result counts.
    """

    def __init__(self) -> None:
        self.handle: bytes | None = None
        self.ended_at = float("inf")
        self.size = 0
        self.scope = trio.CancelScope()
        self.created = trio.Event()
        self.ended = trio.Event()
        self._outcome: Outcome | None = None
        self._error: Exception | None = None

    def end(self, outcome: Outcome | None, error: Exception | None) -> None:
        """It has ended, in the one way or the other."""
        self._outcome, self._error = outcome, error
        self.size = _RESULT_BYTES
        if outcome is not None:
            self.size += len(outcome.result) + sum(map(len, outcome.warnings))
        elif isinstance(error, JobRaised):
            self.size += len(error.data)
        self.ended_at = trio.current_time()
        self.created.set()
        self.ended.set()

    def outcome(self) -> Outcome:
        """How it ended.

        Raises:
            GearmanError: that was without a result.
        """
        if self._error is not None:
            # Each time anew, for a traceback would grow with each time.
            raise self._error.with_traceback(None)
        assert self._outcome is not None
        return self._outcome


class Results:
    """Results by their handles, those that ended first first; `run` keeps them.

    Attributes:
        door: takes the jobs.

    Args:
        server: runs the jobs.
        limits: of these jobs, and of all that come to the same application.
    """

    def __init__(self, server: Server, limits: JobLimits | None = None) -> None:
        self.door: Final = Door(server, limits or JobLimits())
        self._limits = self.door.limits
        self._running: dict[bytes, Kept] = {}
        self._ended: OrderedDict[bytes, Kept] = OrderedDict()
        self._size = 0
        # While there is a task that runs this.
        self._nursery: trio.Nursery | None = None

    @property
    def kept(self) -> bool:
        """Whether results are kept at all."""
        return self._nursery is not None

    async def run(self) -> None:
        """Keep results until cancelled, which loses them."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                while True:
                    await trio.sleep(_SWEEP_SECONDS)
                    self._forget()
            finally:
                self._nursery = None

    def find(self, handle: bytes) -> Kept | None:
        """The job with a handle, ``None`` where nothing of it is kept."""
        self._forget()
        return self._running.get(handle) or self._ended.get(handle)

    async def start(self, submission: Submission, request: Request) -> Kept:
        """Submit a job that goes on without its request.

        Raises:
            HTTPException, GearmanError: as for `Door.watch`.

        Cancellation: the job loses its client.
        """
        assert self._nursery is not None
        kept = Kept()
        self._nursery.start_soon(self._run, kept, submission, request)
        try:
            await kept.created.wait()
        except trio.Cancelled:
            kept.scope.cancel(reason="nobody will ask for the result")
            raise
        if kept.handle is None:
            kept.outcome()
        return kept

    async def _run(self, kept: Kept, submission: Submission, request: Request) -> None:
        outcome: Outcome | None = None
        error: Exception | None = None
        with kept.scope:
            try:
                with trio.move_on_after(self._limits.wait_seconds):
                    async with self.door.watch(submission, request) as job:
                        kept.handle = job.handle
                        # Another request may share the job; both hear the same.
                        self._running[job.handle] = kept
                        kept.created.set()
                        outcome = await self.door.gather(job)
            except (GearmanError, HTTPException) as exc:
                error = exc
        if outcome is None and error is None:
            error = JobNotDone(kept.handle, self._limits.wait_seconds)
        kept.end(outcome, error)
        if kept.handle is not None and self._running.get(kept.handle) is kept:
            del self._running[kept.handle]
            self._ended[kept.handle] = kept
            self._size += kept.size
            self._forget()

    def _forget(self) -> None:
        """Let go of results that are too old, or too many."""
        oldest = trio.current_time() - self._limits.kept_seconds
        while self._ended:
            handle, kept = next(iter(self._ended.items()))
            if kept.ended_at > oldest and self._size <= self._limits.kept_bytes:
                return
            del self._ended[handle]
            self._size -= kept.size
